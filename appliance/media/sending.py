"""Packets of RTP (RFC 3550) for what is encoded already: a head that is made once, and what changes in it.

aiortc makes an object of each packet, packs it, and asks the calendar for the time twice: with 200 packets
a second that is more than all that else is done to them. What is the same for all packets of a stream is
still its work: it packs an empty one, and the bytes that change are filled in here.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

HEAD = struct.Struct("!BBHLL")
MARKER = 0x80
SEND_TIME_BYTES = 3
NTP_BEFORE_NS = 2_208_988_800 * 1_000_000_000
"""From 1900 to 1970."""
KEPT_PICTURES = 4
"""Of so many pictures the payloads are kept: the peers take them one right after the other."""


class Packet:
    """What is encoded already, of one moment: of what PyAV's has only what is needed, and for less work."""

    __slots__ = ("data", "is_keyframe", "pts", "time_base")

    def __init__(
        self, data: bytes, pts: int, time_base: Fraction, *, is_keyframe: bool = False
    ) -> None:
        """`pts` counts in `time_base` seconds."""
        self.data, self.pts, self.time_base, self.is_keyframe = data, pts, time_base, is_keyframe

    def __bytes__(self) -> bytes:
        return self.data


class SentPacket(NamedTuple):
    """A packet as it was sent, but not encrypted: kept in case that it is lost."""

    sequence_number: int
    data: bytes
    head_bytes: int

    @property
    def payload(self) -> bytes:
        """What follows the head."""
        return self.data[self.head_bytes :]


class Stream:
    """The packets of one stream, in order."""

    def __init__(
        self, empty: Callable[[int], bytes], sequence_number: int, first_timestamp: int
    ) -> None:
        """`empty` packs a packet without payload, of a time of sending (abs-send-time, 24 bit)."""
        early, late = empty(0), empty((1 << 8 * SEND_TIME_BYTES) - 1)
        self._first, kind, _, _, self._ssrc = HEAD.unpack_from(early)
        self._kind = kind & ~MARKER
        self._sequence_number, self._first_timestamp = sequence_number, first_timestamp
        changing = [
            at for at, (one, other) in enumerate(zip(early, late, strict=True)) if one != other
        ]
        self._extensions = early[HEAD.size :]
        self._time_at = changing[0] - HEAD.size if len(changing) == SEND_TIME_BYTES else None
        self.timestamp = first_timestamp
        """Of the latest packets."""

    def packets(self, payloads: Sequence[bytes], timestamp: int, sent_at: int) -> list[SentPacket]:
        """One for each payload; `timestamp` counts from 0, `sent_at` is the NTP time of 64 bit."""
        self.timestamp = (self._first_timestamp + timestamp) & 0xFFFFFFFF
        extensions = self._extensions
        if self._time_at is not None:
            now = (sent_at >> 14 & 0xFFFFFF).to_bytes(SEND_TIME_BYTES, "big")
            at = self._time_at
            extensions = extensions[:at] + now + extensions[at + SEND_TIME_BYTES :]
        head_bytes = HEAD.size + len(extensions)
        made = []
        for left, payload in zip(range(len(payloads) - 1, -1, -1), payloads, strict=True):
            number = self._sequence_number
            self._sequence_number = (number + 1) & 0xFFFF
            kind = self._kind if left else self._kind | MARKER
            head = HEAD.pack(self._first, kind, number, self.timestamp, self._ssrc)
            made.append(SentPacket(number, b"".join((head, extensions, payload)), head_bytes))
        return made


def ntp_now() -> int:
    """Seconds since 1900, with 32 bits behind the point (RFC 3550, section 4)."""
    return ((time.time_ns() + NTP_BEFORE_NS) << 32) // 1_000_000_000


def once_for_all_peers(
    pack: Callable[[bytes], list[bytes]],
) -> Callable[[Packet], list[bytes]]:
    """What makes the payloads of a picture, and makes them once, whoever they go to."""

    @lru_cache(maxsize=KEPT_PICTURES)
    def payloads(packet: Packet) -> list[bytes]:
        return pack(packet.data)

    return payloads
