// @ts-check
/**
 * The connections of a call, one for each remote endpoint: the steps that their rows share.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./call.js').Description} Description
 * @typedef {import('./call.js').Effect} Effect
 * @typedef {import('./call.js').Link} Link
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Turn} Turn
 * @typedef {import('./callsteps.js').Whereto} Whereto
 */

import { isLive, sendTo, settle } from './callsteps.js';

export const HOST = 'host';
export const CONNECT_TIMEOUT_S = 10;
export const LOST_PATIENCE_S = 2;
export const RETRY_S = 5;
const GIVE_UP_S = 30;

/** What is asked of somebody, in full. */
export const NOTHING = { uid: null, receiver: null, relay: null, reason: null };

/** @param {Call} call @param {string} uid @param {string | null} endpoint */
export function idOf({ peer }, uid, endpoint) {
  const is_host = uid === peer.uid && (peer.endpoint === null || peer.endpoint === endpoint);
  return is_host ? HOST : `${uid}/${endpoint}`;
}

/**
 * Whom a message is from, or null where it is not to be believed: the host within its call, and
 * whoever stands in its list, under whichever call the two came together.
 *
 * @param {Call} call @param {{from: string, endpoint: string, call_id: string}} input
 */
export function senderOf(call, { from, endpoint, call_id }) {
  const id = idOf(call, from, endpoint);
  if (id === HOST) return call_id === call.call_id ? HOST : null;
  return call.roster.members.some((one) => one.id === id && !one.mine) ? id : null;
}

/** @param {Call} call @param {string} id */
export function nameOf(call, id) {
  const listed = call.roster.members.find((one) => one.id === id);
  if (listed) return listed.name;
  return id === HOST ? call.peer.name : (call.links[id]?.uid ?? id);
}

/** @param {Call} call @param {string} id @returns {Whereto} */
export function whereto(call, id) {
  if (id === HOST) return { ...call.peer, call_id: call.call_id };
  const link = call.links[id];
  if (link) return link;
  const listed = call.roster.members.find((one) => one.id === id);
  const [uid, endpoint] = listed ? [listed.uid, listed.endpoint] : id.split('/');
  return { uid, endpoint, call_id: call.call_id };
}

/** Everybody else in the session, connected or about to be. @param {Call} call @returns {string[]} */
export function others(call) {
  const listed = call.roster.members.filter(({ mine }) => !mine).map(({ id }) => id);
  return [...new Set([...listed, ...Object.keys(call.links)])];
}

/** @param {Call} call @param {Link} link @returns {Call} */
export const withLink = (call, link) => ({ ...call, links: { ...call.links, [link.id]: link } });

/** @returns {Link} */
export function newLink(
  /** @type {string} */ id,
  /** @type {Whereto} */ { uid, endpoint, call_id },
  /** @type {boolean} */ i_offer,
) {
  return {
    id,
    uid,
    endpoint,
    call_id,
    i_offer,
    introduced: false,
    met: false,
    state: 'opening',
    generation: 1,
    next: null,
    why: null,
    then: null,
    video: false,
    screen: 'none',
  };
}

/** @param {Call} call @param {string} id @param {number} generation @param {Description | null} offer @returns {Effect} */
export const openMedia = (call, id, generation, offer) => ({
  do: 'open_media',
  link: id,
  generation,
  video: call.type === 'video',
  offer,
});

/** @param {string} id @returns {Effect} */
export const connectTimer = (id) => ({
  do: 'start_timer',
  name: `connect:${id}`,
  delay_s: CONNECT_TIMEOUT_S,
});

/** Open a connection with somebody: offer one, or answer an offer. @returns {Turn} */
export function openLink(
  /** @type {State} */ state,
  /** @type {string} */ id,
  /** @type {Whereto} */ whom,
  /** @type {Description | null} */ offer,
) {
  const call = /** @type {Call} */ (state.call);
  const link = newLink(id, whom, offer === null);
  const before = call.links[id] ? closing(call, id) : [];
  return [
    { ...state, call: withLink(call, link) },
    [...before, openMedia(call, id, 1, offer), connectTimer(id)],
  ];
}

/** Somebody is gone: nothing more is sent or awaited. @param {State} state @param {string} id @returns {Turn} */
export function dropLink(state, id) {
  const call = /** @type {Call} */ (state.call);
  const without = (/** @type {Record<string, any>} */ held) =>
    Object.fromEntries(Object.entries(held).filter(([of]) => of !== id));
  const left = {
    ...call,
    links: without(call.links),
    told: without(call.told),
    kept: without(call.kept),
    questions: call.questions.filter((one) => one.id !== id),
  };
  return [withPhase({ ...state, call: left }), call.links[id] ? closing(call, id) : []];
}

/** @param {Call} call @param {string} id @returns {Effect[]} */
function closing(call, id) {
  return [
    settle(whereto(call, id), 'join', 'offer'),
    { do: 'close_media', link: id, generation: null },
    ...['connect', 'lost'].map((name) => ({ do: 'stop_timer', name: `${name}:${id}` })),
  ];
}

/** In the call is who is connected with anybody. @param {State} state @returns {State} */
export function withPhase(state) {
  const { call } = state;
  if (!call || call.answered_at === null || !isLive(state)) return state;
  const on = Object.values(call.links).some((link) => link.state === 'connected');
  return { ...state, phase: on ? 'in_call' : 'reconnecting' };
}

