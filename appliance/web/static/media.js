// @ts-check
/**
 * The peer connections of one call, one or two (while it is replaced) for each remote endpoint.
 *
 * Sound, picture and screen are negotiated both ways from the start, with or without a microphone and
 * a camera: any of them can come later, or go, without another word between the two sides.
 *
 * @typedef {import('./call.js').Description} Description
 * @typedef {{voice: MediaStream, screen: MediaStream}} Remote  microphone and camera; the screen
 * @typedef {{video: boolean, screen: 'none' | 'refused' | 'agreed'}} Agreement
 *
 * @typedef {object} Listener
 * @property {(link: string, generation: number, description: Description) => void} onDescribed
 * @property {(link: string, generation: number, agreement: Agreement) => void} onAgreed
 * @property {(link: string, generation: number, candidate: RTCIceCandidateInit | null) => void} onCandidate
 * @property {(link: string, generation: number, state: 'connected' | 'disconnected' | 'failed') => void} onState
 * @property {(link: string, remote: Remote | null) => void} onRemote  what is to be shown and heard
 * @property {(stream: MediaStream | null) => void} onOwnPicture
 * @property {(on: boolean) => void} onShared
 * @property {(device: 'microphone' | 'camera', exception: string | null) => void} onDevice
 *
 * @typedef {object} Connection
 * @property {string} link
 * @property {number} generation
 * @property {RTCPeerConnection | null} pc  none before it is opened
 * @property {Remote} remote
 * @property {(RTCIceCandidateInit | null)[]} early  candidates that came before their description
 * @property {Promise<void>} turn  one thing after the other
 * @property {boolean} closed
 * @property {boolean} described  ours went out: what is found from now on follows as messages
 * @property {boolean} complete  ... and had every candidate in it
 */

import { Capture, FULL_PICTURE, SCREEN_ENCODING, encodingFor } from './capture.js';
import { Liveness } from './liveness.js';
import { addSections, carries, sectionsOf, takeSections } from './sections.js';

/** How long an answer waits for the browser's question about the microphone. */
const MICROPHONE_PATIENCE_MS = 2000;
/** How long a description waits for candidates; later ones follow as messages. */
const GATHERING_PATIENCE_MS = 500;
/** And where servers are asked, which may be dead. */
const SERVERS_PATIENCE_MS = 100;
/** How long a connection outlives its call. */
const LINGER_MS = 1000;
const MAX_EARLY_CANDIDATES = 64;
const MAX_CONNECTIONS = 64;
/** A level that is older than this says nothing about who speaks. */
const LEVEL_AGE_MS = 1000;

export class Media {
  /** @type {Map<string, Connection>} */ #connections = new Map();
  #liveness = new Liveness();
  /** Those with whom nothing is to pass for now. @type {Set<string>} */ #silenced = new Set();

  /**
   * @param {Listener} listener
   * @param {{iceServers?: RTCIceServer[], limits?: import('./capture.js').CameraLimits | null}} [settings]
   */
  constructor(listener, { iceServers = [], limits = null } = {}) {
    this.listener = listener;
    this.iceServers = iceServers;
    this.capture = new Capture(
      {
        onTracks: () => this.#attachAll(),
        onOwnPicture: (stream) => listener.onOwnPicture(stream),
        onShared: (on) => listener.onShared(on),
        onDevice: (device, exception) => listener.onDevice(device, exception),
      },
      limits ?? FULL_PICTURE,
    );
  }

  /**
   * Make a connection's offer, or the answer to `offer`; the description comes by `onDescribed`.
   * One that stands already is agreed upon anew, with the sections that it lacks.
   *
   * @param {string} link @param {number} generation @param {boolean} video @param {Description | null} offer
   */
  open(link, generation, video, offer) {
    const connection = this.#connection(link, generation);
    return connection
      ? this.#inTurn(connection, () => this.#describe(connection, video, offer))
      : undefined;
  }

