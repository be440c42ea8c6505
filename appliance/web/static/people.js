// @ts-check
/**
 * The panel with the people of a call: how each is, what may be asked about them, and whom else to invite.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {{uid: string, name: string}} Person
 *
 * @typedef {object} Row
 * @property {string} id
 * @property {string} uid
 * @property {string} name
 * @property {boolean} mine
 * @property {string} state
 * @property {string[]} marks
 *
 * @typedef {object} Asks
 * @property {(action: 'mute' | 'unmute' | 'kick', uid: string) => void} about
 * @property {(receiver: string) => void} invite
 */

import { element, make } from './dom.js';
import { nameOf, others, whereto } from './links.js';
import { drawIcon, drawMarks } from './marks.js';
import { STATE_WORDS } from './notes.js';
import { flagsOf, mayModerate } from './roster.js';
import { ME, hue, initials, marksOf, ownFlags, stateOf } from './tiles.js';

/** Everybody in the call, oneself last. @param {Call} call @returns {Row[]} */
export function rowsOf(call) {
  const rows = others(call).map((id) => ({
    id,
    uid: whereto(call, id).uid,
    name: nameOf(call, id),
    mine: false,
    state: stateOf(call, id),
    marks: marksOf(flagsOf(call, id)),
  }));
  const marks = marksOf(ownFlags(call));
  return [...rows, { id: ME, uid: ME, name: 'You', mine: true, state: 'connected', marks }];
}

/** Whom one could still invite. @param {Person[]} people @param {Call} call @param {string} own_uid */
export function absent(people, call, own_uid) {
  const here = new Set([own_uid, ...others(call).map((id) => whereto(call, id).uid)]);
  return people.filter(({ uid }) => !here.has(uid));
}

export class PeopleView {
  #list = element('members', HTMLUListElement);
  #chips = element('invite-chips', HTMLElement);
  #shown = '';

  /** @param {Asks} asks @param {Person[]} people @param {string} own_uid */
  constructor(asks, people, own_uid) {
    this.asks = asks;
    this.people = people;
    this.own_uid = own_uid;
    const form = element('invite-form', HTMLFormElement);
    form.hidden = people.length > 0;
    form.addEventListener('submit', (submit) => {
      submit.preventDefault();
      const field = element('invite-uid', HTMLInputElement);
      const uid = field.value.trim();
      if (uid) asks.invite(`user:${uid}`);
      field.value = '';
    });
  }

  /** @param {Call} call */
  show(call) {
    const rows = rowsOf(call);
    const may = mayModerate(call);
    const missing = may ? absent(this.people, call, this.own_uid) : [];
    const shown = JSON.stringify([rows, missing, may]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = document.activeElement?.getAttribute('data-testid');
    this.#list.replaceChildren(...rows.map((row) => this.#drawRow(row, may)));
    element('invite-form', HTMLFormElement).hidden = this.people.length > 0 || !may;
    this.#chips.replaceChildren(...missing.map((person) => this.#drawChip(person)));
    if (focused && document.activeElement === document.body) {
      /** @type {HTMLElement | null} */ (
        document.querySelector(`[data-testid="${CSS.escape(focused)}"]`)
      )?.focus();
    }
  }

  /** @param {Row} row @param {boolean} may  whether something may be asked about others */
  #drawRow({ uid, name, mine, state, marks }, may) {
    const drawn = make('li', '', 'member');
    drawn.dataset.testid = `member-${uid}`;
    drawn.dataset.state = state;
    drawn.style.setProperty('--hue', String(hue(uid)));
    const face = make('span', initials(name), 'avatar');
    face.setAttribute('aria-hidden', 'true');
    const who = make('span', '', 'who');
    who.append(make('b', name));
    if (state !== 'connected') who.append(make('small', STATE_WORDS[state]));
    const shown = make('span', '', 'marks');
    drawMarks(shown, marks);
    drawn.append(face, who, shown);
    if (mine || !may) return drawn;
    const muted = marks.includes('muted');
    drawn.append(
      muted
        ? this.#drawAsk('unmute', uid, `Ask ${name} to unmute`, 'i-mic')
        : this.#drawAsk('mute', uid, `Mute ${name}`, 'i-mic-off'),
      this.#drawAsk('kick', uid, `Take ${name} out of the call`, 'i-leave'),
    );
    return drawn;
  }

  /** @param {'mute' | 'unmute' | 'kick'} action @param {string} uid @param {string} words @param {string} icon */
  #drawAsk(action, uid, words, icon) {
    const drawn = make('button', '', 'plain tool');
    drawn.type = 'button';
    drawn.dataset.testid = `${action}-${uid}`;
    drawn.title = words;
    drawn.setAttribute('aria-label', words);
    drawn.append(drawIcon(icon));
    drawn.addEventListener('click', () => this.asks.about(action, uid));
    return drawn;
  }

  /** @param {Person} person */
  #drawChip({ uid, name }) {
    const drawn = make('button', `Invite ${name}`, 'plain small');
    drawn.type = 'button';
    drawn.dataset.testid = `invite-${uid}`;
    drawn.addEventListener('click', () => this.asks.invite(`user:${uid}`));
    return drawn;
  }
}
