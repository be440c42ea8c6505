"""Which echo canceller an output gets: WebRTC's where it is installed, else ducking, else none."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from appliance.config import Audio
from appliance.media.base import EchoCanceller, check_frame
from appliance.model import AudioMode

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["auto", "aec3", "duck", "off"]
"""As `[audio.<mode>] echo`."""

AT_THE_EAR = (AudioMode.HEADPHONES, AudioMode.BLUETOOTH)
"""Nothing of them reaches the microphone, or the headset itself sees to it."""


def installed() -> bool:
    """Whether WebRTC's canceller is there (the extra `echo`), without importing it."""
    try:
        return importlib.util.find_spec("livekit.rtc") is not None
    except ModuleNotFoundError:
        return False


def choice(kind: Kind, mode: AudioMode = AudioMode.SPEAKER) -> Kind:
    """What `auto` is for an output; anything else is as it was asked for.

    A handset leaks little, so that without the canceller its two sides are better both heard.
    """
    if kind != "auto":
        return kind
    if mode in AT_THE_EAR:
        return "off"
    if installed():
        return "aec3"
    return "off" if mode is AudioMode.EARPIECE else "duck"


def canceller(
    kind: Kind = "auto", mode: AudioMode = AudioMode.SPEAKER, *, gain_control: bool = False
) -> EchoCanceller:
    """A new one for a loudspeaker and its microphone, to be closed with them.

    May take some 100 ms the first time, and is therefore to be made where a sound card is opened, not on
    the loop. Where WebRTC's is wanted and cannot be had, which is logged, it is ducking.
    """
    kind = choice(kind, mode)
    if kind == "off":
        return NoCanceller()
    if kind == "aec3":
        from appliance.media.aec3 import Aec3

        try:
            return Aec3(gain_control=gain_control)
        except ImportError as fault:
            log.warning("no WebRTC echo canceller, the microphone is ducked instead: %s", fault)
    from appliance.media.ducking import Ducking

    return Ducking()


def cancellers(
    audio: Mapping[AudioMode, Audio],
) -> Callable[[AudioMode], EchoCanceller | None]:
    """What makes the one of an output, as it is configured; None where there is to be none."""

    def make(mode: AudioMode) -> EchoCanceller | None:
        configured = audio.get(mode, Audio())
        if choice(configured.echo, mode) == "off":
            return None
        return canceller(configured.echo, mode, gain_control=configured.gain_control)

    return make


class NoCanceller:
    """An EchoCanceller that takes nothing out."""

    def far(self, frame: bytes, /) -> None:
        """Of no interest."""
        check_frame(frame)

    def near(self, frame: bytes, delay_ms: int, /) -> bytes:
        """As it came."""
        check_frame(frame)
        return frame

    def close(self) -> None:
        """Nothing to release."""
