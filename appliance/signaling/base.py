"""The seam to the broker: a link that publishes, subscribes, leaves a will and is kept alive.

`mqtt.MqttLink` is the real one, `loopback.LoopbackLink` the one without a broker; both pass the same
contract suite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from appliance.calls.inputs import LinkState


@dataclass(frozen=True, slots=True)
class Return:
    """Where an answer is wanted, and with which mark (MQTT 5: response topic, correlation data)."""

    topic: str
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """One message to the broker."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    correlation: bytes | None = None
    """Of an answer: the mark of what it answers."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What to be sent: `retained` says whether what the broker kept is wanted at the start.

    On MQTT 3.1.1 it comes in any case, and is marked as retained.
    """

    topic_filter: str
    retained: bool = True
    qos: int = 1
    lets: Callable[[str, bytes, float], bool] | None = None
    """Asked of each message of QoS 0, with topic, payload and monotonic time, whether it is to be
    looked at at all; on another thread, of any topic. A link need not ask."""


OnState = Callable[[LinkState], None]
OnMessage = Callable[[str, bytes, bool], None]
"""Called with topic, payload and whether the broker had retained it."""
OnRequest = Callable[[str, bytes, bool, Return | None], None]
"""The same, and where an answer is wanted, if the sender said so."""
OnFault = Callable[[str, str], None]
"""Called with a code and a sentence, once per code and outage."""


class Link(Protocol):
    """A connection to the broker that is made anew whenever it is lost, until the block is left.

    It is an async context manager; entering does not wait for the broker. Its callbacks are called
    on the loop. It is `CONNECTED` when its subscriptions are acknowledged. It queues nothing:
    what must not be lost is published again by its owner. Leaving the block publishes the will
    itself, so that a clean stop and a crash look the same from outside.
    """

    @property
    def state(self) -> LinkState:
        """How the broker is reached just now."""

    async def __aenter__(self) -> Self:
        """Begin to connect."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish the will, disconnect; takes a few seconds at most."""

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """From now on, and in later connections: these, and no others.

        What the broker has retained for the new ones among them comes soon.
        """

    def moved(self, gone: frozenset[str]) -> None:
        """This machine's addresses or ways are others than before, and these addresses are gone."""

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
        """Hand a message to the network, without waiting; False where there is no link.

        `acknowledged` is called when the broker has it (QoS 1) or it is on its way (QoS 0), and not
        at all if the link is lost before. `expiry_s`: how long the broker may keep it (MQTT 5).
        `correlation` goes along with an answer, where MQTT 5 is spoken.
        """


class Connect(Protocol):
    """Makes a link; nothing is connected before it is entered."""

    def __call__(
        self,
        client_id: str,
        *,
        on_state: OnState,
        on_message: OnMessage,
        on_fault: OnFault,
        will: Publication | None = None,
        subscriptions: Sequence[Subscription] = (),
    ) -> Link:
        """A link of the client `client_id`."""
