"""What the demo's page has beyond the others: a socket to the simulated door station.

`/demo/socket` speaks the local socket's JSON Lines, one JSON text a frame, and adds
`{"board": ..}`, the panel of the `status` object, whenever it changes. `/demo/screen.jpg` is what the
device's own screen shows, and `/demo/sounds/<name>.wav` is what it lets hear. All exist with a
simulated board only.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import ClientConnectionResetError, WSMsgType, web

from appliance.config import Button, Contact

MAX_FRAME_BYTES = 65536
MAX_WAITING = 500
"""Objects that wait for a slow browser before the oldest events are dropped."""


class Conversation(Protocol):
    """One client of the local socket's protocol, as the reporting edge has it."""

    async def handle(self, text: str) -> None:
        """Take one JSON text of the client; what there is to answer is sent."""

    def close(self) -> None:
        """The client is gone: send nothing any more."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's doors into the appliance, and what its page has to know beforehand.

    `open_conversation` is given what sends an object to the client (on the loop, at once).
    `board_changes` gives each client an iterator over the panel's status, the present one first.
    `screen_picture` gives the device's screen as a JPEG, or None while it shows nothing; it may take
    its time, and is called on a thread. `outputs` are those of the sound that can be plugged in and out.
    """

    people: Mapping[str, Contact]
    buttons: Mapping[str, Button]
    open_conversation: Callable[[Callable[[Mapping[str, Any]], None]], Conversation]
    board_changes: Callable[[], AsyncIterator[Mapping[str, Any]]]
    screen_picture: Callable[[], bytes | None] | None = None
    outputs: Sequence[str] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    """What the visitor is told, by the name of the notice."""
    sound: Callable[[str], bytes | None] | None = None
    """A sound by its name, as a WAV file, or None for a name that is none; called on a thread."""
    public_key: str | None = None
    """The device's, where its page is to pair by itself: it asks the socket for an invitation."""

    def client_keys(self) -> dict[str, Any]:
        """What `/client.json` says on top: who one can be, and which buttons there are."""
        return {
            "demo": True,
            "screen": self.screen_picture is not None,
            "outputs": list(self.outputs),
            "words": dict(self.words),
            "public_key": self.public_key,
            "people": [{"uid": uid, "name": who.name or uid} for uid, who in self.people.items()],
            "buttons": [
                {
                    "name": name,
                    "press": button.press,
                    "double_press": button.double_press,
                    "hold": button.hold,
                    "hold_s": button.hold_s,
                }
                for name, button in self.buttons.items()
            ],
        }


@dataclass(slots=True)
class Outbox:
    """What waits to be sent to one browser; a slow one loses its oldest events, and is told."""

    waiting: deque[Mapping[str, Any]] = field(default_factory=deque)
    dropped: int = 0
    filled: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, item: Mapping[str, Any]) -> None:
        """Add an object; where there are too many, an event goes (a reply never does)."""
        self.waiting.append(item)
        if len(self.waiting) > MAX_WAITING:
            oldest = next((old for old in self.waiting if "specversion" in old), None)
            if oldest is not None:
                self.waiting.remove(oldest)
                self.dropped += 1
        self.filled.set()

    async def take(self) -> Mapping[str, Any]:
        """The next object, as soon as there is one."""
        while not self.waiting and not self.dropped:
            self.filled.clear()
            await self.filled.wait()
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            return {"dropped": dropped}
        return self.waiting.popleft()


async def serve_socket(
    request: web.Request, demo: Demo, opened: set[web.WebSocketResponse]
) -> web.WebSocketResponse:
    """Let one browser talk with the appliance until either goes away."""
    browser = web.WebSocketResponse(heartbeat=20, max_msg_size=MAX_FRAME_BYTES)
    await browser.prepare(request)
    opened.add(browser)
    outbox = Outbox()
    conversation = demo.open_conversation(outbox.put)
    try:
        async with asyncio.TaskGroup() as tasks:
            others = [
                tasks.create_task(_write(browser, outbox)),
                tasks.create_task(_tell_board(demo, outbox)),
            ]
            async for frame in browser:
                if frame.type is WSMsgType.TEXT:
                    await conversation.handle(frame.data)
            for task in others:
                task.cancel()
    finally:
        conversation.close()
        opened.discard(browser)
    return browser


async def serve_screen(demo: Demo) -> web.Response:
    """The device's screen as it is now; 204 while it shows nothing, 404 where there is none."""
    if demo.screen_picture is None:
        return web.Response(status=404, text="This device has no screen.\n")
    picture = await asyncio.to_thread(demo.screen_picture)
    if picture is None:
        return web.Response(status=204)
    return web.Response(body=picture, content_type="image/jpeg")


async def serve_sound(demo: Demo, name: str) -> web.Response:
    """A sound of the door station, which the page plays in its place; 404 where there is none."""
    found = await asyncio.to_thread(demo.sound, name) if demo.sound is not None else None
    if found is None:
        return web.Response(status=404, text="There is no such sound.\n")
    return web.Response(body=found, content_type="audio/wav")


async def _write(browser: web.WebSocketResponse, outbox: Outbox) -> None:
    try:
        while True:
            await browser.send_str(json.dumps(await outbox.take(), separators=(",", ":")))
    except (ClientConnectionResetError, ConnectionError):
        pass  # expected: the browser went away; the reader ends the conversation


async def _tell_board(demo: Demo, outbox: Outbox) -> None:
    async for panel in demo.board_changes():
        outbox.put({"board": panel})
