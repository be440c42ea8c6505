"""A whole appliance on a board with sound cards: chime, ring tone and a call, through ALSA itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from appliance.calls.inputs import ButtonGestured, ButtonPressed
from appliance.commands import AcceptCall, EndCall, SetVolume
from appliance.config import Audio, Panel
from appliance.media.alsa import AlsaSpeaker
from appliance.media.synthetic import dominant_hz, level_dbfs
from appliance.model import AudioMode, Gesture
from appliance.signaling.broker import EmbeddedBroker
from tests.media.soundlab import SoundLab, lab
from tests.parts.house import House, config_for, house
from tests.parts.phone import Media, phone

__all__ = ["lab"]

SPEAKER, _, _, HEADPHONES = AudioMode


@pytest.fixture
async def broker() -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker() as embedded:
        yield embedded


@pytest.fixture
async def door(broker: EmbeddedBroker, lab: SoundLab, tmp_path: Path) -> AsyncIterator[House]:
    """Its speaker and its microphone are files, its headphones have never been there."""
    (lab.folder / "played").touch()
    config = config_for(
        broker.port,
        panel=Panel(pin_factory="mock"),
        audio={
            SPEAKER: Audio("speaker", "microphone", echo="off"),
            HEADPHONES: Audio("plughw:CARD=Nowhere", "silence"),
        },
    )
    config = replace(config, device=replace(config.device, board="pi"))
    async with house(config, tmp_path) as one:
        yield one


def last(lab: SoundLab, seconds: float = 0.5) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return lab.played()[-round(seconds * 48_000) :]


def speaker(door: House) -> AlsaSpeaker:
    assert door.appliance.studio is not None
    assert door.appliance.studio._equipment is not None
    sink = door.appliance.studio._equipment.outputs.sink(SPEAKER)
    assert isinstance(sink, AlsaSpeaker)
    return sink


def counts(door: House) -> dict[str, int]:
    media = door.appliance.session.status()["media"]
    assert media["audio_mode"] == "speaker"
    sound = media["sound"]
    assert isinstance(sound, dict)
    return sound


def faults(door: House) -> list[str]:
    return [name for name in door.names() if name == "error" or "exception" in name]


async def test_a_ring_tone_then_both_voices_then_nothing(door: House, lab: SoundLab) -> None:
    session, port = door.appliance.session, door.appliance.config.mqtt.port
    assert not speaker(door).is_open, "nobody is to be heard yet"
    async with phone("bob", "127.0.0.1", port, version=4) as bob:
        await bob.call("c" * 32)
        await bob.hear("ringing")
        await door.until_true(lambda: level_dbfs(last(lab)) > -30)
        await session.command(AcceptCall())
        await bob.connected()
        await door.until_true(lambda: dominant_hz(last(lab)) == pytest.approx(880, rel=0.01))
        await bob.media.until(lambda: hears(bob.media, 440))
        loud = level_dbfs(last(lab))
        await session.command(SetVolume(percent=50, output=SPEAKER))
        # 18 dB softer than when nothing else was in that half second
        await door.until_true(lambda: -25 < level_dbfs(last(lab)) - loud < -12)
        await door.until_true(lambda: dominant_hz(last(lab)) == pytest.approx(880, rel=0.01))
        await session.command(EndCall())
        await door.until("call_ended")
    await door.until_true(lambda: not speaker(door).is_open)
    assert counts(door)["playback_xruns"] == counts(door)["capture_xruns"] == 0
    assert faults(door) == []


async def test_the_echo_canceller_of_the_output_is_used(
    broker: EmbeddedBroker, lab: SoundLab, tmp_path: Path
) -> None:
    (lab.folder / "played").touch()
    config = config_for(
        broker.port,
        panel=Panel(pin_factory="mock"),
        audio={SPEAKER: Audio("speaker", "microphone", echo="duck")},
    )
    config = replace(config, device=replace(config.device, board="pi"))
    async with (
        house(config, tmp_path) as one,
        phone("bob", "127.0.0.1", broker.port, version=4) as bob,
    ):
        await bob.call("c" * 32)
        await bob.hear("ringing")
        await one.appliance.session.command(AcceptCall())
        await bob.connected()
        await one.until_true(lambda: dominant_hz(last(lab)) == pytest.approx(880, rel=0.01))
        # while bob speaks the steady tone at the door is held down; it is at -20 dBFS by itself
        await bob.media.until(lambda: len(bob.media.samples) > 100 and loudness(bob.media) < -40)
        await one.appliance.session.command(EndCall())


def hears(media: Media, hz: float) -> bool:
    return bool(media.samples) and media.tone_hz() == pytest.approx(hz, rel=0.02)


def loudness(media: Media) -> float:
    return level_dbfs(np.concatenate(media.samples)[-12_000:].astype(np.int16))


async def test_a_press_is_answered_by_the_chime(door: House, lab: SoundLab) -> None:
    door.appliance.engine.post(ButtonPressed("call"))
    door.appliance.engine.post(ButtonGestured("call", Gesture.PRESS))
    await door.until("outgoing_call_started")
    await door.until_true(lambda: len(lab.played()) > 0 and level_dbfs(lab.played()) > -30)
    await door.until_true(lambda: not speaker(door).is_open)
    assert faults(door) == []
