// @ts-check
/**
 * Every state and every reason in words for people: the one place where the page's language stands.
 *
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./signaling.js').Link} Link
 * @typedef {{title: string, line: string}} Words
 */

import { others } from './links.js';

/** What the phone pane says. @param {State} state @returns {Words} */
export function stateWords({ phase, call, reason }) {
  const name = call?.peer.name ?? '';
  switch (phase) {
    case 'incoming':
      return {
        title: name,
        line: call?.type === 'audio' ? 'is calling, without a picture' : 'Somebody is at the door',
      };
    case 'outgoing':
      return { title: name, line: call?.rings_there ? 'It rings there …' : 'Calling …' };
    case 'connecting':
      return { title: name, line: call?.token ? 'Joining …' : 'Connecting …' };
    case 'in_call':
      return { title: name, line: inCallLine(call) };
    case 'reconnecting':
      return { title: name, line: 'The connection was lost. Reconnecting …' };
    case 'ended':
      return { title: endedTitle(call, reason), line: endedLine(call, reason) };
    default:
      return { title: 'All quiet', line: 'Nobody is at the door' };
  }
}

/** @param {Call | null} call */
function inCallLine(call) {
  const count = call ? others(call).length : 0;
  return count > 1 ? `Connected · ${count + 1} people` : 'Connected';
}

/** @param {Call | null} call @param {string | null} reason */
function endedTitle(call, reason) {
  const mine = call?.direction === 'outgoing';
  switch (reason) {
    case 'rejected':
      return mine ? 'Declined' : 'You declined';
    case 'rejected_elsewhere':
      return 'Declined elsewhere';
    case 'answered_elsewhere':
      return 'Answered elsewhere';
    case 'busy':
      return 'Busy';
    case 'timed_out':
      return mine ? 'No answer' : 'Missed call';
    case 'cancelled':
      return mine ? 'Call cancelled' : 'Missed call';
    case 'failed':
    case 'untrusted':
      return 'The call failed';
    case 'connection_closed':
      return 'The connection was lost';
    case 'kicked_out':
      return 'You were taken out of the call';
    default:
      return 'Call ended';
  }
}

/** @param {Call | null} call @param {string | null} reason */
function endedLine(call, reason) {
  const name = call?.peer.name ?? 'The other side';
  const mine = call?.direction === 'outgoing';
  switch (reason) {
    case 'rejected':
      return mine ? `${name} did not take the call.` : `${name} was told that nobody comes.`;
    case 'rejected_elsewhere':
      return 'Another phone of yours declined the call.';
    case 'answered_elsewhere':
      return 'Somebody else has taken the call.';
    case 'busy':
      return `${name} is in another call. Try again in a moment.`;
    case 'timed_out':
      return mine ? `${name} did not answer.` : `${name} rang, and nobody answered.`;
    case 'cancelled':
      return mine ? `${name} was not rung any longer.` : `${name} stopped ringing.`;
    case 'failed':
      if (call?.token && !call.answered_at)
        return 'The link does not lead into the call any more. Ask for a new one.';
      return 'The two sides found no way to each other. Try again.';
    case 'untrusted':
      return `It is not certain that this is ${name}.`;
    case 'connection_closed':
      return 'It did not come back. Call again when the network is well.';
    case 'kicked_out':
      return call?.kicked_by
        ? `${kickerName(call)} ended your part of the call.`
        : 'The host ended your part of the call.';
    case 'idle':
      return 'Nobody else was left in the call.';
    case 'local_hang_up':
      return `You hung up${lasted(call)}.`;
    case 'remote_hang_up':
      return `${name} hung up${lasted(call)}.`;
    case 'device_restart':
      return `${name} is starting anew.`;
    default:
      return '';
  }
}

/** @param {Call} call */
function kickerName({ kicked_by, roster, peer }) {
  if (kicked_by === peer.uid) return peer.name;
  return roster.members.find(({ uid }) => uid === kicked_by)?.name ?? kicked_by;
}

/** @param {Call | null} call */
function lasted(call) {
  if (!call?.answered_at || !call.ended_at) return '';
  return ` after ${duration(call.ended_at - call.answered_at)}`;
}

