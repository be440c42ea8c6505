"""The shell of the core: one inbox, one task that turns inputs into events and effects, in order."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import ClassVar, Protocol

from msgspec.structs import replace

from appliance.bus import Bus
from appliance.calls.effects import Effect, Emit, Output, Reply, StartTimer, StopTimer
from appliance.calls.inputs import (
    CommandIssued,
    ContactsChanged,
    FaultReported,
    Input,
    MessageReceived,
    PictureWanted,
    PresenceChanged,
    Started,
    StopRequested,
    Timer,
    TimerFired,
    ViewerOffered,
    ViewerTrickled,
)
from appliance.calls.machine import advance
from appliance.calls.moment import Moment
from appliance.calls.policy import Policy
from appliance.calls.state import State
from appliance.commands import Command
from appliance.errors import Refused
from appliance.model import Json

log = logging.getLogger(__name__)

_STOPPING = "the appliance is stopping"
_OVERLOADED = "the appliance has too much to do at once; try again"

INBOX_MAX = 10_000
"""More inputs than this are waiting only if something floods; the newest are then dropped."""
OWN_MAX = 1_000
"""So many more may wait of what nobody else has a hand in: a button, a timer, a connection that ends."""
OF_OTHERS = (
    CommandIssued,
    FaultReported,
    MessageReceived,
    PictureWanted,
    PresenceChanged,
    ViewerOffered,
    ViewerTrickled,
)


class Edge(Protocol):
    """Who performs effects, and reports back through `post`."""

    EFFECTS: ClassVar[tuple[type[Effect], ...]]

    def perform(self, effect: Effect) -> None:
        """Do it, or begin to; called on the loop, does not block, does not raise."""


class Engine:
    """Runs the core. `post` is the one way in, from any thread; `run` is the one task that decides."""

    def __init__(
        self,
        policy: Policy,
        bus: Bus,
        *,
        context: Callable[[str | None], AbstractContextManager[object]] = lambda _: nullcontext(),
        state: State | None = None,
    ) -> None:
        """Begin idle, with what `state` remembers of the run before.

        `context(call_id)` surrounds what is done for a call, for the log.
        """
        self.policy = policy
        self.state = state or State()
        self.observers: list[Callable[[State], None]] = []
        self._bus = bus
        self._context = context
        self._inbox: asyncio.Queue[Input] = asyncio.Queue()  # bounded by `_put`
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()
        self._performers: dict[type[Effect], Edge] = {}
        self._waiting: list[Effect] = []
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._replies: dict[int, asyncio.Future[Json]] = {}
        self._requests = 0
        self.dropped = 0

    # -------------------- the way in

    def bind(self) -> None:
        """Take the running loop; before this nothing may be posted from another thread."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def post(self, arrived: Input) -> None:
        """Put something that happened into the inbox; safe from any thread."""
        if threading.get_ident() == self._thread:
            self._put(arrived)
            return
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._put, arrived)
        except RuntimeError:  # the loop is closed: a thread that ends last has nobody to tell
            log.debug("%s came after the end", type(arrived).__name__)

    def _put(self, arrived: Input) -> None:
        """Queue it; a flood of others' pushes out theirs, and who waits is told; a stop always has room."""
        most = INBOX_MAX if isinstance(arrived, OF_OTHERS) else INBOX_MAX + OWN_MAX
        if isinstance(arrived, StopRequested):
            self._stopping = True
        elif self._inbox.qsize() >= most:
            self.dropped += 1
            if isinstance(arrived, CommandIssued) and arrived.request is not None:
                self._reply(Reply(arrived.request, code="overloaded", message=_OVERLOADED))
            return
        self._inbox.put_nowait(arrived)

    async def command(self, command: Command, origin: str) -> Json:
        """Give a command and wait for its result; raises Refused with the reason."""
        if self._stopping:
            raise Refused("stopping", _STOPPING)
        self._requests += 1
        request = self._requests
        reply: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._replies[request] = reply
        self.post(CommandIssued(command, origin, request))
        try:
            return await reply
        finally:
            self._replies.pop(request, None)

    # -------------------- the turns

    def attach(self, edge: Edge) -> None:
        """Let an edge perform the effects that it names, and first those that waited for it."""
        for effect in edge.EFFECTS:
            if effect in self._performers:
                raise ValueError(f"two edges perform {effect.__name__}")
            self._performers[effect] = edge
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self._perform(one)

    async def run(self) -> None:
        """Decide until a stop was asked for and carried out."""
        try:
            await self._turn(Started())
            while not self.state.stopping:
                arrived = await self._inbox.get()
                await self._turn(arrived)
        finally:
            self._stopping = True
            for handle in self._timers.values():
                handle.cancel()
            self._timers.clear()
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(Refused("stopping", _STOPPING))

    def stop(self) -> None:
        """Ask for the end: calls are ended first."""
        self.post(StopRequested())

    async def _turn(self, arrived: Input) -> None:
        loop = asyncio.get_running_loop()
        now = _moment(loop.time(), secrets.token_hex(32))
        before = self.state
        self.state, outputs = advance(self.policy, before, arrived, now)
        if isinstance(arrived, ContactsChanged):
            self.policy = replace(self.policy, contacts=arrived.contacts)
        for output in outputs:
            await self._put_out(output)
        if self.state is not before:
            for observer in self.observers:
                observer(self.state)

    async def _put_out(self, output: Output) -> None:
        if isinstance(output, Emit):
            with self._context(output.call_id):
                self._bus.publish(output.event, output.call_id)
            if self._bus.has_listeners:
                await asyncio.sleep(0)  # coroutine listeners begin before the next step is taken
            return
        assert isinstance(output, Effect)
        with self._context(_call_of(output)):
            self._perform(output)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case StartTimer():
                self._start(effect)
            case StopTimer(timer):
                self._stop(timer)
            case Reply():
                self._reply(effect)
            case _:
                edge = self._performers.get(type(effect))
                if edge is None:  # the appliance is still coming alive
                    self._waiting.append(effect)
                else:
                    edge.perform(effect)

    # -------------------- timers and replies

    def _start(self, effect: StartTimer) -> None:
        self._stop(effect.timer)
        loop = asyncio.get_running_loop()
        self._timers[effect.timer] = loop.call_later(effect.delay_s, self._fire, effect.timer)

    def _stop(self, timer: Timer) -> None:
        handle = self._timers.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def _fire(self, timer: Timer) -> None:
        self._timers.pop(timer, None)
        self.post(TimerFired(timer))

    def _reply(self, reply: Reply) -> None:
        waiting = self._replies.get(reply.request)
        if waiting is None or waiting.done():
            return
        if reply.code is None:
            waiting.set_result(reply.result)
        else:
            waiting.set_exception(Refused(reply.code, reply.message or reply.code))


def _moment(monotonic_s: float, fresh: str) -> Moment:
    utc = datetime.now(UTC)
    return Moment(monotonic_s, utc, fresh, utc.astimezone())


def _call_of(effect: Effect) -> str | None:
    """The call that an effect is for, where it says so."""
    call_id: str | None = getattr(getattr(effect, "peer", effect), "call_id", None)
    return call_id
