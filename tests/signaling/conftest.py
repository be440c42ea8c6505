"""The brokers that a link is tried on: one without a network, mosquitto, and the embedded one."""

from __future__ import annotations

from tests.parts.mosquitto import mosquitto

__all__ = ["mosquitto"]
