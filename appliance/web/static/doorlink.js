// @ts-check
/**
 * The demo's socket to the door station: the local socket's protocol, one JSON text a frame.
 *
 * @typedef {object} CloudEvent
 * @property {string} id
 * @property {string} type
 * @property {string} time
 * @property {string} [subject]
 * @property {string} family
 * @property {Record<string, any>} data
 *
 * @typedef {object} Board  the panel of the `status` object
 * @property {Record<string, {pattern: string, lit: any}>} leds
 * @property {Record<string, 'released' | 'energized'>} relays
 * @property {Record<string, any>} inputs
 * @property {'playing' | 'silent'} chime
 * @property {string[]} [sounds]  what plays
 * @property {string | null} [notice]  what the visitor is told
 * @property {number} [loudspeaker_level]  0 to 1
 *
 * @typedef {object} Listener
 * @property {(up: boolean) => void} onLink
 * @property {(event: CloudEvent) => void} onEvent
 * @property {(board: Board) => void} onBoard
 * @property {(status: any) => void} onStatus
 * @property {(count: number) => void} onDropped
 * @property {(message: string) => void} onRefused
 */

const RETRY_MS = 1500;
const STATUS_REST_MS = 80;

export class DoorLink {
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {Map<number, (reply: any) => void>} */ #asked = new Map();
  /** @type {number | undefined} */ #status_timer;
  #last_id = 0;

  /** @param {string} url @param {Listener} listener */
  constructor(url, listener) {
    this.url = url;
    this.listener = listener;
    this.#open();
  }

  /** Move a button of the simulated board. @param {string} press @param {string} gesture */
  press(press, gesture) {
    this.#ask({ press, gesture });
  }

  /** Plug an output of sound of the simulated board in or out. @param {string} plug @param {boolean} present */
  plug(plug, present) {
    this.#ask({ plug, present });
  }

  #open() {
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    socket.addEventListener('open', () => {
      this.listener.onLink(true);
      this.#ask({ subscribe: ['*'] });
      this.#askStatus();
    });
    socket.addEventListener('message', ({ data }) => this.#take(JSON.parse(data)));
    socket.addEventListener('close', () => {
      this.#asked.clear();
      this.listener.onLink(false);
      window.setTimeout(() => this.#open(), RETRY_MS);
    });
  }

  /** @param {Record<string, any>} what @param {(reply: any) => void} [then] */
  #ask(what, then = () => undefined) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      this.listener.onRefused('The door station cannot be reached.');
      return;
    }
    this.#last_id += 1;
    this.#asked.set(this.#last_id, then);
    this.#socket.send(JSON.stringify({ id: this.#last_id, ...what }));
  }

  #askStatus() {
    this.#ask({ status: true }, ({ result }) => this.listener.onStatus(result));
  }

  /** @param {any} said */
  #take(said) {
    if (said.specversion) {
      this.listener.onEvent(said);
      // a burst of events asks for the status once
      window.clearTimeout(this.#status_timer);
      this.#status_timer = window.setTimeout(() => this.#askStatus(), STATUS_REST_MS);
    } else if (said.board) this.listener.onBoard(said.board);
    else if (said.dropped) this.listener.onDropped(said.dropped);
    else if (said.id !== undefined) {
      const then = this.#asked.get(said.id);
      this.#asked.delete(said.id);
      if (said.ok) then?.(said);
      else this.listener.onRefused(said.error?.message ?? 'The appliance refused that.');
    }
  }
}

/**
 * The essential data of an event, on one line.
 *
 * @param {CloudEvent} event @returns {string}
 */
export function essence({ data }) {
  const words = Object.entries(data ?? {}).flatMap(([key, value]) => {
    const word = essenceOf(key, value);
    return word === null ? [] : [word];
  });
  return words.join('  ·  ');
}

/** @param {string} key @param {any} value @returns {string | null} */
function essenceOf(key, value) {
  if (value === null || value === '' || key.endsWith('session_id')) return null;
  if (key === 'call') return `${value.direction} ${value.type}, ${value.state}`;
  if (key === 'call_id') return null;
  if (key === 'participant' || key === 'callee') return value.name ?? value.uid;
  if (key === 'participants' || key === 'callees') {
    return (
      value
        .map((/** @type {any} */ who) => `${who.name ?? who.uid} ${who.state ?? ''}`.trim())
        .join(', ') || 'nobody'
    );
  }
  if (key.endsWith('duration_s') || key.endsWith('outage_s'))
    return `${Number(value).toFixed(1)} s`;
  if (typeof value === 'boolean') return value ? key : `not ${key}`;
  if (typeof value === 'object') return null;
  return key === 'message' || key === 'text' ? `“${value}”` : `${key} ${value}`;
}
