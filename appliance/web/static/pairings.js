// @ts-check
/**
 * The pairings of this browser: with which devices, as whom, and with which key. Kept in IndexedDB, which
 * alone can hold a key that nobody can read.
 *
 * @typedef {object} Pairing
 * @property {string} device_id
 * @property {string} uid  who one is there
 * @property {string} name
 * @property {string} public_key  the device's, as it was at the pairing: no other is believed
 * @property {string} root
 * @property {string} websocket_url
 * @property {string} username  at the broker
 * @property {string | null} password
 * @property {import('./jws.js').Signer} signer
 * @property {string[]} may
 * @property {number} paired_at  Unix ms; 0 until the device has taken the key
 */

const STORE = 'pairings';

/** @returns {Promise<IDBDatabase>} */
function database() {
  return new Promise((opened, failed) => {
    const request = indexedDB.open('appliance', 1);
    request.onupgradeneeded = () =>
      request.result.createObjectStore(STORE, { keyPath: ['device_id', 'uid'] });
    request.onsuccess = () => opened(request.result);
    request.onerror = () => failed(request.error);
  });
}

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} ask
 * @returns {Promise<T>}
 */
async function transact(mode, ask) {
  const opened = await database();
  try {
    return await new Promise((done, failed) => {
      const transaction = opened.transaction(STORE, mode, { durability: 'strict' });
      const request = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => done(request.result);
      transaction.onabort = () => failed(transaction.error);
    });
  } finally {
    opened.close();
  }
}

/** All that were concluded, the latest first; none where the browser keeps nothing. @returns {Promise<Pairing[]>} */
export async function pairings() {
  try {
    /** @type {Pairing[]} */
    const all = await transact('readonly', (store) => store.getAll());
    return all.filter((one) => one.paired_at > 0).sort((a, b) => b.paired_at - a.paired_at);
  } catch {
    return [];
  }
}

/** Who one is at a device: `uid` where it is asked for, else the latest. @param {string} device_id @param {string | null} uid */
export async function pairingWith(device_id, uid = null) {
  const known = (await pairings()).filter((one) => one.device_id === device_id);
  return known.find((one) => uid === null || one.uid === uid) ?? null;
}

/** Keep it over everything. Another device's, or another person's, stays. @param {Pairing} pairing */
export async function keep(pairing) {
  await transact('readwrite', (store) => store.put(pairing));
}

/** @param {Pairing} pairing */
export async function forget({ device_id, uid }) {
  await transact('readwrite', (store) => store.delete([device_id, uid]));
}
