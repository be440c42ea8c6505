"""What tests send: envelopes with everything right, of which each test spoils one thing."""

from __future__ import annotations

import json
from typing import Any

from appliance import model
from appliance.messages import (
    Accept,
    Address,
    Answer,
    Cancel,
    Candidate,
    Chat,
    Custom,
    Dtmf,
    End,
    IceCandidate,
    Invite,
    Join,
    Message,
    Offer,
    Participants,
    Reject,
    Request,
    Response,
    Ringing,
    SessionDescription,
    State,
)
from appliance.signaling.wire import Envelope
from tests.parts.sdp import sdp

SDP = sdp()
OFFER = SessionDescription("offer", SDP)
ANSWER = SessionDescription("answer", sdp("answer"))

INVITE = Invite(
    session_id="s1",
    call_type=model.CallType.VIDEO,
    receiver=model.Receiver(model.ReceiverType.USER, "door"),
    caller=model.Caller("alice", "Alice"),
    timeout_s=30.0,
    callees=("door",),
    custom_data={"floor": [1, 2]},
    token="t",
    offer=OFFER,
)

MESSAGES: tuple[Message, ...] = (
    INVITE,
    Ringing(),
    Accept(answer=ANSWER, custom_data="x"),
    Accept(offer=OFFER),
    Reject(model.RejectReason.BUSY, {"a": None}),
    Cancel(model.CancelReason.CANCELLED),
    Cancel(model.CancelReason.ANSWERED_ELSEWHERE, Address("alice", "phone-1"), [1]),
    End("hang_up"),
    End("kicked_out", "alice"),
    Offer(OFFER, 2, "reconnect"),
    Offer(OFFER),
    Answer(ANSWER, 3),
    Candidate(IceCandidate("candidate:1 1 udp 1 192.0.2.1 9999 typ host", "0", 0, "abcd")),
    Candidate(IceCandidate("")),
    Candidate(None, 2),
    Join(token="t"),
    Join(offer=OFFER),
    Participants("s1", 4, (model.Participant("alice", None, "phone-1", audio_muted=True),)),
    State({"audio_muted": True, "camera_exception": None}),
    State({"microphone_exception": model.DeviceException.DEVICE_UNPLUGGED}),
    State({}),
    Request("r1", model.RequestAction.UNLOCK, relay="door"),
    Response("r1", accepted=False, error="no"),
    Chat("hello"),
    Dtmf("12*#D"),
    Custom("lamp", {"on": True}),
)
"""One or more of each type."""


def envelope(message: Message | None = None, **changes: Any) -> Envelope:
    """A message from alice's phone to all of the door's endpoints."""
    values: dict[str, Any] = {
        "id": "m1",
        "call_id": "c1",
        "sender": Address("alice", "phone-1"),
        "to": Address("door"),
        "epoch": None,
        "seq": 7,
        "sent_at_ms": 1_795_252_800_123,
        "ttl_s": 30.0,
        "synced": True,
        "message": message or Ringing(),
    }
    return Envelope(**values | changes)


def wire(type_: str = "ringing", body: Any = None, **changes: Any) -> dict[str, Any]:
    """The same as a JSON object, as another program would write it."""
    return {
        "v": 1,
        "id": "m1",
        "type": type_,
        "call_id": "c1",
        "from": "alice",
        "to": "door",
        "endpoint": "phone-1",
        "to_endpoint": None,
        "epoch": None,
        "seq": 7,
        "sent_at": 1_795_252_800_123,
        "ttl_s": 30,
        "clock": "synced",
        "body": {} if body is None else body,
    } | changes


def as_bytes(value: Any) -> bytes:
    """JSON."""
    return json.dumps(value).encode()
