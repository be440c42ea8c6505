// @ts-check
/**
 * What happens to the connections of a call, row by row: by themselves, by the far side, in time.
 *
 * @typedef {import('./call.js').Effect} Effect
 * @typedef {import('./call.js').Link} Link
 * @typedef {import('./call.js').Rows} Rows
 * @typedef {import('./call.js').State} State
 * @typedef {import('./call.js').Turn} Turn
 */

import { cancel, end, goodbye, inTurn, invite, isLive, send, sendTo, settle } from './callsteps.js';
import { ownState } from './controls.js';
import {
  HOST,
  LOST_PATIENCE_S,
  becomeVideo,
  idOf,
  openLink,
  openMedia,
  reconnectTimers,
  seekAgain,
  seekAll,
  senderOf,
  whereto,
  widen,
  withLink,
  withPhase,
} from './links.js';

const MAX_KEPT = 8;

/** Offers, answers and candidates are for who has taken the call. @param {State} state */
const isMeeting = ({ phase }) =>
  phase === 'connecting' || phase === 'in_call' || phase === 'reconnecting';

/** @type {Rows} */
export const LINK_INPUTS = {
  /** Our description of a connection is ready. */
  described(state, { link: id, generation, description }, now) {
    const { phase, call } = state;
    const link = call?.links[id];
    if (!call || !link || !isLive(state)) return [state, []];
    const introduced = { ...withLink(call, { ...link, introduced: true }) };
    const { type } = description;
    if (phase === 'outgoing') {
      const offered = { ...introduced, offer: description };
      return [{ ...state, call: offered }, [invite(offered, now)]];
    }
    if (generation !== link.generation && generation !== link.next) return [state, []];
    if (id === HOST && call.direction === 'incoming' && !call.accepted) {
      const body = { [type]: description, custom_data: null };
      return [{ ...state, call: { ...introduced, accepted: true } }, [send(call, 'accept', body)]];
    }
    if (type === 'offer' && !link.introduced) {
      const join = sendTo(whereto(call, id), 'join', { offer: description });
      return [{ ...state, call: introduced }, [join]];
    }
    const again = generation === link.next ? 'reconnect' : (link.why ?? 'reconnect');
    const reason = type === 'offer' ? { reason: again } : {};
    const body = { [type]: description, generation, ...reason };
    return [{ ...state, call: introduced }, [sendTo(whereto(call, id), type, body)]];
  },

  candidate(state, { link: id, generation, candidate }) {
    const { call } = state;
    if (!call?.links[id] || !isLive(state)) return [state, []];
    return [state, [sendTo(whereto(call, id), 'candidate', { candidate, generation })]];
  },

  /** Both descriptions are in force: what the connection carries from here. */
  agreed(state, { link: id, generation, video, screen }) {
    const { call } = state;
    const link = call?.links[id];
    if (!call || !link || !isLive(state)) return [state, []];
    if (generation !== link.generation && generation !== link.next) return [state, []];
    const agreed = { ...state, call: withLink(call, { ...link, video, screen }) };
    const lacks = call.sharing && screen === 'none';
    return lacks ? widen(agreed, id, 'screen_share') : [agreed, []];
  },

  connected(state, { link: id, generation }, now) {
    const { call } = state;
    const link = call?.links[id];
    if (!call || !link || !isMeeting(state)) return [state, []];
    const replaced = generation === link.next;
    if (!replaced && generation !== link.generation) return [state, []];
    /** @type {Link} */
    const on = {
      ...link,
      generation,
      next: replaced ? null : link.next,
      why: replaced ? null : link.why,
      then: replaced ? null : link.then,
      state: 'connected',
      met: true,
    };
    const talking = { ...withLink(call, on), answered_at: call.answered_at ?? now };
    /** @type {Effect[]} */
    const effects = ['connect', 'lost', 'give_up'].map((name) => ({
      do: 'stop_timer',
      name: `${name}:${id}`,
    }));
    if (replaced || !link.met) effects.push(settle(whereto(call, id), 'accept', 'join', 'offer'));
    if (replaced) effects.push({ do: 'close_media', link: id, generation: link.generation });
    if (!link.met) effects.push(sendTo(whereto(call, id), 'state', ownState(talking)));
    return [withPhase({ ...state, call: talking }), effects];
  },

  /** We reach the broker again. */
  reachable: (state) => seekAll(state),

  /** Nothing comes any more, and that for two seconds already: it may come back by itself, or be replaced. */
  disconnected(state, { link: id, generation }) {
    const link = state.call?.links[id];
    if (link?.state !== 'connected' || generation !== link.generation) return [state, []];
    return lose(state, id, 0);
  },

  failed(state, { link: id, generation }, now) {
    const { phase, call } = state;
    const link = call?.links[id];
    if (!call || !link || !isLive(state)) return [state, []];
    if (generation === link.next) {
      const dropped = withLink(call, { ...link, next: null });
      return [{ ...state, call: dropped }, [{ do: 'close_media', link: id, generation }]];
    }
    if (generation !== link.generation || link.state === 'lost') return [state, []];
    if (link.met || id !== HOST) return lose(state, id, link.met ? 0 : LOST_PATIENCE_S);
    if (phase === 'outgoing') return end(state, 'failed', now, [cancel(call, 'cancelled')]);
    return end(state, 'failed', now, goodbye(call, 'failed'));
  },
};

