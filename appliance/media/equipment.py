"""What the studio works with, once av and aiortc are loaded: sources, fan-outs, outputs, peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.calls.effects import Sound
from appliance.calls.inputs import Input
from appliance.config import Audio, Camera, Media, Prompts, Recording
from appliance.media import opus
from appliance.media.alsa_outputs import AlsaOutputs
from appliance.media.audience import Audience
from appliance.media.base import (
    AudioSink,
    Devices,
    Outputs,
    PictureSink,
    SourceFailed,
    VideoSource,
)
from appliance.media.camera import PiCamera
from appliance.media.capture import LiveCamera, LiveMicrophone
from appliance.media.echo import cancellers
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.filming import Plan
from appliance.media.handover import Handover
from appliance.media.hold_tone import HoldTone
from appliance.media.ice_servers import Server
from appliance.media.ice_servers import read as ice_servers
from appliance.media.outputs import Loudspeaker
from appliance.media.peer import Peer, PeerObserver
from appliance.media.recorder import Recorder
from appliance.media.seams import check
from appliance.media.shelf import Shelf
from appliance.media.sounding import Sounding
from appliance.media.sounds import pcm_of
from appliance.media.steering import Steering
from appliance.media.synthetic import CardCamera, SimulatedOutputs
from appliance.messages import IceCandidate
from appliance.model import AudioMode, CameraFacing, DeviceException
from appliance.state_directory import state_directory

__all__ = ["Audience", "Equipment", "ice_servers", "self_check"]


def self_check() -> None:
    """See that the libraries are those that were tested, before a call needs them. Raises UnknownAiortc.

    A missing libopus is told: it can be done without.
    """
    check.self_check()
    opus.decoder()


class Equipment:
    """The devices of the configuration, or those that a test brings along."""

    def __init__(
        self,
        media: Media,
        cameras: Mapping[CameraFacing, Camera],
        audio: Mapping[AudioMode, Audio],
        servers: tuple[Server, ...],
        devices: Devices,
        volumes: Mapping[AudioMode, int],
        recording: Recording,
        post: Callable[[Input], None],
        *,
        simulated: bool = True,
        prompts: Prompts | None = None,
    ) -> None:
        """To be made on the loop; opens nothing yet. `devices` win over what is configured; without a
        `simulated` board the outputs are those of ALSA. `prompts` is what visitors are told, and how.
        """
        self.audio = AudioFanout()
        self.video = VideoFanout()
        self.screen = VideoFanout()
        self.hold = HoldTone(lambda: self.speaker)
        faults: Handover[tuple[AudioMode, SourceFailed | None]] = Handover(
            lambda told: self.loudspeaker.failed(*told)
        )
        self.outputs: Outputs = devices.outputs or _outputs(
            audio,
            devices.speaker,
            lambda mode, fault: faults.put((mode, fault)),
            simulated=simulated,
        )
        self.loudspeaker = Loudspeaker(self.outputs, volumes, post)
        self._prompts = prompts or Prompts()
        self.sounding = Sounding(self.loudspeaker, self._pcm_of)
        self.recorder = Recorder(
            Shelf(recordings_folder(recording), recording.max_mb),
            self.audio,
            self.video,
            self.loudspeaker,
            post,
        )
        self.steering = Steering(self.video, media.bitrate_kbps, lambda: self.recorder.is_recording)
        self.screen_steering = Steering(self.screen, media.bitrate_kbps, lambda: False)
        self._media, self._cameras = media, cameras
        self._servers = servers
        self._devices = devices
        self._found: dict[str, PiCamera] = {}

    def _pcm_of(self, sound: Sound) -> bytes:
        told = self._prompts
        return pcm_of(sound, told.language, spoken=told.spoken, directory=told.directory)

    @property
    def films(self) -> bool:
        """Whether there should be a front camera."""
        return CameraFacing.FRONT in self._cameras or self._devices.camera is not None

    @property
    def speaker(self) -> AudioSink:
        """What the connections are heard on."""
        return self.loudspeaker

    @property
    def sends(self) -> bool:
        """Whether pictures go to anybody."""
        return bool(self.video.tracks or self.screen.tracks)

    def steer(self, now_s: float) -> None:
        """Let what is sent follow what the peers have reported; to be called twice a second."""
        self.steering.look(now_s)
        self.screen_steering.look(now_s)

    def close(self) -> None:
        """Let go of the loudspeakers, and look for outputs no more."""
        self.sounding.close()
        self.outputs.close()

    def peer(
        self,
        observer: PeerObserver,
        setup_limit_s: float,
        *,
        shares_screen: bool,
        pictures: PictureSink | None,
        sound: bool = True,
        yields: bool = False,
        found: Callable[[IceCandidate | None], None] = lambda _: None,
    ) -> Peer:
        """A new connection; the other side's pictures are taken where there is somebody to show them.

        Without `sound` there is none either way. One that `yields` makes nobody get less.
        """
        return Peer(
            observer,
            self.audio if sound else None,
            self.video,
            yields=yields,
            screen=self.screen if shares_screen else None,
            hold=self.hold,
            watch_framerate=None if pictures is None else pictures.framerate,
            ice_servers=self._servers,
            found=found,
            setup_limit_s=setup_limit_s,
        )

    def microphone(self, mode: AudioMode, changed: Callable[[], None]) -> LiveMicrophone:
        """The microphone of an output, closed. Raises SourceFailed where there is no driver for it."""
        source = self._devices.microphone or self.outputs.source(mode)
        return LiveMicrophone(source, self.audio, changed)

    def camera(self, facing: CameraFacing, changed: Callable[[], None]) -> LiveCamera:
        """A camera, closed. Raises SourceFailed where none is configured."""
        standing_in = {
            CameraFacing.FRONT: self._devices.camera,
            CameraFacing.REAR: self._devices.rear,
        }
        source = standing_in[facing] or self._find_camera(facing)
        return LiveCamera(source, self.video, changed)

    def _find_camera(self, facing: CameraFacing) -> VideoSource:
        if facing not in self._cameras:
            raise SourceFailed(
                DeviceException.INVALID_ID,
                f"there is no {facing} camera: it is not configured, see [cameras.{facing}]",
            )
        device, media = self._cameras[facing].device, self._media
        looks = media.width, media.height, media.framerate, media.bitrate_kbps
        if device == "test-card":
            return CardCamera(*looks, facing)
        if device not in self._found:  # one and the same each time: it remembers that it was there
            self._found[device] = PiCamera(Plan(device, media.encoder, *looks))
        return self._found[device]


def _outputs(
    audio: Mapping[AudioMode, Audio],
    speaker: AudioSink | None,
    failed: Callable[[AudioMode, SourceFailed | None], None],
    *,
    simulated: bool,
) -> Outputs:
    """Those of the configuration, on a simulated board or a real one."""
    if simulated:
        return SimulatedOutputs(audio, speaker, failed)
    return AlsaOutputs(audio, speaker=speaker, failed=failed, canceller=cancellers(audio))


def recordings_folder(recording: Recording) -> Path:
    """Where [recording] says, else in the state directory."""
    return Path(recording.directory) if recording.directory else state_directory() / "recordings"
