// @ts-check
/**
 * What goes on in a session, in words: who does what, what was asked and refused, who records.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./call.js').Notice} Notice
 * @typedef {import('./call.js').Question} Question
 * @typedef {import('./call.js').State} State
 */

import { isLive } from './callsteps.js';
import { nameOf, others } from './links.js';
import { flagsOf, recorders } from './roster.js';
import { cameraWords, microphoneWords, troubleWords } from './words.js';

/** @type {Record<string, string>} */
export const STATE_WORDS = {
  connecting: 'connecting …',
  reconnecting: 'reconnecting …',
  connected: 'connected',
};

/** @type {Record<string, string>} */
export const LAYOUT_WORDS = { spotlight: 'Spotlight', tile: 'Tiles', single: 'One picture' };

/** Everything that one should know just now. @param {State} state @param {boolean} secure @returns {string[]} */
export function notesOf(state, secure) {
  const { call, phase } = state;
  if (!call || !isLive(state) || phase === 'incoming') return [];
  const notes = [];
  if (phase === 'reconnecting') notes.push('Reconnecting …');
  const { microphone_exception, camera_exception } = call;
  if (microphone_exception) notes.push(microphoneWords(microphone_exception, secure));
  if (camera_exception) notes.push(cameraWords(camera_exception));
  if (call.on_hold) notes.push('You have put the call on hold: nobody hears or sees you.');
  if (call.sharing) notes.push('You are sharing a screen.');
  const ids = others(call);
  for (const id of ids) notes.push(...remoteWords(call, id, ids.length === 1));
  notes.push(...call.notices.map(noticeWords).filter(Boolean));
  return notes;
}

/**
 * What somebody told about itself, as far as one should know; with several, the tile says the rest.
 *
 * @param {Call} call @param {string} id @param {boolean} alone @returns {string[]}
 */
function remoteWords(call, id, alone) {
  const flags = flagsOf(call, id);
  const name = nameOf(call, id);
  const words = [];
  if (flags.on_hold) words.push(`${name} has put you on hold.`);
  if (flags.camera_exception) words.push(troubleWords('camera', name, flags.camera_exception));
  else if (flags.video_paused && alone) words.push(`${name} sends no picture.`);
  if (flags.microphone_exception)
    words.push(troubleWords('microphone', name, flags.microphone_exception));
  else if (flags.audio_muted && alone) words.push(`${name} is muted.`);
  if (flags.hand_raised && alone) words.push(`${name} raises a hand.`);
  if (flags.screen_sharing && alone) words.push(`${name} shows a screen.`);
  return words;
}

/** The sentence of the recording notice; null while nobody records. @param {State} state */
export function recordingWords(state) {
  const names = state.call && isLive(state) ? recorders(state.call) : [];
  if (names.length === 0) return null;
  return `${names.join(' and ')} ${names.length > 1 ? 'record' : 'records'} this call.`;
}

/** @param {Call} call @param {Question} question */
export function questionWords(call, { action, id }) {
  const name = nameOf(call, id);
  return action === 'unmute'
    ? `${name} asks you to open your microphone.`
    : `${name} would like to turn this into a video call.`;
}

/** @param {Notice} notice @returns {string} */
export function noticeWords({ kind, name = '', action = '', error = '', text = '' }) {
  switch (kind) {
    case 'joined':
      return `${name} has joined.`;
    case 'left':
      return `${name} has left.`;
    case 'dtmf':
      return `${name} pressed ${text}`;
    case 'muted_by':
      return `You were muted by ${name}.`;
    case 'granted':
      return grantedWords(action, name);
    case 'refused':
      return refusalWords(action, name, error);
    default:
      return '';
  }
}

/** @param {string} action @param {string} name */
function grantedWords(action, name) {
  switch (action) {
    case 'invite':
      return `${name} is being invited.`;
    case 'kick':
      return `${name} was taken out of the call.`;
    case 'unmute':
      return `${name} was asked to unmute.`;
    case 'switch_to_video':
      return `${name} agrees to video.`;
    default:
      return ''; // it is seen: a muted sign, a recording notice
  }
}

/** @type {Record<string, (name: string) => string>} */
const DEEDS = {
  mute: (name) => `mute ${name}`,
  unmute: (name) => `unmute ${name}`,
  kick: (name) => `take ${name} out of the call`,
  invite: (name) => `invite ${name}`,
  start_recording: () => 'start a recording',
  stop_recording: () => 'stop the recording',
  switch_to_video: () => 'turn this into a video call',
};

/** @param {string} action @param {string} name @param {string} error  a code, or a sentence */
export function refusalWords(action, name, error) {
  const deed = DEEDS[action]?.(name) ?? action;
  switch (error) {
    case 'forbidden':
    case 'not_allowed':
    case 'refused':
      return `You are not allowed to ${deed}.`;
    case 'rejected':
      return `Could not ${deed}: it was declined.`;
    case 'no_answer':
      return `Could not ${deed}: there was no answer.`;
    case 'unsupported':
      return `Could not ${deed}: the other side cannot do that.`;
    default:
      return `Could not ${deed}: ${error.replaceAll('_', ' ')}`;
  }
}
