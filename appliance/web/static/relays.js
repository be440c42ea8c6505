// @ts-check
/**
 * The STUN and TURN servers that the device tells who is logged in, with passwords that are good for a day.
 *
 * Where the device has a relay of its own a call mostly comes about without; a phone whose network lets no
 * UDP out at all needs one that it reaches itself.
 */

import { fetchKnown } from './login.js';

const PATIENCE_MS = 3000;
/** How often they are asked for: long before the passwords are over, and soon after a device has others. */
const EVERY_MS = 3_600_000;

/** @returns {Promise<RTCIceServer[] | null>} null: it is not known, and what was told before still counts */
async function told() {
  try {
    const late = new Promise((_, fail) => { window.setTimeout(fail, PATIENCE_MS); });
    const response = /** @type {Response} */ (await Promise.race([fetchKnown('ice_servers.json'), late]));
    return response.ok ? (await response.json()).ice_servers : null;
  } catch {
    return null;
  }
}

/** Have them used, now and later; back when they have been asked for once. @param {(servers: RTCIceServer[]) => void} use */
export async function keepRelays(use) {
  const ask = async () => {
    const servers = await told();
    if (servers) use(servers);
  };
  window.setInterval(ask, EVERY_MS);
  await ask();
}
