// @ts-check
/**
 * What one sees and presses within a call: the pictures and how they are laid out, and the controls.
 *
 * @typedef {import('./call.js').Call} Call
 * @typedef {import('./call.js').State} State
 * @typedef {import('./media.js').Remote} Remote
 * @typedef {import('./tiles.js').Layout} Layout
 */

import { isTalking } from './call.js';
import { devicesOf } from './capture.js';
import { button, element, label, say, toggle } from './dom.js';
import { ofBrowser } from './kept.js';
import { HOST } from './links.js';
import { LAYOUT_WORDS } from './notes.js';
import { flagsOf, mayModerate } from './roster.js';
import { disabledButtons } from './settings.js';
import { Stage } from './stage.js';
import { LAYOUTS, arrange } from './tiles.js';

const LAYOUT = 'appliance.layout';

export class InCall {
  #frame = element('frame', HTMLElement);
  #own_picture = element('own-picture', HTMLVideoElement);
  /** @type {State | null} */ #state = null;
  /** @type {string | null} */ #chosen = null;
  /** @type {string | null} */ #speaker = null;
  /** @type {string[]} */ #audible = [];
  /** @type {Layout} */ #layout;
  #cameras = 0;
  /** @type {MediaDeviceInfo[]} */ #outputs = [];
  #output = 'default';

