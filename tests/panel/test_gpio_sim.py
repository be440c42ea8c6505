"""Which chip is taken for a Pi's; that its lines work is seen in the lab (`tests/lab`)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from appliance.panel.gpio_sim import REVISION, simulated_chip
from appliance.panel.pins import PinsUnavailableError, open_factory


class Chips(ModuleType):
    """lgpio, as far as it tells of chips: what each number's is called; None may not be opened."""

    error = Exception

    def __init__(self, *labels: str | None) -> None:
        super().__init__("lgpio")
        self.labels, self.opened = labels, 0

    def gpiochip_open(self, number: int) -> int:
        if self.labels[number] is None:
            raise self.error("can not open gpiochip")
        self.opened += 1
        return number

    def gpio_get_chip_info(self, handle: int) -> list[object]:
        return [0, 54, f"gpiochip{handle}", self.labels[handle]]

    def gpiochip_close(self, _: int) -> None:
        self.opened -= 1


class LGPIOFactory:
    """gpiozero's, as far as it is asked for here."""

    def __init__(self, chip: int) -> None:
        self.chip = chip

    def _get_revision(self) -> int:
        raise AssertionError("this is no Pi")


def chips(monkeypatch: pytest.MonkeyPatch, folder: Path, *labels: str | None) -> Chips:
    lgpio, gpiozeros = Chips(*labels), ModuleType("gpiozero.pins.lgpio")
    gpiozeros.LGPIOFactory = LGPIOFactory  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    monkeypatch.setitem(sys.modules, "gpiozero.pins.lgpio", gpiozeros)
    for number in range(len(labels)):
        (folder / f"gpiochip{number}").touch()
    return lgpio


def test_the_chip_that_is_called_as_a_pis_is_taken_for_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lgpio = chips(monkeypatch, tmp_path, None, "of the computer", "pinctrl-bcm2711")
    factory = simulated_chip(tmp_path)
    assert factory.chip == 2
    assert factory._get_revision() == REVISION
    assert lgpio.opened == 0, "what was looked at is closed again"


def test_without_such_a_chip_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chips(monkeypatch, tmp_path, "of the computer")
    with pytest.raises(OSError, match="no chip"):
        simulated_chip(tmp_path)


def test_without_lgpio_there_are_no_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lgpio", None)
    with pytest.raises(PinsUnavailableError, match=r"gpio-sim: .*lgpio"):
        open_factory("pi", "gpio-sim")
