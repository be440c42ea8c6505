// @ts-check
/**
 * The phone's side of a call: a pure function from a state and an input to a state and effects.
 *
 * It has no clock, no network and no media: time comes with each input, and what is to be done is
 * returned, in order, as effects. Whatever has no row here is ignored, and leaves the state as it was.
 * The rows stand where they belong: ringing.js, linkrows.js, roster.js, controls.js and asked.js.
 *
 * @typedef {'idle' | 'incoming' | 'outgoing' | 'connecting' | 'in_call' | 'reconnecting' | 'ended'} Phase
 * @typedef {'audio' | 'video'} CallType
 * @typedef {{type: 'offer' | 'answer', sdp: string}} Description
 * @typedef {{uid: string, endpoint: string | null, name: string}} Peer
 * @typedef {{mine: boolean, name: string, text: string, at: number}} ChatLine
 * @typedef {{state: 'asked' | 'open' | 'failed', request_id: string, error: string | null}} Unlock
 * @typedef {{action: string, uid: string | null, receiver: string | null}} Ask  what we asked the host
 * @typedef {{request_id: string, action: 'unmute' | 'switch_to_video', id: string}} Question  asked of us
 * @typedef {{kind: string, at: number, name?: string, action?: string, error?: string, text?: string}} Notice
 *
 * @typedef {object} Link  one endpoint with which there is, or is to be, a connection
 * @property {string} id  HOST, or uid/endpoint
 * @property {string} uid
 * @property {string | null} endpoint
 * @property {string} call_id  under which the two first came together
 * @property {boolean} i_offer  only who offered first ever offers
 * @property {boolean} introduced  our first description went out
 * @property {boolean} met  it has been connected
 * @property {'opening' | 'connected' | 'lost'} state
 * @property {number} generation  of the connection that carries it
 * @property {number | null} next  the generation that is to replace it
 * @property {string | null} why  the renegotiation that is under way
 * @property {string | null} then  ... and the one that is to follow it
 * @property {boolean} video  a section for the camera is agreed upon
 * @property {'none' | 'refused' | 'agreed'} screen  the section for a screen
 *
 * @typedef {object} Member  one line of the host's list
 * @property {string} id
 * @property {string} uid
 * @property {string} endpoint
 * @property {string} name
 * @property {boolean} mine  it is this page
 * @property {string} state
 * @property {Record<string, any>} flags
 *
 * @typedef {object} Call
 * @property {string} call_id
 * @property {string} session_id
 * @property {'incoming' | 'outgoing'} direction
 * @property {CallType} type
 * @property {{uid: string, name: string | null}} caller
 * @property {Peer} peer  who rang us or is rung by us: the host of the session
 * @property {string | null} token  it was entered by a link, without ringing
 * @property {Description | null} offer  the far side's (it invited with one) or ours (we did)
 * @property {boolean} rings_there  an outgoing call: the far side has said that it rings
 * @property {boolean} accepted  the accept is on its way, or the far side's came
 * @property {number} deadline  when ringing ends, in ms
 * @property {number | null} answered_at  when media first flowed, in ms
 * @property {number | null} ended_at
 * @property {string | null} kicked_by
 * @property {Record<string, Link>} links  by their ids
 * @property {{version: number | null, members: Member[], may: string[] | null}} roster  the host's
 *   list, once there was one, and the rights that it grants us
 * @property {Record<string, Record<string, any>>} told  what each last told about itself, by link id
 * @property {Record<string, {uid: string, endpoint: string, call_id: string, offer: Description}>} kept
 *   offers of who is not listed yet
 * @property {boolean} muted
 * @property {boolean} camera_on
 * @property {boolean} hand
 * @property {boolean} sharing
 * @property {boolean} on_hold  by us
 * @property {string | null} microphone_exception
 * @property {string | null} camera_exception
 * @property {ChatLine[]} chat
 * @property {Unlock | null} unlock
 * @property {Record<string, Ask>} asks  by their request ids
 * @property {Question[]} questions
 * @property {Notice[]} notices
 *
 * @typedef {object} State
 * @property {Phase} phase
 * @property {Call | null} call
 * @property {string | null} reason  why the last call ended, in the vocabulary's words
 * @property {{name: string, uid: string, at: number} | null} missed
 * @property {Record<string, number>} over  calls that are no more, until when that is remembered
 *
 * @typedef {{type: string, [key: string]: any}} Input
 * @typedef {{do: string, [key: string]: any}} Effect
 * @typedef {[State, Effect[]]} Turn
 * @typedef {Record<string, (state: State, input: any, now: number) => Turn>} Rows
 */

import { ASKED } from './asked.js';
import { forget } from './callsteps.js';
import { CONTROLS, CONTROL_TIMERS } from './controls.js';
import { LINK_INPUTS, LINK_MESSAGES, LINK_TIMERS } from './linkrows.js';
import { holdEffects } from './links.js';
import { RINGING_INPUTS, RINGING_MESSAGES, RINGING_TIMERS } from './ringing.js';
import { ROSTER_MESSAGES } from './roster.js';

export { isLive, isTalking } from './callsteps.js';

/** @type {State} */
export const IDLE = { phase: 'idle', call: null, reason: null, missed: null, over: {} };

/** What a person, a connection or the broker may put in. @type {Rows} */
const INPUTS = { ...RINGING_INPUTS, ...LINK_INPUTS, ...CONTROLS };

/** What another endpoint may say. @type {Rows} */
const MESSAGES = { ...RINGING_MESSAGES, ...LINK_MESSAGES, ...ROSTER_MESSAGES, ...ASKED };

/** What runs out, by the part of its name before the colon. @type {Rows} */
const TIMERS = { ...RINGING_TIMERS, ...LINK_TIMERS, ...CONTROL_TIMERS };

/**
 * One step.
 *
 * @param {State} state
 * @param {Input} input
 * @param {number} now  ms
 * @returns {Turn}
 */
export function advance(state, input, now) {
  const [after, effects] = take(state, input, now);
  return [after, [...effects, ...holdEffects(state, after)]];
}

/** @param {State} state @param {Input} input @param {number} now @returns {Turn} */
function take(state, input, now) {
  if (input.type === 'message') {
    const row = MESSAGES[input.kind];
    return row ? row(forget(state, now), input, now) : [state, []];
  }
  if (input.type === 'timer') {
    const [kind, ...about] = input.name.split(':');
    const row = TIMERS[kind];
    return row ? row(state, { about: about.join(':') }, now) : [state, []];
  }
  const row = INPUTS[input.type];
  return row ? row(state, input, now) : [state, []];
}
