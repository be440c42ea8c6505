"""What becomes of the packets that a peer has not got (NACK, RFC 4585 section 6.2.1).

aiortc keeps the last 128 packets of a stream and sends those again. What is older is lost for good: no
decoder gets past it but by a keyframe. A browser notices by itself, and says so (PLI), only after a second
or three; its NACK says so at once. Where a keyframe has to come, or has come since, the packets of before
it are not sent again: after an outage they would be a hundred, and stand in its way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

SPS, STAP_A, FU_A = 7, 24, 28
FU_START = 0x80
HALF, ALL = 1 << 15, 1 << 16
MANY = 48
"""So many packets are more than a keyframe has at some Mbit/s: that is there sooner."""


class Sent(Protocol):
    """A packet that has been sent, as aiortc keeps it."""

    sequence_number: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Resending:
    """Which are to be sent again, and whether a keyframe is to be made instead."""

    again: list[int]
    keyframe: bool


def judge(missing: Sequence[int], history: Mapping[int, Sent], size: int) -> Resending:
    """What to do about the `missing` sequence numbers, given the last `size` packets.

    `history` has them by their sequence number modulo `size`.
    """
    lost = [number for number in missing if not _kept(number, history, size)]
    if len(missing) > MANY:
        lost = list(missing)
    if not lost:
        return Resending(list(missing), keyframe=False)
    start = _newest_keyframe(history)
    if start is None:
        return Resending([], keyframe=True)
    since = [number for number in missing if not _before(number, start)]
    if len(since) > MANY or not all(_kept(number, history, size) for number in since):
        return Resending([], keyframe=True)
    return Resending(since, keyframe=False)


def _kept(number: int, history: Mapping[int, Sent], size: int) -> bool:
    packet = history.get(number % size)
    return packet is not None and packet.sequence_number == number


def _newest_keyframe(history: Mapping[int, Sent]) -> int | None:
    """The sequence number with which the newest keyframe begins."""
    newest: int | None = None
    for packet in history.values():
        number = packet.sequence_number
        if begins_keyframe(packet.payload) and (newest is None or _before(newest, number)):
            newest = number
    return newest


def begins_keyframe(payload: bytes) -> bool:
    """Whether a packet is the first of an IDR with its parameter sets (RFC 6184, section 5)."""
    kind = payload[0] & 0x1F if payload else 0
    if kind == STAP_A:  # a length of two bytes, and the first that is in it
        return len(payload) > 3 and payload[3] & 0x1F == SPS
    if kind == FU_A:  # an SPS that is too long for one packet
        return len(payload) > 1 and payload[1] & (FU_START | 0x1F) == FU_START | SPS
    return kind == SPS


def _before(one: int, other: int) -> bool:
    """Whether `one` was sent before `other`: numbers of 16 bit that begin anew."""
    return 0 < (other - one) % ALL < HALF
