"""Playing calls to the pure core: inputs in, outputs out, time as a number, and the laws watched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from msgspec.structs import replace

from appliance.actions import parse_action
from appliance.calls import effects, telling
from appliance.calls.call import LiveCall
from appliance.calls.effects import (
    AskHangUp,
    Effect,
    Emit,
    Output,
    ReturnToIdle,
    Send,
    StartTimer,
    StopTimer,
)
from appliance.calls.inputs import (
    CaptureClosed,
    CommandIssued,
    ContactsChanged,
    HangUpAnswered,
    Input,
    LinkChanged,
    LinkState,
    MessageReceived,
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerKey,
    PresenceChanged,
    RecordingFailed,
    RecordingStopped,
    ReturnedToIdle,
    Timer,
    TimerFired,
)
from appliance.calls.machine import advance
from appliance.calls.moment import Moment
from appliance.calls.policy import ContactPolicy, GroupPolicy, Policy
from appliance.calls.state import State
from appliance.commands import Command
from appliance.events import (
    CallEnded,
    Event,
    IncomingCallReceived,
    OutgoingCallStarted,
    SessionJoined,
    SessionLeft,
    SessionStateChanged,
)
from appliance.messages import Accept, Address, Invite, Message, SessionDescription
from appliance.model import (
    AudioMode,
    Caller,
    CallSettings,
    CallType,
    CameraFacing,
    Gesture,
    Notice,
    Receiver,
    ReceiverType,
    Right,
    SessionStateReason,
)

OFFER = SessionDescription("offer", "v=0 offer")
ANSWER = SessionDescription("answer", "v=0 answer")
EVERYTHING = frozenset(Right) - {Right.MODERATE}
START = datetime(2026, 11, 21, 9, tzinfo=UTC)

HOUSE = Policy(
    uid="front-door",
    name="Front door",
    contacts={
        "alice": ContactPolicy("Alice", frozenset(Right)),
        "bob": ContactPolicy("Bob", EVERYTHING),
        "carol": ContactPolicy("Carol", frozenset({Right.CALL, Right.ANSWER})),
        "butler": ContactPolicy("Butler", EVERYTHING),
        "guest": ContactPolicy("Guest", frozenset()),
        "gate": ContactPolicy("Gate", frozenset(Right)),
    },
    groups={
        "residents": GroupPolicy(("alice", "bob", "carol")),
        "party": GroupPolicy(("alice", "bob"), first_takes_it=False),
        "nobodies": GroupPolicy(("guest",)),
    },
    receiver=Receiver(ReceiverType.GROUP, "residents"),
    ring_timeout_s=30,
    auto_answer=frozenset({"butler"}),
    relays=frozenset({"door", "gate"}),
    buttons={
        ("call", Gesture.PRESS): parse_action("call"),
        ("bell_bob", Gesture.PRESS): parse_action("call:user:bob"),
        ("green", Gesture.PRESS): parse_action("answer"),
        ("red", Gesture.PRESS): parse_action("leave"),
        ("red", Gesture.HOLD): parse_action("decline"),
        ("mute", Gesture.PRESS): parse_action("toggle_audio"),
        ("open", Gesture.PRESS): parse_action("unlock"),
        ("long", Gesture.HOLD): parse_action("call"),
    },
)

I = TypeVar("I", bound=Input)  # noqa: E741
F = TypeVar("F", bound=Effect)
V = TypeVar("V", bound=Event)
M = TypeVar("M", bound=Message)


RICH = replace(
    HOUSE,
    settings=CallSettings(call_waiting=True, accept_video="ask", idle_timeout_s=20),
    has_screen=True,
    cameras=frozenset(CameraFacing),
    audio_modes=(AudioMode.SPEAKER, AudioMode.EARPIECE),
    relay_digits={"12#": "door"},
    chat_messages=("Leave it at the door", "Coming"),
    token_key=b"of this run",
    privacy=True,
)
"""A house that has everything and takes a second call."""


class Play:
    """A house with a door. Each method is something that happens; what comes of it is kept."""

    def __init__(
        self, policy: Policy = HOUSE, *, online: dict[str, list[str]] | None = None
    ) -> None:
        self.policy = policy
        self.state = State()
        self.now_s = 1000.0
        self.clock_is_off_by_s = 0.0
        """Of the time of day."""
        self.timers: dict[Timer, float] = {}
        self.outputs: list[Output] = []
        self.all: list[Output] = []
        self.laws = Laws(privacy=policy.privacy)
        self.confirms: bool | None = True
        """What listeners say to a hang-up; None: they have not said anything yet."""
        self.closes = True
        """Devices close at once when they are to."""
        self.returns = True
        """The default action after a call runs at once."""
        self.undecided: list[HangUpAnswered] = []
        """Hang-ups about which listeners have not said anything yet, and what they would confirm."""
        self._fresh = 0
        self.happens(LinkChanged(LinkState.CONNECTED))
        for uid, endpoints in (online or {}).items():
            for endpoint in endpoints:
                self.comes(uid, endpoint)

    # -------------------- what happens

    def happens(self, *arrived: Input) -> list[Output]:
        """Let inputs in, one after the other; their outputs together are `self.outputs`."""
        self.outputs = []
        for one in arrived:
            self._fresh += 1
            self.laws.before_turn(one)
            self.state, outputs = advance(self.policy, self.state, one, self.moment())
            if isinstance(one, ContactsChanged):
                self.policy = replace(self.policy, contacts=one.contacts)
            self._keep(outputs)
            for output in outputs:
                self._decide(output)
        return self.outputs

    def moment(self) -> Moment:
        """Now."""
        utc = START + timedelta(seconds=self.now_s - 1000 + self.clock_is_off_by_s)
        return Moment(self.now_s, utc, f"{self._fresh:016x}" * 2 + f"{self._fresh + 10**6:032x}")

    def _decide(self, output: Output) -> None:
        """Who decides is asked, and answers in a turn of its own: yes, unless told otherwise."""
        told = self.outputs
        match output:
            case AskHangUp(call_id, command, origin, request) if self.confirms is None:
                answer = HangUpAnswered(call_id, command, origin, request, True)
                self.undecided.append(answer)
            case AskHangUp(call_id, command, origin, request):
                answer = HangUpAnswered(call_id, command, origin, request, self.confirms or False)
                self.outputs = told + self.happens(answer)
            case effects.StopCapture(number) if self.closes:
                self.outputs = told + self.happens(CaptureClosed(number))
            case ReturnToIdle(call_id) if self.returns:
                self.outputs = told + self.happens(ReturnedToIdle(call_id))

    def _keep(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case StartTimer(timer, delay_s):
                    self.timers[timer] = self.now_s + delay_s
                case StopTimer(timer):
                    self.timers.pop(timer, None)
            self.laws.watch(output)
        self.outputs += outputs
        self.all += outputs
        self.laws.after_turn(self.state, self.timers)

    def wait(self, seconds: float) -> list[Output]:
        """Let time pass; timers fire in their order."""
        until_s = self.now_s + seconds
        told: list[Output] = []
        while due := [(at, timer) for timer, at in self.timers.items() if at <= until_s]:
            at_s, timer = min(due, key=lambda entry: entry[0])
            del self.timers[timer]
            self.now_s = at_s
            told += self.happens(TimerFired(timer))
        self.now_s = until_s
        self.outputs = told
        return told

    def orders(self, command: Command, request: int | None = 1) -> list[Output]:
        return self.happens(CommandIssued(command, "socket", request))

    def hears(self, sender: Address, message: Message, call_id: str | None = None) -> list[Output]:
        return self.happens(MessageReceived(sender, call_id or self.call.call_id, message))

    def comes(self, uid: str, endpoint: str = "phone") -> list[Output]:
        return self.happens(PresenceChanged(uid, endpoint, True, f"epoch-{uid}-{endpoint}"))

    def goes(self, uid: str, endpoint: str = "phone") -> list[Output]:
        return self.happens(PresenceChanged(uid, endpoint, False))

    def is_revoked(self, *gone: str, withdrawn: tuple[Address, ...] = ()) -> list[Output]:
        """Contacts are none any more, or endpoints were believed by a key that counts no more."""
        left = {uid: one for uid, one in self.policy.contacts.items() if uid not in gone}
        return self.happens(ContactsChanged(left, frozenset(withdrawn)))

    def is_called(
        self, sender: Address, call_id: str = "call-1", offer: SessionDescription | None = OFFER
    ) -> list[Output]:
        return self.hears(sender, invite_from(sender.uid, self.policy.uid, offer=offer), call_id)

    def connects(self, address: Address) -> list[Output]:
        """The accept's SDP is ready and media flows."""
        peer = self.peer(address)
        video = self.call.type is CallType.VIDEO
        return self.happens(
            PeerAnswered(peer, ANSWER),
            PeerAgreed(peer, video=video, screen=False),
            PeerConnected(peer),
        )

    def is_in_call_with(self, address: Address) -> None:
        """The door rang and this endpoint answered."""
        self.orders(command_of("initiate_call", receiver=address.uid))
        self.hears(address, Accept(offer=OFFER))
        self.connects(address)

    # -------------------- what came of it

    @property
    def call(self) -> LiveCall:
        assert self.state.active is not None, "there is no call"
        return self.state.active

    def peer(self, address: Address) -> PeerKey:
        member = self.call.member(address)
        assert member is not None
        return member.peer

    @property
    def events(self) -> list[str]:
        """The names of the events of the last happening, in order."""
        return [output.event.NAME for output in self.outputs if isinstance(output, Emit)]

    def event(self, kind: type[V]) -> V:
        """The one event of that class in the last happening."""
        [found] = self.find(kind)
        return found

    def find(self, kind: type[V]) -> list[V]:
        emitted = [output.event for output in self.outputs if isinstance(output, Emit)]
        return [event for event in emitted if isinstance(event, kind)]

    def done(self, kind: type[F]) -> list[F]:
        """The effects of that class in the last happening."""
        return [output for output in self.outputs if isinstance(output, kind)]

    @property
    def sent(self) -> list[tuple[str, str | None, str]]:
        """Who was sent what in the last happening: (uid, endpoint, type)."""
        return [(send.to.uid, send.to.endpoint, send.message.TYPE) for send in self.done(Send)]

    def message(self, type_: str) -> Any:
        """The one message of that type that was sent."""
        [found] = [send.message for send in self.done(Send) if type_ == send.message.TYPE]
        return found

    def message_of(self, to: Address, kind: type[M]) -> M:
        """The one message of that class that was sent to somebody."""
        sent = [send.message for send in self.done(Send) if send.to == to]
        [found] = [message for message in sent if isinstance(message, kind)]
        return found


