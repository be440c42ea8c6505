"""Which candidates are let through, and by which rule the others are not."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.firewall.blocked import Blocked
from appliance.firewall.candidates import MAX_CHARACTERS, check_candidate
from tests.parts.sdp import CANDIDATE

LINE = "candidate:1 1 udp 2122260223 {} 54321 typ host"


def verdict(line: str) -> str:
    """`taken`, or the code of why not."""
    try:
        check_candidate(line, "it")
    except Blocked as fault:
        return fault.code
    return "taken"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", "taken"),
        ("10.0.0.1", "taken"),
        ("169.254.7.7", "taken"),
        ("2001:db8::7", "taken"),
        ("fd00::2", "taken"),
        ("fe80::1%eth0", "taken"),
        ("3e1b8f0c-55a7-4a5e-8c7b-6a1b2c3d4e5f.local", "taken"),
        ("X.LOCAL", "taken"),
        ("example.com", "host_name"),
        ("localhost", "host_name"),
        ("local", "host_name"),
        (".local", "host_name"),
        ("a.b.local", "host_name"),
        ("a.local.example", "host_name"),
        ("192.0.2.999", "host_name"),
        ("0x7f.1", "host_name"),
        ("2130706433", "host_name"),
        ("127.0.0.1", "forbidden_address"),
        ("127.8.9.10", "forbidden_address"),
        ("::1", "forbidden_address"),
        ("::ffff:127.0.0.1", "forbidden_address"),
        ("::ffff:192.0.2.7", "taken"),
        (str(IPv4Address(0)), "forbidden_address"),
        ("0.1.2.3", "forbidden_address"),
        ("::", "forbidden_address"),
        ("224.0.0.251", "forbidden_address"),
        ("239.1.2.3", "forbidden_address"),
        ("ff02::fb", "forbidden_address"),
        ("255.255.255.255", "forbidden_address"),
        ("::ffff:255.255.255.255", "forbidden_address"),
        ("240.0.0.1", "forbidden_address"),
        ("4000::1", "forbidden_address"),
    ],
)
def test_the_hosts_of_candidates(host: str, expected: str) -> None:
    assert verdict(LINE.format(host)) == expected
    assert verdict("a=" + LINE.format(host) + "\r\n") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (CANDIDATE + " generation 0 ufrag Oxwa network-id 1 network-cost 999", "taken"),
        ("candidate:1 1 UDP 1 192.0.2.1 1024 typ srflx raddr 0.0.0.0 rport 0", "taken"),
        ("candidate:1 2 udp 1 192.0.2.1 65535 typ relay raddr 10.0.0.1 rport 9", "taken"),
        ("candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active", "taken"),
        ("hello", "malformed"),
        (" ", "malformed"),
        ("", "malformed"),
        ("candidate:1 1 udp 5", "malformed"),
        (CANDIDATE.replace(":1 1 udp", ":1 3 udp"), "malformed"),
        (CANDIDATE.replace(":1 1 udp", ":1 -1 udp"), "malformed"),
        (CANDIDATE.replace(":1 1 udp", ":" + "a" * 33 + " 1 udp"), "malformed"),
        (CANDIDATE.replace("udp", "sct"), "malformed"),
        (CANDIDATE.replace("2122260223", "4294967296"), "malformed"),
        (CANDIDATE.replace("2122260223", "٣"), "malformed"),
        (CANDIDATE.replace("typ host", "typ guess"), "malformed"),
        (CANDIDATE.replace("typ host", "host"), "malformed"),
        (CANDIDATE + " raddr", "malformed"),
        (CANDIDATE + " rport x", "malformed"),
        (CANDIDATE + " tcptype x", "malformed"),
        (CANDIDATE + "\na=candidate", "malformed"),
        (CANDIDATE.replace(" 54321", "  54321"), "malformed"),
        (CANDIDATE.replace("54321", "65536"), "forbidden_address"),
        (CANDIDATE.replace("54321", "53"), "forbidden_address"),
        (CANDIDATE.replace("54321", "0"), "forbidden_address"),
        (CANDIDATE + " x y" * MAX_CHARACTERS, "oversized"),
    ],
)
def test_the_form_of_candidates(line: str, expected: str) -> None:
    assert verdict(line) == expected


def test_what_a_name_leads_to_is_looked_at_as_well() -> None:
    named = check_candidate(LINE.format("3e1b8f0c.local"), "it")
    assert named.is_named
    assert named.at("192.0.2.7").attribute == LINE.format("192.0.2.7").removeprefix("candidate:")
    assert not named.at("192.0.2.7").is_named
    for address in ("127.0.0.1", "224.0.0.1", "example.com"):
        with pytest.raises(Blocked, match="what its name leads to"):
            named.at(address)


words = st.one_of(
    st.sampled_from([*CANDIDATE.split(), "raddr", "rport", "٣", "-1", "::", "1e9", "\x00", "\x85"]),
    st.text(max_size=20),
)


@given(st.lists(words, max_size=14).map(" ".join))
def test_whatever_comes_it_is_taken_whole_or_blocked(line: str) -> None:
    try:
        taken = check_candidate(line, "it")
    except Blocked:
        return
    assert taken.attribute.isprintable()
    assert taken.transport == "tcp" or 1024 <= taken.port <= 65535
    assert len(taken.attribute.split()) >= 8
