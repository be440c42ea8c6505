"""The cameras: whether libcamera knows each that is configured, and no other program has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine

SIMULATED = "test-card"
STOP = "Stop that program: libcamera gives a camera to one at a time."
ELSEWHERE = 'Run it on a Raspberry Pi, or set device = "test-card" for this camera.'
OF_NUMPY_1 = ("binary incompatib", "multiarray failed to import", "compiled using numpy 1")
"""What is said by libraries that are made for numpy 1 and find numpy 2 (Cython's words, and numpy's)."""


def cameras(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line for each, and one for what uses them."""
    real = [one for one in config.cameras.values() if one.device != SIMULATED]
    known: Sequence[Mapping[str, Any]] = ()
    if not config.cameras:
        yield ok("camera", "none is configured: calls have sound alone")
    if real and not machine.has_module("picamera2"):
        yield fault("camera", "picamera2 is not installed", _package("picamera2", machine))
        return
    if real:
        try:
            known = machine.cameras()
        except Exception as error:
            # libcamera's Python module and its pipelines raise what they like
            yield _broken(str(error), machine)
            return
    user = _user(machine) if real else None
    if user is not None and len(known) > 1:
        # which of them it is only libcamera knows, and asking it would be to take it
        said = f"one of the {len(known)} cameras is in use by {user}"
        yield warning("camera", said, STOP)
        user = None
    for facing, camera in config.cameras.items():
        component = f"camera {facing}"
        found = _find(camera.device, known)
        size = f"{config.media.width}x{config.media.height} at {config.media.framerate}"
        if camera.device == SIMULATED:
            yield ok(component, f"simulated: the test card, {size}")
        elif found is None:
            yield _absent(component, camera.device, known, machine)
        elif user is not None:
            yield fault(component, f"{found.get('Model', 'a camera')} is in use by {user}", STOP)
        else:
            yield ok(component, f"{found.get('Model', 'a camera')}, {size}")


def _broken(said: str, machine: Machine) -> Finding:
    if any(words in said.lower() for words in OF_NUMPY_1):
        advice = "pip install 'numpy<2' in the appliance's environment, or `make install` once more"
        return fault("camera", f"the system's picamera2 wants numpy 1: {said}", advice)
    advice = "`rpicam-hello --list-cameras` says more."
    if "No module named 'libcamera" in said:
        advice = _package("libcamera", machine)
    elif not _on_a_pi(machine):
        advice = ELSEWHERE
    return fault("camera", f"libcamera does not work: {said}", advice)


def _absent(
    component: str, device: str, known: Sequence[Mapping[str, Any]], machine: Machine
) -> Finding:
    if known:
        names = ", ".join(f"{number} ({one.get('Model')})" for number, one in enumerate(known))
        advice = f"Name one of these as device: {names}"
        return fault(component, f'there is no camera "{device}"', advice)
    advice = (
        "Switch off, push the ribbon cable in at both ends, and see `rpicam-hello --list-cameras`."
    )
    return fault(component, "no camera is found", advice if _on_a_pi(machine) else ELSEWHERE)


def _package(module: str, machine: Machine) -> str:
    if not _on_a_pi(machine):
        return ELSEWHERE
    return f"sudo apt install python3-{module}; the venv wants --system-site-packages"


def _on_a_pi(machine: Machine) -> bool:
    return "Raspberry Pi" in (machine.text("/proc/device-tree/model") or "")


def _user(machine: Machine) -> str | None:
    """The program that has a camera, unless it is the running appliance; None: nobody is seen to."""
    for name in machine.names("/dev"):
        process = machine.holder(f"/dev/{name}") if name.startswith("media") else None
        if process is None or (machine.runs and _is_appliance(process, machine)):
            continue
        called = machine.text(f"/proc/{process}/comm")
        return f"{called} (process {process})" if called else "another program"
    return None


def _is_appliance(process: int, machine: Machine) -> bool:
    """Where nobody may see what it is, the one that is known to run is believed to be it."""
    words = machine.text(f"/proc/{process}/cmdline")
    return not words or any(PurePath(word).name == "appliance" for word in words.split("\0"))


def _find(device: str, known: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """As the driver does: by its place in the list (not its `Num`), or by its name in whatever case."""
    for number, camera in enumerate(known):
        names = (str(camera.get(key, "")).lower() for key in ("Model", "Id"))
        if device == str(number) or device.lower() in names:
            return camera
    return None
