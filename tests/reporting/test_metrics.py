"""What Prometheus sees."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from appliance.bus import Bus
from appliance.events import CallEnded, Error
from appliance.model import (
    Call,
    CallDirection,
    CallEndReason,
    Caller,
    CallState,
    CallType,
    Receiver,
    ReceiverType,
)
from appliance.reporting.metrics import Metrics


def call(answered: bool) -> Call:
    return Call(
        call_id="c",
        session_id="s",
        direction=CallDirection.OUTGOING,
        type=CallType.VIDEO,
        state=CallState.ENDED,
        caller=Caller("front-door"),
        receiver=Receiver(ReceiverType.USER, "alice"),
        answered_at=datetime(2026, 11, 21, tzinfo=UTC) if answered else None,
    )


def test_events_errors_and_calls_are_counted() -> None:
    status: dict[str, Any] = {"mqtt": "connected", "calls": [1]}
    metrics = Metrics(lambda: status, inbox_dropped=lambda: 0, rejected={})
    bus = Bus("front-door")
    bus.sinks.append(metrics.see)
    bus.publish(Error("malformed", "no JSON", None, 1))
    bus.publish(Error("malformed", "no JSON", None, 41))
    bus.publish(CallEnded(call(answered=True), CallEndReason.LOCAL_HANG_UP, None, 61.0))
    bus.publish(CallEnded(call(answered=False), CallEndReason.TIMED_OUT, None, 0.0))

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"appliance_{name}", labels)

    assert value("events_total", type="error") == 2
    assert value("errors_total", code="malformed") == 42
    assert value("calls_ended_total", reason="timed_out") == 1
    assert value("call_duration_seconds_count") == 1
    assert value("call_duration_seconds_sum") == 61
    assert value("broker_connected") == 1
    assert value("calls") == 1
    status["mqtt"] = "offline"
    assert value("broker_connected") == 0


def test_what_was_lost_and_not_believed_is_shown_as_it_stands_when_asked() -> None:
    lost = [0]
    rejected: Counter[str] = Counter()
    metrics = Metrics(
        lambda: {"mqtt": "connected", "calls": []},
        inbox_dropped=lambda: len(lost),
        rejected=rejected,
    )
    lost.extend([0, 0])
    rejected.update({"wrong_epoch": 2, "malformed": 1})
    value = metrics.registry.get_sample_value
    assert value("appliance_inbox_dropped") == 3
    assert value("appliance_messages_rejected_total", {"code": "wrong_epoch"}) == 2
    rejected["wrong_epoch"] += 1
    assert value("appliance_messages_rejected_total", {"code": "wrong_epoch"}) == 3


def test_what_is_sent_and_how_far_it_is_are_shown_while_somebody_looks() -> None:
    status: dict[str, Any] = {"mqtt": "connected", "calls": []}
    metrics = Metrics(lambda: status, inbox_dropped=lambda: 0, rejected={})
    whose = {"uid": "alice", "endpoint": "phone-1"}

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"appliance_{name}", labels)

    assert value("video_kbps", source="camera") is None
    camera = {"width": 640, "height": 360, "framerate": 15, "kbps": 300}
    links = [{**whose, "rtt_ms": 31.5, "loss_percent": None}]
    status["media"] = {"sent": {"camera": camera, "screen": None}, "links": links}
    assert value("video_kbps", source="camera") == 300
    assert value("video_framerate", source="camera") == 15
    assert value("video_height", source="camera") == 360
    assert value("video_kbps", source="screen") is None
    assert value("link_rtt_seconds", **whose) == 0.0315
    assert value("link_loss_ratio", **whose) is None, "not known yet"
    links[0]["loss_percent"] = 12.5
    assert value("link_loss_ratio", **whose) == 0.125
