// @ts-check
/**
 * The login of the page: a challenge of the server's, signed with the key of one's pairing, becomes a cookie
 * that no script can read. On the device itself none is needed.
 */

import { sign } from './jws.js';
import { pairings } from './pairings.js';

const JSON_TYPE = { 'Content-Type': 'application/json' };

/**
 * Log in as who one was paired as; whether the server believes it.
 *
 * @param {{uid: string, signer: import('./jws.js').Signer}} pairing
 * @returns {Promise<{uid: string, may: string[], expires_s: number} | null>}
 */
export async function login({ uid, signer }) {
  const { challenge } = await (await fetch('login', { cache: 'no-store' })).json();
  const signature = await sign(signer, `login\n${location.origin}\n${challenge}`);
  const body = JSON.stringify({ uid, kid: signer.kid, challenge, signature });
  const response = await fetch('login', { method: 'POST', headers: JSON_TYPE, body });
  return response.ok ? await response.json() : null;
}

export async function logout() {
  await fetch('logout', { method: 'POST' });
}

/**
 * A `fetch` of something that may need a login: it is tried with each pairing, the latest first.
 *
 * @param {string} path @returns {Promise<Response>}
 */
export async function fetchKnown(path) {
  let response = await fetch(path);
  for (const pairing of response.status === 401 ? await pairings() : []) {
    if (!(await login(pairing))) continue;
    response = await fetch(path);
    if (response.status !== 401) break;
  }
  return response;
}
