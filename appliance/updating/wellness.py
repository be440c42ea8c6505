"""What does not work on this device, before an update and in its trial: it is to make nothing worse.

How hot it is and how strong its supply are no update's doing, but for what writing one adds to both: they
are not looked at, before or after.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from appliance.client import Client
from appliance.errors import ApplianceError
from appliance.model import DeviceException

LOOK_S = 120.0
"""For the doctor, while a small machine starts everything else: an update is left where it does not end."""
PATIENCE_S = 5.0
NOT_READY = "appliance"
"""The trouble of one that does not run: no update is good that has it."""

_WEATHER = {"temperature", "supply"}
"""Components of the doctor's."""

_AS_ITS_USER = ("runuser", "-u", "appliance", "--")
"""With the daemon's rights: root may open what the daemon may not."""


_NONSENSE = (
    OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError, RecursionError,
)  # fmt: skip

Run = Callable[[Sequence[str]], str]


def troubles(
    environ: Mapping[str, str] = os.environ,
    run: Run | None = None,
    program: str = "/opt/appliance/bin/appliance",
) -> Mapping[str, str]:
    """What does not work, by its name, each with a sentence; empty: all is well. Never raises."""
    found: dict[str, str] = {}
    try:
        with Client(environ, PATIENCE_S) as client:
            status: Mapping[str, Any] = client.ask(status=True)
    except (ApplianceError, OSError, ValueError) as error:
        return {NOT_READY: str(error)}
    if status.get("mqtt") != "connected":
        found["broker"] = f"the broker is {status.get('mqtt')}"
    for kind in ("failures", "faults"):
        found |= {
            str(name): str(why)
            for name, why in dict(status.get(kind) or {}).items()
            if why != DeviceException.BY_SYSTEM_PRESSURE
        }
    return found | examined(run or _run, program)


def examined(run: Run, program: str) -> dict[str, str]:
    """What the doctor finds: every device of the configuration is opened that is not in use."""
    try:
        said = json.loads(run([*_AS_ITS_USER, program, "doctor", "--json"]))
        return {
            f"doctor: {one['component']}": str(one["finding"])
            for one in said["findings"]
            if one["verdict"] == "fault" and one["component"] not in _WEATHER
        }
    except _NONSENSE as error:
        return {"doctor": f"it says nothing that makes sense: {error}"}


def _run(words: Sequence[str]) -> str:
    environ = {**os.environ, "STATE_DIRECTORY": "/var/lib/appliance"}
    done = subprocess.run(  # noqa: S603 - fixed words
        words, capture_output=True, text=True, timeout=LOOK_S, check=False, env=environ
    )
    return done.stdout
