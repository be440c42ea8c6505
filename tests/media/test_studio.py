"""The studio, played from its effects to its reports, with real aiortc peers on the far side."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from appliance.calls.effects import (
    AddCandidate,
    ClosePeer,
    OpenCamera,
    OpenMicrophone,
    OpenPeer,
    StartCapture,
    StopCapture,
)
from appliance.calls.inputs import (
    CaptureClosed,
    DeviceFailed,
    FaultReported,
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerKey,
    PeerLost,
    PeerRestored,
    SpeakerChanged,
)
from appliance.media import latest
from appliance.media.base import AccessUnit, Devices, SourceFailed
from appliance.media.link import Report
from appliance.media.synthetic import CardCamera, dominant_hz, level_dbfs
from appliance.messages import IceCandidate, SessionDescription
from appliance.model import CallType, DeviceException
from tests.media.stranger import Stranger, until
from tests.media.studio_door import ALICE, BOB, SMALL, Door, a_door
from tests.parts.network import without_checks


def without_candidates(sdp: str) -> str:
    return "".join(line for line in sdp.splitlines(keepends=True) if "candidate" not in line)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with a_door() as door:
        yield door


async def test_answering_a_video_call_shows_the_card_and_carries_sound_both_ways(
    door: Door,
) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger(tone_hz=660) as alice:
        await door.answer(alice)
        await door.next(PeerConnected)
        await until(lambda: len(alice.numbers) > 10, "pictures")
        seen = [number for number in alice.numbers if number is not None]
        assert len(seen) >= 9
        assert seen == sorted(set(seen)), "the frame counter goes on"
        await until(lambda: dominant_hz(alice.sound) is not None and len(alice.sound) == 48_000)
        assert dominant_hz(alice.sound) == pytest.approx(440, abs=1)
        assert level_dbfs(alice.sound) == pytest.approx(-20, abs=1.5)
        await until(lambda: door.studio.status()["speaker"]["tone_hz"])
        assert door.studio.status()["speaker"]["tone_hz"] == pytest.approx(660, abs=3)
        assert (await door.next(SpeakerChanged)).peer == ALICE
        door.studio.perform(ClosePeer(ALICE))
    assert door.reports == []


async def test_offering_a_video_call_shows_the_card_and_carries_sound_both_ways(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger(tone_hz=1000) as alice:
        await door.offer(alice)
        await door.next(PeerConnected)
        await until(lambda: len(alice.numbers) > 10, "pictures")
        await until(lambda: dominant_hz(alice.sound), "our tone")
        assert dominant_hz(alice.sound) == pytest.approx(440, abs=3)
        await until(lambda: door.studio.status()["speaker"]["tone_hz"], "the far tone")
        assert door.studio.status()["speaker"]["tone_hz"] == pytest.approx(1000, abs=3)
        assert (await door.next(SpeakerChanged)).peer == ALICE
        door.studio.perform(ClosePeer(ALICE))
    assert door.reports == []


async def test_an_audio_call_has_no_video_even_where_the_offer_has_some(door: Door) -> None:
    door.studio.perform(StartCapture(video=False))
    async with Stranger() as alice, Stranger() as bob:
        await door.answer(alice, type=CallType.AUDIO, video=None)
        await door.next(PeerConnected)
        await door.answer(bob, BOB, type=CallType.AUDIO, video="sendrecv")
        await door.next(PeerConnected)
        await until(lambda: dominant_hz(alice.sound) and dominant_hz(bob.sound), "our tone")
        assert door.studio.status()["video_listeners"] == 0
        assert [line.currentDirection for line in bob.pc.getTransceivers()] == [
            "recvonly",
            "inactive",
        ]
        assert bob.numbers == []


async def test_the_status_tells_what_is_sent_and_how_the_ways_are(door: Door) -> None:
    assert door.studio.status()["sent"] == {"camera": None, "screen": None}
    assert door.studio.status()["links"] == []
    door.studio.perform(StartCapture(video=True))
    async with Stranger() as alice, Stranger() as bob:
        await door.answer(alice)
        await door.answer(bob, BOB, type=CallType.AUDIO, video=None)
        await until(lambda: alice.numbers, "a picture")

        def link() -> dict[str, Any]:
            links: Any = door.studio.status()["links"]
            (only,) = links  # Bob gets no picture
            return dict(only)

        await until(lambda: link()["rtt_ms"] is not None, "a report that tells how far it is")
        assert (link()["uid"], link()["endpoint"]) == ("alice", "phone-1")
        assert isinstance(link()["loss_percent"], float)
        assert link()["keyframes_only"] is False
        sent: Any = door.studio.status()["sent"]
        assert sent["screen"] is None
        source = door.studio._equipment.video.source  # type: ignore[union-attr]
        assert source is not None
        assert sent["camera"]["width"] == source.width
        assert 100 <= sent["camera"]["kbps"] <= SMALL.bitrate_kbps


async def test_reports_of_loss_make_the_camera_send_less(door: Door) -> None:
    """From a receiver's report (RTCP) to the encoder."""
    door.studio.perform(StartCapture(video=True))
    async with Stranger() as alice:
        await door.answer(alice)
        await until(lambda: alice.numbers, "a picture")
        (leg,) = door.studio._legs.values()
        track = leg.camera_track
        assert track is not None
        assert track.feedback is not None
        for _ in range(60):
            sent: Any = door.studio.status()["sent"]
            if sent["camera"]["kbps"] < SMALL.bitrate_kbps / 2:
                break
            track.feedback.unread.append(Report(time.monotonic(), 0.5))
            await asyncio.sleep(0.5)
        source = door.studio._equipment.video.source  # type: ignore[union-attr]
        assert source is not None
        assert source.framerate < SMALL.framerate
        seen = len(alice.numbers)
        await until(lambda: len(alice.numbers) > seen + 5, "fewer pictures, and still some")


