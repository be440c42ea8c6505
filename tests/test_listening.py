"""Where an appliance can be reached: where nothing else is configured, from this machine alone."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path

from appliance.signaling.broker import EmbeddedBroker
from tests.parts.house import config_for, house

LISTEN = "0A"
"""TCP_LISTEN, as /proc/net/tcp has it."""


def own_sockets() -> set[str]:
    """The inodes of this process's sockets."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            name = link.readlink().name
        except FileNotFoundError:  # the descriptor by which the folder is read
            continue
        if name.startswith("socket:["):
            found.add(name[8:-1])
    return found


def address(text: str) -> str:
    """An address as /proc/net has it: words of 32 bits in the order of this machine."""
    raw = bytes.fromhex(text)
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return str(ipaddress.ip_address(b"".join(words)))


def reachable() -> dict[str, str]:
    """Where this process can be reached over IP: `protocol address:port`, by the inode of the socket."""
    mine, found = own_sockets(), {}
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        table = Path("/proc/net") / protocol
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            _, local, remote, state, *_, inode = line.split()[:10]
            host, _, port = local.partition(":")
            listens = state == LISTEN if "tcp" in protocol else remote.endswith(":0000")
            if listens and inode in mine:
                found[inode] = f"{protocol} {address(host)} {int(port, 16)}"
    return found


async def test_an_idle_appliance_is_reached_from_this_machine_alone(tmp_path: Path) -> None:
    """But for the local socket it has the page's port, on loopback; nothing waits for UDP before a call."""
    async with EmbeddedBroker() as broker:
        before = reachable()
        config = config_for(broker.port)
        async with house(config, tmp_path) as one:
            await one.until_true(lambda: one.appliance.page is not None)
            opened = [where for inode, where in reachable().items() if inode not in before]
        assert len(opened) == 1, opened
        [(protocol, host, _)] = [where.split() for where in opened]
        assert protocol == "tcp"
        assert ipaddress.ip_address(host).is_loopback
