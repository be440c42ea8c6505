// @ts-check
/**
 * The settings of calls that are about this page's own screen, as `/client.json` tells them.
 *
 * @typedef {object} Settings
 * @property {import('./tiles.js').Layout} layout
 * @property {string} main_video  dominant_speaker, or a uid
 * @property {{fit: string, name_label: boolean, full_screen_button: boolean, zoom_button: boolean}} main_video_container
 * @property {'circle' | 'square' | 'fullscreen'} avatar_mode
 * @property {boolean} enable_video_tile_drag
 * @property {boolean} enable_video_tile_click
 * @property {string[]} enabled_controls
 */

/** What a server that tells nothing means. @type {Settings} */
export const DEFAULTS = {
  layout: 'spotlight',
  main_video: 'dominant_speaker',
  main_video_container: {
    fit: 'contain',
    name_label: true,
    full_screen_button: true,
    zoom_button: true,
  },
  avatar_mode: 'circle',
  enable_video_tile_drag: true,
  enable_video_tile_click: true,
  enabled_controls: [
    'leave',
    'switch_camera',
    'toggle_audio',
    'toggle_video',
    'audio_mode',
    'switch_to_video',
    'recording',
  ],
};

/** The buttons that a setting can take away, by the control's name. @type {Record<string, string>} */
const BUTTONS = {
  leave: 'hang-up',
  switch_camera: 'switch-camera',
  toggle_audio: 'mute',
  audio_mode: 'output',
  recording: 'record',
};

/** Which of the page's buttons are not to be shown in a call. @param {Settings} settings @param {string} call_type */
export function disabledButtons({ enabled_controls }, call_type) {
  const camera = call_type === 'audio' ? 'switch_to_video' : 'toggle_video';
  return Object.entries({ ...BUTTONS, [camera]: 'camera' })
    .filter(([control]) => !enabled_controls.includes(control))
    .map(([, id]) => id);
}
