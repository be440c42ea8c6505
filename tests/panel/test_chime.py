"""Chime and ring tone: how long they play, and that they do not cut one another off."""

from __future__ import annotations

import asyncio

import pytest

from appliance.calls.effects import PlaySound, Sound, StopSound
from appliance.panel.chime import PROMPTS, Chime, LateOutput, Together

PLAY_CHIME, STOP_CHIME = PlaySound(Sound.CHIME), StopSound(Sound.CHIME)
PLAY_TONE, STOP_TONE = PlaySound(Sound.RINGTONE), StopSound(Sound.RINGTONE)

SPOKEN_S = dict.fromkeys(PROMPTS, 60.0)


class Speaker:
    """A sound output that notes what it was told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def play(self, sound: Sound) -> None:
        self.heard.append(f"play {sound}")

    def stop(self, sound: Sound) -> None:
        self.heard.append(f"stop {sound}")


@pytest.fixture
def speaker() -> Speaker:
    return Speaker()


@pytest.mark.parametrize("sound", [one for one in Sound if one is not Sound.RINGTONE])
async def test_all_but_the_ring_tone_end_by_themselves(speaker: Speaker, sound: Sound) -> None:
    changed = asyncio.Event()
    chime = Chime(speaker, changed=changed.set, lasts_s={sound: 0.01})
    chime.perform(PlaySound(sound))
    assert chime.playing == {sound}
    assert speaker.heard == [f"play {sound}"], "it is heard before perform returns"
    changed.clear()
    async with asyncio.timeout(20):
        await changed.wait()
    assert chime.playing == set()
    assert speaker.heard == [f"play {sound}", f"stop {sound}"]


async def test_it_may_be_known_later_how_long_a_sound_is(speaker: Speaker) -> None:
    changed = asyncio.Event()
    chime = Chime(speaker, changed=changed.set)
    chime.lasts_s = {Sound.DOOR_OPEN: 0.01}
    chime.perform(PlaySound(Sound.DOOR_OPEN))
    changed.clear()
    async with asyncio.timeout(30):
        await changed.wait()
    assert speaker.heard == ["play door_open", "stop door_open"]


async def test_a_chime_that_is_rung_again_begins_anew(speaker: Speaker) -> None:
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    chime = Chime(speaker, changed=changed.set, lasts_s={Sound.CHIME: 0.4})
    chime.perform(PLAY_CHIME)
    await asyncio.sleep(0.1)
    chime.perform(PLAY_CHIME)
    again_s = loop.time()
    changed.clear()
    async with asyncio.timeout(20):
        await changed.wait()
    assert loop.time() - again_s >= 0.39
    assert speaker.heard == ["play chime", "play chime", "stop chime"]


async def test_a_ring_tone_plays_until_it_is_stopped(speaker: Speaker) -> None:
    chime = Chime(speaker, changed=lambda: None, lasts_s=dict.fromkeys(Sound, 0.01))
    chime.perform(PLAY_TONE)
    await asyncio.sleep(0.03)
    assert chime.playing == {Sound.RINGTONE}
    chime.perform(STOP_TONE)
    chime.perform(STOP_TONE)
    assert speaker.heard == ["play ringtone", "stop ringtone"]


async def test_the_end_of_a_chime_does_not_end_the_ring_tone(speaker: Speaker) -> None:
    chime = Chime(speaker, changed=lambda: None)
    chime.perform(PLAY_TONE)
    chime.perform(PLAY_CHIME)
    chime.perform(STOP_CHIME)
    assert chime.playing == {Sound.RINGTONE}
    chime.release()
    assert chime.playing == set()
    assert speaker.heard[-1] == "stop ringtone"


async def test_after_the_release_no_timer_is_left(speaker: Speaker) -> None:
    chime = Chime(speaker, changed=lambda: None, lasts_s=dict.fromkeys(Sound, 0.01))
    chime.perform(PLAY_CHIME)
    chime.release()
    chime.perform(PLAY_TONE)
    await asyncio.sleep(0.03)
    assert speaker.heard == ["play chime", "stop chime", "play ringtone"]
    chime.release()


async def test_a_prompt_waits_for_the_end_of_the_chime(speaker: Speaker) -> None:
    changed = asyncio.Event()
    chime = Chime(speaker, changed=changed.set, lasts_s={Sound.CHIME: 0.01, **SPOKEN_S})
    chime.perform(PLAY_CHIME)
    chime.perform(PlaySound(Sound.IT_IS_RINGING))
    assert chime.playing == {Sound.CHIME}
    async with asyncio.timeout(30):
        while Sound.IT_IS_RINGING not in chime.playing:
            changed.clear()
            await changed.wait()
    assert speaker.heard == ["play chime", "stop chime", "play it_is_ringing"]
    chime.perform(PlaySound(Sound.DOOR_OPEN))
    assert chime.playing == {Sound.IT_IS_RINGING, Sound.DOOR_OPEN}, "no chime, no waiting"
    chime.release()


async def test_of_prompts_that_wait_the_last_is_heard_and_none_that_was_stopped(
    speaker: Speaker,
) -> None:
    chime = Chime(speaker, changed=lambda: None)
    chime.perform(PLAY_CHIME)
    chime.perform(PlaySound(Sound.IT_IS_RINGING))
    chime.perform(StopSound(Sound.IT_IS_RINGING))
    chime.perform(STOP_CHIME)
    assert chime.playing == set()
    chime.perform(PLAY_CHIME)
    chime.perform(PlaySound(Sound.IT_IS_RINGING))
    chime.perform(PlaySound(Sound.NOT_NOW))
    chime.perform(PLAY_CHIME)
    chime.perform(STOP_CHIME)
    assert chime.playing == {Sound.NOT_NOW}
    chime.perform(PLAY_CHIME)
    chime.perform(PlaySound(Sound.DOOR_OPEN))
    chime.release()
    assert chime.playing == set()
    assert "play it_is_ringing" not in speaker.heard
    assert "play door_open" not in speaker.heard


async def test_what_is_no_prompt_waits_for_nothing(speaker: Speaker) -> None:
    chime = Chime(speaker, changed=lambda: None)
    chime.perform(PLAY_CHIME)
    for sound in (Sound.ALARM, Sound.REFUSED, Sound.RINGTONE):
        chime.perform(PlaySound(sound))
        assert sound in chime.playing
    chime.release()


def test_several_outputs_play_together() -> None:
    one, other = Speaker(), Speaker()
    both = Together(one, other)
    both.play(Sound.CHIME)
    both.stop(Sound.CHIME)
    assert one.heard == other.heard == ["play chime", "stop chime"]


def test_what_plays_when_the_output_comes_is_begun_then(speaker: Speaker) -> None:
    late = LateOutput()
    late.play(Sound.CHIME)
    late.play(Sound.RINGTONE)
    late.stop(Sound.CHIME)
    late.attach(speaker)
    late.play(Sound.CHIME)
    late.stop(Sound.RINGTONE)
    late.stop(Sound.RINGTONE)
    assert speaker.heard == ["play ringtone", "play chime", "stop ringtone", "stop ringtone"]
