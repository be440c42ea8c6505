"""A network of its own for a program of the test, at the end of a cable that can be pulled."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts.aloof import keep_calls_off, let_calls_in
from tests.parts.need import program, skip_where_forbidden
from tests.parts.netlab import sweep

_COUNT = itertools.count()
_PREFIX = "end"


class Cable:
    """A pair of network interfaces: `host` is this machine's address at its near end.

    What runs within sees nothing else of the world. A pulled cable is a dead network: no packet
    gets through, and nobody is told that none does.
    """

    def __init__(self, ip: Path, name: str, host: str) -> None:
        self.host = host
        self._ip, self._name = ip, name

    def within(self, executable: Path, folder: Path) -> Path:
        """A program that is `executable` at the far end; its file is made in `folder`."""
        path = folder / f"{executable.name}-at-the-end-of-a-cable"
        path.write_text(f'#!/bin/sh\nexec {self._ip} netns exec {self._name} {executable} "$@"\n')
        path.chmod(0o755)
        return path

    def pull(self) -> None:
        """Cut the far end off."""
        self._at_the_end("link", "set", "wire", "down")

    def plug(self) -> None:
        """Connect it again; it has the address that it had."""
        self._at_the_end("link", "set", "wire", "up")

    def _at_the_end(self, *words: str) -> None:
        subprocess.run([self._ip, "-n", self._name, *words], check=True, capture_output=True)


@contextmanager
def cable() -> Iterator[Cable]:
    """A cable for as long as the block lasts; the test is skipped where the machine allows none."""
    ip, nft = program("ip", "iproute2"), program("nft", "nftables")
    sweep(ip, _PREFIX)
    count = next(_COUNT)
    name = f"{_PREFIX}-{os.getpid()}-{count}"
    # RFC 2544: addresses for measuring between networks, which nobody else has
    host, end = (f"198.18.{os.getpid() % 256}.{4 * count % 256 + last}" for last in (1, 2))

    def run(*words: str) -> None:
        subprocess.run([ip, *words], check=True, capture_output=True, text=True)

    try:
        run("netns", "add", name)
    except subprocess.CalledProcessError as refusal:
        skip_where_forbidden("no network can be made", refusal.stderr)
    near = f"near-{os.getpid()}-{count}"[-15:]
    try:
        run("link", "add", near, "type", "veth", "peer", "name", "wire", "netns", name)
        keep_calls_off(nft, near, host)
        run("addr", "add", f"{host}/30", "dev", near)
        run("link", "set", near, "up")
        run("-n", name, "addr", "add", f"{end}/30", "dev", "wire")
        run("-n", name, "link", "set", "lo", "up")
        run("-n", name, "link", "set", "wire", "up")
        yield Cable(ip, name, host)
    finally:
        run("netns", "delete", name)  # and with it both ends of the pair
        with contextlib.suppress(subprocess.CalledProcessError):  # it was not made
            let_calls_in(nft, near)
