"""Looks at everything at once, each in a thread of its own: what hangs or raises is itself a finding."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from appliance.config import Config
from appliance.errors import ApplianceError
from appliance.service.doctor.broker import broker, own_broker
from appliance.service.doctor.cameras import cameras
from appliance.service.doctor.certificates import certificates
from appliance.service.doctor.clock import clock
from appliance.service.doctor.display import display
from appliance.service.doctor.encoder import encoder
from appliance.service.doctor.endurance import endurance
from appliance.service.doctor.findings import Finding, fault, ok
from appliance.service.doctor.heat import heat
from appliance.service.doctor.identity import identity
from appliance.service.doctor.image import advised
from appliance.service.doctor.machine import Machine
from appliance.service.doctor.permissions import permissions
from appliance.service.doctor.pins import pins
from appliance.service.doctor.running import running
from appliance.service.doctor.slots import slots
from appliance.service.doctor.sound import sound
from appliance.service.doctor.storage import storage
from appliance.service.doctor.unit import unit

LIMIT_S = 20.0
"""Longer than all the limits of one check together; a driver that hangs in the kernel has none."""

Check = Callable[[Config, Machine], Iterable[Finding]]

CHECKS: Mapping[str, Check] = {
    "appliance": running,
    "service": unit,
    "pins": pins,
    "permissions": permissions,
    "camera": cameras,
    "encoder": encoder,
    "sound": sound,
    "screen": display,
    "broker": broker,
    "own broker": own_broker,
    "certificates": certificates,
    "identity": identity,
    "clock": clock,
    "state": storage,
    "temperature": heat,
    "update": slots,
    "memory": endurance,
}
"""In the order of the table."""


def webrtc(self_check: Callable[[], None]) -> Check:
    """Whether aiortc is one that the appliance knows; `self_check` raises ApplianceError."""

    def check(config: Config, machine: Machine) -> Iterable[Finding]:
        del config, machine
        try:
            self_check()
        except ApplianceError as error:
            yield fault("webrtc", str(error), "pip install 'aiortc==1.16.*'")
        except ImportError as error:
            yield fault(
                "webrtc", f"aiortc is not installed: {error}", "pip install 'aiortc==1.16.*'"
            )
        else:
            yield ok("webrtc", "aiortc is one that this version knows")

    return check


def examine(
    config: Config,
    machine: Machine,
    checks: Mapping[str, Check] = CHECKS,
    limit_s: float = LIMIT_S,
) -> list[Finding]:
    """All findings, in the order of the checks. Never raises."""
    found: dict[str, list[Finding]] = {}

    def look(name: str, check: Check) -> None:
        try:
            findings = [advised(one, machine) for one in check(config, machine)]
        except Exception as error:
            advice = "Report this: it is a fault of the doctor, or of a driver."
            said = f"looking at it failed: {type(error).__name__}: {error}"
            findings = [fault(name, said, advice)]
        found[name] = findings

    # daemons: one that hangs in a driver does not keep the program from ending
    threads = [
        threading.Thread(target=look, args=(name, check), name=f"doctor {name}", daemon=True)
        for name, check in checks.items()
    ]
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))
    told = dict(found)  # who comes later is too late
    for name in checks:
        if name not in told:
            advice = "Unplug it and plug it in again, or start the device anew: a driver hangs."
            told[name] = [fault(name, f"no answer within {limit_s:g} s", advice)]
    return [one for name in checks for one in told[name]]
