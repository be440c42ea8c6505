"""The cameras: whether libcamera knows each that is configured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok
from appliance.service.doctor.machine import Machine

SIMULATED = "test-card"


def cameras(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line for each."""
    real = [one for one in config.cameras.values() if one.device != SIMULATED]
    known: Sequence[Mapping[str, Any]] = ()
    if not config.cameras:
        yield ok("camera", "none is configured: calls have sound alone")
    if real and not machine.has_module("picamera2"):
        advice = "sudo apt install python3-picamera2; the venv wants --system-site-packages"
        yield fault("camera", "picamera2 is not installed", advice)
        return
    if real:
        try:
            known = machine.cameras()
        except Exception as error:
            # libcamera's Python module and its pipelines raise what they like
            advice = "`rpicam-hello --list-cameras` says more."
            yield fault("camera", f"libcamera does not work: {error}", advice)
            return
    for facing, camera in config.cameras.items():
        yield _camera(f"camera {facing}", camera.device, known, config)


def _camera(
    component: str, device: str, known: Sequence[Mapping[str, Any]], config: Config
) -> Finding:
    size = f"{config.media.width}x{config.media.height} at {config.media.framerate}"
    if device == SIMULATED:
        return ok(component, f"simulated: the test card, {size}")
    found = next((one for one in known if _is(one, device)), None)
    if found is not None:
        return ok(component, f"{found.get('Model', 'a camera')}, {size}")
    if known:
        names = ", ".join(f"{one.get('Num')} ({one.get('Model')})" for one in known)
        advice = f"Name one of these as device: {names}"
        return fault(component, f'there is no camera "{device}"', advice)
    advice = (
        "Switch off, push the ribbon cable in at both ends, and see `rpicam-hello --list-cameras`."
    )
    return fault(component, "no camera is found", advice)


def _is(camera: Mapping[str, Any], device: str) -> bool:
    if device.isdecimal():
        return str(camera.get("Num")) == device
    return device in (camera.get("Model"), camera.get("Id"))
