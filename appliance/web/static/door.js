// @ts-check
/**
 * The door pane of the demo: the station as the visitor has it, what its hardware does, and its events.
 *
 * @typedef {import('./doorlink.js').Board} Board
 * @typedef {import('./doorlink.js').CloudEvent} CloudEvent
 * @typedef {import('./gestures.js').Bound & {name: string}} ConfiguredButton
 *
 * @typedef {object} Actions
 * @property {(name: string, gesture: string) => void} press
 * @property {(output: string, present: boolean) => void} plug
 * @property {() => void} dingDong
 * @property {(sound: string, on: boolean) => void} play  a prompt
 */

import { button, element, make, part, say } from './dom.js';
import { essence } from './doorlink.js';
import { Finger } from './gestures.js';

const MAX_LINES = 400;
const GRILLE_DOTS = 27;
const GESTURE_WORDS = { press: 'Press', double_press: 'Double press', hold: 'Hold' };

export class DoorView {
  #log = element('log', HTMLOListElement);
  #paused = false;
  /** @type {HTMLLIElement[]} */ #held_back = [];
  #count = 0;
  /** @type {string[]} */ #sounds = [];

  /**
   * @param {string} name
   * @param {ConfiguredButton[]} buttons
   * @param {string[]} outputs  of sound
   * @param {Record<string, string>} words  of what the visitor is told
   * @param {Actions} actions
   */
  constructor(name, buttons, outputs, words, { press, plug, dingDong, play }) {
    this.words = words;
    this.dingDong = dingDong;
    this.play = play;
    say(part('plate'), name);
    part('grille').replaceChildren(...Array.from({ length: GRILLE_DOTS }, () => make('i')));
    const bell = buttons.find((one) => one.press === 'call') ?? buttons[0];
    element('buttons', HTMLElement).replaceChildren(
      ...buttons.map((one) => drawButton(one, one === bell, press)),
    );
    element('gestures', HTMLElement).append(...buttons.flatMap((one) => drawGestures(one, press)));
    if (outputs.length > 0) {
      element('outputs', HTMLElement).append(
        make('dt', 'Sound outputs'),
        ...outputs.map((output) => drawOutput(output, plug)),
      );
    }
    button('log-pause').addEventListener('click', () => this.#pause(!this.#paused));
    button('log-clear').addEventListener('click', () => this.#clear());
  }

  /** @param {boolean} up */
  showLink(up) {
    element('door', HTMLElement).dataset.link = up ? 'up' : 'down';
    if (!up) this.#note('The door station cannot be reached. Trying again …');
  }

  /** What LEDs, relays, inputs and chime really do. @param {Board} board */
  showBoard({ leds, relays, inputs, chime, sounds, notice, loudspeaker_level }) {
    element('leds', HTMLElement).replaceChildren(
      make('dt', 'Lights'),
      ...Object.entries(leds ?? {}).map(([name, led]) => drawLed(name, led)),
    );
    element('relays', HTMLElement).replaceChildren(
      make('dt', 'Relays'),
      ...Object.entries(relays ?? {}).map(([name, state]) => {
        const shown = make('dd', `${name}: ${state}`, 'fact');
        shown.dataset.testid = `relay-${name}`;
        shown.dataset.on = String(state === 'energized');
        return shown;
      }),
    );
    element('inputs', HTMLElement).replaceChildren(
      ...Object.entries(inputs ?? {}).flatMap(([name, on]) => [
        make('dt', `Contact: ${name}`),
        make('dd', inputWord(on)),
      ]),
    );
    const open = relays?.door === 'energized';
    element('door', HTMLElement).dataset.open = String(open);
    say(part('chime'), chime);
    part('chime').dataset.on = String(chime === 'playing');
    this.#hear(sounds ?? (chime === 'playing' ? ['chime'] : []));
    say(part('notice'), (notice && this.words[notice]) ?? '');
    part('notice').dataset.notice = notice ?? '';
    part('loudspeaker').hidden = loudspeaker_level === undefined;
    this.#showLevel(loudspeaker_level ?? 0);
  }

  /** @param {string[]} sounds  that play now */
  #hear(sounds) {
    const before = this.#sounds;
    this.#sounds = sounds;
    for (const sound of sounds) {
      if (before.includes(sound)) continue;
      // the house rings with the same bell here
      if (sound === 'chime' || sound === 'ringtone') this.dingDong();
      else this.play(sound, true);
    }
    for (const sound of before) if (!sounds.includes(sound)) this.play(sound, false);
  }

  /** @param {any} status */
  showStatus(status) {
    if (status?.panel) this.showBoard({ ...status.panel });
    showOutputs(status?.media);
    const call = status?.call;
    say(part('door-call'), call?.state ?? 'none');
    part('door-call').dataset.state = call?.state ?? 'idle';
  }

  /** @param {CloudEvent} event */
  showEvent(event) {
    const line = make('li');
    line.dataset.family = event.family;
    line.dataset.type = event.type;
    const time = make('time', new Date(event.time).toISOString().slice(11, 23));
    time.dateTime = event.time;
    time.title = event.time;
    line.append(
      time,
      make('b', event.type.replace(/^appliance\./, '')),
      make('span', essence(event)),
    );
    this.#add(line);
  }

  /** @param {number} count */
  showDropped(count) {
    this.#note(`${count} events were dropped: this page was too slow.`);
  }

  /** @param {string} message */
  showRefused(message) {
    this.#note(message);
  }

  /** @param {string} words */
  #note(words) {
    this.#add(make('li', words, 'note'));
  }

