"""By the rules that are shipped for nftables one address has so many connections at the broker: a
flood from it keeps nobody else out, as it does at mosquitto 2.0.11 alone. In networks of the test's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.broker.house import House
from tests.parts import need
from tests.parts.brokerhouse import CERTIFICATES, PAGES, PATIENCE_S, TLS, Endpoint

ROOT = Path(__file__).parents[2]
RULES = ROOT / "config" / "mosquitto" / "connections.nft"
BROKER, FLOOD, GUEST = "192.0.2.1", "192.0.2.2", "192.0.2.3"
BROKER_6, FLOOD_6, BESIDE_6 = "2001:db8::1", "2001:db8:1::2", "2001:db8:1::3"
GUEST_6 = "2001:db8:2::2"
LIMIT = 32
DESCRIPTORS = 64
"""Fewer than any service has, and fewer than the flood would take."""
CLONE_NEWNET = 0x40000000

pytestmark = pytest.mark.broker


class Networks:
    """Two machines at a wire, the broker's and everybody else's, in namespaces."""

    def __init__(self, ip: Path, name: str) -> None:
        self._ip = ip
        self.of_broker, self.of_others = f"{name}-broker", f"{name}-others"

    def inside(self, *words: str | Path) -> list[str]:
        """A command on the broker's machine."""
        return [str(self._ip), "netns", "exec", self.of_broker, *map(str, words)]

    def make(self) -> None:
        """Raises CalledProcessError where the machine does not let one."""
        for one in (self.of_broker, self.of_others):
            self.run("netns", "add", one)
            self.run("-n", one, "link", "set", "lo", "up")
        pair = ("type", "veth", "peer", "name", "wire", "netns", self.of_others)
        self.run("-n", self.of_broker, "link", "add", "wire", *pair)
        for place, address in (
            *((self.of_broker, one) for one in (f"{BROKER}/24", f"{BROKER_6}/32")),
            *((self.of_others, f"{one}/24") for one in (FLOOD, GUEST)),
            *((self.of_others, f"{one}/32") for one in (FLOOD_6, BESIDE_6, GUEST_6)),
        ):
            nodad = ("nodad",) if ":" in address else ()
            self.run("-n", place, "addr", "add", address, "dev", "wire", *nodad)
        for one in (self.of_broker, self.of_others):
            self.run("-n", one, "link", "set", "wire", "up")

    def end(self) -> None:
        for one in (self.of_broker, self.of_others):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.run("netns", "delete", one)

    def run(self, *words: str) -> None:
        subprocess.run([self._ip, *words], check=True, capture_output=True)


@contextmanager
def networks() -> Iterator[Networks]:
    made = Networks(need.program("ip", "iproute2"), f"broker-{os.getpid()}")
    nft = need.program("nft", "nftables")
    try:
        try:
            made.make()
            subprocess.run(made.inside(nft, "-f", RULES), check=True, capture_output=True)
            # once more: as at each start of the broker
            subprocess.run(made.inside(nft, "-f", RULES), check=True, capture_output=True)
        except subprocess.CalledProcessError as refusal:
            pytest.skip(f"no networks or no ct count here: {refusal.stderr.decode().strip()}")
        yield made
    finally:
        made.end()


def elsewhere(namespace: str) -> ThreadPoolExecutor:
    """A thread on another machine, so to speak: what it opens is there."""

    def go() -> None:
        descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            assert ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) == 0
        finally:
            os.close(descriptor)

    return ThreadPoolExecutor(1, initializer=go)


@contextmanager
def broker(at: Networks, folder: Path) -> Iterator[tuple[House, subprocess.Popen[bytes]]]:
    """As `appliance broker new` lays it out, at the ports that the rules are about."""
    house = House(folder / "broker")
    house.new([BROKER, BROKER_6], device="front-door")
    (folder / "password").write_text(house.make("alice"))
    file = folder / "mosquitto.conf"
    text = (house.folder / "appliance.conf").read_text()
    head = f"user root\nlog_dest file {folder}/log\n"
    file.write_text(head + text)
    words = at.inside(need.program("mosquitto"), "-c", file)
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        try:
            yield house, process
        finally:
            process.kill()


def opened(address: str, source: str, times: int) -> list[socket.socket]:
    """So many connections from an address, at each listener in turn; those that were not refused."""
    ports = itertools.cycle((TLS, PAGES, CERTIFICATES))
    got: list[socket.socket] = []
    for port in itertools.islice(ports, times):
        one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        one.settimeout(PATIENCE_S)
        try:
            one.bind((source, 0))
            one.connect((address, port))
        except ConnectionRefusedError:
            one.close()
        else:
            got.append(one)
    return got


def close(connections: list[socket.socket]) -> None:
    for one in connections:
        one.close()


def until_it_listens(here: ThreadPoolExecutor) -> None:
    """The broker does not say when."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := here.submit(opened, "127.0.0.1", "127.0.0.1", 3).result())[2:]:
        close(found)
        assert time.monotonic() < deadline
        time.sleep(0.02)
    close(found)


def test_a_flood_from_one_address_is_refused_and_who_comes_from_another_gets_in(
    tmp_path: Path,
) -> None:
    with (
        networks() as at,
        broker(at, tmp_path) as (house, process),
        elsewhere(at.of_others) as others,
        elsewhere(at.of_broker) as here,
        contextlib.ExitStack() as opened_ones,
    ):
        until_it_listens(here)
        own = here.submit(opened, "127.0.0.1", "127.0.0.1", LIMIT + 8).result()
        close(own)
        assert len(own) == LIMIT + 8, "this machine itself is not counted"
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        password = (tmp_path / "password").read_text()

        def alice_is_in(address: str, source: str) -> bool:
            ca = house.folder / "ca.crt"
            with others.submit(
                lambda: Endpoint(TLS, "alice", password, ca=ca, host=address, source=source)
            ).result() as alice:
                return alice.is_in

        flood = others.submit(opened, BROKER, FLOOD, 2 * LIMIT).result()
        opened_ones.callback(close, flood)
        assert len(flood) == LIMIT
        assert not others.submit(opened, BROKER, FLOOD, 1).result()
        assert alice_is_in(BROKER, GUEST)
        close(flood)
        deadline = time.monotonic() + PATIENCE_S
        while not alice_is_in(BROKER, FLOOD):  # it is over when they are gone
            assert time.monotonic() < deadline
            time.sleep(0.05)

        # of IPv6 whoever has one address has 2^64 of them
        flood = others.submit(opened, BROKER_6, FLOOD_6, LIMIT - 8).result()
        opened_ones.callback(close, flood)
        flood += others.submit(opened, BROKER_6, BESIDE_6, LIMIT).result()
        assert len(flood) == LIMIT
        assert alice_is_in(BROKER_6, GUEST_6)


def test_the_rules_are_about_the_listeners_that_are_reached_from_elsewhere() -> None:
    text = (RULES.parent / "appliance.conf").read_text()
    elsewhere = re.findall(r"(?m)^listener (\d+)$", text)
    for ports in re.findall(r"tcp dport \{ ([\d, ]+) \}", RULES.read_text()):
        assert ports.split(", ") == elsewhere
    assert {*map(int, elsewhere)} == {TLS, PAGES, CERTIFICATES}
    assert {*re.findall(r"ct count over (\d+)", RULES.read_text())} == {str(LIMIT)}
