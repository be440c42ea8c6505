// @ts-check
/**
 * Who speaks: the loudest for long enough to be more than a cough, by the measured levels.
 *
 * @typedef {object} Hearing
 * @property {string | null} speaker
 * @property {Record<string, number>} levels  smoothed, 0 to 1
 * @property {{id: string, since: number} | null} rival  who is louder than the speaker, and since when
 */

const SMOOTHING = 0.4;
/** Below this nobody speaks: a microphone's own noise. */
const FLOOR = 0.01;
/** Who is to take over has to be this much louder, for this long. */
const LOUDER = 1.5;
const PATIENCE_MS = 600;

/** @type {Hearing} */
export const SILENCE = { speaker: null, levels: {}, rival: null };

/**
 * One look at the levels.
 *
 * @param {Hearing} heard @param {Record<string, number>} measured @param {number} now  ms
 * @returns {Hearing}
 */
export function listen(heard, measured, now) {
  const levels = Object.fromEntries(
    Object.entries(measured).map(([id, level]) => [
      id,
      (heard.levels[id] ?? 0) * (1 - SMOOTHING) + level * SMOOTHING,
    ]),
  );
  const speaker = heard.speaker !== null && heard.speaker in levels ? heard.speaker : null;
  const [loudest] = Object.entries(levels).sort(([, a], [, b]) => b - a);
  const present = speaker === null ? 0 : levels[speaker];
  if (!loudest || loudest[0] === speaker || loudest[1] < Math.max(FLOOR, present * LOUDER)) {
    return { speaker, levels, rival: null };
  }
  const [id] = loudest;
  const rival = heard.rival?.id === id ? heard.rival : { id, since: now };
  if (speaker !== null && now - rival.since < PATIENCE_MS) return { speaker, levels, rival };
  return { speaker: id, levels, rival: null };
}

/** Who is to be heard just now, the speaker or not. @param {Hearing} heard @returns {string[]} */
export const audible = ({ levels }) =>
  Object.entries(levels)
    .filter(([, level]) => level >= FLOOR)
    .map(([id]) => id);
