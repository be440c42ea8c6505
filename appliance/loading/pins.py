"""The pins of the 40-pin header, in every spelling that gpiozero takes, without asking hardware."""

from __future__ import annotations

import re

HEADER = {
    3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10, 21: 9,
    22: 25, 23: 11, 24: 8, 26: 7, 27: 0, 28: 1, 29: 5, 31: 6, 32: 12, 33: 13, 35: 19, 36: 16,
    37: 26, 38: 20, 40: 21,
}  # fmt: skip
"""The GPIO behind each place of J8, the same on every Raspberry Pi with 40 pins."""

WIRING_PI = (
    17, 18, 27, 22, 23, 24, 25, 4, 2, 3, 8, 7, 10, 9, 11, 14, 15, None, None, None, None, 5, 6, 13,
    19, 26, 12, 16, 20, 21, 0, 1,
)  # fmt: skip
"""The GPIO behind each of WiringPi's numbers."""


def gpio(pin: str | int) -> int | None:
    """The GPIO number of a pin, or None where the name is not one of the header's GPIOs."""
    if isinstance(pin, int):
        return pin if 0 <= pin <= 27 else None
    match = re.fullmatch(r"(GPIO|BCM|BOARD|J8:|WPI|)(\d{1,2})", pin)
    if match is None:
        return None
    scheme, number = match[1], int(match[2])
    if scheme in ("BOARD", "J8:"):
        return HEADER.get(number)
    if scheme == "WPI":
        return WIRING_PI[number] if number < len(WIRING_PI) else None
    return number if number <= 27 else None
