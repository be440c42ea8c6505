// @ts-check
/**
 * The panels beside the picture, one at a time: chat, people, keypad.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {'chat' | 'people' | 'pad'} Name
 */

import { button, element, make, say } from './dom.js';
import { clock } from './words.js';

const KEYS = ['1', '2', '3', 'A', '4', '5', '6', 'B', '7', '8', '9', 'C', '*', '0', '#', 'D'];
/** @type {Record<string, string>} */
const KEY_WORDS = { '*': 'star', '#': 'hash' };
/** @type {Name[]} */
const NAMES = ['chat', 'people', 'pad'];
/** What a keyboard is put on. @type {Record<Name, string>} */
const FIRST = { chat: 'chat-text', people: 'people-title', pad: 'pad-title' };
const MAX_DIGITS = 24;

export class Panels {
  /** @type {Name | null} */ #open = null;
  #lines_read = 0;
  #pane = element('phone', HTMLElement);

  /** @param {{chat: (text: string) => void, key: (digit: string) => void}} actions */
  constructor(actions) {
    for (const name of NAMES) {
      button(`show-${name}`).addEventListener('click', () => {
        this.open(this.#open === name ? null : name);
      });
    }
    element('chat-form', HTMLFormElement).addEventListener('submit', (submit) => {
      submit.preventDefault();
      const text = element('chat-text', HTMLInputElement);
      if (text.value.trim()) actions.chat(text.value.trim());
      text.value = '';
    });
    element('pad-keys', HTMLElement).append(...KEYS.map((key) => drawKey(key, actions.key)));
  }

  /** @param {Name | null} name */
  open(name) {
    const before = this.#open;
    this.#open = name;
    this.#pane.dataset.panel = name ?? '';
    for (const one of NAMES) {
      element(one, HTMLElement).hidden = one !== name;
      button(`show-${one}`).setAttribute('aria-expanded', String(one === name));
    }
    if (name === null && before) say(element('pad-digits', HTMLElement), '');
    if (name) element(FIRST[name], HTMLElement).focus({ preventScroll: true });
  }

  /** Close the one that is open, with the keyboard back on what opened it. @returns {boolean} whether one was */
  close() {
    const open = this.#open;
    this.open(null);
    if (open) button(`show-${open}`).focus();
    return open !== null;
  }

  /** @param {Call | null} call @returns {string | null} what is to be read out */
  showChat(call) {
    const list = element('chat-lines', HTMLElement);
    const lines = call?.chat ?? [];
    if (lines.length === 0) this.#lines_read = 0;
    if (list.childElementCount !== lines.length) {
      const known = lines.length > list.childElementCount ? list.childElementCount : 0;
      if (known === 0) list.replaceChildren();
      for (const line of lines.slice(known)) list.append(drawLine(line));
      list.scrollTop = list.scrollHeight;
    }
    if (this.#open === 'chat') this.#lines_read = lines.length;
    const dot = /** @type {HTMLElement} */ (button('show-chat').querySelector('.dot'));
    dot.hidden = lines.length <= this.#lines_read;
    const last = lines.at(-1);
    return dot.hidden || !last ? null : `Message from ${last.name}: ${last.text}`;
  }
}

/** @param {import('./call.js').ChatLine} line */
function drawLine({ mine, name, text, at }) {
  const drawn = make('li', '', mine ? 'mine' : 'theirs');
  if (!mine) drawn.append(make('b', name));
  drawn.append(make('p', text), make('time', clock(at)));
  return drawn;
}

/** @param {string} key @param {(digit: string) => void} press */
function drawKey(key, press) {
  const drawn = make('button', key, 'key');
  drawn.type = 'button';
  drawn.dataset.testid = `key-${key}`;
  // the letters have other meanings on a keyboard
  if (!/[A-D]/.test(key)) drawn.dataset.key = key;
  drawn.setAttribute('aria-label', KEY_WORDS[key] ?? key);
  drawn.addEventListener('click', () => {
    press(key);
    const shown = element('pad-digits', HTMLElement);
    say(shown, ((shown.textContent ?? '') + key).slice(-MAX_DIGITS));
  });
  return drawn;
}
