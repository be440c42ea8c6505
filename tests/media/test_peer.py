"""One connection with a real aiortc far side."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import aiortc
import pytest
from aiortc import RTCDtlsParameters, RTCIceCandidate

from appliance.media.base import AccessUnit, BadDescription, NoCommonCodec
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.governor import Cause
from appliance.media.handover import Handover
from appliance.media.lines import Role
from appliance.media.peer import Peer
from appliance.media.seams import lifetime
from appliance.media.seams.rtcp import HISTORY
from appliance.media.synthetic import CardCamera
from appliance.messages import IceCandidate, SessionDescription
from tests.media.stranger import Film, Stranger, until


class Diary:
    """What a peer has told."""

    def __init__(self) -> None:
        self.connections = 0
        self.failures: list[str] = []
        self.frames = 0

    def connected(self) -> None:
        self.connections += 1

    def failed(self, code: str, message: str) -> None:
        assert message
        self.failures.append(code)

    def heard(self, frame: bytes) -> None:
        self.frames += 1

    def saw(self, screen: bool, picture: object, /) -> None:
        raise AssertionError("nobody watches")

    def dark(self, screen: bool, /) -> None:
        pass


class Watched:
    """A camera of which the keyframes and the requests for them are counted."""

    def __init__(self) -> None:
        self.fanout = VideoFanout()
        self.keyframes = 0
        self._camera = CardCamera(320, 180, 30, 300)
        self._units: Handover[AccessUnit] = Handover(self._deliver)

    def open(self) -> None:
        self.fanout.attach(self._camera)
        self._camera.start(self._units.put, print)

    def close(self) -> None:
        self._units.close()
        self._camera.stop()

    def _deliver(self, unit: AccessUnit) -> None:
        self.keyframes += unit.keyframe
        self.fanout.deliver(unit)


@pytest.fixture
async def camera() -> AsyncIterator[Watched]:
    watched = Watched()
    watched.open()
    yield watched
    watched.close()
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.fixture
async def offer() -> AsyncIterator[SessionDescription]:
    async with Stranger() as stranger:
        yield await stranger.call()


def caught_up(peer: Peer, camera: Watched, told: tuple[int, int]) -> bool:
    requests, keyframes = told
    return (
        peer.feedback[Role.CAMERA].keyframe_requests >= requests and camera.keyframes >= keyframes
    )


async def test_each_request_for_a_keyframe_gets_one_and_a_burst_gets_two(camera: Watched) -> None:
    diary = Diary()
    peer = Peer(diary, AudioFanout(), camera.fanout)
    async with Stranger() as alice:
        await alice.take(await peer.answer(await alice.call()))
        await until(lambda: len(alice.numbers) > 5, "pictures")
        for _ in range(3):
            before = camera.keyframes
            asked = peer.feedback[Role.CAMERA].keyframe_requests
            await asyncio.sleep(0.35)  # longer than keyframes are kept apart
            assert camera.keyframes == before, "nobody has asked"
            await alice.ask_for_keyframe()
            told = (asked + 1, before + 1)
            await until(partial(caught_up, peer, camera, told), "the request and its keyframe")
            assert (peer.feedback[Role.CAMERA].keyframe_requests, camera.keyframes) == told

        await asyncio.sleep(0.35)
        before, asked = camera.keyframes, peer.feedback[Role.CAMERA].keyframe_requests
        for _ in range(10):
            await alice.ask_for_keyframe()
        await until(
            lambda: peer.feedback[Role.CAMERA].keyframe_requests == asked + 10, "the requests"
        )
        pictures = len(alice.numbers)
        await until(lambda: len(alice.numbers) > pictures + 15, "half a second of pictures")
        assert 1 <= camera.keyframes - before <= 2
        assert None not in alice.numbers
        await peer.close()


async def test_a_full_intra_request_gets_one_and_its_repetition_none(camera: Watched) -> None:
    peer = Peer(Diary(), AudioFanout(), camera.fanout)
    async with Stranger() as alice:
        await alice.take(await peer.answer(await alice.call()))
        await until(lambda: len(alice.numbers) > 5, "pictures")
        for number in (0, 1):
            await asyncio.sleep(0.35)  # longer than keyframes are kept apart
            before = camera.keyframes
            await alice.ask_for_full_intra(number)
            told = (number + 1, before + 1)
            await until(partial(caught_up, peer, camera, told), "the request and its keyframe")
        wishes = camera.fanout.governor.wishes
        assert wishes[Cause.FIR] == 2
        await alice.ask_for_full_intra(1)
        await asyncio.sleep(0.35)
        await alice.ask_for_keyframe()
        await until(lambda: wishes[Cause.PLI], "what was sent after the repetition")
        assert wishes[Cause.FIR] == 2
        await peer.close()


async def test_the_second_video_gets_its_keyframes_too(camera: Watched) -> None:
    """A source that makes none by itself: the screen's."""
    peer = Peer(Diary(), AudioFanout(), VideoFanout(), screen=camera.fanout)
    async with Stranger(bundle=True) as alice:
        alice.pc.addTransceiver("video", "recvonly")
        await alice.take(await peer.answer(await alice.call()))
        assert peer.carries_screen
        await until(lambda: len(alice.screen_numbers) > 5, "the screen")
        await asyncio.sleep(0.35)  # longer than keyframes are kept apart
        before = camera.keyframes
        await alice.ask_for_keyframe()
        feedback = peer.feedback[Role.SCREEN]
        await until(lambda: feedback.keyframe_requests == 1, "the request")
        await until(lambda: camera.keyframes == before + 1, "its keyframe")
        assert peer.feedback[Role.CAMERA].keyframe_requests == 0, "nothing has come there"
        await until(lambda: feedback.fraction_lost is not None, "a report on the screen")
        await peer.close()