/** Seek a connection anew that was lost, or never came about. @param {State} state @param {string} id @returns {Turn} */
export function seekAgain(state, id) {
  const call = /** @type {Call} */ (state.call);
  const link = call.links[id];
  const again = { do: 'start_timer', name: `lost:${id}`, delay_s: RETRY_S };
  if (!link.i_offer) {
    if (!link.met) return [state, [again]]; // whoever joins tries again
    const next = link.generation + 1;
    return [state, [askToRenegotiate(call, link, 'reconnect', `renegotiate-${next}`), again]];
  }
  if (!link.met) {
    const anew = newLink(id, link, true);
    return [
      { ...state, call: withLink(call, { ...anew, state: 'lost' }) },
      [...closing(call, id), openMedia(call, id, 1, null), again],
    ];
  }
  // another try has the same number: for the far side only the next one replaces the present one
  const next = link.generation + 1;
  const before = link.next === null ? [] : [{ do: 'close_media', link: id, generation: link.next }];
  return [
    { ...state, call: withLink(call, { ...link, next }) },
    [settle(whereto(call, id), 'offer'), ...before, openMedia(call, id, next, null), again],
  ];
}

/** The far side asks for another connection; a second offer would only cross the answer to the first. @param {State} state @param {string} id @returns {Turn} */
export const seekIfAsked = (state, id) =>
  state.call?.links[id]?.next === null ? seekAgain(state, id) : [state, []];

/** We are at the broker again, maybe with another address: what was offered before may lead nowhere. @param {State} state @returns {Turn} */
export function seekAll(state) {
  /** @type {State} */
  let at = state;
  /** @type {Effect[]} */
  const effects = [];
  for (const { id, state: is, met } of Object.values(state.call?.links ?? {})) {
    if (!isLive(at) || is !== 'lost' || !met) continue;
    const [next, done] = seekAgain(at, id);
    at = next;
    effects.push(...done);
  }
  return [at, effects];
}

/**
 * Agree anew about a standing connection, which is to carry more: whoever offered first offers.
 *
 * @param {State} state @param {string} id @param {'switch_to_video' | 'screen_share'} reason @returns {Turn}
 */
export function widen(state, id, reason) {
  const call = /** @type {Call} */ (state.call);
  const link = call.links[id];
  if (!link) return [state, []];
  if (!link.i_offer) return [state, [askToRenegotiate(call, link, reason, `${reason}-${id}`)]];
  if (link.why === reason || (reason === 'switch_to_video' && link.video)) return [state, []];
  if (link.why) return [{ ...state, call: withLink(call, { ...link, then: reason }) }, []];
  return [
    { ...state, call: withLink(call, { ...link, why: reason }) },
    [openMedia(call, id, link.generation, null)],
  ];
}

/** @returns {Effect} */
function askToRenegotiate(
  /** @type {Call} */ call,
  /** @type {Link} */ link,
  /** @type {string} */ reason,
  /** @type {string} */ request_id,
) {
  const body = { request_id, action: 'renegotiate', ...NOTHING, reason };
  return sendTo(whereto(call, link.id), 'request', body);
}

/** The audio call becomes a video call: every connection gets a section for it. @param {State} state @returns {Turn} */
export function becomeVideo(state) {
  const { call } = state;
  if (!call || call.type === 'video') return [state, []];
  /** @type {State} */
  let at = { ...state, call: { ...call, type: 'video' } };
  /** @type {Effect[]} */
  const effects = [];
  for (const { id, video, i_offer } of Object.values(call.links)) {
    // who is to offer does so; asking as well is left to those who have not heard of it
    if (video || (id === HOST && !i_offer)) continue;
    const [next, done] = widen(at, id, 'switch_to_video');
    at = next;
    effects.push(...done);
  }
  return [at, effects];
}

/** @param {string} id @param {number} patience_s @returns {Effect[]} */
export const reconnectTimers = (id, patience_s) => [
  { do: 'start_timer', name: `lost:${id}`, delay_s: patience_s },
  ...(id === HOST ? [{ do: 'start_timer', name: `give_up:${id}`, delay_s: GIVE_UP_S }] : []),
];

// -------------------- hold

/** Whether nothing is to pass between us and somebody, whichever of the two holds. @param {Call} call @param {string} id */
export const isSilenced = (call, id) => call.on_hold || call.told[id]?.on_hold === true;

/** Whether we are held by all there are, so that the hold tone is to be heard. @param {State} state */
function isHeld(state) {
  const { call } = state;
  if (!call || !isLive(state)) return false;
  const ids = Object.values(call.links).filter(({ met }) => met);
  return ids.length > 0 && ids.every(({ id }) => call.told[id]?.on_hold === true);
}

/** What follows from a change of who holds whom. @param {State} before @param {State} after @returns {Effect[]} */
export function holdEffects(before, after) {
  const { call } = after;
  /** @type {Effect[]} */
  const effects = [];
  for (const id of Object.keys(call?.links ?? {})) {
    const on = call !== null && isSilenced(call, id);
    const was = before.call?.links[id] ? isSilenced(before.call, id) : false;
    if (isLive(after) && on !== was) effects.push({ do: 'silence', link: id, on });
  }
  const held = isHeld(after);
  if (held !== isHeld(before)) effects.push({ do: 'hold_tone', on: held });
  return effects;
}
