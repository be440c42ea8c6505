// @ts-check
/**
 * The page's media: its microphone and camera, and the peer connections of one call.
 *
 * Sound and picture are negotiated both ways from the start, with or without a microphone and a
 * camera: either can come later, or go, without another word between the two sides.
 *
 * @typedef {import('./call.js').Description} Description
 *
 * @typedef {object} Listener
 * @property {(generation: number, description: Description) => void} onDescribed
 * @property {(generation: number, candidate: RTCIceCandidateInit | null) => void} onCandidate
 * @property {(generation: number, state: 'connected' | 'disconnected' | 'failed') => void} onState
 * @property {(stream: MediaStream | null) => void} onRemote  what is to be shown and heard
 * @property {(stream: MediaStream | null) => void} onOwnPicture
 * @property {(device: 'microphone' | 'camera', exception: string | null) => void} onDevice
 *
 * @typedef {object} Connection
 * @property {RTCPeerConnection} pc
 * @property {MediaStream} stream
 * @property {(RTCIceCandidateInit | null)[]} early  candidates that came before their description
 * @property {boolean} described  ours went out: what is found from now on follows as messages
 * @property {boolean} complete  ... and had every candidate in it
 */

/** How long an answer waits for the browser's question about the microphone. */
const MICROPHONE_PATIENCE_MS = 2000;
/** How long a description waits for candidates; later ones follow as messages. */
const GATHERING_PATIENCE_MS = 500;
/** How long a connection outlives its call. */
const LINGER_MS = 1000;
const MAX_EARLY_CANDIDATES = 64;

export class Media {
  /** @type {Map<number, Connection>} */ #connections = new Map();
  /** @type {Promise<MediaStreamTrack | null> | null} */ #microphone = null;
  /** @type {MediaStreamTrack | null} */ #voice = null;
  /** @type {MediaStreamTrack | null} */ #camera = null;
  #muted = false;
  /** Rises when the call's media is closed: what was begun before is then dropped. */
  #call = 0;

  /** @param {Listener} listener @param {RTCIceServer[]} [iceServers] */
  constructor(listener, iceServers = []) {
    this.listener = listener;
    this.iceServers = iceServers;
  }

