// @ts-check
/**
 * The pictures of a call as they are drawn: one element for each tile, kept as long as the tile is.
 *
 * @typedef {import('./media.js').Remote} Remote
 * @typedef {import('./tiles.js').Arrangement} Arrangement
 * @typedef {import('./tiles.js').Tile} Tile
 *
 * @typedef {object} Drawn
 * @property {HTMLElement} figure
 * @property {HTMLVideoElement} video
 * @property {HTMLElement} avatar
 * @property {HTMLElement} name
 * @property {HTMLElement} marks
 * @property {HTMLButtonElement} pick
 */

import { make, say } from './dom.js';
import { drawMarks } from './marks.js';
import { STATE_WORDS } from './notes.js';
import { ME, hue, initials } from './tiles.js';

const DRAGGED = 'application/x-tile';

export class Stage {
  /** @type {Map<string, Drawn>} */ #drawn = new Map();
  /** @type {Map<string, Remote>} */ #remotes = new Map();
  /** @type {MediaStream | null} */ #own = null;
  #main = '';
  #output = '';
  #draggable = true;
  /** Where each tile was dragged to. @type {Map<string, number>} */ #order = new Map();

  /**
   * @param {HTMLElement} root
   * @param {object} listener
   * @param {(id: string) => void} listener.onPick  a tile was clicked
   * @param {(blocked: boolean) => void} listener.onBlocked  the browser lets nothing be heard before a touch
   * @param {(has: boolean) => void} listener.onPicture  the large one has a picture, or none
   */
  constructor(root, listener) {
    this.root = root;
    this.listener = listener;
  }

  /** @param {import('./settings.js').Settings} settings */
  use({ main_video_container, avatar_mode, enable_video_tile_click, enable_video_tile_drag }) {
    Object.assign(this.root.dataset, {
      fit: main_video_container.fit,
      labels: main_video_container.name_label ? 'yes' : 'no',
      avatar: avatar_mode,
      click: enable_video_tile_click ? 'yes' : 'no',
    });
    this.#draggable = enable_video_tile_drag;
  }

  /** What comes from somebody. @param {string} link @param {Remote | null} remote */
  setRemote(link, remote) {
    if (remote) this.#remotes.set(link, remote);
    else this.#remotes.delete(link);
  }

  /** @param {MediaStream | null} stream */
  setOwn(stream) {
    this.#own = stream;
  }

  /** @param {Arrangement} arrangement @param {string[]} speaking */
  show({ tiles, main, layout }, speaking) {
    this.root.dataset.layout = layout;
    this.root.dataset.count = String(tiles.length);
    this.#main = main ?? '';
    for (const [id, { figure, video }] of this.#drawn) {
      if (tiles.some((tile) => tile.id === id)) continue;
      video.srcObject = null;
      figure.remove();
      this.#drawn.delete(id);
    }
    for (const tile of tiles) this.#showTile(tile, tile.id === main, layout, speaking);
    this.#tellPicture();
  }

  /** Let everybody be heard on that output, and who comes later. @param {string} device_id */
  hearOn(device_id) {
    this.#output = device_id;
    for (const { video } of this.#drawn.values()) this.#useOutput(video);
  }

  /** @param {HTMLVideoElement} video */
  #useOutput(video) {
    if (!this.#output || video.sinkId === this.#output) return;
    video.setSinkId(this.#output).catch((error) => {
      console.info('The sound stays where it was.', error);
    });
  }

  /** Let be seen and heard what there is; from within a touch that always works. */
  play() {
    for (const { video } of this.#drawn.values()) if (video.srcObject) this.#play(video);
  }

  /** @param {Tile} tile @param {boolean} is_main @param {string} layout @param {string[]} speaking */
  #showTile(tile, is_main, layout, speaking) {
    const drawn = this.#drawn.get(tile.id) ?? this.#draw(tile);
    const { figure, video, avatar, name, marks, pick } = drawn;
    figure.dataset.main = is_main ? 'yes' : 'no';
    figure.dataset.state = tile.state;
    figure.dataset.marks = tile.marks.join(' ');
    figure.dataset.wanted = tile.picture ? 'yes' : 'no';
    figure.dataset.speaking = tile.kind === 'camera' && speaking.includes(tile.link) ? 'yes' : 'no';
    figure.hidden = layout === 'single' && !is_main;
    const of = tile.uid || tile.id;
    video.dataset.testid = is_main ? 'picture' : `picture-${of}`;
    video.muted = tile.silent;
    const stream = this.#streamOf(tile);
    if (video.srcObject !== stream) {
      video.srcObject = stream;
      figure.dataset.picture = 'no';
      this.#useOutput(video);
      if (stream) this.#play(video);
    }
    const waits = tile.state === 'connected' ? '' : ` · ${STATE_WORDS[tile.state]}`;
    say(name, (tile.kind === 'screen' ? `Screen of ${tile.name}` : tile.name) + waits);
    say(avatar, initials(tile.name));
    drawMarks(marks, tile.marks);
    pick.setAttribute('aria-pressed', String(is_main));
    pick.setAttribute('aria-label', `Show ${name.textContent} large`);
  }

