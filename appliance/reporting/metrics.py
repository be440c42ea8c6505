"""Counters for Prometheus, fed by the same events that everyone else is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """What `/metrics` shows; `see` is a sink of the bus."""

    def __init__(
        self,
        status: Callable[[], Mapping[str, Any]],
        *,
        inbox_dropped: Callable[[], int],
        rejected: Mapping[str, int],
    ) -> None:
        """Count in a registry of its own; `status` is asked for the gauges.

        `inbox_dropped` is how many inputs the core had no room for, `rejected` how many messages
        were not believed, by code: both are read when somebody asks, and go on changing.
        """
        self.registry = CollectorRegistry()
        self._events = self._counter("events", "Events of the vocabulary that fired", "type")
        self._errors = self._counter("errors", "Errors, counted ones included", "code")
        self._ended = self._counter("calls_ended", "Calls by the reason of their end", "reason")
        self._length = Histogram(
            "appliance_call_duration_seconds",
            "How long answered calls lasted",
            buckets=SECONDS,
            registry=self.registry,
        )
        connected = self._gauge("broker_connected", "1 while the broker's subscriptions stand")
        connected.set_function(lambda: float(status()["mqtt"] == "connected"))
        calls = self._gauge("calls", "Calls at this moment")
        calls.set_function(lambda: float(len(status()["calls"])))
        dropped = self._gauge("inbox_dropped", "Inputs lost in a flood since the start")
        dropped.set_function(lambda: float(inbox_dropped()))
        self.registry.register(_Rejected(rejected))
        self.registry.register(_Sent(status))

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(f"appliance_{name}", text, [label], registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"appliance_{name}", text, registry=self.registry)

    def see(self, item: Mapping[str, Any]) -> None:
        """Count one event."""
        name = item["type"].removeprefix("appliance.")
        data = item["data"]
        self._events.labels(name).inc()
        if name == "error":
            self._errors.labels(data["code"]).inc(data["count"])
        elif name == "call_ended":
            self._ended.labels(data["reason"]).inc()
            if data["call"]["answered_at"] is not None:
                self._length.observe(data["duration_s"])


class _Rejected(Collector):
    """Shows a count that somebody else keeps."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "appliance_messages_rejected", "Messages that were not believed", labels=["code"]
        )
        for code, count in self._counts.items():
            family.add_metric([code], count)
        yield family


class _Sent(Collector):
    """Shows how pictures are sent, and how far it is to who gets them; nothing while nobody does."""

    _VIDEO = (("kbps", "kbit/s aimed at"), ("framerate", "Pictures a second"), ("height", "Pixels"))
    _LINK = (
        ("rtt_ms", "link_rtt_seconds", "There and back", 1e-3),
        ("loss_percent", "link_loss_ratio", "Of the packets, by the last report", 1e-2),
    )

    def __init__(self, status: Callable[[], Mapping[str, Any]]) -> None:
        self._status = status

    def collect(self) -> Iterator[GaugeMetricFamily]:
        media = self._status().get("media") or {}
        sent, links = media.get("sent") or {}, media.get("links") or []
        for key, text in self._VIDEO:
            family = GaugeMetricFamily(f"appliance_video_{key}", text, labels=["source"])
            for source, what in sent.items():
                if what is not None:
                    family.add_metric([source], what[key])
            yield family
        for key, name, text, factor in self._LINK:
            family = GaugeMetricFamily(f"appliance_{name}", text, labels=["uid", "endpoint"])
            for link in links:
                if link[key] is not None:
                    family.add_metric([link["uid"], link["endpoint"]], link[key] * factor)
            yield family
