"""Who asks, and what that one may: a stranger, who is logged in, or whoever works on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aiohttp import hdrs, web

from appliance.config import Http
from appliance.model import Right
from appliance.trust.contacts import Contacts
from appliance.web.guard import Guard, is_loopback
from appliance.web.sessions import SESSION_S, NotLetIn, Session, Sessions, TooManyAttempts

NO_STORE = {"Cache-Control": "no-store"}
COOKIE = "appliance"
SECURE_COOKIE = "__Host-appliance"
"""A browser takes one of this name only over TLS, from this very host, and sends it nowhere else."""
PASSED_ON = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
)
"""By these a reverse proxy tells that somebody else is behind it."""
FROM_ELSEWHERE = ("cross-site", "same-site")
"""Of Sec-Fetch-Site: a page of another origin made the browser ask (W3C Fetch Metadata)."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks; `uid` None is whoever works on this machine, without a login."""

    uid: str | None = None
    session: Session | None = None


class Access:
    """The rules about who may ask for what."""

    def __init__(self, http: Http, guard: Guard, contacts: Contacts, sessions: Sessions) -> None:
        """For a server that listens as [http] says."""
        self._guard, self._contacts, self._sessions = guard, contacts, sessions
        self._trusts_this_machine = http.login == "remote" and is_loopback(http.host)

    def asker(self, request: web.Request) -> Asker | None:
        """Who asks, None for a stranger."""
        session = self._sessions.of(self._secret(request))
        if session is not None:
            return Asker(session.uid, session)
        return Asker() if self._trusts_this_machine and self._is_of_here(request) else None

    def _is_of_here(self, request: web.Request) -> bool:
        """Whether nobody else is behind it: no proxy, under whose name or with whose headers it comes."""
        passed_on = any(name in request.headers for name in PASSED_ON)
        ours = request.get_extra_info("sockname")
        host = request.headers.get(hdrs.HOST)
        return not passed_on and self._guard.names_this_machine(host, ours[0] if ours else None)

    def refusal(self, asker: Asker | None, right: Right | None = None) -> web.Response | None:
        """Why it may not, None where it may; without a `right` every contact may."""
        if asker is None:
            return web.Response(
                status=401,
                text="This needs a login: see /login.\n",
                headers={**NO_STORE, hdrs.WWW_AUTHENTICATE: 'Key realm="appliance"'},
            )
        if (
            asker.uid is not None
            and right is not None
            and right not in self._contacts.may(asker.uid)
        ):
            sentence = f"{asker.uid} has not the right to {right.value}.\n"
            return web.Response(status=403, text=sentence, headers=NO_STORE)
        return None

    # -------------------- logging in and out

    async def login(self, request: web.Request) -> web.Response:
        """A challenge that was signed becomes a session, whose secret is a cookie."""
        entry = await _entry(request)
        if entry is None:
            sentence = "This is a JSON object with the texts uid, kid, challenge and signature.\n"
            return web.Response(status=400, text=sentence, headers=NO_STORE)
        origin = self._origin(request)
        try:
            secret, session = self._sessions.login(
                **entry, origin=origin, address=request.remote or ""
            )
        except TooManyAttempts as fault:
            headers = {**NO_STORE, hdrs.RETRY_AFTER: str(int(fault.after_s) + 1)}
            return web.Response(status=429, text=f"{fault}\n", headers=headers)
        except NotLetIn:
            return web.Response(status=401, text="This is not believed.\n", headers=NO_STORE)
        may = sorted(right.value for right in self._contacts.may(session.uid))
        told = {"uid": session.uid, "may": may, "expires_s": int(SESSION_S)}
        response = web.json_response(told, headers=NO_STORE)
        secure = origin.startswith("https:")
        response.set_cookie(
            SECURE_COOKIE if secure else COOKIE,
            secret,
            max_age=int(SESSION_S),
            path="/",
            secure=secure,
            httponly=True,
            samesite="Strict",
        )
        return response

    def _secret(self, request: web.Request) -> str | None:
        """The cookie's; over TLS none that whoever answers for this host without it could have set."""
        plain = None if self._guard.scheme == "https" else request.cookies.get(COOKIE)
        return request.cookies.get(SECURE_COOKIE) or plain

    def _origin(self, request: web.Request) -> str:
        """What the page's origin is; a program that is no browser signs the one that it asks."""
        told = request.headers.get(hdrs.ORIGIN)
        return (told or f"{self._guard.scheme}://{request.headers.get(hdrs.HOST, '')}").lower()

    def challenge(self) -> web.Response:
        """Something to be signed."""
        return web.json_response({"challenge": self._sessions.challenge()}, headers=NO_STORE)

    def logout(self, request: web.Request) -> web.Response:
        """The session is over."""
        self._sessions.logout(self._secret(request))
        response = web.Response(status=204, headers=NO_STORE)
        response.del_cookie(COOKIE, path="/")
        response.del_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return response


def is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether the browser says that a page of another origin made it ask, though it names none.

    An `<img>` of a foreign page has no Origin, and would open the camera.
    """
    return hdrs.ORIGIN not in headers and headers.get("Sec-Fetch-Site") in FROM_ELSEWHERE


Part = Literal["uid", "kid", "challenge", "signature"]
PARTS: tuple[Part, ...] = ("uid", "kid", "challenge", "signature")
MAX_ENTRY_BYTES = 2048


async def _entry(request: web.Request) -> dict[Part, str] | None:
    if request.content_type != "application/json":
        return None
    body = await request.read()
    try:
        said = json.loads(body) if len(body) <= MAX_ENTRY_BYTES else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    entry = {part: said.get(part) for part in PARTS}
    return entry if all(isinstance(one, str) for one in entry.values()) else None  # type: ignore[return-value]
