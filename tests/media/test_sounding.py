"""The device's own sounds through its loudspeaker."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from appliance.calls.effects import Sound
from appliance.config import Audio
from appliance.media.base import FRAME_BYTES
from appliance.media.outputs import DUCKED, Loudspeaker
from appliance.media.sounding import LEAD_FRAMES, Sounding
from appliance.media.synthetic import SimulatedOutputs
from appliance.model import AudioMode
from tests.media.stranger import until

SPEAKER, _, _, HEADPHONES = AudioMode
LEVEL = 8000


class Ear:
    """A loudspeaker that keeps what each voice was given."""

    def __init__(self) -> None:
        self.given: dict[str, list[int]] = {}
        self.removed: list[str] = []

    def push(self, participant: str, frame: bytes) -> None:
        assert len(frame) == FRAME_BYTES
        self.given.setdefault(participant, []).append(int(np.frombuffer(frame, "<i2")[-1]))

    def remove(self, participant: str) -> None:
        self.removed.append(participant)


class Phones(SimulatedOutputs):
    """Two outputs with an ear at each."""

    def __init__(self) -> None:
        super().__init__({SPEAKER: Audio(), HEADPHONES: Audio()})
        self.ears = {SPEAKER: Ear(), HEADPHONES: Ear()}

    def sink(self, mode: AudioMode) -> Ear:
        return self.ears[mode]


def steady(frames: int, level: int = LEVEL) -> bytes:
    return np.full(frames * 960, level, "<i2").tobytes()


def pcm(**sounds: bytes) -> Callable[[Sound], bytes]:
    return lambda sound: sounds[sound.value]


async def test_a_sound_is_heard_to_its_end_once() -> None:
    phones = Phones()
    numbered = b"".join(steady(1, number) for number in range(1, 8))[:-100]
    sounding = Sounding(Loudspeaker(phones, {}), pcm(chime=numbered))
    sounding.play(Sound.CHIME)
    ear = phones.ears[SPEAKER]
    assert len(ear.given["sound chime"]) == LEAD_FRAMES, "so much at once"
    await until(lambda: ear.removed, "its end")
    assert ear.given["sound chime"] == [1, 2, 3, 4, 5, 6, 0] + [0] * LEAD_FRAMES
    assert ear.removed == ["sound chime"]
    assert sounding._timer is None


async def test_a_ring_tone_is_heard_until_it_is_stopped() -> None:
    phones = Phones()
    sounding = Sounding(Loudspeaker(phones, {}), pcm(ringtone=steady(1, 1) + steady(1, 2)))
    sounding.play(Sound.RINGTONE)
    ear = phones.ears[SPEAKER]
    await until(lambda: len(ear.given["sound ringtone"]) > 8, "it to go on")
    assert ear.given["sound ringtone"][:6] == [1, 2, 1, 2, 1, 2]
    sounding.stop(Sound.RINGTONE)
    sounding.stop(Sound.RINGTONE)
    count = len(ear.given["sound ringtone"])
    assert ear.removed == ["sound ringtone"]
    assert sounding._timer is None
    sounding.play(Sound.RINGTONE)
    assert ear.given["sound ringtone"][count:] == [1, 2, 1], "anew"
    sounding.close()


async def test_what_is_stopped_when_it_is_over_is_still_heard_to_its_end() -> None:
    phones = Phones()
    sounding = Sounding(Loudspeaker(phones, {}), pcm(chime=steady(2), refused=steady(9)))
    sounding.play(Sound.CHIME)
    sounding.play(Sound.REFUSED)
    sounding.stop(Sound.CHIME)
    sounding.stop(Sound.REFUSED)
    ear = phones.ears[SPEAKER]
    assert ear.removed == ["sound refused"], "it was in its middle"
    await until(lambda: "sound chime" in ear.removed, "its end")
    assert ear.given["sound chime"] == [LEVEL] * 2 + [0] * LEAD_FRAMES


async def test_under_a_call_it_is_softer_and_loud_again_afterwards() -> None:
    phones = Phones()
    speaker = Loudspeaker(phones, {})
    taped: list[str] = []
    speaker.tap = lambda name, _: taped.append(name)
    sounding = Sounding(speaker, pcm(ringtone=steady(1)))
    given = phones.ears[SPEAKER].given
    speaker.push("alice", steady(1))
    sounding.play(Sound.RINGTONE)
    assert given["sound ringtone"][-1] == pytest.approx(LEVEL * DUCKED, abs=1)
    assert given["alice"] == [LEVEL], "she is as loud as she was"
    speaker.remove("alice")
    await until(lambda: given["sound ringtone"][-1] == LEVEL, "it to be loud")
    assert taped == ["alice"], "it is in no recording"
    sounding.close()


async def test_it_follows_the_volume_and_the_output_in_use() -> None:
    phones = Phones()
    speaker = Loudspeaker(phones, {SPEAKER: 50})
    sounding = Sounding(speaker, pcm(ringtone=steady(1)))
    sounding.play(Sound.RINGTONE)
    assert phones.ears[SPEAKER].given["sound ringtone"][-1] == LEVEL // 8
    speaker.use(HEADPHONES)
    assert phones.ears[SPEAKER].removed == ["sound ringtone"]
    await until(lambda: phones.ears[HEADPHONES].given.get("sound ringtone"), "it to be heard there")
    sounding.close()


async def test_two_sounds_at_once_and_one_that_is_empty() -> None:
    phones = Phones()
    sounding = Sounding(
        Loudspeaker(phones, {}), pcm(ringtone=steady(1), chime=steady(2), refused=b"")
    )
    for sound in (Sound.RINGTONE, Sound.CHIME, Sound.REFUSED):
        sounding.play(sound)
    ear = phones.ears[SPEAKER]
    await until(
        lambda: "sound chime" in ear.removed and "sound refused" in ear.removed, "their ends"
    )
    assert "sound ringtone" not in ear.removed
    sounding.close()
    assert "sound ringtone" in ear.removed


async def test_once_closed_nothing_is_played() -> None:
    phones = Phones()
    sounding = Sounding(Loudspeaker(phones, {}), pcm(chime=steady(2)))
    sounding.close()
    sounding.play(Sound.CHIME)
    assert not phones.ears[SPEAKER].given
