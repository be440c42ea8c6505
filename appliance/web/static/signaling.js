// @ts-check
/**
 * The link to the broker: this endpoint's presence, its inbox, and its outbox with repeats.
 *
 * Each connection is a client of its own with a new epoch: nothing that an earlier one left behind
 * is ever delivered. What waits in the outbox is stamped for whoever is there when it goes out, and what the
 * broker has not acknowledged goes out anew with the next connection, under the same id.
 *
 * @typedef {import('./envelope.js').Self} Self
 * @typedef {{uid: string, endpoint: string | null}} Address
 * @typedef {'connecting' | 'connected' | 'away' | 'refused' | 'broken' | 'revoked'} Link
 * @typedef {{from: string, endpoint: string, call_id: string, kind: string, body: any}} Received
 *
 * @typedef {object} Outgoing
 * @property {string} id
 * @property {Address} to
 * @property {string} call_id
 * @property {string} kind
 * @property {any} body
 * @property {number} ttl_s
 * @property {number} born  by the monotonic clock, ms
 * @property {number} sent_at  Unix ms
 * @property {number} [sent]  when it last went out, by the monotonic clock, ms
 * @property {boolean} [again]  it is for the next connection: sent once its receiver is known to be there
 *
 * @typedef {object} Broker
 * @property {string} url  of its WebSocket listener
 * @property {string} root
 * @property {4 | 5} version  MQTT 3.1.1 or 5: a client cannot find out by itself
 * @property {string} [username]
 * @property {string} [password]
 *
 * @typedef {object} Listener
 * @property {(message: Received) => void} onMessage
 * @property {(link: Link, retry_s: number | null) => void} onLink
 * @property {(uid: string, endpoint: string, online: boolean) => void} onPresence
 * @property {(code: string, sentence: string) => void} onFault
 * @property {(about: {call_id: string, kid: string, may: string[] | null, error: string | null}) => void} [onPaired]
 *   what a device says of a key of ours
 */

import { Answers, isLastWord, isRepeated } from './answers.js';
import { Comings } from './comings.js';
import { Gatekeeper, MAX_BYTES, MAX_SEALED, enclose, randomId } from './envelope.js';
import { tabMark } from './identity.js';
import { Intake } from './intake.js';
import { OwnPresence } from './ownpresence.js';
import { MAX_SENDERS, Refusals, remember } from './shares.js';
import { OtherKey, PLAIN } from './trust.js';

const REPEAT_MS = 1000;
const MAX_BACKOFF_S = 15;
/** So many tries, of a few minutes together, are made more often. */
const IMPATIENT_TRIES = 60;
const IMPATIENT_BACKOFF_S = 3;
const CONNECT_TIMEOUT_MS = 5000;
const KEEPALIVE_S = 5;
/** So soon a broker answers that is asked whether it is there. */
const PROBE_MS = 1500;
const NOT_AUTHORIZED = new Set([4, 5, 134, 135]);
/**
 * Written with QoS 1, read with QoS 0: of QoS 1 a broker keeps so much for a reader that is slow, and drops what comes
 * then, so that one sender's flood pushes out another's `end`. With a clean start it has nothing to say that TCP does not.
 */
const RECEIVED = { qos: 0 };
const MAX_ENDPOINTS = 32;
const MAX_PRESENCE = 4 * 1024;

export class Signaling {
  /** @type {any} */ #mqtt = null;
  /** @type {any} */ #client = null;
  /** @type {Link} */ #link = 'connecting';
  /** @type {Map<string, Map<string, string | null>>} epochs of online endpoints, by uid */
  #presence = new Map();
  /** @type {Map<string, string | null>} epochs as the host's list tells them: pages may not look at one another */
  #listed = new Map();
  /** @type {Map<string, Map<string, string | null>>} of whoever was met in this connection, also of who is gone */
  #epochs_seen = new Map();
  /** @type {Outgoing[]} */ #outbox = [];
  #answers = new Answers();
  /** @type {number | undefined} */ #retry;
  /** @type {number | undefined} */ #repeat;
  /** @type {number | undefined} */ #probing;
  #attempts = 0;
  #closed = false;
  /** Payloads are sealed one after the other, so that none overtakes; they are opened so by the intake. */
  #turn = Promise.resolve();

