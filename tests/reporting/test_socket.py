"""The local socket on a real file: who may open it, what one client can do to the others."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.bus import Bus
from appliance.reporting import conversation
from appliance.reporting import socket as local
from appliance.reporting.socket import LocalSocket
from appliance.socket_path import AlreadyRunning
from tests.parts.desk import Desk


class Client:
    """A program on the same machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def says(self, line: bytes) -> None:
        self.writer.write(line)
        await self.writer.drain()

    async def hears(self) -> dict[str, Any]:
        """The next line."""
        async with asyncio.timeout(30):
            item: dict[str, Any] = json.loads(await self.reader.readline())
            return item

    async def asks(self, **request: Any) -> dict[str, Any]:
        await self.says(json.dumps(request).encode() + b"\n")
        return await self.hears()


@asynccontextmanager
async def client(path: Path) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with Bus("desk") as bus:
        yield Desk(bus)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "appliance.sock"


@pytest.fixture
async def listening(desk: Desk, path: Path) -> AsyncIterator[LocalSocket]:
    async with LocalSocket(path, desk, desk.press, recent=desk.bus.recent) as listening:
        yield listening


# -------------------- talking


@pytest.mark.usefixtures("listening")
async def test_a_program_asks_and_is_told(desk: Desk, path: Path) -> None:
    async with client(path) as alice:
        assert (await alice.asks(id=1, status=True))["result"]["device"] == {"id": "desk"}
        assert (await alice.asks(id=2, subscribe=["*"]))["ok"]
        assert (await alice.asks(id=3, press="call"))["ok"]
        desk.tells("dog", "wuff\nwuff")
        event = await alice.hears()
        assert event["data"] == {"name": "dog", "body": "wuff\nwuff"}
        assert event["specversion"] == "1.0"


@pytest.mark.usefixtures("listening")
async def test_several_requests_in_one_packet_and_one_in_several(path: Path) -> None:
    async with client(path) as alice:
        await alice.says(b'{"id":1,"status":true}\n\r\n{"id":2,"status":true}\r\n{"id":3,')
        assert [(await alice.hears())["id"] for _ in range(2)] == [1, 2]
        await alice.says(b'"status":true}\n')
        assert (await alice.hears())["id"] == 3


@pytest.mark.usefixtures("listening")
async def test_who_hangs_up_its_side_still_gets_its_answer(path: Path) -> None:
    async with client(path) as alice:
        await alice.says(b'{"id":1,"status":true}')  # as `printf` into a pipe: no line end
        alice.writer.write_eof()
        assert (await alice.hears())["id"] == 1
        assert await alice.reader.read() == b""


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("excess", [1, 70_000, 1_000_000])
async def test_a_line_that_is_too_long_is_refused_once_and_skipped(path: Path, excess: int) -> None:
    async with client(path) as alice:
        line = b'{"id":1,"status":true,"x":"' + b"x" * (local.MAX_LINE_BYTES + excess) + b'"}\n'
        await asyncio.gather(alice.says(line), alice.says(b'{"id":2,"status":true}\n'))
        assert await alice.hears() == {
            "id": None,
            "ok": False,
            "error": {"code": "malformed", "message": "a line has at most 65536 bytes"},
        }
        assert (await alice.hears())["id"] == 2


@pytest.mark.usefixtures("listening")
async def test_bytes_that_are_not_text_are_refused(path: Path) -> None:
    async with client(path) as alice:
        await alice.says(b"\xff\xfe\x00\n")
        assert (await alice.hears())["error"]["code"] == "malformed"
        assert (await alice.asks(id=1, status=True))["ok"]


@pytest.mark.usefixtures("listening")
async def test_a_client_that_never_reads_slows_nobody_and_is_told_what_it_lost(
    desk: Desk, path: Path
) -> None:
    body = "x" * 2000
    async with client(path) as sleeper, client(path) as alice:
        await sleeper.says(b'{"id":1,"subscribe":["*"]}\n')
        await sleeper.hears()
        sleeper.writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert (await alice.asks(id=1, subscribe=["*"]))["ok"]
        for number in range(3000):
            desk.tells(str(number), body)
            assert (await alice.hears())["data"]["name"] == str(number)
        sleeper.writer.transport.resume_reading()  # type: ignore[attr-defined]
        seen: list[int] = []
        dropped = 0
        while not seen or seen[-1] != 2999:
            item = await sleeper.hears()
            if "dropped" in item:
                dropped += item["dropped"]
            else:
                seen.append(int(item["data"]["name"]))
        assert dropped > 0
        assert len(seen) + dropped == 3000
        assert seen == sorted(seen)


async def test_a_client_that_goes_away_is_forgotten(
    desk: Desk, path: Path, listening: LocalSocket
) -> None:
    for _ in range(3):
        async with client(path) as alice:
            assert (await alice.asks(id=1, subscribe=["*"]))["ok"]
        desk.tells("to nobody")
    if listening._running:
        await asyncio.wait(listening._running, timeout=30)
    assert not listening._running
    assert not desk.bus.subscriptions