  /** @param {HTMLLIElement} line */
  #add(line) {
    this.#count += 1;
    say(part('log-count'), String(this.#count));
    if (this.#paused) {
      this.#held_back.push(line);
      return;
    }
    const at_end = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    this.#log.append(line);
    while (this.#log.childElementCount > MAX_LINES) this.#log.firstElementChild?.remove();
    if (at_end) this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** @param {boolean} paused */
  #pause(paused) {
    this.#paused = paused;
    button('log-pause').setAttribute('aria-pressed', String(paused));
    say(button('log-pause'), paused ? 'Go on' : 'Pause');
    if (paused) return;
    this.#log.append(...this.#held_back.splice(0));
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #clear() {
    this.#log.replaceChildren();
    this.#held_back = [];
    this.#count = 0;
    say(part('log-count'), '0');
  }

  /** @param {number} level  0 to 1 */
  #showLevel(level) {
    element('level', HTMLMeterElement).value = level;
    part('grille').style.setProperty('--level', String(level));
  }
}

/** @param {ConfiguredButton} configured @param {boolean} is_bell @param {(name: string, gesture: string) => void} press */
function drawButton(configured, is_bell, press) {
  const { name } = configured;
  const drawn = make('div', '', is_bell ? 'bell main' : 'bell');
  const knob = make('button', '', 'knob');
  knob.type = 'button';
  knob.dataset.testid = `button-${name}`;
  knob.setAttribute('aria-label', `Press the button ${name}`);
  if (is_bell) knob.dataset.key = 'b';
  const finger = new Finger(configured, (gesture) => press(name, gesture));
  knob.addEventListener('pointerdown', (pointer) => {
    if (pointer.button !== 0) return;
    knob.setPointerCapture(pointer.pointerId);
    finger.down();
  });
  knob.addEventListener('pointerup', () => finger.up());
  knob.addEventListener('pointercancel', () => finger.cancel());
  // a keyboard's click has no pointer before it
  knob.addEventListener('click', (click) => {
    if (click.detail === 0) press(name, 'press');
  });
  knob.title = configured.press ?? '';
  drawn.append(knob, make('span', name.replaceAll('_', ' '), 'bell-name'));
  return drawn;
}

/** The gestures that are hard to do with a mouse or a keyboard. @returns {HTMLElement[]} */
function drawGestures(
  /** @type {ConfiguredButton} */ configured,
  /** @type {(name: string, gesture: string) => void} */ press,
) {
  return /** @type {const} */ (['double_press', 'hold']).flatMap((gesture) => {
    const action = configured[gesture];
    if (!action) return [];
    const words = `${GESTURE_WORDS[gesture]} ${configured.name.replaceAll('_', ' ')}`;
    const shortcut = make('button', words, 'plain small');
    shortcut.type = 'button';
    shortcut.title = action;
    shortcut.dataset.testid = `button-${configured.name}-${gesture}`;
    shortcut.addEventListener('click', () => press(configured.name, gesture));
    const fact = make('dd');
    fact.append(shortcut);
    return [fact];
  });
}

/** One can be plugged in and out, as on a real board. @param {string} output @param {Actions['plug']} plug */
function drawOutput(output, plug) {
  const fact = make('dd', '', 'output');
  const drawn = make('button', output, 'plain small');
  drawn.type = 'button';
  drawn.dataset.testid = `output-${output}`;
  drawn.setAttribute('aria-pressed', 'true');
  drawn.title = 'Plug in or out';
  drawn.addEventListener('click', () => {
    const present = drawn.getAttribute('aria-pressed') !== 'true';
    drawn.setAttribute('aria-pressed', String(present));
    plug(output, present);
  });
  fact.append(drawn);
  return fact;
}

/** Which outputs there are, and which is in use, where the status says so. @param {any} media */
function showOutputs(media) {
  for (const drawn of document.querySelectorAll('[data-testid^="output-"]')) {
    const output = drawn.getAttribute('data-testid')?.replace('output-', '') ?? '';
    if (Array.isArray(media?.audio_outputs)) {
      drawn.setAttribute('aria-pressed', String(media.audio_outputs.includes(output)));
    }
    drawn.toggleAttribute('data-used', media?.audio_mode === output);
  }
}

/** @param {string} name @param {{pattern: string, lit: any}} led */
function drawLed(name, { pattern, lit }) {
  const shown = make('dd', '', 'led');
  shown.dataset.testid = `led-${name}`;
  shown.dataset.pattern = pattern;
  const lamp = make('i');
  const [colour, brightness] = light(lit);
  shown.dataset.lit = String(brightness > 0);
  lamp.style.setProperty('--lit', String(brightness));
  if (colour) lamp.style.setProperty('--colour', colour);
  shown.append(lamp, make('span', `${name}: ${pattern}`));
  return shown;
}

/** A lamp is on or off, has a brightness of 0 to 1, or a colour of three such. @returns {[string | null, number]} */
function light(/** @type {any} */ lit) {
  if (!Array.isArray(lit)) return [null, Number(lit) || 0];
  const brightness = Math.max(...lit.map(Number));
  const full = lit.map((part) => Math.round((255 * Number(part)) / (brightness || 1)));
  return [`rgb(${full.join(' ')})`, brightness];
}

/** @param {any} on */
const inputWord = (on) => (typeof on === 'boolean' ? (on ? 'on' : 'off') : String(on));
