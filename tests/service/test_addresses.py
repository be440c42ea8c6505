"""What the kernel tells of addresses: its messages taken apart, and a real network in which they change."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.service.addresses import Change, changes, listening, watch
from tests.parts.netlab import netlab

NEW_ADDRESS, ADDRESS_GONE, NEW_WAY, WAY_GONE, NEW_LINK = 20, 21, 24, 25, 16
PATIENCE_S = 30.0
WATCH = """
import asyncio
from appliance.service.addresses import watch
async def main():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch(lambda gone: print(*sorted(gone), "told", flush=True)))
        await asyncio.sleep(0.1)
        print("ready", flush=True)
asyncio.run(main())
"""


def attribute(kind: int, body: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body + bytes(-len(body) % 4)


def address(kind: int, text: str, *, peer: str | None = None) -> bytes:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    head = struct.pack("=BBBBI", family, 24, 0, 0, 2)
    own = attribute(2, socket.inet_pton(family, text)) if peer else b""
    label = attribute(3, b"wlan0\0")
    return message(kind, head + attribute(1, socket.inet_pton(family, peer or text)) + label + own)


def test_each_message_of_a_datagram_is_understood() -> None:
    told = list(
        changes(
            address(ADDRESS_GONE, "192.0.2.7")
            + message(NEW_LINK, b"something else")
            + address(NEW_ADDRESS, "2001:db8::1")
            + message(WAY_GONE)
            + message(NEW_WAY, bytes(12))
        )
    )
    assert told == [
        Change("192.0.2.7", True),
        Change("2001:db8::1", False),
        Change(None, True),
        Change(None, False),
    ]


def test_at_the_end_of_a_line_between_two_the_own_address_counts() -> None:
    assert list(changes(address(NEW_ADDRESS, "192.0.2.7", peer="192.0.2.1"))) == [
        Change("192.0.2.7", False)
    ]


@given(st.binary(max_size=200), st.integers(0, 120))
def test_what_is_cut_off_or_nonsense_is_passed_over(noise: bytes, length: int) -> None:
    whole = address(ADDRESS_GONE, "192.0.2.7") + address(NEW_ADDRESS, "192.0.2.8")
    for data in (noise, whole[:length] + noise, whole[:length]):
        for change in changes(data):
            assert change.address is None or socket.inet_pton(
                socket.AF_INET6 if ":" in change.address else socket.AF_INET, change.address
            )


async def test_an_address_that_is_taken_and_given_again_at_once_is_not_gone() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    told: list[frozenset[str]] = []
    heard = asyncio.Event()

    def moved(gone: frozenset[str]) -> None:
        told.append(gone)
        heard.set()

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(moved, lambda: ours))
        theirs.send(address(ADDRESS_GONE, "192.0.2.7") + address(ADDRESS_GONE, "192.0.2.8"))
        theirs.send(address(NEW_ADDRESS, "192.0.2.8"))
        async with asyncio.timeout(PATIENCE_S):
            await heard.wait()
        watching.cancel()
    theirs.close()
    assert told[0] == {"192.0.2.7"}


async def test_without_netlink_nobody_is_told_and_nothing_fails() -> None:
    def refuses() -> socket.socket:
        raise OSError("no")

    await watch(lambda gone: pytest.fail("nobody can tell"), refuses)
    listening().close()


def test_in_a_real_network_another_address_is_told(tmp_path: Path) -> None:
    with netlab("door") as lab:
        door = lab["door"]
        process = door.start(
            [sys.executable, "-c", WATCH],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        before = door.address
        door.readdress()
        words: list[str] = []
        while before not in words:
            words += process.stdout.readline().decode().split()
        process.stdout.close()
