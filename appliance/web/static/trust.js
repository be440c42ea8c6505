// @ts-check
/**
 * Whether what comes out of the broker is believed to be its sender's, and what makes one's own believable.
 *
 * @typedef {object} Trust
 * @property {string | null} kid  of the own key
 * @property {boolean} strict  whether only what is signed, and meant for this very connection, counts
 * @property {(envelope: import('./envelope.js').Envelope) => Promise<string>} seal
 * @property {(from: string, payload: string) => Promise<any>} open  throws for what is not believed
 * @property {(who: {uid: string, key: string | null}[]) => void} know  keys that the host vouches for
 * @property {(from: string) => boolean} knows  whether there is a key at all by which it could be believed
 */

import * as jws from './jws.js';

/** Without a pairing: everything is as the broker says. @type {Trust} */
export const PLAIN = {
  kid: null,
  strict: false,
  seal: async (envelope) => JSON.stringify(envelope),
  open: async (_from, payload) => JSON.parse(payload),
  know: () => undefined,
  knows: () => true,
};

/** Signed by a key that was not pinned: whoever it is, it is not the device that one was paired with. */
export class OtherKey extends Error {}

/** After a pairing: everything is signed, and nothing else is believed. @implements {Trust} */
export class Pinned {
  strict = true;
  /** @type {Map<string, Map<string, string>>} public keys by kid, of each device that one was paired with */
  #pinned = new Map();
  /** @type {Promise<Map<string, Map<string, string>>>} of those whom the host's list names */
  #listed = Promise.resolve(new Map());
  /** @type {Set<string>} */ #known;
  /** @type {Set<string>} */ #named = new Set();
  #ready;

  /** @param {import('./pairings.js').Pairing} own @param {import('./pairings.js').Pairing[]} others */
  constructor(own, others = []) {
    this.signer = own.signer;
    this.kid = own.signer.kid;
    this.#known = new Set([...others, own].map(({ device_id }) => device_id));
    this.#ready = this.#pin([...others, own]);
  }

  /** @param {import('./pairings.js').Pairing[]} all  the last counts */
  async #pin(all) {
    for (const { device_id, public_key } of all) {
      this.#pinned.set(device_id, new Map([[await jws.thumbprint(public_key), public_key]]));
    }
  }

  /** @param {import('./envelope.js').Envelope} envelope */
  seal(envelope) {
    return jws.seal(this.signer, JSON.stringify(envelope));
  }

  /** @param {string} from @param {string} payload */
  async open(from, payload) {
    await this.#ready;
    const pinned = this.#pinned.get(from);
    const keys = pinned ?? (await this.#listed).get(from) ?? new Map();
    if (pinned && !pinned.has(jws.kidOf(payload))) throw new OtherKey(`${from} has another key`);
    return JSON.parse(await jws.open(payload, keys));
  }

  /** The latest list alone counts, and never against a pairing. @param {{uid: string, key: string | null}[]} who */
  know(who) {
    this.#listed = byKid(who);
    this.#named = new Set(who.filter(({ key }) => key).map(({ uid }) => uid));
  }

  /** @param {string} from */
  knows(from) {
    return this.#known.has(from) || this.#named.has(from);
  }
}

/** @param {{uid: string, key: string | null}[]} who */
async function byKid(who) {
  /** @type {Map<string, Map<string, string>>} */
  const listed = new Map();
  for (const { uid, key } of who) {
    if (!key) continue;
    const keys = listed.get(uid) ?? new Map();
    listed.set(uid, keys.set(await jws.thumbprint(key), key));
  }
  return listed;
}
