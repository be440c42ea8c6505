"""Open devices and their fan-outs: from the first thing that one gives to the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from appliance.media import hush
from appliance.media.alsa import AlsaMicrophone
from appliance.media.base import SILENT_FRAME, AccessUnit, SourceFailed
from appliance.media.capture import NOTHING_HEARD, STALL_LIMIT_S, LiveCamera, LiveMicrophone
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.synthetic import ToneMicrophone
from appliance.model import DeviceException
from tests.media.softcard import SoftCard, tone
from tests.media.stranger import until


class Camera:
    """Gives a picture when the test says so, on the test's own thread."""

    encoder, width, height, framerate = "software", 320, 180, 30

    def __init__(self) -> None:
        self.is_open = self.resting = False

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        self.is_open, self.deliver, self.failed = True, deliver, failed

    def stop(self) -> None:
        self.is_open = False

    def rest(self, resting: bool, /) -> None:
        self.resting = resting

    def rests(self) -> bool:
        return self.resting

    def request_keyframe(self) -> None: ...
    def set_bitrate(self, kbps: int) -> None: ...
    def set_framerate(self, fps: int) -> None: ...
    def set_scale(self, divisor: int) -> None: ...

    def give(self, name: str, at_us: int) -> None:
        self.deliver(AccessUnit(name.encode(), at_us, keyframe=True))


