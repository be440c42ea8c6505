// @ts-check
/**
 * What the page lets hear: ring tone, ring-back tone and the door's chime, made with WebAudio.
 *
 * A browser is silent until somebody has touched the page: `enabled` says whether it is not, and a
 * ring that began in silence is heard from the first touch on.
 */

const RING_EVERY_MS = 3000;
const RINGBACK_EVERY_MS = 5000;

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
