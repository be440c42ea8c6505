"""Sound and pictures on the short way: what is sent and taken without a task, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import RtpPacket, is_rtcp

from appliance.media.fanout import AudioFanout
from appliance.media.lines import Role
from appliance.media.peer import Peer
from tests.media.stranger import Stranger, until
from tests.media.test_peer import Diary, Watched, camera

__all__ = ["camera"]


class Long:
    """What of one peer's media goes through aiortc's own tasks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken = self.sent = 0
        self.receiver: RTCRtpReceiver | None = None
        self.dtls: RTCDtlsTransport | None = None
        handle, send = RTCRtpReceiver._handle_rtp_packet, RTCDtlsTransport._send_rtp

        async def handled(one: RTCRtpReceiver, packet: RtpPacket, arrival_time_ms: int) -> None:
            self.taken += one is self.receiver
            await handle(one, packet, arrival_time_ms)

        async def sent(one: RTCDtlsTransport, data: bytes) -> None:
            self.sent += one is self.dtls and not is_rtcp(data)
            await send(one, data)

        monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", handled)
        monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", sent)


async def numbers(of: Any, kind: str, *names: str) -> list[int]:
    """From its statistics."""
    stats = (await of.getStats()).values()
    return [getattr(one, name) for one in stats if one.type == kind for name in names]


@pytest.fixture
async def audio() -> AsyncIterator[AudioFanout]:
    yield AudioFanout()
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_media_goes_past_the_tasks_and_is_counted_and_reported_as_ever(
    camera: Watched, audio: AudioFanout, monkeypatch: pytest.MonkeyPatch
) -> None:
    long, diary = Long(monkeypatch), Diary()
    peer = Peer(diary, audio, camera.fanout)
    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        await alice.take(await peer.answer(await alice.call()))
        listening = tasks.create_task(peer.listen())
        line = peer._agreement.line(Role.CAMERA)
        assert line is not None
        sound = peer._agreement.line(Role.SOUND)
        assert sound is not None
        long.receiver, long.dtls = sound.transceiver.receiver, line.transceiver.sender.transport
        counts = peer._reception.playout.counts
        await until(lambda: len(alice.numbers) > 5 and counts.played > 20, "a call")

        sent_before = await numbers(line.transceiver.sender, "outbound-rtp", "packetsSent")
        came_before = await numbers(long.receiver, "transport", "packetsReceived", "bytesReceived")
        heard_before = await numbers(long.receiver, "inbound-rtp", "packetsReceived")
        taken, sent, played, seen = long.taken, long.sent, counts.played, len(alice.numbers)
        await until(
            lambda: counts.played > played + 50 and len(alice.numbers) > seen + 30, "more of it"
        )
        assert long.taken == taken, "no task was waked for a packet of sound"
        assert long.sent == sent, "none for a picture"
        assert counts.bad == 0

        # what has been decoded is somewhat behind of what has come
        pictures = await numbers(line.transceiver.sender, "outbound-rtp", "packetsSent")
        assert pictures[0] > sent_before[0] + 15
        came = await numbers(long.receiver, "transport", "packetsReceived", "bytesReceived")
        assert came[0] > came_before[0] + 25
        assert came[1] > came_before[1] + 25 * 40
        heard = await numbers(long.receiver, "inbound-rtp", "packetsReceived")
        assert heard[0] > heard_before[0] + 25
        assert len(long.receiver.getSynchronizationSources()) == 1
        await peer.close()
        listening.cancel()


async def test_sound_is_played_when_the_microphone_is_heard_and_without_it_by_a_timer(
    audio: AudioFanout,
) -> None:
    """The loop is waked once for both."""

    class Ear(Diary):
        def __init__(self) -> None:
            super().__init__()
            self.with_a_beat = self.alone = 0

        def heard(self, frame: bytes) -> None:
            if beating:
                self.with_a_beat += 1
            else:
                self.alone += 1

    beating, ear = False, Ear()
    peer = Peer(ear, audio, None)

    async def microphone() -> None:
        nonlocal beating
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            beating = True
            audio.deliver(b"\xf8\xff\xfe")
            beating = False
            due_s = max(due_s + 0.02, loop.time())
            await asyncio.sleep(due_s - loop.time())

    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        await alice.take(await peer.answer(await alice.call(video=None)))
        listening = tasks.create_task(peer.listen())
        await until(lambda: ear.alone > 20, "it without a microphone")
        hearing = tasks.create_task(microphone())
        await until(lambda: ear.with_a_beat > 50, "it with the microphone")
        hearing.cancel()
        alone = ear.alone
        await until(lambda: ear.alone > alone + 20, "it without one again")
        await peer.close()
        listening.cancel()
    assert audio.beats == set()