  /**
   * Make a connection's offer, or the answer to `offer`; the description comes by `onDescribed`.
   *
   * @param {number} generation @param {boolean} video @param {Description | null} offer
   */
  async open(generation, video, offer) {
    const call = this.#call;
    await Promise.race([this.#openMicrophone(), after(MICROPHONE_PATIENCE_MS)]);
    if (call !== this.#call) return;
    const known = offer ? this.#connections.get(generation) : undefined;
    const connection = known ?? this.#connect(generation);
    const { pc } = connection;
    try {
      if (offer) await this.#takeDescription(connection, offer);
      else {
        pc.addTransceiver('audio', { direction: 'sendrecv' });
        if (video) preferBaselineH264(pc.addTransceiver('video', { direction: 'sendrecv' }));
      }
      await this.#attach(pc);
      await pc.setLocalDescription();
      await Promise.race([gathered(pc), after(GATHERING_PATIENCE_MS)]);
    } catch (error) {
      if (this.#connections.get(generation) !== connection) return;
      console.warn('The connection could not be described.', error);
      this.listener.onState(generation, 'failed');
      return;
    }
    const own = pc.localDescription;
    if (this.#connections.get(generation) !== connection || !own) return;
    connection.described = true;
    connection.complete = pc.iceGatheringState === 'complete';
    this.listener.onDescribed(generation, /** @type {Description} */ (own.toJSON()));
  }

  /** @param {number} generation @param {Description} answer */
  async takeAnswer(generation, answer) {
    const connection = this.#connections.get(generation);
    if (connection?.pc.signalingState !== 'have-local-offer') return;
    try {
      await this.#takeDescription(connection, answer);
    } catch (error) {
      if (this.#connections.get(generation) !== connection) return;
      console.warn('The answer could not be taken.', error);
      this.listener.onState(generation, 'failed');
    }
  }

  /** @param {number} generation @param {RTCIceCandidateInit | null} candidate */
  async takeCandidate(generation, candidate) {
    const connection = this.#connections.get(generation);
    if (!connection) return;
    if (connection.pc.remoteDescription === null) {
      if (connection.early.length < MAX_EARLY_CANDIDATES) connection.early.push(candidate);
      return;
    }
    try {
      await connection.pc.addIceCandidate(candidate ?? undefined);
    } catch (error) {
      console.info('A candidate of the far side was of no use.', error);
    }
  }

  /** Close one connection, or everything of the call. @param {number | null} generation */
  close(generation) {
    if (generation !== null) {
      this.#connections.get(generation)?.pc.close();
      this.#connections.delete(generation);
      return;
    }
    const left = [...this.#connections.values()];
    this.#connections.clear();
    // the goodbye takes the longer way, over the broker: it is to be there before the silence
    window.setTimeout(() => left.forEach(({ pc }) => pc.close()), LINGER_MS);
    this.#call += 1;
    this.#microphone = null;
    this.#muted = false;
    this.#voice?.stop();
    this.#voice = null;
    this.#dropCamera();
    this.listener.onRemote(null);
  }

  /** Send what is said, or silence. @param {boolean} on */
  microphone(on) {
    this.#muted = !on;
    if (this.#voice) this.#voice.enabled = on;
  }

  /** Send the own picture, or close the camera. @param {boolean} on */
  async camera(on) {
    const call = this.#call;
    this.#dropCamera();
    if (on) {
      const track = await this.#capture('camera', { video: { width: 1280, height: 720 } });
      if (call !== this.#call || this.#camera) {
        track?.stop();
        return;
      }
      if (track) this.listener.onOwnPicture(new MediaStream([track]));
      this.#camera = track;
    }
    for (const { pc } of this.#connections.values()) await this.#attach(pc);
  }

  // -------------------- connections

  /** @param {number} generation @returns {Connection} */
  #connect(generation) {
    this.close(generation);
    const pc = new RTCPeerConnection({ iceServers: this.iceServers, bundlePolicy: 'max-bundle' });
    /** @type {Connection} */
    const connection = {
      pc,
      stream: new MediaStream(),
      early: [],
      described: false,
      complete: false,
    };
    this.#connections.set(generation, connection);
    pc.addEventListener('track', ({ track }) => {
      const same = connection.stream.getTracks().find((old) => old.kind === track.kind);
      // the first of each kind is microphone and camera
      if (!same) connection.stream.addTrack(track);
    });
    pc.addEventListener('icecandidate', ({ candidate }) => {
      if (!connection.described || connection.complete) return;
      this.listener.onCandidate(generation, candidate?.candidate ? candidate.toJSON() : null);
    });
    pc.addEventListener('connectionstatechange', () => {
      if (this.#connections.get(generation) !== connection) return;
      const state = pc.connectionState;
      if (state === 'connected') this.listener.onRemote(connection.stream);
      if (state === 'connected' || state === 'disconnected' || state === 'failed') {
        this.listener.onState(generation, state);
      }
    });
    return connection;
  }

  /** @param {Connection} connection @param {Description} description */
  async #takeDescription(connection, description) {
    const { pc } = connection;
    await pc.setRemoteDescription(description);
    if (description.type === 'offer') {
      for (const transceiver of firstOfEachKind(pc)) transceiver.direction = 'sendrecv';
    }
    for (const candidate of connection.early.splice(0)) {
      await pc.addIceCandidate(candidate ?? undefined).catch(() => undefined);
    }
  }

  /** Give a connection's senders what there is of microphone and camera. @param {RTCPeerConnection} pc */
  async #attach(pc) {
    for (const { sender, receiver } of firstOfEachKind(pc)) {
      const track = receiver.track.kind === 'audio' ? this.#voice : this.#camera;
      if (sender.track !== track && pc.signalingState !== 'closed')
        await sender.replaceTrack(track);
    }
  }

  // -------------------- microphone and camera

  /** Ask for the microphone once a call; it is sent from when it is granted. */
  #openMicrophone() {
    const call = this.#call;
    this.#microphone ??= this.#capture('microphone', {
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    }).then(async (track) => {
      if (call !== this.#call) {
        track?.stop();
        return null;
      }
      if (track) track.enabled = !this.#muted;
      this.#voice = track;
      for (const { pc } of this.#connections.values()) await this.#attach(pc);
      return track;
    });
    return this.#microphone;
  }

  /**
   * One track, or null and a word of the vocabulary for why not.
   *
   * @param {'microphone' | 'camera'} device @param {MediaStreamConstraints} constraints
   * @returns {Promise<MediaStreamTrack | null>}
   */
  async #capture(device, constraints) {
    const call = this.#call;
    /** @param {string | null} exception */
    const report = (exception) => call === this.#call && this.listener.onDevice(device, exception);
    try {
      // without TLS, and not on localhost, there is no mediaDevices at all
      const stream = await navigator.mediaDevices.getUserMedia(constraints);
      const [track] = stream.getTracks();
      track.addEventListener('ended', () => report('device_unplugged'));
      report(null);
      return track;
    } catch (error) {
      report(exceptionOf(error));
      return null;
    }
  }

  #dropCamera() {
    this.#camera?.stop();
    this.#camera = null;
    this.listener.onOwnPicture(null);
  }
}

/** @param {unknown} error  what getUserMedia threw @returns {string} */
export function exceptionOf(error) {
  if (!window.isSecureContext) return 'permission_not_granted';
  const name = error instanceof Error ? error.name : '';
  return EXCEPTIONS[name] ?? 'unknown';
}

/** W3C Media Capture and Streams, section 10.2, in the vocabulary's words. @type {Record<string, string>} */
const EXCEPTIONS = {
  NotAllowedError: 'permission_not_granted',
  SecurityError: 'permission_not_granted',
  NotFoundError: 'device_unplugged',
  OverconstrainedError: 'invalid_id',
  NotReadableError: 'device_occupied',
  AbortError: 'generic',
};

/** @param {RTCPeerConnection} pc */
function firstOfEachKind(pc) {
  const live = pc
    .getTransceivers()
    .filter(({ currentDirection }) => currentDirection !== 'stopped');
  return ['audio', 'video'].flatMap(
    (kind) => live.find(({ receiver }) => receiver.track.kind === kind) ?? [],
  );
}

/**
 * H.264 in packetization mode 1 is the picture of this protocol; a browser without it offers what it has.
 *
 * @param {RTCRtpTransceiver} transceiver
 */
function preferBaselineH264(transceiver) {
  const codecs = RTCRtpReceiver.getCapabilities('video')?.codecs ?? [];
  const h264 = codecs.filter(
    ({ mimeType, sdpFmtpLine }) =>
      mimeType === 'video/H264' && /packetization-mode=1/.test(sdpFmtpLine ?? ''),
  );
  // constrained baseline first
  h264.sort((a, b) => Number(isBaseline(b)) - Number(isBaseline(a)));
  const repair = codecs.filter(({ mimeType }) => mimeType === 'video/rtx');
  if (h264.length > 0) transceiver.setCodecPreferences([...h264, ...repair]);
}

/** @param {{sdpFmtpLine?: string}} codec */
const isBaseline = ({ sdpFmtpLine }) => /profile-level-id=42e0/i.test(sdpFmtpLine ?? '');

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
