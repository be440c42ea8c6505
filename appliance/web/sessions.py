"""Logging in with a contact's key: a challenge, its signature, and a session until it ends or the key does.

Laws: a challenge counts once, for 60 s, and for one origin; who is not let in is told nothing of why; no
session outlives its key. Nothing that a stranger can ask for takes memory without end.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.trust.contacts import Contacts
from appliance.trust.keys import SIGNATURE_BYTES, decoded, encoded
from appliance.web.addresses import one_of

CHALLENGE_S = 60.0
SESSION_S = 12 * 3600.0
MAX_SESSIONS = 64
MAX_SESSIONS_OF_ONE = 16
"""Of one uid: who logs in once more ends the oldest of these."""

ATTEMPTS = 10
"""That fail, of one address or one /64 of IPv6, until it has to wait,"""
ATTEMPT_EVERY_S = 6.0
"""and how often it may try from then on."""
ALL_ATTEMPTS = 100
ALL_EVERY_S = 0.2
MAX_ADDRESSES = 256

_NONCE, _TIME, _MARK = 16, 8, 16


class NotLetIn(Exception):
    """Who asks is not believed. It is not told why."""


class TooManyAttempts(Exception):
    """Too much was tried; `after_s` is how long to wait."""

    def __init__(self, after_s: float) -> None:
        """Keep the time."""
        super().__init__(f"too many attempts: wait {after_s:.0f} s")
        self.after_s = after_s


@dataclass(slots=True, eq=False)
class Session:
    """Somebody who has logged in. Each of `on_over` is called once, when that has ended."""

    uid: str
    kid: str
    until_s: float
    over: bool = False
    on_over: list[Callable[[], None]] = field(default_factory=list)

    def end(self) -> None:
        """From now on it is nobody's."""
        if not self.over:
            self.over = True
            for tell in tuple(self.on_over):
                tell()


class Patience:
    """So many attempts at once, and one more each `every_s`."""

    def __init__(self, burst: int, every_s: float, now_s: float) -> None:
        """Begin with all of them."""
        self._burst, self._every_s = burst, every_s
        self._left, self._at_s = float(burst), now_s

    def _fill(self, now_s: float) -> None:
        self._left = min(self._burst, self._left + (now_s - self._at_s) / self._every_s)
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """How long until one more is borne; 0 is now."""
        self._fill(now_s)
        return 0.0 if self._left >= 1 else (1 - self._left) * self._every_s

    def spend(self, now_s: float) -> None:
        """One was made."""
        self._fill(now_s)
        self._left = max(0.0, self._left - 1)


class Sessions:
    """Who is logged in. On the loop; `close` it at the end."""

    def __init__(self, contacts: Contacts, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds: what is wrong with the time of day is of no matter here."""
        self._contacts, self._clock = contacts, clock
        self._key = secrets.token_bytes(32)
        self._used: dict[str, float] = {}
        """Challenges that were answered rightly, and until when they would still count."""
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._failed: OrderedDict[str, Patience] = OrderedDict()
        self._all = Patience(ALL_ATTEMPTS, ALL_EVERY_S, clock())
        self._unwatch = contacts.watch(lambda _: self._judge())

    # -------------------- a challenge and its signature

    def challenge(self) -> str:
        """Something to be signed. It is remembered by itself alone: asking for many fills nothing."""
        until_ms = int((self._clock() + CHALLENGE_S) * 1000)
        body = secrets.token_bytes(_NONCE) + until_ms.to_bytes(_TIME, "big")
        return encoded(body + self._mark(body))

    def _mark(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_MARK]

    def login(
        self, uid: str, kid: str, challenge: str, signature: str, *, origin: str, address: str
    ) -> tuple[str, Session]:
        """Let somebody in: gives the secret that is to be brought each time, and the session.

        What was signed is "login", the page's origin and the challenge, a line each. Raises NotLetIn,
        or TooManyAttempts of that address or of all.
        """
        now_s = self._clock()
        patience = self._patience(address, now_s)
        wait_s = max(patience.wait_s(now_s), self._all.wait_s(now_s))
        if wait_s:
            raise TooManyAttempts(wait_s)
        self._all.spend(now_s)
        try:
            self._verify(uid, kid, challenge, signature, origin, now_s)
        except NotLetIn:
            patience.spend(now_s)
            raise
        return self._begin(uid, kid, now_s)

    def _patience(self, address: str, now_s: float) -> Patience:
        one = one_of(address)
        patience = self._failed.pop(one, None) or Patience(ATTEMPTS, ATTEMPT_EVERY_S, now_s)
        self._failed[one] = patience
        if len(self._failed) > MAX_ADDRESSES:
            self._failed.popitem(last=False)
        return patience

    def _verify(
        self, uid: str, kid: str, challenge: str, signature: str, origin: str, now_s: float
    ) -> None:
        key = self._contacts.keys_of(uid).get(kid)
        try:
            body, signed_by = decoded(challenge), decoded(signature)
        except ValueError:
            raise NotLetIn from None
        if len(body) != _NONCE + _TIME + _MARK or len(signed_by) != SIGNATURE_BYTES:
            raise NotLetIn
        said, mark = body[:-_MARK], body[-_MARK:]
        until_s = int.from_bytes(said[_NONCE:], "big") / 1000
        self._used = {one: end_s for one, end_s in self._used.items() if end_s > now_s}
        if (
            not hmac.compare_digest(mark, self._mark(said))
            or now_s >= until_s
            or challenge in self._used
            or key is None
            or not key.verifies(signed_by, f"login\n{origin}\n{challenge}".encode())
        ):
            raise NotLetIn
        self._used[challenge] = until_s

    # -------------------- sessions

    def _begin(self, uid: str, kid: str, now_s: float) -> tuple[str, Session]:
        secret = secrets.token_urlsafe(32)
        session = Session(uid, kid, now_s + SESSION_S)
        self._sweep(now_s)
        own = [key for key, one in self._sessions.items() if one.uid == uid]
        if len(own) >= MAX_SESSIONS_OF_ONE:
            self._end(own[0])
        elif len(self._sessions) >= MAX_SESSIONS:
            self._end(next(iter(self._sessions)))
        self._sessions[_hidden(secret)] = session
        return secret, session

    def of(self, secret: str | None) -> Session | None:
        """Whose secret that is; None where it is nobody's (any more)."""
        if not secret:
            return None
        session = self._sessions.get(_hidden(secret))
        if session is not None and session.until_s <= self._clock():
            self._end(_hidden(secret))
            return None
        return session

    def logout(self, secret: str | None) -> None:
        """Somebody has had enough."""
        if secret:
            self._end(_hidden(secret))

    def sweep(self) -> None:
        """End what has lasted for long enough."""
        self._sweep(self._clock())

    def _sweep(self, now_s: float) -> None:
        for key in [key for key, one in self._sessions.items() if one.until_s <= now_s]:
            self._end(key)

    def _judge(self) -> None:
        """The contacts have changed: whose key counts no more is out."""
        for key, session in list(self._sessions.items()):
            if session.kid not in self._contacts.keys_of(session.uid):
                self._end(key)

    def _end(self, key: bytes) -> None:
        session = self._sessions.pop(key, None)
        if session is not None:
            session.end()

    def __len__(self) -> int:
        return len(self._sessions)

    def close(self) -> None:
        """End them all."""
        self._unwatch()
        for key in list(self._sessions):
            self._end(key)


def _hidden(secret: str) -> bytes:
    """Under what it is kept: a secret that is looked for by its hash tells nothing by the time it takes."""
    # bytes that are no UTF-8 come out of a cookie as surrogates
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
