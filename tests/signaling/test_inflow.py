"""Packets are told apart however they come, and only what needs no acknowledgement is left out."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client

from appliance.signaling.inflow import MAX_PACKET_BYTES, MAX_PASSED_BYTES, BufferedClient, Inflow

PING = b"\xd0\x00"


def published(
    topic: bytes, payload: bytes, *, flags: int = 0, properties: bytes | None = None
) -> bytes:
    """A PUBLISH packet (MQTT 5.0, section 3.3); without `properties` one of 3.1.1."""
    mid = b"\x00\x01" if flags & 6 else b""
    middle = b"" if properties is None else length(len(properties)) + properties
    rest = len(topic).to_bytes(2, "big") + topic + mid + middle + payload
    return bytes([0x30 | flags]) + length(len(rest)) + rest


def length(number: int) -> bytes:
    written = b""
    while number >= 0x80:
        written += bytes([number & 0x7F | 0x80])
        number >>= 7
    return written + bytes([number])


def all_of(inflow: Inflow) -> bytes:
    found = b""
    while inflow.waits():
        found += inflow.take(3)
    return found


def inflow(
    lets: Callable[[str, bytes, float], bool] = lambda *_: False, *, v5: bool = False
) -> Inflow:
    return Inflow(lets, has_properties=v5, clock=lambda: 7.0)


@pytest.mark.parametrize("properties", [None, b"", b"\x02\x00\x00\x00\x1e", b"x" * 200])
def test_it_asks_of_topic_payload_and_time(properties: bytes | None) -> None:
    asked = []

    def lets(topic: str, payload: bytes, now_s: float) -> bool:
        asked.append((topic, payload, now_s))
        return topic == "good"

    one = inflow(lets, v5=properties is not None)
    good = published(b"good", b"1", properties=properties)
    one.sort(published(b"bad", b"22", properties=properties) + good + PING)
    assert asked == [("bad", b"22", 7.0), ("good", b"1", 7.0)]
    assert all_of(one) == good + PING


def test_what_has_to_be_acknowledged_is_not_left_out_nor_what_cannot_be_read() -> None:
    kept = [
        published(b"t", b"", flags=2),
        published(b"t", b"", flags=10),  # said again
        published(b"\xff", b""),
        b"\x30\x02\x00\x09",  # a topic that ends behind the packet
        b"\x30\x00",
        PING,
    ]
    one = inflow()
    one.sort(b"".join(kept))
    assert all_of(one) == b"".join(kept)
    one = inflow(v5=True)
    broken = b"\x30\x05\x00\x01t\xff\xff"  # properties that end behind it
    one.sort(broken)
    assert all_of(one) == broken


def test_what_is_larger_than_agreed_goes_through_and_is_not_kept() -> None:
    huge = published(b"t", bytes(3 * MAX_PACKET_BYTES))
    one = inflow()
    got = b""
    for at in range(0, len(huge), 5000):
        one.sort(huge[at : at + 5000])
        got += all_of(one)
        assert len(one._unsorted) + len(one._ready) < 10
    one.sort(published(b"t", b"") + PING)
    assert got + all_of(one) == huge + PING


@pytest.mark.parametrize("flags", [0, 2])
@pytest.mark.parametrize("piece", [1000, 10**9])
def test_what_is_far_larger_is_left_out_and_counted(flags: int, piece: int) -> None:
    """paho would keep all of it, up to 256 MB."""
    huge = published(b"t", bytes(MAX_PASSED_BYTES + 1), flags=flags)
    one, stream = inflow(), PING + huge + PING + huge + PING
    for at in range(0, len(stream), piece):
        one.sort(stream[at : at + piece])
        assert len(one._unsorted) + len(one._ready) < 3 * MAX_PACKET_BYTES
    assert all_of(one) == 3 * PING
    assert one.oversized == 2


@pytest.mark.parametrize("flags", [4, 5, 12])
def test_what_nobody_asked_for_is_left_out(flags: int) -> None:
    """Of QoS 2 paho keeps each until the broker releases it, which a broker need never do."""
    one = inflow(lambda *_: True)
    one.sort(published(b"t", b"x", flags=flags) * 1000 + PING)
    assert all_of(one) == PING
    assert one.left_out == 1000


def test_a_length_that_has_no_end_is_for_paho_to_refuse() -> None:
    one = inflow()
    one.sort(b"\x30\xff\xff\xff\xff\xff")
    assert all_of(one) == b"\x30\xff\xff\xff\xff\xff"


packets = st.one_of(
    st.builds(published, st.sampled_from([b"in", b"out"]), st.binary(max_size=300)),
    st.builds(published, st.sampled_from([b"in", b"out"]), st.binary(max_size=9), flags=st.just(2)),
    st.just(PING),
)


@given(st.lists(packets, max_size=12), st.lists(st.integers(1, 400), max_size=12))
def test_in_whatever_pieces_it_comes_the_rest_is_as_it_was(
    sent: list[bytes], pieces: list[int]
) -> None:
    one, stream = inflow(lambda topic, *_: topic == "in"), b"".join(sent)
    got = b""
    for size in [*pieces, len(stream)]:
        one.sort(stream[:size])
        stream = stream[size:]
        got += all_of(one)
    left_out = [packet for packet in sent if packet[0] == 0x30 and b"\x00\x03out" in packet[:8]]
    assert got == b"".join(packet for packet in sent if packet not in left_out)


def test_it_reads_a_socket_to_its_end() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(0)
        one = inflow()
        one.fill(near)
        assert not one.waits()
        with pytest.raises(BlockingIOError):
            one.take(1)
        far.sendall(PING)
        far.close()
        one.fill(near)
        assert one.take(1) + one.take(9) == PING
        one.fill(near)
        assert one.waits()
        assert one.take(1) == b""


def test_paho_still_reads_by_what_is_overridden() -> None:
    assert "_sock_recv" in Client._packet_read.__code__.co_names
    assert BufferedClient._sock_recv is not Client._sock_recv
