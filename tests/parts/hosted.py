"""A session of which a guest is the host: it lets in whoever shows its token, and tells all of all."""

from __future__ import annotations

import secrets

from tests.parts.guest import Guest
from tests.parts.links import Where
from tests.parts.phone import Message


class Hosted:
    """The session, from its making until nobody asks for it any more."""

    def __init__(
        self, host: Guest, *, call_id: str | None = None, token: str | None = None
    ) -> None:
        self.host = host
        self.call_id = call_id or secrets.token_hex(16)
        self.session_id = secrets.token_hex(16)
        self.token = token or f"{host.uid}.{self.call_id}.{self.session_id}.{host.device}.1.0"
        self.version = 0
        self.there: list[Where] = []
        self.admits = True
        host.hosted = self

    async def admit(self, message: Message, sender: Where) -> None:
        """Let in who has the token, and tell everyone; others hear that it failed."""
        if not self.admits or message["body"]["token"] != self.token:
            refusal = {"reason": "failed", "kicked_by": None}
            await self.host.write(sender, "end", message["call_id"], refusal)
            return
        if sender not in self.there:
            self.there.append(sender)
        await self.announce()

    async def announce(self) -> None:
        """Send the list to all."""
        self.version += 1
        me = (self.host.uid, self.host.endpoint)
        everyone = [_participant(where) for where in (me, *self.there)]
        everyone[0]["epoch"] = self.host.epoch
        body = {
            "session_id": self.session_id,
            "version": self.version,
            "participants": everyone,
        }
        for where in self.there:
            await self.host.write(where, "participants", self.call_id, body)

    async def puts_out(self, where: Where, by: str) -> None:
        """Put somebody out of the session."""
        end = {"reason": "kicked_out", "kicked_by": by}
        await self.host.write(where, "end", self.call_id, end)
        self.there.remove(where)
        await self.host.drop(where)


def _participant(where: Where) -> Message:
    flags = ("audio_muted", "video_paused", "hand_raised", "screen_sharing", "recording", "on_hold")
    return {
        "uid": where[0],
        "name": where[0].title(),
        "endpoint": where[1],
        "joined_at": None,
        "state": "connected",
        **dict.fromkeys(flags, False),
        "epoch": None,
        "key": None,
    }
