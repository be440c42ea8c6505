"""What a person at the console reads of the events."""

from __future__ import annotations

import pytest

from appliance.bus import Bus
from appliance.events import (
    CallEnded,
    ChatMessage,
    Error,
    Event,
    LocalCameraException,
    ParticipantListChanged,
    SessionJoined,
)
from appliance.model import CallEndReason, DeviceException, Participant
from appliance.reporting import log
from tests.reporting.test_metrics import call

ALICE = Participant("alice", "Alice", "phone")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (SessionJoined("s" * 32, "c" * 32), "session_joined"),
        (
            CallEnded(call(answered=True), CallEndReason.REMOTE_HANG_UP, None, 12.5),
            "call_ended front-door -> alice reason=remote_hang_up duration_s=12.5",
        ),
        (ParticipantListChanged((ALICE,)), "participant_list_changed alice:connecting"),
        (ChatMessage(ALICE, "my secret"), "chat_message participant=alice"),
        (
            LocalCameraException(DeviceException.INVALID_ID, "x" * 100),
            f"local_camera_exception type=invalid_id message={'x' * 79}…",
        ),
        (Error("malformed", "no JSON", "a/topic", 1), "malformed: no JSON (a/topic)"),
        (Error("malformed", "no JSON", None, 7), "malformed: no JSON, 7 times"),
    ],
)
def test_each_event_is_a_line(event: Event, line: str, caplog: pytest.LogCaptureFixture) -> None:
    bus = Bus("front-door")
    bus.sinks.append(log.write)
    with caplog.at_level("INFO"):
        bus.publish(event)
    assert caplog.messages == [line]
