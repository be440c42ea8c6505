"""A network on paper: messages that are lost, doubled and overtaken, and connections that fail and return.

What makes messages reliable is the real outbox and the real memory of what was answered; time is a number.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from appliance.calls.inputs import (
    Input,
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerKey,
    PeerLost,
    PeerOffered,
    PeerRestored,
)
from appliance.messages import Address, Message, SessionDescription
from appliance.signaling.outbox import Outbox, Parcel
from appliance.signaling.responses import Responses

STEP_S = 0.5
SETUP_S, SILENCE_S, CONSENT_S = 10.0, 2.5, 20.0
"""After which a connection that is not made has failed, a silent one is lost, a lost one is gone."""


class Node(Protocol):
    """One endpoint: a device, or somebody's page."""

    address: Address

    def hear(self, sender: Address, call_id: str, message: Message) -> None:
        """A message came, for the first time."""

    def learn(self, report: Input) -> None:
        """Something became of one of its connections."""

    def unheard(self, parcel: Parcel) -> None:
        """Nobody answered a message in its time."""

    def pass_time(self, seconds: float) -> None:
        """Time goes by."""


@dataclass(eq=False)
class Leg:
    """One end of a connection."""

    owner: Address
    key: PeerKey
    opened_s: float
    remote_offer: str | None
    local: str = ""
    remote: str | None = None
    """The answer that it was given."""
    described: bool = False
    connected: bool = False
    silent_s: float | None = None
    """Since when nothing comes."""
    told_lost: bool = False
    over: bool = False
    agrees: list[str] = field(default_factory=list)
    """Renegotiations to be reported: the offers that it was given, or an empty text for its own."""

    @property
    def offers(self) -> bool:
        return self.remote_offer is None


@dataclass(frozen=True)
class Packet:
    """A message on its way."""

    sender: Address
    parcel: Parcel


