"""A sender and a network by the seed, and a playout buffer at the far end: an hour of a call in seconds."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from appliance.media.base import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ
from appliance.media.opus import BadPacket, Samples, duration
from appliance.media.pcm import PERIOD_SAMPLES
from appliance.media.playout import Playout, VoicePacket
from appliance.media.voices import Voice

FIRST_BYTE = {480: b"\xf0", 960: b"\xf8", 1920: b"\x10", 2880: b"\x18"}
"""Of a packet with one frame of so many samples."""


def payload(number: int, samples: int = FRAME_SAMPLES) -> bytes:
    """What `Numbered` takes for Opus."""
    return FIRST_BYTE[samples] + number.to_bytes(4, "big")


class Numbered:
    """A decoder whose sound tells which packet it was: loud, or as quiet as can be, a value for each.

    What is corrected has half of the value of the packet that it was taken from, less one; what is made
    up has none.
    """

    corrects = True

    def __init__(self, *, quiet: bool = False) -> None:
        self.decoded: list[int] = []
        self.corrected: list[int] = []
        self._quiet = quiet

    def decode(self, packet: bytes) -> Samples:
        if len(packet) > 2 and packet[1:3] == b"!!":
            raise BadPacket("as was wanted")
        number = int.from_bytes(packet[1:], "big")
        self.decoded.append(number)
        return self._sound(duration(packet), self.value(number))

    def conceal(self, samples: int, following: bytes | None = None) -> Samples:
        if following is None:
            return np.zeros(samples, np.int16)
        number = int.from_bytes(following[1:], "big") - 1
        self.corrected.append(number)
        return self._sound(samples, self.value(number) // 2)

    @staticmethod
    def _sound(samples: int, value: int) -> Samples:
        sound = np.empty(samples, np.int16)
        sound.fill(value)
        return sound

    def value(self, number: int) -> int:
        return 1 if self._quiet else 1000 + 2 * (number % 10_000)


@dataclass
class Way:
    """What happens to packets, and what the clocks do. Times in seconds."""

    seed: int = 1
    loss: float = 0.0
    delay_s: float = 0.03
    jitter_s: float = 0.0
    """The mean of what each is later (exponentially distributed, so they overtake one another)."""
    ppm: float = 0.0
    """How much faster the sender's clock runs."""
    stalls: tuple[tuple[float, float], ...] = ()
    """Nothing gets through from .. to, and then all of it at once."""
    samples: int = FRAME_SAMPLES
    drop: Callable[[int], bool] = field(default=lambda number: False)
    extra_s: Callable[[int], float] = field(default=lambda number: 0.0)
    twice: bool = False
    """Each is sent once more behind the one after it; SRTP drops the second of who has the first."""

    def arrivals(self, seconds: float, calm_s: float = 0.0) -> Iterator[tuple[float, int]]:
        """When each packet comes that comes, by its number, in the order of coming.

        After the seconds there are some more in which none is lost or late.
        """
        rng = random.Random(self.seed)
        waiting: list[tuple[float, int]] = []
        interval_s = self.samples / SAMPLE_RATE_HZ / (1 + self.ppm * 1e-6)
        for number in range(int((seconds + calm_s) / interval_s)):
            sent_s = 1.0 + number * interval_s
            at_s = sent_s + self.delay_s + self.extra_s(number)
            rough = number * interval_s < seconds
            if self.jitter_s and rough:
                at_s += min(rng.expovariate(1 / self.jitter_s), 10 * self.jitter_s)
            for begin_s, end_s in self.stalls:
                if begin_s <= at_s < end_s:
                    at_s = end_s + (at_s - begin_s) * 1e-3
            lost = (rough and rng.random() < self.loss) or self.drop(number)
            if lost and self.twice and not (rough and rng.random() < self.loss):
                heapq.heappush(waiting, (at_s + interval_s, number))
            if not lost:
                heapq.heappush(waiting, (at_s, number))
            while waiting and waiting[0][0] <= sent_s:
                yield heapq.heappop(waiting)
        while waiting:
            yield heapq.heappop(waiting)


