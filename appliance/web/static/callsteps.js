// @ts-check
/**
 * The steps of a call's life that several rows share, and the making of its messages.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./call.js').CallType} CallType
 * @typedef {import('./call.js').ChatLine} ChatLine
 * @typedef {import('./call.js').Effect} Effect
 * @typedef {import('./call.js').Notice} Notice
 * @typedef {import('./call.js').Peer} Peer
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Turn} Turn
 * @typedef {{uid: string, endpoint: string | null, call_id: string}} Whereto
 */

const ENDED_SHOWN_S = 8;
const NOTICE_SHOWN_S = 7;
const REMEMBER_MS = 60_000;
const MESSAGE_TTL_S = 30;
const MAX_CHAT_LINES = 200;
const MAX_NOTICES = 4;

/** Whether there is a call that is not over. @param {State} state */
export function isLive(state) {
  return state.phase !== 'idle' && state.phase !== 'ended';
}

/** Whether media is flowing, or was and is sought again. @param {State} state */
export function isTalking(state) {
  return state.phase === 'in_call' || state.phase === 'reconnecting';
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
    token: null,
    offer: null,
    rings_there: false,
    accepted: false,
    answered_at: null,
    ended_at: null,
    kicked_by: null,
    links: {},
    roster: { version: null, members: [], may: null },
    told: {},
    kept: {},
    muted: false,
    camera_on: false,
    hand: false,
    sharing: false,
    on_hold: false,
    microphone_exception: null,
    camera_exception: null,
    chat: [],
    unlock: null,
    asks: {},
    questions: [],
    notices: [],
  };
}

/**
 * The one way out of a call.
 *
 * @param {State} state @param {string} reason @param {number} now @param {Effect[]} last_words
 * @param {string | null} [kicked_by] @returns {Turn}
 */
export function end(state, reason, now, last_words, kicked_by = null) {
  const call = /** @type {Call} */ (state.call);
  const missed = state.phase === 'incoming' && (reason === 'cancelled' || reason === 'timed_out');
  const call_ids = new Set([call.call_id, ...Object.values(call.links).map((l) => l.call_id)]);
  const timers = Object.keys(call.links).flatMap((id) => [`lost:${id}`, `connect:${id}`]);
  const asks = Object.keys(call.asks).map((id) => `ask:${id}`);
  return [
    {
      // who was rung and not needed may be invited into it; what was sent before that has a lower number
      ...(reason === 'answered_elsewhere' ? state : remember(state, call.call_id, now)),
      phase: 'ended',
      reason,
      call: { ...call, ended_at: now, kicked_by, unlock: null, questions: [], notices: [] },
      missed: missed ? { name: call.peer.name, uid: call.peer.uid, at: now } : state.missed,
    },
    [
      { do: 'ring', on: false },
      { do: 'ringback', on: false },
      ...[...call_ids].map((call_id) => ({ do: 'forget', call_id })),
      ...last_words,
      { do: 'close_media', link: null, generation: null },
      ...['ring', 'connect:host', 'give_up:host', 'unlock', 'notice', ...timers, ...asks].map(
        (name) => ({ do: 'stop_timer', name }),
      ),
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

/** @param {Call} call @param {ChatLine} line @returns {Call} */
export function withLine(call, line) {
  return { ...call, chat: [...call.chat, line].slice(-MAX_CHAT_LINES) };
}

/** Something that is shown for a moment. @param {Call} call @param {Notice} notice @returns {Call} */
export function withNotice(call, notice) {
  return { ...call, notices: [...call.notices, notice].slice(-MAX_NOTICES) };
}

/** @type {Effect} */
export const NOTICE_TIMER = { do: 'start_timer', name: 'notice', delay_s: NOTICE_SHOWN_S };

/** @param {State} state @param {Notice} notice @returns {Turn} */
export function notify(state, notice) {
  const { call } = state;
  return call ? [{ ...state, call: withNotice(call, notice) }, [NOTICE_TIMER]] : [state, []];
}

/** The notices that were shown long enough go. @param {State} state @param {number} now @returns {Turn} */
export function dropNotices(state, now) {
  const { call } = state;
  if (!call) return [state, []];
  const notices = call.notices.filter(({ at }) => now - at < NOTICE_SHOWN_S * 1000);
  return [{ ...state, call: { ...call, notices } }, notices.length > 0 ? [NOTICE_TIMER] : []];
}

/** One turn after the other. @param {State} state @param {((state: State) => Turn)[]} steps @returns {Turn} */
export function inTurn(state, ...steps) {
  /** @type {Effect[]} */
  const effects = [];
  let at = state;
  for (const step of steps) {
    const [next, done] = step(at);
    at = next;
    effects.push(...done);
  }
  return [at, effects];
}

/** @returns {Effect} */
export function sendTo(
  /** @type {Whereto} */ { uid, endpoint, call_id },
  /** @type {string} */ kind,
  /** @type {object} */ body,
  ttl_s = MESSAGE_TTL_S,
) {
  return { do: 'send', to: { uid, endpoint }, call_id, kind, body, ttl_s };
}

/** To the host of the call. @returns {Effect} */
export function send(
  /** @type {Call} */ call,
  /** @type {string} */ kind,
  /** @type {object} */ body,
  ttl_s = MESSAGE_TTL_S,
) {
  return sendTo({ ...call.peer, call_id: call.call_id }, kind, body, ttl_s);
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

/** To everybody with whom there is a connection. @param {Call} call @param {string} reason @returns {Effect[]} */
export const goodbye = (call, reason) =>
  [
    { ...call.peer, call_id: call.call_id },
    ...Object.values(call.links).filter(({ id }) => id !== 'host'),
  ].map((whom) => sendTo(whom, 'end', { reason, kicked_by: null }));

/** @param {Whereto} whom @param {string[]} kinds @returns {Effect} */
export const settle = ({ uid, endpoint, call_id }, ...kinds) => ({
  do: 'settle',
  to: { uid, endpoint },
  call_id,
  kinds,
});

/** @param {Call} call @param {string[]} kinds @returns {Effect} */
export const settleHost = (call, ...kinds) =>
  settle({ ...call.peer, call_id: call.call_id }, ...kinds);
