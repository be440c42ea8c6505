"""What is said of keys over the broker: a `pair` is answered, and whose key is unknown is told so."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from appliance.messages import Address
from appliance.signaling import presence
from appliance.signaling.clock import Clock
from appliance.signaling.pairing import ANSWER_TTL_S, Invitation, PairedBody, Pairing
from appliance.signaling.rejected import Rejected
from appliance.signaling.wire import Letter

Say = Callable[[Address, bytes, float], object]
"""Publishes to somebody's inbox; the number is how many seconds it is worth something."""


@dataclass(frozen=True, slots=True)
class Introducing:
    """Joins the invitations to a link; `tasks` owns what takes time, `next_seq` numbers what is sent."""

    pairing: Pairing
    say: Say
    next_seq: Callable[[], int]
    clock: Clock
    tasks: asyncio.TaskGroup

    def hears(self, topic: str, payload: bytes) -> bool:
        """Whether this was a `pair`, which is answered. Raises `Rejected` for one that proves nothing."""
        asked = self.pairing.asked(topic, payload)
        if asked is None:
            return False
        now_s = self.clock.monotonic_s()
        try:
            found = self.pairing.judge(asked, now_s)
        except Rejected:
            if self.pairing.may_answer(now_s):
                self._answer(asked, self.pairing.refusal(asked))
            raise
        if isinstance(found, PairedBody):
            self._answer(asked, found)
        elif found is not None:
            self.tasks.create_task(self._conclude(asked, found), name="pairing")
        return True

    def met(self, uid: str, endpoint: str, payload: bytes) -> None:
        """An endpoint's presence, whoever it is. Raises `Rejected` for what is none."""
        who, kid = Address(uid, endpoint), presence.kid_of(payload)
        if self.pairing.met(who, kid) and kid is not None:
            self._tell_unknown(who, kid)

    def revoked(self, kids: frozenset[str]) -> None:
        """These keys count no more: the endpoints that are there with one of them are told."""
        for who, kid in self.pairing.revoked(kids):
            self._tell_unknown(who, kid)

    async def _conclude(self, asked: Letter, invitation: Invitation) -> None:
        self._answer(asked, await self.pairing.conclude(asked, invitation))

    def _answer(self, asked: Letter, body: PairedBody) -> None:
        self._send(asked.sender, asked.call_id, body)

    def _tell_unknown(self, who: Address, kid: str) -> None:
        if self.pairing.may_answer(self.clock.monotonic_s()):
            self._send(who, secrets.token_hex(16), PairedBody(kid, error="not_known"))

    def _send(self, to: Address, call_id: str, body: PairedBody) -> None:
        seq, sent_at_ms = self.next_seq(), self.clock.wall_ms()
        payload = self.pairing.sealed(to, call_id, body, seq=seq, sent_at_ms=sent_at_ms)
        self.say(to, payload, ANSWER_TTL_S)