  /** @param {Tile} tile @returns {Drawn} */
  #draw(tile) {
    const figure = make('figure', '', 'tile');
    figure.dataset.testid = `${tile.kind === 'screen' ? 'screen' : 'tile'}-${tile.uid}`;
    figure.dataset.kind = tile.kind;
    figure.dataset.mine = tile.link === ME ? 'yes' : 'no';
    figure.dataset.picture = 'no';
    figure.style.setProperty('--hue', String(hue(tile.uid)));
    const video = make('video');
    video.autoplay = true;
    video.playsInline = true;
    const look = (/** @type {boolean} */ has) => {
      figure.dataset.picture = has ? 'yes' : 'no';
      this.#tellPicture();
    };
    video.addEventListener('loadeddata', () => look(video.videoWidth > 0));
    video.addEventListener('resize', () => look(video.videoWidth > 0));
    const avatar = make('div', '', 'avatar');
    avatar.setAttribute('aria-hidden', 'true');
    const caption = make('figcaption');
    const [name, marks] = [make('span', '', 'name'), make('span', '', 'marks')];
    caption.append(name, marks);
    const pick = make('button', '', 'pick');
    pick.type = 'button';
    pick.addEventListener('click', () => {
      if (this.root.dataset.click !== 'no') this.listener.onPick(tile.id);
    });
    this.#letDrag(figure, tile.id);
    figure.append(video, avatar, caption, pick);
    const drawn = { figure, video, avatar, name, marks, pick };
    this.#drawn.set(tile.id, drawn);
    this.root.append(figure);
    return drawn;
  }

  /** A tile that is dropped on another takes its place; on the large one, it becomes that. @param {HTMLElement} figure @param {string} id */
  #letDrag(figure, id) {
    figure.draggable = this.#draggable;
    figure.addEventListener('dragstart', ({ dataTransfer }) => dataTransfer?.setData(DRAGGED, id));
    figure.addEventListener('dragover', (over) => {
      if (over.dataTransfer?.types.includes(DRAGGED)) over.preventDefault();
    });
    figure.addEventListener('drop', (drop) => {
      const other = drop.dataTransfer?.getData(DRAGGED);
      if (!other || other === id || !this.#drawn.has(other)) return;
      drop.preventDefault();
      if (id === this.#main) this.listener.onPick(other);
      else this.#swap(id, other);
    });
  }

  /** @param {string} one @param {string} other */
  #swap(one, other) {
    const ids = [...this.#drawn.keys()];
    const place = (/** @type {string} */ id) => this.#order.get(id) ?? ids.indexOf(id);
    const [first, second] = [place(one), place(other)];
    for (const id of ids) this.#order.set(id, place(id));
    this.#order.set(one, second).set(other, first);
    for (const [id, { figure }] of this.#drawn) figure.style.order = String(place(id));
  }

  /** @param {Tile} tile @returns {MediaStream | null} */
  #streamOf({ link, kind }) {
    if (link === ME) return this.#own;
    const remote = this.#remotes.get(link);
    return (kind === 'screen' ? remote?.screen : remote?.voice) ?? null;
  }

  /** @param {HTMLVideoElement} video */
  async #play(video) {
    try {
      await video.play();
      this.listener.onBlocked(false);
    } catch (error) {
      // a newer stream interrupts the older one's start; only a browser's own no is to be told
      if (error instanceof Error && error.name === 'NotAllowedError') this.listener.onBlocked(true);
    }
  }

  #tellPicture() {
    const figure = this.#drawn.get(this.#main)?.figure;
    const { picture, wanted } = figure?.dataset ?? {};
    this.listener.onPicture(picture === 'yes' && wanted === 'yes');
  }
}
