// @ts-check
/**
 * This endpoint's call: keeps its state, and performs what the table says over broker, media and sound.
 *
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Input} Input
 * @typedef {import('./call.js').Effect} Effect
 * @typedef {import('./signaling.js').Signaling} Signaling
 * @typedef {import('./signaling.js').Link} Link
 *
 * @typedef {object} View
 * @property {(state: State) => void} onState
 * @property {(link: Link, retry_s: number | null) => void} onLink
 * @property {(online: boolean) => void} onDoor  the appliance itself came or went
 * @property {(stream: MediaStream | null) => void} onRemote
 * @property {(stream: MediaStream | null) => void} onOwnPicture
 */

import { IDLE, advance } from './call.js';
import { randomId } from './envelope.js';
import { Media } from './media.js';

export class Session {
  state = IDLE;
  /** @type {Map<string, number>} */ #timers = new Map();
  #doors = new Set();
  /** @type {Input[]} */ #inputs = [];
  #turning = false;

  /**
   * @param {{uid: string, endpoint: string, name: string}} self
   * @param {{uid: string, name: string}} door
   * @param {(listener: import('./signaling.js').Listener) => Signaling} signaling
   * @param {import('./ringtone.js').Ringtone} ringtone
   * @param {View} view
   */
  constructor(self, door, signaling, ringtone, view) {
    this.self = self;
    this.door = door;
    this.ringtone = ringtone;
    this.view = view;
    this.media = new Media({
      onDescribed: (generation, description) =>
        this.put({ type: 'described', generation, description }),
      onCandidate: (generation, candidate) =>
        this.put({ type: 'candidate', generation, candidate }),
      onState: (generation, state) => this.put({ type: state, generation }),
      onDevice: (device, exception) => this.put({ type: 'device', device, exception }),
      onRemote: (stream) => view.onRemote(stream),
      onOwnPicture: (stream) => view.onOwnPicture(stream),
    });
    this.signaling = signaling({
      onMessage: (message) =>
        this.put({ type: 'message', ...message, mine: this.#isMine(message.body.by) }),
      onLink: (link, retry_s) => view.onLink(link, retry_s),
      onPresence: (uid, endpoint, online) => this.#meet(uid, endpoint, online),
      onFault: (code, sentence) => console.warn(`${code}: ${sentence}`),
    });
  }

  /** Call the door. @param {import('./call.js').CallType} call_type */
  call(call_type) {
    const { uid, name } = this.self;
    const to = { ...this.door, endpoint: this.signaling.endpointOf(this.door.uid) };
    this.put({
      type: 'call',
      call_id: randomId(),
      session_id: randomId(),
      call_type,
      me: { uid, name },
      to,
    });
  }

  openDoor() {
    this.put({ type: 'unlock', request_id: randomId() });
  }

  /** Something happened: what follows is done in order, before what happens meanwhile. @param {Input} input */
  put(input) {
    this.#inputs.push(input);
    if (this.#turning) return;
    this.#turning = true;
    try {
      for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) {
        const [state, effects] = advance(this.state, next, Date.now());
        const changed = state !== this.state;
        this.state = state;
        for (const effect of effects) this.#perform(effect);
        if (changed) this.view.onState(state);
      }
    } finally {
      this.#turning = false;
    }
  }

  /** The page is about to go away: say so while there is still time to send something. */
  leave() {
    this.put({ type: 'leave' });
  }

  /** The page goes away. */
  close() {
    this.leave();
    this.signaling.close();
  }

  /** @param {Effect} effect */
  #perform(effect) {
    const { signaling, media, ringtone } = this;
    switch (effect.do) {
      case 'send':
        return signaling.send(effect.to, effect.call_id, effect.kind, effect.body, effect.ttl_s);
      case 'settle':
        return signaling.settle(effect.call_id, effect.kinds);
      case 'forget':
        return signaling.forget(effect.call_id);
      case 'ring':
        return ringtone.ring(effect.on);
      case 'ringback':
        return ringtone.ringback(effect.on);
      case 'open_media':
        return void media.open(effect.generation, effect.video, effect.offer);
      case 'take_answer':
        return void media.takeAnswer(effect.generation, effect.answer);
      case 'take_candidate':
        return void media.takeCandidate(effect.generation, effect.candidate);
      case 'close_media':
        return media.close(effect.generation);
      case 'microphone':
        return media.microphone(effect.on);
      case 'camera':
        return void media.camera(effect.on);
      case 'start_timer':
        return this.#startTimer(effect.name, effect.delay_s);
      case 'stop_timer':
        return window.clearTimeout(this.#timers.get(effect.name));
      default:
        throw new Error(`nobody performs ${effect.do}`);
    }
  }

  /** @param {string} name @param {number} delay_s */
  #startTimer(name, delay_s) {
    window.clearTimeout(this.#timers.get(name));
    this.#timers.set(
      name,
      window.setTimeout(() => this.put({ type: 'timer', name }), delay_s * 1000),
    );
  }

  /** @param {string} uid @param {string} endpoint @param {boolean} online */
  #meet(uid, endpoint, online) {
    if (uid === this.door.uid) {
      this.#doors[online ? 'add' : 'delete'](endpoint);
      this.view.onDoor(this.#doors.size > 0);
    }
    if (online) this.put({ type: 'online', uid, endpoint });
  }

  /** @param {any} by  who is excepted from a cancel */
  #isMine(by) {
    return by?.uid === this.self.uid && by?.endpoint === this.self.endpoint;
  }
}
