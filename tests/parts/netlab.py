"""A network of the test's own: places (network namespaces) around a router that loses what it is told to.

Everything goes through the router, and what is to be lost is lost there: no sender is told of it, as on a
real network. Wants root; the test is skipped where the machine allows no namespaces or has no nftables.

    with netlab("door", "phone") as lab:
        process = lab["door"].start([python, "-m", "appliance", "run"])
        lab["door"].cut_off()
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.parts.aloof import keep_calls_off, let_calls_in
from tests.parts.need import program, skip_where_forbidden

_COUNT = itertools.count()
_PREFIX = "lab"

MOST_PLACES = 14
ADDRESSES = 12
"""How many each place may have, one after the other."""

_TABLE = """
table inet lab {
  chain ways { type filter hook forward priority 0; policy accept; }
}
"""
_TRIES_ALL = """
table inet trial {
  chain ways {
    type filter hook forward priority 0; policy accept;
    numgen random mod 10000 < 5 counter drop
    ip saddr 198.18.0.1 counter drop
    tcp dport 1 counter reject with tcp reset
  }
}
"""


class Place:
    """One namespace at the end of a wire of its own. `address` is what the others reach it by."""

    def __init__(self, lab: Netlab, name: str, number: int) -> None:
        self.name = name
        self._lab, self._number = lab, number
        self._changes = 0
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        """The present one."""
        return self._lab.address_of(16 * self._number + 2 + self._changes % ADDRESSES)

    # -------------------- programs

    def command(self, *words: str | Path) -> list[str]:
        """The command line that runs `words` here."""
        return [str(self._lab.ip), "netns", "exec", self._lab.names(self.name), *map(str, words)]

    def within(self, executable: Path, folder: Path) -> Path:
        """A program that is `executable`, here; its file is made in `folder`."""
        path = folder / f"{executable.name}-in-{self.name}"
        path.write_text(f'#!/bin/sh\nexec {" ".join(self.command(executable))} "$@"\n')
        path.chmod(0o755)
        return path

    def start(self, words: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program here, which the end of the lab kills at the latest."""
        process = subprocess.Popen(self.command(*words), **options)
        self._started.append(process)
        return process

    def kill_all(self) -> None:
        """Kill every program here (kill -9), whoever started it."""
        told = subprocess.run(
            [self._lab.ip, "netns", "pids", self._lab.names(self.name)],
            capture_output=True,
            text=True,
            check=False,
        )
        for pid in map(int, told.stdout.split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._started:
            process.wait()
        self._started.clear()

    # -------------------- what becomes of its packets

    def cut_off(self) -> None:
        """Nothing gets here, or away from here, any more; nobody is told."""
        self._lab.rule(f"iifname {self._port} drop")
        self._lab.rule(f"oifname {self._port} drop")

    def cut(self, other: str, protocol: str | None = None) -> None:
        """Nothing (of udp or tcp, where that is said) gets through between here and an address."""
        which = "" if protocol is None else f"meta l4proto {protocol} "
        self._lab.rule(f"iifname {self._port} ip daddr {other} {which}drop")
        self._lab.rule(f"oifname {self._port} ip saddr {other} {which}drop")

    def block(self, port: int, protocol: str = "tcp") -> None:
        """Nothing gets through between here and that port of anybody, both ways."""
        self._lab.rule(f"iifname {self._port} {protocol} dport {port} drop")
        self._lab.rule(f"oifname {self._port} {protocol} sport {port} drop")

    def reset(self, port: int) -> None:
        """Whatever is sent from here to that TCP port is answered with a reset."""
        self._lab.rule(f"iifname {self._port} tcp dport {port} reject with tcp reset")

    def lose(self, percent: float) -> None:
        """So many of its packets are lost, at random, each way."""
        share = f"numgen random mod 10000 < {round(100 * percent)} drop"
        self._lab.rule(f"iifname {self._port} {share}")
        self._lab.rule(f"oifname {self._port} {share}")

    # -------------------- its wire

    def unplug(self) -> None:
        """Pull its cable: it sees that it has no network."""
        self._here("link", "set", "wire", "down")

    def plug(self) -> None:
        """Put the cable in again, with the address that it had."""
        self._here("link", "set", "wire", "up")
        self._route()

    def readdress(self) -> str:
        """Give it another address, as a router does that was replaced; the new one."""
        before = self.address
        self._changes += 1
        self._here("addr", "add", f"{self.address}/28", "dev", "wire")
        self._here("addr", "del", f"{before}/28", "dev", "wire")
        # the kernel takes what it calls secondary addresses away with the first one
        with contextlib.suppress(subprocess.CalledProcessError):
            self._here("addr", "add", f"{self.address}/28", "dev", "wire")
        self._route()
        return self.address

    @property
    def _port(self) -> str:
        return f"p{self._number}"

    def _here(self, *words: str) -> None:
        self._lab.run("-n", self._lab.names(self.name), *words)

    def _route(self) -> None:
        gateway = self._lab.address_of(16 * self._number + 1)
        self._here("route", "replace", "default", "via", gateway)

    def _make(self) -> None:
        lab, name = self._lab, self._lab.names(self.name)
        lab.run("netns", "add", name)
        pair = ("link", "add", self._port, "type", "veth", "peer", "name", "wire", "netns", name)
        lab.run("-n", lab.router, *pair)
        gateway = lab.address_of(16 * self._number + 1)
        lab.run("-n", lab.router, "addr", "add", f"{gateway}/28", "dev", self._port)
        lab.run("-n", lab.router, "link", "set", self._port, "up")
        self._here("link", "set", "lo", "up")
        self._here("addr", "add", f"{self.address}/28", "dev", "wire")
        self._here("link", "set", "wire", "up")
        self._route()


class Netlab:
    """The router, and what hangs at it. `host` is the address of the test's own process."""

    def __init__(self, ip: Path, nft: Path, number: int) -> None:
        self.ip, self.nft = ip, nft
        self.places: dict[str, Place] = {}
        self._number = number
        # RFC 2544: addresses for measuring between networks, which nobody else has
        self._net = f"198.{18 + number // 256 % 2}.{number % 256}"
        self.host = self.address_of(1)

    def __getitem__(self, name: str) -> Place:
        return self.places[name]

    def names(self, place: str) -> str:
        """The namespace of a place."""
        return f"{_PREFIX}-{os.getpid()}-{self._number}-{place}"

    @property
    def router(self) -> str:
        """The router's namespace."""
        return self.names("router")

    @property
    def _near(self) -> str:
        """The interface by which this machine has its address."""
        return f"near{self._number}"

    def address_of(self, last: int) -> str:
        """An address of this lab."""
        return f"{self._net}.{last}"

    def heal(self) -> None:
        """Everything gets through again, everywhere."""
        self._nft("flush chain inet lab ways")

    def rule(self, words: str) -> None:
        """One more rule at the router, in the words of nft(8)."""
        self._nft(f"add rule inet lab ways {words}")

    def run(self, *words: str) -> str:
        """One command of ip(8); what it prints."""
        done = subprocess.run([self.ip, *words], check=True, capture_output=True, text=True)
        return done.stdout

    def _nft(self, rules: str) -> None:
        words = [str(self.ip), "netns", "exec", self.router, str(self.nft), "-f", "-"]
        done = subprocess.run(words, input=rules, text=True, capture_output=True, check=False)
        if done.returncode:
            raise OSError(done.stderr.strip())

    def _try(self) -> None:
        """Make the router; raises OSError or CalledProcessError where the machine does not let one."""
        self.run("netns", "add", self.router)
        self._nft(_TRIES_ALL)
        forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        words = [str(self.ip), "netns", "exec", self.router, "sh", "-c", forward]
        subprocess.run(words, check=True, capture_output=True)

    def _make(self, names: Sequence[str]) -> None:
        self._nft(f"delete table inet trial\n{_TABLE}")
        near = self._near
        self.run(
            "link", "add", near, "type", "veth", "peer", "name", "uplink", "netns", self.router
        )
        keep_calls_off(self.nft, near, self.host)
        self.run("addr", "add", f"{self.host}/28", "dev", near)
        self.run("link", "set", near, "up")
        self.run("-n", self.router, "addr", "add", f"{self.address_of(2)}/28", "dev", "uplink")
        self.run("-n", self.router, "link", "set", "uplink", "up")
        self.run("route", "add", f"{self._net}.0/24", "via", self.address_of(2))
        for number, name in enumerate(names, 1):
            place = self.places[name] = Place(self, name, number)
            place._make()

    def _end(self) -> None:
        for place in self.places.values():
            place.kill_all()
        for name in [*map(self.names, self.places), self.router]:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.run("netns", "delete", name)
        with contextlib.suppress(subprocess.CalledProcessError):  # it was not made
            let_calls_in(self.nft, self._near)


@contextmanager
def netlab(*names: str) -> Iterator[Netlab]:
    """A lab with these places, for as long as the block lasts; what still runs in them is then killed."""
    assert len(names) <= MOST_PLACES
    ip, nft = program("ip", "iproute2"), program("nft", "nftables")
    sweep(ip, _PREFIX)
    lab = Netlab(ip, nft, _free_number())
    try:
        try:
            lab._try()
        except (OSError, subprocess.CalledProcessError) as refusal:
            why = getattr(refusal, "stderr", None) or refusal
            skip_where_forbidden("this machine makes no networks", why)
        lab._make(names)
        yield lab
    finally:
        lab._end()


def _free_number() -> int:
    """One that no other lab on this machine has, this process's or another's."""
    first = os.getpid() + 131 * next(_COUNT)
    numbers = [(first + step) % 512 for step in range(512)]
    return next(one for one in numbers if not Path(f"/sys/class/net/near{one}").exists())


def sweep(ip: Path, prefix: str) -> None:
    """Remove the networks that processes have left that were killed: `prefix-pid-` and more."""
    told = subprocess.run([ip, "netns", "list"], capture_output=True, text=True, check=False)
    for name in (line.split()[0] for line in told.stdout.splitlines() if line.strip()):
        parts = name.split("-")
        is_ours = parts[0] == prefix and len(parts) > 2 and parts[1].isdigit()
        if is_ours and not Path(f"/proc/{parts[1]}").exists():
            pids = subprocess.run(
                [ip, "netns", "pids", name], capture_output=True, text=True, check=False
            )
            for pid in map(int, pids.stdout.split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            subprocess.run([ip, "netns", "delete", name], capture_output=True, check=False)
