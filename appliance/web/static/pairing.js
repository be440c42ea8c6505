// @ts-check
/**
 * Pairing: an invitation from the address becomes a key of this phone's own and the pinned key of the device.
 *
 * The secret proves, to whoever has the invitation, that a message about a key was not changed on its way; it is
 * never sent. The device answers with its signature, by the key that the invitation named.
 *
 * @typedef {object} Invitation
 * @property {1} v
 * @property {string} root
 * @property {string} device_id
 * @property {string} public_key
 * @property {string} websocket_url
 * @property {string} username
 * @property {string | null} password
 * @property {string} uid
 * @property {string} name
 * @property {string} secret
 *
 * @typedef {import('./pairings.js').Pairing} Pairing
 * @typedef {'no_crypto' | 'no_storage' | 'not_let_in' | 'no_answer' | 'invalid_invitation' | 'not_kept'} Failure
 */

import { randomId } from './envelope.js';
import { nextSeq } from './identity.js';
import { bytesOf, isSupported, keyOf, makeSigner, proofOf } from './jws.js';
import { forget, keep } from './pairings.js';
import { Signaling } from './signaling.js';
import { Pinned } from './trust.js';

const PATIENCE_S = 40;
const TEXTS = ['root', 'device_id', 'public_key', 'websocket_url', 'username', 'uid', 'name', 'secret'];

/** Why there is no pairing; the words for it are in `words.js`. */
export class NotPaired extends Error {
  /** @param {Failure} failure */
  constructor(failure) {
    super(failure);
    this.failure = failure;
  }
}

/** The invitation in an address; null where there is none, 'broken' where it is no whole one. @param {string} hash @returns {Invitation | 'broken' | null} */
export function parsePairing(hash) {
  const packed = new URLSearchParams(hash.replace(/^#/, '')).get('pair');
  if (packed === null) return null;
  try {
    const said = JSON.parse(new TextDecoder().decode(bytesOf(packed)));
    const whole =
      said.v === 1 &&
      TEXTS.every((name) => typeof said[name] === 'string' && said[name] !== '') &&
      (said.password === null || typeof said.password === 'string') &&
      keyOf(said.public_key).length > 0 &&
      bytesOf(said.secret).length >= 16;
    return whole ? said : 'broken';
  } catch {
    return 'broken';
  }
}

/** The same, taken out of the address: neither a bookmark nor the history is to keep the secret. */
export function takePairing() {
  const invitation = parsePairing(location.hash);
  if (invitation) history.replaceState(null, '', location.pathname + location.search);
  return invitation;
}

/** Until the device has taken the key nothing can be signed; but what comes is by the pinned key, or nothing. */
class Introducing extends Pinned {
  /** @type {string | null} */ kid = null;

  /** @param {import('./envelope.js').Envelope} envelope */
  async seal(envelope) {
    return JSON.stringify(envelope);
  }
}

/**
 * Pair, and keep it; throws `NotPaired`.
 *
 * @param {Invitation} invitation
 * @param {4 | 5} version  of MQTT
 * @param {(link: import('./signaling.js').Link, retry_s: number | null) => void} onLink
 * @param {number} patience_s
 * @returns {Promise<Pairing>}
 */
export async function pair(invitation, version, onLink, patience_s = PATIENCE_S) {
  if (!(await isSupported())) throw new NotPaired('no_crypto');
  const { device_id, uid, name, secret, root, websocket_url, public_key } = invitation;
  const { username, password } = invitation;
  const signer = await makeSigner();
  /** @type {Pairing} */
  const pairing = {
    device_id,
    uid,
    name,
    public_key,
    root,
    websocket_url,
    username,
    password,
    signer,
    may: [],
    paired_at: 0,
  };
  await tryStorage(pairing);
  const proof = await proofOf(secret, `pair\n${device_id}\n${uid}\n${signer.public_key}`);
  pairing.may = await introduce(pairing, proof, version, onLink, patience_s);
  pairing.paired_at = Date.now();
  await keep(pairing).catch(() => {
    throw new NotPaired('no_storage');
  });
  // so that the browser does not tidy the key away; where it asks, or refuses, it works all the same
  navigator.storage?.persist?.().catch(() => false);
  return pairing;
}

/** Before the door knows the key: would it be kept? @param {Pairing} pairing */
async function tryStorage(pairing) {
  const trial = { ...pairing, device_id: `trial ${pairing.device_id}` };
  try {
    await keep(trial);
    await forget(trial);
  } catch {
    throw new NotPaired('no_storage');
  }
}

/**
 * Tell the device the key, until it answers; what one may there.
 *
 * @returns {Promise<string[]>}
 */
async function introduce(
  /** @type {Pairing} */ { device_id, uid, name, signer, ...rest },
  /** @type {string} */ proof,
  /** @type {4 | 5} */ version,
  /** @type {(link: import('./signaling.js').Link, retry_s: number | null) => void} */ onLink,
  /** @type {number} */ patience_s,
) {
  const { root, websocket_url: url, username, password } = rest;
  const call_id = randomId();
  // an endpoint of its own: nobody rings it, and the phone that it becomes is not thrown out by its end
  const self = { uid, name, endpoint: `pair-${call_id.slice(0, 12)}` };
  const broker = { url, root, version, username, password: password ?? undefined };
  /** @type {Signaling | null} */ let signaling = null;
  let patience = 0;
  try {
    return await new Promise((done, failed) => {
      patience = window.setTimeout(() => failed(new NotPaired('no_answer')), patience_s * 1000);
      const listener = {
        onMessage: () => undefined,
        onPresence: () => undefined,
        onFault: (/** @type {string} */ code, /** @type {string} */ sentence) =>
          console.warn(`${code}: ${sentence}`),
        onLink: (
          /** @type {import('./signaling.js').Link} */ link,
          /** @type {number | null} */ retry_s,
        ) => {
          if (link === 'refused') failed(new NotPaired('not_let_in'));
          onLink(link, retry_s);
        },
        onPaired: (
          /** @type {{call_id: string, kid: string, may: string[] | null, error: string | null}} */ said,
        ) => {
          if (said.call_id !== call_id || said.kid !== signer.kid) return;
          if (said.error === 'not_kept') failed(new NotPaired('not_kept'));
          else if (said.error !== null) failed(new NotPaired('invalid_invitation'));
          else done(said.may ?? []);
        },
      };
      const pinned = { device_id, uid, name, signer, ...rest };
      signaling = new Signaling(self, broker, [device_id], nextSeq, listener, new Introducing(pinned));
      signaling.connect();
      const body = { key: signer.public_key, proof };
      signaling.send({ uid: device_id, endpoint: null }, call_id, 'pair', body, patience_s);
    });
  } finally {
    window.clearTimeout(patience);
    /** @type {Signaling | null} */ (signaling)?.close();
  }
}
