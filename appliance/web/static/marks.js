// @ts-check
/** The small signs that stand beside a name: a picture for the eye, a word for the ear. */

import { make } from './dom.js';

/** @type {Record<string, [icon: string, word: string]>} */
const MARKS = {
  muted: ['i-mic-off', 'muted'],
  paused: ['i-camera-off', 'no picture'],
  hand: ['i-hand', 'hand raised'],
  sharing: ['i-screen', 'shares a screen'],
  recording: ['i-record', 'records'],
  hold: ['i-hold', 'on hold'],
};

const SVG = 'http://www.w3.org/2000/svg';

/** @param {HTMLElement} where @param {string[]} marks */
export function drawMarks(where, marks) {
  if (where.dataset.marks === marks.join(' ')) return;
  where.dataset.marks = marks.join(' ');
  where.replaceChildren(
    ...marks.map((mark) => {
      const [icon, word] = MARKS[mark];
      const shown = make('span', '', `mark ${mark}`);
      shown.title = word;
      shown.append(drawIcon(icon), make('span', word, 'unseen'));
      return shown;
    }),
  );
}

/** @param {string} id */
export function drawIcon(id) {
  const icon = document.createElementNS(SVG, 'svg');
  icon.setAttribute('class', 'icon');
  icon.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#${id}`);
  icon.append(use);
  return icon;
}
