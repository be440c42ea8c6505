// @ts-check
/**
 * How a call begins and ends, row by row: rung by the door, ringing it, or entered by a link.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./call.js').Effect} Effect
 * @typedef {import('./call.js').Rows} Rows
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Turn} Turn
 */

import {
  cancel,
  end,
  goodbye,
  inTurn,
  invite,
  isLive,
  newCall,
  reject,
  remember,
  rest,
  send,
  settleHost,
} from './callsteps.js';
import { HOST, connectTimer, dropLink, nameOf, newLink, openMedia, senderOf } from './links.js';
import { left } from './roster.js';

export const RING_TIMEOUT_S = 30;
const RING_GRACE_S = 2;

/** @type {Rows} */
export const RINGING_INPUTS = {
  call(state, { call_id, session_id, call_type, me, to, camera = false }, now) {
    if (isLive(state)) return [state, []];
    const deadline = now + RING_TIMEOUT_S * 1000;
    const call = filmed(
      newCall(call_id, session_id, 'outgoing', call_type, me, to, deadline),
      camera,
    );
    return inTurn(
      { ...state, phase: 'outgoing', call, reason: null },
      (at) => [at, [{ do: 'stop_timer', name: 'rest' }]],
      (at) => meetHost(at, call, true),
      (at) => [at, [{ do: 'start_timer', name: 'ring', delay_s: RING_TIMEOUT_S }]],
    );
  },

  /** A link led here: into a session that runs, without ringing. */
  join(state, { token, call_id, session_id, me, to, camera = false }, now) {
    if (isLive(state)) return [state, []];
    /** @type {Call} */
    const call = {
      ...filmed(newCall(call_id, session_id, 'outgoing', 'video', me, to, now), camera),
      accepted: true,
      token,
    };
    return [
      { ...state, phase: 'connecting', call, reason: null },
      [
        { do: 'stop_timer', name: 'rest' },
        send(call, 'join', { token }),
        ...filming(call),
        connectTimer(HOST),
      ],
    ];
  },

  answer(state, { camera = false }) {
    const { phase, call } = state;
    return phase === 'incoming' && call ? accept(state, filmed(call, camera)) : [state, []];
  },

  decline(state, _input, now) {
    const { phase, call } = state;
    if (phase !== 'incoming' || !call) return [state, []];
    return end(state, 'rejected', now, [reject(call, 'rejected')]);
  },

  hang_up(state, _input, now) {
    const { phase, call } = state;
    if (!call || !isLive(state)) return [state, []];
    if (phase === 'incoming') return RINGING_INPUTS.decline(state, {}, now);
    if (phase === 'outgoing') return end(state, 'cancelled', now, [cancel(call, 'cancelled')]);
    // who has not come in yet cannot leave
    const farewell = call.accepted ? goodbye(call, 'hang_up') : [reject(call, 'rejected')];
    return end(state, 'local_hang_up', now, farewell);
  },

  /** The page goes away. While it rings that is no answer: other phones of the same person ring on. */
  leave(state, _input, now) {
    return state.phase === 'incoming'
      ? end(state, 'timed_out', now, [])
      : RINGING_INPUTS.hang_up(state, {}, now);
  },

  dismiss(state) {
    if (state.phase === 'ended') return rest(state);
    return [{ ...state, missed: null }, []];
  },

  /** An endpoint of the far side came online: while we ring, or ask to be let in, it is told at once. */
  online(state, { uid, endpoint }, now) {
    const { phase, call } = state;
    if (!call || call.peer.uid !== uid || !isLive(state)) return [state, []];
    const found = { ...call, peer: { ...call.peer, endpoint } };
    if (phase === 'outgoing' && !call.rings_there) {
      const effects = call.offer ? [settleHost(call, 'invite'), invite(found, now)] : [];
      return [{ ...state, call: found }, effects];
    }
    if (phase !== 'connecting' || !call.token || call.peer.endpoint) return [state, []];
    const asked = send(found, 'join', { token: call.token });
    return [{ ...state, call: found }, [settleHost(call, 'join'), asked]];
  },
};

/** @type {Rows} */
export const RINGING_TIMERS = {
  ring(state, _about, now) {
    const { phase, call } = state;
    if (phase === 'outgoing' && call)
      return end(state, 'timed_out', now, [cancel(call, 'timed_out')]);
    if (phase === 'incoming') return end(state, 'timed_out', now, []);
    return [state, []];
  },

  rest(state) {
    return state.phase === 'ended' ? rest(state) : [state, []];
  },
};

