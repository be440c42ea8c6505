"""The cameras: whether libcamera knows each that is configured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok
from appliance.service.doctor.machine import Machine

SIMULATED = "test-card"
OF_NUMPY_1 = ("binary incompatib", "multiarray failed to import", "compiled using numpy 1")
"""What is said by libraries that are made for numpy 1 and find numpy 2 (Cython's words, and numpy's)."""


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
            yield _broken(str(error))
            return
    for facing, camera in config.cameras.items():
        yield _camera(f"camera {facing}", camera.device, known, config)


def _broken(said: str) -> Finding:
    if any(words in said.lower() for words in OF_NUMPY_1):
        advice = "pip install 'numpy<2' in the appliance's environment, or `make install` once more"
        return fault("camera", f"the system's picamera2 wants numpy 1: {said}", advice)
    advice = "`rpicam-hello --list-cameras` says more."
    return fault("camera", f"libcamera does not work: {said}", advice)


def _camera(
    component: str, device: str, known: Sequence[Mapping[str, Any]], config: Config
) -> Finding:
    size = f"{config.media.width}x{config.media.height} at {config.media.framerate}"
    if device == SIMULATED:
        return ok(component, f"simulated: the test card, {size}")
    found = _find(device, known)
    if found is not None:
        return ok(component, f"{found.get('Model', 'a camera')}, {size}")
    if known:
        names = ", ".join(f"{number} ({one.get('Model')})" for number, one in enumerate(known))
        advice = f"Name one of these as device: {names}"
        return fault(component, f'there is no camera "{device}"', advice)
    advice = (
        "Switch off, push the ribbon cable in at both ends, and see `rpicam-hello --list-cameras`."
    )
    return fault(component, "no camera is found", advice)


def _find(device: str, known: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """As the driver does: by its place in the list (not its `Num`), or by its name in whatever case."""
    for number, camera in enumerate(known):
        names = (str(camera.get(key, "")).lower() for key in ("Model", "Id"))
        if device == str(number) or device.lower() in names:
            return camera
    return None
