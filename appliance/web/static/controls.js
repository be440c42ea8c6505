// @ts-check
/**
 * What a person does within a call, row by row: own media, hand, hold, words, and what the host is asked.
 *
 * @typedef {import('./call.js').Ask} Ask
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./call.js').Effect} Effect
 * @typedef {import('./call.js').Rows} Rows
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Turn} Turn
 * @typedef {import('./call.js').Unlock} Unlock
 */

import {
  dropNotices,
  inTurn,
  isLive,
  isTalking,
  notify,
  send,
  sendTo,
  withLine,
} from './callsteps.js';
import { HOST, NOTHING, becomeVideo, nameOf, others, whereto, widen } from './links.js';

const UNLOCK_TIMEOUT_S = 6;
const UNLOCK_SHOWN_S = 4;
const ASK_TIMEOUT_S = 8;
/** A person at the other end has to decide. */
const CONSENT_TIMEOUT_S = 60;

/** @type {Rows} */
export const CONTROLS = {
  mute(state, { on }) {
    return mute(state, on);
  },

  camera(state, { on }) {
    const { call } = state;
    if (!call || !isLive(state) || call.type !== 'video') return [state, []];
    const filmed = { ...call, camera_on: on };
    return [
      { ...state, call: filmed },
      [{ do: 'camera', on }, ...tell(state, filmed, { video_paused: !on })],
    ];
  },

  /** A microphone or camera cannot be had (`exception` is a word of the vocabulary), or works again. */
  device(state, { device, exception }) {
    const { call } = state;
    if (!call || !isLive(state)) return [state, []];
    const key = device === 'camera' ? 'camera_exception' : 'microphone_exception';
    if (call[key] === exception) return [state, []];
    const off = device === 'camera' && exception ? { camera_on: false } : {};
    const told = device === 'camera' && exception ? { video_paused: true } : {};
    const changed = { ...call, ...off, [key]: exception };
    return [{ ...state, call: changed }, tell(state, changed, { [key]: exception, ...told })];
  },

  hand(state, { on }) {
    const { call } = state;
    if (!call || !isTalking(state) || call.hand === on) return [state, []];
    const raised = { ...call, hand: on };
    return [{ ...state, call: raised }, tell(state, raised, { hand_raised: on })];
  },

  hold(state, { on }) {
    const { call } = state;
    if (!call || !isTalking(state) || call.on_hold === on) return [state, []];
    const held = { ...call, on_hold: on };
    return [{ ...state, call: held }, tell(state, held, { on_hold: on })];
  },

  /** The browser is asked for a screen; `shared` tells what came of it. */
  share(state, { on }) {
    const { call } = state;
    if (!call || !isTalking(state) || call.type !== 'video' || call.sharing === on)
      return [state, []];
    return [state, [{ do: 'share', on }]];
  },

  /** A screen is captured, or no longer: by our button, or by the browser's own. */
  shared(state, { on }) {
    const { call } = state;
    if (!call || !isLive(state) || call.sharing === on) return [state, []];
    const sharing = { ...call, sharing: on };
    const lacking = Object.values(call.links).filter(({ met, screen }) => met && screen === 'none');
    return inTurn(
      { ...state, call: sharing },
      (at) => [at, tell(at, sharing, { screen_sharing: on })],
      ...(on ? lacking : []).map(({ id }) => (/** @type {State} */ at) => {
        return widen(at, id, 'screen_share');
      }),
    );
  },

  chat(state, { text }, now) {
    const { call } = state;
    if (!call || !isTalking(state) || !text.trim()) return [state, []];
    return [
      { ...state, call: withLine(call, { mine: true, name: '', text, at: now }) },
      toAll(call, 'chat', { text }),
    ];
  },

  dtmf(state, { digits }) {
    const { call } = state;
    if (!call || !isTalking(state) || !/^[0-9*#A-D]+$/.test(digits)) return [state, []];
    return [state, [{ do: 'tones', digits }, ...toAll(call, 'dtmf', { digits })]];
  },

  unlock(state, { request_id }) {
    const { call } = state;
    if (!call || !isTalking(state) || call.unlock?.state === 'asked') return [state, []];
    /** @type {Unlock} */
    const unlock = { state: 'asked', request_id, error: null };
    return [
      { ...state, call: { ...call, unlock } },
      [
        send(call, 'request', { request_id, action: 'unlock', ...NOTHING }),
        { do: 'start_timer', name: 'unlock', delay_s: UNLOCK_TIMEOUT_S },
      ],
    ];
  },

  /** Ask the host for what needs a right: mute, unmute, kick, invite, start_recording, stop_recording. */
  ask(state, { request_id, action, uid = null, receiver = null }) {
    return askHost(state, request_id, { action, uid, receiver });
  },

  /** A call of sound alone is to become one with pictures: the far side is asked. */
  switch_to_video(state, { request_id }) {
    if (state.call?.type !== 'audio') return [state, []];
    const waits = Object.values(state.call.asks).some((ask) => ask.action === 'switch_to_video');
    if (waits) return [state, []];
    return askHost(state, request_id, { action: 'switch_to_video', uid: null, receiver: null });
  },

  /** A person said yes or no to what was asked of us. */
  decide(state, { request_id, accepted }) {
    const { call } = state;
    const question = call?.questions.find((one) => one.request_id === request_id);
    if (!call || !question || !isTalking(state)) return [state, []];
    const questions = call.questions.filter((one) => one !== question);
    const response = { request_id, accepted, error: accepted ? null : 'rejected' };
    return inTurn(
      { ...state, call: { ...call, questions } },
      (at) => [at, [sendTo(whereto(call, question.id), 'response', response)]],
      (at) => {
        if (!accepted) return [at, []];
        return question.action === 'unmute' ? mute(at, false) : becomeVideo(at);
      },
    );
  },
};

/** @type {Rows} */
export const CONTROL_TIMERS = {
  unlock(state) {
    const { call } = state;
    if (!call?.unlock) return [state, []];
    if (call.unlock.state !== 'asked') return [{ ...state, call: { ...call, unlock: null } }, []];
    return answeredUnlock(state, call, { ...call.unlock, state: 'failed', error: 'no_answer' });
  },

  ask(state, { about: request_id }, now) {
    return answeredAsk(state, request_id, { accepted: false, error: 'no_answer' }, now);
  },

  notice(state, _about, now) {
    return dropNotices(state, now);
  },
};

/** Mute the own microphone, or open it. @param {State} state @param {boolean} on @returns {Turn} */
export function mute(state, on) {
  const { call } = state;
  if (!call || !isLive(state)) return [state, []];
  const muted = { ...call, muted: on };
  return [
    { ...state, call: muted },
    [{ do: 'microphone', on: !on }, ...tell(state, muted, { audio_muted: on })],
  ];
}

/** @param {State} state @param {string} request_id @param {Ask} ask @returns {Turn} */
function askHost(state, request_id, ask) {
  const { call } = state;
  if (!call || !isTalking(state)) return [state, []];
  const patience_s = ask.action === 'switch_to_video' ? CONSENT_TIMEOUT_S : ASK_TIMEOUT_S;
  return [
    { ...state, call: { ...call, asks: { ...call.asks, [request_id]: ask } } },
    [
      send(call, 'request', { request_id, ...NOTHING, ...ask }),
      { do: 'start_timer', name: `ask:${request_id}`, delay_s: patience_s },
    ],
  ];
}

/** What became of what we asked the host. @returns {Turn} */
export function answeredAsk(
  /** @type {State} */ state,
  /** @type {string} */ request_id,
  /** @type {{accepted: boolean, error?: string | null}} */ { accepted, error },
  /** @type {number} */ now,
) {
  const { call } = state;
  const ask = call?.asks[request_id];
  if (!call || !ask) return [state, []];
  const { [request_id]: _answered, ...asks } = call.asks;
  const { action } = ask;
  const about = others(call).find((id) => whereto(call, id).uid === ask.uid);
  const invited = ask.receiver?.replace(/^(user|group):/, '');
  const name = about ? nameOf(call, about) : (invited ?? ask.uid ?? call.peer.name);
  const at_host = { action, name, at: now };
  return inTurn(
    { ...state, call: { ...call, asks } },
    (at) => [at, [{ do: 'stop_timer', name: `ask:${request_id}` }]],
    (at) =>
      accepted
        ? notify(at, { kind: 'granted', ...at_host })
        : notify(at, { kind: 'refused', error: error ?? 'refused', ...at_host }),
    (at) => (accepted && action === 'switch_to_video' ? becomeVideo(at) : [at, []]),
  );
}

/** @param {State} state @param {Call} call @param {Unlock} unlock @returns {Turn} */
export function answeredUnlock(state, call, unlock) {
  const shown = { do: 'start_timer', name: 'unlock', delay_s: UNLOCK_SHOWN_S };
  return [{ ...state, call: { ...call, unlock } }, [shown]];
}

/** What we are, for who has just come. @param {Call} call */
export function ownState(call) {
  const { microphone_exception, camera_exception } = call;
  return {
    audio_muted: call.muted,
    video_paused: !call.camera_on,
    ...(call.hand ? { hand_raised: true } : {}),
    ...(call.sharing ? { screen_sharing: true } : {}),
    ...(call.on_hold ? { on_hold: true } : {}),
    ...(microphone_exception ? { microphone_exception } : {}),
    ...(camera_exception ? { camera_exception } : {}),
  };
}

/** What changed about us, to all whom we have met: the others hear everything when they come. @returns {Effect[]} */
function tell(/** @type {State} */ state, /** @type {Call} */ call, /** @type {object} */ changes) {
  if (!isTalking(state)) return [];
  const met = Object.values(call.links).filter((link) => link.met);
  return met.map(({ id }) => sendTo(whereto(call, id), 'state', changes));
}

/** @param {Call} call @param {string} kind @param {object} body @returns {Effect[]} */
function toAll(call, kind, body) {
  const ids = new Set([HOST, ...others(call)]);
  return [...ids].map((id) => sendTo(whereto(call, id), kind, body));
}
