"""Pairing: invitations that are open, and what is said about keys: `pair`, and `paired`.

Laws: an invitation is good once, until it expires, is withdrawn, was guessed at `MAX_WRONG` times, or who
is invited was revoked; nothing of it outlives the process. What is answered to a wrong `pair` is the same
whatever was wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

from appliance.errors import ApplianceError, Refused
from appliance.limits import Recent, TokenBucket
from appliance.messages import Address
from appliance.model import Right
from appliance.signaling.bodies import ID, Name
from appliance.signaling.rejected import Rejected
from appliance.signaling.wire import Letter, decode_letter, encode_letter, kind_of
from appliance.trust import jws
from appliance.trust.keys import DeviceKey, PublicKey, encoded

SECRET_BYTES = 16
MAX_OPEN = 16
MAX_WRONG = 5
"""Wrong proofs for a uid that end its invitations: 128 bits are not guessed, but somebody tries."""
ANSWERS_PER_S, ANSWERS_BURST = 2.0, 20.0
"""How often a stranger is answered; what is more is counted, and answered by nothing."""
ANSWER_TTL_S = 30.0
THUMBPRINT = 43
KEPT = 32
"""Answers that are given again: the first may have been lost on its way."""

Code = Annotated[str, Meta(min_length=43, max_length=43)]
"""32 bytes in base64url."""


class PairBody(Struct, frozen=True):
    """`pair`: a key, and the proof that who sends it was given the invitation."""

    key: Code
    proof: Code


class PairedBody(Struct, frozen=True):
    """`paired`: what the key of that thumbprint may, or that it is not taken.

    `error` is `invalid_invitation`, `not_kept` (by this device; try again) or `not_known` (a key that
    was revoked, or never known).
    """

    kid: Name
    may: tuple[Right, ...] | None = None
    error: Literal["invalid_invitation", "not_kept", "not_known"] | None = None


PAIR, PAIRED = "pair", "paired"


def proof_of(secret: bytes, device_id: str, uid: str, key: str) -> str:
    """What only who was given the secret can say of a key, in base64url."""
    said = f"pair\n{device_id}\n{uid}\n{key}".encode()
    return encoded(hmac.new(secret, said, hashlib.sha256).digest())


Ending = Literal["paired", "expired", "guessed", "withdrawn", "failed"]


@dataclass(eq=False, slots=True)
class Invitation:
    """One that is open, or has ended; `expires_s` is monotonic time."""

    uid: str
    name: str
    may: tuple[Right, ...]
    secret: bytes
    expires_s: float
    ended: Callable[[Ending, str], None]
    """Told once: how, and the thumbprint of the key or a sentence."""
    barred: bool = False
    """Who is invited is one who was revoked, and comes anew."""
    wrong: set[tuple[str, str]] = field(default_factory=set)
    """What did not prove it: the same thing said again, as the broker and the phone do, counts once."""


class Invitations:
    """Those that are open. Pure: time is a parameter."""

    def __init__(self, device_id: str) -> None:
        """None is open."""
        self._device_id = device_id
        self._open: list[Invitation] = []
        self._invited: Recent[str, None] = Recent(KEPT)
        self.changed: Callable[[], None] = lambda: None
        """Called when somebody else is invited than before."""

    def __len__(self) -> int:
        return len(self._open)

    def issue(
        self,
        uid: str,
        name: str,
        may: tuple[Right, ...],
        *,
        lasts_s: float,
        now_s: float,
        ended: Callable[[Ending, str], None],
        barred: bool = False,
    ) -> Invitation:
        """A new one; `barred` is whether all of that contact was revoked.

        Raises Refused where too many are open.
        """
        self.expire(now_s)
        if len(self._open) >= MAX_OPEN:
            raise Refused("too_many_invitations", f"{MAX_OPEN} invitations are open already")
        secret = secrets.token_bytes(SECRET_BYTES)
        one = Invitation(uid, name, may, secret, now_s + lasts_s, ended, barred)
        self._open.append(one)
        self._invited[uid] = None
        self.changed()
        return one

    def uids(self) -> frozenset[str]:
        """Who is invited, and who was: whose invitation is good no more is answered so."""
        return frozenset((*self._invited, *(one.uid for one in self._open)))

    def forget(self, uid: str) -> None:
        """That contact was revoked: only an invitation that is open is a reason to listen to it."""
        self._invited.pop(uid, None)
        self.changed()

    def end(self, invitation: Invitation, how: Ending, what: str = "") -> None:
        """It is good no more; nothing happens where it was not."""
        if invitation in self._open:
            self._open.remove(invitation)
            invitation.ended(how, what)
            self.changed()  # who was revoked meanwhile is listened to no more

    def take(self, invitation: Invitation) -> None:
        """It was proven: it is good no more, and how it ended is told by whoever took it."""
        self._open.remove(invitation)

    def withdraw_all(self) -> None:
        """Nobody is invited any more."""
        for one in tuple(self._open):
            self.end(one, "withdrawn")

    def follow(self, barred: Callable[[str], bool]) -> None:
        """The contacts have changed: who was revoked since comes back by no invitation of before."""
        for one in tuple(self._open):
            was, one.barred = one.barred, barred(one.uid)
            if one.barred and not was:
                self.end(one, "withdrawn", f"{one.uid} was revoked")

    def expire(self, now_s: float) -> None:
        """End those whose time is over."""
        for one in [one for one in self._open if one.expires_s <= now_s]:
            self.end(one, "expired")

    def judge(self, uid: str, body: PairBody, now_s: float) -> Invitation:
        """The invitation that this proves; it is still open. Raises `Rejected`, and counts."""
        self.expire(now_s)
        mine = [one for one in self._open if one.uid == uid]
        if not mine:
            raise Rejected("not_invited", f"no invitation is open for {uid}")
        for one in mine:
            right = proof_of(one.secret, self._device_id, uid, body.key)
            if hmac.compare_digest(right.encode(), body.proof.encode()):
                return one
        for one in mine:
            one.wrong.add((body.key, body.proof))
            if len(one.wrong) >= MAX_WRONG:
                self.end(one, "guessed")
        raise Rejected("wrong_proof", f"{uid} was invited, and this does not prove it")


class Book(Protocol):
    """What pairing wants of the contacts."""

    def keys_of(self, uid: str) -> Container[str]:
        """The thumbprints of its keys, whatever stands behind them."""

    def may(self, uid: str) -> frozenset[Right]:
        """Its rights."""

    def add(self, uid: str, name: str | None, key: str, may: tuple[Right, ...]) -> Awaitable[str]:
        """Take a key in; gives its thumbprint. Raises Refused or OSError, and then has not."""


class Pairing:
    """Answers who brings a key, and tells who has one that is not known."""

    def __init__(self, device_id: str, key: DeviceKey, contacts: Book) -> None:
        """Nobody is invited yet; `key` is the device's own, which signs the answers."""
        self.invitations = Invitations(device_id)
        self._me = Address(device_id, "main")
        self._key = key
        self._contacts = contacts
        self._answers: TokenBucket | None = None
        self._concluded: Recent[tuple[str, str, str], PairedBody] = Recent(KEPT)
        self._concluding: set[tuple[str, str, str]] = set()
        self._met: Recent[Address, str] = Recent(256)

    # -------------------- a key is brought

    def asked(self, topic: str, payload: bytes) -> Letter | None:
        """The `pair` that this is, None for everything else. Raises `Rejected` for one that is broken."""
        if kind_of(payload) != PAIR:
            return None
        letter = decode_letter(topic, payload, PairBody)
        if letter.to.endpoint not in (None, self._me.endpoint):
            raise Rejected("misaddressed", "a pair is for the device, or its endpoint main")
        return letter

    def judge(self, letter: Letter, now_s: float) -> Invitation | PairedBody | None:
        """The invitation that it proves, taken, so that nothing else proves it any more.

        Or what the same was answered before; None while that is yet to come. Raises `Rejected`.
        """
        body, uid = _body(letter), letter.sender.uid
        said = (uid, body.key, body.proof)
        if said in self._concluding:
            return None
        again = self._concluded.get(said)
        if again is not None and again.kid in self._contacts.keys_of(uid):
            return again
        invitation = self.invitations.judge(uid, body, now_s)
        self.invitations.take(invitation)
        self._concluding.add(said)
        return invitation

    async def conclude(self, letter: Letter, invitation: Invitation) -> PairedBody:
        """Take the key in; what is answered. The invitation has ended, whatever comes of it."""
        body, uid = _body(letter), invitation.uid
        said, tell = (uid, body.key, body.proof), invitation.ended
        try:
            kid = await self._contacts.add(uid, invitation.name, body.key, invitation.may)
        except (ApplianceError, OSError) as fault:
            tell("failed", f"the key could not be kept: {fault}")
            return PairedBody(kid_of(body.key), error="not_kept")
        finally:
            self._concluding.discard(said)
        may = tuple(right for right in Right if right in self._contacts.may(uid))
        answer = PairedBody(kid, may)
        self._concluded[said] = answer
        tell("paired", kid)
        return answer

    def sealed(
        self, to: Address, call_id: str, body: PairedBody, *, seq: int, sent_at_ms: int
    ) -> bytes:
        """A `paired` as it is sent, signed whether its receiver is known or not."""
        letter = Letter(PAIRED, secrets.token_hex(16), call_id, self._me, to, body)
        payload = encode_letter(letter, seq=seq, sent_at_ms=sent_at_ms, ttl_s=ANSWER_TTL_S)
        return jws.seal(payload, self._key)

    @staticmethod
    def refusal(letter: Letter) -> PairedBody:
        """What is answered where nothing was proven, whatever was wrong."""
        return PairedBody(kid_of(_body(letter).key), error="invalid_invitation")

    def may_answer(self, now_s: float) -> bool:
        """Whether a stranger is answered: a flood is not."""
        if self._answers is None:
            self._answers = TokenBucket.full(ANSWERS_PER_S, ANSWERS_BURST, now_s)
        return self._answers.take(now_s)

    # -------------------- a key is not known

    def met(self, who: Address, kid: str | None) -> bool:
        """An endpoint has come with that key, or gone (None); whether it is to hear that it is unknown."""
        named = re.match(ID, who.uid) and re.match(ID, who.endpoint or "")
        if kid is None or not named or len(kid) != THUMBPRINT:
            self._met.pop(who, None)
            return False
        self._met[who] = kid
        return kid not in self._contacts.keys_of(who.uid)

    def revoked(self, kids: frozenset[str]) -> list[tuple[Address, str]]:
        """The endpoints that are there with keys that count no more."""
        return [(who, kid) for who, kid in self._met.items() if kid in kids]


def _body(letter: Letter) -> PairBody:
    assert isinstance(letter.body, PairBody)
    return letter.body


def kid_of(key: str) -> str:
    """The thumbprint of a key as somebody wrote it; empty for what is none."""
    try:
        return PublicKey.read(key).kid
    except ValueError:
        return ""
