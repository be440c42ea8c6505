"""LEDs that tell of open devices: read back, watched, and asked before anything opens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from appliance import config
from appliance.calls.inputs import FaultCleared, FaultReported, PrivacyLost
from appliance.panel.privacy import PrivacyLight, PrivacyLights
from tests.panel.inbox import Inbox
from tests.panel.wires import MockWires, until

PIN, OTHER = 27, 22


class Bench:
    def __init__(self, *sections: config.Led) -> None:
        self.wires, self.inbox = MockWires(), Inbox()
        self.changes = 0
        self.lights = PrivacyLights(self.inbox.post, self._changed, look_s=0.01)
        self.all: dict[str, PrivacyLight | None] = {
            f"p{at}": PrivacyLight(section, factory=self.wires.factory)
            for at, section in enumerate(sections)
        }
        self.lights.use(dict(self.all))

    def _changed(self) -> None:
        self.changes += 1

    def take(self, pin: int = PIN) -> Any:
        """Somebody else has the pin: it cannot be driven, and is dark."""
        taken = self.wires.factory.pin(pin)
        taken.function = "input"
        taken.drive_low()
        return taken

    def close(self) -> None:
        self.lights.close()
        for light in self.all.values():
            if light is not None:
                light.release()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    one = Bench(config.Led(pin=PIN, privacy=True), config.Led(pin=OTHER, privacy=True))
    yield one
    one.close()


async def test_no_device_opens_before_all_are_lit(bench: Bench) -> None:
    assert "p0, p1" in str(bench.lights.forbidden())
    bench.lights.light(on=True)
    assert bench.lights.forbidden() is None
    assert bench.wires.high(PIN)
    assert bench.wires.high(OTHER)
    assert bench.changes == 1
    bench.lights.light(on=False)
    assert bench.lights.forbidden() is not None
    assert not bench.wires.high(PIN)
    assert bench.inbox.all == []


async def test_one_that_cannot_be_lit_forbids_it_until_it_can(bench: Bench) -> None:
    pin = bench.take()
    bench.lights.light(on=True)
    assert "while the privacy LED p0 is dark" in str(bench.lights.forbidden())
    [fault] = bench.inbox.of(FaultReported)
    assert (fault.code, fault.where) == ("privacy_led_failed", "leds.p0")
    assert "p0 cannot be lit: cannot set state of pin GPIO27" in fault.message
    pin.function = "output"
    assert bench.lights.forbidden() is None, "it is tried once more when somebody asks"
    assert bench.wires.high(PIN)
    assert bench.inbox.of(FaultCleared) == [FaultCleared("leds.p0")]


async def test_a_pin_that_does_not_follow_is_no_light(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = bench.wires.factory.pin(PIN)
    monkeypatch.setattr(pin, "_change_state", lambda _: False)
    bench.lights.light(on=True)
    [fault] = bench.inbox.of(FaultReported)
    assert "the pin stays where it was" in fault.message
    assert bench.lights.forbidden() is not None


async def test_one_that_goes_dark_by_itself_is_lit_again_or_told(bench: Bench) -> None:
    bench.lights.light(on=True)
    bench.wires.factory.pin(PIN).state = 0  # by some other program
    await until(lambda: bool(bench.wires.high(PIN)))
    assert bench.inbox.all == []
    bench.take()
    await bench.inbox.has(PrivacyLost())
    assert bench.lights.forbidden() is not None
    await asyncio.sleep(0.05)  # several looks
    assert bench.inbox.of(PrivacyLost) == [PrivacyLost()], "told once"
    bench.lights.light(on=False)


async def test_one_without_a_pin_forbids_everything() -> None:
    bench = Bench()
    bench.lights.use({"p": None})
    bench.lights.light(on=True)
    assert "privacy LED p is dark" in str(bench.lights.forbidden())
    assert "it has no working pin" in bench.inbox.of(FaultReported)[0].message
    bench.close()


async def test_without_any_nothing_is_forbidden() -> None:
    bench = Bench()
    assert bench.lights.forbidden() is None
    bench.lights.light(on=True)
    bench.close()


@pytest.mark.parametrize(
    ("section", "high"),
    [
        (config.Led(pin=PIN, active_high=False), False),
        (config.Led(pin=PIN, kind="pwm"), True),
        (config.Led(pin=(PIN, 5, 6), kind="rgb"), True),
    ],
)
async def test_any_kind_of_led(section: config.Led, high: bool) -> None:
    bench = Bench(section)
    [light] = bench.all.values()
    assert light is not None
    assert (light.pattern, light.lit) == ("off", False)
    bench.lights.light(on=True)
    assert (light.pattern, light.lit) == ("on", True)
    assert bench.wires.high(PIN) is high
    bench.close()
