// @ts-check
/**
 * What others in the session say and ask, row by row.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./call.js').Question} Question
 * @typedef {import('./call.js').Rows} Rows
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Turn} Turn
 */

import { inTurn, isLive, isTalking, notify, sendTo, withLine } from './callsteps.js';
import { answeredAsk, answeredUnlock, mute } from './controls.js';
import { HOST, becomeVideo, nameOf, seekIfAsked, senderOf, whereto, widen } from './links.js';
import { EXCEPTIONS, FLAGS } from './roster.js';

/** @type {Rows} */
export const ASKED = {
  state(state, input) {
    const { call } = state;
    const id = call && isLive(state) ? senderOf(call, input) : null;
    if (!call || !id) return [state, []];
    const told = { ...call.told[id], ...changesOf(input.body) };
    return [{ ...state, call: { ...call, told: { ...call.told, [id]: told } } }, []];
  },

  chat(state, input, now) {
    const { call } = state;
    const id = call && isTalking(state) ? senderOf(call, input) : null;
    if (!call || !id) return [state, []];
    const line = { mine: false, name: nameOf(call, id), text: input.body.text, at: now };
    return [{ ...state, call: withLine(call, line) }, []];
  },

  dtmf(state, input, now) {
    const { call } = state;
    const id = call && isTalking(state) ? senderOf(call, input) : null;
    if (!call || !id) return [state, []];
    return notify(state, {
      kind: 'dtmf',
      name: nameOf(call, id),
      text: input.body.digits.slice(0, 32),
      at: now,
    });
  },

  response(state, input, now) {
    const { call } = state;
    if (!call || senderOf(call, input) !== HOST) return [state, []];
    const { request_id, accepted, error } = input.body;
    if (call.unlock?.request_id !== request_id)
      return answeredAsk(state, request_id, { accepted, error }, now);
    return answeredUnlock(state, call, {
      request_id,
      state: accepted ? 'open' : 'failed',
      error: accepted ? null : (error ?? 'refused'),
    });
  },

  request(state, input, now) {
    const { call } = state;
    const id = call && isTalking(state) ? senderOf(call, input) : null;
    if (!call || !id) return [state, []];
    const { request_id, action } = input.body;
    const row = REQUESTS[action];
    const turn = row ? row(state, id, input.body, now) : null;
    if (turn) return turn;
    const response = { request_id, accepted: false, error: 'unsupported' };
    return [state, [sendTo(whereto(call, id), 'response', response)]];
  },
};

/**
 * What may be asked of us; null where it is not done.
 *
 * @type {Record<string, (state: State, id: string, body: any, now: number) => Turn | null>}
 */
const REQUESTS = {
  /** The host has looked whether who asks may: it is done at once, and told. */
  mute(state, id, { request_id, by }, now) {
    if (id !== HOST) return null;
    const name = nameOf(/** @type {Call} */ (state.call), id);
    return inTurn(
      state,
      (at) => mute(at, true),
      (at) => [at, [yes(at, id, request_id)]],
      (at) => notify(at, { kind: 'muted_by', name: by?.name ?? by?.uid ?? name, at: now }),
    );
  },

  /** Nobody's microphone is opened but by themselves. */
  unmute(state, id, { request_id }) {
    if (id !== HOST) return null;
    if (!state.call?.muted) return [state, [yes(state, id, request_id)]];
    return question(state, { request_id, action: 'unmute', id });
  },

  switch_to_video(state, id, { request_id }) {
    if (state.call?.type === 'video') return [state, [yes(state, id, request_id)]];
    return question(state, { request_id, action: 'switch_to_video', id });
  },

  /** Who did not offer first asks us to. */
  renegotiate(state, id, { request_id, reason }) {
    if (!state.call?.links[id]?.i_offer) return null;
    return inTurn(
      state,
      (at) => [at, [yes(at, id, request_id)]],
      (at) => {
        if (reason === 'switch_to_video' && at.call?.type === 'audio') return becomeVideo(at);
        if (reason === 'switch_to_video' || reason === 'screen_share') return widen(at, id, reason);
        return seekIfAsked(at, id);
      },
    );
  },
};

/** @param {State} state @param {string} id @param {string} request_id */
function yes(state, id, request_id) {
  const response = { request_id, accepted: true, error: null };
  return sendTo(whereto(/** @type {Call} */ (state.call), id), 'response', response);
}

/** @param {State} state @param {Question} asked @returns {Turn} */
function question(state, asked) {
  const call = /** @type {Call} */ (state.call);
  const others = call.questions.filter((one) => one.action !== asked.action || one.id !== asked.id);
  return [{ ...state, call: { ...call, questions: [...others, asked] } }, []];
}

/** What is understood of a `state`. @param {Record<string, any>} body */
function changesOf(body) {
  const flags = FLAGS.filter((key) => typeof body[key] === 'boolean');
  const troubles = EXCEPTIONS.filter((key) => body[key] === null || typeof body[key] === 'string');
  return Object.fromEntries([...flags, ...troubles].map((key) => [key, body[key]]));
}
