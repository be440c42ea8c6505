// @ts-check
/**
 * Signatures by the browser's own WebCrypto: Ed25519 keys, and the compact JWS (RFC 7515) of every message.
 *
 * @typedef {object} Signer  one's own key; its private half cannot leave the browser
 * @property {CryptoKey} key
 * @property {string} public_key  base64url of the 32 bytes
 * @property {string} kid  the RFC 7638 thumbprint
 */

const ALGORITHM = 'Ed25519';
const TYPE = 'appliance+json';
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const P = 2n ** 255n - 19n;
/** y of a point of order 8 of edwards25519. */
const ROOT = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
/** y of the points of small order: a signature by such a "key" fits many texts, and anybody can make one. */
const WEAK = [0n, 1n, P - 1n, ROOT, P - ROOT];

/** @param {ArrayBuffer | Uint8Array} bytes */
export function base64url(bytes) {
  const text = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** The reverse; throws for everything that `base64url` would not have written. @param {string} text */
export function bytesOf(text) {
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]*$/.test(text)) throw new Error('no base64url');
  const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) =>
    letter.charCodeAt(0),
  );
  // the last letter has bits to spare: one signature is to have one spelling
  if (base64url(bytes) !== text) throw new Error('no base64url');
  return bytes;
}

const utf8 = (/** @type {string} */ text) => new TextEncoder().encode(text);
const textOf = (/** @type {Uint8Array} */ bytes) =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);

/** The bytes of a public key; throws for what no honest key is, which browsers take. @param {string} text */
export function keyOf(text) {
  const raw = bytesOf(text);
  const hex = Array.from(raw, (byte) => byte.toString(16).padStart(2, '0')).reverse().join('');
  const y = BigInt.asUintN(255, BigInt(`0x${hex || 0}`));
  if (raw.length !== KEY_BYTES || y >= P || WEAK.includes(y)) throw new Error('no public key');
  return raw;
}

/** The id of a public key. @param {string} public_key @returns {Promise<string>} */
export async function thumbprint(public_key) {
  const jwk = `{"crv":"${ALGORITHM}","kty":"OKP","x":"${public_key}"}`;
  return base64url(await crypto.subtle.digest('SHA-256', utf8(jwk)));
}

/** Whether this browser can do all of it, here. */
export async function isSupported() {
  try {
    await makeSigner();
    return true;
  } catch {
    return false; // no Ed25519, or no `crypto.subtle`: a page from elsewhere without TLS
  }
}

/** A new key; only its public half can be read. @returns {Promise<Signer>} */
export async function makeSigner() {
  const pair = /** @type {CryptoKeyPair} */ (
    await crypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify'])
  );
  const public_key = base64url(await crypto.subtle.exportKey('raw', pair.publicKey));
  return { key: pair.privateKey, public_key, kid: await thumbprint(public_key) };
}

/** A signature, base64url. @param {Signer} signer @param {string} text */
export async function sign(signer, text) {
  return base64url(await crypto.subtle.sign(ALGORITHM, signer.key, utf8(text)));
}

/** A payload in its signature. @param {Signer} signer @param {string} payload */
export async function seal(signer, payload) {
  const header = JSON.stringify({ alg: ALGORITHM, kid: signer.kid, typ: TYPE });
  const signed = `${base64url(utf8(header))}.${base64url(utf8(payload))}`;
  return `${signed}.${await sign(signer, signed)}`;
}

/** What a compact JWS says of its key, before anything is believed; throws where it is none. @param {string} compact */
export function kidOf(compact) {
  const [header] = partsOf(compact);
  const text = textOf(bytesOf(header));
  const said = JSON.parse(text);
  const exact =
    Object.keys(said).sort().join() === 'alg,kid,typ' && said.alg === ALGORITHM && said.typ === TYPE &&
    // of a name that is there twice the last counts here, the first perhaps elsewhere
    text.replace(/\s/g, '').length === JSON.stringify(said).length;
  if (!exact || typeof said.kid !== 'string') throw new Error('another header than ours');
  return said.kid;
}

/**
 * The payload of a compact JWS that one of these keys has signed; throws for every other.
 *
 * @param {string} compact
 * @param {Map<string, string>} keys  public keys by their kid
 */
export async function open(compact, keys) {
  const public_key = keys.get(kidOf(compact));
  if (public_key === undefined) throw new Error('signed with a key that is not known');
  const [header, payload, signature] = partsOf(compact);
  const raw = keyOf(public_key);
  const mark = bytesOf(signature);
  if (mark.length !== SIGNATURE_BYTES) throw new Error('no Ed25519');
  const key = await crypto.subtle.importKey('raw', raw, ALGORITHM, false, ['verify']);
  if (!(await crypto.subtle.verify(ALGORITHM, key, mark, utf8(`${header}.${payload}`)))) {
    throw new Error('the signature is wrong');
  }
  return textOf(bytesOf(payload));
}

/** @param {string} compact */
function partsOf(compact) {
  const parts = compact.split('.');
  if (parts.length !== 3) throw new Error('not signed');
  return parts;
}

/**
 * That one knows a secret, bound to what is said with it: HMAC-SHA-256, base64url.
 *
 * @param {string} secret  base64url
 * @param {string} text
 */
export async function proofOf(secret, text) {
  const hmac = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', bytesOf(secret), hmac, false, ['sign']);
  return base64url(await crypto.subtle.sign('HMAC', key, utf8(text)));
}