@dataclass
class Card:
    """A sound card that takes a period at a time by its own clock, and what is in hand before it."""

    ppm: float = 0.0
    """How much faster its clock runs."""
    late_s: float = 0.0
    """The mean of what each frame is put in hand later (exponentially distributed)."""
    seed: int = 1

    def __post_init__(self) -> None:
        self.voice = Voice()
        self._period_s = PERIOD_SAMPLES / SAMPLE_RATE_HZ / (1 + self.ppm * 1e-6)
        self._take_s = 0.0
        self._rng = random.Random(self.seed)

    def put(self, frame: Samples, now_s: float) -> float | None:
        """When its first sample is taken, by the samples before it; None before the voice has begun."""
        late_s = min(self._rng.expovariate(1 / self.late_s), FRAME_S) if self.late_s else 0.0
        while self._take_s < now_s + late_s:
            self.voice.take(PERIOD_SAMPLES, self._take_s)
            self._take_s += self._period_s
        before = len(self.voice)
        sounds = self.voice.sounds
        self.voice.put(frame.astype(np.float32), now_s + late_s)
        return self._take_s + before / PERIOD_SAMPLES * self._period_s if sounds else None


@dataclass
class Heard:
    """What was played, an entry for each pull since there was sound."""

    playout: Playout
    decoder: Numbered
    card: Card | None = None
    at_s: list[float] = field(default_factory=list)
    delay_s: list[float] = field(default_factory=list)
    """By how much sound was kept that had come on the shortest way,"""
    excess_s: list[float] = field(default_factory=list)
    """by how much more than it should have been,"""
    made_up: list[bool] = field(default_factory=list)
    """and whether the greater part of the frame is of no packet."""
    kept_s: list[float] = field(default_factory=list)
    """For each packet: how long after its coming its sound is to begin,"""
    card_s: list[float] = field(default_factory=list)
    """and, where there is a card, how long after it the card took it."""
    card_at_s: list[float] = field(default_factory=list)
    """When."""

    def longest_gap_s(self) -> float:
        longest = run = 0
        for made_up in self.made_up:
            run = run + 1 if made_up else 0
            longest = max(longest, run)
        return longest * FRAME_S

    def after(self, at_s: float, values: list[float]) -> list[float]:
        return [value for time_s, value in zip(self.at_s, values, strict=True) if time_s >= at_s]


def play(
    way: Way,
    seconds: float,
    *,
    calm_s: float = 0.0,
    quiet: bool = False,
    first_timestamp: int = 4_000_000_000,
    first_sequence: int = 65_000,
    phase_s: float = 0.007,
    card: Card | None = None,
) -> Heard:
    """Send for so long, and play, on a card where there is one. Time stamps and numbers soon wrap."""
    decoder = Numbered(quiet=quiet)
    playout = Playout(decoder)
    heard = Heard(playout, decoder, card)
    came: dict[int, float] = {}
    pulls = 0
    for at_s, number in way.arrivals(seconds, calm_s):
        while pulls * FRAME_S + phase_s < at_s:
            _pull(heard, pulls * FRAME_S + phase_s, came, way.samples, first_timestamp)
            pulls += 1
        came.setdefault(number, at_s)
        playout.put(
            VoicePacket(
                7,
                (first_sequence + number) & 0xFFFF,
                (first_timestamp + number * way.samples) & 0xFFFFFFFF,
                payload(number, way.samples),
            ),
            at_s,
        )
    return heard


def _pull(heard: Heard, now_s: float, came: dict[int, float], samples: int, first: int) -> None:
    playout, decoder = heard.playout, heard.decoder
    done = len(decoder.decoded)
    frame = np.frombuffer(playout.pull(now_s), "<i2")
    taken_s = heard.card.put(frame, now_s) if heard.card is not None else None
    if not decoder.decoded:
        return
    began_s = now_s + FRAME_S  # what is played next now, is what was played then
    behind_s = playout._behind_s(began_s)
    for number in decoder.decoded[done:]:
        place_s = (first + number * samples) / SAMPLE_RATE_HZ
        heard.kept_s.append(place_s + behind_s - came[number])
        if taken_s is not None:
            heard.card_s.append(heard.kept_s[-1] + taken_s - now_s)
            heard.card_at_s.append(now_s)
    heard.at_s.append(now_s)
    heard.delay_s.append(playout.delay_s(began_s))
    heard.excess_s.append(playout.excess_s(began_s))
    heard.made_up.append(int(np.count_nonzero(frame)) < FRAME_SAMPLES // 2)
