"""What a bad network costs who looks: a real Chromium, 720p30, and a way that loses or is gone.

The receiver notes when each picture was decoded, by the same clock as the network's; Chromium, encoder and
sender share this machine, so a loaded one makes the times longer.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from unittest import mock

import av
import numpy as np

from appliance.media.base import AccessUnit
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.handover import Handover
from appliance.media.peer import Peer
from appliance.media.resending import Resending
from appliance.media.seams import rtcp
from appliance.media.steering import Steering
from tests.bench.media import FPS, KBPS, Silent, clip, wait_until
from tests.bench.table import Row
from tests.media.stranger import Stranger
from tests.parts.film import FilmCamera
from tests.parts.network import Network, connection_of
from tests.web.receiving import Receiver, a_receiver, named_by_address

OUTAGE_S, OUTAGES, OUTAGES_BEFORE = 2.0, 9, 3
RECOVERY_S = 0.15
LOSS, LOSS_S = 0.02, 20.0
MISSED_PERCENT = 0.5
PLIS, PLI_EVERY_S = 40, 0.37
PRIORITY = 10
FRAME_AND_S = 1 / FPS + 0.005


def film() -> list[av.VideoFrame]:
    return [
        av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="yuv420p")
        for picture in clip()
    ]


@dataclass
class Sending:
    """A connection with a camera at this end, steered as in the appliance."""

    peer: Peer
    fanout: VideoFanout
    keyframes_s: list[float]
    sent: int = 0

    def has_more_than(self, keyframes: int) -> bool:
        return len(self.keyframes_s) > keyframes

    def deliver(self, unit: AccessUnit) -> None:
        self.sent += 1
        if unit.keyframe:
            self.keyframes_s.append(time.monotonic())
        self.fanout.deliver(unit)


@asynccontextmanager
async def sending(pictures: list[av.VideoFrame]) -> AsyncIterator[Sending]:
    fanout = VideoFanout()
    camera = FilmCamera(pictures, FPS, KBPS)
    made = Sending(Peer(Silent(), AudioFanout(), fanout), fanout, [])
    units: Handover[AccessUnit] = Handover(made.deliver)
    fanout.attach(camera)
    steering = Steering(fanout, KBPS, lambda: False)
    camera.start(units.put, print)

    async def steer() -> None:
        while True:
            await asyncio.sleep(0.5)
            steering.look(time.monotonic())

    try:
        async with asyncio.TaskGroup() as tasks:
            steered = tasks.create_task(steer())
            yield made
            steered.cancel()
    finally:
        units.close()
        camera.stop()
        await made.peer.close()


@asynccontextmanager
async def seen(pictures: list[av.VideoFrame]) -> AsyncIterator[tuple[Sending, Receiver, Network]]:
    async with (
        named_by_address() as browser,
        a_receiver(browser) as page,
        sending(pictures) as ours,
    ):
        await ours.peer.accept(await page.answers(await ours.peer.offer()))
        await page.sees(60)
        with Network(connection_of(ours.peer)) as network:
            yield ours, page, network


async def recoveries(page: Receiver, network: Network, count: int) -> list[float]:
    """How long after each outage the next picture was decoded."""
    took = []
    for _ in range(count):
        over_s = await network.outage(OUTAGE_S)
        await page.sees(30)
        took.append(next(at_s for at_s in await page.decoded_at() if at_s > over_s) - over_s)
        await asyncio.sleep(1)
    return took


async def bench_outages(pictures: list[av.VideoFrame]) -> list[Row]:
    def as_before(missing: list[int], history: object, size: int) -> Resending:
        return Resending(list(missing), keyframe=False)

    async with seen(pictures) as (_, page, network):
        with mock.patch.object(rtcp, "judge", as_before):
            before = await recoveries(page, network, OUTAGES_BEFORE)
        ours = await recoveries(page, network, OUTAGES)
    return [
        Row(
            f"where it has to ask, median of {len(before)}", 1000 * statistics.median(before), "ms"
        ),
        *(
            Row(
                f"what is lost for good answered at once, {what} of {len(ours)}",
                1000 * took_s,
                "ms",
                1000 * RECOVERY_S,
                1,
            )
            for what, took_s in (("median", statistics.median(ours)), ("worst", max(ours)))
        ),
    ]


@dataclass
class Stretch:
    """What the page has made of some seconds."""

    sent: int
    decoded: int
    freezes: int
    lost: int
    passed: int
    """Of the packets."""

    @property
    def missed_percent(self) -> float:
        return max(0.0, 100 * (1 - self.decoded / self.sent))


async def stretch(ours: Sending, page: Receiver, network: Network, loss: float) -> Stretch:
    """Some seconds with so much loss. As many pictures are under way at the end as were at the begin."""
    before, sent, lost, passed = await page.stats(), ours.sent, network.lost, network.passed
    network.loss = loss
    await asyncio.sleep(LOSS_S)
    network.loss, lost, passed = 0, network.lost - lost, network.passed - passed
    await asyncio.sleep(0.5)  # for what is still being sent again
    sent = ours.sent - sent
    after = await page.stats()
    decoded, freezes = (
        int(after.get(name, 0) - before.get(name, 0)) for name in ("framesDecoded", "freezeCount")
    )
    return Stretch(sent, decoded, freezes, lost, passed)


async def bench_loss(pictures: list[av.VideoFrame]) -> list[Row]:
    async with seen(pictures) as (ours, page, network):
        whole = await stretch(ours, page, network, 0)
        lossy = await stretch(ours, page, network, LOSS)
    note = f"{lossy.lost} of {lossy.lost + lossy.passed} packets lost, {lossy.sent} pictures sent"
    return [
        Row("pictures not decoded without loss", whole.missed_percent, "%"),
        Row("pictures not decoded", lossy.missed_percent, "%", MISSED_PERCENT, 1, note),
        Row("freezes in 20 s without loss", whole.freezes, ""),
        Row("freezes in 20 s", lossy.freezes, "", 1, 0),
    ]


async def nothing(packet: object, arrival_time_ms: int) -> None:
    """Throw a packet away: the receiver shares the sender's processor."""


