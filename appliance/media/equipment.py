"""What the studio works with, once av and aiortc are loaded: sources, fan-outs, loudspeaker, peers."""

from __future__ import annotations

from pathlib import Path

from aiortc import RTCIceServer

from appliance.config import Audio, Camera, IceServer, Media
from appliance.media.base import AudioSource, Devices, SourceFailed, VideoSource
from appliance.media.capture import Failed, LiveCamera, LiveMicrophone
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.peer import Peer, PeerObserver, self_check
from appliance.media.synthetic import CardCamera, Meter, ToneMicrophone
from appliance.model import CallType, DeviceException

__all__ = ["Equipment", "ice_servers", "self_check"]


class Equipment:
    """The devices of the configuration, or those that a test brings along."""

    def __init__(
        self,
        media: Media,
        camera: Camera | None,
        audio: Audio,
        servers: list[RTCIceServer],
        devices: Devices,
    ) -> None:
        """To be made on the loop; opens nothing yet. `devices` win over what is configured."""
        self.audio = AudioFanout()
        self.video = VideoFanout()
        self.speaker = devices.speaker or Meter()
        self._media, self._camera, self._audio = media, camera, audio
        self._servers = servers
        self._devices = devices

    def peer(self, observer: PeerObserver, type: CallType, setup_limit_s: float) -> Peer:
        """A new connection of a call of this type."""
        return Peer(
            observer,
            self.audio,
            self.video if type is CallType.VIDEO else None,
            ice_servers=self._servers,
            setup_limit_s=setup_limit_s,
        )

    def microphone(self, failed: Failed) -> LiveMicrophone:
        """The microphone, closed. Raises SourceFailed where there is no driver for it."""
        return LiveMicrophone(
            self._devices.microphone or self._find_microphone(), self.audio, failed
        )

    def camera(self, failed: Failed) -> LiveCamera:
        """The camera, closed. Raises SourceFailed where there is no driver for it."""
        return LiveCamera(self._devices.camera or self._find_camera(), self.video, failed)

    def _find_microphone(self) -> AudioSource:
        match self._audio.capture:
            case "tone":
                return ToneMicrophone()
            case "silence":
                return ToneMicrophone(level_dbfs=None)
            case other:
                raise SourceFailed(
                    DeviceException.INVALID_ID,
                    f'there is no microphone "{other}": this release knows "tone" and "silence"',
                )

    def _find_camera(self) -> VideoSource:
        device = self._camera.device if self._camera else "none"
        if device != "test-card":
            raise SourceFailed(
                DeviceException.INVALID_ID,
                f'there is no camera "{device}": this release knows "test-card"',
            )
        media = self._media
        return CardCamera(media.width, media.height, media.framerate, media.bitrate_kbps)


def ice_servers(servers: tuple[IceServer, ...]) -> list[RTCIceServer]:
    """The servers of the configuration with their credentials. Raises OSError for a file it cannot read."""
    return [
        RTCIceServer(
            urls=list(server.urls),
            username=server.username,
            credential=(
                Path(server.credential_file).read_text(encoding="utf-8").strip()
                if server.credential_file
                else None
            ),
        )
        for server in servers
    ]
