// @ts-check
/**
 * Which pictures there are, which of them is the large one, and what stands beside each.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./call.js').Link} Link
 * @typedef {'spotlight' | 'tile' | 'single'} Layout
 *
 * @typedef {object} Tile
 * @property {string} id
 * @property {string} link  ME, or the id of whom it shows
 * @property {'camera' | 'screen'} kind
 * @property {string} uid
 * @property {string} name
 * @property {boolean} picture  there is one to be shown, and not an avatar
 * @property {boolean} silent  it must not be heard
 * @property {'connecting' | 'connected' | 'reconnecting'} state
 * @property {string[]} marks  muted, hand, sharing, recording, hold, paused
 *
 * @typedef {{tiles: Tile[], main: string | null, layout: Layout}} Arrangement
 *
 * @typedef {object} Wish
 * @property {Layout} layout
 * @property {string | null} chosen  by a click
 * @property {string | null} speaker
 * @property {string} [main_video]  dominant_speaker, or whose picture is to be large
 */

import { HOST, isSilenced, nameOf, others, whereto } from './links.js';
import { flagsOf } from './roster.js';
import { isBlind } from './words.js';

export const ME = 'me';

/** @type {Layout[]} */
export const LAYOUTS = ['spotlight', 'tile', 'single'];

/** @param {Call} call @param {Wish} wish @returns {Arrangement} */
export function arrange(call, { layout, chosen, speaker, main_video }) {
  const ids = others(call);
  const cameras = ids.map((id) => camera(call, id));
  const screens = ids
    .filter((id) => flagsOf(call, id).screen_sharing)
    .map((id) => screen(call, id));
  const remote = [...screens, ...cameras];
  // with one other, the own picture lies over the other's
  const with_me = layout === 'tile' || ids.length > 1;
  const tiles = with_me ? [...remote, mine(call)] : remote;
  const has = (/** @type {string | null} */ id) => tiles.some((tile) => tile.id === id);
  const fixed = cameras.find(({ uid }) => uid === main_video)?.id ?? null;
  const automatic = [fixed, screens[0]?.id ?? null, speaker, HOST, cameras[0]?.id ?? null];
  const main = [chosen, ...automatic].find(has) ?? null;
  return { tiles, main, layout: tiles.length > 1 ? layout : 'single' };
}

/** @param {Call} call @param {string} id @returns {Tile} */
function camera(call, id) {
  const flags = flagsOf(call, id);
  const state = stateOf(call, id);
  const silent = isSilenced(call, id);
  const shown = !flags.video_paused && !isBlind(flags.camera_exception) && !silent;
  return {
    id,
    link: id,
    kind: 'camera',
    uid: whereto(call, id).uid,
    name: nameOf(call, id),
    picture: call.type === 'video' && state !== 'connecting' && shown,
    silent,
    state,
    marks: marksOf(flags),
  };
}

/** @param {Call} call @param {string} id @returns {Tile} */
function screen(call, id) {
  return {
    ...camera(call, id),
    id: `${id}#screen`,
    kind: 'screen',
    picture: !isSilenced(call, id),
    silent: true,
    marks: [],
  };
}

/** @param {Call} call @returns {Tile} */
function mine(call) {
  return {
    id: ME,
    link: ME,
    kind: 'camera',
    uid: ME,
    name: 'You',
    picture: call.camera_on,
    silent: true,
    state: 'connected',
    marks: marksOf(ownFlags(call)),
  };
}

/** @param {Call} call */
export const ownFlags = (call) => ({
  audio_muted: call.muted,
  video_paused: !call.camera_on,
  hand_raised: call.hand,
  screen_sharing: call.sharing,
  on_hold: call.on_hold,
});

/** How well somebody is connected: with us, or else as the host says. @returns {Tile['state']} */
export function stateOf(/** @type {Call} */ call, /** @type {string} */ id) {
  const link = call.links[id];
  if (link?.state === 'connected') return 'connected';
  return link?.met ? 'reconnecting' : 'connecting';
}

/** @param {Record<string, any>} flags */
export function marksOf(flags) {
  /** @type {[string, string][]} */
  const marks = [
    ['audio_muted', 'muted'],
    ['video_paused', 'paused'],
    ['hand_raised', 'hand'],
    ['screen_sharing', 'sharing'],
    ['recording', 'recording'],
    ['on_hold', 'hold'],
  ];
  return marks.filter(([flag]) => flags[flag] === true).map(([, mark]) => mark);
}

/** One or two letters that stand for somebody without a picture. @param {string} name */
export function initials(name) {
  const words = name
    .trim()
    .split(/[\s_-]+/)
    .filter(Boolean);
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : ''];
  return letters
    .map((word) => [...(word ?? '')][0] ?? '')
    .join('')
    .toUpperCase();
}

/** A hue that is the same for a person on every page, in degrees. @param {string} uid */
export const hue = (uid) =>
  [...uid].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 360, 7);