async def test_an_offer_that_has_only_sound_makes_a_video_call_one_of_sound(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger() as alice:
        await door.answer(alice, video=None)
        await door.next(PeerConnected)
        await until(lambda: dominant_hz(alice.sound), "our tone")


@pytest.mark.parametrize(
    ("theirs", "agreed"),
    [
        ("recvonly", "recvonly"),
        ("sendrecv", "recvonly"),
        ("sendonly", "inactive"),
        ("inactive", "inactive"),
    ],
)
async def test_no_video_is_taken_from_the_far_side(door: Door, theirs: str, agreed: str) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger() as alice:
        await door.answer(alice, video=theirs)
        await door.next(PeerConnected)
        video = alice.pc.getTransceivers()[1]
        assert video.currentDirection == agreed
        if agreed == "recvonly":
            await until(lambda: alice.numbers, "a picture")
        else:
            assert door.studio.status()["video_listeners"] == 0


async def test_an_offer_of_vp8_alone_is_refused_with_a_code(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger() as alice:
        offer = await alice.call(only="video/VP8", audio=False)
        door.studio.perform(OpenPeer(ALICE, CallType.VIDEO, offer))
        failed = await door.next(PeerFailed)
    assert failed.code == "no_common_codec"
    assert "H.264" in failed.message
    assert door.all(PeerAnswered) == []


async def test_paused_video_sends_not_one_packet_and_goes_on_with_a_keyframe(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger() as alice:
        await door.answer(alice)
        await until(lambda: len(alice.numbers) > 3, "pictures")
        door.studio.perform(OpenCamera(on=False))
        # what was on its way is there when a second of sound that was made after it is
        await asyncio.sleep(0)
        alice.sound = alice.sound[:0]
        await until(lambda: len(alice.sound) == 48_000, "a second of sound")
        paused = await alice.video_packets()
        keyframes = alice.keyframes
        alice.sound = alice.sound[:0]
        await until(lambda: len(alice.sound) == 48_000, "another second")
        assert await alice.video_packets() == paused
        assert door.studio.status()["video_paused"]

        door.studio.perform(OpenCamera(on=True))
        pictures = len(alice.numbers)
        await until(lambda: len(alice.numbers) > pictures + 3, "pictures again")
        assert alice.keyframes == keyframes + 1
        assert None not in alice.numbers


async def test_a_muted_microphone_sends_silence(door: Door) -> None:
    door.studio.perform(StartCapture(video=False))
    async with Stranger() as alice:
        await door.answer(alice, type=CallType.AUDIO, video=None)
        await until(lambda: level_dbfs(alice.sound) > -30, "sound")
        door.studio.perform(OpenMicrophone(on=False))
        await until(lambda: len(alice.sound) and level_dbfs(alice.sound[-9600:]) < -80, "silence")
        assert door.studio.status()["audio_muted"]
        door.studio.perform(OpenMicrophone(on=True))
        await until(lambda: level_dbfs(alice.sound) > -30, "sound again")


async def test_capture_that_was_not_asked_for_gives_nothing(door: Door) -> None:
    async with Stranger() as alice:
        await door.answer(alice)
        await door.next(PeerConnected)
        assert not door.studio.status()["camera_open"]
        assert not door.studio.status()["microphone_open"]
        door.studio.perform(StartCapture(video=True))
        await until(lambda: len(alice.numbers) > 2, "pictures")
        await until(lambda: len(alice.sound), "sound")
        door.studio.perform(StopCapture())
        for device in ("camera_open", "microphone_open"):
            await until(lambda: not door.studio.status()[device], "it to close")  # noqa: B023


class Stalling(CardCamera):
    """A camera that takes so many pictures, and then no more."""

    taken = 0

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        def take(unit: AccessUnit) -> None:
            if self.taken < 6:
                deliver(unit)
                self.taken += 1

        super().start(take, failed)


async def test_nothing_wakes_a_studio_that_is_not_in_use(door: Door) -> None:
    """What is used is looked after until it is closed, and the next that is used is again."""

    def looks() -> bool:
        return any(task.get_name() == "media liveness" for task in asyncio.all_tasks())

    assert not looks()
    for number in (1, 2):
        door.studio.perform(StartCapture(video=True))
        assert looks()
        async with Stranger() as alice:
            await door.answer(alice)
            await door.next(PeerConnected)
            door.studio.perform(StopCapture(number))
            await door.next(CaptureClosed)
            assert looks(), "there is a connection still"
            door.studio.perform(ClosePeer(ALICE))
        await until(lambda: not looks(), "the last look")


async def test_what_is_wanted_while_a_studio_ends_keeps_it_from_nothing() -> None:
    async with a_door() as door:
        await door.studio.load()
        soon = asyncio.get_running_loop().call_soon
        soon(soon, door.studio.perform, StartCapture(video=True))


async def test_who_joins_a_warm_camera_needs_no_further_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(latest, "FRESH_S", 60)  # however slow the machine is
    camera = Stalling(320, 180, 15, 300)
    async with a_door(devices=Devices(camera=camera)) as door:
        door.studio.perform(StartCapture(video=True))
        await until(lambda: camera.taken == 6, "the camera to stall")
        async with Stranger() as alice:
            await door.answer(alice)
            await until(lambda: alice.numbers, "a picture")
            assert alice.numbers[0] in range(6)
            assert alice.keyframes > 0


async def test_two_peers_share_one_encoder_and_a_late_one_begins_with_a_keyframe(
    door: Door,
) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger() as alice, Stranger() as bob:
        await door.answer(alice)
        await until(lambda: len(alice.numbers) > 8, "pictures")
        assert 1 <= alice.keyframes <= 3, "those that were kept, or asked for before she came"
        before = alice.keyframes
        await door.answer(bob, BOB)
        await until(lambda: len(bob.numbers) > 8, "pictures for who comes late")
        assert bob.keyframes == 1
        await until(lambda: alice.keyframes > before, "the keyframe for bob, at alice's too")
        assert alice.keyframes == before + 1
        assert None not in bob.numbers, "there is nothing broken before it"
        assert door.studio.status()["video_listeners"] == 2
        assert set(bob.numbers) & set(alice.numbers), "they see the same pictures"
        door.studio.perform(ClosePeer(BOB))
        await until(lambda: door.studio.status()["video_listeners"] == 1)


async def test_a_peer_that_leaves_is_reported_once_and_closing_it_is_harmless(door: Door) -> None:
    async with Stranger() as alice:
        await door.answer(alice)
        await door.next(PeerConnected)
    failed = await door.next(PeerFailed)
    assert (failed.peer, failed.code) == (ALICE, "connection_closed")
    door.studio.perform(ClosePeer(ALICE))
    door.studio.perform(ClosePeer(ALICE))
    door.studio.perform(ClosePeer(BOB))
    assert door.reports == []


async def test_nothing_is_reported_of_a_peer_once_it_is_closed(door: Door) -> None:
    keepers = len(door.studio._running)
    for moment in range(20):
        async with Stranger() as alice:
            door.studio.perform(OpenPeer(ALICE, CallType.VIDEO, await alice.call()))
            for _ in range(moment):  # some way into answering
                await asyncio.sleep(0)
            door.reports.clear()
            door.studio.perform(ClosePeer(ALICE))
            await until(lambda: len(door.studio._running) == keepers, "the connection to be gone")
        assert door.reports == [], f"closed at moment {moment}"


async def test_candidates_that_come_before_the_offer_are_kept(door: Door) -> None:
    async with Stranger() as alice:
        offer = await alice.call(video=None)
        bare = without_candidates(offer.sdp)
        for line in offer.sdp.splitlines():
            if line.startswith("a=candidate"):
                candidate = IceCandidate(line.removeprefix("a="), sdp_mid="0", sdp_m_line_index=0)
                door.studio.perform(AddCandidate(ALICE, candidate))
        door.studio.perform(OpenPeer(ALICE, CallType.AUDIO, SessionDescription("offer", bare)))
        await alice.take((await door.next(PeerAnswered)).description)
        await door.next(PeerConnected)


async def test_a_candidate_that_is_none_is_a_fault_and_the_call_goes_on(door: Door) -> None:
    async with Stranger() as alice:
        await door.answer(alice)
        door.studio.perform(AddCandidate(ALICE, IceCandidate("rubbish", sdp_mid="0")))
        assert (await door.next(FaultReported)).code == "bad_candidate"
        await door.next(PeerConnected)


async def test_a_peer_that_cannot_be_reached_fails_within_the_limit() -> None:
    async with a_door(setup_limit_s=0.2) as door, Stranger() as alice:
        offer = await alice.call()
        mute = without_candidates(offer.sdp)
        door.studio.perform(OpenPeer(ALICE, CallType.VIDEO, SessionDescription("offer", mute)))
        await door.next(PeerAnswered)
        await door.next(PeerAgreed)
        assert (await door.next(PeerFailed)).code == "setup_timed_out"
        assert door.reports == []


async def test_a_silent_peer_is_lost_and_comes_back(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Stranger(tone_hz=500) as alice:
        await door.answer(alice, video=None, type=CallType.AUDIO)
        await door.next(PeerConnected)
        ice = alice.pc.getSenders()[0].transport.transport
        send = ice._send

        async def nowhere(data: bytes) -> None:
            """As if the far side had walked out of the radio's reach."""

        monkeypatch.setattr(ice, "_send", nowhere)
        undo = [without_checks(protocol) for protocol in ice._connection._protocols]
        assert (await door.next(PeerLost)).peer == ALICE
        monkeypatch.setattr(ice, "_send", send)
        for one in undo:
            one()
        assert (await door.next(PeerRestored)).peer == ALICE
        await door.next(SpeakerChanged)
        door.studio.perform(ClosePeer(ALICE))
    assert door.reports == []


async def test_devices_that_do_not_exist_are_reported_and_the_call_goes_on() -> None:
    async with a_door(camera="7", microphone="hw:9") as door, Stranger() as alice:
        door.studio.perform(StartCapture(video=True))
        failures = [await door.next(DeviceFailed), await door.next(DeviceFailed)]
        assert [failure.device for failure in failures] == ["microphone", "camera"]
        assert {failure.type for failure in failures} == {DeviceException.INVALID_ID}
        await door.answer(alice)
        await door.next(PeerConnected)


async def test_a_studio_that_ends_while_it_opens_its_devices_closes_them() -> None:
    async with a_door() as door:
        door.studio.perform(StartCapture(video=True))
    assert door.reports == []


class Wonky(CardCamera):
    """A camera that cannot be opened the first time, and stops by itself the second."""

    starts = 0

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        self.starts += 1
        match self.starts:
            case 1:
                raise OSError("I/O error")
            case 2:
                failed(SourceFailed(DeviceException.DEVICE_UNPLUGGED, "the cable is loose"))
            case _:
                super().start(deliver, failed)


async def test_a_camera_that_fails_is_reported_and_so_is_that_it_works_again() -> None:
    async with a_door(devices=Devices(camera=Wonky(160, 90, 15, 100))) as door:
        told = []
        for number in range(3):
            door.studio.perform(StartCapture(video=True))
            told.append((await door.next(DeviceFailed)).type)
            door.studio.perform(StopCapture(number))
            assert await door.next(CaptureClosed) == CaptureClosed(number)
            assert not door.studio.status()["camera_open"]
            assert not door.studio.status()["microphone_open"]
    assert told == [DeviceException.UNKNOWN, DeviceException.DEVICE_UNPLUGGED, None]
    assert door.reports == []


def test_a_studio_can_be_made_before_aiortc_is_loaded() -> None:
    program = (
        "import sys\n"
        "import appliance.media.studio\n"
        "print(sorted({'av', 'aiortc', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


async def test_thirty_calls_leave_nothing_behind(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """Closed at whatever moment. The fixtures of every test count tasks, threads and descriptors."""
    door.studio.perform(StartCapture(video=True))
    for turn in range(30):
        key = PeerKey("session", "alice", "phone", turn + 1)
        async with Stranger(tone_hz=700 if turn % 2 else None) as alice:
            if turn % 3:
                await door.answer(alice, key)
            else:
                await door.offer(alice, key)
            for _ in range(turn * 4):  # some way into connecting
                await asyncio.sleep(0)
            if turn % 5 == 0:
                await door.next(PeerConnected)
            door.studio.perform(ClosePeer(key))
    assert door.studio.status()["peers"] == 0
    await until(lambda: not door.studio.status()["video_listeners"], "the last to have gone")
    assert door.all(PeerFailed) == []
    assert [record for record in caplog.records if record.name.startswith("appliance")] == []
