"""A broker without a network: links of one process, for tests and for a device on its own.

It does what a broker does and what brokers do wrong: wildcards, retained messages, wills, take-over
of a client id, and on demand a lost connection, a restart, or a message delivered twice. All of it
happens on the loop, one turn later, never within the call that caused it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from appliance.calls.inputs import LinkState
from appliance.signaling.base import OnFault, OnMessage, OnState, Publication, Subscription
from appliance.signaling.topics import matches


class LoopbackBroker:
    """Everybody's meeting point; `connect` makes links to it."""

    def __init__(self) -> None:
        self._running = True
        self._links: dict[str, LoopbackLink] = {}
        self._entered: list[LoopbackLink] = []
        self._unreachable: set[str] = set()
        self._retained: dict[str, bytes] = {}
        self._duplicate_next = False

    def connect(
        self,
        client_id: str,
        *,
        on_state: OnState,
        on_message: OnMessage,
        on_fault: OnFault,
        will: Publication | None = None,
        subscriptions: Sequence[Subscription] = (),
    ) -> LoopbackLink:
        """A link to this broker; see `base.Connect`."""
        return LoopbackLink(self, client_id, on_state, on_message, on_fault, will, subscriptions)

    # -------------------- what can go wrong

    def stop(self) -> None:
        """The broker is killed: connections break, nothing retained survives, no will is sent."""
        self._running = False
        self._retained.clear()
        for link in list(self._links.values()):
            self._disconnect(link, send_will=False)
            link.soon(partial(self._admit, link))

    def start(self) -> None:
        """The broker is back; its clients connect again."""
        self._running = True
        for link in self._entered:
            link.soon(partial(self._admit, link))

    def partition(self, client_id: str) -> None:
        """The network to one client is gone: the broker sends its will."""
        self._unreachable.add(client_id)
        if (link := self._links.get(client_id)) is not None:
            self._disconnect(link, send_will=True)
            link.soon(partial(self._admit, link))

    def heal(self, client_id: str) -> None:
        """The network to the client is back, and the client soon too."""
        self._unreachable.discard(client_id)
        for link in self._entered:
            if link.client_id == client_id:
                link.soon(partial(self._admit, link))

    def duplicate_next(self) -> None:
        """Deliver the next message twice, as QoS 1 allows."""
        self._duplicate_next = True

    # -------------------- for the links

    def enter(self, link: LoopbackLink) -> None:
        """A link wants in."""
        self._entered.append(link)
        self._admit(link)

    def leave(self, link: LoopbackLink) -> None:
        """A link is closed: its will is published as its farewell."""
        self._entered.remove(link)
        if self._links.get(link.client_id) is link:
            self._disconnect(link, send_will=True)

    def _admit(self, link: LoopbackLink) -> None:
        if link not in self._entered or self._links.get(link.client_id) is link:
            return
        if not self._running or link.client_id in self._unreachable:
            link.changed(LinkState.OFFLINE)
            link.fault("broker_unreachable", "The broker cannot be reached.")
            return
        if (former := self._links.get(link.client_id)) is not None:
            former.fault("session_taken_over", f"Another has connected as {link.client_id}.")
            self._disconnect(former, send_will=True)
        self._links[link.client_id] = link
        link.changed(LinkState.CONNECTED)
        self.tell_retained(link, link.subscriptions)

    def _disconnect(self, link: LoopbackLink, *, send_will: bool) -> None:
        del self._links[link.client_id]
        if send_will and link.will is not None:
            self.route(link.will)
        link.changed(LinkState.CONNECTING)

    def tell_retained(self, link: LoopbackLink, subscriptions: Sequence[Subscription]) -> None:
        """Give a link what is kept for these subscriptions of it, if it is connected."""
        kept = list(self._retained.items()) if self.is_connected(link) else []
        for one in subscriptions:
            for topic, payload in kept:
                if one.retained and matches(one.topic_filter, topic):
                    link.deliver(topic, payload, retained=True)

    def is_connected(self, link: LoopbackLink) -> bool:
        """Whether the link is one of the present connections."""
        return self._links.get(link.client_id) is link

    def route(self, message: Publication) -> None:
        """Give a message to all that subscribed to it, and keep it if it is to be retained."""
        if message.retain:
            self._retained.pop(message.topic, None)
            if message.payload:
                self._retained[message.topic] = message.payload
        times = 2 if self._duplicate_next else 1
        self._duplicate_next = False
        for link in list(self._links.values()):
            for _ in range(times):
                link.route(message)


class LoopbackLink:
    """A `Link` to a `LoopbackBroker`; see `base.py` for what it promises."""

    def __init__(
        self,
        broker: LoopbackBroker,
        client_id: str,
        on_state: OnState,
        on_message: OnMessage,
        on_fault: OnFault,
        will: Publication | None,
        subscriptions: Sequence[Subscription],
    ) -> None:
        self.client_id = client_id
        self.will = will
        self.subscriptions = tuple(subscriptions)
        self._broker = broker
        self._on_state = on_state
        self._on_message = on_message
        self._on_fault = on_fault
        self._state = LinkState.OFFLINE
        self._left = False

    @property
    def state(self) -> LinkState:
        """How the broker is reached just now."""
        return self._state

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        self._loop = asyncio.get_running_loop()
        self.changed(LinkState.CONNECTING)
        self.soon(lambda: self._broker.enter(self))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish the will, disconnect."""
        await asyncio.sleep(0)  # what was handed over before is still delivered
        self._left = True
        self._broker.leave(self)
        self.changed(LinkState.OFFLINE)

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """See `Link.subscribe`."""
        before = {one.topic_filter for one in self.subscriptions}
        self.subscriptions = tuple(subscriptions)
        new = [one for one in self.subscriptions if one.topic_filter not in before]
        self._broker.tell_retained(self, new)

    def moved(self, gone: frozenset[str]) -> None:
        """There is no network here."""

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
        if self._state is not LinkState.CONNECTED:
            return False

        def arrive() -> None:
            if self._broker.is_connected(self):
                self._broker.route(Publication(topic, payload, qos, retain))
                if acknowledged is not None:
                    acknowledged()

        self.soon(arrive)
        return True

    # -------------------- for the broker

    def soon(self, act: Callable[[], None]) -> None:
        """Act in the loop's next turn."""
        self._loop.call_soon(act)

    def route(self, message: Publication) -> None:
        """Deliver a message once if any subscription matches."""
        if any(matches(one.topic_filter, message.topic) for one in self.subscriptions):
            self.deliver(message.topic, message.payload, retained=False)

    def deliver(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Hand a message to the owner, unless it has gone."""
        self.soon(lambda: None if self._left else self._on_message(topic, payload, retained))

    def changed(self, state: LinkState) -> None:
        """Tell the owner of another state."""
        if state is not self._state:
            self._state = state
            self._on_state(state)

    def fault(self, code: str, message: str) -> None:
        """Tell the owner what went wrong."""
        self._on_fault(code, message)
