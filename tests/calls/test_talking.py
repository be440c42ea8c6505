"""A call that is connected: what both sides do in it, how it is lost and found again."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance import messages
from appliance.calls.effects import (
    OpenCamera,
    OpenMicrophone,
    PulseRelay,
    Reply,
    Send,
    SettleMessage,
)
from appliance.calls.inputs import (
    ButtonGestured,
    DeviceFailed,
    FaultReported,
    InputSwitched,
    PeerFailed,
    PeerLost,
    PeerRestored,
    RelayChanged,
    StopRequested,
)
from appliance.calls.policy import ContactPolicy
from appliance.commands import (
    CallBack,
    EndCall,
    MuteAudio,
    PauseVideo,
    RaiseHand,
    SendChatMessage,
    SendCustomEvent,
    SendDtmf,
    SetLayout,
    SetVolume,
    Unlock,
)
from appliance.events import (
    CallEnded,
    CallLayoutChanged,
    ChatMessage,
    ConnectionRestored,
    Custom,
    Dtmf,
    Error,
    InputChanged,
    LocalCameraException,
    ParticipantAudioMuted,
    ParticipantLeft,
    RemoteCameraException,
)
from appliance.messages import Address, Chat, End, Request
from appliance.model import (
    CallEndReason,
    CallSettings,
    CallState,
    CallType,
    DeviceException,
    Gesture,
    Layout,
    ParticipantLeftReason,
    ReceiverType,
    RequestAction,
    Right,
)
from tests.parts.play import HOUSE, Play, command_of, invite_from

CALL_ONLY = frozenset({Right.CALL})
ALICE, BOB, CAROL = Address("alice", "phone"), Address("bob", "phone"), Address("carol", "phone")
HOME = {"alice": ["phone"], "bob": ["phone"], "carol": ["phone"]}


@pytest.fixture
def play() -> Play:
    play = Play(online=HOME)
    play.is_in_call_with(ALICE)
    return play


# -------------------- this device


def test_mute_and_unmute(play: Play) -> None:
    play.orders(MuteAudio(muted=True))
    assert play.done(OpenMicrophone) == [OpenMicrophone(on=False)]
    assert play.events == ["audio_muted"]
    assert play.message("state").changes == {"audio_muted": True}
    play.orders(MuteAudio(muted=True))
    assert play.outputs == [Reply(1)], "what is so already is no event"
    play.happens(ButtonGestured("mute", Gesture.PRESS))
    assert play.events == ["toggle_audio_button_clicked", "audio_unmuted"]
    assert play.done(OpenMicrophone) == [OpenMicrophone(on=True)]


def test_pause_and_resume(play: Play) -> None:
    play.orders(PauseVideo(paused=True))
    assert play.done(OpenCamera) == [OpenCamera(on=False)]
    assert play.events == ["video_paused"]
    play.orders(PauseVideo(paused=False))
    assert play.events == ["video_resumed"]


def test_an_audio_call_has_no_video_to_pause() -> None:
    play = Play()
    invite = invite_from("alice", "front-door", type_=CallType.AUDIO)
    play.hears(ALICE, invite, "call-1")
    play.orders(command_of("accept_call"))
    play.orders(PauseVideo(paused=True))
    assert play.done(Reply)[0].code == "no_video"


def test_every_call_begins_unmuted(play: Play) -> None:
    play.orders(MuteAudio(muted=True))
    play.orders(EndCall())
    assert not play.state.audio_muted


def test_chat_both_ways(play: Play) -> None:
    play.orders(SendChatMessage(text=" Leave it at the door "))
    assert play.event(ChatMessage).participant.uid == "front-door"  # type: ignore[union-attr]
    assert play.message("chat").text == "Leave it at the door"
    play.hears(ALICE, Chat("Coming"))
    said = play.event(ChatMessage)
    assert (said.participant and said.participant.uid, said.text) == ("alice", "Coming")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (SendChatMessage(text="  "), "empty_message"),
        (SendChatMessage(text="x" * 1001), "too_long"),
        (SendDtmf(digits="12E"), "bad_digits"),
        (SendCustomEvent(name="no spaces"), "bad_name"),
        (SetVolume(percent=150), "bad_volume"),
        (SendChatMessage(), "no_canned_message"),
    ],
)
def test_what_cannot_be_said(play: Play, command: SendDtmf, code: str) -> None:
    play.orders(command)
    assert play.done(Reply)[0].code == code
    assert play.event(Error).where == command.NAME


def test_digits_both_ways(play: Play) -> None:
    play.orders(SendDtmf(digits="12#"))
    assert play.event(Dtmf) == Dtmf("12#", None)
    play.hears(ALICE, messages.Dtmf("5"))
    heard = play.event(Dtmf)
    assert (heard.digits, heard.participant and heard.participant.uid) == ("5", "alice")


def test_raising_the_hand(play: Play) -> None:
    play.orders(RaiseHand(raised=True))
    assert play.events == ["participant_hand_raised"]
    assert play.message("state").changes == {"hand_raised": True}


def test_custom_events_need_no_call_but_reach_the_others_in_one(play: Play) -> None:
    play.orders(SendCustomEvent(name="parcel", body={"kg": 3}))
    assert play.event(Custom) == Custom("parcel", {"kg": 3})
    assert play.message("custom").body == {"kg": 3}
    play.orders(EndCall())
    play.orders(SendCustomEvent(name="parcel"))
    assert play.event(Custom) == Custom("parcel", None)
    assert play.sent == []


# -------------------- the other side


def test_what_a_participant_tells_of_itself(play: Play) -> None:
    play.hears(ALICE, messages.State({"audio_muted": True, "hand_raised": True}))
    assert play.events == [
        "participant_audio_muted",
        "participant_hand_raised",
        "participant_list_changed",
    ]
    assert play.event(ParticipantAudioMuted).muted_by == "alice"
    play.hears(ALICE, messages.State({"audio_muted": True}))
    assert play.events == [], "what is so already is no event"


def test_a_participants_camera_fails_and_works_again(play: Play) -> None:
    play.hears(ALICE, messages.State({"camera_exception": DeviceException.DEVICE_OCCUPIED}))
    assert play.event(RemoteCameraException).message == "device occupied"
    play.hears(ALICE, messages.State({"camera_exception": None}))
    assert play.event(RemoteCameraException).type is None


def test_this_devices_camera_fails_and_the_others_are_told(play: Play) -> None:
    play.happens(DeviceFailed("camera", DeviceException.DEVICE_UNPLUGGED, "it is gone"))
    assert play.event(LocalCameraException).message == "it is gone"
    assert play.message("state").changes == {"camera_exception": "device_unplugged"}
    assert play.call.state is CallState.CONNECTED
    play.happens(DeviceFailed("camera", None))
    assert play.state.failures == {}


def test_a_stranger_has_no_say_in_it(play: Play) -> None:
    play.hears(BOB, Chat("let me in"))
    assert play.event(Error).code == "not_in_call"
    play.hears(BOB, End("hang_up"))
    assert play.call.state is CallState.CONNECTED


def test_a_callee_cannot_put_its_host_out(play: Play) -> None:
    play.hears(ALICE, End("kicked_out", kicked_by="alice"))
    assert play.event(Error).code == "not_the_host"
    assert play.call.state is CallState.CONNECTED


def test_the_host_puts_this_device_out() -> None:
    play = Play()
    other_door = Address("alice", "main")
    play.is_called(other_door)
    play.orders(command_of("accept_call"))
    play.connects(other_door)
    play.hears(other_door, End("kicked_out", kicked_by="alice"))
    assert play.event(CallEnded).reason is CallEndReason.KICKED_OUT
    assert play.event(CallEnded).kicked_by == "alice"
    assert not play.find(ParticipantLeft), "it is this device that left"


# -------------------- the door


def test_a_participant_with_the_right_opens_the_door(play: Play) -> None:
    play.hears(ALICE, Request("r1", RequestAction.UNLOCK))
    assert play.done(PulseRelay) == [PulseRelay("door")]
    assert play.sent == [], "told only when the relay is energized"
    play.happens(RelayChanged("door", True))
    assert play.message("response").accepted
    play.hears(ALICE, Request("r2", RequestAction.UNLOCK, relay="gate"))
    assert play.done(PulseRelay) == [PulseRelay("gate")]


def test_without_the_right_it_stays_shut() -> None:
    play = Play(online=HOME)
    play.is_in_call_with(CAROL)
    play.hears(CAROL, Request("r1", RequestAction.UNLOCK))
    assert not play.done(PulseRelay)
    assert play.message("response").error == "carol has no right to open the door"
    assert play.event(Error).code == "not_allowed"


def test_a_relay_that_does_not_switch_is_told(play: Play) -> None:
    play.hears(ALICE, Request("r1", RequestAction.UNLOCK))
    play.wait(3)
    assert play.message("response").error == "the relay door did not switch"
    assert play.event(Error).code == "relay_failed"


@pytest.mark.parametrize("code", ["relay_unavailable", "relay_failed", "pin_unavailable"])
def test_a_relay_that_says_why_not_is_told_once_and_at_once(play: Play, code: str) -> None:
    play.hears(ALICE, Request("r1", RequestAction.UNLOCK))
    play.orders(Unlock(), request=7)
    play.happens(FaultReported("pin_unavailable", "busy.", "relays.gate"))
    assert play.sent == [], "that is another one"
    play.happens(FaultReported(code, "The relay door is away.", "relays.door"))
    assert play.message("response").error == "The relay door is away."
    assert play.done(Reply) == [Reply(7, code=code, message="The relay door is away.")]
    assert play.event(Error).code == code
    assert play.wait(3) == [], "exactly once"


def test_unlock_by_command_needs_no_call() -> None:
    play = Play()
    play.orders(Unlock(), request=7)
    assert play.done(Reply) == []
    play.happens(RelayChanged("door", True))
    assert play.done(Reply) == [Reply(7)]
    play.orders(Unlock(), request=8)
    assert play.done(Reply) == [Reply(8)], "it is open already, and the pulse begins anew"
    play.orders(Unlock(relay="dor"))
    assert play.done(Reply)[0].message == "no relay is called dor; did you mean door?"


def test_what_a_participant_may_not_ask_for(play: Play) -> None:
    play.hears(ALICE, Request("r1", RequestAction.SWITCH_TO_VIDEO))
    assert play.message("response").error == "this is a video call already"
    play.hears(ALICE, Request("r2", RequestAction.PARTICIPANTS))
    assert [type_ for _, _, type_ in play.sent] == ["participants", "response"]


# -------------------- lost and found


def test_lost_and_restored(play: Play) -> None:
    peer = play.peer(ALICE)
    play.happens(PeerLost(peer))
    assert play.events == ["participant_list_changed", "connection_lost", "session_state_changed"]
    play.wait(7)
    play.happens(PeerRestored(peer))
    assert play.event(ConnectionRestored).outage_s == 7
    assert play.call.state is CallState.CONNECTED


def test_lost_and_given_up(play: Play) -> None:
    play.happens(PeerLost(play.peer(ALICE)))
    play.wait(31)
    assert play.events == [
        "connection_closed",
        "session_state_changed",
        "audio_session_toggled",
        "session_state_changed",
        "session_left",
        "call_ended",
    ]
    assert play.event(CallEnded).reason is CallEndReason.CONNECTION_CLOSED


def test_the_media_of_who_hangs_up_ends_before_the_end_is_heard(play: Play) -> None:
    play.happens(PeerFailed(play.peer(ALICE), "connection_closed", "closed by the other side"))
    assert play.outputs[1:] == [], "nothing is told of it yet"
    play.hears(ALICE, End("hang_up"))
    assert play.event(CallEnded).reason is CallEndReason.REMOTE_HANG_UP


def test_the_media_ends_and_no_end_is_heard(play: Play) -> None:
    play.happens(PeerFailed(play.peer(ALICE), "connection_closed", "closed by the other side"))
    play.wait(1)
    assert play.event(Error).code == "connection_closed"
    assert play.event(CallEnded).reason is CallEndReason.CONNECTION_CLOSED


def test_the_connection_is_gone_at_once(play: Play) -> None:
    play.happens(PeerFailed(play.peer(ALICE), "failed", "consent was lost"))
    assert play.events[:2] == ["error", "connection_lost"]
    assert play.event(CallEnded).reason is CallEndReason.CONNECTION_CLOSED


def test_one_of_two_is_lost_and_the_session_goes_on() -> None:
    play = Play(online=HOME)
    play.orders(command_of("initiate_call", receiver="party", receiver_type=ReceiverType.GROUP))
    for one in (ALICE, BOB):
        play.hears(one, messages.Accept(offer=messages.SessionDescription("offer", "v=0")))
        play.connects(one)
    play.happens(PeerLost(play.peer(ALICE)))
    assert play.events == ["participant_list_changed"]
    play.happens(PeerFailed(play.peer(ALICE), "closed", "gone"))
    assert play.event(ParticipantLeft).reason is ParticipantLeftReason.CONNECTION_LOST
    assert play.call.state is CallState.CONNECTED


# -------------------- the rest


def test_the_list_is_sent_again_every_ten_seconds(play: Play) -> None:
    play.wait(25)
    assert play.sent == [("alice", "phone", "participants")] * 2


def test_the_daemon_stops_in_a_call(play: Play) -> None:
    play.happens(StopRequested())
    assert play.sent == [("alice", "phone", "end")]
    assert play.event(CallEnded).reason is CallEndReason.DEVICE_RESTART
    play.orders(command_of("initiate_call"))
    assert play.done(Reply)[0].code == "stopping"


def test_the_daemon_stops_while_it_rings() -> None:
    play = Play(online=HOME)
    play.orders(command_of("initiate_call", receiver="alice"))
    play.happens(StopRequested())
    assert play.sent == [("alice", "phone", "cancel")]
    play = Play()
    play.is_called(ALICE)
    play.happens(StopRequested())
    assert play.sent == [("alice", "phone", "reject")]


def test_calling_back_who_was_missed() -> None:
    play = Play(online=HOME)
    play.orders(CallBack())
    assert play.done(Reply)[0].code == "nothing_missed"
    play.is_called(BOB)
    play.wait(40)
    play.orders(CallBack())
    assert play.events == [
        "call_back_requested",
        "outgoing_call_started",
        "audio_session_toggled",
    ]
    assert play.call.receiver.id == "bob"
    assert play.state.missed == ()


def test_what_a_rule_did_before_it_refused_is_undone() -> None:
    caller = replace(HOUSE, contacts={**HOUSE.contacts, "dave": ContactPolicy("Dave", CALL_ONLY)})
    play = Play(caller)
    play.is_called(Address("dave", "phone"))
    play.wait(40)
    missed = play.state.missed
    play.orders(CallBack())
    assert play.done(Reply)[0].code == "nobody_to_call"
    assert play.events == ["error"], "a call-back that is not made was not asked for"
    assert play.state.missed == missed


def test_equal_errors_within_a_second_are_one_with_a_count() -> None:
    play = Play()
    for _ in range(5):
        play.happens(FaultReported("malformed", "no JSON", "appliance/call/front-door/x"))
    assert [error.count for error in play.find(Error)] == []
    play.wait(1)
    assert play.event(Error).count == 4
    play.wait(1)
    assert play.outputs == []


def test_a_contact_of_the_panel() -> None:
    play = Play()
    play.happens(InputSwitched("front", "door_contact", True))
    assert play.event(InputChanged) == InputChanged("front", "door_contact", True)


def test_an_accept_that_carried_the_answer_is_settled_by_the_connection() -> None:
    play = Play()
    play.is_called(ALICE)
    play.orders(command_of("accept_call"))
    play.connects(ALICE)
    assert [settled.type for settled in play.done(SettleMessage)] == ["accept"]
    assert play.done(Send)


# -------------------- how a call begins, and how much may be said


def test_a_call_begins_as_the_settings_say_and_who_joins_is_told() -> None:
    quiet = CallSettings(start_with_audio_muted=True, start_with_video_paused=True)
    play = Play(replace(HOUSE, settings=quiet), online=HOME)
    play.orders(command_of("initiate_call", receiver="alice"))
    assert play.events == [
        "outgoing_call_started",
        "audio_session_toggled",
        "audio_muted",
        "video_paused",
    ]
    assert play.done(OpenMicrophone) == [OpenMicrophone(on=False)]
    play.hears(ALICE, messages.Accept(offer=messages.SessionDescription("offer", "v=0")))
    play.connects(ALICE)
    assert play.message("state").changes == {"audio_muted": True, "video_paused": True}


def test_what_was_muted_is_told_to_be_open_when_the_call_is_over(play: Play) -> None:
    play.orders(MuteAudio(muted=True))
    play.orders(PauseVideo(paused=True))
    play.orders(EndCall())
    told = play.events
    assert told.index("audio_unmuted") < told.index("video_resumed") < told.index("call_ended")
    assert play.done(OpenMicrophone) == [OpenMicrophone(on=True)]
    assert play.done(OpenCamera) == [OpenCamera(on=True)]
    play.orders(command_of("initiate_call", receiver="alice"))
    assert "audio_unmuted" not in play.events


def test_a_call_begins_in_its_layout_and_says_so(play: Play) -> None:
    play.orders(SetLayout(layout=Layout.TILE))
    play.orders(EndCall())
    play.orders(command_of("initiate_call", receiver="alice"))
    assert play.event(CallLayoutChanged) == CallLayoutChanged(Layout.SPOTLIGHT)
    play.orders(EndCall())
    play.orders(command_of("initiate_call", receiver="alice"))
    assert "call_layout_changed" not in play.events


@pytest.mark.parametrize(
    ("value", "code"),
    [("x" * 3000, "too_large"), ({1, 2}, "not_json"), ([[]], None)],
)
def test_what_may_be_attached_to_a_call(value: object, code: str | None) -> None:
    play = Play(online=HOME)
    play.orders(command_of("initiate_call", receiver="alice", custom_data=value))
    assert play.done(Reply)[0].code == code
    assert bool(play.state.calls) is (code is None)


def test_json_that_nobody_can_walk_is_refused(play: Play) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    play.orders(SendCustomEvent(name="parcel", body=deep))
    assert play.done(Reply)[0].code == "not_json"


@pytest.mark.parametrize("timeout_s", [-5.0, 0.0, 1e300, float("nan")])
def test_a_ring_time_that_is_none(timeout_s: float) -> None:
    play = Play(online=HOME)
    play.orders(command_of("initiate_call", receiver="alice", timeout_s=timeout_s))
    assert play.done(Reply)[0].code == "bad_timeout"


def test_different_errors_are_told_apart_and_their_calls_named(play: Play) -> None:
    play.happens(
        FaultReported("oversized", "4500 bytes", "topic", "call-1"),
        FaultReported("oversized", "9000 bytes", "topic", "call-2"),
    )
    assert [error.message for error in play.find(Error)] == ["4500 bytes", "9000 bytes"]
