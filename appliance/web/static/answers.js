// @ts-check
/**
 * What this endpoint answered, kept for who asks again, and its last words, for who comes back.
 *
 * A peer repeats what is not answered, with the same id. Acting on it twice would be wrong, and silence would leave
 * it without the answer: so that goes out once more, as a SIP server transaction does (RFC 3261, section 17.2).
 *
 * @typedef {import('./signaling.js').Address} Address
 * @typedef {import('./signaling.js').Outgoing} Outgoing
 */

const KEPT = 64;
const LAST_WORDS = ['reject', 'cancel', 'end'];

/** What is repeated until it is answered, and what answers it. @type {Map<string, string[]>} */
const ANSWERED_BY = new Map([
  ['invite', ['ringing', 'accept', ...LAST_WORDS]],
  ['accept', ['answer', ...LAST_WORDS]],
  ['join', ['participants', 'answer', ...LAST_WORDS]],
  ['offer', ['answer', ...LAST_WORDS]],
  ['pair', []],
]);

/** @param {string} kind */
export const isRepeated = (kind) => ANSWERED_BY.has(kind);

/** What ends a matter between two endpoints. @param {string} kind */
export const isLastWord = (kind) => LAST_WORDS.includes(kind);

export class Answers {
  /** @type {Map<string, Outgoing>} the latest of each kind that answers something */
  #kept = new Map();

  /** @param {Outgoing} message */
  sent(message) {
    for (const [request, answers] of ANSWERED_BY) {
      if (answers.includes(message.kind)) this.#keep(keyOf(message.to, message.call_id, request), message);
    }
  }

  /** What answered this, where it is still worth sending. @returns {Outgoing | null} */
  to(
    /** @type {Address} */ asker,
    /** @type {string} */ call_id,
    /** @type {string} */ request,
    /** @type {number} */ now,
  ) {
    const answer = this.#kept.get(keyOf(asker, call_id, request));
    return answer && isFresh(answer, now) ? answer : null;
  }

  /** What ended a matter with this endpoint a moment ago. @param {Address} to @param {number} now @returns {Outgoing[]} */
  lastWordsTo(to, now) {
    const said = [...this.#kept.values()].filter(
      (m) => isLastWord(m.kind) && m.to.uid === to.uid && m.to.endpoint === to.endpoint,
    );
    return [...new Set(said)].filter((m) => isFresh(m, now));
  }

  /** @param {string} key @param {Outgoing} message */
  #keep(key, message) {
    this.#kept.delete(key);
    this.#kept.set(key, message);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT) this.#kept.delete(oldest);
  }
}

/** @param {Address} to @param {string} call_id @param {string} request */
const keyOf = ({ uid, endpoint }, call_id, request) => `${uid}/${endpoint} ${call_id} ${request}`;

/** @param {Outgoing} message @param {number} now */
const isFresh = ({ born, ttl_s }, now) => now - born < ttl_s * 1000;