  /**
   * @param {Self & {name: string}} self
   * @param {Broker} broker
   * @param {string[]} watched  uids whose presence is followed from the start
   * @param {() => number} next_seq  rises, over reloads of this endpoint too
   * @param {Listener} listener
   * @param {import('./trust.js').Trust} trust
   */
  constructor(self, broker, watched, next_seq, listener, trust = PLAIN) {
    this.self = self;
    this.broker = broker;
    this.watched = new Set(watched);
    this.next_seq = next_seq;
    this.listener = listener;
    this.trust = trust;
    this.gatekeeper = new Gatekeeper(self, trust.strict);
    this.refusals = new Refusals(listener.onFault);
    this.intake = new Intake(
      (from, text) => this.#takeMessage(from, text),
      (from) => this.trust.knows(from),
      (from) => this.#refuse('flooded', `${from} sends more than is looked at.`),
    );
    this.comings = new Comings(
      (uid, endpoint, text) => this.#takePresence(uid, endpoint, text),
      (uid) => this.#refuse('flooded', `${uid} comes and goes too often; it is looked at later.`),
    );
    this.own_presence = new OwnPresence(
      () => this.#link === 'connected' && this.#announce(),
      () => this.#refuse('presence_taken', 'Somebody else goes on writing the presence of this page.'),
    );
  }

