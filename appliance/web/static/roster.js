// @ts-check
/**
 * Who is in the session: the host's list, and what follows from a new one.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./call.js').Member} Member
 * @typedef {import('./call.js').Rows} Rows
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Turn} Turn
 */

import { inTurn, isLive, notify, settle } from './callsteps.js';
import { HOST, dropLink, idOf, nameOf, openLink, others } from './links.js';

const MAX_MEMBERS = 32;

/** What one tells about itself, in `state` and in the list. */
export const FLAGS = [
  'audio_muted',
  'video_paused',
  'hand_raised',
  'screen_sharing',
  'recording',
  'on_hold',
];
export const EXCEPTIONS = ['camera_exception', 'microphone_exception'];

/** @type {Rows} */
export const ROSTER_MESSAGES = {
  /** Only the host's list counts, and only a later one than that which is known. */
  participants(state, input, now) {
    const { call } = state;
    const { session_id, version, participants, may = null } = input.body;
    if (!call || !isLive(state) || state.phase === 'incoming' || state.phase === 'outgoing')
      return [state, []];
    const id = idOf(call, input.from, input.endpoint);
    if (id !== HOST || input.call_id !== call.call_id) return [state, []];
    if (call.roster.version !== null && version <= call.roster.version) return [state, []];
    const peer = { ...call.peer, endpoint: input.endpoint };
    const members = membersOf({ ...call, peer }, participants, input.me);
    /** @type {Call} */
    const listed = { ...call, peer, session_id, roster: { version, members, may } };
    const known = participants
      .slice(0, MAX_MEMBERS)
      .map((/** @type {any} */ { uid, endpoint, epoch, key = null }) => ({ uid, endpoint, epoch, key }));
    return inTurn(
      { ...state, call: listed },
      (at) => [
        at,
        [settle({ ...call.peer, call_id: call.call_id }, 'join'), { do: 'know', who: known }],
      ],
      (at) => dropVanished(at, call, now),
      (at) => answerKept(at),
      (at) => joinThoseBefore(at),
      (at) => greet(at, call, now),
    );
  },
};

/** @param {Call} call @param {any[]} participants @param {{uid: string, endpoint: string}} me @returns {Member[]} */
function membersOf(call, participants, me) {
  return participants.slice(0, MAX_MEMBERS).map((one) => ({
    id: idOf(call, one.uid, one.endpoint),
    uid: one.uid,
    endpoint: one.endpoint,
    name: one.name ?? one.uid,
    mine: one.uid === me.uid && one.endpoint === me.endpoint,
    state: one.state ?? 'connected',
    flags: Object.fromEntries(FLAGS.map((flag) => [flag, one[flag] === true])),
  }));
}

/** Who is not listed any more has left, without a word of its own. @param {State} state @param {Call} before @param {number} now @returns {Turn} */
function dropVanished(state, before, now) {
  const call = /** @type {Call} */ (state.call);
  const listed = new Set(call.roster.members.map(({ id }) => id));
  const gone = others(before).filter((id) => id !== HOST && !listed.has(id));
  return inTurn(
    state,
    ...gone.map((id) => (/** @type {State} */ at) => dropLink(at, id)),
    ...gone.map((id) => (/** @type {State} */ at) => left(at, id, nameOf(before, id), now)),
  );
}

/** @param {State} state @returns {Turn} */
function answerKept(state) {
  const call = /** @type {Call} */ (state.call);
  const listed = call.roster.members.filter(({ id }) => call.kept[id]);
  return inTurn(
    state,
    ...listed.map(({ id }) => (/** @type {State} */ at) => {
      const { offer, ...whom } = call.kept[id];
      const { [id]: _taken, ...kept } = /** @type {Call} */ (at.call).kept;
      return openLink({ ...at, call: { .../** @type {Call} */ (at.call), kept } }, id, whom, offer);
    }),
  );
}

/** Whoever stands later opens the connection. @param {State} state @returns {Turn} */
function joinThoseBefore(state) {
  const call = /** @type {Call} */ (state.call);
  const { members } = call.roster;
  const before = members.slice(
    0,
    Math.max(
      0,
      members.findIndex(({ mine }) => mine),
    ),
  );
  return inTurn(
    state,
    ...before
      .filter(({ id }) => !call.links[id])
      .map(({ id, uid, endpoint }) => (/** @type {State} */ at) => {
        return openLink(at, id, { uid, endpoint, call_id: call.call_id }, null);
      }),
  );
}

/** Who came to a session that runs is told. @param {State} state @param {Call} before @param {number} now @returns {Turn} */
function greet(state, before, now) {
  if (before.roster.version === null) return [state, []];
  const call = /** @type {Call} */ (state.call);
  const known = new Set(before.roster.members.map(({ id }) => id));
  const fresh = call.roster.members.filter(({ id, mine }) => !mine && !known.has(id));
  return inTurn(
    state,
    ...fresh.map(({ name }) => (/** @type {State} */ at) => {
      return notify(at, { kind: 'joined', name, at: now });
    }),
  );
}

/** Take somebody off the list who has said goodbye, and tell. @returns {Turn} */
export function left(
  /** @type {State} */ state,
  /** @type {string} */ id,
  /** @type {string} */ name,
  /** @type {number} */ now,
) {
  const { call } = state;
  if (!call) return [state, []];
  const members = call.roster.members.filter((one) => one.id !== id);
  const without = { ...state, call: { ...call, roster: { ...call.roster, members } } };
  return notify(without, { kind: 'left', name, at: now });
}

/** What only some may do; who is not told what it may does not know better. @param {Call} call */
export const mayModerate = ({ roster }) => roster.may?.includes('moderate') ?? true;

/** What somebody last told: itself first, else by the host's list. @param {Call} call @param {string} id */
export function flagsOf(call, id) {
  const listed = call.roster.members.find((one) => one.id === id)?.flags ?? {};
  return { ...listed, ...call.told[id] };
}

/** Who records. @param {Call} call @returns {string[]} */
export const recorders = (call) =>
  others(call)
    .filter((id) => flagsOf(call, id).recording === true)
    .map((id) => nameOf(call, id));
