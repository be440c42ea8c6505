"""A small door station that speaks the local socket's protocol, as the demo's page sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from appliance.config import Button, Contact
from appliance.web.demo import Demo

Send = Callable[[Mapping[str, Any]], None]


class Station:
    """Buttons that are pressed, a panel that changes, events that are told to who subscribed."""

    def __init__(self) -> None:
        self.pressed: list[tuple[str, str]] = []
        self.plugged: list[tuple[str, bool]] = []
        self.screen: bytes | None = None
        self.talks: list[Talk] = []
        self.call: dict[str, Any] | None = None
        self.panel: dict[str, Any] = {
            "leds": {"status": {"pattern": "steady", "lit": 0.4}},
            "relays": {"door": "released"},
            "inputs": {"contact": "off"},
            "chime": "silent",
            "loudspeaker_level": 0.0,
        }
        self._sequence = 0
        self._changed = asyncio.Condition()

    def demo(self, people: Mapping[str, Contact], buttons: Mapping[str, Button]) -> Demo:
        """Its doors for the web server."""
        return Demo(
            people,
            buttons,
            self.converse,
            self.changes,
            screen_picture=lambda: self.screen,
            outputs=("speaker", "bluetooth"),
            words={"door_open": "The door is open."},
            sound=lambda name: b"RIFF" if name == "door_open" else None,
        )

    def converse(self, send: Send) -> Talk:
        """A new client."""
        talk = Talk(self, send)
        self.talks.append(talk)
        return talk

    async def changes(self) -> AsyncIterator[Mapping[str, Any]]:
        """The panel now, and whenever it changes."""
        seen: dict[str, Any] = {}
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self.panel != seen)  # noqa: B023 - at once
                seen = dict(self.panel)
            yield seen

    async def change(self, **panel: Any) -> None:
        """Change the panel."""
        async with self._changed:
            self.panel = {**self.panel, **panel}
            self._changed.notify_all()

    async def until_pressed(self, count: int = 1) -> list[tuple[str, str]]:
        """Wait for presses."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: len(self.pressed) >= count)
        return self.pressed

    async def press(self, button: str, gesture: str) -> None:
        """A button was moved."""
        async with self._changed:
            self.pressed.append((button, gesture))
            self._changed.notify_all()
        self.tell("call_button_clicked", "ButtonClickListener", button=button, gesture=gesture)

    async def plug(self, output: str, present: bool) -> None:
        """An output of sound was plugged in or out."""
        async with self._changed:
            self.plugged.append((output, present))
            self._changed.notify_all()

    async def until_plugged(self, count: int) -> list[tuple[str, bool]]:
        """Wait for plugs."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: len(self.plugged) >= count)
        return self.plugged

    def tell(self, name: str, family: str, **data: Any) -> None:
        """Tell an event to everybody who subscribed."""
        self._sequence += 1
        event = {
            "specversion": "1.0",
            "id": f"boot-{self._sequence}",
            "source": "/appliance/front-door",
            "type": f"appliance.{name}",
            "time": f"2026-11-21T09:00:{self._sequence % 60:02}.123Z",
            "subject": None,
            "sequence": str(self._sequence),
            "family": family,
            "data": data,
        }
        for talk in self.talks:
            if talk.subscribed:
                talk.send(event)


class Talk:
    """One client's conversation."""

    def __init__(self, station: Station, send: Send) -> None:
        self.station, self.send = station, send
        self.subscribed = False
        self.closed = asyncio.Event()

    async def handle(self, text: str) -> None:
        """Answer one request."""
        try:
            request = json.loads(text)
        except ValueError:
            error = {"code": "bad_json", "message": "That is no JSON."}
            self.send({"id": None, "ok": False, "error": error})
            return
        result: dict[str, Any] = {}
        if "subscribe" in request:
            self.subscribed = True
        elif "press" in request:
            await self.station.press(request["press"], request.get("gesture", "press"))
        elif "plug" in request:
            await self.station.plug(request["plug"], request["present"])
        elif "status" in request:
            result = {"panel": self.station.panel, "call": self.station.call, "mqtt": "connected"}
        self.send({"id": request["id"], "ok": True, "result": result})

    def close(self) -> None:
        """The client is gone."""
        self.closed.set()
        self.station.talks.remove(self)
