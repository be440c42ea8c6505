"""How much of the lab is played (`LAB=`): each of its subjects once, all of it, or thousands of calls.

`python -m tests.lab.extent` tells that to whoever waits.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum

from tests.lab.stock import say

MARKS = ("thorough", "long")
"""A test with one of these marks is not among those that a short run plays; `long` only in a long one."""


class Extent(StrEnum):
    """What `LAB=` may say."""

    SHORT = "short"
    ALL = "all"
    LONG = "long"


PLAYED = {
    Extent.SHORT: (
        "each subject once: about a minute\n"
        "lab: left out are the encoder, camera and card without a daemon, a camera that vanishes,"
        " and a pin and a card that are let go, in most states of a call,"
        " a cable that is out for a minute, a stop at all devices and how long one takes, most calls of"
        " the night and phones that are gone without a word, a unit that grows or is configured wrongly,"
        " a screen's drop-in, an encrypted secret, and power cuts, in updates too: LAB=all make lab"
    ),
    Extent.ALL: "all of it: some five minutes",
    Extent.LONG: "all of it, and two nights of a thousand calls, at once: some seven minutes",
}
"""What is played, and how long it takes where nobody else wants the two processors."""


def extent(environ: Mapping[str, str] = os.environ) -> Extent:
    """What is asked for: continuous integration plays all, whoever says nothing each subject once.

    Raises ValueError where `LAB` is something else.
    """
    return Extent(environ.get("LAB") or ("all" if environ.get("CI") else "short"))


LEFT_OUT = {Extent.SHORT: MARKS, Extent.ALL: MARKS[1:], Extent.LONG: ()}
"""The marks of what is not played."""
EXTENT = extent()


if __name__ == "__main__":
    played = " ".join(sys.argv[1:]) or PLAYED[EXTENT]
    machines = {Extent.SHORT: "three", Extent.ALL: "four", Extent.LONG: "six"}[EXTENT]
    say(f"{machines} machines are started for {played}")
