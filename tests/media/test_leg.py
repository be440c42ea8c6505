"""A connection between its first negotiation and its end: agreed anew, replaced, on hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtp import is_rtcp

from appliance.calls.effects import (
    AcceptAnswer,
    AddCandidate,
    ClosePeer,
    HoldPeer,
    MutePeer,
    OpenPeer,
    Renegotiate,
    ShareScreen,
    StartCapture,
)
from appliance.calls.inputs import (
    VIEWING,
    FaultReported,
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerKey,
    PeerLost,
    PeerOffered,
    PeerRestored,
    SpeakerChanged,
)
from appliance.media import leg
from appliance.media import peer as peers
from appliance.media.feeding import FrameEncoder
from appliance.media.hold_tone import TONE_HZ
from appliance.media.seams import ice, receiving
from appliance.media.synthetic import dominant_hz, level_dbfs
from appliance.messages import IceCandidate, SessionDescription
from appliance.model import CallType
from tests.media.stranger import Film, Stranger, Voice, until
from tests.media.studio_door import ALICE, BOB, Door, a_door
from tests.parts.network import without_checks

if TYPE_CHECKING:
    from appliance.media.base import Rgb

pytestmark = pytest.mark.timeout(300)  # where others have the cores; see `until`

RED, BLUE = (200, 20, 20), (20, 20, 200)


class Screen:
    """A screen that remembers what it shows."""

    framerate = 10

    def __init__(self) -> None:
        self.shown: list[tuple[str, str, bool, Rgb]] = []
        self.ended: list[tuple[str, str, bool]] = []

    def show(self, uid: str, endpoint: str, screen: bool, frame: Rgb, /) -> None:
        self.shown.append((uid, endpoint, screen, frame))

    def gone(self, uid: str, endpoint: str, screen: bool, /) -> None:
        self.ended.append((uid, endpoint, screen))

    def count(self, *, screen: bool) -> int:
        return sum(of_screen == screen for _, _, of_screen, _ in self.shown)

    def colour(self, *, screen: bool = False) -> str | None:
        """Of what is shown last: red, green or blue."""
        frames = [frame for _, _, of_screen, frame in self.shown if of_screen == screen]
        if not frames:
            return None
        middle: Any = np.median(frames[-1].reshape(-1, 3), axis=0)
        return ("red", "green", "blue")[int(middle.argmax())]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with a_door() as door:
        yield door


@pytest.fixture
def screen() -> Screen:
    return Screen()


# -------------------- agreed anew


async def test_a_call_of_sound_becomes_one_of_video_at_the_other_sides_offer(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger(tone_hz=500) as alice:
        agreed = await door.answer(alice, type=CallType.AUDIO, video=None)
        assert (agreed.video, agreed.screen) == (False, False)
        await door.next(PeerConnected)
        await until(lambda: dominant_hz(alice.sound), "our tone")
        alice.pc.addTransceiver("video", "recvonly")
        agreed = await door.answer_again(alice, await alice.call_again())
        assert (agreed.video, agreed.screen) == (True, False)
        await until(lambda: len(alice.numbers) > 5, "pictures")
        alice.sound = alice.sound[:0]
        await until(lambda: len(alice.sound) > 9600, "sound as before")
    assert door.all(PeerConnected) == []


async def test_a_call_of_sound_becomes_one_of_video_at_our_offer(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger(tone_hz=500) as alice:
        agreed = await door.offer(alice, type=CallType.AUDIO)
        assert not agreed.video
        await door.next(PeerConnected)
        agreed = await door.offer_again(alice)
        assert (agreed.video, agreed.screen) == (True, False)
        await until(lambda: len(alice.numbers) > 5, "pictures")
        agreed = await door.offer_again(alice, CallType.AUDIO)
        assert not agreed.video
        await until(lambda: not door.studio.status()["video_listeners"], "the camera to rest")
        agreed = await door.offer_again(alice)
        seen = len(alice.numbers)
        await until(lambda: len(alice.numbers) > seen + 5, "pictures again")


async def test_an_offer_that_had_video_in_a_call_of_sound_gets_it_later(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger() as alice:
        agreed = await door.answer(alice, type=CallType.AUDIO, video="recvonly")
        assert not agreed.video
        await door.next(PeerConnected)
        agreed = await door.answer_again(alice, await alice.call_again())
        assert agreed.video
        await until(lambda: len(alice.numbers) > 5, "pictures")


@pytest.mark.leaves("error", reason="the stranger's aiortc looks a new section up in an old answer")
async def test_a_renegotiation_before_media_flows(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger() as alice:
        await door.answer(alice, type=CallType.AUDIO, video=None)
        alice.pc.addTransceiver("video", "recvonly")
        await door.answer_again(alice, await alice.call_again())
        await door.next(PeerConnected)
        await until(lambda: len(alice.numbers) > 5, "pictures")


def no_opus(sdp: str) -> str:
    return sdp.replace("opus/48000", "telegraph/8000").replace("H264/", "AV1/")


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (lambda sdp: "v=0", "bad_description", "no media section"),
        (lambda sdp: sdp.replace("a=ice-pwd:", "a=ice-pwd:x"), "bad_description", "restart ICE"),
        (lambda sdp: sdp.replace("a=mid:0", "a=mid:7").replace("BUNDLE 0", "BUNDLE 7"),
         "bad_description", "another name"),
        (lambda sdp: sdp.replace("sha-256 ", "sha-256 00:"), "bad_description", "fingerprint"),
        (no_opus, "no_common_codec", "H.264"),
    ],
)  # fmt: skip
async def test_a_renegotiation_that_cannot_be_leaves_the_connection_alive(
    door: Door, spoil: Any, code: str, says: str
) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger(tone_hz=500) as alice:
        await door.answer(alice, type=CallType.AUDIO, video=None)
        await door.next(PeerConnected)
        alice.pc.addTransceiver("video", "recvonly")
        offer = await alice.call_again()
        bad = SessionDescription("offer", spoil(offer.sdp))
        door.studio.perform(Renegotiate(ALICE, CallType.VIDEO, bad))
        fault = await door.next(FaultReported)
        assert fault.code == code
        assert says in fault.message
        assert (fault.call_id, door.all(PeerFailed)) == (ALICE.call_id, [])
        alice.sound = alice.sound[:0]
        await until(lambda: len(alice.sound) > 9600, "sound as before")
        agreed = await door.answer_again(alice, offer)  # and one that can be, is taken
        assert agreed.video
        await until(lambda: len(alice.numbers) > 5, "pictures")


async def test_a_bad_answer_to_a_further_offer_leaves_the_connection_alive(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger(tone_hz=500) as alice:
        await door.offer(alice, type=CallType.AUDIO)
        await door.next(PeerConnected)
        door.studio.perform(Renegotiate(ALICE, CallType.VIDEO))
        answer = await alice.reply_again((await door.next(PeerOffered)).description)
        for bad in (answer.sdp.replace("H264/", "AV1/"), answer.sdp.replace("a=mid:1", "a=mid:2")):
            door.studio.perform(AcceptAnswer(ALICE, SessionDescription("answer", bad)))
            assert (await door.next(FaultReported)).where == "negotiation of alice/phone-1/1"
        door.studio.perform(AcceptAnswer(ALICE, answer))
        assert (await door.next(PeerAgreed)).video
        await until(lambda: len(alice.numbers) > 5, "pictures")
        door.studio.perform(AcceptAnswer(ALICE, answer))
        assert "nothing was offered" in (await door.next(FaultReported)).message
        assert door.all(PeerFailed) == []


async def test_who_answered_does_not_offer(door: Door) -> None:
    async with Stranger() as alice:
        await door.answer(alice)
        door.studio.perform(Renegotiate(ALICE, CallType.VIDEO))
        assert "offered first" in (await door.next(FaultReported)).message
        await door.next(PeerConnected)


async def test_of_a_connection_that_is_not_open_nothing_can_be_agreed(door: Door) -> None:
    door.studio.perform(Renegotiate(ALICE, CallType.VIDEO))
    assert (await door.next(FaultReported)).code == "not_open"
    door.studio.perform(HoldPeer(ALICE, here=True, there=False))
    assert door.reports == []


# -------------------- sections that are rejected


async def test_video_without_our_codec_is_rejected_and_sound_goes_on(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger(tone_hz=500, bundle=True) as alice:
        door.studio.perform(OpenPeer(ALICE, CallType.VIDEO, await alice.call(only="video/VP8")))
        answer = (await door.next(PeerAnswered)).description
        assert not (await door.next(PeerAgreed)).video
        assert "m=video 0 " in answer.sdp
        assert "a=group:BUNDLE 0\r\n" in answer.sdp
        await door.next(PeerFailed) if "m=audio 0" in answer.sdp else None
        await take_without_the_rejected(alice, answer)
        await door.next(PeerConnected)
        await until(lambda: dominant_hz(alice.sound), "our tone")


async def take_without_the_rejected(alice: Stranger, answer: SessionDescription) -> None:
    """As a browser would, which knows what port 0 is; aiortc does not."""
    from appliance.media.sections import Description, stand_in

    described = Description.parse(answer.sdp)
    alive = [n for n, section in enumerate(described.sections) if not section.is_rejected]

    def substitute(number: int) -> Any:
        rejected = described.sections[number]
        assert rejected.mid is not None
        section = stand_in(rejected.kind, rejected.mid)
        lines = tuple(line.replace("H264/90000", "VP8/90000") for line in section.lines)
        return type(section)(tuple(line for line in lines if "fmtp" not in line))

    await alice.take(
        SessionDescription("answer", described.for_aiortc(alive, substitute, candidates=True))
    )


async def test_a_section_that_the_other_side_rejects_is_no_obstacle(door: Door) -> None:
    """We offer sound and video; a phone without a screen takes the sound alone, and so again later."""
    door.studio.perform(StartCapture(video=True))
    async with Stranger(tone_hz=500, bundle=True) as alice:
        door.studio.perform(OpenPeer(ALICE, CallType.VIDEO))
        for _ in range(2):
            offer = (await door.next(PeerOffered)).description
            only_sound = SessionDescription("offer", offer.sdp[: offer.sdp.index("m=video")])
            answer = await alice.reply_again(only_sound)
            rejecting = answer.sdp + "m=video 0 UDP/TLS/RTP/SAVPF 99\r\na=inactive\r\n"
            door.studio.perform(AcceptAnswer(ALICE, SessionDescription("answer", rejecting)))
            assert not (await door.next(PeerAgreed)).video
            door.studio.perform(Renegotiate(ALICE, CallType.AUDIO))
        await door.next(PeerConnected)
        assert "m=video 0 " in (await door.next(PeerOffered)).description.sdp
        await until(lambda: dominant_hz(alice.sound), "our tone")
        assert door.studio.status()["video_listeners"] == 0


async def test_a_video_that_ends_is_rejected_from_then_on(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger(tone_hz=500) as alice:
        await door.answer(alice)
        await until(lambda: alice.numbers, "a picture")
        offer = await alice.call_again()
        before, video = offer.sdp.split("m=video ", 1)
        stopped = before.replace("BUNDLE 0 1", "BUNDLE 0") + "m=video 0 " + video.split(" ", 1)[1]
        for _ in range(2):
            door.studio.perform(
                Renegotiate(ALICE, CallType.VIDEO, SessionDescription("offer", stopped))
            )
            assert "m=video 0 " in (await door.next(PeerAnswered)).description.sdp
            assert not (await door.next(PeerAgreed)).video
            stopped = offer.sdp  # and it does not come back to life
        await until(lambda: not door.studio.status()["video_listeners"], "the camera to rest")
        alice.sound = alice.sound[:0]
        await until(lambda: len(alice.sound) > 9600, "sound as before")


# -------------------- pictures of the others, and two videos


async def test_the_others_pictures_are_shown_where_there_is_a_screen(screen: Screen) -> None:
    async with a_door(pictures=screen) as door, Stranger(bundle=True) as alice:
        door.studio.perform(StartCapture(video=True))
        alice.pc.addTransceiver("audio", "recvonly")
        alice.pc.addTransceiver(Film(RED), "sendrecv")
        agreed = await door.answer(alice, audio=False, video=None)
        assert (agreed.video, agreed.screen) == (True, False)
        await until(lambda: screen.colour() == "red", "the red film")
        await until(lambda: alice.numbers, "our pictures")
        uid, endpoint, of_screen, frame = screen.shown[-1]
        assert (uid, endpoint, of_screen) == ("alice", "phone-1", False)
        assert frame.shape == (96, 128, 3)
        assert frame.dtype == np.uint8
        door.studio.perform(ClosePeer(ALICE))
        await until(lambda: screen.ended, "the end")
        assert screen.ended == [("alice", "phone-1", False)]


def fed(encoder: FrameEncoder) -> FrameEncoder:
    encoder.feed(np.full((90, 160, 3), (20, 200, 20), np.uint8))
    return encoder


@pytest.mark.parametrize("who_offers", ["they", "we"])
async def test_two_videos_each_way(screen: Screen, who_offers: str) -> None:
    source = fed(FrameEncoder(160, 90, 15, 200))
    red, blue = Film(RED), Film(BLUE)
    async with (
        a_door(pictures=screen, screen_source=source) as door,
        Stranger(tone_hz=500, bundle=True) as alice,
    ):
        door.studio.perform(StartCapture(video=True))
        if who_offers == "they":
            alice.pc.addTransceiver(Film(RED), "sendrecv")
            alice.pc.addTransceiver(Film(BLUE), "sendrecv")
            agreed = await door.answer(alice, video=None)
        else:
            door.studio.perform(OpenPeer(ALICE, CallType.VIDEO))
            answer = await alice.reply_again((await door.next(PeerOffered)).description, red, blue)
            door.studio.perform(AcceptAnswer(ALICE, answer))
            agreed = await door.next(PeerAgreed)
        assert (agreed.video, agreed.screen) == (True, True)
        await until(lambda: len(alice.numbers) > 3, "our camera")
        assert alice.screen_numbers == [], "it is not shared yet"
        await until(lambda: screen.colour() == "red", "their camera")
        await until(lambda: screen.colour(screen=True) == "blue", "their screen")
        door.studio.perform(ShareScreen(on=True))
        await until(lambda: len(alice.screen_numbers) > 2, "our screen")
        assert door.studio.status()["screen_shared"]
        door.studio.perform(ShareScreen(on=False))
        await until(lambda: not door.studio.status()["screen_shared"], "the end of it")
        door.studio.perform(ShareScreen(on=True))
        seen = len(alice.screen_numbers)
        await until(lambda: len(alice.screen_numbers) > seen, "our screen again")


async def test_pictures_that_were_lost_for_good_are_not_waited_for(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after some seconds without a network: nobody sends again what is so old."""
    async with a_door(pictures=screen) as door, Stranger(tone_hz=500, bundle=True) as alice:
        sender = alice.pc.addTransceiver(Film(RED), "sendrecv").sender
        await door.answer(alice, video=None)
        await until(lambda: len(screen.shown) > 5, "pictures")
        transport = sender.transport
        send = transport._send_rtp
        lost: set[bytes] = set()

        async def lossy(data: bytes) -> None:
            source, number = int.from_bytes(data[8:12], "big"), data[2:4]
            if not is_rtcp(data) and source == sender._rtx_ssrc:
                return
            if not is_rtcp(data) and source == sender._ssrc and len(lost) < 20:
                lost.add(number)
            if number not in lost or source != sender._ssrc:
                await send(data)

        monkeypatch.setattr(transport, "_send_rtp", lossy)
        await until(lambda: len(lost) == 20, "the loss")
        shown = len(screen.shown)
        await until(lambda: len(screen.shown) > shown + 10, "pictures again")