/** The broker, as the chip at the top says it. @type {Record<Link, string>} */
export const LINK_WORDS = {
  connecting: 'Connecting …',
  connected: 'Ready',
  away: 'Offline',
  refused: 'Not let in',
  broken: 'Incomplete',
  revoked: 'Not known',
};

/**
 * What stands in the way of calls, in a sentence; null if nothing does.
 *
 * @param {Link} link @param {number | null} retry_s @param {string} door @returns {string | null}
 */
export function linkProblem(link, retry_s, door) {
  switch (link) {
    case 'away':
      return retry_s && retry_s > 1
        ? `The broker cannot be reached: ${door} cannot ring here. Next try in ${Math.round(retry_s)} s.`
        : `The broker cannot be reached: ${door} cannot ring here. Trying again …`;
    case 'refused':
      return 'The broker did not let this page in: the name or the password is wrong.';
    case 'broken':
      return 'A part of this page is missing (mqtt.js). On the appliance: python -m appliance.web.vendor';
    case 'revoked':
      return `${door} does not know this phone any more: it neither rings here nor listens. Ask for a new invitation.`;
    default:
      return null;
  }
}

export const NO_WEBSOCKET =
  'This appliance was not told where a page finds its broker: set [mqtt] websocket_url.';
export const NO_SERVER = 'The appliance does not answer. Is it running?';

/** @param {string} exception @param {boolean} secure */
export function microphoneWords(exception, secure) {
  if (!secure)
    return 'A browser gives its microphone to https pages only: you can listen, not talk.';
  switch (exception) {
    case 'permission_not_granted':
      return 'The microphone was refused: you can listen, not talk. Allow it beside the address.';
    case 'device_unplugged':
      return 'There is no microphone: you can listen, not talk.';
    case 'device_occupied':
      return 'Another program has the microphone: you can listen, not talk.';
    default:
      return 'The microphone does not work: you can listen, not talk.';
  }
}

/** @param {string} exception */
export function cameraWords(exception) {
  switch (exception) {
    case 'permission_not_granted':
      return 'Your camera was refused. Allow it beside the address.';
    case 'device_unplugged':
      return 'There is no camera here.';
    case 'device_occupied':
      return 'Another program has the camera.';
    default:
      return 'Your camera does not work.';
  }
}

/**
 * What is wrong with somebody else's device; with some of it, it works all the same.
 *
 * @param {'camera' | 'microphone'} device @param {string} name @param {unknown} exception
 */
export function troubleWords(device, name, exception) {
  switch (exception) {
    case 'by_system_pressure':
      return `The ${device} of ${name} sends less: it is too hot there, or the supply is too weak.`;
    case 'sound_level_too_low':
      return `Nothing is heard from the ${device} of ${name}.`;
    default:
      return `The ${device} of ${name} does not work.`;
  }
}

/** Whether a camera that told of an exception sends no pictures. @param {unknown} exception */
export function isBlind(exception) {
  return Boolean(exception) && exception !== 'by_system_pressure';
}

/** What became of opening the door. @param {import('./call.js').Unlock} unlock */
export function unlockWords({ state, error }) {
  if (state === 'asked') return 'Opening …';
  if (state === 'open') return 'Door is open';
  switch (error) {
    case 'no_answer':
      return 'The door did not answer. It may be locked still.';
    case 'forbidden':
    case 'not_allowed':
    case 'refused':
      return 'You are not allowed to open this door.';
    default:
      return `The door stays locked: ${error}`;
  }
}

/** @param {string} uid */
export const unknownPerson = (uid) => `Nobody here is called “${uid}”`;
export const CHOOSE_PERSON = 'Choose above who you are.';
/** @param {string} uid */
export const notForYou = (uid) => `This link is for ${uid}, not for you.`;

/** @param {string} door */
export const doorAway = (door) => `${door} is not online`;

/** @param {{name: string, at: number}} missed */
export const missedWords = ({ name, at }) => `Missed: ${name}, ${clock(at)}`;

/** What a screen reader says when the state changes. */
export function announcement(/** @type {State} */ state) {
  const { title, line } = stateWords(state);
  return state.phase === 'idle' ? '' : `${title}. ${line}`;
}

/** Minutes and seconds, hours where there are any. @param {number} ms */
export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** The time of day. @param {number} ms */
export const clock = (ms) =>
  new Date(ms).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });

