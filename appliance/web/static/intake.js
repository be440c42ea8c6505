// @ts-check
/**
 * What has come out of the broker and waits to be looked at: so much of each sender, in turn, and with an end.
 *
 * To verify a signature takes a moment, in which more comes. Laws: no sender waits behind another's messages, but
 * for one of each; those of one sender stay in their order; where no more is kept it is one of whoever has most
 * waiting that goes, the newest that ends no call; and of what is left out nothing was opened.
 *
 * @typedef {{from: string, text: string, is_last: boolean}} Waiting
 */

import { Shares, STRANGERS } from './shares.js';

/** Some seconds of a sender's share. */
export const OF_ONE = 64;
/** Of all together: 22 MiB where each is as large as may be. */
export const OF_ALL = 512;

/** What ends a call has no description, and is short. */
const MAX_LAST_WORD = 6 * 1024;
const LAST_WORD = /"type"\s*:\s*"(?:end|cancel)"/;

/** Whether this, signed or not and not believed yet, looks like an `end` or a `cancel`. @param {string} text */
export function mayBeLastWord(text) {
  if (text.length > MAX_LAST_WORD) return false;
  if (text.startsWith('{')) return LAST_WORD.test(text);
  const [, signed = ''] = text.split('.', 2);
  try {
    return LAST_WORD.test(atob(signed.replaceAll('-', '+').replaceAll('_', '/')));
  } catch {
    return false;
  }
}

export class Intake {
  /** @type {Map<string, Waiting[]>} by sender, whose turn is first stands first */
  #waiting = new Map();
  #count = 0;
  #shares = new Shares();
  #busy = false;

  /**
   * @param {(from: string, text: string) => Promise<void>} take
   * @param {(from: string) => boolean} isKnown  whether what it says can be believed at all
   * @param {(from: string) => void} leaveOut
   */
  constructor(take, isKnown, leaveOut) {
    this.take = take;
    this.isKnown = isKnown;
    this.leaveOut = leaveOut;
  }

  /** How many wait. */
  get size() {
    return this.#count;
  }

  /** @param {string} from @param {string} text @param {number} now  ms, monotonic */
  offer(from, text, now) {
    const sender = this.isKnown(from) ? from : STRANGERS;
    const is_last = mayBeLastWord(text);
    if (!this.#shares.take(sender, is_last, now)) {
      this.leaveOut(from);
      return;
    }
    const own = this.#waiting.get(sender) ?? [];
    this.#waiting.set(sender, own);
    own.push({ from, text, is_last });
    this.#count += 1;
    if (own.length > OF_ONE) this.#drop(sender, own);
    else if (this.#count > OF_ALL) this.#drop(...this.#longest());
    void this.#work();
  }

  /** @param {string} sender @param {Waiting[]} own */
  #drop(sender, own) {
    const at = own.findLastIndex(({ is_last }) => !is_last);
    const [{ from }] = own.splice(at, 1); // -1 is the newest, where all of them end calls
    if (own.length === 0) this.#waiting.delete(sender);
    this.#count -= 1;
    this.leaveOut(from);
  }

  /** @returns {[string, Waiting[]]} */
  #longest() {
    return [...this.#waiting].reduce((most, one) => (one[1].length > most[1].length ? one : most));
  }

  async #work() {
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#next(); next; next = this.#next()) {
      // a fault in one is told, and keeps nobody else's from being looked at
      await this.take(next.from, next.text).catch(reportError);
    }
    this.#busy = false;
  }

  /** One of whose turn it is, who then stands behind the others. */
  #next() {
    for (const [sender, own] of this.#waiting) {
      const first = own.shift();
      this.#waiting.delete(sender);
      if (own.length) this.#waiting.set(sender, own);
      this.#count -= 1;
      return first;
    }
    return undefined;
  }
}
