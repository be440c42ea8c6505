"""The devices' half of the studio: which are open, which of several is in use, and how they are set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar

from appliance.calls.effects import (
    Effect,
    LimitFramerate,
    OpenCamera,
    OpenMicrophone,
    RenewCapture,
    SetVolume,
    StartCapture,
    StartRecording,
    StopCapture,
    StopRecording,
    SwitchCamera,
    UseAudioMode,
)
from appliance.calls.inputs import (
    AudioOutputs,
    CameraSwitched,
    CaptureClosed,
    FaultReported,
    Input,
)
from appliance.media.base import Counting, Pluggable, VideoSource, Viewfinder
from appliance.media.devices import Device, DeviceKeeper
from appliance.media.handover import Handover
from appliance.model import AudioMode, CameraFacing, Json

if TYPE_CHECKING:
    from appliance.media.base import Rgb
    from appliance.media.capture import Live
    from appliance.media.equipment import Equipment


class Desk:
    """Performs what the core wants of the devices. On the loop."""

    EFFECTS: ClassVar[tuple[type[Effect], ...]] = (
        StartCapture,
        StopCapture,
        RenewCapture,
        LimitFramerate,
        OpenMicrophone,
        OpenCamera,
        SwitchCamera,
        UseAudioMode,
        SetVolume,
        StartRecording,
        StopRecording,
    )

    def __init__(
        self,
        loaded: Callable[[], Awaitable[Equipment]],
        post: Callable[[Input], None],
        forbidden: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`loaded` gives the equipment as soon as there is one; `equip` is told of it too.

        `forbidden` says why nothing may be open now, which ends what is at each `StartCapture`.
        """
        self._loaded, self._post = loaded, post
        self._equipment: Equipment | None = None
        self._kept: list[Effect] = []
        self._audio_muted = self._video_paused = False
        self._closing: int | None = None
        """The number of the `StopCapture` that is being carried out."""
        self._microphone = DeviceKeeper(
            Device.MICROPHONE,
            AudioMode.SPEAKER,
            self._make_microphone,
            post,
            lambda _: None,
            forbidden=forbidden,
            at_rest=self._tell_closed,
        )
        self._camera = DeviceKeeper(
            Device.CAMERA,
            CameraFacing.FRONT,
            self._make_camera,
            post,
            self._camera_switched,
            forbidden=forbidden,
            at_rest=self._tell_closed,
        )

    # -------------------- its life

    def equip(self, equipment: Equipment) -> None:
        """There is equipment from now on: set it as was wanted so far, and report its outputs."""
        self._equipment = equipment
        changes: Handover[None] = Handover(self._outputs_changed)
        equipment.outputs.watch(lambda: changes.put(None))
        equipment.loudspeaker.changed = lambda: self._outputs_changed(None)
        self._microphone.choose(equipment.loudspeaker.mode)
        self._microphone.attend()
        if equipment.films:
            self._camera.attend()
        self._report_outputs(equipment)
        self._tell_equipment()
        kept, self._kept = self._kept, []
        for effect in kept:
            self.perform(effect)

    async def run(self) -> None:
        """Keep the devices as they are wanted, until the end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._microphone.run(), name="media microphone")
            tasks.create_task(self._camera.run(), name="media camera")
        if self._equipment is not None:
            self._equipment.close()
            await self._equipment.recorder.close()

    def end(self) -> None:
        """Close everything, a recording first, and let `run` return."""
        if self._equipment is not None:
            self._equipment.recorder.stop()
        self._microphone.end()
        self._camera.end()

    # -------------------- what the core wants

    def perform(self, effect: Effect) -> None:
        """Carry out an effect of `EFFECTS`: at once or soon."""
        match effect:
            case StartCapture() | StopCapture() | RenewCapture():
                self._capture(effect)
            case OpenMicrophone(on=on):
                self._audio_muted = not on
                self._tell_equipment()
            case OpenCamera(on=on):
                self._video_paused = not on
                self._tell_equipment()
            case SwitchCamera(facing=facing):
                self._camera.choose(facing)
            case _ if self._equipment is None:
                self._kept.append(effect)
            case UseAudioMode(mode=mode):
                self._use(self._equipment, mode)
            case LimitFramerate(fps=fps):
                self._equipment.video.framerate_limit = fps
            case SetVolume(mode=mode, percent=percent):
                self._equipment.loudspeaker.set_volume(mode, percent)
            case StartRecording(call_id=call_id, video=video):
                self._equipment.recorder.start(call_id, video=video)
            case StopRecording():
                self._equipment.recorder.stop()

    def _capture(self, effect: StartCapture | StopCapture | RenewCapture) -> None:
        match effect:
            case StartCapture(video=video, audio=audio):
                self._closing = None
                self._microphone.want(wanted=audio)
                self._camera.want(wanted=video)
            case StopCapture(number):
                self._closing = number
                self._stop_capture()
            case RenewCapture(reason=reason):
                self._microphone.interrupt(reason)
                self._camera.interrupt(reason)

    def hold(self, calls: frozenset[str], /) -> None:
        """In these calls nobody hears anybody at the moment: nothing of them is to be recorded."""
        if self._equipment is not None:
            self._equipment.recorder.on_hold = calls

    def plug(self, mode: AudioMode, present: bool, /) -> None:
        """Let an output of a simulated board come or go.

        Raises ValueError where it is not configured, or not simulated.
        """
        outputs: object = self._equipment.outputs if self._equipment else None
        if not isinstance(outputs, Pluggable):
            raise ValueError("the outputs of this device are not simulated: plug it in by hand")
        outputs.plug(mode, present)

    @property
    def released(self) -> bool:
        """Whether neither microphone nor camera is open, not even in a driver that hangs."""
        return self._microphone.released and self._camera.released

    @property
    def rests(self) -> bool:
        """Whether microphone and camera are closed, and nobody wants them."""
        return self._microphone.rests and self._camera.rests

    def _stop_capture(self) -> None:
        self._microphone.want(wanted=False)
        self._camera.want(wanted=False)
        if self._camera.used is not CameraFacing.FRONT:
            self._camera.choose(CameraFacing.FRONT)  # with which the next call is to begin

    def _tell_closed(self) -> None:
        if self._closing is not None and self.rests:
            number, self._closing = self._closing, None
            self._post(CaptureClosed(number))

    def _tell_equipment(self) -> None:
        if self._equipment is not None:
            self._equipment.audio.muted = self._audio_muted
            if self._equipment.video.paused != self._video_paused:
                self._equipment.video.pause(self._video_paused)

    def _camera_switched(self, facing: CameraFacing) -> None:
        self._post(CameraSwitched(facing))

    async def _make_microphone(self, mode: AudioMode, changed: Callable[[], None]) -> Live:
        return (await self._loaded()).microphone(mode, changed)

    async def _make_camera(self, facing: CameraFacing, changed: Callable[[], None]) -> Live:
        return (await self._loaded()).camera(facing, changed)

    # -------------------- where the sound comes out

    def _use(self, equipment: Equipment, mode: AudioMode) -> None:
        speaker = equipment.loudspeaker
        if mode in speaker.available:
            speaker.use(mode)
            self._microphone.choose(mode)
        else:
            there = ", ".join(speaker.available) or "none at all"
            sentence = f"there is no {mode} to be heard on; there is: {there}"
            self._post(FaultReported("no_such_output", sentence, f"audio.{mode}"))
        self._report_outputs(equipment)

    def _outputs_changed(self, _: None) -> None:
        equipment = self._equipment
        if equipment is None:
            return
        equipment.loudspeaker.fall_back()
        self._microphone.hurry()
        if equipment.loudspeaker.mode is not self._microphone.used:
            self._microphone.choose(equipment.loudspeaker.mode)
        self._report_outputs(equipment)

    def _report_outputs(self, equipment: Equipment) -> None:
        speaker = equipment.loudspeaker
        self._post(AudioOutputs(speaker.mode, speaker.available))

    # -------------------- its own picture

    async def snapshot(self) -> bytes | None:
        """What the camera sees, as JPEG; None while it is closed or paused."""
        source = self._viewfinder
        return await asyncio.to_thread(source.picture) if source else None

    async def own_frames(self, rate_hz: float) -> AsyncIterator[Rgb | None]:
        """What the camera sees, so often at most; None where it is closed or paused."""
        while True:
            source = self._viewfinder
            yield await asyncio.to_thread(source.frame) if source else None
            await asyncio.sleep(1 / rate_hz)

    @property
    def _source(self) -> VideoSource | None:
        return self._equipment.video.source if self._equipment else None

    @property
    def _viewfinder(self) -> Viewfinder | None:
        source: object = self._source
        if self._video_paused or not isinstance(source, Viewfinder):
            return None
        return source

    # -------------------- for `status`

    def status(self) -> dict[str, Json]:
        """The part of the `media` object that is about devices, and what the loudspeaker hears."""
        speaker = self._equipment.loudspeaker if self._equipment else None
        measured = speaker.measured if speaker else None
        source = self._source
        outputs: object = self._equipment.outputs if self._equipment else None
        return {
            "audio_muted": self._audio_muted,
            "video_paused": self._video_paused,
            "audio_mode": (speaker.mode if speaker else AudioMode.SPEAKER).value,
            "camera_facing": self._camera.used.value,
            "encoder": source.encoder if source else "software",
            "recording": bool(self._equipment and self._equipment.recorder.is_recording),
            "volume_percent": speaker.volume_percent if speaker else 100,
            "speaker": {
                "mode": speaker.mode.value if speaker else None,
                "level_dbfs": measured.level_dbfs() if measured else None,
                "tone_hz": measured.tone_hz() if measured else None,
            },
            "sound": dict(outputs.counts()) if isinstance(outputs, Counting) else {},
            "microphone_open": self._microphone.open,
            "camera_open": self._camera.open,
        }
