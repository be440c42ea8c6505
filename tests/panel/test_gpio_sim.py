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
        self.looked_at: list[int] = []

    def gpiochip_open(self, number: int) -> int:
        self.looked_at.append(number)
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


Chip = tuple[str, str | None]
"""Who drives it, and what it is called."""
PI = ("pinctrl-bcm2835", "pinctrl-bcm2711")
"""A Pi 4's own."""


def chips(monkeypatch: pytest.MonkeyPatch, folder: Path, *those: Chip) -> Chips:
    """They are there, in a folder as the kernel's (`devices`) that tells whose each is."""
    lgpio, gpiozeros = Chips(*(label for _, label in those)), ModuleType("gpiozero.pins.lgpio")
    gpiozeros.LGPIOFactory = LGPIOFactory  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    monkeypatch.setitem(sys.modules, "gpiozero.pins.lgpio", gpiozeros)
    (folder / "devices").mkdir()
    for number, (driver, _) in enumerate(those):
        node = folder / "platform" / f"{driver}.{number}" / f"gpiochip{number}"
        node.mkdir(parents=True)
        (node.parent / "driver").symlink_to(folder / "drivers" / driver)
        (folder / "devices" / node.name).symlink_to(node)
    return lgpio


def test_the_simulated_chip_that_is_called_as_a_pis_is_taken_for_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    those = ("gpio-sim", None), ("gpio-sim", "of the computer"), ("gpio-sim", "pinctrl-bcm2711")
    lgpio = chips(monkeypatch, tmp_path, *those)
    factory = simulated_chip(tmp_path / "devices")
    assert factory.chip == 2
    assert factory._get_revision() == REVISION
    assert lgpio.opened == 0, "what was looked at is closed again"


def test_no_line_of_a_pi_s_own_is_driven_as_if_it_were_simulated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lgpio = chips(monkeypatch, tmp_path, PI, ("gpio-sim", "pinctrl-bcm2711"))
    assert simulated_chip(tmp_path / "devices").chip == 1
    assert lgpio.looked_at == [1]


@pytest.mark.parametrize(
    "those", [(), (("gpio-sim", "of the computer"),), (PI,), (("raspberrypi-exp-gpio", PI[1]),)]
)
def test_without_such_a_chip_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, those: tuple[Chip, ...]
) -> None:
    chips(monkeypatch, tmp_path, *those)
    with pytest.raises(OSError, match=r"no chip in .*devices is gpio-sim's"):
        simulated_chip(tmp_path / "devices")


def test_without_lgpio_there_are_no_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lgpio", None)
    with pytest.raises(PinsUnavailableError, match=r"gpio-sim: .*lgpio"):
        open_factory("pi", "gpio-sim")
