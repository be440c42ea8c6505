// @ts-check
/**
 * Whether the far side of each connection is still heard; browsers take many seconds to say that it is not.
 *
 * Sound comes every 20 ms, reports at least every 1.5 s, and a far side that hears nothing from here asks (STUN)
 * each half a second. So two seconds without any of it are a dead network.
 */

const LOOK_MS = 250;
const SILENT_MS = 2000;

export class Liveness {
  /** @type {Map<RTCPeerConnection, {heard: number, silent_ms: number, lost: boolean, tell: (heard: boolean) => void}>} */
  #watched = new Map();
  /** @type {number | undefined} */ #timer;
  #looked_at = 0;

  /** From now on `tell` hears of its silence, and of the end of it. @param {RTCPeerConnection} pc @param {(heard: boolean) => void} tell */
  watch(pc, tell) {
    if (this.#watched.has(pc)) return;
    this.#watched.set(pc, { heard: -1, silent_ms: 0, lost: false, tell });
    if (this.#timer !== undefined) return;
    this.#looked_at = performance.now();
    this.#timer = window.setInterval(() => this.#look(), LOOK_MS);
  }

  /** @param {RTCPeerConnection} pc */
  forget(pc) {
    this.#watched.delete(pc);
    if (this.#watched.size > 0) return;
    window.clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #look() {
    const now = performance.now();
    // where the computer slept, or the page was held up, nothing could be heard: that is no silence
    const passed_ms = Math.min(now - this.#looked_at, 2 * LOOK_MS);
    this.#looked_at = now;
    await Promise.all([...this.#watched.keys()].map((pc) => this.#lookAt(pc, passed_ms)));
  }

  /** @param {RTCPeerConnection} pc @param {number} passed_ms */
  async #lookAt(pc, passed_ms) {
    const heard = await heardOf(pc);
    const seen = this.#watched.get(pc);
    if (!seen) return;
    seen.silent_ms = heard === seen.heard ? seen.silent_ms + passed_ms : 0;
    seen.heard = heard;
    const lost = seen.silent_ms >= SILENT_MS;
    if (lost === seen.lost) return;
    seen.lost = lost;
    seen.tell(!lost);
  }
}

/** How many packets, answers and questions have come so far. @param {RTCPeerConnection} pc */
async function heardOf(pc) {
  let heard = 0;
  const stats = await pc.getStats().catch(() => null);
  stats?.forEach((one) => {
    if (one.type === 'transport') heard += one.packetsReceived ?? 0;
    if (one.type === 'candidate-pair') heard += (one.responsesReceived ?? 0) + (one.requestsReceived ?? 0);
  });
  return heard;
}
