// @ts-check
/**
 * The media sections of a connection: the first of sound and of picture are microphone and camera, a
 * second one of picture is the screen.
 *
 * @typedef {{audio?: RTCRtpTransceiver, camera?: RTCRtpTransceiver, screen?: RTCRtpTransceiver}} Sections
 */

/** @param {RTCPeerConnection} pc @returns {Sections} */
export function sectionsOf(pc) {
  const of = (/** @type {string} */ kind) =>
    pc.getTransceivers().filter(({ receiver }) => receiver.track.kind === kind);
  const [audio] = of('audio');
  const [camera, screen] = of('video');
  return { audio, camera, screen };
}

/** Add what an offer of ours lacks. @param {RTCPeerConnection} pc @param {boolean} video */
export function addSections(pc, video) {
  const { audio, camera, screen } = sectionsOf(pc);
  if (!audio) pc.addTransceiver('audio', { direction: 'sendrecv' });
  if (!video) return;
  // the screen is there from the start, so that sharing it needs no further word
  for (const there of [camera, screen]) {
    if (!there) preferBaselineH264(pc.addTransceiver('video', { direction: 'sendrecv' }));
  }
}

/** Take part in what was offered: either may send later. @param {RTCPeerConnection} pc */
export function takeSections(pc) {
  for (const section of Object.values(sectionsOf(pc))) {
    if (section && section.direction !== 'stopped') section.direction = 'sendrecv';
  }
}

/** Whether a section is in use, or one may send in it. @param {RTCRtpTransceiver | undefined} section @param {'' | 'send'} [how] */
export function carries(section, how = '') {
  const direction = section?.currentDirection ?? 'stopped';
  return direction !== 'stopped' && direction !== 'inactive' && direction.startsWith(how);
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
