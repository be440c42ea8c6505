"""The demo's socket: the local socket's protocol, one JSON text a frame, and the board's changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from appliance.config import Contact, Device, Http, Mqtt
from appliance.web.demo import MAX_WAITING, Outbox
from appliance.web.server import WebServer
from tests.web.conftest import BUTTONS
from tests.web.station import Station

PEOPLE = {"alice": Contact(name="Alice"), "bob": Contact()}


@pytest.fixture
async def demo(station: Station) -> AsyncIterator[WebServer]:
    async with WebServer(
        Device(id="front-door", board="simulated"),
        Mqtt(),
        Http(port=0),
        status=lambda: {"mqtt": "connected"},
        demo=station.demo(PEOPLE, BUTTONS),
    ) as server:
        yield server


async def hear(socket: ClientWebSocketResponse, key: str) -> dict[str, Any]:
    """The next object that has a key; others before it are passed over."""
    async with asyncio.timeout(30):
        while True:
            said: dict[str, Any] = await socket.receive_json()
            if key in said:
                return said


async def test_a_page_subscribes_presses_and_sees_what_follows(
    demo: WebServer, station: Station
) -> None:
    async with ClientSession() as http, http.ws_connect(f"{demo.url}demo/socket") as socket:
        assert (await hear(socket, "board"))["board"] == station.panel
        await socket.send_json({"id": 1, "subscribe": ["*"]})
        assert await hear(socket, "id") == {"id": 1, "ok": True, "result": {}}
        await socket.send_json({"id": 2, "press": "call", "gesture": "hold"})
        assert (await hear(socket, "specversion"))["data"] == {"button": "call", "gesture": "hold"}
        assert (await hear(socket, "id"))["id"] == 2
        assert station.pressed == [("call", "hold")]
        await station.change(chime="playing")
        assert (await hear(socket, "board"))["board"]["chime"] == "playing"


async def test_a_page_that_leaves_ends_its_conversation(demo: WebServer, station: Station) -> None:
    async with ClientSession() as http:
        async with http.ws_connect(f"{demo.url}demo/socket") as socket:
            await hear(socket, "board")
            (talk,) = station.talks
        async with asyncio.timeout(30):
            await talk.closed.wait()


async def test_a_server_that_stops_tells_its_pages(station: Station) -> None:
    server = WebServer(
        Device(board="simulated"), Mqtt(), Http(port=0), status=dict, demo=station.demo({}, {})
    )
    async with ClientSession() as http, asyncio.TaskGroup() as tasks:
        async with server:
            socket = await http.ws_connect(f"{server.url}demo/socket")
            await hear(socket, "board")
            goodbye = tasks.create_task(socket.receive())
        assert (await goodbye).type is WSMsgType.CLOSE
        assert socket.close_code == 1001


async def test_a_strangers_page_gets_no_socket(demo: WebServer, station: Station) -> None:
    async with ClientSession() as http:
        with pytest.raises(WSServerHandshakeError) as refused:
            await http.ws_connect(f"{demo.url}demo/socket", origin="http://evil.example")
    assert refused.value.status == 403
    assert station.talks == []


async def test_client_json_says_who_one_can_be_and_which_buttons_there_are(demo: WebServer) -> None:
    async with ClientSession() as http, http.get(f"{demo.url}client.json") as response:
        client = await response.json()
    assert client["demo"] is True
    assert client["people"] == [{"uid": "alice", "name": "Alice"}, {"uid": "bob", "name": "bob"}]
    assert client["buttons"][3] == {
        "name": "answer",
        "press": "answer",
        "double_press": None,
        "hold": "decline",
        "hold_s": 0.5,
    }


async def test_the_devices_screen_is_given_as_it_is_now_or_not_at_all(
    demo: WebServer, station: Station
) -> None:
    async with ClientSession() as http:
        async with http.get(f"{demo.url}demo/screen.jpg") as dark:
            assert dark.status == 204
        station.screen = b"\xff\xd8 a picture"
        async with http.get(f"{demo.url}demo/screen.jpg") as lit:
            assert (lit.content_type, await lit.read()) == ("image/jpeg", station.screen)
            assert lit.headers["Cache-Control"] == "no-store"
        async with http.get(f"{demo.url}client.json") as response:
            client = await response.json()
    assert client["screen"] is True
    assert client["outputs"] == ["speaker", "bluetooth"]


async def test_a_slow_browser_loses_the_oldest_events_and_is_told_how_many() -> None:
    outbox = Outbox()
    outbox.put({"id": 1, "ok": True})
    for number in range(MAX_WAITING + 2):
        outbox.put({"specversion": "1.0", "number": number})
    assert await outbox.take() == {"dropped": 3}
    assert await outbox.take() == {"id": 1, "ok": True}
    assert (await outbox.take())["number"] == 3
    assert len(outbox.waiting) == MAX_WAITING - 2


async def test_what_is_sent_is_one_json_text_a_frame(demo: WebServer) -> None:
    async with ClientSession() as http, http.ws_connect(f"{demo.url}demo/socket") as socket:
        await socket.send_str("no json")
        frames = [await socket.receive_str() for _ in range(2)]
    assert [json.loads(frame).get("ok") for frame in frames] == [None, False]


async def test_a_sound_is_given_by_its_name(demo: WebServer) -> None:
    async with ClientSession() as http:
        async with http.get(f"{demo.url}demo/sounds/door_open.wav") as answer:
            assert answer.status == 200
            assert answer.content_type == "audio/wav"
            assert await answer.read() == b"RIFF"
        async with http.get(f"{demo.url}demo/sounds/siren.wav") as answer:
            assert answer.status == 404
        async with http.get(f"{demo.url}client.json") as answer:
            assert (await answer.json())["words"] == {"door_open": "The door is open."}
