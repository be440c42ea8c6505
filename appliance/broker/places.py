"""Where a broker's files lie, and what they are called."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path("/etc/mosquitto/appliance")
PID_FILE = Path("/run/mosquitto/mosquitto.pid")
"""Debian's; how the broker is told that its accounts have changed."""
BROKER_USER = "mosquitto"
CONFIGURATION = "appliance.conf"
