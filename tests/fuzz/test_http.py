"""What comes over HTTP: whatever it is, it is answered or refused, never by an error of this program.

A real server on loopback, with the firewall behind it, asked by plain sockets: a client's library would
not say such things.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from aiohttp import ClientSession, WSMsgType
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from appliance.config import Http
from appliance.errors import Refused
from appliance.web import players, views
from appliance.web.players import FRAGMENT, SDP, candidates_of
from appliance.wiring import _check_message
from tests.fuzz import mutations
from tests.fuzz.offers import CHROMIUM
from tests.fuzz.test_parsers import DEEP, NOT_UTF8, UNICODE, spoilt, spoilt_json
from tests.web.test_access import HA, site

fast = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NO_LIMIT = 10**9
AT_ONCE = 12
"""Requests to one server, which takes longer to start than to answer."""

OFFER = CHROMIUM.read_text("utf-8").replace("\r\n", "\n").replace("\n", "\r\n")
CANDIDATES = (
    "a=ice-ufrag:abcd\r\na=mid:0\r\n"
    "a=candidate:1 1 UDP 2130706431 192.168.1.9 50000 typ host\r\na=end-of-candidates\r\n"
)
ENTRY = {"uid": "alice", "kid": "k" * 43, "challenge": "c" * 54, "signature": "s" * 86}
BODIES: tuple[tuple[str, str, str, bytes], ...] = (
    ("POST", "/login", "application/json", mutations.as_text(ENTRY)),
    ("POST", "/login", "application/json", DEEP),
    ("POST", "/login", "application/json", NOT_UTF8),
    ("POST", "/logout", "text/plain", b""),
    ("POST", "/whep", SDP, OFFER.encode()),
    ("PATCH", "/whep/0123456789abcdef", FRAGMENT, CANDIDATES.encode()),
    ("DELETE", "/whep/0123456789abcdef", "text/plain", b""),
    ("GET", "/client.json?a=1&b=%20", "text/plain", b""),
    ("GET", "/api/ws?src=door", "text/plain", b""),
    ("OPTIONS", "/whep", "text/plain", b""),
)
HEADERS: tuple[tuple[str, bytes], ...] = (
    ("Cookie", b"appliance=abc; __Host-appliance=def"),
    ("Cookie", b"appliance=\xff\xfe"),
    ("Origin", HA.encode()),
    ("Origin", b"http://\xff"),
    ("If-None-Match", b'"abc", W/"def", *'),
    ("Content-Encoding", b"gzip"),
    ("Sec-Fetch-Site", b"same-origin"),
    ("Upgrade", b"websocket"),
    ("Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
    ("Accept", b"*/*;q=\xe9"),
    ("X-Forwarded-For", b"1.2.3.4"),
    ("Range", b"bytes=0-"),
    ("Transfer-Encoding", b"chunked"),
)


class Complaints(logging.Handler):
    """What the server's library logs: each is an error that nobody foresaw."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.told.append(f"{record.getMessage()}: {error!r}")


@contextmanager
def complaints() -> Iterator[list[str]]:
    """What is logged as an error meanwhile."""
    handler = Complaints()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.told
    finally:
        logging.getLogger().removeHandler(handler)


def spoilt_header(rng: Random) -> bytes:
    """A line that may stand in a head; what ends it is no part of what is spoilt."""
    name, value = rng.choice(HEADERS)
    if rng.random() < 0.6:
        value = mutations.of_bytes(value, rng).replace(b"\r", b"").replace(b"\n", b"")
    return name.encode() + b": " + value + b"\r\n"


def request_of(rng: Random, host: bytes) -> tuple[bytes, bool]:
    """A request, and whether it is whole, so that an answer is to come."""
    method, path, kind, body = rng.choice(BODIES)
    if rng.random() < 0.7:
        body = (
            mutations.of_sdp(body.decode(), rng).encode()
            if kind == SDP
            else mutations.of_bytes(body, rng)
        )
    lines = [spoilt_header(rng) for _ in range(rng.randrange(3))]
    head = f"{method} {path} HTTP/1.1\r\n".encode() + b"Host: " + host + b"\r\n"
    head += b"".join(lines) + f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode()
    whole = head + b"Connection: close\r\n\r\n" + body
    if rng.random() < 0.3:
        return mutations.of_bytes(whole, rng), False
    return whole, b"Transfer-Encoding" not in head


async def _asked(seed: int) -> None:
    rng = Random(seed)
    async with site(Http(port=0, origins=(HA,)), check=_check_message) as at:
        host = at.url.removeprefix("http://").strip("/")
        for _ in range(AT_ONCE):
            data, answered = request_of(rng, host.encode())
            reader, writer = await asyncio.open_connection(*host.split(":"))
            try:
                writer.write(data)
                if answered:
                    status = int((await reader.readline()).split()[1])
                    assert status < 500 or status == 503, data
            finally:
                writer.close()
        async with ClientSession() as client, client.get(f"{at.url}healthz") as response:
            assert response.status == 200


@settings(fast, max_examples=25)
@given(st.integers(0, 2**32))
def test_requests(seed: int) -> None:
    with complaints() as told:
        asyncio.run(_asked(seed))
        assert told == []


# -------------------- go2rtc's socket

FRAMES: tuple[dict[str, Any], ...] = (
    {"type": "webrtc/offer", "value": OFFER},
    {"type": "webrtc", "value": {"type": "offer", "sdp": OFFER}},
    {
        "type": "webrtc/candidate",
        "value": "candidate:1 1 UDP 2130706431 192.168.1.9 50000 typ host",
    },
    {"type": "webrtc/candidate", "value": ""},
    {"type": "mse", "value": "avc1.640029"},
)
NESTED = b'{"type":' + b"[" * 900 + b"]" * 900 + b"}"
HALF_A_LETTER = b'{"type":"\\ud800","value":"\\udfff"}'
OF_HALF_LETTERS = b'{"type":"webrtc/offer","value":"v=0\\r\\ns=\\ud800"}'


async def _talked(frames: list[bytes]) -> None:
    async with (
        site(Http(port=0), check=_check_message) as at,
        ClientSession() as client,
        client.ws_connect(f"{at.url}api/ws") as player,
    ):
        for frame in frames:
            await player.send_str(frame.decode(errors="replace"))
        await player.send_str(json.dumps({"type": "webrtc/offer", "value": OFFER}))
        while True:
            told = await player.receive()
            assert told.type is WSMsgType.TEXT, f"the socket ended: {told}"
            if json.loads(told.data)["type"] == "webrtc/answer":
                return


@settings(fast, max_examples=15)
@given(st.lists(spoilt_json(*FRAMES), min_size=1, max_size=15))
@example([NESTED, HALF_A_LETTER, OF_HALF_LETTERS, DEEP, NOT_UTF8, *UNICODE])
def test_frames_of_players(frames: list[bytes]) -> None:
    """Whatever was said, the next offer is answered on the same socket."""
    with complaints() as told, without_patience():
        asyncio.run(_talked(frames))
        assert told == []


@contextmanager
def without_patience() -> Iterator[None]:
    """As many offers as there are: how many are borne is not what is asked here."""
    before, views.OFFERS = views.OFFERS, NO_LIMIT
    try:
        yield
    finally:
        views.OFFERS = before


@fast
@given(spoilt(CANDIDATES.encode()))
def test_fragments_of_candidates(data: bytes) -> None:
    try:
        found = candidates_of(data.decode(errors="replace"))
    except Refused:
        return
    assert len(found) <= players.MAX_CANDIDATES


Answer = Callable[[bytes], bytes]
