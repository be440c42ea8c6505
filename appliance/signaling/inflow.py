"""What comes from the broker, read as much at once as there is, and without what a sieve leaves out.

paho reads a packet by two bytes and a rest, each by a system call, and builds an object of each message:
a tenth of a millisecond, which a flood takes of the device for each message that is refused in the end.
Here packets (MQTT 5.0, section 2.1) are told apart in a buffer, and those that are left out never get to
paho. Only what needs no acknowledgement may be (QoS 0); the broker holds back the rest by itself. Nor does
paho get what it would keep without end: what is far larger than agreed, and QoS 2, which nobody asked for.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client

MAX_PACKET_BYTES = 64 * 1024
"""What MQTT 5 tells the broker to be the limit; what is larger goes through without being looked at,"""
MAX_PASSED_BYTES = 256 * 1024
"""up to this. A broker of 3.1.1 hands on up to 256 MB, which paho keeps."""
READ_BYTES = 256 * 1024
PUBLISH_QOS_0 = (0x30, 0x31)
"""Type 3 in the upper half; below it the lowest bit is RETAIN, and QoS 0 has neither of the others."""
PUBLISH_QOS_2, QOS_MASK = 0x34, 0xF6
MAX_LENGTH_BYTES = 4


class Inflow:
    """The bytes of one connection that were read and that paho has not taken yet."""

    def __init__(
        self,
        lets: Callable[[str, bytes, float], bool],
        *,
        has_properties: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lets(topic, payload, now_s)` is asked for each message that may be left out; MQTT 5
        `has_properties` between the two.
        """
        self._lets = lets
        self._has_properties = has_properties
        self._clock = clock
        self._unsorted = bytearray()
        self._ready = bytearray()
        self._passing = 0
        """How much more of a packet goes through that is too large to be looked at,"""
        self._skipping = 0
        """or is left out because it is larger still."""
        self._ended = False
        self.left_out = 0
        """How many messages paho was not given, because of what is asked of each;"""
        self.oversized = 0
        """and how many packets, because of their size."""

    def waits(self) -> bool:
        """Whether there is something for paho to read: bytes, or that there are no more."""
        return bool(self._ready) or self._ended

    def fill(self, sock: Any) -> None:
        """Read what there is, without waiting."""
        try:
            data = sock.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        self._ended = not data
        self.sort(data)

    def sort(self, data: bytes) -> None:
        """Take what was read, and sort what is whole by now."""
        self._unsorted += data
        at = 0
        while True:
            if self._passing:
                step = min(self._passing, len(self._unsorted) - at)
                self._ready += self._unsorted[at : at + step]
                self._passing -= step
                at += step
            skipped = min(self._skipping, len(self._unsorted) - at)
            self._skipping -= skipped
            at += skipped
            head = _number(self._unsorted, at + 1)
            if head is None:
                break
            start, length = head
            end = start + length
            if length > MAX_PASSED_BYTES:
                self._skipping = end - at
                self.oversized += 1
                continue
            if length > MAX_PACKET_BYTES:
                self._passing = end - at
                continue
            if end > len(self._unsorted):
                break
            if self._unsorted[at] & QOS_MASK == PUBLISH_QOS_2:
                self.left_out += 1
            elif self._unsorted[at] not in PUBLISH_QOS_0 or self._is_let(start, end):
                self._ready += self._unsorted[at:end]
            else:
                self.left_out += 1
            at = end
        del self._unsorted[:at]

    def take(self, most: int) -> bytes:
        """For paho, as `socket.recv`: raises BlockingIOError where there is nothing yet."""
        if not self._ready:
            if self._ended:
                return b""
            raise BlockingIOError
        taken = bytes(self._ready[:most])
        del self._ready[:most]
        return taken

    def _is_let(self, start: int, end: int) -> bool:
        """Whether this PUBLISH is; one that is malformed is paho's to refuse."""
        topic_at = start + 2
        payload_at = behind = topic_at + int.from_bytes(self._unsorted[start:topic_at], "big")
        if self._has_properties:
            properties = _number(self._unsorted, behind)
            payload_at = end + 1 if properties is None else sum(properties)
        if payload_at > end:
            return True
        try:
            topic = self._unsorted[topic_at:behind].decode()
        except UnicodeDecodeError:
            return True
        return self._lets(topic, bytes(self._unsorted[payload_at:end]), self._clock())


def _number(data: bytearray, at: int) -> tuple[int, int] | None:
    """Where what is behind the number `at` begins, and the number (1.5.5); None: it is not all there.

    One of more than four bytes is malformed; paho finds that out by itself.
    """
    number = 0
    for index in range(MAX_LENGTH_BYTES):
        if at + index >= len(data):
            return None
        number |= (data[at + index] & 0x7F) << (7 * index)
        if data[at + index] < 0x80:
            return at + index + 1, number
    return at + MAX_LENGTH_BYTES, MAX_PACKET_BYTES + 1


class BufferedClient(Client):
    """paho's client, which reads from an inflow in the place of its socket."""

    inflow: Inflow | None = None

    @property
    def backlog(self) -> int:
        """How many packets it holds that the socket has not taken yet."""
        return len(self._out_packet)

    def _sock_recv(self, bufsize: int) -> bytes:
        if self.inflow is None:
            return super()._sock_recv(bufsize)
        return self.inflow.take(bufsize)
