"""aiortc on a device whose clock is set by years: it goes on as if nothing were, and closes."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from aioice import turn
from aiortc import clock
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtcpReceiverInfo, RtpPacket

from appliance.media.seams import timing
from tests.media.stranger import Film, Stranger, Voice, until

YEAR_S = 365 * 86_400.0
NTP_S = 2_208_988_800
"""Of the 70 years before 1970."""

Jump = Callable[[float], None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Set the clock of this device: what Python tells of it, since the kernel's is everybody's."""
    timing.go_steadily()
    off_s, true_time, true_now = [0.0], time.time, dt.datetime.now

    class Day(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return true_now(tz) + dt.timedelta(seconds=off_s[0])

    monkeypatch.setattr(time, "time", lambda: true_time() + off_s[0])
    aiortcs = SimpleNamespace(**{**vars(dt), "datetime": Day})
    monkeypatch.setattr(clock, "datetime", aiortcs)

    def set_clock(by_s: float) -> None:
        before_s = time.time()
        off_s[0] += by_s
        assert abs(time.time() - before_s - by_s) < 60, "it is set"
        assert abs(aiortcs.datetime.now(dt.UTC).timestamp() - time.time()) < 60

    return set_clock


def test_it_is_the_time_of_day_at_first() -> None:
    assert abs(timing.seconds() - time.time()) < 60
    assert abs(timing.moment().timestamp() - timing.seconds()) < 1


@pytest.mark.parametrize("by_s", [YEAR_S, -YEAR_S])
def test_nothing_of_aiortc_sees_the_clock_set(jump: Jump, by_s: float) -> None:
    relays = vars(turn)["time"]
    began = clock.current_ms(), clock.current_ntp_time() >> 32, relays.time()
    jump(by_s)
    now = clock.current_ms(), clock.current_ntp_time() >> 32, relays.time()
    for before, after, limit in zip(began, now, (60_000, 60, 60), strict=True):
        assert 0 <= after - before < limit
    assert relays.monotonic() <= time.monotonic(), "the rest of the module is there"


@pytest.mark.parametrize("by_s", [YEAR_S, -YEAR_S])
def test_what_comes_in_is_counted_on(jump: Jump, by_s: float) -> None:
    """Who receives video asks for more after it as before: its rate is no year's."""
    estimator, statistics = RemoteBitrateEstimator(), StreamStatistics(90_000)
    rates = []

    def receive(number: int) -> None:
        sent = (number * 10 << 18) // 1000 & 0xFFFFFF
        estimator.add(clock.current_ms(), sent, 1000, 1)
        statistics.add(RtpPacket(sequence_number=number, timestamp=number * 900))
        rates.append(estimator.incoming_bitrate.rate(clock.current_ms()))

    for number in range(200):
        if number == 100:
            jump(by_s)
            assert abs(clock.current_ms() / 1000 - NTP_S - timing.seconds()) < 60
        receive(number)
        report = RtcpReceiverInfo(1, 0, 0, 200, statistics.jitter, 0, 0)
        assert len(bytes(report)) == 24, "a jitter of a year would not go into it"
    assert rates[-1] is not None


async def test_a_call_goes_on_and_is_closed_though_the_clock_is_set_by_years(jump: Jump) -> None:
    """Two of aiortc, with pictures and sound: forwards the loop would stand still for hours."""
    loop = asyncio.get_running_loop()
    async with Stranger(tone_hz=440, bundle=True) as alice, Stranger(bundle=True) as bob:
        answer = await bob.reply_again(await alice.call(), Film((10, 200, 30)), Voice(330))
        await alice.take(answer)
        await until(lambda: len(alice.numbers) > 5, "pictures")
        for by_s in (YEAR_S, -2 * YEAR_S, YEAR_S):
            before = clock.current_ms()
            jump(by_s)
            assert clock.current_ms() - before < 60_000, "or the next packet holds all up"
            seen, heard = len(alice.numbers), await reports(bob)
            await until(partial(has_seen, alice, seen + 5), "pictures after it")
            async with asyncio.timeout(30):
                while await reports(bob) == heard:  # noqa: ASYNC110 - aiortc tells nobody of one
                    await asyncio.sleep(0.05)
        began_s = loop.time()
    assert loop.time() - began_s < 10


def has_seen(one: Stranger, count: int) -> bool:
    return len(one.numbers) > count


async def reports(peer: Stranger) -> list[tuple[Any, ...]]:
    """What the other side last reported of what it received: it is another when it has gone on."""
    stats = await peer.pc.getStats()
    return [
        (one.timestamp, one.jitter)
        for one in stats.values()
        if one.type == "remote-inbound-rtp" and one.jitter < 2**31
    ]
