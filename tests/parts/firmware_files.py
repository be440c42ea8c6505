"""What a Pi's kernel has below /sys of its firmware's word and of its supply, in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from appliance.service.throttling import ALARM, FIRMWARE, FLAGS, MONITORS, SUPPLY


def firmware(root: Path, word: str | None, device: str = "soc/soc:firmware") -> None:
    """The driver with its device, and in it the word, where this kernel has a file for it."""
    place, driver = root / "devices" / "platform" / device, root / FIRMWARE
    for folder in (place, driver):
        folder.mkdir(parents=True, exist_ok=True)
    (driver / "uevent").write_text("")
    link = driver / place.name
    if not link.is_symlink():
        link.symlink_to(place)
    _write(place / FLAGS, word)


def alarm(root: Path, said: str, beside: Sequence[str] = ("cpu_thermal",)) -> None:
    """The monitor of the supply, after others."""
    for number, name in enumerate([*beside, SUPPLY]):
        folder = root / MONITORS / f"hwmon{number}"
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "name", name)
    _write(folder / ALARM, said)


def _write(file: Path, text: str | None) -> None:
    """In /sys nobody reads half a number."""
    if text is None:
        file.unlink(missing_ok=True)
        return
    new = file.with_name("new")
    new.write_text(f"{text}\n")
    new.rename(file)
