// @ts-check
/**
 * The envelope around every message: making one, and deciding whether one that came is believed.
 *
 * @typedef {object} Envelope
 * @property {1} v
 * @property {string} id
 * @property {string} type
 * @property {string} call_id
 * @property {string} from
 * @property {string} to
 * @property {string} endpoint
 * @property {string | null} to_endpoint
 * @property {string | null} epoch  the receiving endpoint's
 * @property {number} seq
 * @property {number} sent_at  Unix ms
 * @property {number} ttl_s
 * @property {'synced' | 'unknown'} clock
 * @property {any} body
 *
 * @typedef {{uid: string, endpoint: string}} Self
 * @typedef {'malformed' | 'misaddressed' | 'stale' | 'replayed' | 'flooded'} Fault
 * @typedef {{fault: Fault} | {ignored: 'other_endpoint' | 'duplicate'} | {envelope: Envelope}} Verdict
 */

export const MAX_BYTES = 32 * 1024;
/** Signed, the same text is a third longer, and has a header and a signature. */
export const MAX_SEALED = Math.floor((MAX_BYTES * 4) / 3) + 512;
/** Of one sender: nobody's flood has anything forgotten that somebody else has said. */
const MAX_REMEMBERED = 2000;
const MAX_LINES = 64;
/** More than anybody has contacts; whose word is believed has to be one, or listed by one. */
const MAX_SENDERS = 256;
const MAX_EPOCHS = 4;
const ID = /^[a-z0-9_-]{1,64}$/;

/** 128 random bits, as an id; unlike `randomUUID` this is there without TLS too. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * An envelope ready to be sealed. A browser does not know whether its clock is right, so it says so.
 *
 * @param {Self} self
 * @param {{uid: string, endpoint: string | null, epoch: string | null}} to
 * @param {{id: string, call_id: string, kind: string, body: any, ttl_s: number, seq: number}} message
 * @param {number} now  Unix ms
 * @returns {Envelope}
 */
export function enclose(self, to, { id, call_id, kind, body, ttl_s, seq }, now) {
  return {
    v: 1,
    id,
    type: kind,
    call_id,
    from: self.uid,
    to: to.uid,
    endpoint: self.endpoint,
    to_endpoint: to.endpoint,
    epoch: to.epoch,
    seq,
    sent_at: now,
    ttl_s,
    clock: 'unknown',
    body,
  };
}

/** What one sender has said: ids that were acted on, and the highest number of each line. */
class Memory {
  /** @type {Set<string>} */
  acted_on = new Set();
  /** @type {Map<string, number>} */
  highest = new Map();
}

/** What one endpoint has already seen, and with that what it believes. */
export class Gatekeeper {
  /** @type {Map<string, Memory>} by whom the broker, and where it is signed the key, vouches for */
  #of = new Map();

  /** @type {string[]} of the present connection too: what is counted under them goes on to be counted */
  #former = [];

  /**
   * @param {Self} self
   * @param {boolean} strict  whether a message has to say for which connection it is
   */
  constructor(self, strict = false) {
    this.self = self;
    this.strict = strict;
    /** Of the present connection: what was meant for an earlier one is refused. */
    this.epoch = '';
  }

  /** A connection has begun: nothing that was meant for an earlier one counts. */
  begin() {
    this.#former = [];
    this.epoch = randomId();
    this.#forgetFormer();
  }

  /**
   * Somebody who had counted begins anew, perhaps at a lower number: from now on it counts for another epoch.
   * What is under way to the one before is still good, and still counted there.
   */
  renew() {
    this.#former = [this.epoch, ...this.#former].slice(0, MAX_EPOCHS - 1);
    this.epoch = randomId();
    this.#forgetFormer();
  }

