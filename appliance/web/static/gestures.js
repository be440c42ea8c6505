// @ts-check
/**
 * What a finger does on a drawn button: press, double press or hold, as far as the button tells them apart.
 *
 * @typedef {'press' | 'double_press' | 'hold'} Gesture
 * @typedef {object} Bound  the button as configured: an action for each gesture, or null
 * @property {string | null} press
 * @property {string | null} double_press
 * @property {string | null} hold
 * @property {number} hold_s
 */

export const DOUBLE_PRESS_MS = 300;

export class Finger {
  /** @type {number | undefined} */ #holding;
  /** @type {number | undefined} */ #waiting;
  #down = false;
  #spent = false;

  /** @param {Bound} button @param {(gesture: Gesture) => void} act */
  constructor(button, act) {
    this.button = button;
    this.act = act;
  }

  down() {
    this.#down = true;
    this.#spent = false;
    const { double_press, hold, hold_s } = this.button;
    if (hold) this.#holding = window.setTimeout(() => this.#spend('hold'), hold_s * 1000);
    // nothing to tell apart: the bell rings with the first touch, as at a real door
    else if (!double_press) this.#spend('press');
  }

  up() {
    window.clearTimeout(this.#holding);
    if (!this.#down) return;
    this.#down = false;
    if (this.#spent) return;
    if (!this.button.double_press) this.#spend('press');
    else if (this.#waiting === undefined) {
      this.#waiting = window.setTimeout(() => this.#spend('press'), DOUBLE_PRESS_MS);
    } else this.#spend('double_press');
  }

  /** The finger slid off: nothing was meant. */
  cancel() {
    window.clearTimeout(this.#holding);
    this.#down = false;
  }

  /** @param {Gesture} gesture */
  #spend(gesture) {
    window.clearTimeout(this.#waiting);
    this.#waiting = undefined;
    this.#spent = true;
    this.act(gesture);
  }
}
