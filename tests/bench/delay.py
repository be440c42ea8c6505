"""How much later incoming sound is heard for the receiver's sake, in networks that are computed.

Ten minutes and hours of a call take seconds here. The delay is what a packet waits from its coming until
the card takes its sound: in the playout, and behind it in what is kept in hand between the loop's clock and
the card's. What stands in the card's own buffer (30 ms, `pcm.PLAYBACK_PERIODS`), and before the packet's
coming what the network and the other side take, is not in it; nor that the loop may be late, but in the row
that says so.
"""

from __future__ import annotations

from statistics import median
from typing import Literal

from appliance.media.base import FRAME_S
from tests.bench.table import Row
from tests.media.hour import FRAME, PERIOD, RATE, Hour
from tests.media.way import Card, Heard, Way, play

BUDGET_MS, LOSSY_BUDGET_MS = 60.0, 80.0
PACKET_MS = FRAME_S * 1000
JITTER_S = 0.005
"""In the mean: one packet in fifty is 20 ms late."""
MINUTES, HOUR_S = 610.0, 3600.0
SETTLED_S = 20.0
LAST_PACKETS = 500
"""Of the last ten seconds."""
SEEDS = (1, 2, 3)
LOOP_LATE_S = 0.002


def run() -> list[Row]:
    """The worst of the seeds, and of the clocks that are fast and slow."""
    calm, late = ([_calm(seed, late_s) for seed in SEEDS] for late_s in (0.0, LOOP_LATE_S))
    lossy = [
        play(Way(seed=seed, jitter_s=JITTER_S, loss=0.02), MINUTES, card=Card()) for seed in SEEDS
    ]
    ended = [median(heard.card_s[-LAST_PACKETS:]) for heard in lossy]
    return [
        Row("packet to card, 5 ms of jitter, median", _worst(calm, "card_s"), "ms", most=BUDGET_MS),
        Row("of these until the playout gave it", _worst(calm, "kept_s"), "ms"),
        Row("packet to card, the loop 2 ms late in the mean", _worst(late, "card_s"), "ms"),
        Row("packet to card, 2 % loss, after ten minutes", max(ended) * 1e3, "ms",
            most=LOSSY_BUDGET_MS),
        Row("longest gap of these ten minutes", max(heard.longest_gap_s() for heard in lossy) * 1e3,
            "ms", most=BUDGET_MS),
        *(_sender(ppm) for ppm in (200, -200)),
        *(_card(ppm) for ppm in (200, -200)),
        *(_both(ppm) for ppm in (200, -200)),
    ]  # fmt: skip


def _calm(seed: int, late_s: float) -> Heard:
    way, card = Way(seed=seed, jitter_s=JITTER_S), Card(late_s=late_s, seed=seed)
    return play(way, 120, card=card)


def _worst(plays: list[Heard], which: Literal["card_s", "kept_s"]) -> float:
    kept = (heard.card_s if which == "card_s" else heard.kept_s for heard in plays)
    return max(map(median, kept)) * 1e3


def _sender(ppm: int) -> Row:
    heard = play(Way(ppm=ppm, jitter_s=0.002), HOUR_S)
    off_s = max(map(abs, heard.after(SETTLED_S, heard.excess_s)))
    name = f"an hour, the sender's clock {ppm:+d} ppm: playout furthest off"
    return Row(name, off_s * 1e3, "ms", most=PACKET_MS)


def _card(ppm: int) -> Row:
    """What is in hand where it is played: one packet is needed, so that there is never none."""
    hour = Hour(ppm)
    hour.run(HOUR_S)
    settled = hour.in_hand[int(SETTLED_S * RATE / PERIOD) :]
    off_ms = max(abs(samples - FRAME) for samples in settled) / RATE * 1e3
    name = f"an hour, the card's clock {ppm:+d} ppm: in hand furthest off"
    holes = f"{hour.voice.holes} holes, {hour.voice.cuts} cuts"
    return Row(name, off_ms, "ms", most=PACKET_MS, note=holes)


def _both(ppm: int) -> Row:
    """Packet to card, with both clocks wrong in opposite directions: how far its course wanders."""
    way, card = Way(ppm=ppm, jitter_s=0.002), Card(ppm=-ppm)
    heard = play(way, HOUR_S, card=card)
    settled = heard.card_s[int(SETTLED_S / FRAME_S) :]
    course = [
        median(settled[begin : begin + LAST_PACKETS])
        for begin in range(0, len(settled), LAST_PACKETS)
    ]
    name = f"an hour, sender {ppm:+d} and card {-ppm:+d} ppm: least to most of 10 s"
    note = f"{card.voice.holes} holes, {card.voice.cuts} cuts, at most {max(course) * 1e3:.1f} ms"
    return Row(name, (max(course) - min(course)) * 1e3, "ms", most=PACKET_MS, note=note)