@contextmanager
def ahead_of_others() -> Iterator[str]:
    """Real-time priority where the system grants it, for this thread and those that it starts.

    On a machine with more to do than it has processors the time to an IDR is else that of waiting for one.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    except OSError:
        yield "at no priority"
        return
    try:
        yield "at real-time priority"
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


async def bench_pli(pictures: list[av.VideoFrame], note: str) -> list[Row]:
    async with Stranger() as other, sending(pictures) as ours:
        await ours.peer.accept(await other.reply(await ours.peer.offer()))
        await wait_until(lambda: other.connected and other.keyframes > 0)
        (receiver,) = (one for one in other.pc.getReceivers() if one.track.kind == "video")
        (source,) = receiver.getSynchronizationSources()[:1]
        receiver._handle_rtp_packet = nothing  # type: ignore[method-assign]
        took = []
        for number in range(PLIS):
            await asyncio.sleep(PLI_EVERY_S + number / PLIS / FPS)  # anywhere between two pictures
            asked_s, before = time.monotonic(), len(ours.keyframes_s)
            await receiver._send_rtcp_pli(source.source)
            await wait_until(partial(ours.has_more_than, before))
            took.append(ours.keyframes_s[before] - asked_s)
    took.sort()
    return [
        Row(f"PLI to IDR, {what} of {PLIS}", 1000 * took_s, "ms", 1000 * FRAME_AND_S, 1, note)
        for what, took_s in (
            ("median", statistics.median(took)),
            ("95th percentile", took[int(0.95 * PLIS)]),
        )
    ]


def run() -> list[Row]:
    """Every figure; where there is an aim, the ratio is to it."""
    pictures = film()
    rows = [*asyncio.run(bench_outages(pictures)), *asyncio.run(bench_loss(pictures))]
    with ahead_of_others() as note:
        return [*rows, *asyncio.run(bench_pli(pictures, note))]
