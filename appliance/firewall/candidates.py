"""What may stand in an ICE candidate (RFC 8839, section 5.1), before anything is sent to its address.

Laws: no name but one of `.local` (RFC 6762) is let through, since others would be asked of the DNS; no
address that another device cannot have, since packets to it go to this device's own services, to everybody,
or to nobody; no port below 1024, where services are and media is not. Loopback is refused on a device
that is reached over loopback too: aiortc never has a candidate there, so that nothing is lost by it.
The broadcast address of a network cannot be told from a host's without its mask; the kernel refuses to
send there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Literal, cast

from appliance.firewall.blocked import Blocked

MAX_CANDIDATES = 32
"""Of one description; a browser with several networks sends about ten."""
MAX_LOCAL_NAMES = 8
"""Of one connection: names that this device asks its network for; a browser has one for each network and
section, of which those of one section count."""
MAX_CHARACTERS = 512
MIN_PORT = 1024
MAX_PRIORITY = 2**32 - 1

Kind = Literal["host", "srflx", "prflx", "relay"]

_NUMBER = "[0-9]{1,10}"
_FORM = re.compile(
    rf"(?P<foundation>[A-Za-z0-9+/]{{1,32}}) (?P<component>[12]) (?P<transport>[A-Za-z]{{3}}) "
    rf"(?P<priority>{_NUMBER}) (?P<host>[^ ]{{1,255}}) (?P<port>[0-9]{{1,5}}) "
    r"typ (?P<kind>host|srflx|prflx|relay)(?P<more>(?: [!-~]{1,64} [!-~]{1,256})*)"
)
_LOCAL = re.compile(r"[a-z0-9-]{1,63}\.local", re.IGNORECASE)
"""What Chromium and Safari have in the place of a host's address."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A candidate that was let through; `attribute` is as it came, without `candidate:` before it."""

    attribute: str
    transport: Literal["udp", "tcp"]
    host: str
    port: int
    kind: Kind

    @property
    def is_named(self) -> bool:
        """Its host is a name of `.local`."""
        return _LOCAL.fullmatch(self.host) is not None

    def at(self, address: str) -> Remote:
        """The same with the address that its name was found to have. Raises Blocked."""
        check_address(address, "what its name leads to")
        fields = self.attribute.split(" ")
        fields[4] = address
        return Remote(" ".join(fields), self.transport, address, self.port, self.kind)


def check_candidate(line: str, where: str) -> Remote:
    """Take a candidate apart, with or without `a=candidate:` before it. Raises Blocked."""
    attribute = line.removeprefix("a=").removeprefix("candidate:").rstrip("\r\n")
    if len(attribute) > MAX_CHARACTERS:
        raise Blocked("oversized", f"{where} has more than {MAX_CHARACTERS} characters")
    form = _FORM.fullmatch(attribute)
    if form is None:
        raise Blocked("malformed", f"{where} is not an ICE candidate: {attribute[:64]!r}")
    transport = form["transport"].lower()
    if transport not in ("udp", "tcp"):
        raise Blocked("malformed", f"{where} goes over {form['transport']!r}, not UDP or TCP")
    if int(form["priority"]) > MAX_PRIORITY:
        raise Blocked("malformed", f"{where} has a priority of more than 32 bits")
    _check_more(form["more"].split(), where)
    _check_host(form["host"], where)
    port = int(form["port"])
    if port > 65535 or (port < MIN_PORT and transport == "udp"):
        raise Blocked(
            "forbidden_address", f"{where} has port {port}; media is at {MIN_PORT} or above"
        )
    return Remote(
        attribute,
        cast(Literal["udp", "tcp"], transport),
        form["host"],
        port,
        cast(Kind, form["kind"]),
    )


def check_address(address: str, where: str) -> None:
    """Raise Blocked unless another device could have this address."""
    try:
        ip = ip_address(address)
    except ValueError:
        raise Blocked(
            "host_name", f"{where} names the host {address[:64]!r}; only addresses are looked at"
        ) from None
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    for what, true in (
        ("loopback", ip.is_loopback),
        ("multicast", ip.is_multicast),
        ("unspecified", ip.is_unspecified or (ip.version == 4 and ip.packed[0] == 0)),
        ("broadcast", ip.version == 4 and ip.packed == b"\xff" * 4),
        ("reserved", ip.is_reserved),
    ):
        if true:
            raise Blocked(
                "forbidden_address", f"{where} has the {what} address {address[:64]}, nobody else's"
            )


def _check_host(host: str, where: str) -> None:
    if not _LOCAL.fullmatch(host):
        check_address(host, where)


def _check_more(words: list[str], where: str) -> None:
    """The pairs behind the type: numbers are numbers, and nothing in them is a name to look up."""
    for name, value in zip(words[::2], words[1::2], strict=True):
        number = name in ("rport", "generation", "network-id", "network-cost")
        if number and not re.fullmatch(_NUMBER, value):
            raise Blocked("malformed", f"{where} has {name} {value[:32]!r}, which is no number")
        if name == "tcptype" and value not in ("active", "passive", "so"):
            raise Blocked("malformed", f"{where} has tcptype {value[:32]!r}")
