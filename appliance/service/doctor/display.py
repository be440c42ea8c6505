"""The screen: whether what draws on it is there."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok
from appliance.service.doctor.machine import Machine

_DRAWN_BY = ("EGL", "GLESv2")
"""What SDL loads itself for a display without a desktop: its package does not depend on them."""


def display(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line."""
    screen = config.screen
    size = f"{screen.width}x{screen.height}"
    if screen.kind == "none":
        yield ok("screen", "none is configured")
    elif screen.kind == "frames":
        yield _frames(screen.directory, size, machine)
    elif not machine.has_module("sdl2"):
        yield fault("screen", "pysdl2 is not installed", "pip install 'appliance[screen]'")
    elif not machine.has_library("SDL2-2.0"):
        yield fault("screen", "the library SDL 2 is missing", "sudo apt install libsdl2-2.0-0")
    elif screen.kind == "window":
        yield _window(size, machine)
    else:
        yield _kms(size, machine)


def _frames(directory: str | None, size: str, machine: Machine) -> Finding:
    if directory and machine.exists(directory) and not machine.may(directory, write=True):
        advice = f"sudo chown $USER {directory}, or leave [screen] directory out"
        return fault("screen", f"{directory} cannot be written", advice)
    return ok("screen", f"simulated: frames of {size}")


def _window(size: str, machine: Machine) -> Finding:
    if machine.environ.get("DISPLAY") or machine.environ.get("WAYLAND_DISPLAY"):
        return ok("screen", f"a window of {size}")
    advice = 'Start it in a desktop session, or set kind = "kms" under [screen].'
    return fault("screen", "there is no desktop to open a window on", advice)


def _kms(size: str, machine: Machine) -> Finding:
    if absent := [name for name in _DRAWN_BY if not machine.has_library(name)]:
        said = f"what draws on a display without a desktop is missing: {', '.join(absent)}"
        return fault("screen", said, "sudo apt install libegl1 libgles2 libgl1-mesa-dri")
    if any(name.startswith("card") for name in machine.names("/dev/dri")):
        return ok("screen", f"the display, {size}")
    advice = "dtoverlay=vc4-kms-v3d in /boot/firmware/config.txt, and a display at the start"
    return fault("screen", "there is no display: /dev/dri has no card", advice)
