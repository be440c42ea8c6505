"""The link to a real broker: connections one after the other, with jitter between them."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random as _random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

from paho.mqtt.enums import MQTTProtocolVersion

from appliance.calls.inputs import LinkState
from appliance.config import Mqtt
from appliance.signaling.backoff import Attempts
from appliance.signaling.base import (
    OnFault,
    OnMessage,
    OnRequest,
    OnState,
    Publication,
    Subscription,
)
from appliance.signaling.connection import (
    Acknowledged,
    Arrived,
    Closed,
    Connection,
    Faulted,
    Ready,
    Report,
)
from appliance.signaling.plan import Plan
from appliance.signaling.topics import Filters

logger = logging.getLogger(__name__)

STOP_S = 4.0
"""How long leaving the block waits for the thread; one that hangs in the DNS is left behind."""
TAKEN_OVER = "session_taken_over"
LOOK_S = 1.0
"""How long one looks who is there in our place; what is retained comes at once."""
LASTING = frozenset({TAKEN_OVER, "broker_unsteady"})
"""Faults that a connection does not end: one who takes our place lets us in between."""
MAX_BACKLOG = 2048
"""What may wait to be sent; a connection that is so far behind is about to be given up."""
MAX_ARRIVED = 1000
"""How many messages may wait for the loop; the thread then reads no more, and the broker keeps them."""
SAID_AGAIN_S = 600.0
"""How often the log says why the broker is away, while that is always the same."""
ROOM_S = 0.5
ASK_FOR_V5_EVERY = 10
"""A broker that refused MQTT 5 may have been updated: it is asked again at each n-th connection."""


class Dialect:
    """Which MQTT to speak: 5 first, 3.1.1 with a broker that does not understand it."""

    def __init__(self) -> None:
        self._older = False
        self._connections = 0

    def choose(self) -> MQTTProtocolVersion:
        """The version for the next connection."""
        if self._older and self._connections < ASK_FOR_V5_EVERY:
            return MQTTProtocolVersion.MQTTv311
        self._connections = 0
        return MQTTProtocolVersion.MQTTv5

    def ready(self, version: MQTTProtocolVersion) -> None:
        """A connection came about."""
        self._older = version is MQTTProtocolVersion.MQTTv311
        self._connections += 1

    def closed(self, version: MQTTProtocolVersion, end: Closed) -> bool:
        """A connection ended; True if the older version is worth trying at once.

        A broker may not know MQTT 5 enough to refuse it: some are silent, some break off.
        """
        not_understood = end.version_refused or (
            not end.answered and end.code in ("broker_lost", "broker_silent")
        )
        if not_understood:
            self._older = version is MQTTProtocolVersion.MQTTv5
            self._connections = 0
        return not_understood and self._older


class MqttLink:
    """A `Link` over paho; see `base.py` for what it promises."""

    def __init__(
        self,
        mqtt: Mqtt,
        client_id: str,
        *,
        on_state: OnState,
        on_message: OnMessage,
        on_fault: OnFault,
        on_request: OnRequest | None = None,
        will: Publication | None = None,
        subscriptions: Sequence[Subscription] = (),
        mark: str = "",
        keepalive_s: int = 5,
        random: Callable[[], float] = _random.random,
    ) -> None:
        """`client_id` and `mark` are one at the broker: whoever connects with them again takes its place.

        Any account could, which is why a `mark` is a secret; whoever shares it is its double.
        `on_request` is called in place of `on_message` where it is to be known where an answer goes.
        """
        self._mqtt = mqtt
        self._client_id = client_id
        self._on_state = on_state
        self._on_request = on_request or (
            lambda topic, payload, retained, _: on_message(topic, payload, retained)
        )
        self._on_fault = on_fault
        self._will = will
        self._want(subscriptions)
        self._mark = mark
        self._keepalive_s = keepalive_s
        self._random = random
        self._state = LinkState.OFFLINE
        self._dialect = Dialect()
        self._version = MQTTProtocolVersion.MQTTv5
        self._connection: Connection | None = None
        self._tokens = itertools.count(1)
        self._waiting: dict[int, Callable[[], None]] = {}
        self._told: set[str] = set()
        self._wakes = False
        """Whether the thread is about to be woken."""
        self._way_found = asyncio.Event()
        self._logged = ("", 0.0)
        """Why the connection ended, as it was logged last, and when (monotonic)."""
        self._last_word: bytes | None = None
        """What we have said last where our will would be said."""

    @property
    def state(self) -> LinkState:
        """How the broker is reached just now."""
        return self._state

    @property
    def version(self) -> str:
        """The MQTT that is spoken, or tried: `5` or `3.1.1`."""
        return "5" if self._version is MQTTProtocolVersion.MQTTv5 else "3.1.1"

    def held_up_s(self) -> float:
        """How long the thread of its connection has been held up; 0 where there is none."""
        return 0.0 if self._connection is None else self._connection.held_up_s()

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        self._loop = asyncio.get_running_loop()
        self._stop: asyncio.Future[None] = self._loop.create_future()
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        if not self._plan().tls and not _is_loopback(self._mqtt.host):
            logger.warning(
                "The broker %s is reached without TLS: whoever is on the way can read along, "
                "call and open the door; set [mqtt] ca_file",
                self._mqtt.host,
            )
        self._set_state(LinkState.CONNECTING)
        self._tasks.create_task(self._keep(), name=f"link-{self._client_id}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish the will, disconnect; takes `STOP_S` at most."""
        self._stop.set_result(None)
        # even if the block failed, the will is published: its error is not the tasks'
        await self._tasks.__aexit__(None, None, None)
        self._set_state(LinkState.OFFLINE)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: float | None = None,
        acknowledged: Callable[[], None] | None = None,
        correlation: bytes | None = None,
    ) -> bool:
        """See `Link.publish`."""
        if self._connection is None or self._state is not LinkState.CONNECTED:
            return False
        if self._connection.backlog >= MAX_BACKLOG:
            self._tell("link_overloaded", "So much waits to be sent that nothing more is taken in.")
            return False
        if retain and self._will is not None and topic == self._will.topic:
            self._last_word = payload
        token = next(self._tokens)
        if acknowledged is not None:
            self._waiting[token] = acknowledged
        message = Publication(topic, payload, qos, retain, correlation)
        self._connection.publish(message, expiry_s, token)
        if not self._wakes:
            # once for all that is published at a time: each costs two changes between threads
            self._wakes = True
            self._loop.call_soon(self._wake)
        return True

    def _wake(self) -> None:
        self._wakes = False
        if self._connection is not None:
            self._connection.wake()

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """See `Link.subscribe`."""
        self._want(subscriptions)
        if self._connection is not None:
            self._connection.subscribe(self._subscriptions)

    def _want(self, subscriptions: Sequence[Subscription]) -> None:
        self._subscriptions = tuple(subscriptions)
        self._filters = Filters(one.topic_filter for one in self._subscriptions)

    async def _keep(self) -> None:
        """Connect, again and again, until stopped."""
        attempts = Attempts(time.monotonic(), self._random)
        while not self._stop.done():
            self._version = self._dialect.choose()
            began_s = time.monotonic()
            end, was_useful = await self._live_through_one()
            if self._stop.done():
                return
            if self._dialect.closed(self._version, end):
                logger.info("%s MQTT %s is not understood.", end.message, self.version)
                continue
            now_s = time.monotonic()
            attempts.ended(now_s, now_s - began_s, was_useful=was_useful)
            if attempts.is_steady and was_useful:
                self._told.clear()
            self._tell(end.code, end.message)
            self._set_state(LinkState.CONNECTING if was_useful else LinkState.OFFLINE)
            delay_s = attempts.wait_s(now_s)
            level = logging.INFO if self._is_to_be_logged(end.message, now_s) else logging.DEBUG
            logger.log(level, "%s Next attempt in %.1f s.", end.message, delay_s)
            await self._pause(delay_s)
            if end.code == TAKEN_OVER or (attempts.is_suspicious and await self._is_taken()):
                await self._give_way(attempts)
            if attempts.is_unsteady:
                self._tell("broker_unsteady", f"Connections end soon: is {self._client_id} two?")

    def moved(self, gone: frozenset[str]) -> None:
        """This machine's addresses or ways are others than before, and these addresses are gone.

        A connection from one of them is dead, and the next attempt waits no longer.
        """
        connection = self._connection
        if connection is None:
            self._way_found.set()
        elif connection.address in gone:
            self._way_found.set()
            connection.abandon(f"This device's address {connection.address} is gone.")

    async def _pause(self, delay_s: float) -> None:
        """Wait before the next attempt, until the network is another one at most."""
        async with asyncio.TaskGroup() as tasks:
            found = tasks.create_task(self._way_found.wait())
            either: list[asyncio.Future[Any]] = [self._stop, found]
            await asyncio.wait(either, timeout=delay_s, return_when=asyncio.FIRST_COMPLETED)
            found.cancel()
        self._way_found.clear()

    def _is_to_be_logged(self, why: str, now_s: float) -> bool:
        """A broker that is away for a week is no week of log: the same reason is said again seldom."""
        before, at_s = self._logged
        if why == before and now_s - at_s < SAID_AGAIN_S:
            return False
        self._logged = (why, now_s)
        return True

    async def _give_way(self, attempts: Attempts) -> None:
        """Leave another program with our client id alone for a while."""
        attempts.taken()
        self._tell(TAKEN_OVER, _taken_over(self._client_id))
        delay_s = attempts.wait_for_rival_s()
        logger.info("Another is connected as %s; next attempt in %.1f s", self._client_id, delay_s)
        await asyncio.wait([self._stop], timeout=delay_s)

    async def _is_taken(self) -> bool:
        """Whether another is there in our place: then our will, once published, was overwritten.

        mosquitto 2.0 throws the former one out without a word. So one looks under another name.
        """
        if self._will is None or self._stop.done():
            return False
        looked: asyncio.Future[bytes | None] = self._loop.create_future()

        def seen(report: Report) -> None:
            if not looked.done() and isinstance(report, Closed | Arrived):
                looked.set_result(report.payload if isinstance(report, Arrived) else None)

        plan = replace(
            self._plan(),
            client_id=f"{self._client_id}-look",
            will=None,
            subscriptions=(Subscription(self._will.topic),),
        )
        try:
            connection = Connection.begun(plan, self._to_loop(seen))
        except (OSError, RuntimeError) as fault:
            logger.info("%s", _not_begun(fault))
            return False
        either: list[asyncio.Future[Any]] = [looked, self._stop]
        await asyncio.wait(either, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        connection.close(None)
        kept = looked.result() if looked.done() else None
        return kept not in (None, b"", self._will.payload, self._last_word)

    def _to_loop(self, take: Callable[[Report], None]) -> Callable[[Report], None]:
        """For a connection's thread: what it reports is taken on the loop."""

        def hand_over(report: Report) -> None:
            try:
                self._loop.call_soon_threadsafe(take, report)
            except RuntimeError:  # the loop is closed: a thread that was left behind has come back
                logger.debug("Too late: %s", report)

        return hand_over

    async def _live_through_one(self) -> tuple[Closed, bool]:
        """One connection from beginning to end, and whether it ever was of use."""
        closed: asyncio.Future[Closed] = self._loop.create_future()
        useful = False
        room = threading.Semaphore(MAX_ARRIVED)

        def reported(report: Report) -> None:
            nonlocal useful
            if isinstance(report, Arrived):
                room.release()
            if isinstance(report, Closed):
                if not closed.done():
                    closed.set_result(report)
            elif self._connection is connection:
                useful = useful or isinstance(report, Ready)
                self._happened(report)

        hand_over_soon = self._to_loop(reported)

        def hand_over(report: Report) -> None:
            if isinstance(report, Arrived):
                while not room.acquire(timeout=ROOM_S) and not self._stop.done():
                    logger.debug("the loop is behind with %d messages", MAX_ARRIVED)
            hand_over_soon(report)

        try:
            connection = Connection.begun(self._plan(), hand_over)
        except (OSError, RuntimeError) as fault:  # no descriptor is left, or no thread
            return Closed("broker_unreachable", _not_begun(fault)), False
        self._connection = connection
        try:
            either: list[asyncio.Future[Any]] = [closed, self._stop]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not closed.done():
                connection.close(self._will)
                await asyncio.wait([closed], timeout=STOP_S)
        finally:
            connection.close(None)
            self._connection = None
            self._waiting.clear()
        if not closed.done():
            logger.warning("The connection to the broker did not end in time; it is left to itself")
            return Closed("closed", "The link was closed."), useful
        return closed.result(), useful

    def _happened(self, report: Report) -> None:
        match report:
            case Ready():
                self._told &= LASTING
                self._dialect.ready(self._version)
                logger.info("Connected to the broker %s, MQTT %s", self._mqtt.host, self.version)
                self._set_state(LinkState.CONNECTED)
            case Arrived(topic, payload, retained, answer_to):
                # amqtt sends a new client what others have subscribed to, too
                if self._filters.cover(topic):
                    self._on_request(topic, payload, retained, answer_to)
            case Acknowledged(token):
                if (acknowledged := self._waiting.pop(token, None)) is not None:
                    acknowledged()
            case Faulted(code, message):
                self._on_fault(code, message)

    def _plan(self) -> Plan:
        return Plan(
            self._mqtt,
            self._client_id,
            self._version,
            self._keepalive_s,
            self._will,
            self._subscriptions,
            self._mark,
        )

    def _tell(self, code: str, message: str) -> None:
        """Report a fault, but not each of a hundred vain attempts."""
        if code not in self._told:
            self._told.add(code)
            self._on_fault(code, message)

    def _set_state(self, state: LinkState) -> None:
        if state is not self._state:
            self._state = state
            self._on_state(state)


def _not_begun(fault: Exception) -> str:
    return f"No connection to the broker can be begun: {fault}."


def _taken_over(client_id: str) -> str:
    return f"Another program has connected to the broker as {client_id}."


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # names below it may be asked of a DNS server
