// @ts-check
/**
 * The phone pane: shows the call's state in words and pictures, and passes on what is pressed.
 *
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./signaling.js').Link} Link
 *
 * @typedef {object} Actions
 * @property {() => void} answer
 * @property {() => void} decline
 * @property {() => void} hangUp
 * @property {() => void} call
 * @property {() => void} dismiss
 * @property {() => void} openDoor
 * @property {(on: boolean) => void} mute
 * @property {(on: boolean) => void} camera
 * @property {(text: string) => void} chat
 * @property {() => void} retry
 */

import { isLive, isTalking } from './call.js';
import { button, element, make, part, say } from './dom.js';
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

export class PhoneView {
  #pane = element('phone', HTMLElement);
  #picture = element('picture', HTMLVideoElement);
  #own_picture = element('own-picture', HTMLVideoElement);
  #announced = '';
  #chat_open = false;
  #lines_read = 0;
  #door_online = false;
  #doors_name = '';
  /** @type {Link} */ #link = 'connecting';
  /** @type {State | null} */ #state = null;

  /** @param {Actions} actions @param {string} door_name */
  constructor(actions, door_name) {
    this.actions = actions;
    this.#doors_name = door_name;
    /** @type {Record<string, () => void>} */
    const pressed = {
      answer: actions.answer,
      decline: actions.decline,
      'hang-up': actions.hangUp,
      call: actions.call,
      dismiss: actions.dismiss,
      'dismiss-missed': actions.dismiss,
      'open-door': actions.openDoor,
      retry: actions.retry,
      mute: () => actions.mute(!this.#call?.muted),
      camera: () => actions.camera(!this.#call?.camera_on),
      'show-chat': () => this.#showChat(!this.#chat_open),
      hear: () => this.#play(),
    };
    for (const [id, act] of Object.entries(pressed)) button(id).addEventListener('click', act);
    element('chat-form', HTMLFormElement).addEventListener('submit', (submit) => {
      submit.preventDefault();
      const text = element('chat-text', HTMLInputElement);
      if (text.value.trim()) actions.chat(text.value.trim());
      text.value = '';
    });
    this.#picture.addEventListener('loadeddata', () => this.#hasPicture(true));
    this.#picture.addEventListener('resize', () => this.#hasPicture(this.#picture.videoWidth > 0));
    window.setInterval(() => this.#tick(), 1000);
    this.#tick();
  }

  get #call() {
    return this.#state?.call ?? null;
  }

  /** @param {State} state */
  showState(state) {
    const before = this.#state?.phase;
    this.#state = state;
    const { phase, call } = state;
    this.#pane.dataset.state = phase;
    this.#pane.dataset.reason = state.reason ?? '';
    const { title, line } = words.stateWords(state);
    say(element('title', HTMLElement), title);
    const asleep = phase === 'idle' && this.#link === 'connected' && !this.#door_online;
    say(element('line', HTMLElement), asleep ? words.doorAway(this.#doors_name) : line);
    for (const shown of this.#pane.querySelectorAll('[data-when]')) {
      const when = shown.getAttribute('data-when')?.split(' ') ?? [];
      /** @type {HTMLElement} */ (shown).hidden = !when.includes(phase);
    }
    part('frame').hidden = !(isTalking(state) && call?.type === 'video');
    this.#showControls(state);
    this.#showNotes(state);
    this.#showChatLines(call);
    part('missed').hidden = !(phase === 'idle' && state.missed);
    if (state.missed)
      say(
        /** @type {Element} */ (part('missed').firstElementChild),
        words.missedWords(state.missed),
      );
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

  /** @param {MediaStream | null} stream */
  showRemote(stream) {
    this.#hasPicture(false);
    this.#picture.srcObject = stream;
    button('hear').hidden = true;
    if (stream) this.#play();
  }

  /** @param {MediaStream | null} stream */
  showOwnPicture(stream) {
    this.#own_picture.srcObject = stream;
    this.#own_picture.hidden = stream === null;
  }

  async #play() {
    try {
      await this.#picture.play();
      button('hear').hidden = true;
    } catch (error) {
      // a newer stream interrupts the older one's start; only a browser's own no is to be told
      if (error instanceof Error && error.name === 'NotAllowedError') button('hear').hidden = false;
    }
  }

  /** @param {boolean} has */
  #hasPicture(has) {
    this.#pane.dataset.picture = has ? 'yes' : 'no';
  }

  #showChip() {
    const asleep = this.#link === 'connected' && !this.#door_online;
    part('link').dataset.door = this.#door_online ? 'online' : 'offline';
    say(element('link-words', HTMLElement), asleep ? 'Door offline' : words.LINK_WORDS[this.#link]);
  }

  /** @param {State} state */
  #showControls(state) {
    const { call } = state;
    const ended = state.phase === 'ended';
    say(label('call'), ended ? 'Call again' : 'Call the door');
    button('call').disabled = this.#link !== 'connected' || !this.#door_online;
    say(
      label('hang-up'),
      state.phase === 'outgoing' || state.phase === 'connecting' ? 'Cancel' : 'Hang up',
    );
    const muted = call?.muted ?? false;
    toggle('mute', muted, muted ? 'Unmute' : 'Mute', muted ? 'i-mic-off' : 'i-mic');
    const filmed = call?.camera_on ?? false;
    toggle(
      'camera',
      filmed,
      filmed ? 'Video off' : 'My video',
      filmed ? 'i-camera' : 'i-camera-off',
    );
    if (call?.type === 'audio') button('camera').hidden = true;
    const { unlock } = call ?? {};
    button('open-door').dataset.unlock = unlock?.state ?? 'locked';
    button('open-door').disabled = unlock?.state === 'asked';
    say(label('open-door'), unlock ? words.unlockWords(unlock) : 'Open door');
  }

  /** @param {State} state */
  #showNotes(state) {
    const { call } = state;
    const notes = [];
    if (call && isLive(state) && state.phase !== 'incoming') {
      if (state.phase === 'reconnecting') notes.push('Reconnecting …');
      const { microphone_exception, camera_exception } = call;
      if (microphone_exception)
        notes.push(words.microphoneWords(microphone_exception, window.isSecureContext));
      if (camera_exception) notes.push(words.cameraWords(camera_exception));
      notes.push(...words.remoteWords(call));
    }
    const list = element('notes', HTMLElement);
    if (notes.join() !== [...list.children].map((note) => note.textContent).join()) {
      list.replaceChildren(...notes.map((note) => make('li', note)));
    }
  }

  /** @param {Call | null} call */
  #showChatLines(call) {
    const list = element('chat-lines', HTMLElement);
    const lines = call?.chat ?? [];
    if (lines.length === 0) this.#lines_read = 0;
    if (list.childElementCount !== lines.length) {
      const known = lines.length > list.childElementCount ? list.childElementCount : 0;
      if (known === 0) list.replaceChildren();
      for (const { mine, text, at } of lines.slice(known)) {
        const line = make('li', '', mine ? 'mine' : 'theirs');
        line.append(make('p', text), make('time', words.clock(at)));
        list.append(line);
      }
      list.scrollTop = list.scrollHeight;
    }
    if (this.#chat_open) this.#lines_read = lines.length;
    const dot = /** @type {HTMLElement} */ (button('show-chat').querySelector('.dot'));
    dot.hidden = lines.length <= this.#lines_read;
    if (!dot.hidden && lines.at(-1))
      say(element('announce', HTMLElement), `Message: ${lines.at(-1)?.text}`);
  }

  /** @param {boolean} open */
  #showChat(open) {
    this.#chat_open = open;
    element('chat', HTMLElement).hidden = !open;
    this.#pane.dataset.chat = open ? 'open' : 'closed';
    button('show-chat').setAttribute('aria-expanded', String(open));
    this.#showChatLines(this.#call);
    if (open) element('chat-text', HTMLInputElement).focus();
  }

  /** A new phase: say it, show it on the tab, and keep the keyboard somewhere sensible. @param {State} state */
  #enter(state) {
    const said = words.announcement(state);
    if (said !== this.#announced) say(element('announce', HTMLElement), said);
    this.#announced = said;
    document.title =
      state.phase === 'incoming' ? `🔔 ${state.call?.peer.name} rings` : this.#doors_name;
    if (!isTalking(state) && this.#chat_open) this.#showChat(false);
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

/** @param {string} id */
const label = (id) => /** @type {Element} */ (button(id).querySelector('.label'));

/** @param {string} id @param {boolean} on @param {string} text @param {string} icon */
function toggle(id, on, text, icon) {
  button(id).setAttribute('aria-pressed', String(on));
  say(label(id), text);
  button(id).querySelector('use')?.setAttribute('href', `#${icon}`);
}
