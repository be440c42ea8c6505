"""Two calls made one session, and somebody taken out of it: each call has one end, and its own id."""

from __future__ import annotations

import pytest

from appliance.calls.effects import (
    Emit,
    HoldPeer,
    OpenPeer,
    Reply,
    Send,
    StartCapture,
    StopCapture,
    StopRecording,
)
from appliance.calls.inputs import HangUpAnswered, PeerLost, RecordingStarted
from appliance.commands import (
    EndCall,
    HoldCall,
    InitiateCall,
    Invite,
    LeaveSession,
    MergeCalls,
    MuteAudio,
    MuteParticipant,
    SendChatMessage,
    SplitCall,
    StartRecording,
)
from appliance.events import (
    CallEnded,
    ChatMessage,
    GroupToggled,
    ParticipantLeft,
    SessionJoined,
    SessionLeft,
)
from appliance.messages import (
    Accept,
    Chat,
    End,
    Join,
    Participants,
    Reject,
    Response,
    State,
)
from appliance.model import (
    CallEndReason,
    CallType,
    ParticipantLeftReason,
    ReceiverType,
    RejectReason,
)
from tests.parts.household import (
    ALICE,
    BOB,
    CAROL,
    HOME,
    PATIENT,
    answers,
    audio_call_with,
    guest_in,
    second_call_with,
)
from tests.parts.play import OFFER, Play


@pytest.fixture
def play() -> Play:
    """The door talks with bob, and alice, whom it called first, is on hold."""
    play = Play(PATIENT, online=HOME)
    play.is_in_call_with(ALICE)
    second_call_with(play, BOB)
    return play


def ids(play: Play) -> tuple[str, str]:
    """The first call's id, and the second's."""
    second, first = play.state.calls
    return first.call_id, second.call_id


def ends(play: Play) -> list[tuple[str | None, CallEndReason]]:
    """Each call_ended of the whole play: of which call, and why."""
    return [
        (output.call_id, output.event.reason)
        for output in play.all
        if isinstance(output, Emit) and isinstance(output.event, CallEnded)
    ]


def sent_to(play: Play) -> dict[str, str]:
    """Under which call_id each was written to just now."""
    return {send.to.uid: send.call_id for send in play.done(Send)}


# -------------------- merging


def test_two_calls_become_the_first_ones_session(play: Play) -> None:
    first, second = ids(play)
    session_id = play.state.calls[1].session_id
    play.orders(MergeCalls())
    assert play.done(Reply) == [Reply(1)]
    merged = play.event(GroupToggled)
    assert (merged.call.call_id, merged.grouped) == (second, True)
    assert [call.call_id for call in play.state.calls] == [first]
    assert [one.uid for one in play.call.participants] == ["alice", "bob"]
    lists = [send for send in play.done(Send) if isinstance(send.message, Participants)]
    assert {(one.to.uid, one.call_id) for one in lists} == {("alice", first), ("bob", second)}
    assert {one.message.session_id for one in lists if isinstance(one.message, Participants)} == {
        session_id
    }
    assert HoldPeer(play.peer(ALICE), here=False, there=False) in play.done(HoldPeer)
    assert not play.call.on_hold
    assert not play.find(CallEnded)


def test_each_is_written_to_under_the_id_that_it_knows_and_is_heard_under_it(play: Play) -> None:
    first, second = ids(play)
    play.orders(MergeCalls())
    play.orders(SendChatMessage(text="hello"))
    assert sent_to(play) == {"alice": first, "bob": second}
    play.hears(BOB, Chat("from bob"), second)
    assert play.event(ChatMessage).text == "from bob"
    play.hears(BOB, State({"audio_muted": True}), second)
    assert play.message_of(ALICE, Participants).participants[2].audio_muted


def test_when_who_came_with_it_leaves_the_merged_call_ends_and_the_session_goes_on(
    play: Play,
) -> None:
    first, second = ids(play)
    play.orders(MergeCalls())
    play.hears(BOB, End("hang_up"), second)
    assert ends(play) == [(second, CallEndReason.REMOTE_HANG_UP)]
    assert play.event(ParticipantLeft).participant.uid == "bob"
    play.orders(EndCall())
    assert ends(play) == [
        (second, CallEndReason.REMOTE_HANG_UP),
        (first, CallEndReason.LOCAL_HANG_UP),
    ]


def test_both_end_when_the_session_does_each_once(play: Play) -> None:
    first, second = ids(play)
    play.orders(MergeCalls())
    play.orders(EndCall())
    assert sent_to(play) == {"alice": first, "bob": second}
    assert ends(play) == [
        (second, CallEndReason.LOCAL_HANG_UP),
        (first, CallEndReason.LOCAL_HANG_UP),
    ]
    assert len(play.find(SessionLeft)) == 2
    assert play.done(StopCapture)