async def test_of_two_videos_what_is_lost_is_sent_again(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retransmission has a source of its own, and aiortc does not know whose it is."""
    async with a_door(pictures=screen) as door, Stranger(tone_hz=500, bundle=True) as alice:
        alice.pc.addTransceiver(Film(RED), "sendrecv")
        alice.pc.addTransceiver(Film(BLUE), "sendrecv")
        await door.answer(alice, video=None)
        await until(lambda: screen.colour() and screen.colour(screen=True), "both")
        transport = alice.pc.getSenders()[0].transport
        send, videos = transport._send_rtp, alice.pc.getTransceivers()[1:]
        sources = {line.sender._ssrc for line in videos}
        lost: Counter[int] = Counter()

        async def lossy(data: bytes) -> None:
            source = int.from_bytes(data[8:12], "big")
            if not is_rtcp(data) and source in sources and lost[source] < 3:
                lost[source] += 1
            else:
                await send(data)

        async def begin_anew(receiver: RTCRtpReceiver) -> None:
            """What helps where nothing is sent again."""

        monkeypatch.setattr(receiving, "begin_anew", begin_anew)
        monkeypatch.setattr(transport, "_send_rtp", lossy)
        await until(lambda: len(lost) == 2 and min(lost.values()) == 3, "the loss")
        for of_screen in (False, True):
            shown = screen.count(screen=of_screen)
            await until(lambda: screen.count(screen=of_screen) > shown + 10, "pictures again")  # noqa: B023 - at once


async def test_the_screen_is_added_to_a_call_of_video(screen: Screen) -> None:
    async with a_door(pictures=screen) as door, Stranger(tone_hz=500, bundle=True) as alice:
        door.studio.perform(StartCapture(video=True))
        agreed = await door.answer(alice)
        await door.next(PeerConnected)
        alice.pc.addTransceiver(Film(BLUE), "sendonly")
        agreed = await door.answer_again(alice, await alice.call_again())
        assert (agreed.video, agreed.screen) == (True, False), "this device has nothing to share"
        await until(lambda: screen.colour(screen=True) == "blue", "their screen")
        seen = len(alice.numbers)
        await until(lambda: len(alice.numbers) > seen + 5, "our camera as before")


async def test_without_a_screen_to_share_sharing_is_a_fault(door: Door) -> None:
    door.studio.perform(ShareScreen(on=True))
    assert "no screen" in (await door.next(FaultReported)).message


# -------------------- generations


async def test_a_connection_replaces_another_and_nothing_is_heard_twice(screen: Screen) -> None:
    second = PeerKey(ALICE.call_id, ALICE.uid, ALICE.endpoint, 2)
    async with (
        a_door(pictures=screen) as door,
        Stranger(tone_hz=500, bundle=True) as alice,
        Stranger(tone_hz=1500, bundle=True) as again,
    ):
        door.studio.perform(StartCapture(video=True))
        alice.pc.addTransceiver(Film(RED), "sendrecv")
        again.pc.addTransceiver(Film(BLUE), "sendrecv")
        await door.answer(alice, video=None)
        await until(lambda: screen.colour() == "red", "the first one's picture")
        await until(lambda: door.studio.status()["speaker"]["tone_hz"], "her tone")
        offer = await again.call(video=None)
        bare = "".join(line for line in offer.sdp.splitlines(True) if "candidate" not in line)
        for line in offer.sdp.splitlines():
            if line.startswith("a=candidate"):
                candidate = IceCandidate(line.removeprefix("a="), sdp_mid="0", sdp_m_line_index=0)
                door.studio.perform(AddCandidate(second, candidate))
        door.studio.perform(OpenPeer(second, CallType.VIDEO, SessionDescription("offer", bare)))
        await again.take((await door.next(PeerAnswered)).description)
        assert door.studio.status()["connections"] == {"alice/phone-1": 2}
        await until(lambda: screen.colour() == "blue", "the second one's picture")
        heard = 1500.0

        def only_the_second() -> bool:
            tone_hz = door.studio.status()["speaker"]["tone_hz"]
            return tone_hz is not None and abs(tone_hz - heard) < 5

        await until(only_the_second, "the second one's tone")
        assert not screen.ended, "a picture that is replaced is not gone"
        door.studio.perform(ClosePeer(ALICE))
        await until(lambda: not alice.connected, "the first to end")
        shown = len(screen.shown)
        await until(lambda: len(screen.shown) > shown + 3, "pictures of the second")
        assert screen.colour() == "blue"
        assert screen.ended == []
        assert [report.peer for report in door.all(SpeakerChanged)] == [ALICE]
        door.studio.perform(ClosePeer(second))
        await until(lambda: screen.ended, "the end")


async def test_where_the_replacement_fails_the_old_one_is_heard_again(door: Door) -> None:
    second = PeerKey(ALICE.call_id, ALICE.uid, ALICE.endpoint, 2)
    async with Stranger(tone_hz=500) as alice:
        await door.answer(alice, type=CallType.AUDIO, video=None)
        async with Stranger(tone_hz=1500) as again:
            await door.answer(again, second, type=CallType.AUDIO, video=None)
            await until(lambda: sounds(door, 1500), "the second")
        assert (await door.next(PeerFailed)).peer == second
        await until(lambda: sounds(door, 500), "the first")


def hertz(door: Door) -> float:
    return float(door.studio.status()["speaker"]["tone_hz"] or 0)


def sounds(door: Door, tone_hz: float) -> bool:
    """Whether it is the loudest, as exactly as sound that a busy computer tears can be measured."""
    return abs(hertz(door) - tone_hz) < 10


# -------------------- on hold


async def test_who_is_kept_waiting_hears_the_tone_and_sees_nothing(screen: Screen) -> None:
    async with a_door(pictures=screen) as door, Stranger(tone_hz=600, bundle=True) as alice:
        door.studio.perform(StartCapture(video=True))
        film = Film(RED)
        alice.pc.addTransceiver(film, "sendrecv")
        await door.answer(alice, video=None)
        await until(lambda: screen.colour() == "red" and hertz(door), "both ways")
        door.studio.perform(HoldPeer(ALICE, here=True, there=False))
        assert door.studio.status()["on_hold"]
        await until(lambda: screen.ended, "her picture to go")
        await until(lambda: hears(alice, TONE_HZ), "the hold tone")
        await until(lambda: door.studio.status()["speaker"]["level_dbfs"] == -100, "silence here")
        assert door.studio.status()["video_listeners"] == 0
        assert door.studio.status()["audio_listeners"] == 0
        shown, sent = len(screen.shown), film.sent
        await until(lambda: film.sent > sent + 15, "a second in which she goes on sending")
        assert len(screen.shown) == shown, "nothing of it is shown"
        keyframes, seen = alice.keyframes, len(alice.numbers)
        door.studio.perform(HoldPeer(ALICE, here=False, there=False))
        await until(lambda: len(alice.numbers) > seen + 3, "our pictures")
        assert alice.keyframes > keyframes
        await until(lambda: hears(alice, 440), "our sound")
        await until(lambda: len(screen.shown) > shown + 3, "her pictures")
        await until(lambda: sounds(door, 600), "her sound")
        assert not door.studio.status()["on_hold"]
        assert door.all(PeerLost) == []


def hears(alice: Stranger, tone_hz: float) -> bool:
    """Whether it is the tone of the last tenth of a second."""
    return len(alice.sound) > 4800 and abs((dominant_hz(alice.sound[-4800:]) or 0) - tone_hz) < 5


async def test_who_waits_sends_silence_and_hears_the_tone(door: Door) -> None:
    door.studio.perform(StartCapture(video=False))
    async with Stranger(tone_hz=600) as alice:
        await door.answer(alice, type=CallType.AUDIO, video=None)
        await until(lambda: hears(alice, 440) and hertz(door), "both ways")
        door.studio.perform(HoldPeer(ALICE, here=False, there=True))
        assert not door.studio.status()["on_hold"]
        await until(lambda: len(alice.sound) and level_dbfs(alice.sound[-9600:]) < -80, "silence")
        await until(lambda: sounds(door, TONE_HZ), "the hold tone here")
        assert recorder_is_kept_out(door)
        door.studio.perform(HoldPeer(ALICE, here=True, there=True))
        await until(lambda: door.studio.status()["speaker"]["level_dbfs"] == -100, "no tone")
        door.studio.perform(HoldPeer(ALICE, here=False, there=True))
        await until(lambda: sounds(door, TONE_HZ), "the hold tone here")
        door.studio.perform(ClosePeer(ALICE))
        await until(lambda: door.studio.status()["speaker"]["level_dbfs"] == -100, "no tone")


def recorder_is_kept_out(door: Door) -> bool:
    assert door.studio._equipment is not None
    return ALICE.call_id in door.studio._equipment.recorder.on_hold


async def test_a_recording_gets_this_side_while_anybody_does(door: Door) -> None:
    async with Stranger() as alice, Stranger() as bob:
        await door.answer(alice, type=CallType.AUDIO, video=None)
        await door.answer(bob, BOB, type=CallType.AUDIO, video=None)
        withheld = []
        for here, there in ((True, False), (True, True), (False, False)):
            door.studio.perform(HoldPeer(ALICE, here=here, there=False))
            door.studio.perform(HoldPeer(BOB, here=False, there=there))
            withheld.append(recorder_is_kept_out(door))
        door.studio.perform(HoldPeer(ALICE, here=True, there=False))
        door.studio.perform(ClosePeer(BOB))
        withheld.append(recorder_is_kept_out(door))
        door.studio.perform(ClosePeer(ALICE))
        withheld.append(recorder_is_kept_out(door))
    assert withheld == [False, True, False, True, False]


async def test_on_hold_from_the_beginning(door: Door) -> None:
    door.studio.perform(StartCapture(video=True))
    async with Stranger() as alice:
        offer = await alice.call()
        door.studio.perform(OpenPeer(ALICE, CallType.VIDEO, offer))
        door.studio.perform(HoldPeer(ALICE, here=True, there=False))
        await alice.take((await door.next(PeerAnswered)).description)
        await until(lambda: hears(alice, TONE_HZ), "the hold tone")
        assert alice.numbers == []


@pytest.mark.parametrize(("here", "there"), [(True, False), (False, True), (True, True)])
async def test_nobody_is_lost_while_on_hold_in_a_call_of_sound(
    door: Door, here: bool, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two devices, neither with a microphone: what they send one another is what hold makes of it."""
    monkeypatch.setattr(leg, "LIVENESS_LIMIT_S", 0.5)
    monkeypatch.setattr(leg, "PACKETS_LIMIT_S", 0.5)
    other = PeerKey(ALICE.call_id, "front-door", "main")
    async with a_door() as house:
        for side in (door, house):
            side.studio.perform(StartCapture(video=False))
        door.studio.perform(OpenPeer(ALICE, CallType.AUDIO))
        offer = (await door.next(PeerOffered)).description
        house.studio.perform(OpenPeer(other, CallType.AUDIO, offer))
        door.studio.perform(AcceptAnswer(ALICE, (await house.next(PeerAnswered)).description))
        await door.next(PeerConnected)
        await house.next(PeerConnected)
        door.studio.perform(HoldPeer(ALICE, here=here, there=there))
        house.studio.perform(HoldPeer(other, here=there, there=here))
        tone = TONE_HZ if here != there else None
        listener = house if here else door
        if tone:
            await until(lambda: round(hertz(listener)) == tone, "the tone where one waits")
        await asyncio.sleep(2)
        for side, key in ((door, ALICE), (house, other)):
            assert side.all(PeerLost) == []
            side.studio.perform(HoldPeer(key, here=False, there=False))
        await until(lambda: sounds(door, 440) and sounds(house, 440), "sound again")
        assert door.all(PeerLost) + house.all(PeerLost) == []


async def test_what_came_by_an_address_that_is_gone_is_lost_at_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after a silence; and what comes by it all the same brings it back."""
    monkeypatch.setattr(leg, "LIVENESS_LIMIT_S", 3600.0)
    async with Stranger(tone_hz=500) as alice:
        await door.answer(alice, video=None, type=CallType.AUDIO)
        door.studio.moved(frozenset({"192.0.2.7"}))
        await door.next(PeerConnected)
        peer = door.studio._legs[ALICE]._peer
        assert peer is not None
        own = ice.own_address(peer._pc)
        assert own
        door.studio.moved(frozenset())
        door.studio.moved(frozenset({"192.0.2.7"}))
        await asyncio.sleep(0)
        assert door.all(PeerLost) == []
        door.studio.moved(frozenset({own}))
        assert (await door.next(PeerLost)).peer == ALICE
        assert (await door.next(PeerRestored)).peer == ALICE


@pytest.mark.parametrize("held", [False, True], ids=["in a call", "on hold"])
async def test_who_sends_nothing_is_there_as_long_as_it_answers(
    door: Door, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Muted, paused or on hold, with nothing to send; then its network dies, and comes back."""
    monkeypatch.setattr(leg, "LIVENESS_LIMIT_S", 1.0)
    monkeypatch.setattr(peers, "KNOCK_AFTER_S", 0.1)
    async with Stranger(tone_hz=500) as alice:
        await door.answer(alice, video=None, type=CallType.AUDIO)
        await door.next(PeerConnected)
        ice = alice.pc.getSenders()[0].transport.transport

        async def nothing(data: bytes) -> None:
            """It has nothing to say."""

        monkeypatch.setattr(ice, "_send", nothing)
        if held:
            door.studio.perform(HoldPeer(ALICE, here=False, there=True))
        peer = door.studio._legs[ALICE]._peer
        assert peer is not None
        since = peer.answers_received
        await until(lambda: peer.answers_received > since + 12, "answers to knocks")
        assert door.all(PeerLost) == []
        undo = [without_checks(protocol) for protocol in ice._connection._protocols]
        assert (await door.next(PeerLost)).peer == ALICE
        for one in undo:
            one()
        assert (await door.next(PeerRestored)).peer == ALICE


async def test_answers_alone_are_not_taken_for_ever(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leg, "PACKETS_LIMIT_S", 0.5)
    monkeypatch.setattr(leg, "LIVENESS_LIMIT_S", 0.5)
    async with Stranger(tone_hz=500) as alice:
        await door.answer(alice, video=None, type=CallType.AUDIO)
        await door.next(PeerConnected)
        ice = alice.pc.getSenders()[0].transport.transport

        async def nothing(data: bytes) -> None:
            """Its program hangs, but not its ICE."""

        monkeypatch.setattr(ice, "_send", nothing)
        assert (await door.next(PeerLost)).peer == ALICE
        monkeypatch.undo()
        assert (await door.next(PeerRestored)).peer == ALICE


# -------------------- who speaks


async def test_the_one_who_speaks_is_told_and_nobody_while_on_hold(door: Door) -> None:
    async with Stranger(tone_hz=600) as alice, Stranger() as bob:
        await door.answer(bob, BOB, type=CallType.AUDIO, video=None)
        await door.answer(alice, type=CallType.AUDIO, video=None)
        assert (await door.next(SpeakerChanged)).peer == ALICE
        door.studio.perform(HoldPeer(ALICE, here=True, there=False))
        door.studio.perform(ClosePeer(ALICE))
        await until(lambda: not alice.connected, "the end")
    assert door.all(SpeakerChanged) == []


async def test_closed_at_any_moment_of_a_renegotiation(door: Door) -> None:
    keepers = len(door.studio._running)
    for moment in range(0, 20, 2):
        async with Stranger(tone_hz=500) as alice:
            await door.answer(alice, type=CallType.AUDIO, video=None)
            await door.next(PeerConnected)
            alice.pc.addTransceiver("video", "recvonly")
            door.studio.perform(Renegotiate(ALICE, CallType.VIDEO, await alice.call_again()))
            for _ in range(moment):
                await asyncio.sleep(0)
            door.reports.clear()
            door.studio.perform(ClosePeer(ALICE))
            await until(lambda: len(door.studio._running) == keepers, "the connection to be gone")
        assert door.reports == [], f"closed at moment {moment}"


# -------------------- who only looks

LOOKER = PeerKey(VIEWING, "alice", "v1")


async def looks(door: Door, stranger: Stranger, *, sound: bool, muted: bool = False) -> None:
    """Somebody looks through the camera, and both devices are open."""
    door.studio.perform(StartCapture(video=True))
    door.studio.perform(OpenPeer(LOOKER, CallType.VIDEO, await stranger.call(), sound=sound))
    if muted:
        door.studio.perform(MutePeer(LOOKER, True))
    await stranger.take((await door.next(PeerAnswered)).description)
    await until(lambda: len(stranger.numbers) > 10, "the picture")


async def test_without_sound_neither_side_hears_the_other_whatever_is_offered() -> None:
    async with a_door() as door, Stranger(tone_hz=700) as stranger:
        await looks(door, stranger, sound=False)
        sections = stranger.pc.remoteDescription.sdp.split("m=")[1:]
        assert ["a=inactive" in section for section in sections] == [True, False]
        assert len(stranger.sound) == 0
        assert door.studio.status()["audio_listeners"] == 0
        assert door.all(SpeakerChanged) == []


async def test_who_looks_is_muted_and_heard_again_and_its_picture_goes_on() -> None:
    async with a_door() as door, Stranger(tone_hz=700) as stranger:
        await looks(door, stranger, sound=True, muted=True)
        assert door.studio.status()["audio_listeners"] == 0
        assert door.all(SpeakerChanged) == [], "it speaks, and is not heard"
        assert len(stranger.sound) == 0 or level_dbfs(stranger.sound) < -60
        door.studio.perform(MutePeer(LOOKER, False))
        await door.next(SpeakerChanged)
        await until(lambda: door.studio.status()["audio_listeners"] == 1, "the sound")
        door.studio.perform(MutePeer(LOOKER, True))
        await until(lambda: door.studio.status()["audio_listeners"] == 0, "silence")
        seen = len(stranger.numbers)
        await until(lambda: len(stranger.numbers) > seen + 5, "the picture goes on")


async def test_who_looks_is_not_looked_at() -> None:
    screen = Screen()
    async with a_door(pictures=screen) as door, Stranger() as stranger:
        stranger.pc.addTrack(Film(RED))
        door.studio.perform(StartCapture(video=True))
        offer = await stranger.call(video=None)
        door.studio.perform(OpenPeer(LOOKER, CallType.VIDEO, offer))
        await stranger.take((await door.next(PeerAnswered)).description)
        await until(lambda: len(stranger.numbers) > 10, "the picture")
        assert screen.shown == []


@pytest.mark.parametrize("first", ["sendonly", "recvonly"])
async def test_a_player_may_speak_by_one_section_and_hear_by_another(first: str) -> None:
    async with a_door() as door, Stranger(bundle=True) as stranger:
        other = {"sendonly": "recvonly", "recvonly": "sendonly"}[first]
        for way in (first, other):
            stranger.pc.addTransceiver(Voice(700) if way == "sendonly" else "audio", way)
        door.studio.perform(StartCapture(video=True))
        offer = await stranger.call(audio=False)
        door.studio.perform(OpenPeer(LOOKER, CallType.VIDEO, offer))
        await stranger.take((await door.next(PeerAnswered)).description)
        ways = [one.currentDirection for one in stranger.pc.getTransceivers()]
        assert ways == [first, other, "recvonly"]
        await until(lambda: len(stranger.numbers) > 10, "the picture")
        await until(lambda: len(stranger.sound) > 24_000, "the sound from here")
        await door.next(SpeakerChanged)
        assert door.studio.status()["audio_listeners"] == 1


async def test_a_second_sound_that_is_no_way_back_is_not_agreed_to() -> None:
    async with a_door() as door, Stranger() as stranger:
        await looks(door, stranger, sound=True)
        head, sound, *others = stranger.pc.localDescription.sdp.split("m=audio")
        further = sound.split("m=video")[0].replace("a=mid:0", "a=mid:9")
        sdp = "m=audio".join([head, sound, further, *others])
        bundled = sdp.replace("a=group:BUNDLE 0", "a=group:BUNDLE 0 9")
        other = PeerKey(VIEWING, "alice", "v2")
        door.studio.perform(
            OpenPeer(other, CallType.VIDEO, SessionDescription("offer", bundled), sound=True)
        )
        answer = (await door.next(PeerAnswered)).description
        assert answer.sdp.count("m=audio 0 ") == 1
        door.studio.perform(ClosePeer(other))


async def test_what_waits_for_a_connection_is_bounded(door: Door) -> None:
    async with Stranger() as alice:
        door.studio.perform(OpenPeer(ALICE, CallType.AUDIO, await alice.call(video=None)))
        late = IceCandidate("candidate:1 1 udp 1 192.0.2.1 9999 typ host", sdp_mid="0")
        for _ in range(leg.MAX_STEPS + 10):
            door.studio.perform(AddCandidate(ALICE, late))
        assert [fault.code for fault in door.all(FaultReported)] == ["overloaded"] * 10
        await alice.take((await door.next(PeerAnswered)).description)
        await door.next(PeerConnected)
