// @ts-check
/** What the demo's door station says to its visitor, played by the page in its place. */

export class Prompts {
  /** @type {Map<string, HTMLAudioElement>} */ #playing = new Map();

  /** @param {import('./ringtone.js').Ringtone} ringtone  knows whether a page may be heard yet */
  constructor(ringtone) {
    this.ringtone = ringtone;
  }

  /** @param {string} sound @param {boolean} on */
  play(sound, on) {
    this.#playing.get(sound)?.pause();
    this.#playing.delete(sound);
    if (!on || !this.ringtone.enabled) return;
    const audio = new Audio(`demo/sounds/${sound}.wav`);
    this.#playing.set(sound, audio);
    // it may be stopped before it has come
    audio.play().catch(() => undefined);
  }
}
