"""A session of several that an independent door is the host of, as the document has it.

It keeps the list and lets in; what is asked of it a test hears, and decides.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from tests.parts.door import Door, Leg, Message


@dataclass
class Guest:
    """One endpoint in the session, and the call under which it is written to."""

    uid: str
    endpoint: str
    call_id: str
    state: str = "connecting"
    flags: dict[str, bool] | None = None


class Gathering:
    """Who is in the session, in the order of joining; the host stands first."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.session_id = secrets.token_hex(16)
        self.guests: list[Guest] = []
        self.version = 0
        self.may: list[str] | None = None
        """What it tells everybody that they may."""

    async def admit(self, accept: Message) -> Leg:
        """Let in who accepted an invite."""
        guest = self._add(accept)
        leg = await self.door.admit(accept)
        return self._connected(guest, leg)

    async def enter(self, join: Message) -> Leg:
        """Let in who came with a token: it is listed, and then offers."""
        guest = self._add(join)
        while True:
            offered = await self.door.hear("join")
            if offered["body"].get("offer"):
                break
        return self._connected(guest, await self.door.admit(offered))

    def remove(self, uid: str, **reason: Any) -> None:
        """Take somebody out, with an `end` where there is a reason, and tell the others."""
        gone = next(guest for guest in self.guests if guest.uid == uid)
        self.guests.remove(gone)
        if reason:
            self.door.send(gone.uid, gone.endpoint, "end", gone.call_id, reason)
        self.tell()

    def tell(self) -> None:
        """Send everybody the list."""
        self.version += 1
        door = self.door
        mine = Guest(door.uid, "main", "", "connected")
        listed = [self._line(guest) for guest in [mine, *self.guests]]
        body = {"session_id": self.session_id, "version": self.version, "participants": listed}
        if self.may is not None:
            body["may"] = self.may
        for guest in self.guests:
            door.send(guest.uid, guest.endpoint, "participants", guest.call_id, body)

    def _add(self, message: Message) -> Guest:
        guest = Guest(message["from"], message["endpoint"], message["call_id"])
        self.guests.append(guest)
        self.tell()
        return guest

    def _connected(self, guest: Guest, leg: Leg) -> Leg:
        guest.state = "connected"
        self.tell()
        return leg

    def _line(self, guest: Guest) -> Message:
        flags = ("audio_muted", "video_paused", "hand_raised", "screen_sharing", "recording")
        epoch = self.door.present.get((guest.uid, guest.endpoint), self.door.epoch)
        return {
            "uid": guest.uid,
            "name": self.door.name if guest.uid == self.door.uid else guest.uid.title(),
            "endpoint": guest.endpoint,
            "joined_at": "2026-11-21T09:00:00Z",
            "state": guest.state,
            **{flag: (guest.flags or {}).get(flag, False) for flag in flags},
            "on_hold": False,
            "epoch": epoch,
            "key": None,
        }