async def test_the_far_side_s_reports_on_the_video_are_noted(camera: Watched) -> None:
    peer = Peer(Diary(), AudioFanout(), camera.fanout)
    async with Stranger() as alice:
        await alice.take(await peer.answer(await alice.call()))
        await until(
            lambda: peer.feedback[Role.CAMERA].fraction_lost is not None, "a receiver report"
        )
        assert peer.feedback[Role.CAMERA].fraction_lost == 0
        assert peer.feedback[Role.CAMERA].jitter_s is not None
        await until(lambda: peer.feedback[Role.CAMERA].remb_bit_s, "an estimate of the bandwidth")
        await until(lambda: peer.feedback[Role.CAMERA].rtt_s is not None, "the way there and back")
        assert (peer.feedback[Role.CAMERA].rtt_s or 0) < 30, "on this machine"
        assert peer.feedback[Role.CAMERA].unread, "all for the rate control"
        assert await peer.packets_received() > 0
        await peer.close()


async def test_what_is_lost_for_good_gets_a_keyframe_and_the_rest_is_sent_again(
    camera: Watched,
) -> None:
    peer = Peer(Diary(), AudioFanout(), camera.fanout)
    async with Stranger() as alice:
        await alice.take(await peer.answer(await alice.call()))
        await until(lambda: len(alice.numbers) > 5, "pictures")
        sender = next(t.sender for t in peer._pc.getTransceivers() if t.kind == "video")
        receiver = next(t.receiver for t in alice.pc.getTransceivers() if t.kind == "video")
        (source,) = receiver.getSynchronizationSources()[:1]
        history = getattr(sender, HISTORY)
        again: list[int] = []
        retransmit = sender._retransmit

        async def noted(number: int) -> None:
            again.append(number)
            await retransmit(number)

        sender._retransmit = noted  # type: ignore[method-assign, assignment]
        await asyncio.sleep(0.35)  # longer than keyframes are kept apart
        kept = list(history.values())[-1].sequence_number
        before = camera.keyframes
        await receiver._send_rtcp_nack(source.source, [kept])
        await until(lambda: again, "what is kept")
        assert camera.keyframes == before
        again.clear()
        await receiver._send_rtcp_nack(source.source, sorted([(kept + 5000) % 65_536, kept]))
        await until(lambda: camera.keyframes == before + 1, "a keyframe")
        assert camera.fanout.governor.wishes[Cause.LOST] == 1
        assert again == []
        await peer.close()


