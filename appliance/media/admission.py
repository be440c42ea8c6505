"""What of the packets of one connection is let in: by how many there are, whence, and how they follow on.

The other side of a call is a contact, whose packets verify, and may flood all the same. Pure: time is a
parameter (monotonic seconds). Laws: what one connection may cost the loop, and what is remembered of it,
has an end, whatever is sent; nobody is heard but who has shown ICE's password from where he writes; and at
no more hosts is knocked than somebody could need.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address

MEDIA_RATE_PER_S, MEDIA_BURST = 1500.0, 1500.0
"""Packets of media: a voice has 50 a second, pictures of 2.5 Mbit/s 300, and there may be a screen."""
HANDSHAKE_RATE_PER_S, HANDSHAKE_BURST = 50.0, 200.0
"""Of DTLS: a handshake has some ten, with one repeated each second."""
MAX_SOURCES = 24
"""SSRCs of one connection; a report of RTCP has room for 31 (RFC 3550, section 6.4.2)."""
JUMP_AHEAD, JUMP_BACK = 512, 100
"""Sequence numbers: beyond these aiortc begins anew, and goes through all that is between."""
JUMP_RATE_PER_S, JUMP_BURST = 1.0, 4.0
MAX_UNDECODED = 60
"""Pictures that wait for their decoder."""
MAX_NEAR_HOSTS, MAX_FAR_HOSTS, MAX_PORTS = 32, 8, 8
"""Hosts in private networks, other hosts, ports of each: at these is knocked, and no more."""

Where = tuple[str, int]
"""An address and a port."""


@dataclass(slots=True)
class Bucket:
    """Lets `burst` through at once, and `rate_per_s` in the long run."""

    rate_per_s: float
    burst: float
    tokens: float = field(init=False)
    filled_at_s: float | None = None

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, now_s: float) -> bool:
        """Take one if there is one."""
        if self.filled_at_s is not None:
            since_s = max(0.0, now_s - self.filled_at_s)
            self.tokens = min(self.burst, self.tokens + since_s * self.rate_per_s)
        self.filled_at_s = now_s
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def source_of(packet: bytes) -> int:
    """The SSRC of a packet of RTP, or of RTCP (RFC 5761, section 4); both are in the clear."""
    is_rtcp = 191 < packet[1] < 224 if len(packet) > 1 else False
    return int.from_bytes(packet[4:8] if is_rtcp else packet[8:12], "big")


class Gate:
    """Of one ICE connection: whom it hears, how much of it, and at whom it knocks."""

    def __init__(self) -> None:
        """Nobody is heard yet."""
        self.counts: Counter[str] = Counter()
        """What was not let in, by why."""
        self.unverified = 0
        """Packets of media that were, and have not verified by now."""
        self._sources: set[int] = set()
        self._validated: set[Where] = set()
        self._media = Bucket(MEDIA_RATE_PER_S, MEDIA_BURST)
        self._handshake = Bucket(HANDSHAKE_RATE_PER_S, HANDSHAKE_BURST)
        self._near: dict[str, set[int]] = {}
        self._far: dict[str, set[int]] = {}

    def validated(self, where: Where) -> None:
        """Who writes from there knows ICE's password, or has answered who does (RFC 8445, section 7)."""
        self._validated.add(where)

    def verified(self, packet: bytes) -> None:
        """A packet of media was who it says."""
        self.unverified -= 1
        self._sources.add(source_of(packet))

    def hears(self, where: Where, packet: bytes, now_s: float) -> bool:
        """Whether a packet is let in, which is not empty (by its first byte, RFC 7983, section 7)."""
        if where not in self._validated:
            self.counts["from elsewhere"] += 1
            return False
        is_media = 127 < packet[0] < 192
        if (
            is_media
            and len(self._sources) >= MAX_SOURCES
            and source_of(packet) not in self._sources
        ):
            self.counts["too many sources"] += (
                1  # libsrtp would keep something of each that verifies
            )
            return False
        if not (self._media if is_media else self._handshake).take(now_s):
            self.counts["too many"] += 1
            return False
        self.unverified += is_media
        return True

    def may_knock(self, where: Where) -> bool:
        """Whether a connectivity check may go there."""
        host, port = where
        address = ip_address(host)
        near = address.is_private or address.is_link_local
        hosts = self._near if near else self._far
        ports = hosts.get(host)
        if ports is None and len(hosts) < (MAX_NEAR_HOSTS if near else MAX_FAR_HOSTS):
            ports = hosts[host] = set()
        if ports is None or (port not in ports and len(ports) == MAX_PORTS):
            self.counts["not knocked at"] += 1
            return False
        ports.add(port)
        return True


@dataclass(slots=True)
class _Source:
    """The last number of a source, and how often it may jump."""

    number: int
    jumps: Bucket = field(default_factory=lambda: Bucket(JUMP_RATE_PER_S, JUMP_BURST))


class Admission:
    """Of one connection's RTP packets that have verified: which of them are received."""

    def __init__(self) -> None:
        """None has come yet."""
        self.counts: Counter[str] = Counter()
        """What was not received, by why."""
        self._sources: dict[int, _Source] = {}

    def admits(self, ssrc: int, sequence_number: int, undecoded: int, now_s: float) -> bool:
        """Whether to receive a packet; `undecoded` pictures of its receiver wait."""
        source = self._sources.get(ssrc)
        if source is None:
            if len(self._sources) == MAX_SOURCES:
                self.counts["too many sources"] += 1
                return False
            source = self._sources[ssrc] = _Source(sequence_number)
        step = (sequence_number - source.number + 0x8000) % 0x10000 - 0x8000
        if not -JUMP_BACK < step <= JUMP_AHEAD and not source.jumps.take(now_s):
            self.counts["jumped"] += 1
            return False
        if undecoded > MAX_UNDECODED:
            self.counts["not decoded in time"] += 1
            return False
        if step > 0 or step <= -JUMP_BACK:
            source.number = sequence_number
        return True
