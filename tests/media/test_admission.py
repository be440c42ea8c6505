"""Of one connection: who is heard, how much of it, what of it is received, and at whom it knocks."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.admission import (
    JUMP_AHEAD,
    JUMP_BURST,
    MAX_FAR_HOSTS,
    MAX_NEAR_HOSTS,
    MAX_PORTS,
    MAX_SOURCES,
    MAX_UNDECODED,
    MEDIA_BURST,
    MEDIA_RATE_PER_S,
    Admission,
    Gate,
    source_of,
)

ALICE = ("192.0.2.7", 50_000)
HELLO = b"\x16\xfe\xfd" + bytes(20)


def rtp(ssrc: int = 1, number: int = 0) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, number, 0, ssrc) + b"sound"


def rtcp(ssrc: int) -> bytes:
    return struct.pack("!BBHI", 0x80, 200, 6, ssrc) + bytes(20)


def open_gate() -> Gate:
    gate = Gate()
    gate.validated(ALICE)
    return gate


def test_who_has_not_shown_that_he_knows_the_password_is_not_heard() -> None:
    gate = Gate()
    assert not gate.hears(ALICE, HELLO, 0.0)
    gate.validated(ALICE)
    assert gate.hears(ALICE, HELLO, 0.0)
    assert not gate.hears((ALICE[0], 50_001), HELLO, 0.0)
    assert not gate.hears(("192.0.2.8", ALICE[1]), rtp(), 0.0)
    assert gate.counts == {"from elsewhere": 3}


def test_a_call_fits_in_and_a_flood_does_not() -> None:
    gate = open_gate()
    for second in range(60):
        assert all(gate.hears(ALICE, rtp(), second + at / 800) for at in range(800))
    passed = sum(gate.hears(ALICE, rtp(), 60 + at / 50_000) for at in range(100_000))
    assert passed <= MEDIA_BURST + 2 * MEDIA_RATE_PER_S
    assert gate.hears(ALICE, HELLO, 62.0), "a handshake has a share of its own"
    assert sum(gate.hears(ALICE, HELLO, 62.0) for _ in range(1000)) < 201
    assert gate.hears(ALICE, rtp(), 62.5)


def test_so_many_sources_verify_and_no_more_are_heard() -> None:
    gate = open_gate()
    for ssrc in range(5000):
        packet = rtp(ssrc) if ssrc % 2 else rtcp(ssrc)
        assert source_of(packet) == ssrc
        if gate.hears(ALICE, packet, 10.0 * ssrc):
            gate.verified(packet)
    assert len(gate._sources) == MAX_SOURCES
    assert gate.hears(ALICE, rtp(3), 1e6)
    assert not gate.hears(ALICE, rtp(4000), 1e6)
    gate = open_gate()
    for ssrc in range(5000):  # which do not verify: who forges them takes nobody's place
        assert gate.hears(ALICE, rtp(ssrc), 10.0 * ssrc)
    assert gate.unverified == 5000


def test_what_is_cut_off_is_of_some_source() -> None:
    gate = open_gate()
    assert all(gate.hears(ALICE, rtp()[:length], 0.0) for length in range(1, 17))


def test_at_so_many_hosts_and_ports_is_knocked() -> None:
    gate = Gate()
    far = [f"8.8.{host}.1" for host in range(60)]
    assert sum(gate.may_knock((host, 5000)) for host in far) == MAX_FAR_HOSTS
    near = [f"192.168.1.{host}" for host in range(1, 60)] + ["fe80::1", "fd00::7"]
    assert sum(gate.may_knock((host, 5000)) for host in near) == MAX_NEAR_HOSTS
    assert sum(gate.may_knock((near[0], 5000 + at)) for at in range(60)) == MAX_PORTS
    assert gate.may_knock((near[0], 5003)), "what was let through stays so"
    assert not gate.may_knock((near[0], 5050))


def test_packets_in_order_are_received_with_losses_and_late_ones() -> None:
    admission = Admission()
    numbers = [at % 0x10000 for at in range(65_000, 70_000) if at % 7]
    numbers[200:203] = reversed(numbers[200:203])
    assert all(admission.admits(1, number, 0, at / 500) for at, number in enumerate(numbers))


def test_jumps_are_few_and_a_stream_that_jumped_goes_on() -> None:
    admission = Admission()
    assert admission.admits(1, 0, 0, 0.0)
    jumps = [at * 1000 % 0x10000 for at in range(1, 60)]
    assert sum(admission.admits(1, number, 0, 0.0) for number in jumps) == JUMP_BURST
    assert admission.admits(1, 40_000, 0, 10.0)
    assert all(admission.admits(1, 40_000 + at, 0, 10.0) for at in range(500))
    assert admission.admits(1, 40_499 + JUMP_AHEAD, 0, 10.0)
    assert admission.counts == {"jumped": len(jumps) - JUMP_BURST}


def test_pictures_that_nobody_can_decode_in_time_are_not_kept() -> None:
    admission = Admission()
    assert admission.admits(1, 1, MAX_UNDECODED, 0.0)
    assert not admission.admits(1, 2, MAX_UNDECODED + 1, 0.0)
    assert admission.admits(1, 2, 0, 0.0)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 0xFFFF)), max_size=200))
def test_whatever_comes_what_is_remembered_has_an_end(packets: list[tuple[int, int]]) -> None:
    admission = Admission()
    received = [admission.admits(ssrc, number, 0, 0.0) for ssrc, number in packets]
    assert len(admission._sources) <= MAX_SOURCES
    assert received.count(False) == admission.counts.total()
