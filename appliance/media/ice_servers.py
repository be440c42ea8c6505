"""The STUN and TURN servers of the configuration, and what this device says to be let in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiortc.rtcicetransport import parse_stun_turn_uri

from appliance.config import IceServer
from appliance.relaying import GOOD_FOR_S, secret_of, time_limited

__all__ = ["GOOD_FOR_S", "Server", "read", "time_limited"]


@dataclass(frozen=True, slots=True)
class Server:
    """One server that one address tells of. `transport` is udp or tcp."""

    host: str
    port: int
    relays: bool = False
    transport: str = "udp"
    tls: bool = False
    username: str | None = None
    credential: str | None = None
    secret: bytes | None = None
    uid: str = ""

    def login(self, wall_s: float) -> tuple[str | None, str | None]:
        """User name and password, at this time of day."""
        if self.secret is None:
            return self.username, self.credential
        return time_limited(self.secret, self.uid, int(wall_s) + GOOD_FOR_S)

    def __str__(self) -> str:
        kind = "turn" if self.relays else "stun"
        return f"{kind}{'s' if self.tls else ''}:{self.host}:{self.port}"


def read(configured: Sequence[IceServer], uid: str) -> tuple[Server, ...]:
    """The servers with their credentials, for the device `uid`.

    Raises OSError for a file that cannot be read, ValueError for an address that is none.
    """
    return tuple(
        _server(parse_stun_turn_uri(url), one, uid) for one in configured for url in one.urls
    )


def _server(parsed: dict[str, Any], configured: IceServer, uid: str) -> Server:
    scheme, transport = parsed["scheme"], parsed.get("transport", "udp")
    relays, tls = scheme in ("turn", "turns"), scheme in ("stuns", "turns")
    where = f"{scheme}:{parsed['host']}"
    if tls and not relays:
        raise ValueError(f"{where}: STUN is asked over UDP alone here, which has no TLS")
    if relays and transport not in (("tcp",) if tls else ("udp", "tcp")):
        raise ValueError(f"{where}: the transport {transport} is none of TURN's")
    if not relays:
        return Server(parsed["host"], parsed["port"])
    secret = _read(configured.secret_file)
    return Server(
        parsed["host"],
        parsed["port"],
        relays=True,
        transport=transport,
        tls=tls,
        username=configured.username,
        credential=_read(configured.credential_file),
        secret=None if secret is None else secret.encode(),
        uid=uid,
    )


def _read(file: str | None) -> str | None:
    return None if file is None else secret_of(file)
