"""A live call: whom it rings, who is in it, and what is agreed with each, from its first sign to its end.

Everything is frozen: a turn makes a new call in place of the old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct, field

from appliance.calls.inputs import PeerFailed, PeerKey
from appliance.calls.moment import Moment
from appliance.messages import Address, IceCandidate, SessionDescription
from appliance.model import (
    Call,
    CallDirection,
    Callee,
    CalleeState,
    Caller,
    CallSettings,
    CallState,
    CallType,
    Json,
    Participant,
    ParticipantState,
    Receiver,
    RequestAction,
)

CANDIDATES_KEPT = 64
"""How many candidates are kept of a peer whose description has not come."""


class Leg(Struct, frozen=True):
    """One invited endpoint of a callee; endpoint None stands for whoever of the uid hears it."""

    endpoint: str | None
    epoch: str | None = None
    state: CalleeState = CalleeState.INVITING


class Invitee(Struct, frozen=True):
    """One invited uid, with a leg for each of its endpoints."""

    uid: str
    name: str | None
    state: CalleeState
    legs: tuple[Leg, ...] = ()
    custom_data: Json = None
    further: bool = False
    """Invited into the running session: whoever took the call before stays."""

    @property
    def open(self) -> bool:
        """Whether it may still take the call."""
        return self.state in (CalleeState.INVITING, CalleeState.RINGING, CalleeState.OFFLINE)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it rings, or would."""
        endpoints = [leg.endpoint for leg in self.legs if leg.state is not CalleeState.BUSY]
        return tuple(Address(self.uid, endpoint) for endpoint in endpoints)

    def public(self) -> Callee:
        """The callee as the outlets show it."""
        return Callee(self.uid, self.name, self.state, self.custom_data)


class Way(Enum):
    """How the descriptions of a connection travel: who offers first, and in which messages."""

    ACCEPTING = "accepting"
    """This device takes an invite: its offer or answer goes with the `accept`."""
    ANSWERING = "answering"
    """The other side's `accept` or `join` had an offer: `answer`."""
    JOINING = "joining"
    """This device comes later: `join` with its offer."""


class Member(Struct, frozen=True):
    """One remote endpoint with a peer connection of its own.

    The `call_id` of its peer is the one under which the two came together, and under which each
    writes to the other, whatever has been merged or split since.
    """

    peer: PeerKey
    participant: Participant
    way: Way = Way.ANSWERING
    offers: bool = False
    """This device offered first, and so it alone ever offers."""
    next: PeerKey | None = None
    """The connection of the next generation, which replaces the present one once it is connected."""
    described: bool = False
    """Its first offer or answer was sent: what follows agrees anew."""
    awaits_answer: bool = False
    offering: str | None = None
    """Why this device offers anew, until that is agreed."""
    then: str | None = None
    """Why it is to offer once more afterwards."""
    joined: bool = False
    """Its media connected once."""
    video: bool = False
    screen: bool = False
    """What the connection was agreed to carry: see `PeerAgreed`."""

    @property
    def address(self) -> Address:
        """Where its messages go."""
        return Address(self.peer.uid, self.peer.endpoint)

    @property
    def connected(self) -> bool:
        """Whether its media flows now."""
        return self.participant.state is ParticipantState.CONNECTED


class Admitted(Struct, frozen=True):
    """Who was let in by a token and has not opened its connection yet."""

    participant: Participant
    since_s: float

    @property
    def address(self) -> Address:
        """Where its messages go."""
        return Address(self.participant.uid, self.participant.endpoint)


class Asked(Struct, frozen=True):
    """A request that this device has sent; `request` is the command that waits for the response."""

    request_id: str
    action: RequestAction
    of: Address
    request: int | None = None


class SwitchRequest(Struct, frozen=True):
    """Somebody wants video; `asker` None is this device."""

    request_id: str
    requested_by: str
    asker: Address | None = None
    accepted_by: str | None = None
    """Who agreed; from then on the connections are agreed anew."""


