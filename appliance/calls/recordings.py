"""Recording a call: begun and closed on command, told to the others, over with the call."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from appliance.calls.call import LiveCall
from appliance.calls.effects import Reply, StartRecording, StopRecording
from appliance.calls.inputs import RecordingFailed, RecordingStarted, RecordingStopped
from appliance.calls.later import LATER, Later
from appliance.calls.state import Recording
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.events import RecordingStarted as RecordingStartedEvent
from appliance.events import RecordingStopped as RecordingStoppedEvent
from appliance.messages import Address, Response, State
from appliance.model import CallType


def start(
    turn: Turn, call: LiveCall, command: Any = None, *, asked: tuple[Address, str] | None = None
) -> Later:
    """Begin to record this call; whoever wants it is answered when the file is there."""
    if turn.state.recording is not None:
        raise Refused("recording", "a recording is running already")
    turn.set(recording=Recording(call.call_id, request=turn.request, asked=asked))
    turn.do(StartRecording(call.call_id, video=call.type is CallType.VIDEO))
    return LATER


def stop(turn: Turn, call: LiveCall, command: Any = None) -> None:
    """Close the recording."""
    if turn.state.recording is None:
        raise Refused("not_recording", "nothing is being recorded")
    turn.do(StopRecording())


def stop_for(turn: Turn, call: LiveCall) -> None:
    """The call is over, and its recording with it."""
    recording = turn.state.recording
    if recording is not None and recording.call_id == call.call_id:
        turn.do(StopRecording())


def follow(turn: Turn, merged: LiveCall, call: LiveCall) -> None:
    """A call was merged into another: so is its recording, of which all are told."""
    recording = turn.state.recording
    if recording is not None and recording.call_id == merged.call_id:
        turn.set(recording=replace(recording, call_id=call.call_id))
        if recording.path is not None:
            turn.send_all(call, State({"recording": True}))


def started(turn: Turn, report: RecordingStarted) -> None:
    """There is a file: everyone in the call is told."""
    recording = turn.state.recording
    if recording is None:
        return
    turn.set(recording=replace(recording, path=report.path, request=None, asked=None))
    if recording.request is not None:
        turn.do(Reply(recording.request, {"path": report.path}))
    call = turn.state.call(recording.call_id)
    turn.emit(RecordingStartedEvent(report.path), call)
    if call is not None:
        _respond(turn, call, recording)
        turn.send_all(call, State({"recording": True}))


def stopped(turn: Turn, report: RecordingStopped) -> None:
    """The file is closed; with an error it ended by itself."""
    recording = turn.state.recording
    turn.set(recording=None)
    call = turn.state.call(recording.call_id) if recording else None
    if recording is not None and recording.request is not None:
        sentence = report.error or "the recording ended as soon as it had begun"
        turn.do(Reply(recording.request, code="recording_failed", message=sentence))
    if report.error is not None:
        turn.error("recording_failed", report.error, report.path, call.call_id if call else None)
    turn.emit(RecordingStoppedEvent(report.path, report.duration_s, report.bytes), call)
    if call is not None:
        turn.send_all(call, State({"recording": False}))


def failed(turn: Turn, report: RecordingFailed) -> None:
    """It could not begin."""
    recording = turn.state.recording
    turn.set(recording=None)
    call = turn.state.call(recording.call_id) if recording else None
    turn.error("recording_failed", report.message, "recording", call.call_id if call else None)
    if recording is not None and recording.request is not None:
        turn.do(Reply(recording.request, code="recording_failed", message=report.message))
    if recording is not None and call is not None:
        _respond(turn, call, recording, report.message)


def _respond(turn: Turn, call: LiveCall, recording: Recording, error: str | None = None) -> None:
    """The participant that asked for it is told what has become of it."""
    if recording.asked is not None:
        sender, request_id = recording.asked
        turn.send(sender, call, Response(request_id, accepted=error is None, error=error))