def test_the_first_ones_leave_and_those_of_the_second_stay(play: Play) -> None:
    first, second = ids(play)
    play.orders(MergeCalls())
    play.hears(ALICE, End("hang_up"), first)
    assert ends(play) == []
    assert [one.uid for one in play.call.participants] == ["bob"]
    play.hears(BOB, End("hang_up"), second)
    assert sorted(ends(play)) == sorted(
        [(second, CallEndReason.REMOTE_HANG_UP), (first, CallEndReason.REMOTE_HANG_UP)]
    )


def test_what_was_asked_in_the_second_is_still_answered(play: Play) -> None:
    play.orders(MuteParticipant(uid="bob"), request=5)
    request = play.message("request")
    play.orders(MergeCalls())
    play.hears(BOB, Response(request.request_id, accepted=True))
    assert play.done(Reply) == [Reply(5)]
    play.orders(MuteParticipant(uid="bob"), request=6)
    play.wait(11)
    assert play.done(Reply) == [Reply(6, code="refused", message="bob did not answer")]


def test_a_hang_up_about_which_listeners_still_think_ends_the_session(play: Play) -> None:
    play.confirms = None
    play.orders(LeaveSession(), request=5)
    [waiting] = play.undecided
    play.orders(MergeCalls(), request=6)
    play.happens(HangUpAnswered(waiting.call_id, waiting.command, "socket", 5, True))
    assert play.done(Reply) == [Reply(5)]
    assert play.state.calls == ()


def test_its_recording_goes_on_and_is_over_with_the_session(play: Play) -> None:
    play.orders(StartRecording())
    play.happens(RecordingStarted("/a.mp4"))
    play.orders(MergeCalls())
    assert play.state.recording is not None
    assert play.state.recording.call_id == play.call.call_id
    play.orders(EndCall())
    assert play.done(StopRecording)


def test_sound_and_pictures_together_are_a_video_call() -> None:
    play = Play(PATIENT, online=HOME)
    audio_call_with(play, ALICE)
    second_call_with(play, BOB)
    play.orders(MergeCalls())
    assert play.call.type is CallType.VIDEO
    assert StartCapture(video=False) not in play.done(StartCapture), "bob is still filmed"


def test_whoever_still_rings_in_the_second_is_let_be(play: Play) -> None:
    play.orders(Invite(receiver="carol"))
    second = play.call.call_id
    play.orders(MergeCalls())
    assert ("carol", "phone", "cancel") in play.sent
    play.hears(CAROL, Reject(RejectReason.REJECTED), second)
    assert play.events == [], "it crossed the cancel"


def test_those_who_met_in_the_merged_session_join_each_other(play: Play) -> None:
    play.orders(MergeCalls())
    play.hears(CAROL, Join(offer=OFFER))
    assert not play.done(OpenPeer)


@pytest.mark.parametrize("what", ["one call", "reconnecting", "not the host", "in both"])
def test_what_cannot_be_merged(play: Play, what: str) -> None:
    code = "no_second_call"
    match what:
        case "one call":
            play.orders(EndCall())
        case "reconnecting":
            play.happens(PeerLost(play.peer(BOB)))
        case "not the host":
            play, code = guest_in(), "not_the_host"
            second_call_with(play, BOB)
        case "in both":
            play.orders(EndCall())
            play.is_called(ALICE, "second")
            play.orders(command("accept_call"))
            play.connects(ALICE)
            code = "already_there"
    calls = play.state.calls
    play.orders(MergeCalls())
    assert play.done(Reply)[0].code == code
    assert play.state.calls == calls


def command(name: str) -> MergeCalls:
    from appliance.commands import COMMANDS

    return COMMANDS[name]()  # type: ignore[return-value]


def test_between_two_calls_that_were_merged_a_message_of_a_third_is_of_none(play: Play) -> None:
    _, second = ids(play)
    play.orders(MergeCalls())
    play.hears(CAROL, Chat("hello"), second)
    assert play.events == ["error"]


# -------------------- splitting


def test_split_gives_each_its_call_back(play: Play) -> None:
    first, second = ids(play)
    session_id = play.state.calls[1].session_id
    play.orders(MergeCalls())
    play.orders(SplitCall(uid="bob"))
    split = play.event(GroupToggled)
    assert (split.call.call_id, split.grouped) == (second, False)
    assert [call.call_id for call in play.state.calls] == [second, first]
    assert play.call.session_id != session_id, "another session"
    assert {
        send.to.uid: [one.uid for one in send.message.participants]
        for send in play.done(Send)
        if isinstance(send.message, Participants)
    } == {"alice": ["front-door", "alice"], "bob": ["front-door", "bob"]}
    assert play.state.calls[1].on_hold, "one talks on with whom was taken out"
    assert not play.find(SessionJoined)
    play.hears(BOB, End("hang_up"), second)
    assert ends(play) == [(second, CallEndReason.REMOTE_HANG_UP)]
    assert not play.call.on_hold, "and then with the others again"


