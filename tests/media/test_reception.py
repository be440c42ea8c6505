"""Sound that comes in, from packets to frames at a steady pace, and over real connections of aiortc."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from appliance.media.base import FRAME_BYTES, FRAME_S, SILENT_FRAME
from appliance.media.fanout import AudioFanout
from appliance.media.lines import Role
from appliance.media.peer import Peer
from appliance.media.playout import Playout
from appliance.media.reception import CATCH_UP_S, STALL_S, Reception
from appliance.media.synthetic import dominant_hz
from tests.media.speech import packets_of, tone
from tests.media.stranger import Stranger, Voice, until


class Ear:
    """Who hears, and when."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.at_s: list[float] = []
        self.failures: list[str] = []
        self._clock = asyncio.get_running_loop().time

    def heard(self, frame: bytes) -> None:
        assert len(frame) == FRAME_BYTES
        self.frames.append(frame)
        self.at_s.append(self._clock())

    def hears(self, hz: float) -> bool:
        """The last second is this tone."""
        sound = np.frombuffer(b"".join(self.frames[-50:]), "<i2")
        return (
            len(sound) == 48_000
            and bool(np.abs(sound[-9600:].astype(int)).max() > 2000)
            and abs((dominant_hz(sound) or 0) - hz) < 8
        )

    def connected(self) -> None: ...

    def failed(self, code: str, message: str) -> None:
        self.failures.append(code)

    def saw(self, screen: bool, picture: object, /) -> None: ...
    def dark(self, screen: bool, /) -> None: ...


def rtp(number: int, opus: bytes) -> RtpPacket:
    packet = RtpPacket(sequence_number=number & 0xFFFF, timestamp=number * 960, ssrc=5)
    packet.payload = opus
    return packet


async def while_it_runs(
    reception: Reception, work: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reception.run())
        await work()
        running.cancel()


# -------------------- pace


async def test_frames_come_while_there_is_sound_and_for_two_seconds_after() -> None:
    ear = Ear()
    reception = Reception(ear.heard)

    async def work() -> None:
        assert ear.frames == []
        for _ in range(2):  # and once more after it has fallen asleep
            before = len(ear.frames)
            for number, packet in enumerate(packets_of(tone(440, 0.5)), start=before):
                assert reception.slot.add(rtp(number, packet)) == (False, None)
                await asyncio.sleep(FRAME_S)
            await until(
                lambda: len(ear.frames) > 90 and set(ear.frames[-90:]) == {SILENT_FRAME},
                "silence",
            )
            await until(lambda: reception.playout.silent, "the end")
            frames = -1
            while frames != len(ear.frames):  # no more come
                frames = len(ear.frames)
                await asyncio.sleep(0.3)
            assert any(frame != SILENT_FRAME for frame in ear.frames[before:])

    await while_it_runs(reception, work)


async def test_a_loop_that_was_held_up_does_not_flood_the_loudspeaker() -> None:
    ear = Ear()
    reception = Reception(ear.heard)
    held_up_s = (0.05, 0.5)

    async def work() -> None:
        for number, packet in enumerate(packets_of(tone(440, 1.2))):
            reception.slot.add(rtp(number, packet))
            if number in (20, 40):
                time.sleep(held_up_s[number == 40])  # noqa: ASYNC251 - as something else would
            await asyncio.sleep(FRAME_S)

    began_s = time.monotonic()
    await while_it_runs(reception, work)
    assert all(after - before > CATCH_UP_S * 0.8 for before, after in pairwise(ear.at_s))
    longest_s = time.monotonic() - began_s - held_up_s[1] + STALL_S
    assert len(ear.frames) <= longest_s / FRAME_S + 2, "half a second is past"


async def test_who_cannot_hear_ends_it_with_what_is_wrong() -> None:
    def deaf(frame: bytes) -> None:
        raise OSError("no ears")

    reception = Reception(deaf)
    for number, packet in enumerate(packets_of(tone(440, 0.1))):
        reception.slot.add(rtp(number, packet))
    with pytest.raises(OSError, match="no ears"):
        await reception.run()
    reception.slot.add(rtp(9, b"\xf8"))
    assert reception._timer is None, "nor does it begin again"


# -------------------- over real connections


@pytest.fixture
async def ear() -> Ear:
    return Ear()


def sound_receiver(peer: Peer) -> RTCRtpReceiver:
    line = peer._agreement.line(Role.SOUND)
    assert line is not None
    return line.transceiver.receiver


def lose_one(stranger: Stranger) -> Callable[[], bool]:
    """Lose the next packet of sound, and tell whether that has happened."""
    ice = stranger.pc.getSenders()[0].transport.transport
    send = ice._send
    lost: list[bytes] = []

    async def lossy(data: bytes) -> None:
        if not lost and 128 <= data[0] < 192 and not 64 <= data[1] & 0x7F < 96:  # RTP (RFC 5761)
            lost.append(data)
            return
        await send(data)

    ice._send = lossy
    return lambda: bool(lost)


