"""LEDs on mock pins: patterns in time, the answer to a press, and what is read back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from appliance import config
from appliance.model import Situation
from appliance.panel.indicators import Indicator
from tests.panel.wires import MockWires, until

DARK = {situation.value: "off" for situation in Situation}


class Bench:
    """One LED, what it told, and its pins."""

    def __init__(self, section: config.Led) -> None:
        self.wires = MockWires()
        self.faults: list[Exception] = []
        self.repaired: list[int] = []
        """How many faults there had been each time that it worked again."""
        self.changes = 0
        self.led = Indicator(
            section,
            factory=self.wires.factory,
            failed=self.faults.append,
            changed=self._changed,
            works=lambda: self.repaired.append(len(self.faults)),
        )
        self.pins = section.pin if isinstance(section.pin, tuple) else (section.pin,)

    def _changed(self) -> None:
        self.changes += 1

    def levels(self) -> tuple[float, ...]:
        return tuple(round(self.wires.factory.pin(pin).state, 3) for pin in self.pins)


async def test_a_plain_led_blinks() -> None:
    bench = Bench(config.Led(pin=27, patterns=DARK | {"error": "fast_blink"}))
    bench.led.show(Situation.ERROR)
    pin: Any = bench.wires.factory.pin(27)
    await until(lambda: len(pin.states) >= 6)
    bench.led.release()
    assert [bool(state.state) for state in pin.states][:6] == [False, True] * 3
    assert bench.changes >= 5
    assert bench.faults == []


async def test_showing_the_same_situation_again_does_not_disturb_the_pattern() -> None:
    bench = Bench(config.Led(pin=27, patterns=DARK | {"error": "fast_blink"}))
    bench.led.show(Situation.ERROR)
    await until(lambda: not bench.led.lit)
    bench.led.show(Situation.ERROR)
    assert not bench.led.lit
    bench.led.release()


async def test_a_pwm_led_breathes() -> None:
    bench = Bench(config.Led(pin=27, kind="pwm"))
    bench.led.show(Situation.RINGING_OUT)
    assert bench.levels() == (1.0,)
    await until(lambda: 0.3 < bench.levels()[0] < 0.7)
    await until(lambda: bench.levels()[0] < 0.1)
    assert bench.led.lit, "what glows is lit"
    bench.led.release()


async def test_an_rgb_led_has_the_colour_of_the_situation() -> None:
    bench = Bench(config.Led(pin=(5, 6, 13), kind="rgb", patterns={"in_call": "#ff8000"}))
    bench.led.show(Situation.RECORDING)
    assert (bench.levels(), bench.led.pattern) == ((1, 0, 0), "red:on")
    bench.led.show(Situation.IN_CALL)
    assert (bench.levels(), bench.led.pattern) == ((1, 0.502, 0), "#ff8000")
    bench.led.show(Situation.IDLE)
    assert bench.levels() == (0.1, 0.1, 0.1)
    bench.led.acknowledge()
    assert bench.levels() == (1, 1, 1)
    bench.led.release()


async def test_the_answer_to_a_press_is_light_and_then_the_pattern_again() -> None:
    bench = Bench(config.Led(pin=27, kind="pwm"))
    seen = [(bench.led.pattern, bench.levels(), bench.changes)]
    bench.led.acknowledge()
    seen.append((bench.led.pattern, bench.levels(), bench.changes))
    await until(lambda: bench.levels() == (0.1,))
    seen.append((bench.led.pattern, bench.levels(), bench.changes))
    bench.led.release()
    # the first change is that to the dim light of idleness
    assert seen == [("dim", (0.1,), 1), ("on", (1.0,), 2), ("dim", (0.1,), 3)]


async def test_a_lit_led_answers_with_a_moment_of_darkness() -> None:
    bench = Bench(config.Led(pin=27, patterns={"in_call": "on"}))
    bench.led.show(Situation.IN_CALL)
    bench.led.acknowledge()
    assert bench.levels() == (0,)
    bench.led.acknowledge()
    assert bench.levels() == (0,), "a second finger does not undo the answer to the first"
    await until(lambda: bench.levels() == (1,))
    bench.led.release()


async def test_the_answer_is_seen_to_its_end_whatever_the_situation_becomes() -> None:
    bench = Bench(config.Led(pin=27, patterns=DARK))
    bench.led.acknowledge()
    bench.led.show(Situation.RINGING_OUT)
    assert bench.levels() == (1,)
    await until(lambda: bench.levels() == (0,))
    bench.led.release()


async def test_an_led_that_fails_is_told_and_tried_again_later() -> None:
    bench = Bench(config.Led(pin=27, patterns=DARK | {"in_call": "on", "error": "on"}))
    pin: Any = bench.wires.factory.pin(27)
    pin.function = "input"  # as when somebody else took it
    bench.led.show(Situation.IN_CALL)
    assert [str(fault) for fault in bench.faults] == ["cannot set state of pin GPIO27"]
    pin.function = "output"
    assert bench.repaired == []
    bench.led.show(Situation.ERROR)
    assert bench.led.lit
    bench.led.acknowledge()
    assert bench.repaired == [1], "told once"
    bench.led.release()


async def test_another_number_of_what_is_wrong_is_counted_from_its_beginning() -> None:
    bench = Bench(config.Led(pin=27, patterns=DARK | {"error": "count", "in_call": "on"}))
    bench.led.show(Situation.ERROR, (2,))
    assert (bench.led.pattern, bench.levels()) == ("count 2", (1,))
    await until(lambda: bench.levels() == (0,))
    bench.led.show(Situation.ERROR, (2,))
    assert bench.levels() == (0,), "nothing is new"
    bench.led.show(Situation.ERROR, (2, 5))
    assert (bench.led.pattern, bench.levels()) == ("count 2 5", (1,))
    bench.led.show(Situation.IN_CALL, (2, 5))
    assert bench.led.pattern == "on"
    bench.led.release()


async def test_an_led_that_a_low_level_lights() -> None:
    bench = Bench(config.Led(pin=(5, 6, 13), kind="rgb", active_high=False, patterns=DARK))
    assert (bench.levels(), bench.led.lit) == ((1, 1, 1), False)
    bench.led.acknowledge()
    assert (bench.levels(), bench.led.lit) == ((0, 0, 0), True)
    bench.led.release()


async def test_a_released_led_is_dark_and_stays_so() -> None:
    bench = Bench(config.Led(pin=27, patterns=DARK | {"error": "fast_blink"}))
    bench.led.show(Situation.ERROR)
    bench.led.release()
    pin: Any = bench.wires.factory.pin(27)
    assert pin.function == "input"
    await asyncio.sleep(0.2)  # longer than a step of the pattern, which would fail on an input
    assert bench.faults == []


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (config.Led(pin=5, kind="rgb"), r"rgb has three pins, \[red, green, blue\]"),
        (config.Led(pin=(5, 6, 13)), "kind led has one pin"),
        (config.Led(pin=5, patterns={"idle": "blnk"}), "did you mean blink"),
    ],
)
async def test_a_section_that_makes_no_sense_is_told(section: config.Led, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Bench(section)
