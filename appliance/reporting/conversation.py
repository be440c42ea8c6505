"""One client of the local socket's protocol, whatever carries its lines: a socket or a WebSocket.

A request is `{"id": .., KIND: ..}`, of the kinds subscribe, command, status, press, plug, recent,
call_log, contacts, revoke and pair; the answer has the same id. Requests are answered in their order;
a further `subscribe` replaces the one before. What becomes of an invitation is told later, with the
same id; it is good as long as the client is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, ExitStack
from fnmatch import fnmatchcase
from typing import Any, Protocol

import msgspec

from appliance.commands import Command, parse_command
from appliance.errors import ApplianceError, Refused, did_you_mean
from appliance.events import EVENTS
from appliance.limits import TokenBucket
from appliance.model import AudioMode, Gesture, Json
from appliance.nesting import MAX_DEPTH, too_deep

RATE_PER_S, BURST = 50.0, 200.0
"""Of one client; more is read later."""
MAX_PATTERNS = 64
MAX_ENTRIES = 10_000
"""Calls that are told at once: the most that a log can hold."""
MAX_WAITING = 1000
"""Events that wait for a slow client before the oldest are dropped."""

REQUESTS = {
    "subscribe": {"subscribe"},
    "command": {"command", "args"},
    "status": {"status"},
    "press": {"press", "gesture"},
    "plug": {"plug", "present"},
    "recent": {"recent"},
    "call_log": {"call_log"},
    "contacts": {"contacts"},
    "revoke": {"revoke", "key"},
    "pair": {"pair"},
}
"""The keys of each request beside `id`, under the key that makes it what it is."""


class Dropped(Protocol):
    """Stands between two events of a subscription: `count` were lost here."""

    @property
    def count(self) -> int:
        """How many."""


Events = AsyncIterable[Mapping[str, Any] | Dropped]
"""The events of one subscription, as CloudEvents objects."""


class Contacts(Protocol):
    """Who is known to the appliance."""

    def listing(self) -> Sequence[Mapping[str, Any]]:
        """Every contact with its rights and keys."""

    async def revoke(self, uid: str, key: str | None = None) -> Sequence[str]:
        """Refuse a key, or all of a contact, from now on; gives thumbprints. Raises Refused, OSError."""


class Invited(Protocol):
    """An invitation to pair."""

    @property
    def told(self) -> Mapping[str, Any]:
        """What the client is told of it, the secret included."""

    async def outcome(self) -> Mapping[str, Any]:
        """What became of it, once it has ended."""

    def withdraw(self) -> None:
        """The client is gone: it is good no more."""


class Invite(Protocol):
    """Makes invitations; raises Refused."""

    def __call__(
        self,
        name: str,
        may: Sequence[str] | None,
        lasts_s: float | None,
        *,
        on_screen: bool = False,
    ) -> Awaitable[Invited]:
        """For a person's phone, which may that, for so long; shown on the device's own screen too."""


class Session(Protocol):
    """What a client may reach of the appliance."""

    def command(self, command: Command, origin: str) -> Awaitable[Json]:
        """Carry out a command; raises Refused."""

    def status(self) -> Mapping[str, Any]:
        """The `status` object."""

    def subscribe(self, patterns: tuple[str, ...], limit: int) -> AbstractContextManager[Events]:
        """The events whose names match, from now on; at most `limit` wait, the newest."""


Press = Callable[[str, Gesture], Awaitable[None]]
"""Moves a button of the simulated board as a finger would; raises Refused."""

CallLog = Callable[[int], Awaitable[Sequence[Mapping[str, Any]]]]
"""The latest calls, newest first, as many as asked for, once they are kept; raises Refused."""

Plug = Callable[[AudioMode, bool], Awaitable[None]]
"""Plugs an output of sound of the simulated board in (True) or out; raises Refused."""

Send = Callable[[Mapping[str, Any]], None]
"""Gives an object to the client; called on the loop, and does not wait."""

Start = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Runs something beside the conversation, and owns it."""


async def _at_once() -> None:
    """There is always room."""


async def no_calls(limit: int) -> Sequence[Mapping[str, Any]]:
    """The call log of who keeps none."""
    del limit
    return ()