/** The time of day in parts: digits, and AM or PM where it is said. @param {number} ms */
export function clockParts(ms) {
  const format = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
  const parts = format.formatToParts(ms);
  const half = parts.find(({ type }) => type === 'dayPeriod')?.value ?? '';
  const digits = parts.filter(({ type }) => type !== 'dayPeriod');
  return {
    digits: digits
      .map(({ value }) => value)
      .join('')
      .trim(),
    half,
  };
}

/** The day. @param {number} ms */
export const day = (ms) =>
  new Date(ms).toLocaleDateString(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

// -------------------- pairing

/** @param {string} door */
export const otherKey = (door) =>
  `A message came as if from ${door}, but with another key than ${door} had when this phone was paired. It was not believed. If ${door} was set up anew, pair this phone again.`;

/** @param {string} door */
export const presenceTaken = (door) =>
  `Another phone or page writes over and over that this one is not here, or is another: ${door} may not ring it. If a phone was lost, have its key revoked and this account's password changed.`;

/** @type {Words} */
export const NOT_KNOWN = { title: 'Not known any more', line: 'Nobody rings here' };

/** @type {[string, string]} */
export const NOT_PAIRED = [
  'This phone is not paired',
  'Open the link, or scan the code, that “appliance pair” shows on the device.',
];

/** @type {[string, string]} */
export const BROKEN_INVITATION = [
  'This invitation is not whole',
  'A part of its address is missing. Open it once more, or scan its code.',
];

/** @param {string} door @returns {[string, string]} */
export const othersInvitation = (door) => [
  'This invitation is for another device',
  `It does not lead to ${door}. Open it as it was given to you.`,
];

/**
 * @param {string} door @param {string} name @param {boolean} again @param {boolean} other_key  than the one that is pinned
 * @returns {[string, string]}
 */
export const pairingQuestion = (door, name, again, other_key) => [
  again ? 'Pair this phone again?' : 'Pair this phone?',
  other_key
    ? `Whoever invites you as ${name} has another key than ${door} had. Only if you know that ${door} was set up anew!`
    : `${door} invites you as ${name}.`,
];

/** @param {string} door @param {Link} link */
export function pairingLine(door, link) {
  if (link === 'connected') return `Waiting for ${door} …`;
  return link === 'away' ? 'The broker cannot be reached. Trying again …' : 'Connecting …';
}

/**
 * @param {import('./pairing.js').Failure} failure @param {string} door @param {boolean} secure
 * @returns {[string, string]}
 */
export function notPaired(failure, door, secure) {
  switch (failure) {
    case 'no_crypto':
      return secure
        ? [
            'This browser is too old',
            'It cannot make the key that this phone needs (Ed25519 in WebCrypto). Bring it up to date, or take another.',
          ]
        : [
            'This address is not safe enough',
            'A browser makes keys only for pages that come with https, or from the same machine.',
          ];
    case 'no_storage':
      return [
        'This browser keeps nothing',
        'A pairing has to be remembered: open the invitation in a window that is not private.',
      ];
    case 'not_let_in':
      return ['The broker lets nobody in', 'It refused the name or the password of the invitation.'];
    case 'invalid_invitation':
      return [
        'This invitation is not good any more',
        `It was used already, has run out, or was taken back. Ask for a new one; nothing has changed at ${door}.`,
      ];
    case 'not_kept':
      return [
        `${door} could not keep the key`,
        'Whoever invited you is told why. A new invitation is needed.',
      ];
    default:
      return [
        `${door} does not answer`,
        'Is it running, and connected? The invitation is good until it runs out: open it once more.',
      ];
  }
}

const RIGHTS = /** @type {Record<string, string>} */ ({
  answer: 'be rung',
  call: 'call',
  view: 'look through the camera',
  unlock: 'open the door',
  moderate: 'moderate calls',
});

/** @param {string} name @param {string[]} may */
export function pairedAs(name, may) {
  const can = Object.keys(RIGHTS).filter((right) => may.includes(right));
  const rights = can.map((right) => RIGHTS[right]).join(', ');
  return rights ? `${name}’s phone · may ${rights}` : `${name}’s phone`;
}

/** @param {string} door */
export const unpairQuestion = (door) =>
  `Unpair this phone? ${door} rings here no more, and a new invitation is needed to come back.`;
