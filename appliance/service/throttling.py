"""The flags by which a Pi's firmware tells of heat and of a weak supply: for daemon and doctor.

Source: raspberrypi.com, "get_throttled".
"""

from __future__ import annotations

WEAK, LIMITED, THROTTLED, CLOSE = 1 << 0, 1 << 1, 1 << 2, 1 << 3
HEAT = LIMITED | THROTTLED | CLOSE
SINCE_START = 16
"""So many bits higher stands whether it was so at some time since the start."""

_WORDS = {
    WEAK: "its supply is too weak",
    LIMITED: "the processor's clock is limited by the heat",
    THROTTLED: "the processor is throttled",
    CLOSE: "it is close to its limit of heat",
}


def words(flags: int) -> str:
    """What of them is so now, in words; empty: nothing."""
    return ", ".join(said for flag, said in _WORDS.items() if flags & flag)
