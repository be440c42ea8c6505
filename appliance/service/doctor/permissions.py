"""Whether this user may open the devices that the configuration needs."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import Config
from appliance.loading.panel import all_pins
from appliance.service.doctor.findings import Finding, fault, ok
from appliance.service.doctor.machine import Machine

COMPONENT = "permissions"
GROUPS: dict[str, tuple[str, str]] = {
    # of each kind of device: the folder and how its nodes begin; the key is the group
    "gpio": ("/dev", "gpiochip"),
    "video": ("/dev", "video"),
    "audio": ("/dev/snd", "pcm"),
    "render": ("/dev/dri", "render"),
    "input": ("/dev/input", "event"),
}

SCREEN = ("render", "input")


def permissions(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line for each kind that is closed."""
    wanted = set(_wanted(config))
    if not wanted:
        yield ok(COMPONENT, "nothing needs any: all is simulated")
        return
    closed: list[Finding] = []
    for group in sorted(wanted):
        folder, begin = GROUPS[group]
        nodes = [f"{folder}/{name}" for name in machine.names(folder) if name.startswith(begin)]
        write = group != "input"
        shut = [node for node in nodes if not machine.may(node, write=write)]
        if shut:
            unit = (
                "appliance-screen.conf gives it the unit" if group in SCREEN else "the unit has it"
            )
            advice = f"sudo usermod -aG {group} $USER, and log in anew; {unit}"
            closed.append(fault(COMPONENT, f"{shut[0]} may not be opened by this user", advice))
    who = "root may do everything" if machine.is_root() else f"for {', '.join(sorted(wanted))}"
    yield from closed or [ok(COMPONENT, who)]


def _wanted(config: Config) -> Iterator[str]:
    real = config.device.board == "pi"
    if real and any(True for _ in all_pins(config)):
        yield "gpio"
    if any(one.device != "test-card" for one in config.cameras.values()):
        yield "video"
    simulated = ("tone", "silence")
    if any({one.playback, one.capture} - set(simulated) for one in config.audio.values()):
        yield "audio"
    if config.screen.kind == "kms":
        yield from ("render", "input")
