// @ts-check
/**
 * The steps that several rows of a call's table share, and the making of its effects.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./call.js').CallType} CallType
 * @typedef {import('./call.js').ChatLine} ChatLine
 * @typedef {import('./call.js').Description} Description
 * @typedef {import('./call.js').Effect} Effect
 * @typedef {import('./call.js').Peer} Peer
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Turn} Turn
 * @typedef {import('./call.js').Unlock} Unlock
 */

const RING_GRACE_S = 2;
export const CONNECT_TIMEOUT_S = 20;
const RETRY_S = 8;
const GIVE_UP_S = 30;
const UNLOCK_SHOWN_S = 4;
const ENDED_SHOWN_S = 8;
const REMEMBER_MS = 60_000;
const MESSAGE_TTL_S = 30;
const MAX_CHAT_LINES = 200;

/** Whether there is a call that is not over. @param {State} state */
export function isLive(state) {
  return state.phase !== 'idle' && state.phase !== 'ended';
}

/** Whether media is flowing, or was and is sought again. @param {State} state */
export function isTalking(state) {
  return state.phase === 'in_call' || state.phase === 'reconnecting';
}

/**
 * Mute the own microphone, or open it.
 *
 * @param {State} state @param {boolean} on @returns {Turn}
 */
export function mute(state, on) {
  const { call } = state;
  if (!call || !isLive(state)) return [state, []];
  const muted = { ...call, muted: on };
  return [
    { ...state, call: muted },
    [{ do: 'microphone', on: !on }, ...tell(state, muted, { audio_muted: on })],
  ];
}

/** @returns {Call} */
export function newCall(
  /** @type {string} */ call_id,
  /** @type {string} */ session_id,
  /** @type {'incoming' | 'outgoing'} */ direction,
  /** @type {CallType} */ type,
  /** @type {{uid: string, name: string | null}} */ caller,
  /** @type {Peer} */ peer,
  /** @type {number} */ deadline,
) {
  return {
    call_id,
    session_id,
    direction,
    type,
    caller,
    peer,
    deadline,
    offer: null,
    rings_there: false,
    accepted: false,
    i_offer: false,
    generation: 1,
    next: null,
    answered_at: null,
    ended_at: null,
    muted: false,
    camera_on: false,
    microphone_exception: null,
    camera_exception: null,
    remote: {},
    chat: [],
    unlock: null,
  };
}

/** The call that an invitation is about. @param {any} input @param {number} now @returns {Call} */
export function invited({ call_id, from, endpoint, body }, now) {
  const peer = { uid: from, endpoint, name: body.caller.name ?? from };
  const deadline = now + body.timeout_s * 1000;
  const call = newCall(
    call_id,
    body.session_id,
    'incoming',
    body.call_type,
    body.caller,
    peer,
    deadline,
  );
  return { ...call, offer: body.offer ?? null, i_offer: !body.offer };
}

