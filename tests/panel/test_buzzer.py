"""The buzzer: notes on a mock pin's PWM, in their order and to their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from gpiozero.pins.mock import MockPWMPin

from appliance.calls.effects import Sound
from appliance.panel.buzzer import TUNES, Buzzer
from tests.panel.wires import MockWires, until

PIN = 12


class Bench:
    def __init__(self) -> None:
        self.wires = MockWires()
        self.faults: list[Exception] = []
        self.recoveries = 0
        self.buzzer = Buzzer(
            PIN, factory=self.wires.factory, failed=self.faults.append, works=self._recovered
        )

    def _recovered(self) -> None:
        self.recoveries += 1

    def hertz(self) -> float | None:
        """What the pin gives, and not what it was told to give."""
        pin = self.wires.factory.pin(PIN)
        return round(pin.frequency, 1) if pin.frequency and pin.state else None


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    one = Bench()
    yield one
    one.buzzer.release()
    assert one.hertz() is None


async def test_a_chime_is_two_notes_and_then_silence(bench: Bench) -> None:
    bench.buzzer.play(Sound.CHIME)
    assert bench.hertz() == pytest.approx(659.3, rel=0.01), "at once"
    await until(lambda: bench.hertz() == pytest.approx(523.3, rel=0.01))
    await until(lambda: bench.hertz() is None)
    assert bench.buzzer.frequency_hz is None


async def test_no_current_is_left_in_it_when_a_note_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A driver may leave the line at the level that it happened to have; lgpio does."""
    end = MockPWMPin._set_frequency

    def leave_high(pin: MockPWMPin, value: float | None) -> None:
        end(pin, value)
        if not value:
            pin._change_state(1)

    monkeypatch.setattr(MockPWMPin, "_set_frequency", leave_high)
    bench = Bench()
    bench.buzzer.play(Sound.RINGTONE)
    bench.buzzer.stop(Sound.RINGTONE)
    assert bench.wires.high(PIN) is False
    bench.buzzer.release()
    assert bench.faults == []


async def test_a_ring_tone_goes_on_until_it_is_stopped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TUNES, Sound.RINGTONE, ((880.0, 0.01), (None, 0.01)))
    bench.buzzer.play(Sound.RINGTONE)
    for _ in range(3):
        await until(lambda: bench.hertz() is not None)
        await until(lambda: bench.hertz() is None)
    bench.buzzer.stop(Sound.CHIME)
    await until(lambda: bench.hertz() is not None)
    bench.buzzer.stop(Sound.RINGTONE)
    assert bench.hertz() is None
    await asyncio.sleep(0.05)  # longer than its notes
    assert bench.hertz() is None


async def test_the_sound_that_began_last_is_heard(bench: Bench) -> None:
    bench.buzzer.play(Sound.RINGTONE)
    bench.buzzer.play(Sound.REFUSED)
    assert bench.hertz() == pytest.approx(220, rel=0.01)
    bench.buzzer.stop(Sound.RINGTONE)
    assert bench.hertz() == pytest.approx(220, rel=0.01), "that is over already"


async def test_what_has_no_tune_is_silent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TUNES, Sound.ALARM)
    bench.buzzer.play(Sound.ALARM)
    assert bench.hertz() is None


@pytest.mark.parametrize("sound", Sound)
async def test_every_note_can_be_played(sound: Sound, bench: Bench) -> None:
    monotone = {hertz for hertz, _ in TUNES.get(sound, ()) if hertz}
    assert all(110 <= hertz <= 1760 for hertz in monotone)


async def test_a_driver_that_fails_is_told_once_and_tried_again_with_each_sound(
    bench: Bench,
) -> None:
    pin = bench.wires.factory.pin(PIN)
    pin.function = "input"  # as when somebody else took it
    for sound in (Sound.CHIME, Sound.ALARM, Sound.CHIME):
        bench.buzzer.play(sound)
    assert len(bench.faults) == 1
    assert bench.recoveries == 0
    pin.function = "output"
    bench.buzzer.play(Sound.CHIME)
    assert bench.hertz() is not None
    bench.buzzer.play(Sound.CHIME)
    assert bench.recoveries == 1, "when it was heard again, once"
    pin.function = "input"
    bench.buzzer.play(Sound.CHIME)
    assert len(bench.faults) == 2, "a fault of its own"
