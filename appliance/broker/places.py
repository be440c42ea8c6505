"""Where a broker's files lie, and what they are called."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path("/etc/mosquitto/appliance")
PID_FILE = Path("/run/mosquitto/mosquitto.pid")
"""Debian's; how the broker is told that its accounts have changed."""
OWN_PID_FILE = "mosquitto.pid"
"""In the folder, of a broker that its owner starts by hand."""
SYSTEM_CONFIGURATION = Path("/etc/mosquitto/mosquitto.conf")
"""What systemd starts it with. Debian 13's has no line for a file with its number any more."""
BROKER_USER = "mosquitto"
CONFIGURATION = "appliance.conf"
AUTHORITY_KEY = "ca.key"
"""The one file of the folder that the broker is not to read: where root laid it out, it stays root's."""