/** @param {State} state @param {Call} call @param {number} timeout_s @returns {Turn} */
export function letRing(state, call, timeout_s) {
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
export function accept(state, call) {
  return [
    { ...state, phase: 'connecting', call },
    [
      { do: 'ring', on: false },
      { do: 'stop_timer', name: 'ring' },
      openMedia(call, 1, call.offer),
      { do: 'start_timer', name: 'connect', delay_s: CONNECT_TIMEOUT_S },
    ],
  ];
}

/**
 * Both called at once: the call with the smaller id lives, and is accepted without ringing.
 *
 * @param {State} state @param {Call} ours @param {Call} theirs @param {number} now @returns {Turn}
 */
export function crossed(state, ours, theirs, now) {
  if (ours.call_id < theirs.call_id) return [state, []];
  const [ended, ending] = end(state, 'cancelled', now, [cancel(ours, 'cancelled')]);
  const [taken, taking] = accept(ended, theirs);
  return [{ ...taken, reason: null }, [...ending, { do: 'stop_timer', name: 'rest' }, ...taking]];
}

/** @param {State} state @param {Call} call @returns {Turn} */
export function replaceConnection(state, call) {
  const again = { do: 'start_timer', name: 'lost', delay_s: RETRY_S };
  if (!call.i_offer) {
    const nothing = { uid: null, receiver: null, relay: null, reason: 'reconnect' };
    const request_id = `renegotiate-${call.generation + 1}`;
    return [
      state,
      [send(call, 'request', { request_id, action: 'renegotiate', ...nothing }), again],
    ];
  }
  // another try has the same number: for the far side only the next one replaces the present one
  const next = call.generation + 1;
  return [
    { ...state, call: { ...call, next } },
    [settle(call, 'offer'), openMedia(call, next, null), again],
  ];
}

/**
 * The one way out of a call.
 *
 * @param {State} state @param {string} reason @param {number} now @param {Effect[]} last_words @returns {Turn}
 */
export function end(state, reason, now, last_words) {
  const call = /** @type {Call} */ (state.call);
  const missed = state.phase === 'incoming' && (reason === 'cancelled' || reason === 'timed_out');
  return [
    {
      ...remember(state, call.call_id, now),
      phase: 'ended',
      reason,
      call: { ...call, ended_at: now, unlock: null },
      missed: missed ? { name: call.peer.name, at: now } : state.missed,
    },
    [
      { do: 'ring', on: false },
      { do: 'ringback', on: false },
      { do: 'forget', call_id: call.call_id },
      ...last_words,
      { do: 'close_media', generation: null },
      ...['ring', 'connect', 'lost', 'give_up', 'unlock'].map((name) => ({
        do: 'stop_timer',
        name,
      })),
      { do: 'start_timer', name: 'rest', delay_s: ENDED_SHOWN_S },
    ],
  ];
}

/** @param {State} state @returns {Turn} */
export function rest(state) {
  return [
    { ...state, phase: 'idle', call: null, reason: null },
    [{ do: 'stop_timer', name: 'rest' }],
  ];
}

/** @param {State} state @param {Call} call @param {Unlock} unlock @returns {Turn} */
export function answeredUnlock(state, call, unlock) {
  const shown = { do: 'start_timer', name: 'unlock', delay_s: UNLOCK_SHOWN_S };
  return [{ ...state, call: { ...call, unlock } }, [shown]];
}

/** An invitation that comes behind its own cancel does not ring. @returns {State} */
export function remember(
  /** @type {State} */ state,
  /** @type {string} */ call_id,
  /** @type {number} */ now,
) {
  return { ...state, over: { ...state.over, [call_id]: now + REMEMBER_MS } };
}

/** @param {State} state @param {number} now @returns {State} */
export function forget(state, now) {
  const over = Object.entries(state.over).filter(([, until]) => until > now);
  return { ...state, over: Object.fromEntries(over) };
}

/** @param {Call} call @param {any} input */
export function isPeer(call, input) {
  const known = call.peer.endpoint === null || call.peer.endpoint === input.endpoint;
  return call.call_id === input.call_id && call.peer.uid === input.from && known;
}

/** @param {Call} call @param {ChatLine} line @returns {Call} */
export function withLine(call, line) {
  return { ...call, chat: [...call.chat, line].slice(-MAX_CHAT_LINES) };
}

/** @param {Call} call */
export function ownState(call) {
  const { microphone_exception, camera_exception } = call;
  return {
    audio_muted: call.muted,
    video_paused: !call.camera_on,
    ...(microphone_exception ? { microphone_exception } : {}),
    ...(camera_exception ? { camera_exception } : {}),
  };
}

/** What changed about us, once there is somebody to tell. @returns {Effect[]} */
export function tell(
  /** @type {State} */ state,
  /** @type {Call} */ call,
  /** @type {object} */ changes,
) {
  return isTalking(state) ? [send(call, 'state', changes)] : [];
}

/** @returns {Effect} */
export function send(
  /** @type {Call} */ call,
  /** @type {string} */ kind,
  /** @type {object} */ body,
  ttl_s = MESSAGE_TTL_S,
) {
  const to = { uid: call.peer.uid, endpoint: call.peer.endpoint };
  return { do: 'send', to, call_id: call.call_id, kind, body, ttl_s };
}

/** @param {Call} call @param {number} now @returns {Effect} */
export function invite(call, now) {
  const timeout_s = Math.max(1, Math.ceil((call.deadline - now) / 1000));
  const body = {
    session_id: call.session_id,
    call_type: call.type,
    receiver: { type: 'user', id: call.peer.uid },
    callees: [call.peer.uid],
    caller: call.caller,
    timeout_s,
    custom_data: null,
    token: null,
    offer: call.offer,
  };
  return send(call, 'invite', body, timeout_s);
}

/** @param {Call} call @param {string} reason */
export const cancel = (call, reason) => send(call, 'cancel', { reason, custom_data: null });

/** @param {Call} call @param {'rejected' | 'busy'} reason */
export const reject = (call, reason) => send(call, 'reject', { reason, custom_data: null });

/** @param {Call} call @param {string} reason */
export const goodbye = (call, reason) => send(call, 'end', { reason, kicked_by: null });

/** @param {Call} call @param {string[]} kinds @returns {Effect} */
export const settle = (call, ...kinds) => ({ do: 'settle', call_id: call.call_id, kinds });

/** @param {Call} call @param {number} generation @param {Description | null} offer @returns {Effect} */
export const openMedia = (call, generation, offer) => ({
  do: 'open_media',
  generation,
  video: call.type === 'video',
  offer,
});

/** @param {number} patience_s @returns {Effect[]} */
export const reconnectTimers = (patience_s) => [
  { do: 'start_timer', name: 'lost', delay_s: patience_s },
  { do: 'start_timer', name: 'give_up', delay_s: GIVE_UP_S },
];
