// @ts-check
/**
 * How much of what others send is looked at: a share for each, as the device has it, so that nobody takes
 * another's, and one of its own for what ends a call. Time is a parameter, in ms by the monotonic clock.
 */

const SENDER = { per_s: 20, burst: 60 };
const TOTAL = { per_s: 100, burst: 300 };
/** What each sender has in any case, however much the others send. */
const SURE = { per_s: 4, burst: 12 };
/** What it has beyond that for what ends a call, though a flood be in its own name. */
const LAST_WORDS = { per_s: 2, burst: 6 };
const PRESENCE = { per_s: 5, burst: 40 };
/** How many faults of one kind are told at once, and from then on. */
const TELLING = { per_s: 2, burst: 20 };
/** Whoever is not known has one share with all others of whom that is so. */
export const STRANGERS = '';
export const MAX_SENDERS = 256;

/** Lets `burst` through at once, and `per_s` in the long run. */
export class Bucket {
  #tokens;
  #filled;

  /** @param {{per_s: number, burst: number}} limit @param {number} now */
  constructor({ per_s, burst }, now) {
    this.per_ms = per_s / 1000;
    this.burst = burst;
    this.#tokens = burst;
    this.#filled = now;
  }

  /** Take one if there is one. @param {number} now */
  take(now) {
    const since = Math.max(0, now - this.#filled);
    this.#filled = now;
    this.#tokens = Math.min(this.burst, this.#tokens + since * this.per_ms);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** @template V @param {Map<string, V>} map @param {string} key @param {V} value @param {number} at_most */
export function remember(map, key, value, at_most) {
  map.delete(key); // what was set last is forgotten last
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > at_most) map.delete(oldest);
}

/** Of one kind, one bucket for each name. */
class Buckets {
  /** @type {Map<string, Bucket>} */ #of = new Map();

  /** @param {{per_s: number, burst: number}} limit */
  constructor(limit) {
    this.limit = limit;
  }

  /** @param {string} name @param {number} now */
  take(name, now) {
    const bucket = this.#of.get(name) ?? new Bucket(this.limit, now);
    remember(this.#of, name, bucket, MAX_SENDERS);
    return bucket.take(now);
  }
}

/** Of messages. */
export class Shares {
  #own = new Buckets(SENDER);
  #sure = new Buckets(SURE);
  #last = new Buckets(LAST_WORDS);
  /** @type {Bucket | null} */ #total = null;

  /** Whether one more of that sender is looked at. @param {string} sender @param {boolean} is_last_word @param {number} now */
  take(sender, is_last_word, now) {
    this.#total ??= new Bucket(TOTAL, now);
    if (this.#own.take(sender, now) && (this.#total.take(now) || this.#sure.take(sender, now))) {
      return true;
    }
    return is_last_word && this.#last.take(sender, now);
  }
}

/** Of who comes and goes. */
export const presenceShares = () => new Buckets(PRESENCE);

/** Faults are counted in full, and told in brief. */
export class Refusals {
  /** @type {Map<string, number>} how many there were, by code */
  counts = new Map();
  /** @type {Map<string, number>} of those, how many were not told */
  #untold = new Map();
  #shares = new Buckets(TELLING);

  /** @param {(code: string, sentence: string) => void} tell */
  constructor(tell) {
    this.tell = tell;
  }

  /** @param {string} code @param {string} sentence @param {number} now */
  add(code, sentence, now) {
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1);
    const untold = this.#untold.get(code) ?? 0;
    if (!this.#shares.take(code, now)) {
      this.#untold.set(code, untold + 1);
      return;
    }
    this.#untold.delete(code);
    this.tell(code, untold ? `${sentence} ${untold} more were refused before it.` : sentence);
  }
}
