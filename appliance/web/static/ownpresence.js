// @ts-check
/**
 * What stands at the broker of this page itself, put right where somebody else has written otherwise.
 *
 * All phones of one person share an account, so that another of them may write in this one's place: a lost one,
 * or a will that comes late. Whoever goes on is answered ever more rarely, and told of: two that hold themselves
 * for one endpoint are not to keep the broker busy.
 */

const FIRST_MS = 1000;
const LONGEST_MS = 16_000;
/** After so long without a word of theirs it is another matter. */
const QUIET_MS = 60_000;
/** So many times in a row are no late will any more. */
const TOLD_AFTER = 4;

export class OwnPresence {
  /** @type {string | null} */ #said = null;
  /** @type {string | null} */ #heard = null;
  /** @type {number | undefined} */ #timer;
  #in_a_row = 0;
  #mended = -Infinity;

  /**
   * @param {() => void} mend  says again what this page is
   * @param {() => void} tell  somebody goes on writing in its place
   * @param {() => number} now  ms by the monotonic clock
   */
  constructor(mend, tell, now = () => performance.now()) {
    this.mend = mend;
    this.tell = tell;
    this.now = now;
  }

  /** Whether something is to be put right. */
  get isMending() {
    return this.#timer !== undefined;
  }

  /** That is what this page says of itself from now on. @param {string} text */
  said(text) {
    this.#said = text;
  }

  /** That stands there now, whoever wrote it. @param {string} text */
  heard(text) {
    this.#heard = text;
    if (text === this.#said || this.#timer !== undefined) return;
    if (this.now() - this.#mended > QUIET_MS) this.#in_a_row = 0;
    const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#in_a_row);
    // one's own last word may be on its way back, and behind this; and two are not to answer in one breath
    this.#timer = window.setTimeout(() => this.#look(), most * (0.5 + Math.random() / 2));
  }

  #look() {
    this.#timer = undefined;
    if (this.#heard === this.#said) return;
    this.#mended = this.now();
    this.#in_a_row += 1;
    if (this.#in_a_row === TOLD_AFTER) this.tell();
    this.mend();
  }

  /** The connection is over: with the next one all is said anew. How often it was, is not forgotten. */
  forget() {
    window.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#said = this.#heard = null;
  }
}
