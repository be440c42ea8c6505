"""The part of `appliance setup` that is about sound: a tone is played, and somebody speaks."""

from __future__ import annotations

from appliance.config import Audio, Config
from appliance.media.pcm import OpenPcm, open_pcm
from appliance.model import AudioMode
from appliance.owner.dialog import Dialog
from appliance.owner.trying import LISTENS_S, QUIET_DBFS, loudest_dbfs, play_tone
from appliance.service.doctor.machine import Machine

SIMULATED = [("tone", "simulated"), ("silence", "simulated")]


def tried(
    config: Config, machine: Machine, dialog: Dialog, opens: OpenPcm | None = None
) -> dict[str, str]:
    """`playback` and `capture` as they were chosen, where they are others than before."""
    opens = opens or open_pcm
    now = config.audio.get(AudioMode.SPEAKER, Audio())
    try:
        cards = list(machine.sound_cards())
    except Exception as error:  # whatever a driver says
        dialog.say(f"Sound cards cannot be looked for: {error}.")
        cards = []
    options = [("default", "what ALSA takes"), *((f"plughw:CARD={card}", card) for card in cards)]
    chosen = {}
    playback = _playback(dialog, [*options, *SIMULATED], now.playback, opens)
    if playback != now.playback:
        chosen["playback"] = playback
    if any(led.privacy for led in config.leds.values()):
        dialog.say("The microphone is not tried: the privacy LED would not be lit meanwhile.")
        return chosen
    capture = _capture(dialog, [*options, *SIMULATED], now.capture, opens)
    if capture != now.capture:
        chosen["capture"] = capture
    return chosen


def _playback(dialog: Dialog, options: list[tuple[str, str]], default: str, opens: OpenPcm) -> str:
    while True:
        device = dialog.choose("The loudspeaker", options, default)
        try:
            play_tone(device, opens)
        except OSError as error:
            dialog.say(f"  {device} gives no sound: {error.strerror or error}")
            if dialog.yes("  Take it all the same?"):
                return device
            continue
        if dialog.yes("  Was there a tone?", default=True):
            return device


def _capture(dialog: Dialog, options: list[tuple[str, str]], default: str, opens: OpenPcm) -> str:
    while True:
        device = dialog.choose("The microphone", options, default)
        dialog.say(f"  Say something to it, for {LISTENS_S:g} seconds.")
        try:
            level = loudest_dbfs(device, opens, LISTENS_S)
        except OSError as error:
            dialog.say(f"  {device} hears nothing: {error.strerror or error}")
        else:
            dialog.say(f"  The loudest that it heard: {level:.0f} dBFS.")
            if level > QUIET_DBFS:
                return device
            dialog.say("  That is silence: it is muted, turned down (`alsamixer`), or another one.")
        if dialog.yes("  Take it all the same?"):
            return device