/** @param {State} state @param {string} id @param {number} patience_s @returns {Turn} */
function lose(state, id, patience_s) {
  const { call } = state;
  const link = call?.links[id];
  if (!call || !link) return [state, []];
  const lost = withLink(call, { ...link, state: 'lost' });
  return [withPhase({ ...state, call: lost }), reconnectTimers(id, patience_s)];
}

/** @type {Rows} */
export const LINK_TIMERS = {
  /** It never came about: without the host there is no call, the others are sought again. */
  connect(state, { about: id }, now) {
    const { call } = state;
    if (!call || !isMeeting(state)) return [state, []];
    const link = call.links[id];
    if (id === HOST && !link?.met) return end(state, 'failed', now, goodbye(call, 'failed'));
    return link && !link.met ? lose(state, id, 0) : [state, []];
  },

  /** It did not come back by itself. */
  lost(state, { about: id }) {
    const link = state.call?.links[id];
    return isLive(state) && link?.state === 'lost' ? seekAgain(state, id) : [state, []];
  },

  give_up(state, { about: id }, now) {
    const { call } = state;
    if (!call || !isLive(state) || call.links[id]?.state !== 'lost') return [state, []];
    return end(state, 'connection_closed', now, goodbye(call, 'failed'));
  },
};

/** @type {Rows} */
export const LINK_MESSAGES = {
  /** Somebody who came later wants a connection; who is not listed yet has to wait for that. */
  join(state, input) {
    const { call } = state;
    const { offer } = input.body;
    if (!call || !offer || !isMeeting(state)) return [state, []];
    const { from: uid, endpoint, call_id } = input;
    const id = idOf(call, uid, endpoint);
    if (id === HOST) return [state, []];
    const whom = { uid, endpoint, call_id };
    if (senderOf(call, input)) return openLink(state, id, whom, offer);
    if (Object.keys(call.kept).length >= MAX_KEPT) return [state, []];
    return [{ ...state, call: { ...call, kept: { ...call.kept, [id]: { ...whom, offer } } } }, []];
  },

  answer(state, input) {
    const { call } = state;
    const id = call && senderOf(call, input);
    const link = id && call.links[id];
    if (!link || !isLive(state) || !link.i_offer) return [state, []];
    const generation = input.body.generation ?? 1;
    if (generation !== link.generation && generation !== link.next) return [state, []];
    /** @type {Effect[]} */
    const effects = [
      settle(whereto(call, id), 'accept', 'join', 'offer'),
      { do: 'take_answer', link: id, generation, answer: input.body.answer },
    ];
    if (generation === link.next) return [state, effects];
    const settled = { ...state, call: withLink(call, { ...link, why: null, then: null }) };
    const then = /** @type {'screen_share' | null} */ (link.then);
    if (!then) return [settled, effects];
    const [next, widening] = widen(settled, id, then);
    return [next, [...effects, ...widening]];
  },

  /** Only who offered first ever offers: where that was us, an offer has no row. */
  offer(state, input) {
    const { call } = state;
    const id = call && senderOf(call, input);
    const link = id && call.links[id];
    if (!link || !isMeeting(state) || link.i_offer) return [state, []];
    const { offer, reason } = input.body;
    const generation = input.body.generation ?? 1;
    const answering = openMedia(call, id, generation, offer);
    if (generation === link.generation + 1) {
      return [{ ...state, call: withLink(call, { ...link, next: generation }) }, [answering]];
    }
    if (generation !== link.generation) return [state, []];
    if (reason !== 'switch_to_video') return [state, [answering]];
    const seen = { ...state, call: withLink(call, { ...link, video: true }) };
    return inTurn(seen, becomeVideo, (at) => [at, [answering]]);
  },

  /** They may come before the call is taken, and before who sends them is listed: media keeps them. */
  candidate(state, input) {
    const { call } = state;
    if (!call || !isLive(state)) return [state, []];
    const waiting = idOf(call, input.from, input.endpoint);
    const id = senderOf(call, input) ?? (call.kept[waiting] ? waiting : null);
    if (!id) return [state, []];
    const { candidate, generation } = input.body;
    const taken = { link: id, generation: generation ?? 1, candidate: candidate ?? null };
    return [state, [{ do: 'take_candidate', ...taken }]];
  },
};
