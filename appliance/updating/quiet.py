"""When nobody is disturbed: no call, none that rings, and a supply that is strong enough to write by.

There is no lock that would hold a call back from the last look to the restart. They are a tenth of a second
apart; who rings in it is told that the call has ended, as at every stop of the daemon; and a lock would not
help who rings in the twenty seconds after it, in which there is no door station.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from appliance.client import Client, Unreachable
from appliance.errors import ApplianceError
from appliance.service import pressure, throttling

LOOK_S = 1.0
PATIENCE_S = 3.0
QUIET_LOOKS = 2
"""So often in a row: who has just hung up may be about to ring once more."""


def disturbed(environ: Mapping[str, str] = os.environ, sys_root: Path = Path("/sys")) -> str | None:
    """Why not now, in a few words; None: now. Where no appliance runs, nobody can be in a call."""
    try:
        with Client(environ, PATIENCE_S) as client:
            status: Mapping[str, Any] = client.ask(status=True)
    except Unreachable as error:
        return "the appliance does not answer" if "answer" in str(error) else _weak(sys_root)
    except (ApplianceError, OSError, ValueError) as error:
        return str(error)
    return _call(status) or _weak(sys_root)


def talking(environ: Mapping[str, str] = os.environ) -> str | None:
    """Which call is on, in a few words; None: none, or nobody says. Never raises."""
    try:
        with Client(environ, PATIENCE_S) as client:
            return _call(client.ask(status=True))
    except (ApplianceError, OSError, ValueError):
        return None


def _call(status: Mapping[str, Any]) -> str | None:
    calls = status.get("calls") or []
    states = ", ".join(str(call.get("state")) for call in calls)
    return f"a call is on ({states})" if calls else None


def _weak(sys_root: Path) -> str | None:
    flags = pressure.read(sys_root).throttled or 0
    return "the supply is too weak" if flags & throttling.WEAK else None


def until_quiet(
    say: Callable[[str], None],
    look: Callable[[], str | None] = disturbed,
    sleep: Callable[[float], None] = time.sleep,
    limit_s: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when nobody is disturbed, or after `limit_s`; `say` is told what is waited for, once."""
    until = clock() + limit_s
    waited_for: str | None = None
    quiet = 0
    while quiet < QUIET_LOOKS and clock() < until:
        why = look()
        quiet = 0 if why else quiet + 1
        if why and why != waited_for:
            say(f"waiting: {why}")
        waited_for = why or waited_for
        if quiet < QUIET_LOOKS:
            sleep(LOOK_S)
