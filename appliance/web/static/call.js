// @ts-check
/**
 * The phone's side of a call: a pure function from a state and an input to a state and effects.
 *
 * It has no clock, no network and no media: time comes with each input, and what is to be done is
 * returned, in order, as effects. Whatever has no row here is ignored, and leaves the state as it was.
 *
 * @typedef {'idle' | 'incoming' | 'outgoing' | 'connecting' | 'in_call' | 'reconnecting' | 'ended'} Phase
 * @typedef {'audio' | 'video'} CallType
 * @typedef {{type: 'offer' | 'answer', sdp: string}} Description
 * @typedef {{uid: string, endpoint: string | null, name: string}} Peer
 * @typedef {{mine: boolean, text: string, at: number}} ChatLine
 * @typedef {{state: 'asked' | 'open' | 'failed', request_id: string, error: string | null}} Unlock
 *
 * @typedef {object} Call
 * @property {string} call_id
 * @property {string} session_id
 * @property {'incoming' | 'outgoing'} direction
 * @property {CallType} type
 * @property {{uid: string, name: string | null}} caller
 * @property {Peer} peer
 * @property {Description | null} offer  the far side's (it invited with one) or ours (we did)
 * @property {boolean} rings_there  an outgoing call: the far side has said that it rings
 * @property {boolean} accepted  the accept is on its way, or the far side's came
 * @property {boolean} i_offer  only who offered first ever offers
 * @property {number} generation  of the peer connection that carries the call
 * @property {number | null} next  the generation that is to replace it
 * @property {number} deadline  when ringing ends, in ms
 * @property {number | null} answered_at  when media first flowed, in ms
 * @property {number | null} ended_at
 * @property {boolean} muted
 * @property {boolean} camera_on
 * @property {string | null} microphone_exception
 * @property {string | null} camera_exception
 * @property {Record<string, any>} remote  what the far side last told about itself (`state`)
 * @property {ChatLine[]} chat
 * @property {Unlock | null} unlock
 *
 * @typedef {object} State
 * @property {Phase} phase
 * @property {Call | null} call
 * @property {string | null} reason  why the last call ended, in the vocabulary's words
 * @property {{name: string, at: number} | null} missed
 * @property {Record<string, number>} over  calls that are no more, until when that is remembered
 *
 * @typedef {{type: string, [key: string]: any}} Input
 * @typedef {{do: string, [key: string]: any}} Effect
 * @typedef {[State, Effect[]]} Turn
 */

import { MESSAGES } from './callmessages.js';
import {
  accept,
  answeredUnlock,
  cancel,
  end,
  forget,
  goodbye,
  invite,
  isLive,
  isTalking,
  mute,
  newCall,
  openMedia,
  ownState,
  reconnectTimers,
  reject,
  replaceConnection,
  rest,
  send,
  settle,
  tell,
  withLine,
} from './callsteps.js';

export { isLive, isTalking } from './callsteps.js';

export const RING_TIMEOUT_S = 30;
const LOST_PATIENCE_S = 2;
const UNLOCK_TIMEOUT_S = 6;

/** @type {State} */
export const IDLE = { phase: 'idle', call: null, reason: null, missed: null, over: {} };

/**
 * One step.
 *
 * @param {State} state
 * @param {Input} input
 * @param {number} now  ms
 * @returns {Turn}
 */
export function advance(state, input, now) {
  if (input.type === 'message') {
    const row = MESSAGES[input.kind];
    return row ? row(forget(state, now), input, now) : [state, []];
  }
  const row = INPUTS[input.type];
  return row ? row(state, input, now) : [state, []];
}

/**
 * What a person, a timer, a connection or the broker may put in.
 *
 * @type {Record<string, (state: State, input: any, now: number) => Turn>}
 */