class LiveCall(Struct, frozen=True):
    """One call from its first sign to its end."""

    call_id: str
    session_id: str
    direction: CallDirection
    type: CallType
    state: CallState
    caller: Caller
    receiver: Receiver
    started_at: datetime
    inviter: Address
    """The endpoint that sent the invite: of an outgoing call, this device's own."""
    deadline_s: float
    """On the monotonic clock: until then it rings."""
    first_takes_it: bool = True
    invitees: tuple[Invitee, ...] = ()
    members: tuple[Member, ...] = ()
    custom_data: Json = None
    offer: SessionDescription | None = None
    """Of an incoming call: the offer in the invite."""
    candidates: tuple[tuple[Address, int, IceCandidate | None], ...] = ()
    """Candidates (and their generation) that came before there was a connection to give them to."""
    announced: bool = False
    """The broker was reached since the call began."""
    answered_at: datetime | None = None
    answered_s: float | None = None
    answered_by: str | None = None
    joined: bool = False
    lost_at_s: float | None = None
    """Since when no peer's media flows."""
    farewells: tuple[PeerFailed, ...] = ()
    """Connections that their peers closed, whose `end` is waited for."""
    list_version: int = 0
    """Of the list that was sent (as host) or believed (as guest) last."""
    hand_raised: bool = False
    host: Address = Address("")
    """Whose list counts; None as its endpoint until it has spoken."""
    direct: bool = False
    """A session entered by token, without ringing: one may be alone in it."""
    settings: CallSettings = field(default_factory=CallSettings)
    on_hold: bool = False
    """This device holds it."""
    waits: bool = False
    """It is on hold only as long as the other call lasts."""
    listed: tuple[Participant, ...] = ()
    """A guest's: the host's list."""
    admitted: tuple[Admitted, ...] = ()
    """A host's: let in, and not connected yet."""
    order: tuple[Address, ...] = ()
    """In which the others were let in, which never changes while they are there: in each pair the
    later one offers."""
    told: tuple[Participant, ...] = ()
    """A host's: the list as it was sent last."""
    told_is_old: bool = False
    """By that list somebody in it is not reached any more; another one is about to be sent."""
    gone: tuple[Address, ...] = ()
    """Who was here lately: what they still say crosses what they were told."""
    alone: bool = False
    """Nobody's media has connected, or nobody is left: the idle time runs."""
    early_joins: tuple[tuple[Address, str, SessionDescription], ...] = ()
    """Offers (with their call_id) of who is not listed yet."""
    grouped: tuple[LiveCall, ...] = ()
    """Calls that were merged into this one; each has its own end."""
    speaker: PeerKey | None = None
    asked: tuple[Asked, ...] = ()
    switch: SwitchRequest | None = None
    put_out: frozenset[str] = frozenset()
    """A host's: uids that were kicked out, and have been neither invited nor given a token since."""
    muted_by: Mapping[Address, str] = field(default_factory=dict)
    """Whose microphone somebody else wanted muted, and who."""
    digits: Mapping[Address, str] = field(default_factory=dict)
    """What each participant pressed last."""

    def public(self, now: Moment) -> Call:
        """The call as the outlets show it."""
        return Call(
            call_id=self.call_id,
            session_id=self.session_id,
            direction=self.direction,
            type=self.type,
            state=self.state,
            caller=self.caller,
            receiver=self.receiver,
            callees=tuple(invitee.public() for invitee in self.invitees),
            custom_data=self.custom_data,
            started_at=self.started_at,
            answered_at=self.answered_at,
            duration_s=self.duration_s(now),
            answered_by=self.answered_by,
        )

    def duration_s(self, now: Moment) -> float | None:
        """Seconds since it was answered; None where nobody did."""
        if self.answered_s is None:
            return None
        return round(now.monotonic_s - self.answered_s, 3)

    def invitee(self, uid: str) -> Invitee | None:
        """The invited uid, if it is one."""
        return next((invitee for invitee in self.invitees if invitee.uid == uid), None)

    def member(self, address: Address) -> Member | None:
        """The member at that endpoint, if there is one."""
        return next((member for member in self.members if member.address == address), None)

    def member_of(self, peer: PeerKey) -> Member | None:
        """The member whose connection this is (or is to become), if it still is."""
        return next((one for one in self.members if peer in (one.peer, one.next)), None)

    def members_of(self, uid: str) -> tuple[Member, ...]:
        """The endpoints of a uid that are in the session."""
        return tuple(member for member in self.members if member.peer.uid == uid)

    def lists(self, address: Address) -> bool:
        """Whether the host's list names that endpoint."""
        return any(
            (one.uid, one.endpoint) == (address.uid, address.endpoint) for one in self.listed
        )

    def knows(self, address: Address) -> bool:
        """Whether that endpoint has something to do with the call."""
        return (
            address.uid == self.host.uid
            or self.member(address) is not None
            or self.lists(address)
            or self.invitee(address.uid) is not None
            or any(one.address == address for one in self.admitted)
            or any(early[0] == address for early in self.early_joins)
        )

    @property
    def answered(self) -> bool:
        """Whether it was taken and is not over."""
        return self.state in (CallState.CONNECTING, CallState.CONNECTED, CallState.RECONNECTING)

    @property
    def still_rung(self) -> tuple[Address, ...]:
        """Whoever was invited and may still take the call."""
        return tuple(
            address for invitee in self.invitees if invitee.open for address in invitee.addresses
        )

    @property
    def participants(self) -> tuple[Participant, ...]:
        """The others in the session, in the order of joining."""
        return tuple(member.participant for member in self.members if member.joined)
