"""What waits to be sent, and what is repeated until it is answered or too old.

Pure: time is a parameter (monotonic seconds). The laws: nothing is sent after its `ttl_s`; what is
settled is not sent again; `invite`, `accept`, `join` and `offer` are repeated every second, nothing
else is sent again unless its connection was lost before the broker had acknowledged it; a message
of those four that was not settled in its time is told of, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from appliance.messages import (
    Accept,
    Address,
    Answer,
    Cancel,
    End,
    Invite,
    Join,
    Message,
    Offer,
    Participants,
    Reject,
    Ringing,
)

REPEAT_S = 1.0
CAPACITY = 512

_FINAL = (Reject, Cancel, End)
"""What ends a matter between two endpoints, whichever of the two says it."""

SETTLED_BY: dict[type[Message], tuple[type[Message], ...]] = {
    Invite: (Ringing, Accept, *_FINAL),
    Accept: (Answer, *_FINAL),
    Join: (Participants, Answer, *_FINAL),
    Offer: (Answer, *_FINAL),
}
"""What is repeated, and which messages of the receiver make an end of that."""


@dataclass(slots=True)
class Parcel:
    """One message on its way; `id` stays the same however often it is sent."""

    REPEATED: ClassVar[frozenset[type[Message]]] = frozenset(SETTLED_BY)

    id: str
    to: Address
    call_id: str
    message: Message
    ttl_s: float
    posted_s: float
    posted_wall_ms: int
    next_s: float | None
    """When it is to be sent (again); None while the broker has yet to acknowledge it."""
    acknowledged: bool = False

    @property
    def kind(self) -> str:
        """The type of its message."""
        return self.message.TYPE

    @property
    def repeated(self) -> bool:
        """Whether it is sent again until it is settled."""
        return type(self.message) in self.REPEATED

    @property
    def expires_s(self) -> float:
        """When it is too old, in monotonic time."""
        return self.posted_s + self.ttl_s


class Outbox:
    """The messages of one endpoint that are not settled yet, in the order of their posting."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        """`new_id` gives each message an id that is never given again."""
        self.dropped: Counter[str] = Counter()
        self._new_id = new_id
        self._parcels: dict[str, Parcel] = {}
        self._connected = False

    def __len__(self) -> int:
        return len(self._parcels)

    def __iter__(self) -> Iterator[Parcel]:
        return iter(list(self._parcels.values()))

    def post(
        self,
        to: Address,
        call_id: str,
        message: Message,
        *,
        ttl_s: float,
        now_s: float,
        wall_ms: int = 0,
    ) -> Parcel | None:
        """Take a message in; None, and it is counted, where the box is full.

        A last word takes back whatever else waits for the same endpoint in the same call.
        """
        if isinstance(message, _FINAL):
            self._settle(lambda one: one.call_id == call_id and covers(to, one.to) and _open(one))
        if len(self._parcels) >= CAPACITY:
            self.dropped["full"] += 1
            return None
        parcel = Parcel(self._new_id(), to, call_id, message, ttl_s, now_s, wall_ms, now_s)
        self._parcels[parcel.id] = parcel
        return parcel

    def connected(self, now_s: float) -> None:
        """The link is there: all that has not been acknowledged is due, in the old order."""
        self._connected = True
        for parcel in self._parcels.values():
            parcel.next_s = now_s

    def reachable(self, to: Address, now_s: float) -> None:
        """An endpoint is there, or anew: what is repeated until it answers is due at once."""
        for parcel in self._parcels.values():
            if parcel.to == to and parcel.repeated:
                parcel.next_s = now_s

    def disconnected(self) -> None:
        """The link is gone: nothing is due until it is back."""
        self._connected = False

    def due(self, now_s: float) -> list[Parcel]:
        """What is to be sent now; each is taken to be sent by whoever asks."""
        if not self._connected:
            return []
        parcels = [
            one
            for one in self._parcels.values()
            if one.next_s is not None and one.next_s <= now_s < one.expires_s
        ]
        for parcel in parcels:
            parcel.next_s = now_s + REPEAT_S if parcel.repeated else None
        return parcels

    def expired(self, now_s: float) -> list[Parcel]:
        """Take out what is too old; the caller tells of those that are `repeated`."""
        old = [one for one in self._parcels.values() if one.expires_s <= now_s]
        for parcel in old:
            del self._parcels[parcel.id]
            self.dropped["expired"] += 1
        return old

    def next_deadline_s(self) -> float | None:
        """When `due` or `expired` has something next, in monotonic time; None: not by itself."""
        times = [one.expires_s for one in self._parcels.values()]
        if self._connected:
            times += [one.next_s for one in self._parcels.values() if one.next_s is not None]
        return min(times, default=None)

    def acknowledged(self, message_id: str) -> None:
        """The broker has the message: it is done, unless it is one that needs an answer."""
        parcel = self._parcels.get(message_id)
        if parcel is None:
            return
        parcel.acknowledged = True
        if not parcel.repeated:
            del self._parcels[message_id]

    def discard(self, message_id: str) -> None:
        """Take a message out that cannot be sent at all."""
        self._parcels.pop(message_id, None)

    def heard(self, sender: Address, call_id: str, message: Message) -> None:
        """Somebody wrote: settle what that answers."""
        self._settle(
            lambda one: (
                one.call_id == call_id
                and covers(one.to, sender)
                and isinstance(message, _settling(one.message))
            )
        )

    def settle(self, to: Address, call_id: str, kind: str) -> None:
        """What a message of type `kind` asked for has come about by other means."""

        def is_settled(one: Parcel) -> bool:
            return one.call_id == call_id and covers(one.to, to) and one.kind == kind

        self._settle(is_settled)

    def forget(self, call_id: str) -> None:
        """A call is over: only last words about it are still sent."""
        self._settle(lambda one: one.call_id == call_id and _open(one))

    def _settle(self, is_settled: Callable[[Parcel], bool]) -> None:
        for parcel in [one for one in self._parcels.values() if is_settled(one)]:
            del self._parcels[parcel.id]


def _settling(message: Message) -> tuple[type[Message], ...]:
    """What makes an end of repeating it; a list is no answer to a join that has an offer."""
    kinds = SETTLED_BY.get(type(message), ())
    if isinstance(message, Join) and message.offer is not None:
        return tuple(kind for kind in kinds if kind is not Participants)
    return kinds


def covers(wide: Address, narrow: Address) -> bool:
    """Whether `narrow` is meant where `wide` is said: no endpoint stands for all of the uid."""
    return wide.uid == narrow.uid and wide.endpoint in (None, narrow.endpoint)


def _open(parcel: Parcel) -> bool:
    return not isinstance(parcel.message, _FINAL)