@pytest.mark.usefixtures("listening")
async def test_there_is_an_end_to_clients(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_CLIENTS", 2)
    async with client(path) as alice, client(path) as bob:
        for each in (alice, bob):
            assert (await each.asks(id=1, status=True))["ok"]
        async with client(path) as carol:
            assert (await carol.hears())["error"]["code"] == "busy"
            assert await carol.reader.read() == b""
        assert (await alice.asks(id=2, status=True))["ok"]


@pytest.mark.usefixtures("listening")
async def test_one_user_leaves_room_for_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_CLIENTS_OF_ONE", 1)
    users = iter([1000, 1000, 1001])
    monkeypatch.setattr(local, "_user_of", lambda writer: next(users))
    async with client(path) as alice:
        assert (await alice.asks(id=1, status=True))["ok"]
        async with client(path) as second:
            assert (await second.hears())["error"]["code"] == "busy"
        async with client(path) as bob:
            assert (await bob.asks(id=1, status=True))["ok"]


@pytest.mark.usefixtures("listening")
async def test_the_kernel_says_whose_program_it_is(listening: LocalSocket, path: Path) -> None:
    async with client(path) as alice:
        assert (await alice.asks(id=1, status=True))["ok"]
        assert listening._clients == {os.getuid(): 1}


@pytest.mark.usefixtures("listening")
async def test_who_asks_without_end_is_read_slowly_and_nobody_else_is(
    desk: Desk, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "RATE_PER_S", 0.001)
    monkeypatch.setattr(conversation, "BURST", 20.0)
    async with client(path) as flooder, client(path) as other:
        await flooder.says(b'{"id": 1, "command": "mute_audio", "args": {"muted": true}}\n' * 500)
        for _ in range(20):
            assert (await flooder.hears())["ok"]
        for number in range(20):
            assert (await other.asks(id=number, status=True))["ok"]
        assert len(desk.taken) == 20


async def test_another_transport_has_the_same_conversation(
    desk: Desk, listening: LocalSocket
) -> None:
    sent: list[Any] = []
    arrived = asyncio.Event()

    def send(item: Mapping[str, Any]) -> None:
        sent.append(item)
        arrived.set()

    conversation = listening.converse(send)
    await conversation.handle('{"id": 1, "subscribe": ["*"]}')
    await conversation.handle('{"id": 2, "command": "mute_audio"}')
    desk.tells("hello")
    async with asyncio.timeout(30):
        while len(sent) < 3:
            arrived.clear()
            await arrived.wait()
    assert [item.get("id") for item in sent[:2]] == [1, 2]
    assert sent[2]["data"]["name"] == "hello"
    assert desk.taken[0][1] == "page"
    conversation.close()


async def test_the_end_waits_for_nobody(desk: Desk, path: Path) -> None:
    async with LocalSocket(path, desk) as listening:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"id":1,"subscribe":["*"]}\n')
        await reader.readline()
        page = listening.converse(lambda _: None)
        await page.handle('{"id": 1, "subscribe": ["*"]}')
    assert await reader.read() == b""
    assert not path.exists()
    page.close()
    writer.close()
    await writer.wait_closed()


# -------------------- the file


@pytest.mark.usefixtures("listening")
async def test_the_socket_is_for_its_owner_and_group(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_ISSOCK(path.stat().st_mode)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives a file to any group")
async def test_the_group_is_appliance_where_there_is_one(
    desk: Desk, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = grp.getgrnam("audio")
    monkeypatch.setattr(local, "GROUP", group.gr_name)
    async with LocalSocket(path, desk):
        assert path.stat().st_gid == group.gr_gid
    monkeypatch.setattr(local, "GROUP", "no-such-group")
    async with LocalSocket(path, desk):
        assert path.stat().st_gid == os.getgid()


async def test_what_a_crash_left_behind_is_replaced(desk: Desk, path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    async with LocalSocket(path, desk), client(path) as alice:
        assert (await alice.asks(id=1, status=True))["ok"]


@pytest.mark.usefixtures("listening")
async def test_two_daemons_are_one_too_many(desk: Desk, path: Path) -> None:
    with pytest.raises(
        AlreadyRunning, match=f"another appliance is running already: it has {path}"
    ):
        async with LocalSocket(path, desk):
            pass
    async with client(path) as alice:  # the first one was not harmed
        assert (await alice.asks(id=1, status=True))["ok"]


async def test_a_file_in_the_way_is_not_deleted(desk: Desk, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="it is not a socket"):
        async with LocalSocket(path, desk):
            pass
    assert path.read_text() == "mine"


async def test_a_path_can_be_used_again(desk: Desk, path: Path) -> None:
    for _ in range(3):
        async with LocalSocket(path, desk), client(path) as alice:
            assert (await alice.asks(id=1, status=True))["ok"]
        assert not path.exists()