def test_whoever_came_first_can_be_taken_out_as_well(play: Play) -> None:
    first, second = ids(play)
    play.orders(MergeCalls())
    play.orders(SplitCall(uid="alice"))
    apart, rest = play.state.calls
    assert rest.call_id == first
    assert apart.call_id not in (first, second), "the session keeps the id of the first call"
    assert play.event(SessionJoined).call_id == apart.call_id
    play.orders(SendChatMessage(text="just you"))
    assert sent_to(play) == {"alice": first}, "which alice knows it by"
    play.hears(ALICE, Chat("yes?"), first)
    assert play.outputs[0] == Emit(play.event(ChatMessage), apart.call_id)
    play.hears(BOB, End("hang_up"), second)
    assert sorted(ends(play)) == sorted(
        [(second, CallEndReason.REMOTE_HANG_UP), (first, CallEndReason.REMOTE_HANG_UP)]
    )
    play.hears(ALICE, End("hang_up"), first)
    assert len(ends(play)) == 3


def test_one_of_a_group_is_taken_out_into_a_call_of_its_own_and_comes_back() -> None:
    play = Play(PATIENT, online=HOME)
    play.orders(InitiateCall(receiver="party", receiver_type=ReceiverType.GROUP))
    for one in (ALICE, BOB):
        play.hears(one, Accept(offer=OFFER))
        answers(play, one)
    call_id = play.call.call_id
    play.wait(1)
    play.orders(SplitCall(uid="bob"))
    assert held(play) == {"bob": False, "alice": True}
    play.orders(HoldCall())
    assert held(play) == {"bob": True, "alice": False}
    play.orders(MergeCalls())
    assert play.call.call_id == call_id
    assert [one.uid for one in play.call.participants] == ["alice", "bob"]
    assert not play.call.on_hold
    assert {one.participant.on_hold for one in play.call.members} == {False}


def held(play: Play) -> dict[str, bool]:
    return {call.members[0].peer.uid: call.on_hold for call in play.state.calls}


def test_what_was_asked_goes_with_whom_it_was_asked_of(play: Play) -> None:
    play.orders(MergeCalls())
    play.orders(MuteParticipant(uid="bob"), request=5)
    request = play.message("request")
    play.orders(SplitCall(uid="bob"))
    play.hears(BOB, Response(request.request_id, accepted=True))
    assert play.done(Reply) == [Reply(5)]


def test_a_held_session_is_split(play: Play) -> None:
    play.orders(MergeCalls())
    play.orders(HoldCall())
    play.orders(SplitCall(uid="bob"))
    assert held(play) == {"bob": False, "alice": True}
    play.orders(LeaveSession())
    assert held(play) == {"alice": True}, "somebody wanted that"


@pytest.mark.parametrize(
    ("uid", "code"), [("bobb", "not_in_call"), ("front-door", "not_in_call"), ("alice", "alone")]
)
def test_whom_one_cannot_take_out(uid: str, code: str) -> None:
    play = Play(PATIENT, online=HOME)
    play.is_in_call_with(ALICE)
    play.orders(SplitCall(uid=uid))
    assert play.done(Reply)[0].code == code


def test_two_calls_are_enough(play: Play) -> None:
    play.orders(SplitCall(uid="bob"))
    assert play.done(Reply)[0].code == "busy"


def test_who_was_kicked_out_of_the_second_ends_it(play: Play) -> None:
    _, second = ids(play)
    play.orders(MergeCalls())
    play.orders(command_of_uid("kick_participant", "bob"))
    assert play.event(ParticipantLeft).reason is ParticipantLeftReason.KICKED_OUT
    assert ends(play) == [(second, CallEndReason.LOCAL_HANG_UP)]


def command_of_uid(name: str, uid: str) -> SplitCall:
    from appliance.commands import COMMANDS

    return COMMANDS[name](uid=uid)  # type: ignore[return-value]


def test_the_microphone_is_muted_for_all(play: Play) -> None:
    play.orders(MergeCalls())
    play.orders(MuteAudio())
    assert [one[:1] + one[2:] for one in play.sent if one[2] == "state"] == [
        ("alice", "state"),
        ("bob", "state"),
    ]