async def test_connection_and_end_are_told_once_and_closing_is_idempotent() -> None:
    diary = Diary()
    peer = Peer(diary, AudioFanout(), None)
    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        await alice.take(await peer.answer(await alice.call(video=None)))
        listening = tasks.create_task(peer.listen())
        await until(lambda: diary.frames > 5, "sound")
        assert (diary.connections, diary.failures) == (1, [])
        await peer.close()
        await peer.close()
        listening.cancel()
    assert (diary.connections, diary.failures) == (1, []), "what this side closes has not failed"
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_whoever_has_another_key_than_was_agreed_is_not_trusted() -> None:
    diary = Diary()
    peer = Peer(diary, AudioFanout(), None)
    async with Stranger(tone_hz=300) as mallory:
        offer = await mallory.call(video=None)
        # somebody in between gives the fingerprints of another key than the one that will answer
        swapped = re.sub(
            r"(a=fingerprint:\S+ )(\S\S)", lambda found: f"{found[1]}{flipped(found[2])}", offer.sdp
        )
        await mallory.take(await peer.answer(SessionDescription("offer", swapped)))
        await until(lambda: diary.failures, "the failure")
        assert diary.failures == ["untrusted"]
        assert diary.connections == 0
        assert diary.frames == 0, "nothing of it is heard"
        await peer.close()
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.mark.parametrize("fails", ["sender", "data channel", "transport", "everything"])
async def test_closing_cannot_fail_and_leaves_no_part_open(fails: str) -> None:
    """aiortc gives up closing at the first part that raises; the fixtures count what is left."""
    pc = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    other = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    pc.addTransceiver("audio")
    pc.createDataChannel("it")
    await pc.setLocalDescription(await pc.createOffer())
    await other.setRemoteDescription(pc.localDescription)
    await other.setLocalDescription(await other.createAnswer())
    await pc.setRemoteDescription(other.localDescription)
    await until(lambda: pc.connectionState == "connected", "the connection")
    assert pc.sctp is not None
    sender, sctp, dtls = pc.getSenders()[0], pc.sctp, pc.sctp.transport
    parts: dict[str, list[Any]] = {
        "sender": [sender],
        "data channel": [sctp],
        "transport": [dtls],
        "everything": [sender, sctp, dtls],
    }
    stops = []
    for part in parts[fails]:
        stops.append(part.stop)

        async def stop() -> None:
            raise AttributeError("'NoneType' object has no attribute 'bundled'")

        part.stop = stop
    faults = await lifetime.close(pc, 5)
    assert all(isinstance(fault, AttributeError) for fault in faults)
    assert faults
    assert await lifetime.close(pc, 5) == []
    assert dtls.transport.state == "closed"
    async with asyncio.timeout(30):
        await pc.close()  # which waits for the end of the first closing
    for stop_it in stops:  # and what was broken here is closed by hand
        await stop_it()
    await other.close()


async def test_a_closing_that_is_cut_off_leaves_nothing_open() -> None:
    """On a machine that stood still meanwhile, say; the fixtures look for what waits for its end."""
    pc = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    other = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    pc.createDataChannel("it")
    await pc.setLocalDescription(await pc.createOffer())
    await other.setRemoteDescription(pc.localDescription)
    await other.setLocalDescription(await other.createAnswer())
    await pc.setRemoteDescription(other.localDescription)
    await until(lambda: pc.connectionState == "connected", "the connection")
    assert pc.sctp is not None
    ways = pc.sctp.transport.transport._connection
    sockets = [protocol.transport for protocol in ways._protocols]

    async def late() -> None:
        await asyncio.Event().wait()

    ways.close = late  # type: ignore[method-assign]
    faults = await lifetime.close(pc, 0.05)
    assert [type(fault) for fault in faults] == [TimeoutError]
    assert sockets
    assert all(one.is_closing() for one in sockets)
    await other.close()


def flipped(octet: str) -> str:
    """Another octet in hexadecimal."""
    return f"{int(octet, 16) ^ 0xFF:02X}"


