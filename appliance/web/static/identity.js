// @ts-check
/**
 * Who this tab is: its endpoint id, which a reload keeps and a duplicated tab does not, what makes its client id at
 * the broker its own, and its sequence.
 */

import { randomId } from './envelope.js';
import { ofTab } from './kept.js';

const ENDPOINT = 'appliance.endpoint';
const MARK = 'appliance.mark';
const SEQ = 'appliance.seq';

/** The endpoint id of this tab. */
export async function tabEndpoint() {
  const kept = ofTab.getItem(ENDPOINT);
  if (kept && (await isOurs(kept))) return kept;
  const fresh = `page-${randomId().slice(0, 12)}`;
  ofTab.setItem(ENDPOINT, fresh);
  await isOurs(fresh);
  return fresh;
}

/**
 * What of its client id nobody else knows: whoever connects to the broker with the same takes its place, and any account
 * could, since presence tells everybody the endpoint. A reload keeps it, and so takes the place of what it left there.
 */
export function tabMark() {
  const mark = ofTab.getItem(MARK) ?? randomId();
  ofTab.setItem(MARK, mark);
  return mark;
}

/**
 * The next sequence number; it rises over reloads, since the far side remembers the endpoint. A tab that is brought
 * back after its browser was killed may have been kept as it was some seconds before: so the clock counts too, and a
 * clock that is set back does no harm.
 */
export function nextSeq() {
  const next = Math.max((Number(ofTab.getItem(SEQ)) || 0) + 1, Date.now());
  ofTab.setItem(SEQ, String(next));
  return next;
}

/** A duplicated tab has a copy of the storage: whoever holds the lock keeps the id. @param {string} endpoint */
function isOurs(endpoint) {
  if (!('locks' in navigator)) return Promise.resolve(true); // without TLS there are none
  return new Promise((answer) => {
    const asked = navigator.locks.request(`${ENDPOINT}.${endpoint}`, { ifAvailable: true }, (lock) => {
      answer(lock !== null);
      return lock ? new Promise(() => undefined) : undefined;
    });
    asked.catch(() => answer(true)); // nor are there any where nothing may be kept
  });
}
