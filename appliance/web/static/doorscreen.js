// @ts-check
/** The device's own screen in the demo's door pane: looked at a few times a second, while it is in sight. */

import { element, part } from './dom.js';

const EVERY_MS = 400;
/** So long is waited after a look that showed nothing. */
const NOTHING_MS = 2000;

export class ScreenView {
  #picture = element('screen-picture', HTMLImageElement);
  #count = 0;

  constructor() {
    this.#picture.addEventListener('load', () => this.#seen(true));
    this.#picture.addEventListener('error', () => this.#seen(false));
    this.#look();
  }

  /** @param {boolean} has */
  #seen(has) {
    part('device-screen').hidden = !has;
    window.setTimeout(() => this.#look(), has ? EVERY_MS : NOTHING_MS);
  }

  #look() {
    const in_sight = !document.hidden && element('door', HTMLElement).checkVisibility();
    if (!in_sight) {
      window.setTimeout(() => this.#look(), EVERY_MS);
      return;
    }
    this.#count += 1;
    this.#picture.src = `demo/screen.jpg?${this.#count}`;
  }
}