class Conversation:
    """Answers one client and tells it of events.

    `send` gives it an object; `ready` waits until it can take another event, while the subscription
    keeps the newest; `start` runs and owns a task; `recent` are the latest events, `call_log` the calls;
    `press` and `plug` move a simulated board's parts; `contacts` may be listed and revoked, where given.
    """

    def __init__(
        self,
        session: Session,
        press: Press | None,
        send: Send,
        *,
        start: Start,
        ready: Callable[[], Awaitable[None]] = _at_once,
        plug: Plug | None = None,
        recent: Iterable[Mapping[str, Any]] = (),
        call_log: CallLog = no_calls,
        contacts: Contacts | None = None,
        invite: Invite | None = None,
        origin: str = "socket",
    ) -> None:
        self._session = session
        self._press = press
        self._plug = plug
        self._send = send
        self._start = start
        self._ready = ready
        self._recent = recent
        self._call_log = call_log
        self._origin = origin
        self._contacts = contacts
        self._invite = invite
        self._telling = ExitStack()
        self._inviting = ExitStack()
        self._share = TokenBucket.full(RATE_PER_S, BURST, time.monotonic())

    def close(self) -> None:
        """The client is gone: send nothing any more."""
        self._telling.close()
        self._inviting.close()

    async def handle(self, text: str | bytes) -> None:
        """Take one line of the client and answer it; whatever it says, the conversation goes on.

        Who asks faster than its share is read more slowly, and takes nothing of the others' time.
        """
        if not self._share.take(time.monotonic()):
            await asyncio.sleep(self._share.wait_s())
            self._share.take(time.monotonic())
        request: dict[str, Any] = {}
        try:
            request = _decode(text)
            await self._take(request)
        except ApplianceError as refused:
            self.refuse(refused, request.get("id"))

    def refuse(self, refused: ApplianceError, request_id: Json = None) -> None:
        """Answer that a request was not carried out, and why."""
        error = {"code": refused.code, "message": str(refused)}
        self._send({"id": request_id, "ok": False, "error": error})

    async def _take(self, request: Mapping[str, Any]) -> None:
        kind = _kind(request)
        if kind == "subscribe":
            self._subscribe(_patterns(request["subscribe"]), request["id"])
            return
        if kind == "pair":
            await self._pair(request["pair"], request["id"])
            return
        result: Json = None
        if kind == "command":
            result = await self._session.command(_command(request), self._origin)
        elif kind == "status":
            result = self._session.status()
        elif kind == "recent":
            result = list(self._recent)
        elif kind == "call_log":
            result = await self._call_log(_limit(request["call_log"]))
        elif kind == "contacts":
            result = list(self._book().listing())
        elif kind == "revoke":
            result = await self._revoke(request)
        elif kind == "plug":
            await self._plug_in(request)
        else:
            await self._move(request)
        self._send({"id": request["id"], "ok": True, "result": result})

    def _book(self) -> Contacts:
        if self._contacts is None:
            raise Refused("not_here", "contacts are for programs on the device alone")
        return self._contacts

    async def _revoke(self, request: Mapping[str, Any]) -> list[str]:
        uid, key = request["revoke"], request.get("key")
        if not isinstance(uid, str) or not isinstance(key, str | None):
            raise Refused("bad_request", "revoke wants the uid of a contact, and key a text")
        try:
            return list(await self._book().revoke(uid, key))
        except OSError as error:
            sentence = f"it holds until the next start, and cannot be kept: {error.strerror}"
            raise Refused("not_kept", sentence) from None

    async def _pair(self, wanted: Any, request_id: Json) -> None:
        if self._invite is None:
            raise Refused("not_ready", "this appliance cannot pair phones")
        name, may, lasts_s = _invitation(wanted)
        on_screen = wanted.get("on_screen", False)
        invited = await self._invite(name, may, lasts_s, on_screen=on_screen)
        self._inviting.callback(invited.withdraw)
        self._send({"id": request_id, "ok": True, "result": invited.told})
        telling = self._start(self._tell_outcome(invited, request_id))
        self._inviting.callback(telling.cancel)

    async def _tell_outcome(self, invited: Invited, request_id: Json) -> None:
        self._send({"id": request_id, "pairing": await invited.outcome()})

    async def _move(self, request: Mapping[str, Any]) -> None:
        button, gesture = request["press"], request.get("gesture", Gesture.PRESS)
        if self._press is None:
            raise Refused("not_simulated", "this board is real: press the button itself")
        if not isinstance(button, str):
            raise Refused("bad_request", "press wants a button's name")
        if gesture not in [*Gesture]:
            near = did_you_mean(gesture, Gesture) if isinstance(gesture, str) else ""
            raise Refused("bad_request", f"a gesture is one of {', '.join(Gesture)}{near}")
        await self._press(button, Gesture(gesture))

    async def _plug_in(self, request: Mapping[str, Any]) -> None:
        output, present = request["plug"], request.get("present")
        if self._plug is None:
            raise Refused("not_simulated", "this board is real: plug it in yourself")
        if output not in [*AudioMode]:
            near = did_you_mean(output, AudioMode) if isinstance(output, str) else ""
            raise Refused("bad_request", f"plug wants one of {', '.join(AudioMode)}{near}")
        if not isinstance(present, bool):
            raise Refused("bad_request", "plug wants present, true or false")
        await self._plug(AudioMode(output), present)

    def _subscribe(self, patterns: tuple[str, ...], request_id: Json) -> None:
        """Tell of events from now on; the answer comes before them."""
        self._telling.close()
        events = self._telling.enter_context(self._session.subscribe(patterns, MAX_WAITING))
        self._send({"id": request_id, "ok": True, "result": None})
        self._telling.callback(self._start(self._tell(events)).cancel)

    async def _tell(self, events: Events) -> None:
        try:
            async for item in events:
                self._send(item if isinstance(item, Mapping) else {"dropped": item.count})
                await self._ready()
        except ConnectionError:
            pass  # expected: the client went away, which its reader notices too


