"""That this machine's addresses or ways have changed, told by the kernel at once (rtnetlink(7)).

A connection from an address that is gone is dead, though nothing says so: its packets are lost on the way
out, and are sent again until somebody's patience is over. Where there is no netlink, that is how it stays.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

logger = logging.getLogger(__name__)

SETTLE_S = 0.02
"""A change is several messages: an old address that goes, a new one, a way out by it."""
READ_BYTES = 65_536

_IPV4_ADDRESSES, _IPV4_WAYS, _IPV6_ADDRESSES, _IPV6_WAYS = 0x10, 0x40, 0x100, 0x400
_GROUPS = _IPV4_ADDRESSES | _IPV4_WAYS | _IPV6_ADDRESSES | _IPV6_WAYS
_NEW_ADDRESS, _ADDRESS_GONE, _NEW_WAY, _WAY_GONE = 20, 21, 24, 25
_MESSAGE = struct.Struct("=IHHII")
"""Length with this head, type, flags, number, sender."""
_ADDRESS = struct.Struct("=BBBBI")
"""Family, prefix, flags, scope, interface."""
_ATTRIBUTE = struct.Struct("=HH")
"""Length with this head, type."""
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_BYTES = {socket.AF_INET: 4, socket.AF_INET6: 16}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that the kernel tells; `address` is None where it is about a way."""

    address: str | None
    gone: bool


def changes(data: bytes) -> Iterator[Change]:
    """What one datagram tells; what is cut off, or about something else, is passed over."""
    while len(data) >= _MESSAGE.size:
        length, kind, *_ = _MESSAGE.unpack_from(data)
        if not _MESSAGE.size <= length <= len(data):
            return
        if kind in (_NEW_WAY, _WAY_GONE):
            yield Change(None, kind == _WAY_GONE)
        elif kind in (_NEW_ADDRESS, _ADDRESS_GONE):
            address = _address(data[_MESSAGE.size : length])
            if address is not None:
                yield Change(address, kind == _ADDRESS_GONE)
        data = data[_aligned(length) :]


def _address(body: bytes) -> str | None:
    """The own one, which at the end of a line between two is another than that of the line."""
    if len(body) < _ADDRESS.size:
        return None
    family, *_ = _ADDRESS.unpack_from(body)
    found: dict[int, bytes] = {}
    rest = body[_ADDRESS.size :]
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        if not _ATTRIBUTE.size <= length <= len(rest):
            break
        found[kind] = rest[_ATTRIBUTE.size : length]
        rest = rest[_aligned(length) :]
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if packed is None or len(packed) != _BYTES.get(family):
        return None
    return socket.inet_ntop(family, packed)


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def listening() -> socket.socket:
    """A socket at which the kernel tells. Raises OSError where there is none."""
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError("this system has no netlink")
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC)
    try:
        opened.bind((0, _GROUPS))
        opened.settimeout(0)
    except OSError:
        opened.close()
        raise
    return opened


async def watch(
    moved: Callable[[frozenset[str]], None], listen: Callable[[], socket.socket] = listening
) -> None:
    """Call `moved` with the addresses that are gone whenever something has changed, until cancelled."""
    try:
        opened = listen()
    except OSError as fault:
        logger.info("that addresses change is noticed by silence alone: %s", fault)
        return
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    gone: set[str] = set()

    def read() -> None:
        try:
            data = opened.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as fault:  # ENOBUFS: so much has changed that not all of it was told
            logger.debug("what changed is not known: %s", fault)
            came.set()
            return
        for change in changes(data):
            if change.address is not None:
                (gone.add if change.gone else gone.discard)(change.address)
            came.set()

    with opened:
        loop.add_reader(opened, read)
        try:
            while True:
                await came.wait()
                await asyncio.sleep(SETTLE_S)
                came.clear()
                told = frozenset(gone)
                gone.clear()
                moved(told)
        finally:
            loop.remove_reader(opened)
