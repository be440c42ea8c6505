"""How much of the lab is played (`LAB=`): each of its subjects once, all of it, or thousands of calls.

`python -m tests.lab.extent` tells that to whoever waits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum

from tests.lab.stock import say

MARK = "thorough"
"""A test with this mark is not among those that a short run plays."""


class Extent(StrEnum):
    """What `LAB=` may say."""

    SHORT = "short"
    ALL = "all"
    LONG = "long"


TAKES = {
    Extent.SHORT: "each subject once, in under a minute; more of each: LAB=all (some minutes)",
    Extent.ALL: "all of it, which takes some three minutes",
    Extent.LONG: "all of it and a night of thousands of calls, which takes half an hour",
}
"""What is played, where nobody else wants the two processors."""


def extent(environ: Mapping[str, str] = os.environ) -> Extent:
    """What is asked for: continuous integration plays all, whoever says nothing each subject once.

    Raises ValueError where `LAB` is something else.
    """
    return Extent(environ.get("LAB") or ("all" if environ.get("CI") else "short"))


EXTENT = extent()


if __name__ == "__main__":
    say(f"two machines are started, and played with: {TAKES[EXTENT]}")