/** But for an invite, only the host is believed. @type {Rows} */
export const RINGING_MESSAGES = {
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
    if (state.phase !== 'outgoing' || !isHost(call, input)) return [state, []];
    const endpoint = call.peer.endpoint ?? input.endpoint;
    const rung = { ...call, rings_there: true, peer: { ...call.peer, endpoint } };
    return [{ ...state, call: rung }, [settleHost(call, 'invite'), { do: 'ringback', on: true }]];
  },

  accept(state, input) {
    const { call } = state;
    if (state.phase !== 'outgoing' || !isHost(call, input) || !input.body.answer)
      return [state, []];
    const peer = { ...call.peer, endpoint: input.endpoint };
    return [
      { ...state, phase: 'connecting', call: { ...call, accepted: true, peer } },
      [
        settleHost(call, 'invite'),
        { do: 'ringback', on: false },
        { do: 'stop_timer', name: 'ring' },
        { do: 'take_answer', link: HOST, generation: 1, answer: input.body.answer },
        connectTimer(HOST),
      ],
    ];
  },

  reject(state, input, now) {
    const { call } = state;
    if (state.phase !== 'outgoing' || !isHost(call, input)) return [state, []];
    return end(state, input.body.reason === 'busy' ? 'busy' : 'rejected', now, []);
  },

  cancel(state, input, now) {
    const { call } = state;
    if (!isLive(state) || !isHost(call, input) || call.direction === 'outgoing') {
      return [call?.call_id === input.call_id ? state : remember(state, input.call_id, now), []];
    }
    const { by, reason } = input.body;
    if (by?.uid === input.me.uid && by?.endpoint === input.me.endpoint) return [state, []];
    return end(state, reason, now, []);
  },

  /** From the host: it is over. From somebody else: that one leaves. */
  end(state, input, now) {
    const { call } = state;
    const id = call && isLive(state) ? senderOf(call, input) : null;
    if (!call || !id) {
      return [call?.call_id === input.call_id ? state : remember(state, input.call_id, now), []];
    }
    const { reason, kicked_by } = input.body;
    if (id !== HOST) {
      const name = nameOf(call, id);
      return inTurn(
        state,
        (at) => dropLink(at, id),
        (at) => left(at, id, name, now),
      );
    }
    return end(state, reason === 'hang_up' ? 'remote_hang_up' : reason, now, [], kicked_by ?? null);
  },
};

/** @param {Call | null} call @param {any} input @returns {call is Call} */
const isHost = (call, input) => call !== null && senderOf(call, input) === HOST;

/** The call that an invitation is about. @param {any} input @param {number} now @returns {Call} */
function invited({ call_id, from, endpoint, body }, now) {
  const { session_id, call_type, caller } = body;
  const peer = { uid: from, endpoint, name: caller.name ?? from };
  const deadline = now + body.timeout_s * 1000;
  const call = newCall(call_id, session_id, 'incoming', call_type, caller, peer, deadline);
  return { ...call, offer: body.offer ?? null };
}

/** @param {State} state @param {Call} call @param {number} timeout_s @returns {Turn} */
function letRing(state, call, timeout_s) {
  return [
    { ...state, phase: 'incoming', call, reason: null },
    [
      { do: 'stop_timer', name: 'rest' },
      send(call, 'ringing', {}),
      { do: 'ring', on: true },
      { do: 'start_timer', name: 'ring', delay_s: timeout_s + RING_GRACE_S },
    ],
  ];
}

/** @param {State} state @param {Call} call @returns {Turn} */
function accept(state, call) {
  return inTurn(
    { ...state, phase: 'connecting', call },
    (at) => [
      at,
      [
        { do: 'ring', on: false },
        { do: 'stop_timer', name: 'ring' },
      ],
    ],
    (at) => meetHost(at, call, call.offer === null),
    (at) => [at, [connectTimer(HOST)]],
  );
}

/** @param {State} state @param {Call} call @param {boolean} i_offer @returns {Turn} */
function meetHost(state, call, i_offer) {
  const link = newLink(HOST, { ...call.peer, call_id: call.call_id }, i_offer);
  // what invites or accepts is the introduction
  const met = { ...call, links: { [HOST]: { ...link, introduced: true } } };
  const opened = openMedia(met, HOST, 1, i_offer ? null : call.offer);
  return [{ ...state, call: met }, [opened, ...filming(met)]];
}

/** @param {Call} call @param {boolean} camera @returns {Call} */
const filmed = (call, camera) => ({ ...call, camera_on: camera && call.type === 'video' });

/** @param {Call} call @returns {Effect[]} */
const filming = (call) => (call.camera_on ? [{ do: 'camera', on: true }] : []);

/**
 * Both called at once: the call with the smaller id lives, and is accepted without ringing.
 *
 * @param {State} state @param {Call} ours @param {Call} theirs @param {number} now @returns {Turn}
 */
function crossed(state, ours, theirs, now) {
  if (ours.call_id < theirs.call_id) return [state, []];
  return inTurn(
    state,
    (at) => end(at, 'cancelled', now, [cancel(ours, 'cancelled')]),
    (at) => accept({ ...at, reason: null }, filmed(theirs, ours.camera_on)),
    (at) => [at, [{ do: 'stop_timer', name: 'rest' }]],
  );
}
