"""The sound: whether each playback and capture device can be opened, and what takes the echo out.

Where there is a privacy LED no microphone is opened: it would not be lit meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from appliance.config import Audio, Config
from appliance.model import AudioMode
from appliance.service.doctor.findings import Finding, Verdict, fault, ok, warning
from appliance.service.doctor.machine import Machine

SIMULATED = ("tone", "silence")
AT_THE_EAR = (AudioMode.HEADPHONES, AudioMode.BLUETOOTH)
"""Nothing of them reaches the microphone, or the headset itself sees to it."""
NOT_DUCKED = (AudioMode.EARPIECE,)
"""A handset leaks little, so that without the canceller its two sides are better both heard."""
ECHO = "livekit.rtc"
"""The module of the optional extra that has WebRTC's echo canceller."""


def sound(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line for each output and its microphone, and one about the echo."""
    outputs = config.audio or (
        {} if config.device.board == "simulated" else {AudioMode.SPEAKER: Audio()}
    )
    if not outputs:
        yield ok("sound", "no output is configured")
        return
    names = {name for one in outputs.values() for name in (one.playback, one.capture)}
    if names <= set(SIMULATED):
        yield ok("sound", f"simulated: {', '.join(sorted(names))}")
        return
    if not machine.has_module("alsaaudio"):
        advice = "pip install 'appliance[pi]', which brings pyalsaaudio"
        yield fault("sound", "ALSA cannot be reached: alsaaudio is not installed", advice)
        return
    cards = ", ".join(machine.sound_cards())
    may_listen = not any(led.privacy for led in config.leds.values())
    opened = [
        _opened(f"{mode} {what}", name, machine, capture=what == "capture", may_listen=may_listen)
        for mode, audio in outputs.items()
        for what, name in (("playback", audio.playback), ("capture", audio.capture))
        if name not in SIMULATED
    ]
    if not cards and any(one.verdict is Verdict.FAULT for one in opened):
        advice = (
            "Plug a card in, or see that its overlay stands in /boot/firmware/config.txt;"
            ' "silence" and "tone" need none.'
        )
        yield fault("sound", "there is no sound card", advice)
        return
    # some outputs have none: Bluetooth, or a sound server
    yield ok("sound", f"cards: {cards or 'none'}")
    yield from opened
    yield _echo(outputs, machine)


def _opened(
    component: str, name: str, machine: Machine, *, capture: bool, may_listen: bool
) -> Finding:
    if capture and not may_listen:
        return ok(component, f"{name} is not opened: the privacy LED is not lit for this")
    try:
        machine.open_sound(name, capture=capture)
    except Exception as error:
        # ALSAAudioError, which is a plain Exception
        why = str(error)
        if "busy" in why and machine.runs:
            return ok(component, f"{name}, in use by the running appliance")
        if "busy" in why:
            advice = "`fuser -v /dev/snd/*` names the program that has it: stop that, or use dmix."
        elif "ermission" in why:
            advice = "sudo usermod -aG audio $USER, and log in anew"
        else:
            program = "arecord" if capture else "aplay"
            advice = f"`{program} -L` lists the names that there are: put one under [audio]."
        return fault(component, f"{name} cannot be opened: {why}", advice)
    return ok(component, f"{name} opens")


def _echo(outputs: Mapping[AudioMode, Audio], machine: Machine) -> Finding:
    left = {mode: one.echo for mode, one in outputs.items() if mode not in AT_THE_EAR}
    demanded = any(one.echo == "aec3" for one in outputs.values())
    if not demanded and "auto" not in left.values():
        return ok("echo", "WebRTC's canceller is not wanted")
    if machine.has_module(ECHO):
        return ok("echo", "WebRTC's canceller is installed")
    advice = "pip install 'appliance[echo]': then both may speak at once"
    if demanded:
        return fault("echo", 'echo = "aec3" is wanted, and not installed', advice)
    ducked = [mode for mode, kind in left.items() if kind == "auto" and mode not in NOT_DUCKED]
    if not ducked:
        return ok("echo", "without WebRTC's canceller; an earpiece leaks little")
    modes = " and ".join(ducked)
    return warning("echo", f"without its extra the sound of the {modes} is half duplex", advice)
