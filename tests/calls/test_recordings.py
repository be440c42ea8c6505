"""Recording a call: begun, told to the others, closed; and what becomes of it when something ends early."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.actions import parse_action
from appliance.calls.effects import Reply, Send, StopRecording
from appliance.calls.effects import StartRecording as Record
from appliance.calls.inputs import (
    ButtonGestured,
    RecordingFailed,
    RecordingStarted,
    RecordingStopped,
)
from appliance.calls.situation import situation
from appliance.commands import EndCall, HoldCall, MergeCalls, StartRecording
from appliance.commands import StopRecording as StopCommand
from appliance.events import Error
from appliance.events import RecordingStarted as Started
from appliance.events import RecordingStopped as Stopped
from appliance.messages import Accept, Request, Response, State
from appliance.model import Gesture, RequestAction, Situation
from tests.parts.household import ALICE, BOB, HOME, PATIENT, joins, session_of
from tests.parts.play import OFFER, RICH, Play, command_of

BEGUN = RecordingStarted("/var/a.mp4")
CLOSED = RecordingStopped("/var/a.mp4", 12.5, 4000)


@pytest.fixture
def play() -> Play:
    return session_of(ALICE)


def test_a_recording_from_its_beginning_to_its_end(play: Play) -> None:
    play.orders(StartRecording(), request=3)
    assert play.done(Record) == [Record(play.call.call_id, video=True)]
    assert not play.done(Reply), "that waits for the file"
    assert situation(play.state) is Situation.IN_CALL
    play.happens(BEGUN)
    assert play.done(Reply) == [Reply(3, {"path": "/var/a.mp4"})]
    assert play.event(Started).path == "/var/a.mp4"
    assert play.message("state").changes == {"recording": True}
    assert situation(play.state) is Situation.RECORDING
    play.orders(StartRecording())
    assert play.done(Reply)[0].code == "recording"

    play.orders(StopCommand())
    assert play.done(StopRecording)
    play.happens(CLOSED)
    assert play.event(Stopped) == Stopped("/var/a.mp4", 12.5, 4000)
    assert play.message("state").changes == {"recording": False}
    play.orders(StopCommand())
    assert play.done(Reply)[0].code == "not_recording"


def test_it_cannot_begin(play: Play) -> None:
    play.orders(StartRecording(), request=3)
    play.happens(RecordingFailed("the disk is full"))
    assert play.done(Reply) == [Reply(3, code="recording_failed", message="the disk is full")]
    assert play.event(Error).code == "recording_failed"
    play.orders(StartRecording())
    assert play.done(Record)


def test_it_ends_by_itself(play: Play) -> None:
    play.orders(StartRecording())
    play.happens(BEGUN, replace(CLOSED, error="the disk is full"))
    assert play.event(Error).message == "the disk is full"
    assert play.find(Stopped)
    assert play.state.recording is None


def test_it_is_over_with_the_call(play: Play) -> None:
    play.orders(StartRecording())
    play.happens(BEGUN)
    play.orders(EndCall())
    assert play.done(StopRecording)
    play.happens(CLOSED)
    assert play.find(Stopped)
    assert play.sent == []


def test_the_call_ends_before_there_is_a_file(play: Play) -> None:
    play.orders(StartRecording(), request=3)
    play.orders(EndCall(), request=4)
    assert [reply.request for reply in play.done(Reply)] == [4]
    play.happens(BEGUN)
    assert play.done(Reply) == [Reply(3, {"path": "/var/a.mp4"})]
    play.happens(CLOSED)
    assert play.state.recording is None


def test_who_comes_later_is_told(play: Play) -> None:
    play.orders(StartRecording())
    play.happens(BEGUN)
    play.orders(command_of("invite", receiver="bob"))
    joins(play, BOB)
    assert play.message_of(BOB, State).changes == {"recording": True}


@pytest.mark.parametrize(
    ("who", "accepted"), [(ALICE, True), (BOB, False)], ids=["moderator", "guest"]
)
def test_somebody_else_has_it_recorded(who: object, accepted: bool) -> None:
    play = session_of(ALICE, BOB)
    play.hears(who, Request("r1", RequestAction.START_RECORDING))  # type: ignore[arg-type]
    assert bool(play.done(Record)) is accepted
    if accepted:
        assert not play.sent, "that waits for the file"
        play.happens(BEGUN)
    assert play.message("response").accepted is accepted
    play.hears(ALICE, Request("r2", RequestAction.STOP_RECORDING))
    assert play.message("response").accepted is accepted


def test_somebody_else_hears_that_it_cannot_be_recorded() -> None:
    play = session_of(ALICE, BOB)
    play.hears(ALICE, Request("r1", RequestAction.START_RECORDING))
    play.happens(RecordingFailed("the disk is full"))
    assert play.message("response") == Response("r1", accepted=False, error="the disk is full")


def test_only_those_who_are_recorded_are_told() -> None:
    play = session_of(ALICE, play=Play(RICH, online=HOME))
    play.orders(HoldCall(on_hold=True))
    play.orders(command_of("initiate_call", receiver="bob"))
    play.hears(BOB, Accept(offer=OFFER))
    play.connects(BOB)
    play.orders(StartRecording())
    play.happens(BEGUN)
    assert {send.to for send in play.done(Send)} == {BOB}
    assert play.message_of(BOB, State).changes == {"recording": True}
    play.orders(MergeCalls())
    told = [send.message for send in play.done(Send) if send.to == ALICE]
    assert State({"recording": True}) in told
    play.orders(command_of("stop_recording"))
    play.happens(CLOSED)
    assert {send.to for send in play.done(Send)} == {ALICE, BOB}


def test_every_call_is_recorded_where_that_is_set() -> None:
    settings = replace(PATIENT.settings, start_recording_on_call_start=True)
    play = Play(replace(PATIENT, settings=settings), online=HOME)
    play.orders(command_of("initiate_call", receiver="alice"))
    play.hears(ALICE, Accept(offer=OFFER))
    assert not play.done(Record)
    play.connects(ALICE)
    assert play.done(Record)
    play.orders(command_of("invite", receiver="bob"))
    joins(play, BOB)
    assert not play.done(Record), "once"


def test_the_button_starts_and_stops() -> None:
    record = replace(PATIENT, buttons={("rec", Gesture.PRESS): parse_action("toggle_recording")})
    play = session_of(ALICE, play=Play(record, online=HOME))
    press = ButtonGestured("rec", Gesture.PRESS)
    play.happens(press)
    assert play.events == ["recording_toggle_button_clicked"]
    assert play.done(Record)
    play.happens(BEGUN)
    play.happens(press)
    assert play.done(StopRecording)
