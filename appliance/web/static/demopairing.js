// @ts-check
/**
 * The demo's page pairs by itself: it asks the door station beside it for an invitation, as one would at its
 * terminal, and takes it.
 *
 * @typedef {import('./pairing.js').Invitation} Invitation
 * @typedef {import('./pairings.js').Pairing} Pairing
 */

import { pairingWith } from './pairings.js';
import { pairNow } from './pairingview.js';

/**
 * @param {{device_id: string, name: string, mqtt_version?: 4 | 5, public_key?: string | null}} client
 * @param {{uid: string}} who
 * @returns {Promise<Pairing | null>}
 */
export async function pairInDemo(client, { uid }) {
  const kept = await pairingWith(client.device_id, uid);
  if (kept && kept.public_key === client.public_key) return kept;
  const url = new URL('demo/socket', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  const socket = new WebSocket(url);
  try {
    return await pairNow(await asked(socket, uid), client);
  } finally {
    socket.close(); // and with it goes an invitation that was not used
  }
}

/** @param {WebSocket} socket @param {string} uid @returns {Promise<Invitation>} */
function asked(socket, uid) {
  return new Promise((given, failed) => {
    socket.addEventListener('open', () => {
      socket.send(JSON.stringify({ id: 1, pair: { name: uid } }));
    });
    socket.addEventListener('message', ({ data }) => {
      const said = JSON.parse(data);
      if (said.id !== 1 || !('ok' in said)) return;
      if (said.ok) given(said.result.invitation);
      else failed(new Error(said.error.message));
    });
    socket.addEventListener('close', () => failed(new Error('the door station went away')));
  });
}
