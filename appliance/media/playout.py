"""One participant's packets of sound, played as a steady stream: the playout buffer.

Packets go in as they come, 20 ms come out whenever they are pulled. Nothing here waits, or has a clock.

* A place of the sender's time is played when it is due: after the transit of nearly all packets, and a
  frame; two where packets are being lost, so that the next one, which may have the lost sound, is there.
* What is missing then is taken from the packet after it, or else made up, fading. Time goes on meanwhile.
* Where nothing at all was there, and then what was missing comes after all, playing goes back for it, but
  never to more than 15 ms after it was due: it is dropped then. So no delay outlasts its cause.
* What is too late or too early by and by (clocks differ) is stretched or spliced (`fitting.py`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from appliance.media.arrivals import LIMIT_S, RISE_PACKETS, Arrivals
from appliance.media.base import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, SILENT_FRAME
from appliance.media.concealing import joined
from appliance.media.fitting import HURRY_FROM_S, fitted, needed
from appliance.media.opus import (
    UNIT_SAMPLES,
    BadPacket,
    Samples,
    VoiceDecoder,
    duration,
)

MARGIN_S = 0.005
"""How much more than the transit is waited for: `fitting` lets the delay be off by so much."""
LOSSES, LOSSES_S = 2, 30.0
"""After so many losses in so many seconds sound is played a frame later, so that it can be corrected."""
BACK_S = 0.015
"""So much later than it is due something is played at most that came when it had been given up."""
EARLY_S = 1.0
"""What comes earlier by more, or too late, is of another stream, if what follows is as well."""
CAPACITY = 256
"""Packets that are kept at most: a flood is not to fill the memory."""
FULL_SAMPLES, FADING_SAMPLES = 2880, 6720
"""What is made up has its full strength for 60 ms, and is silence 140 ms after that."""
ROOM_SAMPLES = SAMPLE_RATE_HZ
"""Who is silent says so every 400 ms (DTX, RFC 6716, section 2.1.9); the noise of the room goes on."""
DTX_BYTES = 2


class VoicePacket(NamedTuple):
    """What of an RTP packet (RFC 3550) is needed; `timestamp` counts samples at 48 kHz (RFC 7587)."""

    ssrc: int
    sequence_number: int
    timestamp: int
    payload: bytes


@dataclass(slots=True)
class Counts:
    """What became of the packets, and of the holes between them."""

    played: int = 0
    late: int = 0
    """Came when their time was over."""
    duplicates: int = 0
    bad: int = 0
    """No Opus."""
    out_of_place: int = 0
    """Of another stream, or of a time that cannot be; or too many."""
    corrected: int = 0
    """Holes that were filled from the packet after them."""
    concealed: int = 0
    """Stretches of at most 20 ms that were made up."""
    restarts: int = 0
    """Another stream has begun."""


@dataclass(slots=True)
class _Kept:
    """A packet that waits; its place is a time stamp that does not wrap."""

    place: int
    samples: int
    sequence_number: int
    payload: bytes


class Playout:
    """The buffer of one participant. `now_s` is a time that only rises, the same for `put` and `pull`."""

    def __init__(self, decoder: VoiceDecoder) -> None:
        """Empty and silent."""
        self.counts = Counts()
        self._decoder = decoder
        self._arrivals = Arrivals()
        self._losses: deque[float] = deque(maxlen=LOSSES)
        self._strangers: deque[tuple[VoicePacket, float]] = deque(maxlen=RISE_PACKETS)
        self._ssrc: int | None = None
        self._newest = 0
        """The place of the packet that came last."""
        self._kept: dict[int, _Kept] = {}
        self._played: deque[int] = deque(maxlen=CAPACITY)
        self._last_sequence: int | None = None
        self._begun = False
        self._ahead: Samples = np.zeros(0, np.int16)
        """What is decoded and not played yet,"""
        self._end = 0
        """and the place after it."""
        self._settled = 0
        """The place before which nothing can be played any more."""
        self._made_up = 0
        """How many samples there have been since anything real."""
        self._room = False
        """What was real last was the noise of a silent sender's room."""
        self._last_value = 0

    # -------------------- packets

    def put(self, packet: VoicePacket, now_s: float) -> None:
        """A packet that has just come. What cannot be used is counted; nothing is raised."""
        if not packet.payload:
            return
        try:
            duration(packet.payload)
        except BadPacket:
            self.counts.bad += 1
            return
        self._arrivals.forget(now_s)
        if self._belongs(packet, now_s):
            self._strangers.clear()
            self._admit(packet, now_s)
        else:
            self._consider(packet, now_s)

    def _place(self, packet: VoicePacket) -> int:
        """Its time stamp, without the wrapping."""
        step = (packet.timestamp - self._newest) & 0xFFFFFFFF
        return self._newest + (step - (1 << 32) if step >> 31 else step)

    def _belongs(self, packet: VoicePacket, now_s: float) -> bool:
        if packet.ssrc != self._ssrc or not self._arrivals:
            return False
        place = self._place(packet)
        later_s = now_s - place / SAMPLE_RATE_HZ - self._arrivals.shortest_s
        return later_s >= -EARLY_S and (later_s <= LIMIT_S or (self._begun and place >= self._end))

    def _consider(self, packet: VoicePacket, now_s: float) -> None:
        """Begin another stream, where this is not a single odd packet, or a backlog."""
        if self._strangers and self._strangers[-1][0].ssrc != packet.ssrc:
            self._strangers.clear()
        self._strangers.append((packet, now_s))
        if self._arrivals and not self._are_steady():
            self.counts.out_of_place += 1
            return
        self.counts.restarts += self._ssrc is not None
        first = self._strangers[0][0]
        self._ssrc, self._newest, self._settled = first.ssrc, first.timestamp, first.timestamp
        self._begun, self._last_sequence = False, None
        self._kept.clear()
        self._played.clear()
        self._arrivals = Arrivals()
        for one, at_s in self._strangers:
            self._admit(one, at_s)
        self._strangers.clear()

    def _are_steady(self) -> bool:
        """Four in a row that come at the pace of their time stamps."""
        if len(self._strangers) < RISE_PACKETS:
            return False
        places = [self._place(packet) / SAMPLE_RATE_HZ for packet, _ in self._strangers]
        transits = [at_s - place for (_, at_s), place in zip(self._strangers, places, strict=True)]
        return max(transits) - min(transits) <= (max(places) - min(places)) / 2

    def _admit(self, packet: VoicePacket, now_s: float) -> None:
        place = self._newest = self._place(packet)
        samples = duration(packet.payload)
        self._arrivals.add(now_s - place / SAMPLE_RATE_HZ, now_s)
        if place in self._kept or (place < self._end and place in self._played):
            self.counts.duplicates += 1
        elif place + samples <= self._settled:
            self._excuse(packet.sequence_number)
        elif len(self._kept) == CAPACITY:
            self.counts.out_of_place += 1
        else:
            self._kept[place] = _Kept(place, samples, packet.sequence_number, packet.payload)

    # -------------------- when what is due

    def due_s(self, now_s: float) -> float:
        """How much later than its place sound is to be played; of use only where it is compared."""
        lossy = len(self._losses) == LOSSES and now_s - self._losses[0] < LOSSES_S
        return self._arrivals.waited_for_s + MARGIN_S + (2 * FRAME_S if lossy else FRAME_S)

    def excess_s(self, now_s: float) -> float:
        """How much later sound is played than it is due; 0 while nothing is."""
        if not self._begun or not self._arrivals:
            return 0.0
        return self._behind_s(now_s) - self.due_s(now_s)

    def delay_s(self, now_s: float) -> float:
        """How long this buffer keeps sound that came on the shortest way; 0 while nothing is played."""
        if not self._begun or not self._arrivals:
            return 0.0
        return self._behind_s(now_s) - self._arrivals.shortest_s

    def _behind_s(self, now_s: float) -> float:
        return now_s - (self._end - len(self._ahead)) / SAMPLE_RATE_HZ

    # -------------------- playing

    @property
    def silent(self) -> bool:
        """Nothing is there, and nothing is made up any more: until something comes, all is silence."""
        return not self._begun and not self._kept

    def pull(self, now_s: float) -> bytes:
        """The 20 ms that are played from now on."""
        if not self._begun and not self._begin(now_s):
            return SILENT_FRAME
        while len(self._ahead) < FRAME_SAMPLES:
            self._go_on(now_s)
        excess_s = self.excess_s(now_s)
        wanted = needed(excess_s)
        while len(self._ahead) < wanted and self._end in self._kept:
            self._play(self._kept[self._end], now_s)
        frame, used = fitted(self._ahead, excess_s)
        self._ahead = self._ahead[used:]
        self._last_value = int(frame[-1])
        if self._made_up >= self._full + FADING_SAMPLES and not self._kept:
            self._begun = False
        return frame.tobytes()

    def _begin(self, now_s: float) -> bool:
        """Whether the time has come for the first of what is there: within this frame."""
        for place, packet in sorted(self._kept.items()):
            excess_s = now_s - place / SAMPLE_RATE_HZ - self.due_s(now_s)
            if excess_s < -FRAME_S:
                return False
            if excess_s <= FRAME_S + packet.samples / SAMPLE_RATE_HZ:
                self._begun = True
                self._end = self._settled = place
                self._ahead = np.zeros(max(0, int(-excess_s * SAMPLE_RATE_HZ)), np.int16)
                self._last_value = 0
                return True
            self._drop(packet)
        return False

    def _go_on(self, now_s: float) -> None:
        """Some more sound, real or made up."""
        packet = self._kept[min(self._kept)] if self._kept else None
        if packet is None:
            self._append(self._make_up(FRAME_SAMPLES))
            return
        hole = packet.place - self._end
        if hole == 0:
            self._play(packet, now_s)
            return
        if hole < 0:
            self._go_back(packet, now_s)
            return
        excess_s = self.excess_s(now_s)
        if excess_s > HURRY_FROM_S:  # nothing is lost by leaving some of a hole out
            skipped = min(hole, int(excess_s * SAMPLE_RATE_HZ))
            self._end += skipped
            hole -= skipped
        if hole:
            self._fill(hole, packet)

    def _fill(self, hole: int, following: _Kept) -> None:
        """Sound for a hole of so many samples, or for its beginning."""
        length = following.samples
        if hole <= length and self._decoder.corrects and not self._follows(following):
            self.counts.corrected += 1
            sound = self._decoder.conceal(length, following.payload)[-hole:]
            self._append(sound)
        else:
            part = hole - length if hole > length else hole
            self._append(self._make_up(min(part, FRAME_SAMPLES)))
        self._settled = self._end

    def _go_back(self, packet: _Kept, now_s: float) -> None:
        """Play what is at hand, or came while there was nothing: as far as it would not be too late."""
        at_most = max(0, int((BACK_S - self.excess_s(now_s)) * SAMPLE_RATE_HZ))
        left_out = max(0, self._end - at_most - packet.place)
        if left_out >= packet.samples:
            self._drop(packet)
        else:
            self._play(packet, now_s, left_out)

    def _drop(self, packet: _Kept) -> None:
        del self._kept[packet.place]
        self._excuse(packet.sequence_number)

    def _excuse(self, sequence_number: int) -> None:
        """It is late, but not lost."""
        self.counts.late += 1
        last = self._last_sequence
        if last is None or (sequence_number - last) & 0xFFFF < 0x8000:
            self._last_sequence = sequence_number
        elif self._losses:
            self._losses.pop()

    def _play(self, packet: _Kept, now_s: float, left_out: int = 0) -> None:
        del self._kept[packet.place]
        self._played.append(packet.place)
        if not self._follows(packet):
            self._losses.append(now_s)
        self._last_sequence = packet.sequence_number
        try:
            sound = self._decoder.decode(packet.payload)
        except BadPacket:
            self.counts.bad += 1
            sound = self._make_up(packet.samples)
        else:
            self.counts.played += 1
            if left_out or self._made_up > self._full:
                sound = joined(self._last, sound[left_out:])
            self._made_up, self._room = 0, len(packet.payload) <= DTX_BYTES
        self._end = packet.place + left_out
        self._append(sound)
        self._settled = self._end

    def _follows(self, packet: _Kept) -> bool:
        """There is none between what was played last and this one."""
        if self._last_sequence is None:
            return True
        return not 0 < (packet.sequence_number - self._last_sequence - 1) & 0xFFFF < 0x8000

    def _make_up(self, samples: int) -> Samples:
        """Something that goes on as it was, fading."""
        self.counts.concealed += 1
        start, self._made_up = self._made_up, self._made_up + samples
        fading = start - self._full
        if fading >= FADING_SAMPLES:
            return np.zeros(samples, np.int16)
        sound = self._decoder.conceal(-(-samples // UNIT_SAMPLES) * UNIT_SAMPLES)[:samples]
        if fading + samples > 0:
            strength = 1 - (fading + np.arange(samples)) / FADING_SAMPLES
            sound = (sound * np.clip(strength, 0, 1)).astype(np.int16)
        return sound

    def _append(self, sound: Samples) -> None:
        self._ahead = np.concatenate([self._ahead, sound]) if len(self._ahead) else sound
        self._end += len(sound)

    @property
    def _full(self) -> int:
        """So much is made up at full strength."""
        return ROOM_SAMPLES if self._room else FULL_SAMPLES

    @property
    def _last(self) -> int:
        return int(self._ahead[-1]) if len(self._ahead) else self._last_value