class MeshNet:
    """Everything between the nodes."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.nodes: dict[str, Node] = {}
        self.flying: list[Packet] = []
        self.cut: set[frozenset[str]] = set()
        self.legs: dict[str, dict[PeerKey, Leg]] = {}
        self._outboxes: dict[str, Outbox] = {}
        self._responses: dict[str, Responses] = {}
        self._seen: dict[str, set[str]] = {}
        self._numbers = itertools.count()

    def enter(self, node: Node) -> None:
        """A node comes online."""
        uid = node.address.uid
        self.nodes[uid] = node
        self.legs[uid] = {}
        self._outboxes[uid] = Outbox(partial(self._new_id, uid))
        self._outboxes[uid].connected(self.now_s)
        self._responses[uid] = Responses()
        self._seen[uid] = set()

    def _new_id(self, uid: str) -> str:
        return f"{uid}-{next(self._numbers)}"

    # -------------------- messages

    def send(
        self, sender: Address, to: Address, call_id: str, message: Message, ttl_s: float = 30
    ) -> None:
        box = self._outboxes[sender.uid]
        parcel = box.post(to, call_id, message, ttl_s=ttl_s, now_s=self.now_s)
        assert parcel is not None, "the outbox is full"
        self._responses[sender.uid].sent(parcel)
        self._post(sender.uid)

    def settle(self, owner: str, to: Address, call_id: str, kind: str) -> None:
        self._outboxes[owner].settle(to, call_id, kind)

    def forget(self, owner: str, call_id: str) -> None:
        self._outboxes[owner].forget(call_id)

    def waiting(self) -> int:
        """How many messages somebody still repeats."""
        return sum(len(box) for box in self._outboxes.values())

    def _post(self, uid: str) -> None:
        box = self._outboxes[uid]
        for parcel in box.due(self.now_s):
            self.flying.append(Packet(self.nodes[uid].address, parcel))
            box.acknowledged(parcel.id)

    def deliver(self, at: int, *, double: bool = False) -> None:
        """Let one packet arrive, whichever were sent before it; a doubled one comes once more."""
        packet = self.flying[at] if double else self.flying.pop(at)
        parcel, uid = packet.parcel, packet.parcel.to.uid
        node = self.nodes[uid]
        if parcel.to.endpoint not in (None, node.address.endpoint):
            return
        if parcel.id in self._seen[uid]:
            again = self._responses[uid].again(
                packet.sender, parcel.call_id, parcel.message, self.now_s
            )
            if again is not None:
                self.flying.append(Packet(node.address, again))
            return
        self._seen[uid].add(parcel.id)
        self._outboxes[uid].heard(packet.sender, parcel.call_id, parcel.message)
        node.hear(packet.sender, parcel.call_id, parcel.message)

    def lose(self, at: int) -> None:
        """A packet never arrives."""
        del self.flying[at]

    def deliver_all(self) -> None:
        """Let everything arrive that is on its way, and what is said to that."""
        for _ in range(10_000):
            if not self.flying:
                return
            self.deliver(0)
        raise AssertionError("they never stop talking")

    # -------------------- connections

    def open(self, owner: Address, key: PeerKey, offer: SessionDescription | None) -> None:
        assert key not in self.legs[owner.uid], f"{key} is open already"
        leg = Leg(owner, key, self.now_s, offer.sdp if offer else None)
        self.legs[owner.uid][key] = leg

    def accept(self, owner: Address, key: PeerKey, answer: SessionDescription) -> None:
        leg = self.legs[owner.uid][key]
        if leg.connected:
            leg.agrees.append("")
        else:
            leg.remote = answer.sdp

    def renegotiate(
        self, owner: Address, key: PeerKey, offer: SessionDescription | None
    ) -> SessionDescription | None:
        leg = self.legs[owner.uid][key]
        if offer is None:
            return SessionDescription("offer", f"again {next(self._numbers)}")
        leg.agrees.append("")
        return SessionDescription("answer", f"again {next(self._numbers)}")

    def close(self, owner: Address, key: PeerKey) -> None:
        self.legs[owner.uid].pop(key, None)

    def connected(self, one: str, other: str) -> bool:
        """Whether media flows between the two now."""
        return any(
            leg.connected and leg.key.uid == other and self._mate(leg) is not None
            for leg in self.legs[one].values()
        )

    def _mate(self, leg: Leg) -> Leg | None:
        """The other end, if it is still open and the two were described to each other."""
        for other in self.legs.get(leg.key.uid, {}).values():
            offerer, answerer = (leg, other) if leg.offers else (other, leg)
            described = offerer.described and answerer.described
            offered = offerer.local == answerer.remote_offer
            if described and offered and offerer.remote == answerer.local and not other.over:
                return other
        return None

    def _reports(self, leg: Leg) -> Iterator[Input]:
        """What becomes of a leg now; a failed one reports nothing more."""
        if not leg.described:
            leg.described, number = True, next(self._numbers)
            if leg.offers:
                leg.local = f"offer {number}"
                yield PeerOffered(leg.key, SessionDescription("offer", leg.local))
            else:
                leg.local = f"answer {number}"
                yield PeerAnswered(leg.key, SessionDescription("answer", leg.local))
            return
        while leg.agrees:
            leg.agrees.pop()
            yield PeerAgreed(leg.key, video=True, screen=False)
        mate = self._mate(leg)
        whole = frozenset((leg.owner.uid, leg.key.uid)) not in self.cut
        if not leg.connected:
            if mate is not None and whole:
                leg.connected = True
                yield PeerAgreed(leg.key, video=True, screen=False)
                yield PeerConnected(leg.key)
            elif self.now_s - leg.opened_s >= SETUP_S:
                leg.over = True
                yield PeerFailed(leg.key, "setup_timed_out", "no media within 10 s")
            return
        yield from self._flow(leg, mate, whole=whole)

    def _flow(self, leg: Leg, mate: Leg | None, *, whole: bool) -> Iterator[Input]:
        if whole and mate is None:
            leg.over = True
            yield PeerFailed(leg.key, "connection_closed", "the other side closed it")
        elif whole:
            leg.silent_s = None
            if leg.told_lost:
                leg.told_lost = False
                yield PeerRestored(leg.key)
        elif leg.silent_s is None:
            leg.silent_s = self.now_s
        elif self.now_s - leg.silent_s >= CONSENT_S:
            leg.over = True
            yield PeerFailed(leg.key, "failed", "consent was lost")
        elif self.now_s - leg.silent_s >= SILENCE_S and not leg.told_lost:
            leg.told_lost = True
            yield PeerLost(leg.key)

    def media(self) -> None:
        """Let every connection come as far as it does by now."""
        for uid, node in self.nodes.items():
            for leg in list(self.legs[uid].values()):
                if leg.over:
                    continue
                for report in self._reports(leg):
                    if self.legs[uid].get(leg.key) is leg:
                        node.learn(report)

    # -------------------- time

    def wait(self, seconds: float, *, calm: bool = False) -> None:
        """Let time pass; where it is `calm` every message arrives at once."""
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            for uid, node in self.nodes.items():
                node.pass_time(STEP_S)
                for parcel in self._outboxes[uid].expired(self.now_s):
                    if parcel.repeated:
                        node.unheard(parcel)
                self._post(uid)
            self.media()
            if calm:
                self.deliver_all()
                self.media()
                self.deliver_all()