async def test_a_further_answer_is_taken_while_the_first_still_connects(camera: Watched) -> None:
    """aiortc, which connects, sees the new section before the answer that it is in."""
    diary = Diary()
    peer = Peer(diary, AudioFanout(), camera.fanout, watch_framerate=5)
    async with Stranger(tone_hz=300) as alice:
        first = await alice.reply(await peer.offer(video=False))
        dtls = peer._pc.getTransceivers()[0].sender.transport
        ice, start, add = dtls.transport, dtls.start, dtls.transport.addRemoteCandidate
        in_the_midst = asyncio.Event()

        begun: list[RTCDtlsParameters] = []

        async def start_late(parameters: RTCDtlsParameters) -> None:
            begun.append(parameters)
            if len(begun) == 1:  # the others find that it has been started
                await in_the_midst.wait()
                await start(parameters)

        async def add_late(candidate: RTCIceCandidate | None) -> None:
            in_the_midst.set()
            await until(lambda: dtls.state == "connected", "the first connecting")
            await add(candidate)

        dtls.start = start_late  # type: ignore[method-assign, assignment]
        await peer.accept(first)
        second = await alice.reply_again(await peer.offer(video=True), Film((200, 0, 0)))
        ice.addRemoteCandidate = add_late  # type: ignore[method-assign]
        await peer.accept(second)
        await until(lambda: len(alice.numbers) > 3, "pictures")
        assert (diary.connections, diary.failures) == (1, [])
        await peer.close()
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_the_65th_candidate_is_refused(offer: SessionDescription) -> None:
    peer = Peer(Diary(), AudioFanout(), None)
    candidate = IceCandidate("candidate:1 1 udp 1 192.0.2.1 9999 typ host", sdp_mid="0")
    for _ in range(64):
        await peer.add_candidate(candidate)
    with pytest.raises(BadDescription, match="more than 64"):
        await peer.add_candidate(candidate)
    await peer.add_candidate(None)
    await peer.close()


async def test_no_stun_server_is_asked_unless_one_is_configured() -> None:
    peer = Peer(Diary(), AudioFanout(), None)
    assert "srflx" not in (await peer.offer()).sdp
    assert peer._pc._RTCPeerConnection__configuration.iceServers == []  # type: ignore[attr-defined]
    await peer.close()


async def test_what_is_offered_is_h264_constrained_baseline_and_opus() -> None:
    peer = Peer(Diary(), AudioFanout(), VideoFanout())
    sdp = (await peer.offer()).sdp
    await peer.close()
    assert sdp.index("m=audio") < sdp.index("m=video")
    assert "VP8" not in sdp
    assert sdp.count("profile-level-id=42e01f") == 1
    assert "42001f" not in sdp
    assert "packetization-mode=1" in sdp
    assert "opus/48000/2" in sdp
    assert "PCMU" not in sdp


async def test_an_answer_without_our_codec_fails_with_its_code() -> None:
    peer = Peer(Diary(), AudioFanout(), VideoFanout())
    async with Stranger() as alice:
        answer = await alice.reply(await peer.offer())
        other = answer.sdp.replace("H264/90000", "AV1/90000")
        with pytest.raises(NoCommonCodec):
            await peer.accept(SessionDescription("answer", other))
        await peer.close()


async def test_no_description_however_broken_leaves_anything_behind(
    offer: SessionDescription,
) -> None:
    """Random mutations: each is answered or refused as bad, and closed; the fixtures count the rest."""
    rng = random.Random(20)
    verdicts = {"answered": 0, "refused": 0}
    for _ in range(300):
        diary = Diary()
        peer = Peer(diary, AudioFanout(), VideoFanout(), setup_limit_s=60)
        try:
            await peer.answer(SessionDescription("offer", mutated(offer.sdp, rng)))
            verdicts["answered"] += 1
        except BadDescription:
            verdicts["refused"] += 1
        await peer.close()
    assert min(verdicts.values()) > 20, verdicts
    await asyncio.get_running_loop().shutdown_default_executor()


def mutated(sdp: str, rng: random.Random) -> str:
    lines = sdp.splitlines()
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        line = lines[at]
        match rng.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(rng.randrange(len(lines)), line)
            case 2:
                cut = rng.randrange(len(line) + 1)
                lines[at] = line[:cut]
            case 3:
                cut = rng.randrange(len(line) + 1)
                lines[at] = line[:cut] + rng.choice("0 \x00-:/=ä9999") + line[cut + 1 :]
            case 4:
                lines[at], lines[0] = lines[0], lines[at]
            case _:
                words = line.split(" ")
                rng.shuffle(words)
                lines[at] = " ".join(words)
        if not lines:
            return ""
    return "\r\n".join(lines) + "\r\n"