  /**
   * @param {HTMLElement} pane
   * @param {(input: import('./call.js').Input) => void} put
   * @param {(action: string) => void} ask
   * @param {import('./settings.js').Settings} settings
   * @param {() => void} switchCamera
   */
  constructor(pane, put, ask, settings, switchCamera) {
    this.pane = pane;
    this.settings = settings;
    this.#layout = keptLayout() ?? settings.layout;
    this.stage = new Stage(element('stage', HTMLElement), {
      onPick: (id) => this.#pick(id),
      onBlocked: (blocked) => (button('hear').hidden = !blocked),
      onPicture: (has) => (pane.dataset.picture = has ? 'yes' : 'no'),
    });
    this.stage.use(settings);
    const { full_screen_button, zoom_button } = settings.main_video_container;
    button('full-screen').hidden = !full_screen_button || !document.fullscreenEnabled;
    button('zoom').hidden = !zoom_button;
    /** @type {Record<string, () => void>} */
    const pressed = {
      'full-screen': () => this.#fillScreen(),
      zoom: () => this.#zoom(this.#frame.dataset.zoom !== 'yes'),
      hear: () => this.stage.play(),
      mute: () => put({ type: 'mute', on: !this.#call?.muted }),
      camera: () =>
        this.#call?.type === 'audio'
          ? ask('switch_to_video')
          : put({ type: 'camera', on: !this.#call?.camera_on }),
      'switch-camera': switchCamera,
      output: () => this.#nextOutput(),
      hand: () => put({ type: 'hand', on: !this.#call?.hand }),
      hold: () => put({ type: 'hold', on: !this.#call?.on_hold }),
      share: () => put({ type: 'share', on: !this.#call?.sharing }),
      record: () => ask(this.#isRecording ? 'stop_recording' : 'start_recording'),
      layout: () => this.#nextLayout(),
      more: () => this.#showMore(pane.dataset.more !== 'open'),
    };
    for (const [id, act] of Object.entries(pressed)) button(id).addEventListener('click', act);
    navigator.mediaDevices?.addEventListener('devicechange', () => this.#lookAtDevices());
    button('share').dataset.possible = String('getDisplayMedia' in (navigator.mediaDevices ?? {}));
  }

  get #call() {
    return this.#state?.call ?? null;
  }

  get #isRecording() {
    return this.#call !== null && flagsOf(this.#call, HOST).recording === true;
  }

  /** @param {State} state */
  show(state) {
    this.#state = state;
    const { call } = state;
    if (!isTalking(state)) {
      this.#chosen = null;
      this.#showMore(false);
      this.#zoom(false);
      if (document.fullscreenElement) document.exitFullscreen().catch(() => undefined);
    }
    this.#showToggles(call);
    if (isTalking(state)) {
      for (const id of disabledButtons(this.settings, call?.type ?? '')) button(id).hidden = true;
      if (call && !mayModerate(call)) button('record').hidden = true;
      if (!call?.camera_on || this.#cameras < 2) button('switch-camera').hidden = true;
      if (this.#outputs.length < 2) button('output').hidden = true;
    }
    this.pane.dataset.controls = this.settings.enabled_controls.length ? 'some' : 'none';
    this.#arrange();
  }

  /** How many cameras and outputs there are to choose from: told once the microphone is granted. */
  async #lookAtDevices() {
    const cameras = await devicesOf('videoinput');
    const can = 'setSinkId' in HTMLMediaElement.prototype;
    this.#cameras = cameras.length;
    this.#outputs = can ? await devicesOf('audiooutput') : [];
    if (this.#state) this.show(this.#state);
  }

  #nextOutput() {
    const at = this.#outputs.findIndex(({ deviceId }) => deviceId === this.#output);
    const next = this.#outputs[(Math.max(at, 0) + 1) % this.#outputs.length];
    if (!next) return;
    this.#output = next.deviceId;
    this.stage.hearOn(next.deviceId);
    say(label('output'), next.label || 'Speaker');
  }

  /** @param {string} link @param {Remote | null} remote */
  showRemote(link, remote) {
    this.stage.setRemote(link, remote);
    this.#arrange();
    if (remote) this.#lookAtDevices();
  }

  /** @param {MediaStream | null} stream */
  showOwnPicture(stream) {
    this.#own_picture.srcObject = stream;
    this.stage.setOwn(stream);
    this.#arrange();
  }

  /** @param {string | null} speaker @param {string[]} audible */
  showSpeaker(speaker, audible) {
    if (speaker === this.#speaker && audible.join() === this.#audible.join()) return;
    this.#speaker = speaker;
    this.#audible = audible;
    this.#arrange();
  }

  /** @param {Call | null} call */
  #showToggles(call) {
    const { muted = false, camera_on = false, hand = false } = call ?? {};
    toggle('mute', muted, muted ? 'Unmute' : 'Mute', muted ? 'i-mic-off' : 'i-mic');
    if (call?.type === 'audio') toggle('camera', false, 'Add video', 'i-camera');
    else
      toggle(
        'camera',
        camera_on,
        camera_on ? 'Video off' : 'My video',
        camera_on ? 'i-camera' : 'i-camera-off',
      );
    toggle('hand', hand, hand ? 'Lower hand' : 'Raise hand', 'i-hand');
    const { on_hold = false, sharing = false } = call ?? {};
    toggle('hold', on_hold, on_hold ? 'Resume' : 'Hold', on_hold ? 'i-play' : 'i-hold');
    toggle('share', sharing, sharing ? 'Stop sharing' : 'Share screen', 'i-screen');
    if (call?.type === 'audio' || button('share').dataset.possible === 'false')
      button('share').hidden = true;
    toggle('record', this.#isRecording, this.#isRecording ? 'Recording' : 'Record', 'i-record');
    say(label('layout'), LAYOUT_WORDS[this.#layout]);
    button('layout').querySelector('use')?.setAttribute('href', `#i-layout-${this.#layout}`);
  }

  /** Lay the pictures out, as the call is now. */
  #arrange() {
    const call = this.#state && isTalking(this.#state) ? this.#call : null;
    const wish = {
      layout: this.#layout,
      chosen: this.#chosen,
      speaker: this.#speaker,
      main_video: this.settings.main_video,
    };
    const arrangement = call ? arrange(call, wish) : NOTHING;
    const several = arrangement.tiles.length > 1;
    const pictured = call !== null && (call.type === 'video' || several);
    this.#frame.dataset.bare = pictured ? 'no' : 'yes';
    button('layout').hidden = !call;
    this.stage.show(arrangement, several ? this.#audible : []);
    const tiled = arrangement.tiles.some(({ link }) => link === 'me');
    this.#own_picture.hidden = !call?.camera_on || tiled || this.#own_picture.srcObject === null;
  }

  /** The tile that was clicked becomes the large one; once more, and the speaker does again. @param {string} id */
  #pick(id) {
    this.#chosen = this.#chosen === id ? null : id;
    this.#arrange();
  }

  /** @param {boolean} on */
  #zoom(on) {
    this.#frame.dataset.zoom = on ? 'yes' : 'no';
    button('zoom').setAttribute('aria-pressed', String(on));
  }

  #fillScreen() {
    const done = document.fullscreenElement
      ? document.exitFullscreen()
      : this.#frame.requestFullscreen();
    done.catch((error) => console.info('The screen could not be filled.', error));
  }

  #nextLayout() {
    this.#layout = LAYOUTS[(LAYOUTS.indexOf(this.#layout) + 1) % LAYOUTS.length];
    ofBrowser.setItem(LAYOUT, this.#layout);
    this.#showToggles(this.#call);
    this.#arrange();
  }

  /** @param {boolean} open */
  #showMore(open) {
    this.pane.dataset.more = open ? 'open' : 'closed';
    button('more').setAttribute('aria-expanded', String(open));
  }
}

/** @type {import('./tiles.js').Arrangement} */
const NOTHING = { tiles: [], main: null, layout: 'single' };

/** What was chosen here before. */
const keptLayout = () => LAYOUTS.find((one) => one === ofBrowser.getItem(LAYOUT));
