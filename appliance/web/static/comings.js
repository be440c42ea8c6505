// @ts-check
/**
 * Who comes and goes, of which the last word counts: at once within each uid's share, else a second later.
 *
 * Presence is a state, and it is not signed: whoever may write it can write it without end. What is beyond a
 * share is kept, the newest of each endpoint and so many of each uid, and what is older is forgotten.
 */

import { MAX_SENDERS, presenceShares, remember } from './shares.js';

const LATER_MS = 1000;
const HELD_OF_EACH = 64;

export class Comings {
  #shares = presenceShares();
  /** @type {Map<string, Map<string, string>>} texts by uid and endpoint */
  #held = new Map();
  /** @type {number | undefined} */ #timer;

  /**
   * @param {(uid: string, endpoint: string, text: string) => void} take
   * @param {(uid: string) => void} hold  told of each that is looked at later, or never
   */
  constructor(take, hold) {
    this.take = take;
    this.hold = hold;
  }

  /** @param {string} uid @param {string} endpoint @param {string} text @param {number} now */
  offer(uid, endpoint, text, now) {
    const held = this.#held.get(uid) ?? new Map();
    if (this.#shares.take(uid, now)) {
      held.delete(endpoint); // it is older
      this.take(uid, endpoint, text);
      return;
    }
    remember(held, endpoint, text, HELD_OF_EACH);
    remember(this.#held, uid, held, MAX_SENDERS);
    this.hold(uid);
    this.#timer ??= window.setTimeout(() => this.#later(), LATER_MS);
  }

  #later() {
    this.#timer = undefined;
    const held = this.#held;
    this.#held = new Map();
    for (const [uid, texts] of held) {
      for (const [endpoint, text] of texts) this.take(uid, endpoint, text);
    }
  }

  /** What waits is of a connection that is over: who is there is told again. */
  forget() {
    window.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#held.clear();
  }
}
