"""Delivery of events: numbered once, the same for everyone, in the same order; nobody slows another.

Each event becomes one CloudEvents 1.0 object (https://github.com/cloudevents/spec). Sinks see it at once,
listeners are called with the event's fields, subscriptions read it from a bounded queue of their own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Self

from msgspec import Struct

from appliance.aside import aside
from appliance.events import Event
from appliance.lanes import Failed, Lane
from appliance.listeners import Listener

log = logging.getLogger(__name__)

CloudEvent = Mapping[str, Any]
"""One event as every outlet shows it."""

RECENT = 200
"""How many events are kept for who comes late."""
JOIN_S = 2.0
"""How long a listener's thread is waited for at the end."""
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
        self._lanes: dict[object, Lane] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        lanes = tuple(self._lanes.values())
        self._lanes.clear()
        for lane in lanes:
            lane.stop()
        tasks, self._tasks = self._tasks, None
        assert tasks is not None
        await tasks.__aexit__(*exc)
        for lane in lanes:
            if lane.has_thread:
                await aside(partial(lane.join, JOIN_S), "the end of listeners")

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
        for lane in tuple(self._lanes.values()):
            handler = lane.listener.handler(event.NAME)
            if handler is not None:
                arguments = tuple(getattr(event, name) for name in names)
                lane.call(f"on_{event.NAME}", handler, arguments)
        for subscription in tuple(self.subscriptions):
            subscription.offer(item)
        return item

    @property
    def has_listeners(self) -> bool:
        """Whether anybody is to be reached before the next step."""
        return bool(self._lanes)

    def subscribe(self, patterns: Iterable[str] = ("*",), limit: int = 1000) -> Subscription:
        """Read the events that a glob means: `with bus.subscribe(["session_*"]) as events:`."""
        return Subscription(self, patterns, limit)

    # -------------------- listeners

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Everyone who listens, in the order of coming."""
        return tuple(lane.listener for lane in self._lanes.values())

    def add_listener(self, listener: Listener, listener_id: object = None) -> None:
        """Call the listener's methods from now on; one of the same id is replaced."""
        key = listener if listener_id is None else listener_id
        self.remove_listener(key)
        self._lanes[key] = Lane(listener, self._start, self._failed)

    def remove_listener(self, listener: object) -> bool:
        """Call it no more, by its id or itself; says whether it was there."""
        for key, lane in list(self._lanes.items()):
            if key is listener or key == listener or lane.listener is listener:
                self._lanes.pop(key).stop()
                return True
        return False

    def call(
        self, listener: Listener, name: str, arguments: tuple[object, ...], failed: Failed
    ) -> None:
        """Call a listener's method in its turn, behind the events; `failed` hears where it cannot be."""
        method = listener.overridden(name)
        for lane in self._lanes.values():
            if lane.listener is listener and method is not None:
                lane.call(name, method, arguments, failed)
                return
        failed(name, LookupError("there is no such listener any more"))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._tasks is not None, "coroutine listeners need a running bus"
        return self._tasks.create_task(work)

    def _failed(self, listener: Listener, name: str, error: Exception) -> None:
        log.error("listener %r failed in %s", listener, name, exc_info=error)
        if name != "on_error":  # it would be told of its own failure for ever
            self._on_failure(type(listener).__name__, f"{name}: {error!r}")