def _decode(text: str | bytes) -> dict[str, Any]:
    if too_deep(text):
        raise Refused("malformed", f"this line is nested more than {MAX_DEPTH} deep")
    try:
        request = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # which msgspec lets through
        raise Refused("malformed", f"this line is not JSON: {error}") from None
    if not isinstance(request, dict):
        raise Refused("malformed", "a request is a JSON object")
    return request


def _kind(request: Mapping[str, Any]) -> str:
    """Which request it is; Refused where it is none, or more than one."""
    if type(request.get("id")) not in (str, int, float):
        raise Refused("bad_request", "a request has an id, a text or a number of your choice")
    kinds = [kind for kind in REQUESTS if kind in request]
    if len(kinds) != 1:
        raise Refused("bad_request", f"a request has one of the keys {', '.join(REQUESTS)}")
    kind = kinds[0]
    for key in request.keys() - REQUESTS[kind] - {"id"}:
        near = did_you_mean(key, REQUESTS[kind])
        raise Refused("bad_request", f'a {kind} request has no key "{key}"{near}')
    if kind in ("status", "recent", "contacts") and request[kind] is not True:
        raise Refused("bad_request", f"{kind} is asked for with true")
    return kind


def _invitation(wanted: Any) -> tuple[str, Sequence[str] | None, float | None]:
    if not isinstance(wanted, dict) or wanted.keys() - {"name", "may", "expires_s", "on_screen"}:
        sentence = "pair wants an object with name, and may, expires_s and on_screen or not"
        raise Refused("bad_request", sentence)
    name, may, lasts_s = wanted.get("name"), wanted.get("may"), wanted.get("expires_s")
    if not isinstance(name, str):
        raise Refused("bad_request", "pair wants the name of a person")
    if may is not None and not (
        isinstance(may, list) and all(isinstance(right, str) for right in may)
    ):
        raise Refused("bad_request", "may is a list of rights")
    if lasts_s is not None and (type(lasts_s) not in (int, float) or not lasts_s > 0):
        raise Refused("bad_request", "expires_s is a number of seconds")
    if type(wanted.get("on_screen", False)) is not bool:
        raise Refused("bad_request", "on_screen is true or false")
    return name, may, lasts_s


def _limit(limit: Json) -> int:
    if type(limit) is not int or not 1 <= limit <= MAX_ENTRIES:
        raise Refused("bad_request", f"call_log wants a number of calls, 1 to {MAX_ENTRIES}")
    return limit


def _command(request: Mapping[str, Any]) -> Command:
    name, args = request["command"], request.get("args")
    if not isinstance(name, str) or not isinstance(args, dict | None):
        raise Refused("bad_request", "command wants a name, and args an object")
    try:
        return parse_command(name, args or {})
    except ValueError as error:
        raise Refused("bad_command", str(error)) from None


def _patterns(patterns: Any) -> tuple[str, ...]:
    """Globs over event names, each of which matches at least one."""
    if not isinstance(patterns, list) or not all(isinstance(each, str) for each in patterns):
        raise Refused("bad_request", 'subscribe wants a list of patterns, such as ["call_*"]')
    if len(patterns) > MAX_PATTERNS:
        raise Refused("bad_request", f"{MAX_PATTERNS} patterns at most")
    for pattern in patterns:
        bare = pattern.removeprefix("appliance.")
        if not any(fnmatchcase(name, bare) for name in EVENTS):
            near = did_you_mean(bare, EVENTS)
            raise Refused("bad_request", f'no event is called "{pattern}"{near}')
    return tuple(patterns)
