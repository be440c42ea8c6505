"""Whom a device listens to at the broker: whom it knows, and nobody else.

Law: what somebody else writes never gets into the queue that the broker keeps for this device. That queue
has an end, and behind it everybody's messages are dropped, whoever has filled it: an account that this
device does not know would silence all the others with a few dozen retained messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from appliance.messages import Address
from appliance.signaling.base import Subscription
from appliance.signaling.bodies import ID
from appliance.signaling.topics import Topics

QOS = 0
"""What is sent with QoS 1 comes so to this device. The broker would keep a few hundred unacknowledged
messages for it and drop what comes then, whoever has filled the queue; and with a clean start that is all
that QoS 1 adds on this last way. So everything is read as it comes, and the sieves leave out the rest."""

Lets = Callable[[str, bytes, float], bool]


class Uids(Protocol):
    """Some uids, which may be others later."""

    def __contains__(self, uid: object, /) -> bool:
        """Whether that is one of them; on any thread."""

    def __iter__(self) -> Iterator[str]:
        """Each of them, as of now."""


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Of one endpoint; `inbox` and `presence` are the sieves of its messages and of who is there."""

    topics: Topics
    me: Address
    inbox: Lets
    presence: Lets

    def to(self, known: Iterable[str], vouched: Iterable[str]) -> tuple[Subscription, ...]:
        """What to ask the broker for: messages of all of them, and who of the `known` is there.

        The own presence is among it: its echo tells that all that was retained has come. The `vouched` are
        known by somebody's list alone, which tells where they are.
        """
        known = dict.fromkeys(filter(self._is_somebody, known))
        heard = dict.fromkeys((*known, *filter(self._is_somebody, vouched)))
        inbox, presence = self.topics.inbox, self.topics.presence
        return (
            *(self._message_of(inbox(self.me.uid, uid)) for uid in heard),
            self._presence_of(presence(self.me.uid, self.me.endpoint or "+")),
            *(self._presence_of(presence(uid, "+")) for uid in known),
        )

    def _is_somebody(self, uid: str) -> bool:
        """A uid has no wildcard in it; who has this device's own could only be this device."""
        return uid != self.me.uid and re.match(ID, uid) is not None

    def _message_of(self, topic: str) -> Subscription:
        return Subscription(topic, retained=False, qos=QOS, lets=self.inbox)

    def _presence_of(self, topic: str) -> Subscription:
        return Subscription(topic, qos=QOS, lets=self.presence)
