// @ts-check
/**
 * The phone pane: shows the call's state in words and pictures, and passes on what is pressed.
 *
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./media.js').Remote} Remote
 * @typedef {import('./people.js').Person} Person
 * @typedef {import('./signaling.js').Link} Link
 * @typedef {(input: import('./call.js').Input) => void} Put
 *
 * @typedef {object} Actions
 * @property {Put} put  what the call's table takes as it is
 * @property {(action: string, about?: {uid?: string, receiver?: string}) => void} ask
 * @property {() => void} call
 * @property {() => void} callBack
 * @property {() => void} openDoor
 * @property {() => void} switchCamera
 * @property {() => void} retry
 */

import { isLive, isTalking } from './call.js';
import { InCall } from './incall.js';
import { button, element, label, make, part, say, toggle } from './dom.js';
import { notesOf, questionWords, recordingWords } from './notes.js';
import { Panels } from './panels.js';
import { PeopleView } from './people.js';
import { ofBrowser } from './kept.js';
import * as words from './words.js';

/** Where a keyboard's focus goes when what it was on has gone: never to what opens the door or hangs up. */
const FOCUS = {
  idle: 'call',
  incoming: 'answer',
  outgoing: 'title',
  connecting: 'title',
  in_call: 'title',
  reconnecting: 'title',
  ended: 'dismiss',
};
const WITH_CAMERA = 'appliance.camera';

export class PhoneView {
  #pane = element('phone', HTMLElement);
  #announced = '';
  #door_online = false;
  #doors_name = '';
  /** @type {Link} */ #link = 'connecting';
  /** @type {State | null} */ #state = null;

  /**
   * @param {Actions} actions
   * @param {string} door_name
   * @param {Person[]} people  whom one may invite
   * @param {string} own_uid
   * @param {import('./settings.js').Settings} settings
   */
  constructor(actions, door_name, people, own_uid, settings) {
    const { put, ask } = actions;
    this.#doors_name = door_name;
    this.panels = new Panels({
      chat: (text) => put({ type: 'chat', text }),
      key: (digits) => put({ type: 'dtmf', digits }),
    });
    this.people = new PeopleView(
      {
        about: (action, uid) => ask(action, { uid }),
        invite: (receiver) => ask('invite', { receiver }),
      },
      people,
      own_uid,
    );
    this.in_call = new InCall(this.#pane, put, ask, settings, actions.switchCamera);
    const decide = (/** @type {boolean} */ accepted) => {
      const request_id = this.#call?.questions[0]?.request_id;
      if (request_id) put({ type: 'decide', request_id, accepted });
    };
    /** @type {Record<string, () => void>} */
    const pressed = {
      answer: () => put({ type: 'answer', camera: this.withCamera }),
      decline: () => put({ type: 'decline' }),
      'hang-up': () => put({ type: 'hang_up' }),
      dismiss: () => put({ type: 'dismiss' }),
      'dismiss-missed': () => put({ type: 'dismiss' }),
      'call-back': actions.callBack,
      call: actions.call,
      'open-door': actions.openDoor,
      retry: actions.retry,
      'with-camera': () => this.#chooseCamera(!this.withCamera),
      yes: () => decide(true),
      no: () => decide(false),
    };
    for (const [id, act] of Object.entries(pressed)) button(id).addEventListener('click', act);
    this.#chooseCamera(this.withCamera);
    window.setInterval(() => this.#tick(), 1000);
    this.#tick();
  }

  get #call() {
    return this.#state?.call ?? null;
  }

  /** Whether a call begins with the own picture: kept, since it is a habit. */
  get withCamera() {
    return ofBrowser.getItem(WITH_CAMERA) === 'on';
  }

  /** @param {boolean} on */
  #chooseCamera(on) {
    ofBrowser.setItem(WITH_CAMERA, on ? 'on' : 'off');
    toggle(
      'with-camera',
      on,
      on ? 'With my video' : 'Without my video',
      on ? 'i-camera' : 'i-camera-off',
    );
  }

