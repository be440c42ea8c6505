"""Who only connects to the page, by real connections: few are let in, and none stays that asks nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientError, ClientSession
from prometheus_client import CollectorRegistry

from appliance.config import Http
from appliance.web.connections import AT_MOST, OF_ONE_ADDRESS, Connections
from tests.web.test_server import self_signed, serve


async def test_who_connects_and_asks_nothing_leaves_room_for_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert 2 * OF_ONE_ADDRESS <= AT_MOST <= 64, "one address leaves as much room as it takes"
    monkeypatch.setitem(Connections.__init__.__kwdefaults__ or {}, "at_most", 8)
    monkeypatch.setitem(Connections.__init__.__kwdefaults__ or {}, "of_one_address", 6)
    registry = CollectorRegistry()

    def closed(reason: str) -> float:
        name = "appliance_page_connections_closed_total"
        return registry.get_sample_value(name, {"reason": reason}) or 0.0

    async with serve(registry=registry) as server:
        port = urlsplit(server.url).port or 0
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(await connected(port)) for _ in range(6)]
            for _ in range(3):
                with await connected(port) as another:
                    assert await is_ended(another)
            assert closed("address") == 3
            others = [stack.enter_context(await connected(port, f"127.0.0.{n}")) for n in (2, 3)]
            with await connected(port, "127.0.0.4") as another:
                assert await is_ended(another)
            assert closed("full") == 1
            # one goes, and one who asks is served at once
            idle[0].close()
            others[0].close()
            while True:
                with contextlib.suppress(ClientError):
                    async with (
                        ClientSession() as client,
                        client.get(f"http://127.0.0.1:{port}/healthz") as response,
                    ):
                        assert response.status == 200
                        break
    assert caplog.text.count("connections to the page were closed") == 1


async def test_a_network_of_addresses_counts_as_one() -> None:
    connections = Connections(of_one_address=2)
    with contextlib.ExitStack() as stack:

        def comes_from(address: str) -> bool:
            near, far = socket.socketpair()
            stack.enter_context(far)
            admitted = connections.admit(near, address)
            if admitted is not None:
                stack.enter_context(admitted)
            return admitted is not None

        network = [comes_from(f"2001:db8:0:1::{number:x}") for number in range(9)]
        assert network == [True, True, *[False] * 7]
        assert comes_from("2001:db8:0:2::1")
        assert comes_from("192.168.1.7")


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
async def test_a_connection_has_a_limit_until_it_asks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encrypted: bool
) -> None:
    monkeypatch.setitem(Connections.__init__.__kwdefaults__ or {}, "patience_s", 0.3)
    http = Http(port=0)
    if encrypted:
        cert_file, key_file = self_signed(tmp_path)
        http = Http(port=0, cert_file=str(cert_file), key_file=str(key_file))
    ended: list[str] = []
    loop = asyncio.get_running_loop()
    # asyncio, where it is debugged, tells of a handshake that was broken off
    loop.set_exception_handler(lambda _, context: ended.append(str(context.get("message"))))
    async with serve(http) as server:
        port = urlsplit(server.url).port or 0
        begun = b"\x16\x03" if encrypted else b"GET / HTTP/1.1\r\nHost: loc"
        for sent in (b"", begun):
            with await connected(port) as silent:
                await loop.sock_sendall(silent, sent)
                assert await is_ended(silent)
        if not encrypted:  # who has asked may stay longer than that
            with await connected(port) as asking:
                for _ in range(2):
                    request = f"GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
                    await loop.sock_sendall(asking, request.encode())
                    assert b" 200 " in await loop.sock_recv(asking, 4096)
                    with await connected(port) as silent:  # the time is over for this one
                        assert await is_ended(silent)
    assert len(server._connections) == 0
    loop.set_exception_handler(None)
    assert encrypted or not ended


async def test_a_body_that_does_not_come_is_waited_for_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("appliance.web.server.BODY_S", 0.1)
    monkeypatch.setattr("appliance.web.server.LINGER_S", 0.1)
    async with serve() as server:
        port = urlsplit(server.url).port or 0
        with await connected(port) as slow:
            head = f"POST /login HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 9\r\n\r\n{{"
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(slow, head.encode())
            assert b" 408 " in await loop.sock_recv(slow, 4096)
            while await loop.sock_recv(slow, 4096):
                pass  # and then it is closed


async def connected(port: int, address: str = "127.0.0.1") -> socket.socket:
    """A connection from that address, which the server has seen or is about to."""
    made = socket.socket()
    made.setblocking(False)
    made.bind((address, 0))
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
    return made


async def is_ended(connection: socket.socket) -> bool:
    """Waits for the other side to close it."""
    try:
        return await asyncio.get_running_loop().sock_recv(connection, 1) == b""
    except ConnectionResetError:
        return True
