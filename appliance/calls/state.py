"""What the core knows: the policy that the configuration settled, and the state that changes.

Everything is frozen: a turn makes a new state, so a state can be kept, compared and explored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from appliance.actions import Action
from appliance.calls.inputs import LinkState, PeerFailed, PeerKey
from appliance.events import Error
from appliance.messages import Address, IceCandidate, SessionDescription
from appliance.model import (
    Call,
    CallDirection,
    Callee,
    CalleeState,
    CallEndReason,
    Caller,
    CallSettings,
    CallState,
    CallType,
    DeviceException,
    Gesture,
    Json,
    Participant,
    ParticipantState,
    Receiver,
    Right,
)

CANDIDATES_KEPT = 64
"""How many candidates are kept of a peer whose description has not come."""


class Moment(Struct, frozen=True):
    """When a turn takes place; `fresh` is 256 random bits in hexadecimal, for ids made in it."""

    monotonic_s: float
    utc: datetime
    fresh: str


# -------------------- what the configuration settles


class ContactPolicy(Struct, frozen=True):
    """A uid that this device knows."""

    name: str | None
    may: frozenset[Right]


class GroupPolicy(Struct, frozen=True):
    """Uids that are rung together: the first accept takes the call, or all may come in."""

    members: tuple[str, ...]
    first_takes_it: bool = True


class Policy(Struct, frozen=True):
    """The rules that hold for a whole run."""

    uid: str
    name: str
    endpoint: str = "main"
    contacts: Mapping[str, ContactPolicy] = field(default_factory=dict)
    groups: Mapping[str, GroupPolicy] = field(default_factory=dict)
    receiver: Receiver | None = None
    ring_timeout_s: float = 30
    auto_answer: frozenset[str] = frozenset()
    settings: CallSettings = field(default_factory=CallSettings)
    buttons: Mapping[tuple[str, Gesture], Action] = field(default_factory=dict)
    relays: frozenset[str] = frozenset()

    @property
    def address(self) -> Address:
        """This device, as the others name it."""
        return Address(self.uid, self.endpoint)

    def may(self, uid: str, right: Right) -> bool:
        """Whether the uid is a contact with that right."""
        contact = self.contacts.get(uid)
        return contact is not None and right in contact.may

    def name_of(self, uid: str) -> str | None:
        """The contact's name, if it has one."""
        contact = self.contacts.get(uid)
        return contact.name if contact else None


# -------------------- a call


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

    @property
    def open(self) -> bool:
        """Whether it may still take the call."""
        return self.state in (CalleeState.INVITING, CalleeState.RINGING, CalleeState.OFFLINE)

    def public(self) -> Callee:
        """The callee as the outlets show it."""
        return Callee(self.uid, self.name, self.state, self.custom_data)


class Member(Struct, frozen=True):
    """One remote endpoint with a peer connection of its own."""

    peer: PeerKey
    participant: Participant
    joined: bool = False
    """Its media connected once."""

    @property
    def address(self) -> Address:
        """Where its messages go."""
        return Address(self.peer.uid, self.peer.endpoint)

    @property
    def connected(self) -> bool:
        """Whether its media flows now."""
        return self.participant.state is ParticipantState.CONNECTED


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
    candidates: tuple[tuple[Address, IceCandidate | None], ...] = ()
    """Candidates that came before there was a connection to give them to."""
    announced: bool = False
    """The broker was reached since the call began."""
    answered_at: datetime | None = None
    answered_s: float | None = None
    answered_by: str | None = None
    joined: bool = False
    lost_at_s: float | None = None
    """Since when no peer's media flows."""
    farewell: PeerFailed | None = None
    """A connection that its peer closed, whose `end` is waited for."""
    list_version: int = 0
    hand_raised: bool = False

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
        """The member whose connection this is, if it still is."""
        return next((member for member in self.members if member.peer == peer), None)

    @property
    def participants(self) -> tuple[Participant, ...]:
        """The others in the session, in the order of joining."""
        return tuple(member.participant for member in self.members if member.joined)


# -------------------- the device


class Presence(Struct, frozen=True):
    """One endpoint of somebody that is online."""

    endpoint: str
    epoch: str | None


class Remembered(Struct, frozen=True):
    """A call that is over, or was taken back before it came: an invite behind it does not ring."""

    at_s: float
    reason: CallEndReason


class Unlocking(Struct, frozen=True):
    """A relay that was told to energize and has not said yet that it did; who waits for it."""

    relay: str
    request: int | None = None
    asker: Address | None = None
    call_id: str | None = None
    request_id: str | None = None


class State(Struct, frozen=True):
    """Everything that changes."""

    calls: tuple[LiveCall, ...] = ()
    link: LinkState = LinkState.OFFLINE
    presence: Mapping[str, tuple[Presence, ...]] = field(default_factory=dict)
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    audio_muted: bool = False
    video_paused: bool = False
    missed: tuple[Call, ...] = ()
    relays: Mapping[str, bool] = field(default_factory=dict)
    inputs: Mapping[str, bool] = field(default_factory=dict)
    unlocking: tuple[Unlocking, ...] = ()
    failures: Mapping[str, DeviceException] = field(default_factory=dict)
    errors: Mapping[str, Error] = field(default_factory=dict)
    """The errors of the last second; each counts how often it came again since it was told."""
    stopping: bool = False

    @property
    def active(self) -> LiveCall | None:
        """The call that buttons and commands are about."""
        return self.calls[0] if self.calls else None

    def call(self, call_id: str) -> LiveCall | None:
        """The live call with that id."""
        return next((call for call in self.calls if call.call_id == call_id), None)