  /**
   * Whether an endpoint has been believed under the present epoch: begun anew, it might count from lower there.
   *
   * @param {string} from  its uid
   * @param {string} endpoint
   */
  hasCounted(from, endpoint) {
    const lines = [...(this.#of.get(from)?.highest.keys() ?? [])].map((line) => line.split(' '));
    return lines.some(([counted, epoch]) => counted === endpoint && epoch === this.epoch);
  }

  /** What nothing is believed under any more need not be counted under. */
  #forgetFormer() {
    for (const { highest } of this.#of.values()) {
      for (const line of highest.keys()) {
        const epoch = line.split(' ')[1];
        const counts = epoch === 'null' || epoch === this.epoch || this.#former.includes(epoch);
        if (!counts) highest.delete(line);
      }
    }
  }

  /**
   * @param {string} from  the uid that the topic names, which the broker vouches for
   * @param {any} envelope
   * @returns {Verdict}
   */
  judge(from, envelope) {
    if (!isWellFormed(envelope)) return { fault: 'malformed' };
    if (envelope.from !== from || envelope.to !== this.self.uid) return { fault: 'misaddressed' };
    const { to_endpoint, epoch, endpoint, id, seq } = envelope;
    if (to_endpoint !== null && to_endpoint !== this.self.endpoint) {
      return { ignored: 'other_endpoint' };
    }
    if (!this.#isOfNow(epoch ?? null, envelope.type)) return { fault: 'stale' };
    const memory = this.#of.get(from) ?? new Memory();
    if (memory.acted_on.has(id)) return { ignored: 'duplicate' };
    const line = `${endpoint} ${epoch} ${to_endpoint}`;
    if (seq <= (memory.highest.get(line) ?? -1)) return { fault: 'replayed' };
    if (this.strict && this.#isFull(from, memory, line)) return { fault: 'flooded' };
    memory.highest.set(line, seq);
    forgetOldest(memory.highest, MAX_LINES);
    memory.acted_on.add(id);
    forgetOldest(memory.acted_on, MAX_REMEMBERED);
    this.#of.delete(from); // who has spoken last is forgotten last
    this.#of.set(from, memory);
    forgetOldest(this.#of, MAX_SENDERS);
    return { envelope };
  }

  /** Signed, a number is never forgotten before its epoch is: there is no telling a replay without it. */
  #isFull(/** @type {string} */ from, /** @type {Memory} */ memory, /** @type {string} */ line) {
    const lines = !memory.highest.has(line) && memory.highest.size >= MAX_LINES;
    return lines || (!this.#of.has(from) && this.#of.size >= MAX_SENDERS);
  }

  /** What is about a key carries what it is about: a device answers before it knows the connection. */
  #isOfNow(/** @type {string | null} */ epoch, /** @type {string} */ type) {
    if (epoch === null) return !this.strict || type === 'paired';
    return epoch === this.epoch || this.#former.includes(epoch);
  }
}

/** @param {Map<string, any> | Set<string>} remembered @param {number} at_most */
function forgetOldest(remembered, at_most) {
  if (remembered.size <= at_most) return;
  const [oldest] = remembered.keys();
  remembered.delete(oldest);
}

/** @param {any} x @returns {x is Record<string, any>} */
const isObject = (x) => typeof x === 'object' && x !== null && !Array.isArray(x);
/** @param {any} x @returns {x is string} */
const isText = (x) => typeof x === 'string';
/** @param {any} x */
const isTextOrNull = (x) => x === null || x === undefined || isText(x);
/** @param {any} x */
const isCount = (x) => Number.isSafeInteger(x) && x >= 0;
/** @param {any} x */
const isId = (x) => isText(x) && ID.test(x);
/** @param {string} type @returns {(x: any) => boolean} */
const isDescription = (type) => (x) => isObject(x) && x.type === type && isText(x.sdp);
/** @param {any} x */
const isGeneration = (x) => x === undefined || x === null || (isCount(x) && x >= 1);
/** @param {any} x @param {(x: any) => boolean} check */
const isNothingOr = (x, check) => x === null || x === undefined || check(x);

/** @param {any} x */
const isParticipant = (x) =>
  isObject(x) && isText(x.uid) &&
  isId(x.endpoint) &&
  [x.name, x.epoch, x.key].every(isTextOrNull);

/**
 * What a body has to be before the call's table sees it; fields that no row reads are not looked at.
 *
 * @type {Map<string, (body: Record<string, any>) => boolean>}
 */
const BODIES = new Map(
  /** @type {[string, (body: Record<string, any>) => boolean][]} */ ([
    [
      'invite',
      (b) =>
        isId(b.session_id) &&
        (b.call_type === 'audio' || b.call_type === 'video') &&
        isObject(b.caller) &&
        isText(b.caller.uid) &&
        isTextOrNull(b.caller.name) &&
        Number.isFinite(b.timeout_s) &&
        b.timeout_s > 0 &&
        isNothingOr(b.offer, isDescription('offer')),
    ],
    ['ringing', () => true],
    [
      'accept',
      (b) =>
        isNothingOr(b.answer, isDescription('answer')) &&
        isNothingOr(b.offer, isDescription('offer')) &&
        Boolean(b.answer) !== Boolean(b.offer),
    ],
    ['reject', (b) => b.reason === 'rejected' || b.reason === 'busy'],
    [
      'cancel',
      (b) =>
        ['cancelled', 'timed_out', 'answered_elsewhere', 'rejected_elsewhere'].includes(b.reason) &&
        isNothingOr(b.by, isObject),
    ],
    [
      'end',
      (b) =>
        ['hang_up', 'kicked_out', 'idle', 'failed'].includes(b.reason) && isTextOrNull(b.kicked_by),
    ],
    ['offer', (b) => isDescription('offer')(b.offer) && isGeneration(b.generation)],
    ['answer', (b) => isDescription('answer')(b.answer) && isGeneration(b.generation)],
    [
      'candidate',
      (b) =>
        isGeneration(b.generation) &&
        isNothingOr(b.candidate, (c) => isObject(c) && isText(c.candidate)),
    ],
    ['join', (b) => isNothingOr(b.offer, isDescription('offer'))],
    [
      'participants',
      (b) =>
        isText(b.session_id) &&
        isCount(b.version) &&
        Array.isArray(b.participants) &&
        b.participants.every(isParticipant) &&
        isNothingOr(b.may, Array.isArray),
    ],
    ['state', () => true],
    ['request', (b) => isText(b.request_id) && isText(b.action)],
    ['response', (b) => isText(b.request_id) && typeof b.accepted === 'boolean'],
    ['chat', (b) => isText(b.text)],
    ['dtmf', (b) => isText(b.digits)],
    ['custom', (b) => isText(b.name)],
    [
      'paired',
      (b) => isText(b.kid) && isNothingOr(b.may, Array.isArray) && isTextOrNull(b.error),
    ],
  ]),
);

/** @param {any} e @returns {e is Envelope} */
function isWellFormed(e) {
  return (
    isObject(e) &&
    e.v === 1 &&
    isId(e.id) &&
    isId(e.call_id) &&
    isText(e.from) &&
    isText(e.to) &&
    isId(e.endpoint) &&
    isTextOrNull(e.to_endpoint) &&
    isTextOrNull(e.epoch) &&
    isCount(e.seq) &&
    isObject(e.body) &&
    (BODIES.get(e.type)?.(e.body) ?? false)
  );
}
