// @ts-check
/**
 * The page's own microphone, camera and screen: one of each, shared by all connections of a call.
 *
 * @typedef {object} CameraLimits
 * @property {number} width
 * @property {number} height
 * @property {number} framerate
 *
 * @typedef {object} Listener
 * @property {() => Promise<void>} onTracks  what is to be sent has changed
 * @property {(stream: MediaStream | null) => void} onOwnPicture
 * @property {(on: boolean) => void} onShared  a screen is captured, or no longer
 * @property {(device: 'microphone' | 'camera', exception: string | null) => void} onDevice
 */

/** @type {CameraLimits} */
export const FULL_PICTURE = { width: 1280, height: 720, framerate: 30 };
const SCREEN = { width: 1920, height: 1080, framerate: 15 };
/** What a pixel of H.264 costs, as a rule of thumb. */
const BITS_PER_PIXEL = 0.1;
const LEAST_BITRATE = 80_000;

/** What one asks of a camera in the address: `320x180@10`. @param {string | null} text @returns {CameraLimits | null} */
export function parseLimits(text) {
  const found = /^(\d{2,4})x(\d{2,4})@(\d{1,2})$/.exec(text ?? '');
  if (!found) return null;
  const [width, height, framerate] = found.slice(1).map(Number);
  return { width, height, framerate };
}

/**
 * How much of a picture each of so many others is sent: a page encodes for every one anew.
 *
 * @param {CameraLimits} limits @param {number} receivers @returns {RTCRtpEncodingParameters}
 */
export function encodingFor({ width, height, framerate }, receivers) {
  const scale = receivers > 1 && width > 640 ? 2 : 1;
  const pixels_per_s = (width / scale) * (height / scale) * framerate;
  return {
    scaleResolutionDownBy: scale,
    maxFramerate: framerate,
    maxBitrate: Math.max(LEAST_BITRATE, Math.round(pixels_per_s * BITS_PER_PIXEL)),
  };
}

/** A screen's picture is to be sharp rather than smooth. @type {RTCRtpEncodingParameters} */
export const SCREEN_ENCODING = { maxFramerate: SCREEN.framerate, maxBitrate: 1_500_000 };

export class Capture {
  /** @type {Promise<MediaStreamTrack | null> | null} */ #microphone = null;
  /** @type {MediaStreamTrack | null} */ voice = null;
  /** The same microphone, which hears nothing. @type {MediaStreamTrack | null} */ silence = null;
  /** @type {MediaStreamTrack | null} */ camera = null;
  /** @type {MediaStreamTrack | null} */ screen = null;
  #muted = false;
  /** Which camera, where one was chosen. @type {string | undefined} */ #camera_id;
  /** Rises when everything is closed: what was begun before is then dropped. */
  #call = 0;

  /** @param {Listener} listener @param {CameraLimits} limits */
  constructor(listener, limits) {
    this.listener = listener;
    this.limits = limits;
  }

  /** Ask for the microphone once a call; it is sent from when it is granted. */
  openMicrophone() {
    const call = this.#call;
    this.#microphone ??= this.#open('microphone', {
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    }).then(async (track) => {
      if (call !== this.#call) {
        track?.stop();
        return null;
      }
      if (track) {
        track.enabled = !this.#muted;
        this.silence = track.clone();
        this.silence.enabled = false;
      }
      this.voice = track;
      await this.listener.onTracks();
      return track;
    });
    return this.#microphone;
  }

  /** Send what is said, or silence. @param {boolean} on */
  mute(on) {
    this.#muted = on;
    if (this.voice) this.voice.enabled = !on;
  }

  /** Send the own picture, or close the camera. @param {boolean} on */
  async film(on) {
    const call = this.#call;
    this.#dropCamera();
    if (on) {
      const cameras = await devicesOf('videoinput');
      if (!cameras.some(({ deviceId }) => deviceId === this.#camera_id)) this.#camera_id = undefined;
      const { width, height, framerate } = this.limits;
      const track = await this.#open('camera', {
        video: {
          width: { ideal: width, max: width },
          height: { ideal: height, max: height },
          frameRate: { ideal: framerate, max: framerate },
          ...(this.#camera_id && { deviceId: { exact: this.#camera_id } }),
        },
      });
      if (call !== this.#call || this.camera) {
        track?.stop();
        return;
      }
      if (track) this.listener.onOwnPicture(new MediaStream([track]));
      this.camera = track;
    }
    await this.listener.onTracks();
  }

  /** Film with the next of this device's cameras, as a phone has one on each side. */
  async switchCamera() {
    const cameras = await devicesOf('videoinput');
    const used = this.camera?.getSettings().deviceId ?? this.#camera_id;
    const at = cameras.findIndex(({ deviceId }) => deviceId === used);
    this.#camera_id = cameras[(at + 1) % cameras.length]?.deviceId;
    if (!this.camera) return;
    await this.film(true);
    if (this.camera) return;
    this.#camera_id = used; // the one that works is better than none
    await this.film(true);
  }

  /** Ask for a screen, from within a click, or stop sharing it. @param {boolean} on */
  async share(on) {
    if (!on) {
      await this.#dropScreen();
      return;
    }
    const call = this.#call;
    const { width, height, framerate } = SCREEN;
    const video = { width: { max: width }, height: { max: height }, frameRate: framerate };
    /** @type {MediaStream} */
    let stream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia({ video, audio: false });
    } catch (error) {
      // whoever is asked may say no; there is nothing to repair
      console.info('No screen is shared.', error);
      return;
    }
    const [track] = stream.getVideoTracks();
    if (call !== this.#call || this.screen) {
      track.stop();
      return;
    }
    track.contentHint = 'detail';
    // the browser has a button of its own
    track.addEventListener('ended', () => this.screen === track && this.#dropScreen());
    this.screen = track;
    this.listener.onShared(true);
    await this.listener.onTracks();
  }

  /** The call is over: every device is let go at once. */
  close() {
    this.#call += 1;
    this.#microphone = null;
    this.#muted = false;
    for (const track of [this.voice, this.silence, this.screen]) track?.stop();
    this.voice = this.silence = this.screen = null;
    this.#dropCamera();
  }

  async #dropScreen() {
    if (!this.screen) return;
    this.screen.stop();
    this.screen = null;
    this.listener.onShared(false);
    await this.listener.onTracks();
  }

  #dropCamera() {
    this.camera?.stop();
    this.camera = null;
    this.listener.onOwnPicture(null);
  }

  /**
   * One track, or null and a word of the vocabulary for why not.
   *
   * @param {'microphone' | 'camera'} device @param {MediaStreamConstraints} constraints
   * @returns {Promise<MediaStreamTrack | null>}
   */
  async #open(device, constraints) {
    const call = this.#call;
    const report = (/** @type {string | null} */ exception) => {
      if (call === this.#call) this.listener.onDevice(device, exception);
    };
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
}

/** The devices of one kind; none where the browser does not tell. @param {MediaDeviceKind} kind */
export async function devicesOf(kind) {
  const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  return all.filter((one) => one.kind === kind && one.deviceId !== '');
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