async def _until_one_is_missed(stranger: Stranger, playout: Playout) -> int:
    """How many had to be lost: where playing catches up, the place of one may be left out."""
    for lost in range(1, 6):
        if await _is_missed(stranger, playout):
            return lost
    pytest.fail("five were lost, and nothing is in their place")


async def _is_missed(stranger: Stranger, playout: Playout) -> bool:
    """Whether something is in the place of a packet that is lost."""
    gone, before = lose_one(stranger), playout.counts
    holes, played = before.concealed + before.corrected, before.played
    await until(gone, "the loss")
    await until(lambda: playout.counts.played > played + 100, "two more seconds")
    return playout.counts.concealed + playout.counts.corrected > holes


async def test_one_packet_is_lost_and_the_sound_goes_on_without_a_delay(ear: Ear) -> None:
    peer = Peer(ear, AudioFanout(), None)
    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        await alice.take(await peer.answer(await alice.call(video=None)))
        listening = tasks.create_task(peer.listen())
        playout = peer._reception.playout
        await until(lambda: ear.hears(300), "the tone")
        lost = await _until_one_is_missed(alice, playout)
        await until(lambda: ear.hears(300), "the tone again")
        clock = asyncio.get_running_loop().time
        await until(lambda: abs(playout.excess_s(clock())) <= FRAME_S, "the delay as it was")
        stats = (await sound_receiver(peer).getStats()).values()
        assert [one.packetsLost for one in stats if one.type == "inbound-rtp"] == [lost]
        await peer.close()
        listening.cancel()
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_aiortc_s_decoder_is_idle_and_its_reports_are_as_they_were(ear: Ear) -> None:
    peer = Peer(ear, AudioFanout(), None)
    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        await alice.take(await peer.answer(await alice.call(video=None)))
        listening = tasks.create_task(peer.listen())
        await until(lambda: ear.hears(300), "the tone")
        receiver = sound_receiver(peer)
        assert receiver.track._queue.empty()  # type: ignore[attr-defined]
        assert receiver._RTCRtpReceiver__decoder_queue.empty()  # type: ignore[attr-defined]
        sender = alice.pc.getSenders()[0]
        (source,) = receiver.getSynchronizationSources()
        assert source.source == sender._ssrc
        stats = (await receiver.getStats()).values()
        (received,) = [one.packetsReceived for one in stats if one.type == "inbound-rtp"]
        assert received >= peer._reception.playout.counts.played > 40

        async def reported() -> bool:
            stats = (await sender.getStats()).values()
            return any(one.type == "remote-inbound-rtp" for one in stats)

        while not await reported():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)
        await peer.close()
        listening.cancel()
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_each_participant_has_a_buffer_of_its_own() -> None:
    ears = Ear(), Ear()
    peers = [Peer(ear, AudioFanout(), None) for ear in ears]
    async with (
        Stranger(tone_hz=300) as alice,
        Stranger(tone_hz=500) as bob,
        asyncio.TaskGroup() as tasks,
    ):
        for peer, stranger in zip(peers, (alice, bob), strict=True):
            await stranger.take(await peer.answer(await stranger.call(video=None)))
        listening = [tasks.create_task(peer.listen()) for peer in peers]
        await until(lambda: ears[0].hears(300) and ears[1].hears(500), "both")
        await peers[0].close()
        frames = len(ears[1].frames)
        await until(lambda: len(ears[1].frames) > frames + 60 and ears[1].hears(500), "the other")
        await peers[1].close()
        for task in listening:
            task.cancel()
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_after_a_pause_of_the_other_side_it_is_heard_again(ear: Ear) -> None:
    """Its microphone is taken away, and another one put in its place."""
    peer = Peer(ear, AudioFanout(), None)
    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        await alice.take(await peer.answer(await alice.call(video=None)))
        listening = tasks.create_task(peer.listen())
        await until(lambda: ear.hears(300), "the tone")
        sender = alice.pc.getSenders()[0]
        voice = sender.track
        sender.replaceTrack(None)
        await until(lambda: peer._reception.playout.silent, "silence")
        sender.replaceTrack(Voice(500))
        await until(lambda: ear.hears(500), "the other tone")
        assert voice is not None
        voice.stop()
        await peer.hold(here=True, there=False)
        await peer.hold(here=False, there=False)
        frames = len(ear.frames)
        await until(lambda: len(ear.frames) > frames + 60 and ear.hears(500), "it after a hold")
        await peer.close()
        listening.cancel()
    assert ear.failures == []
    await asyncio.get_running_loop().shutdown_default_executor()