def command_of(name: str, **arguments: Any) -> Command:
    from appliance.commands import COMMANDS

    return COMMANDS[name](**arguments)


def invite_from(
    uid: str,
    to: str,
    *,
    offer: SessionDescription | None = OFFER,
    type_: CallType = CallType.VIDEO,
    timeout_s: float = 30,
) -> Invite:
    return Invite(
        session_id="session-1",
        call_type=type_,
        receiver=Receiver(ReceiverType.USER, to),
        caller=Caller(uid),
        timeout_s=timeout_s,
        callees=(to,),
        offer=offer,
    )


FOR_VISITORS = {effects.Sound.CHIME, effects.Sound.REFUSED, *map(effects.Sound, Notice)}
"""Sounds by which nobody is to be disturbed who does not want to be; an alarm may."""


class Laws:
    """What holds in every history, whatever happens in whatever order."""

    def __init__(self, *, privacy: bool = False) -> None:
        self.privacy = privacy
        """There is an LED that tells of open devices."""
        self.lit = False
        self.closings = 0
        self.devices_open = False
        """Somebody may still be seen or heard: until the studio says that it has closed them."""
        self.begun: set[str] = set()
        self.ended: set[str] = set()
        self.joined: set[str] = set()
        self.left: set[str] = set()
        self.peers: dict[PeerKey, bool] = {}
        self.muted: set[PeerKey] = set()
        """Viewers' connections without sound."""
        self.capturing = False
        self.ringing = False
        self.up: set[PeerKey] = set()
        """Connections that have once been connected."""
        self.waiting: Counter[int | None] = Counter()
        """Commands that wait for their answer, by their request."""
        self.hang_ups: Counter[int | None] = Counter()
        """Of these, those about which the listeners are asked."""
        self.recording: str | None = None
        self.told_to_stop = False
        self.sharing = False
        self.heard: list[effects.Sound] = []
        """In this turn."""
        self._last: Event | None = None

    def before_turn(self, arrived: Input) -> None:
        match arrived:
            case CommandIssued(request=int(request)):
                self.waiting[request] += 1
            case HangUpAnswered(request=request):
                self.hang_ups[request] -= 1
            case PeerConnected(peer):
                self.up.add(peer)
            case RecordingStopped() | RecordingFailed():
                self.recording = None
            case CaptureClosed(number) if number == self.closings and not self.capturing:
                self.devices_open = False

    def watch(self, output: Output) -> None:
        if isinstance(output, Emit):
            self._event(output.event, output.call_id)
            self._last = output.event
            return
        match output:
            case effects.OpenPeer(peer):
                assert not self.peers.get(peer), f"{peer} was opened twice"
                self.up.discard(peer)
                assert self.capturing, "a connection without devices"
                self.peers[peer] = True
                self.muted.discard(peer)
            case effects.MutePeer(peer, muted):
                assert self.peers.get(peer), f"{peer} is not open"
                (self.muted.add if muted else self.muted.discard)(peer)
            case effects.ClosePeer(peer):
                assert self.peers.get(peer), f"{peer} was closed, but is not open"
                self.peers[peer] = False
            case effects.AddCandidate(peer) | effects.AcceptAnswer(peer) | effects.HoldPeer(peer):
                assert self.peers.get(peer), f"{peer} is not open"
            case effects.Renegotiate(peer, _, offer):
                assert self.peers.get(peer), f"{peer} is not open"
                assert offer is not None or peer in self.up, f"{peer} was never agreed"
            case effects.Reply(request):
                self.waiting[request] -= 1
                assert self.waiting[request] >= 0, f"request {request} was answered twice"
            case effects.AskHangUp(request=request):
                self.hang_ups[request] += 1
            case effects.StartRecording(call_id):
                assert self.recording is None, "a second recording"
                self.recording, self.told_to_stop = call_id, False
            case effects.StopRecording():
                assert self.recording is not None, "nothing is recorded"
                self.told_to_stop = True
            case effects.ShareScreen(on):
                assert on is not self.sharing, "shared, or stopped, twice"
                self.sharing = on
            case effects.LightPrivacy(on):
                assert self.privacy, "there is no such LED"
                assert on or not self.devices_open, "dark while somebody may be seen or heard"
                self.lit = on
            case effects.StartCapture():
                assert self.lit or not self.privacy, "opened in the dark"
                self.capturing = self.devices_open = True
            case effects.StopCapture(number):
                assert number > self.closings, "each closing has a number of its own"
                self.capturing, self.closings = False, number
            case effects.PlaySound(effects.Sound.RINGTONE):
                self.ringing = True
            case effects.PlaySound(sound) if sound in FOR_VISITORS:
                self.heard.append(sound)
            case effects.StopSound(effects.Sound.RINGTONE):
                self.ringing = False

    def _event(self, event: Event, call_id: str | None) -> None:
        if call_id in self.ended and isinstance(event, SessionStateChanged):
            assert event.reason is SessionStateReason.LOGGING_IN, "a session is entered once more"
            for known in (self.ended, self.joined, self.left):
                known.discard(call_id)
        if call_id in self.ended:
            assert event.NAME == "error", f"{event.NAME} after the end of {call_id}"
        match event:
            case SessionJoined():
                assert call_id is not None
                assert call_id not in self.joined, "joined twice"
                self.joined.add(call_id)
            case SessionLeft():
                assert call_id in self.joined, "left what was never joined"
                assert isinstance(self._last, SessionStateChanged)
                assert self._last.reason is SessionStateReason.LOGGED_OUT
                assert call_id is not None
                self.left.add(call_id)
            case OutgoingCallStarted() | IncomingCallReceived():
                assert call_id is not None
                self.begun.add(call_id)
            case CallEnded():
                assert call_id is not None
                assert call_id not in self.ended, "a second end"
                self.ended.add(call_id)
                assert (call_id in self.joined) == (call_id in self.left)

    def after_turn(self, state: State, timers: dict[Timer, float]) -> None:
        live = {call.call_id: call for call in state.calls}
        live |= {one.call_id: one for call in state.calls for one in call.grouped}
        assert not self.ended & live.keys(), "a call lives on after its end"
        self.begun |= live.keys()
        assert self.begun - live.keys() <= self.ended, "a call is gone without an end"
        opened = {peer for peer, is_open in self.peers.items() if is_open}
        members = [member for call in state.calls for member in call.members]
        of_calls = {one for member in members for one in (member.peer, member.next) if one}
        assert opened == of_calls | {viewer.peer for viewer in state.viewers}
        self._viewers(state, timers)
        others = (
            "errors",
            "notice",
            "unlock",
            "left_open",
            "calm",
            "portrait",
            "viewer",
            "viewer_lost",
            "quiet_hours",
            "do_not_disturb",
            "request",
        )
        timed = {timer for timer in timers if timer.kind not in others}
        assert {timer.key for timer in timed} <= {call.call_id for call in state.calls}, (
            "a timer outlives its call"
        )
        assert len(state.calls) <= 2, "two calls at most"
        talked_in = [call for call in state.calls if call.joined and not call.on_hold]
        assert len(talked_in) <= 1, "two calls are talked in at once"
        self._requests(state, timers)
        assert state.sharing_screen is self.sharing
        assert not self.sharing or any(call.joined for call in state.calls), "shared with nobody"
        recorded = state.recording.call_id if state.recording else None
        assert (
            recorded is None
            or recorded in {one.call_id for one in state.calls}
            or self.told_to_stop
        )
        assert not self.heard or state.do_not_disturb is None, "a sound disturbs"
        self.heard.clear()
        assert (state.notice is not None) == (telling.TIMER in timers), "a notice has its time"
        if not live:
            wanted = state.portrait or state.viewers
            assert bool(self.capturing) == bool(wanted), "open for nobody, or closed to somebody"
            assert not self.ringing, "it rings for nobody"
        rings = any(call.state.value == "incoming" for call in live.values())
        assert self.ringing == (rings and state.do_not_disturb is None)

    def _viewers(self, state: State, timers: dict[Timer, float]) -> None:
        """Who looks is few, is seen on the LED, and hears nothing of a call."""
        assert len(state.viewers) <= 4
        assert not state.viewers or self.capturing, "somebody looks through a closed camera"
        assert not state.viewers or self.lit or not self.privacy, "looked at in the dark"
        timed = {timer.key for timer in timers if timer.kind.startswith("viewer")}
        assert timed <= {viewer.id for viewer in state.viewers}, "a timer outlives its viewer"
        hearing = {viewer.peer for viewer in state.viewers if viewer.sound} - self.muted
        assert not (hearing and state.calls), "a call is heard by who is not in it"
        deaf = {viewer.peer for viewer in state.viewers} & self.muted
        assert state.calls or not deaf, "nobody is in a call, and a viewer hears nothing"

    def _requests(self, state: State, timers: dict[Timer, float]) -> None:
        """Every command is answered once, and the state knows all that still wait."""
        asked = [one for call in state.calls for one in call.asked]
        known = Counter(self.hang_ups)
        known.update(one.request for one in asked)
        known.update(one.request for one in state.unlocking)
        known.update([state.recording.request] if state.recording else [])
        del known[None]
        assert +known == +self.waiting, "a command is waited for by nobody, or never answered"
        ids = {one.request_id for one in asked}
        ids |= {call.switch.request_id for call in state.calls if call.switch}
        running = {timer.key for timer in timers if timer.kind == "request"}
        assert running <= ids, "a request's timer outlives it"
        assert {one.request_id for one in asked} <= running, "a request waits for ever"
        alone = {call.call_id for call in state.calls if call.alone}
        idle = {timer.key for timer in timers if timer.kind == "idle"}
        assert alone == idle, "who is alone leaves in the end, and only who is alone"


def phones(*uids: str) -> Iterator[Address]:
    for uid in uids:
        yield Address(uid, "phone")
