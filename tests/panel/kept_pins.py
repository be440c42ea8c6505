"""Mock pins that outlive their process, as a Pi's do: what a killed program drove stays as it was.

A gpiozero factory, to be named by `[panel] pin_factory`; the pins are files in `$KEPT_PINS`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPWMPin


def folder() -> Path:
    return Path(os.environ["KEPT_PINS"])


def is_high(directory: Path, pin: int) -> bool:
    """Whether that pin is driven, and high; one that nobody drives is low."""
    try:
        return (directory / f"GPIO{pin}").read_text() == "1"
    except FileNotFoundError:
        return False


class KeptPin(MockPWMPin):  # type: ignore[misc] # gpiozero has no types
    """One of them."""

    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        if value == "input":
            (folder() / self.info.name).unlink(missing_ok=True)

    def _change_state(self, value: Any) -> bool:
        changed: bool = super()._change_state(value)
        if self._function == "output":
            (folder() / self.info.name).write_text("1" if value else "0")
        return changed


class KeptFactory(MockFactory):  # type: ignore[misc]
    """Nothing is given back when the process is killed; another one may take what it left."""

    def __init__(self) -> None:
        super().__init__(pin_class=KeptPin)


def installed_in(directory: Path) -> str:
    """Make gpiozero know the factory as `kept` where `directory` is in the path of Python."""
    info = directory / "kept_pins-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kept-pins\nVersion: 1\n")
    points = "[gpiozero_pin_factories]\nkept = tests.panel.kept_pins:KeptFactory\n"
    (info / "entry_points.txt").write_text(points)
    return str(directory)
