"""What `appliance doctor` looks at: the configuration, and with it this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.client import Client, NotAllowed, Unreachable
from appliance.config import Config
from appliance.errors import ApplianceError
from appliance.loading.findings import Check
from appliance.loading.layers import DEFAULT_FILE
from appliance.loading.reading import Reading, read
from appliance.loading.shipped import shipped
from appliance.service.doctor.examination import CHECKS, examine, webrtc
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine, ThisMachine

PATIENCE_S = 3.0
COMPONENT = "configuration"
MODEL = Path("/proc/device-tree/model")


def check_up(
    file: Path | None, environ: Mapping[str, str], checks: Sequence[Check] = ()
) -> list[Finding]:
    """Everything that is found, the configuration first; never raises."""
    machine = ThisMachine(*_asked(environ))
    looks = {**CHECKS, "webrtc": webrtc(_self_check)}
    if file is None and not DEFAULT_FILE.exists():
        # without a configuration of its own a machine may still be fit for the demo
        config = read(shipped("simulated.toml"), environ, checks).config
        return [_unconfigured(), *examine(config, machine, {**looks, "broker": _of_demo})]
    reading = read(file, environ, checks)
    first = _judged(str(file or DEFAULT_FILE), reading)
    return [first, *examine(reading.config, machine, looks)]


def _unconfigured() -> Finding:
    found = f"{DEFAULT_FILE} is not there; this is about the demo's simulated board"
    advice = "Name yours: appliance doctor --config FILE; config/appliance.toml is a template."
    return (fault if _is_pi() else warning)(COMPONENT, found, advice)


def _of_demo(config: Config, machine: Machine) -> Iterator[Finding]:
    """The broker that the demo brings along."""
    del config
    if machine.has_module("amqtt"):
        yield ok("broker", "the demo brings its own")
    else:
        advice = "pip install 'appliance[demo]', which brings amqtt"
        yield fault("broker", "the demo's broker is not installed", advice)


def _judged(name: str, reading: Reading) -> Finding:
    advice = f"appliance check-config {name}"
    if reading.faults:
        more = f" (and {len(reading.faults) - 1} more)" if len(reading.faults) > 1 else ""
        return fault(COMPONENT, f"{reading.faults[0]}{more}", advice)
    if reading.warnings:
        number = len(reading.warnings)
        said = "1 warning" if number == 1 else f"{number} warnings"
        return warning(COMPONENT, f"{name}: no faults, {said}", advice)
    return ok(COMPONENT, f"{name}: no faults")


def _is_pi() -> bool:
    try:
        return "Raspberry Pi" in MODEL.read_text("utf-8", "replace")
    except OSError:
        return False


def _asked(environ: Mapping[str, str]) -> tuple[Mapping[str, Any] | None, str | None]:
    """What a running appliance says of itself; or why one that runs says nothing."""
    try:
        with Client(environ, PATIENCE_S) as client:
            status: Mapping[str, Any] = client.ask(status=True)
    except NotAllowed as error:
        return None, str(error)
    except Unreachable as error:
        return None, str(error) if "answer" in str(error) else None
    except (ApplianceError, OSError, ValueError) as error:
        return None, f"no sensible answer: {error}"
    return status, None


def _self_check() -> None:
    from appliance.media.seams.check import self_check

    self_check()