  /** @param {State} state */
  showState(state) {
    const before = this.#state?.phase;
    this.#state = state;
    const { phase, call } = state;
    this.#pane.dataset.state = phase;
    this.#pane.dataset.reason = state.reason ?? '';
    const unknown = phase === 'idle' && this.#link === 'revoked';
    const { title, line } = unknown ? words.NOT_KNOWN : words.stateWords(state);
    say(element('title', HTMLElement), title);
    const asleep = phase === 'idle' && this.#link === 'connected' && !this.#door_online;
    say(element('line', HTMLElement), asleep ? words.doorAway(this.#doors_name) : line);
    for (const shown of this.#pane.querySelectorAll('[data-when]')) {
      const when = shown.getAttribute('data-when')?.split(' ') ?? [];
      /** @type {HTMLElement} */ (shown).hidden = !when.includes(phase);
    }
    this.#showControls(state);
    this.#showNotes(state);
    this.in_call.show(state);
    if (call && isLive(state)) this.people.show(call);
    const unread = this.panels.showChat(call);
    if (unread) say(element('announce', HTMLElement), unread);
    part('missed').hidden = !(phase === 'idle' && state.missed);
    if (state.missed) say(part('missed-words'), words.missedWords(state.missed));
    if (phase !== before) this.#enter(state);
    this.#tick();
  }

  /** @param {Link} link @param {number | null} retry_s */
  showLink(link, retry_s) {
    this.#link = link;
    this.#pane.dataset.link = link;
    part('link').dataset.link = link;
    const problem = words.linkProblem(link, retry_s, this.#doors_name);
    // while a try is running the sentence stays: a banner that blinks is read by nobody
    if (problem !== null || link === 'connected')
      this.showProblem(problem, link === 'away' || link === 'refused');
    this.#showChip();
  }

  /** @param {string | null} sentence @param {boolean} can_retry */
  showProblem(sentence, can_retry) {
    part('problem').hidden = sentence === null;
    say(element('problem-words', HTMLElement), sentence ?? '');
    button('retry').hidden = !can_retry;
  }

  /** @param {boolean} online */
  showDoor(online) {
    this.#door_online = online;
    this.#pane.dataset.door = online ? 'online' : 'offline';
    this.#showChip();
    if (this.#state) this.showState(this.#state);
  }

  /** @param {boolean} enabled */
  showSound(enabled) {
    part('silent').hidden = enabled;
  }

  #showChip() {
    const asleep = this.#link === 'connected' && !this.#door_online;
    part('link').dataset.door = this.#door_online ? 'online' : 'offline';
    say(element('link-words', HTMLElement), asleep ? 'Door offline' : words.LINK_WORDS[this.#link]);
  }

  /** @param {State} state */
  #showControls(state) {
    const { call, phase } = state;
    say(label('call'), phase === 'ended' ? 'Call again' : 'Call the door');
    button('call').disabled = this.#link !== 'connected' || !this.#door_online;
    const early = phase === 'outgoing' || phase === 'connecting';
    say(label('hang-up'), early ? 'Cancel' : 'Hang up');
    if (phase === 'incoming' && call?.type === 'audio') button('with-camera').hidden = true;
    const { unlock } = call ?? {};
    button('open-door').dataset.unlock = unlock?.state ?? 'locked';
    button('open-door').disabled = unlock?.state === 'asked';
    say(label('open-door'), unlock ? words.unlockWords(unlock) : 'Open door');
  }

  /** @param {State} state */
  #showNotes(state) {
    const notes = notesOf(state, window.isSecureContext);
    const list = element('notes', HTMLElement);
    if (notes.join() !== [...list.children].map((note) => note.textContent).join()) {
      list.replaceChildren(...notes.map((note) => make('li', note)));
    }
    const recording = recordingWords(state);
    part('recording').hidden = recording === null;
    say(element('recording-words', HTMLElement), recording ?? '');
    const { call } = state;
    const [question] = call && isTalking(state) ? call.questions : [];
    part('question').hidden = !question;
    if (call && question)
      say(element('question-words', HTMLElement), questionWords(call, question));
  }

  /** A new phase: say it, show it on the tab, and keep the keyboard somewhere sensible. @param {State} state */
  #enter(state) {
    const said = words.announcement(state);
    if (said !== this.#announced) say(element('announce', HTMLElement), said);
    this.#announced = said;
    document.title =
      state.phase === 'incoming' ? `🔔 ${state.call?.peer.name} rings` : this.#doors_name;
    if (!isTalking(state)) this.panels.open(null);
    const focused = document.activeElement;
    const lost = !focused || focused === document.body || focused.closest('[hidden]') !== null;
    const was_here = focused !== null && this.#pane.contains(focused);
    const typing = focused instanceof HTMLInputElement && !lost;
    if ((lost && was_here) || (state.phase === 'incoming' && !typing)) {
      document.getElementById(FOCUS[state.phase])?.focus({ preventScroll: true });
    }
  }

  #tick() {
    const now = Date.now();
    const { digits, half } = words.clockParts(now);
    say(element('time', HTMLElement), digits);
    say(element('half', HTMLElement), half);
    say(element('day', HTMLElement), words.day(now));
    const since = this.#call?.answered_at;
    const timer = part('timer');
    timer.hidden = !since || !this.#state || !isTalking(this.#state);
    if (since) say(timer, words.duration(now - since));
  }
}
