"""Delivery of events: numbered once, the same for everyone, in the same order; nobody slows another.

Each event becomes one CloudEvents 1.0 object (https://github.com/cloudevents/spec). Sinks see it at once,
listeners are called with the event's fields, subscriptions read it from a bounded queue of their own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any, Self

from msgspec import Struct

from appliance.events import Event
from appliance.listeners import Listener

log = logging.getLogger(__name__)

CloudEvent = Mapping[str, Any]
"""One event as every outlet shows it."""

RECENT = 200
"""How many events are kept for who comes late."""
SLOW_S = 0.05
"""A listener that blocks for longer is named in the log."""
PREFIX = "appliance."
DEPTH_MAX = 64


def to_json(value: Any, depth: int = 0) -> Any:
    """Make of an event's value what JSON can say: times in RFC 3339, enumerations by their value.

    What lies more than 64 deep becomes an ellipsis: nobody's value is to break who tells of it.
    """
    if depth > DEPTH_MAX:
        return "…"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Struct):
        return {name: to_json(getattr(value, name), depth + 1) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): to_json(entry, depth + 1) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(entry, depth + 1) for entry in value]
    return value


def matches(pattern: str, type_: str) -> bool:
    """Whether a glob means an event type; the prefix `appliance.` may be left out."""
    return fnmatchcase(type_, pattern) or fnmatchcase(type_.removeprefix(PREFIX), pattern)


class Dropped(Struct, frozen=True):
    """In the place of events that a slow reader lost: how many."""

    count: int


class Subscription:
    """A bounded view of the events; when it is full the oldest are lost, and the reader is told."""

    def __init__(self, bus: Bus, patterns: Iterable[str], limit: int) -> None:
        """Begin with the next event."""
        self._bus = bus
        self._patterns = tuple(patterns)
        self._limit = limit
        self._waiting: deque[CloudEvent] = deque()
        self._dropped = 0
        self._ready = asyncio.Event()

    def offer(self, item: CloudEvent) -> None:
        """Queue an event that it asked for."""
        if not any(matches(pattern, item["type"]) for pattern in self._patterns):
            return
        if len(self._waiting) >= self._limit:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(item)
        self._ready.set()

    def __enter__(self) -> Self:
        self._bus.subscriptions.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._bus.subscriptions.discard(self)

    def __aiter__(self) -> AsyncIterator[CloudEvent | Dropped]:
        return self

    async def __anext__(self) -> CloudEvent | Dropped:
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        if self._dropped:
            dropped, self._dropped = Dropped(self._dropped), 0
            return dropped
        return self._waiting.popleft()


class _Registered:
    """A listener, and the queue of its coroutines: one after the other, on a task of its own."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.waiting: asyncio.Queue[Awaitable[object]] = asyncio.Queue(1000)
        self.task: asyncio.Task[None] | None = None


class Bus:
    """Gives every event its number and hands it to everyone. Runs inside `async with`."""

    def __init__(
        self,
        device_id: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_failure: Callable[[str, str], None] = lambda where, message: None,
    ) -> None:
        """Name the source; `on_failure(where, message)` hears of listeners that raise."""
        self._source = f"/appliance/{device_id}"
        self._boot_id = secrets.token_hex(8)
        self._sequence = 0
        self._clock = clock
        self._on_failure = on_failure
        self.recent: deque[CloudEvent] = deque(maxlen=RECENT)
        self.subscriptions: set[Subscription] = set()
        self.sinks: list[Callable[[CloudEvent], None]] = []
        self._listeners: dict[object, _Registered] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        for registered in self._listeners.values():
            _stop(registered)
        self._listeners.clear()
        tasks, self._tasks = self._tasks, None
        assert tasks is not None
        await tasks.__aexit__(*exc)

    # -------------------- giving

    def publish(self, event: Event, call_id: str | None = None) -> CloudEvent:
        """Number an event and hand it to sinks, listeners and subscriptions, in this order."""
        self._sequence += 1
        names = event.data_fields()
        item: CloudEvent = {
            "specversion": "1.0",
            "id": f"{self._boot_id}-{self._sequence}",
            "source": self._source,
            "type": PREFIX + event.NAME,
            "time": to_json(self._clock()),
            "subject": call_id,
            "sequence": str(self._sequence),
            "family": event.FAMILY,
            "data": {name: to_json(getattr(event, name)) for name in names},
        }
        self.recent.append(item)
        for sink in self.sinks:
            sink(item)
        for registered in tuple(self._listeners.values()):
            self._call(registered, event, names)
        for subscription in tuple(self.subscriptions):
            subscription.offer(item)
        return item

    @property
    def has_listeners(self) -> bool:
        """Whether anybody is to be reached before the next step."""
        return bool(self._listeners)

    def subscribe(self, patterns: Iterable[str] = ("*",), limit: int = 1000) -> Subscription:
        """Read the events that a glob means: `with bus.subscribe(["session_*"]) as events:`."""
        return Subscription(self, patterns, limit)

    # -------------------- listeners

    def add_listener(self, listener: Listener, listener_id: object = None) -> None:
        """Call the listener's methods from now on; one of the same id is replaced."""
        key = listener if listener_id is None else listener_id
        self.remove_listener(key)
        self._listeners[key] = _Registered(listener)

    def remove_listener(self, listener: object) -> bool:
        """Call it no more, by its id or itself; says whether it was there."""
        for key, registered in list(self._listeners.items()):
            if key is listener or key == listener or registered.listener is listener:
                _stop(self._listeners.pop(key))
                return True
        return False

    def _call(self, registered: _Registered, event: Event, names: tuple[str, ...]) -> None:
        handler = registered.listener.handler(event.NAME)
        if handler is None:
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            result = handler(*(getattr(event, name) for name in names))
        except Exception as error:
            self._failed(registered, event.NAME, error)
            return
        if isinstance(result, Awaitable):
            self._queue(registered, event.NAME, result)
        elif loop.time() - began > SLOW_S:
            log.warning("listener %r held the loop in on_%s", registered.listener, event.NAME)

    def _queue(self, registered: _Registered, name: str, result: Awaitable[object]) -> None:
        assert self._tasks is not None, "coroutine listeners need a running bus"
        try:
            registered.waiting.put_nowait(result)
        except asyncio.QueueFull:
            _discard(result)
            self._failed(registered, name, OverflowError("it is 1000 events behind"))
            return
        if registered.task is None:
            registered.task = self._tasks.create_task(self._run(registered))

    async def _run(self, registered: _Registered) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                result = await registered.waiting.get()
                try:
                    await result
                except Exception as error:
                    self._failed(registered, "listener", error)

    def _failed(self, registered: _Registered, name: str, error: Exception) -> None:
        log.error("listener %r failed in on_%s", registered.listener, name, exc_info=error)
        if name != "error":
            self._on_failure(type(registered.listener).__name__, f"on_{name}: {error!r}")


def _stop(registered: _Registered) -> None:
    if registered.task is not None:
        registered.task.cancel()
    while not registered.waiting.empty():
        _discard(registered.waiting.get_nowait())


def _discard(result: Awaitable[object]) -> None:
    """Close a coroutine that will not be awaited."""
    if asyncio.iscoroutine(result):
        result.close()
