"""How much later incoming sound is heard for the receiver's sake, in networks that are computed.

Ten minutes and hours of a call take seconds here. The delay is what a packet waits from its coming until
its sound is given to the loudspeaker.
"""

from __future__ import annotations

from statistics import median

from appliance.media.base import FRAME_S
from tests.bench.table import Row
from tests.media.hour import FRAME, PERIOD, RATE, Hour
from tests.media.way import Way, play

BUDGET_MS, LOSSY_BUDGET_MS = 60.0, 80.0
PACKET_MS = FRAME_S * 1000
JITTER_S = 0.005
"""In the mean: one packet in fifty is 20 ms late."""
MINUTES, HOUR_S = 610.0, 3600.0
SETTLED_S = 20.0
LAST_PACKETS = 500
"""Of the last ten seconds."""
SEEDS = (1, 2, 3)


def run() -> list[Row]:
    """The worst of the seeds, and of the clocks that are fast and slow."""
    calm = [median(play(Way(seed=seed, jitter_s=JITTER_S), 120).kept_s) for seed in SEEDS]
    lossy = [play(Way(seed=seed, jitter_s=JITTER_S, loss=0.02), MINUTES) for seed in SEEDS]
    late = [median(heard.kept_s[-LAST_PACKETS:]) for heard in lossy]
    return [
        Row("packet to loudspeaker, 5 ms of jitter, median", max(calm) * 1e3, "ms", most=BUDGET_MS),
        Row("the same with 2 % loss, after ten minutes", max(late) * 1e3, "ms", most=LOSSY_BUDGET_MS),
        Row("longest gap of these ten minutes", max(heard.longest_gap_s() for heard in lossy) * 1e3,
            "ms", most=BUDGET_MS),
        *(_sender(ppm) for ppm in (200, -200)),
        *(_card(ppm) for ppm in (200, -200)),
    ]  # fmt: skip


def _sender(ppm: int) -> Row:
    heard = play(Way(ppm=ppm, jitter_s=0.002), HOUR_S)
    off_s = max(map(abs, heard.after(SETTLED_S, heard.excess_s)))
    name = f"an hour, the sender's clock {ppm:+d} ppm: furthest off"
    return Row(name, off_s * 1e3, "ms", most=PACKET_MS)


def _card(ppm: int) -> Row:
    """What is in hand where it is played: one packet is needed, so that there is never none."""
    hour = Hour(ppm)
    hour.run(HOUR_S)
    settled = hour.in_hand[int(SETTLED_S * RATE / PERIOD) :]
    off_ms = max(abs(samples - FRAME) for samples in settled) / RATE * 1e3
    name = f"an hour, the card's clock {ppm:+d} ppm: furthest off"
    holes = f"{hour.voice.holes} holes, {hour.voice.cuts} cuts"
    return Row(name, off_ms, "ms", most=PACKET_MS, note=holes)
