"""Random histories keep the laws: whatever happens, in whatever order, however often.

The laws themselves are watched by `Play` after every output and every turn.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance import messages
from appliance.calls.effects import Emit, OpenCamera, OpenMicrophone, OpenPeer, Reply
from appliance.calls.inputs import (
    VIEWING,
    ButtonGestured,
    ButtonPressed,
    ButtonStuck,
    CaptureClosed,
    CommandIssued,
    DeviceFailed,
    FaultCleared,
    FaultReported,
    HookSwitched,
    Input,
    InputSwitched,
    LinkChanged,
    LinkState,
    MessageExpired,
    MessageReceived,
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerFound,
    PeerKey,
    PeerLost,
    PeerOffered,
    PeerRestored,
    PictureWanted,
    PresenceChanged,
    PressureChanged,
    PrivacyLost,
    RecordingFailed,
    RecordingStarted,
    RecordingStopped,
    RelayChanged,
    Resumed,
    ReturnedToIdle,
    SpeakerChanged,
    StopRequested,
    ViewerLeft,
    ViewerOffered,
)
from appliance.commands import COMMANDS, Command, GenerateToken, InitiateCall, MuteAudio
from appliance.messages import Address
from appliance.model import (
    CallState,
    CancelReason,
    DeviceException,
    Gesture,
    Participant,
    ReceiverType,
    RejectReason,
    RequestAction,
    Right,
)
from tests.parts.household import guest_in
from tests.parts.play import ANSWER, OFFER, RICH, Play, invite_from

uids = st.sampled_from(["alice", "bob", "carol", "butler", "guest", "mallory"])
endpoints = st.sampled_from(["phone", "tablet"])
ALICE = Address("alice", "phone")
DOOR, GATE = Address("front-door", "main"), Address("gate", "main")
addresses = st.one_of(st.builds(Address, uids, endpoints), st.just(GATE))
flags = st.booleans()
foreign_calls = st.sampled_from(["0" * 32, "call-1", "call-2", "f" * 32])


def commands() -> st.SearchStrategy[Command]:
    made: dict[str, st.SearchStrategy[Command]] = {}
    for name, kind in COMMANDS.items():
        made[name] = st.builds(kind)
    made["initiate_call"] = st.one_of(
        st.just(COMMANDS["initiate_call"]()),
        st.builds(COMMANDS["initiate_call"], receiver=uids),
        st.builds(
            COMMANDS["initiate_call"],
            receiver=st.sampled_from(["party", "residents"]),
            receiver_type=st.just(ReceiverType.GROUP),
        ),
    )
    made["reject_call"] = st.builds(
        COMMANDS["reject_call"], reason=st.sampled_from(["rejected", "busy", "cancelled"])
    )
    for name in ("split_call", "kick_participant", "mute_participant"):
        made[name] = st.builds(COMMANDS[name], uid=uids)
    made["invite"] = st.builds(COMMANDS["invite"], receiver=uids | st.just("group:party"))
    made["answer_request"] = st.builds(
        COMMANDS["answer_request"], request_id=st.sampled_from(["r", None]), accepted=flags
    )
    made["start_session"] = st.builds(
        COMMANDS["start_session"], token=st.sampled_from([own_token(), "gate.c.s.front-door.9.x"])
    )
    made["set_do_not_disturb"] = st.builds(COMMANDS["set_do_not_disturb"], on=flags)
    return st.one_of(*made.values())


def own_token(uid: str = "front-door") -> str:
    play = Play(RICH)
    play.orders(GenerateToken(session_id="5" * 32, uid=uid, expires_s=3600))
    return str(play.done(Reply)[0].result["token"])


participants = st.lists(
    st.builds(
        lambda address, muted, held: Participant(
            address.uid, None, address.endpoint or "", audio_muted=muted, on_hold=held
        ),
        addresses | st.just(DOOR),
        flags,
        flags,
    ),
    max_size=4,
    unique_by=lambda one: (one.uid, one.endpoint),
).map(lambda others: (Participant("gate", None, "main"), *others))

bodies: st.SearchStrategy[messages.Message] = st.one_of(
    st.builds(
        lambda uid, offer: invite_from(uid, "front-door", offer=offer),
        uids,
        st.sampled_from([OFFER, None]),
    ),
    st.builds(messages.Participants, st.just("session-1"), st.integers(0, 9), participants),
    st.builds(messages.Participants, st.just("session-1"), st.integers(0, 9), participants),
    st.just(messages.Ringing()),
    st.sampled_from([messages.Accept(offer=OFFER), messages.Accept(answer=ANSWER)]),
    st.builds(messages.Reject, st.sampled_from(RejectReason)),
    st.builds(messages.Cancel, st.sampled_from(CancelReason), st.none() | addresses),
    st.builds(messages.End, st.sampled_from(["hang_up", "kicked_out", "idle", "failed"])),
    st.builds(messages.Offer, st.just(OFFER), st.integers(1, 2)),
    st.builds(messages.Answer, st.just(ANSWER), st.integers(1, 2)),
    st.builds(messages.Candidate, st.none(), st.integers(1, 2)),
    st.sampled_from(
        [messages.Join(), messages.Join(offer=OFFER), messages.Join(token=own_token("alice"))]
    ),
    st.builds(
        messages.State,
        st.dictionaries(
            st.sampled_from(["audio_muted", "on_hold", "screen_sharing", "recording"]), flags
        ),
    ),
    st.builds(
        messages.Request,
        st.just("r"),
        st.sampled_from(RequestAction),
        st.none() | uids,
        st.none() | uids,
        st.none(),
        st.sampled_from([None, "reconnect", "screen_share"]),
    ),
    st.builds(messages.Response, st.just("r"), flags),
    st.builds(messages.Chat, st.just("hi")),
    st.builds(messages.Dtmf, st.just("1")),
    st.builds(messages.Custom, st.just("x")),
)

unlikely = st.one_of(
    st.tuples(st.just("command"), commands()),
    st.tuples(st.just("message"), addresses, bodies, st.none() | foreign_calls),
    st.tuples(st.just("peer"), st.integers(0, 8), st.integers(0, 7)),
    st.tuples(st.just("confirms"), st.sampled_from([True, False, None])),
    st.tuples(st.just("decided"), flags),
    st.tuples(st.just("returns"), flags),
    st.tuples(st.just("closes"), flags),
    st.tuples(st.just("closed"), st.integers(0, 1)),
    st.tuples(st.just("dark")),
    st.tuples(st.just("looks"), uids | st.none(), st.integers(0, 5), flags),
    st.tuples(st.just("looked"), st.integers(0, 5)),
    st.tuples(st.just("viewer"), st.integers(0, 3), st.integers(0, 7)),
    st.tuples(st.just("picture")),
    st.tuples(st.just("stuck"), flags),
    st.tuples(
        st.just("senses"), st.sampled_from(["door_contact", "exit", "tamper", "motion"]), flags
    ),
    st.tuples(st.just("hook"), flags),
    st.tuples(st.just("recorder"), st.integers(0, 2)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 2.5, 11.0, 40.0, 70.0])),
    st.tuples(st.just("presence"), uids, endpoints, flags, st.sampled_from(["e1", "e2"])),
    st.tuples(st.just("link"), st.sampled_from(LinkState)),
    st.tuples(st.just("button"), st.sampled_from(["call", "bell_bob", "green", "red", "mute"])),
    st.tuples(st.just("expired"), addresses),
    st.tuples(st.just("relay"), flags),
    st.tuples(st.just("camera"), st.none() | st.sampled_from(DeviceException)),
    st.tuples(st.just("fault"), st.integers(0, 100)),
    st.tuples(st.just("part"), flags),
    st.tuples(st.just("pressure"), st.sampled_from([None, "it is hot"])),
    st.tuples(st.just("resumed"), st.sampled_from([2.0, 3600.0])),
    st.tuples(st.just("revoked"), uids, addresses),
)


likely = st.tuples(st.just("likely"), st.integers(0, 40))
steps = st.integers(0, 9).flatmap(lambda which: unlikely if which < 4 else likely)


def take(play: Play, step: tuple[object, ...]) -> None:
    match step:
        case ("likely", int(which)):
            likely = likely_next(play)
            play.happens(likely[which % len(likely)])
        case ("command", Command() as command):
            play.happens(CommandIssued(command, "socket", len(play.all) + 10))
        case ("message", Address() as sender, messages.Message() as body, call_id):
            active = play.state.active
            own = active.call_id if active else "call-1"
            play.happens(MessageReceived(sender, str(call_id or own), body))
        case ("peer", int(kind), int(which)):
            play.happens(peer_report(play, kind, which))
        case ("wait", float(seconds)):
            play.wait(seconds)
        case ("presence", str(uid), str(endpoint), bool(online), str(epoch)):
            play.happens(PresenceChanged(uid, endpoint, online, epoch if online else None))
        case ("link", LinkState() as link):
            play.happens(LinkChanged(link))
        case ("button", str(button)):
            play.happens(ButtonPressed(button), ButtonGestured(button, Gesture.PRESS))
        case ("expired", Address() as to):
            active = play.state.active
            call_id = active.call_id if active else "call-1"
            play.happens(MessageExpired(to, call_id, messages.Ringing(), False))
        case ("relay", bool(on)):
            play.happens(RelayChanged("door", on))
        case ("camera", DeviceException() | None as type_):
            play.happens(DeviceFailed("camera", type_))
        case ("confirms", True | False | None as confirms):
            play.confirms = confirms
        case ("decided", bool(confirmed)) if play.undecided:
            play.happens(replace(play.undecided.pop(0), confirmed=confirmed))
        case ("returns", bool(returns)):
            play.returns = returns
            play.happens(ReturnedToIdle("call-1"))
        case ("closes", bool(closes)):
            play.closes = closes
        case ("closed", int(ago)):  # late, or of the time before
            play.happens(CaptureClosed(play.laws.closings - ago))
        case ("looks", str() | None as uid, int(number), bool(sound)):
            play.happens(ViewerOffered(f"v{number}", uid, OFFER, sound))
        case ("looked", int(number)):
            play.happens(ViewerLeft(f"v{number}"))
        case ("viewer", int(which), int(kind)) if which < len(play.state.viewers):
            play.happens(report_about(play.state.viewers[which].peer, kind))
        case ("picture",):
            play.happens(PictureWanted())
        case ("dark",):
            play.happens(PrivacyLost())
        case ("stuck", bool(stuck)):
            play.happens(ButtonStuck("red", stuck))
        case ("senses", str(kind), bool(on)):
            play.happens(InputSwitched(kind, kind, on))
        case ("hook", bool(lifted)):
            play.happens(HookSwitched("green", lifted))
        case ("recorder", int(kind)) if play.laws.recording is not None:
            play.happens(
                (
                    RecordingStarted("/a.mp4"),
                    RecordingStopped("/a.mp4", 1.0, 1000, None),
                    RecordingFailed("the disk is full"),
                )[kind]
            )
        case ("fault", int(number)):
            play.happens(FaultReported("malformed", "no JSON", f"topic/{number}"))
            play.happens(FaultReported("pin_unavailable", "no pin", f"leds.{number}"))
            play.happens(FaultCleared(f"leds.{number // 2}"))
        case ("part", bool(broken)):
            fault = FaultReported("pin_unavailable", "busy", "leds.status", lasts=True)
            play.happens(fault if broken else FaultCleared("leds.status"))
        case ("pressure", str() | None as message):
            play.happens(PressureChanged(message))
        case ("revoked", str(uid), Address() as withdrawn):
            play.is_revoked(uid, withdrawn=(withdrawn,))
        case ("resumed", float(away_s)):
            play.happens(Resumed(away_s))


def likely_next(play: Play) -> list[Input]:
    """What an honest house would do next, so that the histories get somewhere."""
    call = play.state.active
    if call is None:
        invite = invite_from("alice", "front-door")
        return [
            CommandIssued(InitiateCall(receiver="alice"), "button"),
            MessageReceived(Address("alice", "phone"), f"call-{len(play.all)}", invite),
        ]
    if call.state is CallState.CONNECTED and not call.members:
        return [MessageReceived(ALICE, call.call_id, messages.Join(token=own_token("alice")))]
    invited = [invitee.uid for invitee in call.invitees] or ["alice"]
    accepts: list[Input] = [
        MessageReceived(Address(uid, "phone"), call.call_id, messages.Accept(offer=OFFER))
        for uid in invited
    ]
    match call.state:
        case CallState.INCOMING:
            return [CommandIssued(COMMANDS["accept_call"](), "button")]
        case CallState.OUTGOING:
            return accepts
    if not call.members:
        return accepts
    peer = call.members[-1].peer
    reports: list[Input] = [PeerLost(peer), PeerRestored(peer), PeerConnected(peer)]
    if call.state is CallState.CONNECTING:
        return [PeerConnected(peer)]
    others = [
        CommandIssued(COMMANDS[name](), "button")
        for name in ("hold_call", "merge_calls", "start_recording", "share_screen")
    ]
    second = invite_from("bob", "front-door")
    leaving = [
        MessageReceived(member.address, member.peer.call_id, messages.End("hang_up"))
        for member in call.members[1:]
    ]
    recorder: list[Input] = []
    if play.laws.recording is not None:
        recorder = [RecordingStarted("/a.mp4"), RecordingStopped("/a.mp4", 1.0, 1000, None)]
    return [
        *leaving,
        *recorder,
        *reports,
        *accepts,
        *others,
        MessageReceived(Address("bob", "phone"), f"second-{len(play.all)}", second),
        CommandIssued(COMMANDS["accept_call"](), "button"),
        CommandIssued(InitiateCall(receiver="carol"), "button"),
        CommandIssued(COMMANDS["invite"](receiver="carol"), "button"),
    ]


def peer_report(play: Play, kind: int, which: int) -> Input:
    """A report of one of the open connections, or of one that is not (any more)."""
    members = [member for call in play.state.calls for member in call.members]
    peers = [one for member in members for one in (member.peer, member.next) if one]
    peer = peers[which % len(peers)] if peers else PeerKey("call-1", "alice", "phone")
    return report_about(peer, kind, which)


def report_about(peer: PeerKey, kind: int, which: int = 0) -> Input:
    """A report of that connection."""
    return (
        PeerConnected(peer),
        PeerLost(peer),
        PeerRestored(peer),
        PeerFound(peer, None),
        PeerFailed(peer, "connection_closed" if which % 2 else "failed", "gone"),
        PeerAnswered(peer, ANSWER),
        PeerOffered(peer, OFFER),
        PeerAgreed(peer, video=bool(which % 2), screen=bool(which % 3)),
        SpeakerChanged(peer),
    )[kind]


@settings(max_examples=500, deadline=None)
@given(st.lists(steps, min_size=5, max_size=60))
def test_every_history_keeps_the_laws(history: list[tuple[object, ...]]) -> None:
    play = Play(RICH, online={"alice": ["phone"], "bob": ["phone", "tablet"]})
    for step in history:
        take(play, step)
    play.happens(StopRequested())
    assert play.state.calls == ()
    assert not any(play.laws.peers.values()), "the last stop closes everything"


def test_the_random_histories_go_everywhere() -> None:
    """A generator that never leaves the porch would keep every law."""
    reached: set[CallState] = set()
    told: set[str] = set()

    @settings(max_examples=120, deadline=None, database=None, derandomize=True)
    @given(st.lists(steps, min_size=20, max_size=60))
    def explore(history: list[tuple[object, ...]]) -> None:
        play = Play(RICH, online={"alice": ["phone"]})
        for step in history:
            take(play, step)
            reached.update(call.state for call in play.state.calls)
        told.update(output.event.NAME for output in play.all if isinstance(output, Emit))

    explore()
    assert reached == set(CallState) - {CallState.IDLE, CallState.ENDED}
    assert {"hold_toggled", "group_toggled", "participant_left", "recording_stopped"} <= told


NOBODY_MODERATES = replace(
    RICH,
    contacts={
        uid: replace(contact, may=contact.may - {Right.MODERATE})
        for uid, contact in RICH.contacts.items()
    },
)
may_call_or_be_rung = frozenset(
    uid
    for uid, contact in NOBODY_MODERATES.contacts.items()
    if contact.may & {Right.CALL, Right.ANSWER}
)
as_host = st.one_of(
    st.builds(messages.Participants, st.just("session-1"), st.integers(1, 9), participants),
    st.builds(messages.Request, st.just("r"), st.sampled_from(RequestAction), st.none() | uids),
)
hosted = st.one_of(
    st.tuples(st.just("message"), st.just(GATE), as_host, st.none()),
    st.tuples(st.just("message"), addresses, st.just(messages.Join(offer=OFFER)), st.none()),
    steps,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(hosted, min_size=5, max_size=40))
def test_a_host_that_may_not_moderate_opens_nothing(history: list[tuple[object, ...]]) -> None:
    play = guest_in(play=Play(NOBODY_MODERATES, online={"alice": ["phone"]}))
    play.orders(MuteAudio(muted=True))
    for step in history:
        take(play, step)
        if isinstance(step[2] if len(step) > 2 else None, messages.Request):
            assert OpenMicrophone(on=True) not in play.outputs
            assert OpenCamera(on=True) not in play.outputs
    opened = [one.peer for one in play.all if isinstance(one, OpenPeer)]
    with_whom = {peer.uid for peer in opened if peer.call_id != VIEWING}
    assert with_whom <= may_call_or_be_rung