const INPUTS = {
  call(state, { call_id, session_id, call_type, me, to }, now) {
    if (isLive(state)) return [state, []];
    const deadline = now + RING_TIMEOUT_S * 1000;
    /** @type {Call} */
    const call = {
      ...newCall(call_id, session_id, 'outgoing', call_type, me, to, deadline),
      i_offer: true,
    };
    return [
      { ...state, phase: 'outgoing', call, reason: null },
      [
        { do: 'stop_timer', name: 'rest' },
        openMedia(call, 1, null),
        { do: 'start_timer', name: 'ring', delay_s: RING_TIMEOUT_S },
      ],
    ];
  },

  answer(state) {
    return state.phase === 'incoming' && state.call ? accept(state, state.call) : [state, []];
  },

  decline(state, _input, now) {
    const { phase, call } = state;
    if (phase !== 'incoming' || !call) return [state, []];
    return end(state, 'rejected', now, [reject(call, 'rejected')]);
  },

  hang_up(state, _input, now) {
    const { phase, call } = state;
    if (!call || !isLive(state)) return [state, []];
    if (phase === 'incoming') return INPUTS.decline(state, {}, now);
    if (phase === 'outgoing') return end(state, 'cancelled', now, [cancel(call, 'cancelled')]);
    // who has not come in yet cannot leave
    const farewell = call.accepted ? goodbye(call, 'hang_up') : reject(call, 'rejected');
    return end(state, 'local_hang_up', now, [farewell]);
  },

  /** The page goes away. While it rings that is no answer: other phones of the same person ring on. */
  leave(state, _input, now) {
    return state.phase === 'incoming'
      ? end(state, 'timed_out', now, [])
      : INPUTS.hang_up(state, {}, now);
  },

  dismiss(state) {
    if (state.phase === 'ended') return rest(state);
    return [{ ...state, missed: null }, []];
  },

  /** Our description of a connection is ready. */
  described(state, { generation, description }, now) {
    const { phase, call } = state;
    if (!call || !isLive(state)) return [state, []];
    if (phase === 'outgoing') {
      const offered = { ...call, offer: description };
      return [{ ...state, call: offered }, [invite(offered, now)]];
    }
    if (
      generation === 1 &&
      phase === 'connecting' &&
      call.direction === 'incoming' &&
      !call.accepted
    ) {
      const body = { [description.type]: description, custom_data: null };
      return [{ ...state, call: { ...call, accepted: true } }, [send(call, 'accept', body)]];
    }
    if (generation !== call.generation && generation !== call.next) return [state, []];
    const kind = description.type;
    const reason = kind === 'offer' ? { reason: 'reconnect' } : {};
    return [state, [send(call, kind, { [kind]: description, generation, ...reason })]];
  },

  candidate(state, { generation, candidate }) {
    const { call } = state;
    if (!call || !isLive(state)) return [state, []];
    return [state, [send(call, 'candidate', { candidate, generation })]];
  },

  connected(state, { generation }, now) {
    const { call } = state;
    if (!call || !isLive(state) || state.phase === 'incoming') return [state, []];
    const replaced = generation === call.next;
    if (!replaced && generation !== call.generation) return [state, []];
    const first = call.answered_at === null;
    /** @type {Call} */
    const on = {
      ...call,
      generation,
      next: replaced ? null : call.next,
      answered_at: call.answered_at ?? now,
    };
    /** @type {Effect[]} */
    const effects = [
      { do: 'settle', call_id: call.call_id, kinds: ['accept', 'offer'] },
      ...['connect', 'lost', 'give_up'].map((name) => ({ do: 'stop_timer', name })),
    ];
    if (replaced) effects.push({ do: 'close_media', generation: call.generation });
    if (first) effects.push(send(on, 'state', ownState(on)));
    return [{ ...state, phase: 'in_call', call: on }, effects];
  },

  /** Nothing comes any more: it may come back by itself, so there is a little patience. */
  disconnected(state, { generation }) {
    const { call } = state;
    if (state.phase !== 'in_call' || !call || generation !== call.generation) return [state, []];
    return [{ ...state, phase: 'reconnecting' }, reconnectTimers(LOST_PATIENCE_S)];
  },

  failed(state, { generation }, now) {
    const { phase, call } = state;
    if (!call || !isLive(state)) return [state, []];
    if (generation === call.next) {
      return [{ ...state, call: { ...call, next: null } }, [{ do: 'close_media', generation }]];
    }
    if (generation !== call.generation) return [state, []];
    if (phase === 'in_call') return [{ ...state, phase: 'reconnecting' }, reconnectTimers(0)];
    if (phase === 'reconnecting') return [state, []];
    if (phase === 'outgoing') return end(state, 'failed', now, [cancel(call, 'cancelled')]);
    return end(state, 'failed', now, [goodbye(call, 'failed')]);
  },

  timer(state, { name }, now) {
    const row = TIMERS[name];
    return row ? row(state, now) : [state, []];
  },

  /** An endpoint of the far side came online: while we ring it is invited at once. */
  online(state, { uid, endpoint }, now) {
    const { phase, call } = state;
    if (phase !== 'outgoing' || !call || call.peer.uid !== uid || call.rings_there)
      return [state, []];
    const found = { ...call, peer: { ...call.peer, endpoint } };
    const effects = call.offer ? [settle(call, 'invite'), invite(found, now)] : [];
    return [{ ...state, call: found }, effects];
  },

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

  chat(state, { text }, now) {
    const { call } = state;
    if (!call || !isTalking(state) || !text.trim()) return [state, []];
    return [
      { ...state, call: withLine(call, { mine: true, text, at: now }) },
      [send(call, 'chat', { text })],
    ];
  },

  unlock(state, { request_id }) {
    const { call } = state;
    if (!call || !isTalking(state) || call.unlock?.state === 'asked') return [state, []];
    /** @type {Unlock} */
    const unlock = { state: 'asked', request_id, error: null };
    const nothing = { uid: null, receiver: null, relay: null, reason: null };
    return [
      { ...state, call: { ...call, unlock } },
      [
        send(call, 'request', { request_id, action: 'unlock', ...nothing }),
        { do: 'start_timer', name: 'unlock', delay_s: UNLOCK_TIMEOUT_S },
      ],
    ];
  },
};

/** @type {Record<string, (state: State, now: number) => Turn>} */
const TIMERS = {
  ring(state, now) {
    const { phase, call } = state;
    if (phase === 'outgoing' && call)
      return end(state, 'timed_out', now, [cancel(call, 'timed_out')]);
    if (phase === 'incoming') return end(state, 'timed_out', now, []);
    return [state, []];
  },

  connect(state, now) {
    const { phase, call } = state;
    return phase === 'connecting' && call
      ? end(state, 'failed', now, [goodbye(call, 'failed')])
      : [state, []];
  },

  /** It did not come back by itself. */
  lost(state) {
    const { phase, call } = state;
    return phase === 'reconnecting' && call ? replaceConnection(state, call) : [state, []];
  },

  give_up(state, now) {
    const { phase, call } = state;
    if (phase !== 'reconnecting' || !call) return [state, []];
    return end(state, 'connection_closed', now, [goodbye(call, 'failed')]);
  },

  unlock(state) {
    const { call } = state;
    if (!call?.unlock) return [state, []];
    if (call.unlock.state !== 'asked') return [{ ...state, call: { ...call, unlock: null } }, []];
    return answeredUnlock(state, call, { ...call.unlock, state: 'failed', error: 'no_answer' });
  },

  rest(state) {
    return state.phase === 'ended' ? rest(state) : [state, []];
  },
};