  /** Connect, and from then on stay connected. */
  async connect() {
    window.clearTimeout(this.#retry);
    if (this.#closed) return;
    this.#say('connecting', null);
    try {
      this.#mqtt ??= (await import('./vendor/mqtt.esm.js')).default;
    } catch {
      this.#say('broken', null);
      return;
    }
    if (this.#client || this.#closed) return;
    const { url, version, username, password } = this.broker;
    const client = this.#mqtt.connect(url, {
      protocolVersion: version,
      // always the same: a broker that still holds our dead connection drops it for this one
      clientId: `${`${this.self.uid}-${this.self.endpoint}`.slice(0, 128)}-${tabMark()}`,
      clean: true,
      reconnectPeriod: 0,
      resubscribe: false,
      connectTimeout: CONNECT_TIMEOUT_MS,
      keepalive: KEEPALIVE_S,
      username,
      password,
      will: { topic: this.#presenceTopic(), payload: OFFLINE, qos: 1, retain: true },
    });
    this.#client = client;
    let refused = false;
    client.on('connect', () => this.#arrive(client));
    client.on(
      'message',
      (/** @type {string} */ topic, /** @type {any} */ payload, /** @type {any} */ packet) => {
        if (client === this.#client) this.#take(topic, payload, Boolean(packet.retain));
      },
    );
    client.on('error', (/** @type {any} */ error) => {
      refused ||= NOT_AUTHORIZED.has(error.code);
      client.end(true);
    });
    client.on('close', () => {
      if (client === this.#client) this.#lose(client, refused);
    });
  }

  /** Do not wait for the next try. */
  retryNow() {
    if (this.#client === null) this.connect();
  }

  /** The network may be another one, or gone: ask the broker, and do not wait for its silence to be noticed. */
  probe() {
    const client = this.#client;
    if (this.#link !== 'connected' || !client || this.#probing !== undefined) return;
    this.#probing = window.setTimeout(() => {
      this.#probing = undefined;
      if (client === this.#client) this.#lose(client, false);
    }, PROBE_MS);
    this.#announce(() => {
      window.clearTimeout(this.#probing);
      this.#probing = undefined;
    });
  }

  /** Follow the presence of somebody, to be able to answer. @param {string} uid */
  watch(uid) {
    if (this.watched.has(uid) || this.watched.size >= MAX_SENDERS) return;
    this.watched.add(uid);
    if (this.#link === 'connected') this.#client.subscribe(this.#watchTopic(uid), RECEIVED);
  }

  /** An online endpoint of a uid, or null. @param {string} uid */
  endpointOf(uid) {
    const [first] = this.#presence.get(uid)?.keys() ?? [];
    return first ?? null;
  }

  /**
   * Send a message; invite, accept, join and offer again each second until settled or too old.
   *
   * @param {Address} to @param {string} call_id @param {string} kind @param {any} body @param {number} ttl_s
   */
  send(to, call_id, kind, body, ttl_s) {
    const [born, sent_at] = [performance.now(), Date.now()];
    const again = this.#link !== 'connected';
    const message = { id: randomId(), to, call_id, kind, body, ttl_s, born, sent_at, again };
    this.#outbox.push(message);
    this.#answers.sent(message);
    this.#flush();
  }

  /** It was answered: repeat it no more. @param {Address} to @param {string} call_id @param {string[]} kinds */
  settle(to, call_id, kinds) {
    this.#outbox = this.#outbox.filter(
      (m) => m.call_id !== call_id || !kinds.includes(m.kind) || !isSame(m.to, to),
    );
  }

  /** The host's list tells where others are. @param {{uid: string, endpoint: string, epoch: string | null, key: string | null}[]} who */
  know(who) {
    this.trust.know(who);
    this.#listed = new Map(who.map(({ uid, endpoint, epoch }) => [`${uid}/${endpoint}`, epoch]));
  }

  /** The call is over: nothing of it is to be sent any more but last words. @param {string} call_id */
  forget(call_id) {
    this.#outbox = this.#outbox.filter((m) => m.call_id !== call_id || isLastWord(m.kind));
  }

  /** The page goes away: what was just sent goes first. What does not, the broker's Will covers. */
  close() {
    this.#closed = true;
    window.clearTimeout(this.#retry);
    window.clearInterval(this.#repeat);
    this.own_presence.forget();
    const client = this.#client;
    this.#turn = this.#turn.then(() => {
      this.#client = null;
      if (client?.connected) {
        client.publish(this.#presenceTopic(), OFFLINE, { qos: 1, retain: true });
      }
      client?.end();
    });
  }

  // -------------------- the connection

  /** @param {any} client */
  async #arrive(client) {
    this.gatekeeper.begin();
    this.#epochs_seen.clear();
    const { root } = this.broker;
    try {
      await client.subscribeAsync(`${root}/call/${this.self.uid}/+`, RECEIVED);
    } catch {
      // still connected: it was the broker that said no
      if (client === this.#client) this.#lose(client, client.connected);
      return;
    }
    if (client !== this.#client || this.#closed) return;
    for (const uid of this.watched) client.subscribe(this.#watchTopic(uid), RECEIVED);
    client.subscribe(this.#presenceTopic(), RECEIVED);
    this.#announce();
    this.#attempts = 0;
    this.#say('connected', null);
    this.#repeat = window.setInterval(() => this.#flush(), REPEAT_MS);
    this.#flush();
  }

  /** @param {() => void} [heard]  called when the broker has it */
  #announce(heard = () => undefined) {
    const presence = {
      v: 1,
      state: 'online',
      epoch: this.gatekeeper.epoch,
      name: this.self.name,
      kid: this.trust.kid,
    };
    const payload = JSON.stringify(presence);
    this.own_presence.said(payload);
    this.#client.publish(this.#presenceTopic(), payload, { qos: 1, retain: true }, heard);
  }

  /** @param {any} client @param {boolean} refused */
  #lose(client, refused) {
    window.clearTimeout(this.#probing);
    this.#probing = undefined;
    client.end(true);
    this.#client = null;
    window.clearInterval(this.#repeat);
    for (const message of this.#outbox) wait(message);
    for (const [uid, endpoints] of this.#presence) {
      for (const endpoint of endpoints.keys()) this.listener.onPresence(uid, endpoint, false);
    }
    this.#presence.clear();
    this.comings.forget();
    this.own_presence.forget();
    if (this.#closed) return;
    if (refused) {
      this.#say('refused', null);
      return;
    }
    // full jitter: after a power cut not every phone of the house comes at once
    const most_s = this.#attempts < IMPATIENT_TRIES ? IMPATIENT_BACKOFF_S : MAX_BACKOFF_S;
    const retry_s = Math.random() * Math.min(most_s, 0.5 * 2 ** this.#attempts);
    this.#attempts += 1;
    this.#say('away', retry_s);
    this.#retry = window.setTimeout(() => this.connect(), retry_s * 1000);
  }

  /** @param {Link} link @param {number | null} retry_s */
  #say(link, retry_s) {
    this.#link = link;
    this.listener.onLink(link, retry_s);
  }

  // -------------------- in

  /** @param {string} code @param {string} sentence */
  #refuse(code, sentence) {
    this.refusals.add(code, sentence, performance.now());
  }

  /** @param {string} topic @param {{toString(): string, length: number}} payload @param {boolean} retained */
  #take(topic, payload, retained) {
    if (topic === this.#presenceTopic()) {
      // what was kept there is of before this connection, which has overwritten it
      if (!retained) this.own_presence.heard(payload.toString());
      return;
    }
    const [kind, owner, from] = topic.slice(this.broker.root.length + 1).split('/');
    const of_presence = kind === 'presence';
    // a broker may send what nobody has asked for
    if (of_presence ? !this.watched.has(owner) : kind !== 'call') return;
    if (!of_presence && retained) {
      this.#refuse('retained', `A retained message from ${from} was refused.`);
      return;
    }
    const at_most = of_presence ? MAX_PRESENCE : this.trust.strict ? MAX_SEALED : MAX_BYTES;
    if (payload.length > at_most) {
      this.#refuse('too_large', `A message of ${payload.length} bytes on ${topic} was refused.`);
      return;
    }
    const now = performance.now();
    if (of_presence) this.comings.offer(owner, from, payload.toString(), now);
    else this.intake.offer(from, payload.toString(), now);
  }

  /** @param {string} from @param {string} text */
  async #takeMessage(from, text) {
    let opened = null;
    try {
      opened = await this.trust.open(from, text);
    } catch (error) {
      const code = error instanceof OtherKey ? 'other_key' : 'unverifiable';
      this.#refuse(code, `A message from ${from} was not believed: ${error}.`);
      return;
    }
    const verdict = this.gatekeeper.judge(from, opened);
    if ('ignored' in verdict && verdict.ignored === 'duplicate') this.#answerAgain(from, opened);
    if ('fault' in verdict) {
      this.#refuse(verdict.fault, `A message from ${from} was refused: ${verdict.fault}.`);
    }
    if (!('envelope' in verdict)) return;
    const { endpoint, call_id, type, body } = verdict.envelope;
    if (type === 'paired') {
      const { kid, may = null, error = null } = body;
      this.listener.onPaired?.({ call_id, kid, may, error });
      return;
    }
    this.watch(from);
    this.listener.onMessage({ from, endpoint, call_id, kind: type, body });
  }

  /**
   * It was acted on once, and is asked once more: the answer was lost on its way.
   *
   * @param {string} from @param {import('./envelope.js').Envelope} asked
   */
  #answerAgain(from, { endpoint, call_id, type }) {
    const answer = this.#answers.to({ uid: from, endpoint }, call_id, type, performance.now());
    if (!answer) return;
    answer.sent = undefined;
    if (!this.#outbox.includes(answer)) this.#outbox.push(answer);
    this.#flush();
  }

  /** @param {string} uid @param {string} endpoint @param {string} text */
  #takePresence(uid, endpoint, text) {
    let presence = null;
    try {
      presence = presenceOf(text);
    } catch {
      this.#refuse('malformed', `The presence of ${uid} cannot be read.`);
    }
    const online = presence !== null;
    const endpoints = this.#presence.get(uid) ?? new Map();
    if (online && !endpoints.has(endpoint) && endpoints.size >= MAX_ENDPOINTS) {
      this.#refuse('flooded', `${uid} has more than ${MAX_ENDPOINTS} endpoints online.`);
      return;
    }
    this.#presence.set(uid, endpoints);
    if (online) this.#meet(uid, endpoint, presence.epoch);
    const is_news = online && endpoints.get(endpoint) !== presence.epoch;
    if (is_news) {
      // who had lost its own connection may have lost what was said to it there
      const said = this.#answers.lastWordsTo({ uid, endpoint }, performance.now());
      this.#outbox.push(...said.filter((m) => !this.#outbox.includes(m)));
      for (const m of this.#outbox) if (isOf(m.to, uid, endpoint)) m.sent = undefined;
    }
    if (online) endpoints.set(endpoint, presence.epoch);
    else endpoints.delete(endpoint);
    this.listener.onPresence(uid, endpoint, online);
    if (online) this.#flush();
  }

  /**
   * Who has connected anew may have restarted with a clock that is behind, and count from lower than before:
   * it is given a new epoch of ours, so that it need not, and nothing old is believed for it. Only where it has
   * counted in the present one: two pages that see each other would answer a new epoch by a new one without end.
   *
   * @param {string} uid @param {string} endpoint @param {string | null} epoch
   */
  #meet(uid, endpoint, epoch) {
    const seen = this.#epochs_seen.get(uid) ?? new Map();
    this.#epochs_seen.set(uid, seen);
    const before = seen.get(endpoint);
    remember(seen, endpoint, epoch, 2 * MAX_ENDPOINTS);
    if (before === undefined || before === epoch || this.#link !== 'connected') return;
    if (!this.gatekeeper.hasCounted(uid, endpoint)) return;
    this.gatekeeper.renew();
    this.#announce();
  }

  // -------------------- out

  /** Send what is due; it stays until it is settled or, where nothing settles it, acknowledged; too old goes. */
  #flush() {
    const now = performance.now();
    this.#outbox = this.#outbox.filter((m) => now - m.born < m.ttl_s * 1000);
    if (this.#link !== 'connected') return;
    for (const message of this.#outbox) if (this.#isDue(message, now)) this.#publish(message, now);
  }

  /** @param {Outgoing} message @param {number} now */
  #isDue(message, now) {
    const { sent, to, kind, again } = message;
    if (sent !== undefined) return isRepeated(kind) && now - sent >= REPEAT_MS * 0.9;
    // under an epoch of before it would be refused
    return !again || to.endpoint === null || this.#isKnown(to);
  }

  /** @param {Address} to */
  #isKnown({ uid, endpoint }) {
    const present = endpoint !== null && this.#presence.get(uid)?.has(endpoint);
    return present || this.#listed.has(`${uid}/${endpoint}`);
  }

  /** @param {Outgoing} message @param {number} now */
  #publish(message, now) {
    message.sent = now;
    message.again = false;
    const { to, ttl_s } = message;
    const epoch = this.#epochOf(to);
    // a repeat is the same message in a new place: behind what overtook a lost first copy
    const placed = { ...message, seq: this.next_seq() };
    const envelope = enclose(this.self, { ...to, epoch }, placed, message.sent_at);
    const left_s = Math.max(1, Math.ceil(ttl_s - (now - message.born) / 1000));
    const expiry =
      this.broker.version === 5 ? { properties: { messageExpiryInterval: left_s } } : {};
    const topic = `${this.broker.root}/call/${to.uid}/${this.self.uid}`;
    const client = this.#client;
    this.#turn = this.#turn.then(async () => {
      const payload = await this.trust.seal(envelope);
      if (!client.connected) return; // it goes out with the next connection
      client.publish(topic, payload, { qos: 1, ...expiry }, (/** @type {any} */ error) => {
        if (!error) this.#acknowledged(message);
      });
    });
  }

  /** The broker has it. @param {Outgoing} message */
  #acknowledged(message) {
    if (!isRepeated(message.kind)) this.#outbox = this.#outbox.filter((m) => m !== message);
  }

  /** @param {Address} to @returns {string | null} */
  #epochOf({ uid, endpoint }) {
    if (endpoint === null) return null;
    return this.#presence.get(uid)?.get(endpoint) ?? this.#listed.get(`${uid}/${endpoint}`) ?? null;
  }

  #presenceTopic() {
    return `${this.broker.root}/presence/${this.self.uid}/${this.self.endpoint}`;
  }

  /** @param {string} uid */
  #watchTopic(uid) {
    return `${this.broker.root}/presence/${uid}/+`;
  }
}

/** An endpoint that is not known yet may be any. @param {Address} one @param {Address} other */
const isSame = (one, other) =>
  one.uid === other.uid &&
  (one.endpoint === null || other.endpoint === null || one.endpoint === other.endpoint);

/** The connection is gone: what the broker has not acknowledged is due with the next. @param {Outgoing} message */
function wait(message) {
  message.sent = undefined;
  message.again = true;
}

/** @param {Address} to @param {string} uid @param {string} endpoint */
const isOf = (to, uid, endpoint) => to.uid === uid && to.endpoint === endpoint;

/** Who is there, by which connection; null: nobody. Throws for what is no presence. @param {string} text */
function presenceOf(text) {
  const { state, epoch = null } = text === '' ? { state: 'offline' } : JSON.parse(text);
  const known = state === 'online' || state === 'offline';
  if (!known || !(epoch === null || typeof epoch === 'string')) throw new Error('no presence');
  return state === 'online' ? { epoch } : null;
}

const OFFLINE = JSON.stringify({ v: 1, state: 'offline' });
