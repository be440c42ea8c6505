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
 * @typedef {import('./media.js').Remote} Remote
 *
 * @typedef {object} View
 * @property {(state: State) => void} onState
 * @property {(link: Link, retry_s: number | null) => void} onLink
 * @property {(online: boolean) => void} onDoor  the appliance itself came or went
 * @property {(link: string, remote: Remote | null) => void} onRemote
 * @property {(stream: MediaStream | null) => void} onOwnPicture
 * @property {(speaker: string | null, audible: string[]) => void} onSpeaker
 *
 * @typedef {object} Invitation  what a link into a session says
 * @property {string} token
 * @property {string} host
 * @property {string} call_id
 * @property {string} session_id
 * @property {string} uid  for whom it is
 */

import { IDLE, advance, isTalking } from './call.js';
import { randomId } from './envelope.js';
import { Media } from './media.js';
import { SILENCE, audible, listen } from './speaker.js';

const LISTEN_EVERY_MS = 150;

/** The token of an address, in its parts; null where there is none. @param {string} hash @returns {Invitation | null} */
export function parseInvitation(hash) {
  const token = new URLSearchParams(hash.replace(/^#/, '')).get('token');
  const [host, call_id, session_id, uid, expiry, signature] = token?.split('.') ?? [];
  return token && signature && expiry ? { token, host, call_id, session_id, uid } : null;
}

export class Session {
  state = IDLE;
  /** @type {Map<string, number>} */ #timers = new Map();
  #doors = new Set();
  /** @type {Input[]} */ #inputs = [];
  #turning = false;
  #hearing = SILENCE;
  /** @type {number | undefined} */ #listening;

  /**
   * @param {{uid: string, endpoint: string, name: string}} self
   * @param {{uid: string, name: string}} door
   * @param {(listener: import('./signaling.js').Listener) => Signaling} signaling
   * @param {import('./ringtone.js').Ringtone} ringtone
   * @param {View} view
   * @param {import('./capture.js').CameraLimits | null} limits
   */
  constructor(self, door, signaling, ringtone, view, limits) {
    this.self = self;
    this.door = door;
    this.ringtone = ringtone;
    this.view = view;
    this.media = new Media(
      {
        onDescribed: (link, generation, description) =>
          this.put({ type: 'described', link, generation, description }),
        onAgreed: (link, generation, agreement) =>
          this.put({ type: 'agreed', link, generation, ...agreement }),
        onCandidate: (link, generation, candidate) =>
          this.put({ type: 'candidate', link, generation, candidate }),
        onState: (link, generation, state) => {
          if (state === 'disconnected') this.signaling.probe();
          this.put({ type: state, link, generation });
        },
        onDevice: (device, exception) => this.put({ type: 'device', device, exception }),
        onShared: (on) => this.put({ type: 'shared', on }),
        onRemote: (link, remote) => view.onRemote(link, remote),
        onOwnPicture: (stream) => view.onOwnPicture(stream),
      },
      { limits },
    );
    const me = { uid: self.uid, endpoint: self.endpoint };
    this.signaling = signaling({
      onMessage: (message) => this.put({ type: 'message', ...message, me }),
      onLink: (link, retry_s) => {
        view.onLink(link, retry_s);
        if (link === 'connected') this.put({ type: 'reachable' });
      },
      onPresence: (uid, endpoint, online) => this.#meet(uid, endpoint, online),
      onFault: (code, sentence) => console.warn(`${code}: ${sentence}`),
    });
  }

  /** Call the door, or somebody who called. */
  call(
    /** @type {import('./call.js').CallType} */ call_type,
    /** @type {boolean} */ camera,
    to = this.door,
  ) {
    this.put({
      type: 'call',
      call_id: randomId(),
      session_id: randomId(),
      call_type,
      camera,
      ...this.#between(to),
    });
  }

  /** Enter a session that a link leads to. @param {Invitation} invitation @param {boolean} camera */
  join({ token, host, call_id, session_id }, camera) {
    const name = host === this.door.uid ? this.door.name : host;
    this.signaling.watch(host);
    const between = this.#between({ uid: host, name });
    this.put({ type: 'join', token, call_id, session_id, camera, ...between });
  }

  switchCamera() {
    this.media.switchCamera();
  }

  openDoor() {
    this.put({ type: 'unlock', request_id: randomId() });
  }

  /** Ask the host for what needs a right. */
  ask(/** @type {string} */ action, /** @type {{uid?: string, receiver?: string}} */ about = {}) {
    const type = action === 'switch_to_video' ? action : 'ask';
    this.put({ type, request_id: randomId(), action, ...about });
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
        if (changed) {
          this.#attend();
          this.view.onState(state);
        }
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
        return signaling.settle(effect.to, effect.call_id, effect.kinds);
      case 'forget':
        return signaling.forget(effect.call_id);
      case 'ring':
        return ringtone.ring(effect.on);
      case 'ringback':
        return ringtone.ringback(effect.on);
      case 'hold_tone':
        return ringtone.holdTone(effect.on);
      case 'tones':
        return ringtone.keys(effect.digits);
      case 'know':
        return signaling.know(effect.who);
      case 'open_media':
        return void media.open(effect.link, effect.generation, effect.video, effect.offer);
      case 'take_answer':
        return void media.takeAnswer(effect.link, effect.generation, effect.answer);
      case 'take_candidate':
        return media.takeCandidate(effect.link, effect.generation, effect.candidate);
      case 'close_media':
        return media.close(effect.link, effect.generation);
      case 'silence':
        return void media.silence(effect.link, effect.on);
      case 'microphone':
        return media.microphone(effect.on);
      case 'camera':
        return void media.camera(effect.on);
      case 'share':
        return void media.share(effect.on);
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

  /** @param {{uid: string, name: string}} to */
  #between(to) {
    const { uid, name } = this.self;
    return {
      me: { uid, name },
      to: { ...to, endpoint: this.signaling.endpointOf(to.uid) },
    };
  }

  /** Look who speaks, for as long as somebody may. */
  #attend() {
    const talking = isTalking(this.state);
    if (talking === (this.#listening !== undefined)) return;
    window.clearInterval(this.#listening);
    this.#listening = talking
      ? window.setInterval(() => this.#listen(), LISTEN_EVERY_MS)
      : undefined;
    this.#hearing = SILENCE;
    if (!talking) this.view.onSpeaker(null, []);
  }

  #listen() {
    this.#hearing = listen(this.#hearing, this.media.levels(), performance.now());
    this.view.onSpeaker(this.#hearing.speaker, audible(this.#hearing));
  }
}
