// @ts-check
/**
 * What another endpoint may say in a call, row by row.
 *
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Turn} Turn
 */

import {
  CONNECT_TIMEOUT_S,
  answeredUnlock,
  crossed,
  end,
  invited,
  isLive,
  isPeer,
  isTalking,
  letRing,
  mute,
  openMedia,
  reject,
  remember,
  replaceConnection,
  send,
  settle,
  withLine,
} from './callsteps.js';

/**
 * What another endpoint may say. But for an invite, only the other side of the call is believed.
 *
 * @type {Record<string, (state: State, input: any, now: number) => Turn>}
 */
export const MESSAGES = {
  invite(state, input, now) {
    const { call, phase } = state;
    const { call_id, from } = input;
    if (state.over[call_id] !== undefined) return [state, []];
    const incoming = invited(input, now);
    if (!call || !isLive(state)) return letRing(state, incoming, input.body.timeout_s);
    if (call.call_id === call_id) {
      // the same call again, after our link was away: it rings already
      return phase === 'incoming' && call.peer.uid === from
        ? [state, [send(incoming, 'ringing', {})]]
        : [state, []];
    }
    if (phase === 'outgoing' && call.peer.uid === from) return crossed(state, call, incoming, now);
    return [state, [reject(incoming, 'busy')]];
  },

  ringing(state, input) {
    const { call } = state;
    if (state.phase !== 'outgoing' || !call || !isPeer(call, input)) return [state, []];
    const rung = {
      ...call,
      rings_there: true,
      peer: { ...call.peer, endpoint: call.peer.endpoint ?? input.endpoint },
    };
    return [{ ...state, call: rung }, [settle(call, 'invite'), { do: 'ringback', on: true }]];
  },

  accept(state, input) {
    const { call } = state;
    if (state.phase !== 'outgoing' || !call || !isPeer(call, input) || !input.body.answer)
      return [state, []];
    const taken = { ...call, accepted: true, peer: { ...call.peer, endpoint: input.endpoint } };
    return [
      { ...state, phase: 'connecting', call: taken },
      [
        settle(call, 'invite'),
        { do: 'ringback', on: false },
        { do: 'stop_timer', name: 'ring' },
        { do: 'take_answer', generation: 1, answer: input.body.answer },
        { do: 'start_timer', name: 'connect', delay_s: CONNECT_TIMEOUT_S },
      ],
    ];
  },

  reject(state, input, now) {
    const { call } = state;
    if (state.phase !== 'outgoing' || !call || !isPeer(call, input)) return [state, []];
    return end(state, input.body.reason === 'busy' ? 'busy' : 'rejected', now, []);
  },

  cancel(state, input, now) {
    const { call } = state;
    if (!call || !isLive(state) || !isPeer(call, input) || call.direction === 'outgoing') {
      return [call?.call_id === input.call_id ? state : remember(state, input.call_id, now), []];
    }
    if (input.mine) return [state, []];
    return end(state, input.body.reason, now, []);
  },

  end(state, input, now) {
    const { call } = state;
    if (!call || !isLive(state) || !isPeer(call, input)) {
      return [call?.call_id === input.call_id ? state : remember(state, input.call_id, now), []];
    }
    const { reason } = input.body;
    return end(state, reason === 'hang_up' ? 'remote_hang_up' : reason, now, []);
  },

  answer(state, input) {
    const { call } = state;
    if (!call || !isLive(state) || !isPeer(call, input) || !call.i_offer) return [state, []];
    const generation = input.body.generation ?? 1;
    if (generation !== call.generation && generation !== call.next) return [state, []];
    return [
      state,
      [
        settle(call, 'accept', 'offer'),
        { do: 'take_answer', generation, answer: input.body.answer },
      ],
    ];
  },

  /** Only who offered first ever offers: where that was us, an offer has no row. */
  offer(state, input) {
    const { call } = state;
    if (!call || !isTalking(state) || !isPeer(call, input) || call.i_offer) return [state, []];
    const generation = input.body.generation ?? 1;
    if (generation === call.generation)
      return [state, [openMedia(call, generation, input.body.offer)]];
    if (generation !== call.generation + 1) return [state, []];
    return [
      { ...state, call: { ...call, next: generation } },
      [openMedia(call, generation, input.body.offer)],
    ];
  },

  candidate(state, input) {
    const { call } = state;
    if (!call || !isLive(state) || !isPeer(call, input) || state.phase === 'incoming')
      return [state, []];
    const { candidate, generation } = input.body;
    return [
      state,
      [{ do: 'take_candidate', generation: generation ?? 1, candidate: candidate ?? null }],
    ];
  },

  state(state, input) {
    const { call } = state;
    if (!call || !isLive(state) || !isPeer(call, input)) return [state, []];
    return [{ ...state, call: { ...call, remote: { ...call.remote, ...input.body } } }, []];
  },

  chat(state, input, now) {
    const { call } = state;
    if (!call || !isTalking(state) || !isPeer(call, input)) return [state, []];
    return [
      { ...state, call: withLine(call, { mine: false, text: input.body.text, at: now }) },
      [],
    ];
  },

  response(state, input) {
    const { call } = state;
    const asked = call?.unlock;
    if (!call || !isPeer(call, input) || !asked || asked.request_id !== input.body.request_id)
      return [state, []];
    const { accepted, error } = input.body;
    return answeredUnlock(state, call, {
      ...asked,
      state: accepted ? 'open' : 'failed',
      error: accepted ? null : (error ?? 'refused'),
    });
  },

  request(state, input) {
    const { call } = state;
    if (!call || !isTalking(state) || !isPeer(call, input)) return [state, []];
    const { request_id, action } = input.body;
    const reply = (/** @type {boolean} */ accepted) =>
      send(call, 'response', { request_id, accepted, error: accepted ? null : 'unsupported' });
    if (action === 'mute') {
      const [muted, effects] = mute(state, true);
      return [muted, [...effects, reply(true)]];
    }
    if (action === 'renegotiate' && call.i_offer) {
      const [renewed, effects] = replaceConnection(state, call);
      return [renewed, [reply(true), ...effects]];
    }
    return [state, [reply(false)]];
  },
};
