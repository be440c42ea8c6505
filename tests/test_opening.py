"""The page is opened once, by whoever asks first, and asked for again where it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from appliance.errors import ApplianceError
from appliance.inviting import Page
from appliance.opening import Opening

URL = "https://door.local:8443/"
AUTHORITY = {"url": f"{URL}ca.crt", "sha256": "3F:A0"}


class Server:
    """Serves when it is let, and fails as often as is wanted."""

    url = URL
    authority: Mapping[str, str] | None = AUTHORITY

    def __init__(self, *, fails: int = 0) -> None:
        self.fails = fails
        self.entered = self.left = 0
        self.may_begin = asyncio.Event()
        self.may_begin.set()

    async def __aenter__(self) -> None:
        await self.may_begin.wait()
        if self.fails:
            self.fails -= 1
            raise ApplianceError("the disk is full")
        self.entered += 1

    async def __aexit__(self, *about: Any) -> None:
        await asyncio.sleep(0)
        self.left += 1


class Told:
    """What the appliance is told of it."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.faults: list[str] = []

    def of(self, server: Server) -> Opening:
        return Opening(server, self.urls.append, lambda error: self.faults.append(str(error)))


async def test_it_is_opened_once_whoever_asks_and_closed_at_the_end() -> None:
    server, told = Server(), Told()
    async with told.of(server) as opening:
        assert server.entered == 0
        places = await asyncio.gather(*(opening.place() for _ in range(3)))
        assert places == [Page(URL, AUTHORITY)] * 3
        await opening.open()
        assert (server.entered, server.left, told.urls) == (1, 0, [URL])
    assert server.left == 1


async def test_what_fails_is_told_and_tried_again_with_the_next_phone() -> None:
    server, told = Server(fails=2), Told()
    async with told.of(server) as opening:
        with pytest.raises(ApplianceError, match="the disk is full"):
            await opening.open()
        assert told.faults == [], "who opens it at the start tells it itself"
        assert await opening.place() == Page(None, why="the disk is full")
        assert told.faults == ["the disk is full"]
        assert (await opening.place()).url == URL
    assert (server.entered, server.left) == (1, 1)


async def test_whoever_goes_away_while_it_is_opened_closes_nothing() -> None:
    server, told = Server(), Told()
    server.may_begin.clear()
    async with told.of(server) as opening:
        waiting = asyncio.get_running_loop().create_task(opening.place())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        server.may_begin.set()
        assert (await opening.place()).url == URL
        assert server.left == 0


async def test_an_appliance_that_fails_closes_it_too() -> None:
    server, told = Server(), Told()

    async def fails() -> None:
        async with told.of(server) as opening:
            await opening.open()
            raise ValueError("of another part")

    with pytest.raises(ExceptionGroup) as raised:
        await fails()
    assert raised.group_contains(ValueError, match="of another part", depth=1)
    assert server.left == 1


async def test_nobody_opens_it_and_nothing_is_left() -> None:
    server, told = Server(), Told()
    async with told.of(server):
        pass
    assert (server.entered, server.left) == (0, 0)
