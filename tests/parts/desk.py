"""A session that works without calls: commands are written down, events are the test's own.

The bus is the real one, so that subscriptions fill, drop and end as they do in the appliance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from appliance.bus import Bus, Subscription
from appliance.commands import Command
from appliance.errors import Refused
from appliance.events import Custom
from appliance.model import AudioMode, Gesture, Json
from appliance.trust.contacts import Contacts


class Desk:
    """What `reporting.conversation.Session` asks for, and a simulated board's buttons."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.taken: list[tuple[Command, str]] = []
        self.pressed: list[tuple[str, Gesture]] = []
        self.plugged: list[tuple[AudioMode, bool]] = []
        self.subscribed = asyncio.Event()
        self.contacts = Contacts({})

    async def command(self, command: Command, origin: str) -> Json:
        """Take any command but `leave_session`; nobody is in one."""
        if command.NAME == "leave_session":
            raise Refused("no_call", "there is no call to leave")
        self.taken.append((command, origin))
        return {"done": command.NAME}

    def status(self) -> Mapping[str, Any]:
        """A status that is told from any other."""
        return {"device": {"id": "desk"}, "call": None}

    def subscribe(self, patterns: tuple[str, ...], limit: int) -> Subscription:
        """The bus's own."""
        self.subscribed.set()
        return self.bus.subscribe(patterns, limit)

    async def press(self, button: str, gesture: Gesture) -> None:
        """There is one button, `call`."""
        if button != "call":
            raise Refused("unknown_button", f"there is no button {button}")
        self.pressed.append((button, gesture))

    async def plug(self, output: AudioMode, present: bool) -> None:
        """Any output can be plugged in and out."""
        self.plugged.append((output, present))

    def tells(self, name: str, body: Json = None) -> None:
        """Publish a `custom` event."""
        self.bus.publish(Custom(name, body))