  /** @param {string} link @param {number} generation @param {Description} answer */
  takeAnswer(link, generation, answer) {
    const connection = this.#connections.get(key(link, generation));
    if (!connection) return undefined;
    return this.#inTurn(connection, async () => {
      if (connection.pc?.signalingState !== 'have-local-offer') return;
      await this.#takeDescription(connection, answer);
      this.#agree(connection);
    });
  }

  /** Those that come before the connection is there are kept for it. */
  takeCandidate(
    /** @type {string} */ link,
    /** @type {number} */ generation,
    /** @type {RTCIceCandidateInit | null} */ candidate,
  ) {
    const connection = this.#connection(link, generation);
    if (!connection) return;
    if (!connection.pc?.remoteDescription) {
      if (connection.early.length < MAX_EARLY_CANDIDATES) connection.early.push(candidate);
      return;
    }
    connection.pc.addIceCandidate(candidate ?? undefined).catch((error) => {
      console.info('A candidate of the far side was of no use.', error);
    });
  }

  /** Close one connection, all with one endpoint, or everything of the call. */
  close(/** @type {string | null} */ link, /** @type {number | null} */ generation) {
    const left = [...this.#connections.values()].filter(
      (one) =>
        (link === null || one.link === link) &&
        (generation === null || one.generation === generation),
    );
    for (const one of left) {
      one.closed = true;
      this.#connections.delete(key(one.link, one.generation));
      if (one.pc) this.#liveness.forget(one.pc);
    }
    const close = () => left.forEach(({ pc }) => pc?.close());
    // the goodbye takes the longer way, over the broker: it is to be there before the silence
    if (link === null) window.setTimeout(close, LINGER_MS);
    else close();
    if (generation === null) {
      for (const gone of new Set(left.map((one) => one.link))) this.listener.onRemote(gone, null);
      if (link !== null) this.#silenced.delete(link);
    }
    if (link !== null) return;
    this.#silenced.clear();
    this.capture.close();
  }

  /** Send what is said, or silence. @param {boolean} on */
  microphone(on) {
    this.capture.mute(!on);
  }

  /** Send the own picture, or close the camera. @param {boolean} on */
  camera(on) {
    return this.capture.film(on);
  }

  /** Film with the next camera. */
  switchCamera() {
    return this.capture.switchCamera();
  }

  /** Share a screen; from within a click. @param {boolean} on */
  share(on) {
    return this.capture.share(on);
  }

  /** Send somebody silence and no picture, or again what there is. @param {string} link @param {boolean} on */
  silence(link, on) {
    if (on) this.#silenced.add(link);
    else this.#silenced.delete(link);
    return this.#attachAll();
  }

  /** How loud each is, 0 to 1. @returns {Record<string, number>} */
  levels() {
    /** @type {Record<string, number>} */
    const levels = {};
    for (const { link, pc } of this.#connections.values()) {
      const receiver = pc && sectionsOf(pc).audio?.receiver;
      const [source] = receiver?.getSynchronizationSources() ?? [];
      const fresh =
        source && performance.timeOrigin + performance.now() - source.timestamp < LEVEL_AGE_MS;
      levels[link] = Math.max(levels[link] ?? 0, (fresh && source.audioLevel) || 0);
    }
    return levels;
  }

  // -------------------- connections

  /** @param {string} link @param {number} generation @returns {Connection | null} */
  #connection(link, generation) {
    const known = this.#connections.get(key(link, generation));
    if (known || this.#connections.size >= MAX_CONNECTIONS) return known ?? null;
    /** @type {Connection} */
    const connection = {
      link,
      generation,
      pc: null,
      remote: { voice: new MediaStream(), screen: new MediaStream() },
      early: [],
      turn: Promise.resolve(),
      closed: false,
      described: false,
      complete: false,
    };
    this.#connections.set(key(link, generation), connection);
    return connection;
  }

  /** @param {Connection} connection @param {() => Promise<void>} act @returns {Promise<void>} */
  #inTurn(connection, act) {
    connection.turn = connection.turn.then(async () => {
      try {
        if (!connection.closed) await act();
      } catch (error) {
        if (connection.closed) return;
        console.warn('The connection could not be described.', error);
        this.listener.onState(connection.link, connection.generation, 'failed');
      }
    });
    return connection.turn;
  }

  /** @param {Connection} connection @param {boolean} video @param {Description | null} offer */
  async #describe(connection, video, offer) {
    await Promise.race([this.capture.openMicrophone(), after(MICROPHONE_PATIENCE_MS)]);
    if (connection.closed) return;
    const pc = (connection.pc ??= this.#connect(connection));
    if (offer) await this.#takeDescription(connection, offer);
    else addSections(pc, video);
    await this.#attach(connection);
    await pc.setLocalDescription();
    const asks = this.iceServers.length > 0;
    await Promise.race([gathered(pc), after(asks ? SERVERS_PATIENCE_MS : GATHERING_PATIENCE_MS)]);
    const own = pc.localDescription;
    if (connection.closed || !own) return;
    connection.described = true;
    connection.complete = pc.iceGatheringState === 'complete';
    const { link, generation } = connection;
    this.listener.onDescribed(link, generation, /** @type {Description} */ (own.toJSON()));
    if (offer) this.#agree(connection);
  }

  /** @param {Connection} connection */
  #connect(connection) {
    const { link, generation, remote } = connection;
    const pc = new RTCPeerConnection({ iceServers: this.iceServers, bundlePolicy: 'max-bundle' });
    pc.addEventListener('track', ({ track, transceiver }) => {
      const stream = transceiver === sectionsOf(pc).screen ? remote.screen : remote.voice;
      if (!stream.getTracks().some(({ kind }) => kind === track.kind)) stream.addTrack(track);
      if (pc.connectionState === 'connected') this.listener.onRemote(link, remote);
    });
    pc.addEventListener('icecandidate', ({ candidate }) => {
      if (connection.closed || !connection.described || connection.complete) return;
      const found = candidate?.candidate ? candidate.toJSON() : null;
      this.listener.onCandidate(link, generation, found);
    });
    pc.addEventListener('connectionstatechange', () => {
      if (connection.closed) return;
      const state = pc.connectionState;
      if (state === 'connected') {
        this.listener.onRemote(link, remote);
        this.#liveness.watch(pc, (heard) => {
          this.listener.onState(link, generation, heard ? 'connected' : 'disconnected');
        });
      }
      if (state === 'connected' || state === 'disconnected' || state === 'failed') {
        this.listener.onState(link, generation, state);
      }
    });
    return pc;
  }

  /** @param {Connection} connection @param {Description} description */
  async #takeDescription(connection, description) {
    const { pc } = connection;
    if (!pc) return;
    await pc.setRemoteDescription(description);
    if (description.type === 'offer') takeSections(pc);
    for (const candidate of connection.early.splice(0)) {
      await pc.addIceCandidate(candidate ?? undefined).catch(() => undefined);
    }
  }

  /** Both descriptions are in force. @param {Connection} connection */
  #agree({ pc, closed, link, generation }) {
    if (closed || !pc) return;
    const { camera, screen } = sectionsOf(pc);
    this.listener.onAgreed(link, generation, {
      video: carries(camera),
      screen: screen ? (carries(screen, 'send') ? 'agreed' : 'refused') : 'none',
    });
    this.#limit();
  }

  async #attachAll() {
    for (const connection of this.#connections.values()) await this.#attach(connection);
  }

  /** Give a connection's senders what there is for them of microphone, camera and screen. @param {Connection} connection */
  async #attach({ pc, link }) {
    if (!pc) return;
    const { audio, camera, screen } = sectionsOf(pc);
    const { voice, silence, camera: picture, screen: shown } = this.capture;
    const silenced = this.#silenced.has(link);
    await give(pc, audio, silenced ? silence : voice);
    await give(pc, camera, silenced ? null : picture);
    await give(pc, screen, silenced ? null : shown);
  }

  /** No more is sent than the number of receivers allows. */
  #limit() {
    const receivers = new Set([...this.#connections.values()].map(({ link }) => link)).size;
    const encoding = encodingFor(this.capture.limits, receivers);
    for (const { pc } of this.#connections.values()) {
      if (!pc) continue;
      const { camera, screen } = sectionsOf(pc);
      limit(camera, encoding);
      limit(screen, SCREEN_ENCODING);
    }
  }
}

/** @param {string} link @param {number} generation */
const key = (link, generation) => `${link} ${generation}`;

/** @param {RTCPeerConnection} pc @param {RTCRtpTransceiver | undefined} section @param {MediaStreamTrack | null} track */
async function give(pc, section, track) {
  if (!section || section.sender.track === track || pc.signalingState === 'closed') return;
  if (section.direction !== 'stopped') await section.sender.replaceTrack(track);
}

/** @param {RTCRtpTransceiver | undefined} section @param {RTCRtpEncodingParameters} encoding */
function limit(section, encoding) {
  const parameters = section?.sender.getParameters();
  if (!section || !parameters?.encodings.length) return;
  Object.assign(parameters.encodings[0], encoding);
  section.sender.setParameters(parameters).catch((error) => {
    console.info('The picture could not be limited.', error);
  });
}

/** @param {number} delay_ms @returns {Promise<null>} */
const after = (delay_ms) => new Promise((done) => window.setTimeout(() => done(null), delay_ms));

/** @param {RTCPeerConnection} pc @returns {Promise<null>} */
function gathered(pc) {
  return new Promise((done) => {
    const look = () => pc.iceGatheringState === 'complete' && done(null);
    pc.addEventListener('icegatheringstatechange', look);
    look();
  });
}
