"""A typed example of every event, as the outlets show it: what a reader can copy into a test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from appliance.bus import Bus, to_json
from appliance.events import EVENTS, Event
from appliance.model import (
    AudioMode,
    Call,
    CallDirection,
    Callee,
    CalleeState,
    CallEndReason,
    Caller,
    CallState,
    CallType,
    CameraFacing,
    CancelReason,
    DeviceException,
    Gesture,
    Layout,
    Participant,
    ParticipantLeftReason,
    ParticipantState,
    Receiver,
    ReceiverType,
    RejectReason,
    SessionStateReason,
)

RANG = datetime(2026, 11, 21, 9, 0, 0, 0, tzinfo=UTC)
ANSWERED = datetime(2026, 11, 21, 9, 0, 7, 250000, tzinfo=UTC)
CALL_ID = "5b2f0c1e9a7d4c3f8e6a1d0b7c9f2e48"
SESSION_ID = "c41d8e07b95f4a2e90d36f1a7b28e5c3"
DOOR = Callee("front-door", "Front door", CalleeState.RINGING)
ALICE = Callee("alice", "Alice", CalleeState.ACCEPTED)
BOB = Callee("bob", "Bob", CalleeState.RINGING)

INCOMING = Call(
    call_id=CALL_ID,
    session_id=SESSION_ID,
    direction=CallDirection.INCOMING,
    type=CallType.VIDEO,
    state=CallState.INCOMING,
    caller=Caller("alice", "Alice"),
    receiver=Receiver(ReceiverType.USER, "front-door", "Front door"),
    callees=(DOOR,),
    custom_data={"parcel": 1},
    started_at=RANG,
)
OUTGOING = Call(
    call_id=CALL_ID,
    session_id=SESSION_ID,
    direction=CallDirection.OUTGOING,
    type=CallType.VIDEO,
    state=CallState.OUTGOING,
    caller=Caller("front-door", "Front door"),
    receiver=Receiver(ReceiverType.GROUP, "residents"),
    callees=(ALICE, BOB),
    started_at=RANG,
)
CONNECTED = Call(
    call_id=CALL_ID,
    session_id=SESSION_ID,
    direction=CallDirection.OUTGOING,
    type=CallType.VIDEO,
    state=CallState.CONNECTED,
    caller=Caller("front-door", "Front door"),
    receiver=Receiver(ReceiverType.USER, "alice", "Alice"),
    callees=(ALICE,),
    started_at=RANG,
    answered_at=ANSWERED,
    duration_s=12.5,
    answered_by="alice",
)
PARTICIPANT = Participant(
    "alice", "Alice", "phone-1", joined_at=ANSWERED, state=ParticipantState.CONNECTED
)

VALUES: Mapping[str, Any] = {
    "active": True,
    "available": (AudioMode.SPEAKER, AudioMode.HEADPHONES),
    "accepted_by": "front-door",
    "body": {"floor": 2},
    "button": "call",
    "bytes": 4194304,
    "call": CONNECTED,
    "call_id": CALL_ID,
    "callee": ALICE,
    "callees": (ALICE, BOB),
    "code": "unknown_relay",
    "count": 1,
    "custom_data": {"note": "in the garden"},
    "digits": "42#",
    "duration_s": 74.3,
    "error_code": 0,
    "extended_data": {"room_session_id": SESSION_ID},
    "facing": CameraFacing.REAR,
    "gesture": Gesture.PRESS,
    "grouped": True,
    "idle_s": 60.0,
    "input": "door",
    "kicked_by": None,
    "kind": "door_contact",
    "layout": Layout.TILE,
    "message": "no relay is called dor; did you mean door?",
    "mode": AudioMode.HEADPHONES,
    "muted_by": "bob",
    "name": "elevator",
    "on": True,
    "on_hold": True,
    "outage_s": 3.2,
    "participant": PARTICIPANT,
    "participants": (PARTICIPANT,),
    "path": "/var/lib/appliance/recordings/2026-11-21T09-00-07Z.mp4",
    "reason": CallEndReason.REMOTE_HANG_UP,
    "request_id": "r-1",
    "requested_by": "alice",
    "session_id": SESSION_ID,
    "text": "Coming!",
    "token": f"appliance/call/front-door/+ main {CALL_ID}",
    "type": DeviceException.DEVICE_UNPLUGGED,
    "until": "2026-11-22T07:00:00.000Z",
    "where": "unlock",
}
"""What stands in a field of that name, unless `OF_EVENT` has something truer for the event."""

_CAMERA_GONE = "the camera front was unplugged"
_MICROPHONE_SILENT = "the microphone has been silent for 10 s"

OF_EVENT: Mapping[str, Mapping[str, Any]] = {
    "session_state_changed": {"reason": SessionStateReason.LOGGED_IN},
    "participant_left": {"reason": ParticipantLeftReason.LEFT},
    "local_camera_exception": {"message": _CAMERA_GONE},
    "remote_camera_exception": {"message": None},
    "local_microphone_exception": {
        "type": DeviceException.SOUND_LEVEL_TOO_LOW,
        "message": _MICROPHONE_SILENT,
    },
    "remote_microphone_exception": {"type": None, "message": None},
    "incoming_call_received": {"call": INCOMING},
    "incoming_call_accepted": {"call": INCOMING},
    "incoming_call_declined": {"call": INCOMING, "reason": RejectReason.REJECTED},
    "incoming_call_cancelled": {"call": INCOMING, "reason": CancelReason.ANSWERED_ELSEWHERE},
    "incoming_call_timeout": {"call": INCOMING},
    "call_back_requested": {"call": INCOMING},
    "outgoing_call_started": {"call": OUTGOING},
    "outgoing_call_accepted": {"call": OUTGOING},
    "outgoing_call_rejected": {
        "call": OUTGOING,
        "callee": Callee("bob", "Bob", CalleeState.REJECTED),
        "reason": RejectReason.REJECTED,
    },
    "outgoing_call_timeout": {"call": OUTGOING},
    "invitation_user_state_changed": {"call": OUTGOING},
}


def example(event: type[Event]) -> Event:
    """The event as it might happen; KeyError names a field that has no example yet."""
    own = OF_EVENT.get(event.NAME, {})
    return event(*(own[name] if name in own else VALUES[name] for name in event.data_fields()))


def data_of(event: Event) -> str:
    """Its `data` on one line of JSON."""
    data = {name: to_json(getattr(event, name)) for name in event.data_fields()}
    return json.dumps(data, ensure_ascii=False)


def cloudevent(name: str) -> str:
    """The whole CloudEvent of one event, as every outlet shows it."""
    item = Bus("front-door", clock=lambda: ANSWERED).publish(example(EVENTS[name]), CALL_ID)
    settled = {**item, "id": "90c2a1f46b7de835-42", "sequence": "42"}
    return json.dumps(settled, ensure_ascii=False, indent=2)
