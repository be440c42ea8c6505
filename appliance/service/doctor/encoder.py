"""The encoder: the Pi's own, or x264."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine
from appliance.video_device import ENCODER

SOFTWARE = "libx264"


def encoder(config: Config, machine: Machine) -> Iterator[Finding]:
    """That which would be chosen."""
    if not config.cameras:
        return
    wanted = config.media.encoder
    simulated = all(one.device == "test-card" for one in config.cameras.values())
    if simulated or wanted == "software":
        yield _software(machine, "")
        return
    try:
        device = machine.video_device(ENCODER)
    except OSError as error:
        busy = machine.runs
        if busy:
            yield ok("encoder", "hardware, in use by the running appliance")
        else:
            advice = "sudo usermod -aG video $USER, and log in anew"
            yield fault("encoder", f"{ENCODER} cannot be opened: {error.strerror}", advice)
        return
    if device is not None and device.memory_to_memory:
        yield ok("encoder", f"hardware: {device.driver} at {ENCODER}")
    elif wanted == "v4l2":
        advice = 'Set encoder = "auto" under [media]: a Pi 5, and a laptop, have none.'
        yield fault("encoder", f"there is no hardware encoder at {ENCODER}", advice)
    elif _has_one(machine):
        advice = "sudo modprobe bcm2835-codec; without it the processor encodes, and gets hot"
        yield warning("encoder", "this Pi's hardware encoder is not loaded", advice)
    else:
        yield _software(machine, "no hardware encoder here; ")


def _has_one(machine: Machine) -> bool:
    model = machine.text("/proc/device-tree/model") or ""
    return "Raspberry Pi" in model and "Raspberry Pi 5" not in model and "Module 5" not in model


def _software(machine: Machine, before: str) -> Finding:
    if machine.has_encoder(SOFTWARE):
        return ok("encoder", f"{before}software: {SOFTWARE}")
    advice = "Install PyAV from its wheel: pip install --force-reinstall av"
    return fault("encoder", f"FFmpeg has no {SOFTWARE}", advice)
