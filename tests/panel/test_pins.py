"""Which pins a board gets, by gpiozero's names and without its global factory."""

from __future__ import annotations

import logging

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPWMPin

from appliance.panel.pins import PinsUnavailableError, open_factory


def test_each_simulated_board_has_pins_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "lgpio")
    one, two = open_factory("simulated", "lgpio"), open_factory("simulated", None)
    assert isinstance(one, MockFactory)
    assert one.pin(17) is not two.pin(17)
    assert isinstance(one.pin(17), MockPWMPin), "LEDs can be dimmed"
    assert Device.pin_factory is None


def test_a_simulated_pin_does_not_remember_for_ever() -> None:
    pin = open_factory("simulated", None).pin(17)
    for _ in range(1000):
        pin.drive_high()
        pin.drive_low()
    assert len(pin.states) < 100
    assert [one.state for one in pin.states][-2:] == [True, False]


def test_a_factory_goes_by_the_name_that_it_has_in_gpiozero() -> None:
    assert isinstance(open_factory("pi", "mock"), MockFactory)
    with pytest.raises(PinsUnavailableError, match=r"no such pin factory; did you mean lgpio\?"):
        open_factory("pi", "lgpoi")


def test_gpiozeros_environment_variable_is_obeyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "no-such-factory")
    with pytest.raises(PinsUnavailableError, match="no-such-factory: gpiozero knows no such"):
        open_factory("pi", None)


def test_the_first_that_works_is_taken_and_it_is_said_what_did_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.setattr("appliance.panel.pins._PREFERRED", ("nothing", "mock"))
    with caplog.at_level(logging.WARNING):
        factory = open_factory("pi", None)
    assert isinstance(factory, MockFactory)
    assert "Pins are reached by mock, since nothing: gpiozero knows no such" in caplog.text


def test_without_any_pins_every_attempt_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.setattr("appliance.panel.pins._PREFERRED", ("no-one", "no-two"))
    with pytest.raises(PinsUnavailableError, match=r"No pins .*no-one: .*no-two: "):
        open_factory("pi", None)
    assert Device.pin_factory is None
