// @ts-check
/**
 * What the page lets hear, made with WebAudio: ring tone, ring-back tone, hold tone, keys, the door's chime.
 *
 * A browser is silent until somebody has touched the page: `enabled` says whether it is not, and a
 * ring that began in silence is heard from the first touch on.
 */

const RING_EVERY_MS = 3000;
const RINGBACK_EVERY_MS = 5000;
const HOLD_EVERY_MS = 4000;
const KEY_S = 0.12;
const KEY_GAP_S = 0.06;
/** ITU-T Q.23: a row's and a column's tone for each key, in Hz. */
const KEY_ROWS = ['123A', '456B', '789C', '*0#D'];
const ROW_HZ = [697, 770, 852, 941];
const COLUMN_HZ = [1209, 1336, 1477, 1633];

export class Ringtone {
  /** @type {AudioContext | null} */ #context = null;
  /** @type {AbortController | null} */ #stop = null;

  /** @param {(enabled: boolean) => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    if (!('AudioContext' in window)) return;
    this.#context = new AudioContext();
    this.#context.addEventListener('statechange', () => onChange(this.enabled));
    const touched = () => this.enable();
    window.addEventListener('pointerdown', touched, { capture: true });
    window.addEventListener('keydown', touched, { capture: true });
  }

  get enabled() {
    return this.#context?.state === 'running';
  }

  /** Works from within a touch or a key only. */
  enable() {
    if (this.#context?.state === 'suspended') this.#context.resume().catch(() => undefined);
  }

  /** Somebody calls. @param {boolean} on */
  ring(on) {
    this.#again(on, RING_EVERY_MS, (out, at) => {
      for (const pair of [0, 0.5]) {
        for (let i = 0; i < 8; i += 1) {
          bell(out, i % 2 ? 1047 : 880, at + pair + i * 0.05, 0.09, 0.22);
        }
      }
    });
  }

  /** It rings at the far side. @param {boolean} on */
  ringback(on) {
    this.#again(on, RINGBACK_EVERY_MS, (out, at) => tone(out, 425, at, 1, 0.06));
  }

  /** We were put on hold. @param {boolean} on */
  holdTone(on) {
    this.#again(on, HOLD_EVERY_MS, (out, at) => {
      bell(out, 523.3, at, 0.9, 0.08);
      bell(out, 659.3, at + 0.35, 0.9, 0.08);
      bell(out, 784, at + 0.7, 1.2, 0.08);
    });
  }

  /** Keys of the pad, as a telephone lets them hear. @param {string} digits */
  keys(digits) {
    if (!this.enabled || !this.#context) return;
    const out = this.#output(this.#context);
    let at = this.#context.currentTime + 0.01;
    for (const digit of digits) {
      const row = KEY_ROWS.findIndex((keys) => keys.includes(digit));
      if (row < 0) continue;
      for (const hz of [ROW_HZ[row], COLUMN_HZ[KEY_ROWS[row].indexOf(digit)]]) {
        const gain = new GainNode(out.context, { gain: 0.08 });
        oscillate(gain, hz, at, KEY_S);
        gain.connect(out);
      }
      at += KEY_S + KEY_GAP_S;
    }
  }

  /** The door's chime. */
  dingDong() {
    if (!this.enabled || !this.#context) return;
    const out = this.#output(this.#context);
    bell(out, 659.3, this.#context.currentTime + 0.02, 1.4, 0.35);
    bell(out, 523.3, this.#context.currentTime + 0.52, 1.9, 0.35);
  }

  /** @param {boolean} on @param {number} every_ms @param {(out: GainNode, at: number) => void} play */
  #again(on, every_ms, play) {
    this.#stop?.abort();
    this.#stop = null;
    const context = this.#context;
    if (!on || !context) return;
    const stop = (this.#stop = new AbortController());
    /** @type {GainNode | null} */
    let out = null;
    const once = () => {
      if (!this.enabled) return;
      out?.disconnect();
      out = this.#output(context);
      play(out, context.currentTime + 0.02);
    };
    once();
    // sound that is enabled while it rings is heard at once, not with the next round
    context.addEventListener('statechange', once, { signal: stop.signal });
    const repeat = window.setInterval(once, every_ms);
    stop.signal.addEventListener('abort', () => {
      window.clearInterval(repeat);
      out?.disconnect();
    });
  }

  /** @param {AudioContext} context */
  #output(context) {
    const out = context.createGain();
    out.connect(context.destination);
    return out;
  }
}

/** A struck bell: a tone with one overtone that dies away. */
function bell(
  /** @type {GainNode} */ out,
  /** @type {number} */ hz,
  /** @type {number} */ at,
  /** @type {number} */ lasts_s,
  /** @type {number} */ loudness,
) {
  for (const [overtone, share] of [
    [1, 1],
    [2.76, 0.25],
  ]) {
    const gain = new GainNode(out.context, { gain: 0 });
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(loudness * share, at + 0.008);
    gain.gain.exponentialRampToValueAtTime(0.0001, at + lasts_s);
    oscillate(gain, hz * overtone, at, lasts_s);
    gain.connect(out);
  }
}

/** A plain tone with soft edges. */
function tone(
  /** @type {GainNode} */ out,
  /** @type {number} */ hz,
  /** @type {number} */ at,
  /** @type {number} */ lasts_s,
  /** @type {number} */ loudness,
) {
  const gain = new GainNode(out.context, { gain: 0 });
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(loudness, at + 0.03);
  gain.gain.setValueAtTime(loudness, at + lasts_s - 0.03);
  gain.gain.linearRampToValueAtTime(0, at + lasts_s);
  oscillate(gain, hz, at, lasts_s);
  gain.connect(out);
}

/** @param {GainNode} into @param {number} hz @param {number} at @param {number} lasts_s */
function oscillate(into, hz, at, lasts_s) {
  const oscillator = new OscillatorNode(into.context, { type: 'sine', frequency: hz });
  oscillator.connect(into);
  oscillator.start(at);
  oscillator.stop(at + lasts_s);
}
