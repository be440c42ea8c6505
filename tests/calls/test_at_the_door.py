"""Beside talking: handset, keys and buttons, devices that fail, how it ends, and the wrong time."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from appliance.actions import parse_action
from appliance.calls.effects import (
    PlaySound,
    PulseRelay,
    Reply,
    SetVolume,
    Sound,
    SwitchCamera,
    UseAudioMode,
)
from appliance.calls.inputs import (
    AudioOutputs,
    ButtonGestured,
    CameraSwitched,
    DeviceFailed,
    HookSwitched,
    LinkChanged,
    LinkState,
    PeerFailed,
    RelayChanged,
)
from appliance.commands import (
    COMMANDS,
    CallBack,
    EndCall,
    LeaveSession,
    SendChatMessage,
    SetAudioMode,
)
from appliance.commands import SetVolume as SetVolumeCommand
from appliance.commands import SwitchCamera as SwitchCommand
from appliance.events import (
    AudioModeChanged,
    CallBackRequested,
    CallEnded,
    CameraFacingChanged,
    ChatMessage,
    Dtmf,
    Error,
    RemoteCameraException,
    RemoteMicrophoneException,
    SessionStateChanged,
)
from appliance.messages import Accept, Cancel, End, State
from appliance.messages import Dtmf as DtmfMessage
from appliance.model import (
    AudioMode,
    CallEndReason,
    CallState,
    CameraFacing,
    CancelReason,
    DeviceException,
    Gesture,
)
from tests.parts.household import ALICE, BOB, CAROL, HOME, PATIENT, joins, session_of
from tests.parts.play import OFFER, Play, command_of

HANDSET = replace(
    PATIENT,
    buttons={
        ("hook", Gesture.PRESS): parse_action("answer"),
        ("hang_up", Gesture.PRESS): parse_action("leave"),
        ("hang_up", Gesture.HOLD): parse_action("leave"),
        ("chat", Gesture.PRESS): parse_action("chat"),
        ("back", Gesture.PRESS): parse_action("call_back"),
        ("louder", Gesture.PRESS): parse_action("volume_up"),
        ("mode", Gesture.PRESS): parse_action("cycle_audio_mode"),
    },
)
BOTH = (AudioMode.SPEAKER, AudioMode.EARPIECE)
LIFTED, PUT_BACK = HookSwitched("hook", lifted=True), HookSwitched("hook", lifted=False)


@pytest.fixture
def play() -> Play:
    play = Play(HANDSET, online=HOME)
    play.happens(AudioOutputs(AudioMode.SPEAKER, BOTH))
    return play


def press(play: Play, button: str, gesture: Gesture = Gesture.PRESS) -> None:
    play.happens(ButtonGestured(button, gesture))


# -------------------- the handset


def test_lifting_the_handset_answers_and_is_heard_in_it(play: Play) -> None:
    play.is_called(ALICE)
    play.happens(LIFTED)
    assert play.events[:2] == ["incoming_call_accept_button_pressed", "incoming_call_accepted"]
    assert play.done(UseAudioMode)[-1] == UseAudioMode(AudioMode.EARPIECE)
    play.happens(AudioOutputs(AudioMode.EARPIECE, BOTH))
    play.connects(ALICE)
    play.happens(PUT_BACK)
    assert play.events[0] == "leave_session_button_clicked"
    assert play.event(CallEnded).reason is CallEndReason.LOCAL_HANG_UP
    assert play.done(UseAudioMode) == [UseAudioMode(AudioMode.SPEAKER)]


def test_a_call_that_is_answered_with_the_handset_up_is_heard_in_it(play: Play) -> None:
    play.happens(LIFTED, AudioOutputs(AudioMode.EARPIECE, BOTH))
    play.is_called(ALICE)
    play.orders(command_of("accept_call"))
    assert not play.done(UseAudioMode), "it is in use already"


def test_in_a_call_the_handset_only_moves_the_sound(play: Play) -> None:
    play.is_in_call_with(ALICE)
    play.happens(LIFTED)
    assert play.events == []
    assert play.done(UseAudioMode) == [UseAudioMode(AudioMode.EARPIECE)]


def test_a_handset_that_is_put_back_while_nothing_is_going_on(play: Play) -> None:
    play.happens(PUT_BACK)
    assert play.events == []


def test_putting_it_back_takes_back_the_own_call(play: Play) -> None:
    play.orders(command_of("initiate_call", receiver="alice"))
    play.happens(PUT_BACK)
    assert play.events[0] == "outgoing_call_cancel_button_pressed"
    assert play.event(CallEnded).reason is CallEndReason.CANCELLED


# -------------------- buttons


def test_where_it_is_set_so_a_call_is_left_by_holding_only() -> None:
    play = Play(replace(HANDSET, hold_to_hang_up=True), online=HOME)
    play.orders(command_of("initiate_call", receiver="alice"))
    play.hears(ALICE, Accept(offer=OFFER))
    play.connects(ALICE)
    press(play, "hang_up")
    assert play.events == ["leave_session_button_clicked"]
    assert play.done(PlaySound) == [PlaySound(Sound.REFUSED)]
    press(play, "hang_up", Gesture.HOLD)
    assert play.event(CallEnded).reason is CallEndReason.LOCAL_HANG_UP
    play.orders(command_of("initiate_call", receiver="alice"))
    press(play, "hang_up")
    assert play.event(CallEnded).reason is CallEndReason.CANCELLED, "it only rang"


def test_the_button_that_answers_declines_where_held_and_leaves_where_that_is_to_be_held() -> None:
    buttons = {
        ("green", Gesture.PRESS): parse_action("answer"),
        ("green", Gesture.HOLD): parse_action("decline"),
        ("end", Gesture.PRESS): parse_action("command:end_call"),
        ("end", Gesture.HOLD): parse_action("command:end_call"),
    }
    play = Play(replace(PATIENT, buttons=buttons, hold_to_hang_up=True), online=HOME)
    for button in ("green", "end"):
        play.is_in_call_with(ALICE)
        press(play, button)
        assert play.done(PlaySound) == [PlaySound(Sound.REFUSED)]
        press(play, button, Gesture.HOLD)
        assert play.event(CallEnded).reason is CallEndReason.LOCAL_HANG_UP
    play.is_called(ALICE)
    press(play, "green", Gesture.HOLD)
    assert play.events[0] == "incoming_call_decline_button_pressed"


@pytest.mark.parametrize("action", ["answer", "decline"])
def test_where_nothing_rings_there_is_nothing_to_answer_or_decline(action: str) -> None:
    buttons = {("green", Gesture.PRESS): parse_action(action)}
    play = Play(replace(PATIENT, buttons=buttons), online=HOME)
    press(play, "green")
    assert play.events == ["error"]
    assert play.event(Error).where in ("accept_call", "reject_call")


def test_an_own_call_is_taken_back_with_a_word_and_not_for_any_reason(play: Play) -> None:
    play.orders(command_of("initiate_call", receiver="alice"))
    play.orders(command_of("reject_call", reason="busy"))
    assert play.done(Reply)[0].code == "bad_reason"
    play.orders(command_of("reject_call", reason="cancelled", custom_data={"why": "mistake"}))
    assert play.message("cancel").custom_data == {"why": "mistake"}
    assert play.event(CallEnded).reason is CallEndReason.CANCELLED


def test_the_chat_button_says_one_after_the_other(play: Play) -> None:
    play.is_in_call_with(ALICE)
    said = []
    for _ in range(3):
        press(play, "chat")
        assert play.events == ["chat_button_clicked", "chat_message"]
        said.append(play.event(ChatMessage).text)
    assert said == ["Leave it at the door", "Coming", "Leave it at the door"]
    play.orders(SendChatMessage(text="No"))
    press(play, "chat")
    assert play.event(ChatMessage).text == "Coming"


def test_calling_back_who_was_missed(play: Play) -> None:
    play.orders(CallBack())
    assert play.done(Reply)[0].code == "nothing_missed"
    for caller in (ALICE, BOB):
        play.is_called(caller, f"missed-{caller.uid}")
        play.hears(caller, Cancel(CancelReason.CANCELLED))
    press(play, "back")
    assert play.events[:2] == ["call_back_requested", "outgoing_call_started"]
    assert play.event(CallBackRequested).call.caller.uid == "bob", "the last one first"
    play.orders(EndCall())
    press(play, "back")
    assert play.call.receiver.id == "alice"


def test_talking_with_who_was_missed_settles_it(play: Play) -> None:
    play.is_called(ALICE, "missed")
    play.hears(ALICE, Cancel(CancelReason.TIMED_OUT))
    play.is_in_call_with(ALICE)
    assert play.state.missed == ()


def test_louder_and_elsewhere(play: Play) -> None:
    press(play, "louder")
    assert play.done(SetVolume) == [SetVolume(AudioMode.SPEAKER, 100)]
    play.orders(SetVolumeCommand(percent=30))
    press(play, "louder")
    assert play.done(SetVolume) == [SetVolume(AudioMode.SPEAKER, 40)]
    play.orders(SetVolumeCommand(output=AudioMode.BLUETOOTH, percent=30))
    assert play.done(Reply)[0].code == "no_such_output"
    press(play, "mode")
    assert play.done(UseAudioMode) == [UseAudioMode(AudioMode.EARPIECE)]
    play.happens(AudioOutputs(AudioMode.EARPIECE, BOTH))
    assert play.event(AudioModeChanged).mode is AudioMode.EARPIECE
    play.happens(AudioOutputs(AudioMode.EARPIECE, BOTH))
    assert play.events == []
    play.orders(SetAudioMode(mode=AudioMode.HEADPHONES))
    assert play.done(Reply)[0].code == "no_such_output"


def test_the_other_camera_and_back(play: Play) -> None:
    play.is_in_call_with(ALICE)
    play.orders(SwitchCommand())
    assert play.done(SwitchCamera) == [SwitchCamera(CameraFacing.REAR)]
    assert play.events == [], "its pictures are not there yet"
    play.happens(CameraSwitched(CameraFacing.REAR))
    assert play.event(CameraFacingChanged).facing is CameraFacing.REAR
    play.orders(EndCall())
    play.is_called(ALICE, "next")
    play.orders(command_of("accept_call"))
    assert play.done(SwitchCamera) == [SwitchCamera(CameraFacing.FRONT)], "a call begins with it"
    single = Play(replace(HANDSET, cameras=frozenset({CameraFacing.FRONT})))
    single.orders(SwitchCommand())
    assert single.done(Reply)[0].code == "no_second_camera"


# -------------------- keys that open the door


def test_the_right_digits_open_the_door_for_who_may() -> None:
    play = session_of(ALICE, BOB, CAROL)
    for digits in ("1", "1", "2"):
        play.hears(ALICE, DtmfMessage(digits))
        assert not play.done(PulseRelay)
    play.hears(BOB, DtmfMessage("#"))
    assert not play.done(PulseRelay), "each presses for itself"
    play.hears(ALICE, DtmfMessage("#"))
    assert play.done(PulseRelay) == [PulseRelay("door")]
    play.happens(RelayChanged("door", True))
    play.hears(ALICE, DtmfMessage("#"))
    assert not play.done(PulseRelay), "the code is to be pressed again"


def test_without_the_right_they_are_only_heard() -> None:
    play = session_of(ALICE, CAROL)
    play.hears(CAROL, DtmfMessage("12#"))
    assert play.event(Dtmf).digits == "12#"
    assert play.event(Error).code == "not_allowed"
    assert not play.done(PulseRelay)


# -------------------- devices that fail


def test_who_comes_in_later_is_told_what_does_not_work() -> None:
    play = session_of(ALICE)
    play.happens(DeviceFailed("camera", DeviceException.DEVICE_UNPLUGGED, "it is gone"))
    assert play.message("state").changes == {"camera_exception": "device_unplugged"}
    play.orders(command_of("invite", receiver="bob"))
    joins(play, BOB)
    assert play.message_of(BOB, State).changes == {"camera_exception": "device_unplugged"}
    play.happens(DeviceFailed("camera", None))
    assert {one[0] for one in play.sent} == {"alice", "bob"}
    assert play.message_of(ALICE, State).changes == {"camera_exception": None}


def test_what_does_not_work_with_the_others() -> None:
    play = session_of(ALICE)
    play.hears(
        ALICE,
        State({"microphone_exception": DeviceException.IN_BACKGROUND, "audio_muted": True}),
    )
    told = play.event(RemoteMicrophoneException)
    assert (told.type, told.message) == (DeviceException.IN_BACKGROUND, "in background")
    assert told.participant.audio_muted, "as it is by now"
    play.hears(ALICE, State({"camera_exception": None}))
    assert play.event(RemoteCameraException).type is None


# -------------------- how it ends


def test_nobody_can_be_told_that_one_leaves() -> None:
    play = session_of(ALICE)
    play.happens(LinkChanged(LinkState.OFFLINE))
    play.orders(LeaveSession())
    reasons = [one.reason for one in play.find(SessionStateChanged)]
    assert reasons == ["logout_failed", "logged_out"]
    assert [one.error_code for one in play.find(SessionStateChanged)] == [4, 0]


@pytest.mark.parametrize("connected", [True, False])
def test_who_is_trusted_no_more(connected: bool) -> None:
    play = Play(PATIENT, online=HOME)
    play.is_called(ALICE)
    play.orders(command_of("accept_call"))
    if connected:
        play.connects(ALICE)
    play.happens(PeerFailed(play.peer(ALICE), "untrusted", "its key was revoked"))
    assert play.event(CallEnded).reason is CallEndReason.UNTRUSTED
    assert play.message("end").reason == "failed"


def test_of_several_the_one_who_is_trusted_no_more_is_put_out() -> None:
    play = session_of(ALICE, BOB)
    play.happens(PeerFailed(play.peer(BOB), "untrusted", "its key was revoked"))
    assert ("bob", "phone", "end") in play.sent
    assert play.call.state is CallState.CONNECTED


def test_a_connection_that_fails_while_another_may_still_come() -> None:
    play = session_of(ALICE)
    play.orders(command_of("invite", receiver="bob"))
    play.happens(PeerFailed(play.peer(ALICE), "failed", "consent was lost"))
    assert play.call.state is CallState.CONNECTED
    joins(play, BOB)
    play.hears(BOB, End("hang_up"))
    assert play.event(CallEnded).reason is CallEndReason.REMOTE_HANG_UP


# -------------------- there is a time for everything

ANY_TIME = {
    "unlock",
    "send_custom_event",
    "generate_token",
    "switch_camera",
    "set_audio_mode",
    "set_volume",
    "set_layout",
    "show_participant_list",
    "set_do_not_disturb",
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "start_session": {"token": "x"},
    "set_layout": {"layout": "tile"},
    "send_dtmf": {"digits": "1"},
    "split_call": {"uid": "bob"},
    "kick_participant": {"uid": "bob"},
    "mute_participant": {"uid": "bob"},
    "answer_request": {"request_id": "r", "accepted": True},
}
BEGIN = {"initiate_call", "call_back", "start_session"}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - ANY_TIME - BEGIN))
def test_without_a_call_every_command_about_one_is_refused_in_words(name: str) -> None:
    play = Play(PATIENT, online=HOME)
    play.orders(command_of(name, **ARGUMENTS.get(name, {})))
    [reply] = play.done(Reply)
    assert reply.code == "no_call"
    assert " " in (reply.message or "")
    assert play.event(Error).where == name


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - ANY_TIME))
@pytest.mark.parametrize("state", ["incoming", "outgoing", "connecting"])
def test_before_it_is_connected_a_command_is_carried_out_or_refused(name: str, state: str) -> None:
    play = Play(PATIENT, online=HOME)
    if state == "incoming":
        play.is_called(ALICE)
    else:
        play.orders(command_of("initiate_call", receiver="alice"))
    if state == "connecting":
        play.hears(ALICE, Accept(offer=OFFER))
    play.orders(command_of(name, **ARGUMENTS.get(name, {})))
    [reply] = play.done(Reply)
    assert reply.code is None or " " in (reply.message or "")