class Microphone:
    """The same for sound."""

    def start(
        self, deliver: Callable[[bytes], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        self.deliver, self.failed = deliver, failed

    def stop(self) -> None: ...


class Taker:
    """Who looks on."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def push(self, unit: AccessUnit, /) -> None:
        self.names.append(unit.data.decode())

    def restart(self) -> None: ...


def nothing() -> None: ...


async def soon() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_camera_takes_over_with_its_first_picture_and_the_other_is_not_seen_again() -> None:
    fanout, taker = VideoFanout(), Taker()
    fanout.watch(taker)
    front, rear = Camera(), Camera()
    lives = [LiveCamera(front, fanout, nothing), LiveCamera(rear, fanout, nothing)]
    for live in lives:
        await live.open()
    front.give("front 1", 1_000)
    await soon()
    assert [live.began for live in lives] == [True, False]
    rear.give("rear 1", 2_000)
    front.give("front 2", 2_500)
    rear.give("rear 2", 3_000)
    await soon()
    assert taker.names == ["front 1", "rear 1", "rear 2"]
    await lives[0].close()
    assert fanout.source == rear, "what is closed takes nothing along"
    assert [front.is_open, rear.is_open] == [False, True]
    await lives[1].close()
    rear.give("rear 3", 4_000)
    await soon()
    assert not fanout.source
    assert taker.names[-1] == "rear 2"


async def test_a_camera_that_is_opened_while_paused_rests_from_its_first_picture_on() -> None:
    fanout, taker, camera = VideoFanout(), Taker(), Camera()
    fanout.watch(taker)
    fanout.pause(True)
    live = LiveCamera(camera, fanout, nothing)
    await live.open()
    camera.give("secret", 0)
    await soon()
    assert live.began
    assert camera.rests()
    assert taker.names == []
    await live.close()


async def test_only_the_microphone_in_use_is_heard() -> None:
    fanout = AudioFanout()
    heard: list[bytes] = []
    fanout.tap = heard.append
    loud, other = b"\x01\x00" * 960, b"\x02\x00" * 960
    speaker, headset = Microphone(), Microphone()
    lives = [LiveMicrophone(one, fanout, nothing) for one in (speaker, headset)]
    for live in lives:
        await live.open()
    speaker.deliver(loud)
    await until(lambda: lives[0].began)
    speaker.deliver(loud)
    headset.deliver(other)
    await until(lambda: lives[1].began)
    speaker.deliver(loud)
    headset.deliver(other)
    fanout.muted = True
    headset.deliver(other)
    assert heard == [loud, other, SILENT_FRAME]
    for live in lives:
        await live.close()
    assert fanout.source is None


async def test_a_microphone_that_hears_nothing_is_complained_of_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hush, "TOO_LONG_S", 0.01)
    fanout, microphone = AudioFanout(), Microphone()
    live = LiveMicrophone(microphone, fanout, nothing)
    await live.open()
    microphone.deliver(SILENT_FRAME)
    await until(lambda: live.began)

    async def after(frame: bytes) -> SourceFailed | None:
        for _ in range(3):
            microphone.deliver(frame)
            await asyncio.sleep(0.011)
        return live.complaint

    assert await after(SILENT_FRAME) is NOTHING_HEARD
    assert await after(b"\x00\x10" * 960) is None
    fanout.muted = True
    assert await after(SILENT_FRAME) is None, "muted it may be silent"
    fanout.muted = False
    assert await after(SILENT_FRAME) is NOTHING_HEARD
    assert live.fault is None
    await live.close()


@pytest.mark.parametrize(
    ("itself", "complaint"), [(b"\x40\x00" * 960, None), (SILENT_FRAME, NOTHING_HEARD)]
)
async def test_what_takes_out_all_noise_is_not_taken_for_a_microphone_that_hears_nothing(
    monkeypatch: pytest.MonkeyPatch, itself: bytes, complaint: SourceFailed | None
) -> None:
    """Nor does what makes noise of nothing hide one that does."""
    monkeypatch.setattr(hush, "TOO_LONG_S", 0.0)
    fanout, microphone = AudioFanout(), Microphone()
    microphone.unprocessed = itself  # type: ignore[attr-defined]
    live = LiveMicrophone(microphone, fanout, nothing)
    await live.open()
    microphone.deliver(SILENT_FRAME)
    await until(lambda: live.began)
    for _ in range(3):
        microphone.deliver(SILENT_FRAME if complaint is None else b"\x00\x10" * 960)
        await soon()
    assert live.complaint is complaint
    await live.close()


async def test_of_a_quiet_room_behind_a_canceller_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A card at -60 dBFS, and somebody who leaves nothing of that."""
    monkeypatch.setattr(hush, "TOO_LONG_S", 0.0)
    card, fanout = SoftCard(says=tone(440, -60)), AudioFanout()
    passed: list[bytes] = []
    fanout.tap = passed.append
    live = LiveMicrophone(
        AlsaMicrophone("hw:0", lambda frame, _: SILENT_FRAME, card.opens), fanout, nothing
    )
    await live.open()
    await until(lambda: len(passed) > 10)
    assert set(passed) == {SILENT_FRAME}
    assert live.complaint is None
    card.says = tone(440, -80)
    await until(lambda: live.complaint is NOTHING_HEARD)
    await live.close()


async def test_a_microphone_that_is_silent_on_purpose_is_not_complained_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hush, "TOO_LONG_S", 0.0)
    fanout, heard = AudioFanout(), asyncio.Event()
    loop = asyncio.get_running_loop()
    fanout.tap = lambda _: loop.call_soon_threadsafe(heard.set)  # type: ignore[assignment]
    live = LiveMicrophone(ToneMicrophone(level_dbfs=None), fanout, nothing)
    await live.open()
    await heard.wait()
    await soon()
    assert live.complaint is None
    await live.close()


async def test_an_encoder_that_breaks_is_a_service_that_was_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fanout, microphone = AudioFanout(), Microphone()

    def broken(_: bytes) -> None:
        raise RuntimeError("no room")

    fanout.tap = broken
    live = LiveMicrophone(microphone, fanout, nothing)
    await live.open()
    microphone.deliver(SILENT_FRAME)
    await until(lambda: live.began)
    microphone.deliver(SILENT_FRAME)
    await until(lambda: live.fault is not None)
    assert live.fault is not None
    assert live.fault.type is DeviceException.MEDIA_SERVICES_WERE_LOST
    assert "no room" in str(live.fault)
    await live.close()


async def test_a_camera_owes_pictures_unless_it_rests() -> None:
    fanout, camera = VideoFanout(), Camera()
    now_s = asyncio.get_running_loop().time
    live = LiveCamera(camera, fanout, nothing)
    await live.open()
    camera.give("one", 1_000)
    assert now_s() < live.due_s <= now_s() + STALL_LIMIT_S
    live._seen_at_s -= 60
    assert live.due_s < now_s()
    fanout.pause(True)
    assert live.due_s > now_s()
    fanout.pause(False)
    assert live.due_s > now_s(), "it has time to wake up"
    await live.close()


async def test_why_a_device_stopped_is_kept_and_told() -> None:
    changes: list[str] = []
    camera, microphone = Camera(), Microphone()
    eye = LiveCamera(camera, VideoFanout(), lambda: changes.append("camera"))
    ear = LiveMicrophone(microphone, AudioFanout(), lambda: changes.append("microphone"))
    fault = SourceFailed(DeviceException.DEVICE_UNPLUGGED, "the cable is loose")
    for live, device in ((eye, camera), (ear, microphone)):
        await live.open()
        device.failed(fault)
    await soon()
    assert (eye.fault, ear.fault) == (fault, fault)
    assert changes == ["camera", "microphone"]
    await eye.close()
    await ear.close()
