"""In which order tests are given to who plays them beside one another."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol, TypeVar

LONGEST = (
    "tests/test_four.py",
    "tests/test_app_faults.py",
    "tests/web/test_page_session.py",
    "tests/media/test_recorder.py",
    "tests/media/test_leg.py",
    "tests/conformance/test_conformance.py",
    "tests/web/test_page.py",
    "tests/media/test_playout.py",
    "tests/test_demo.py",
    "tests/fuzz/test_programs.py",
    "tests/test_soak.py",
    "tests/service/test_booted.py",
)
"""The files of a minute or two: first, since whoever is given one of them at last is waited for by all.
Between those with browsers are some that wait for most of their time."""


class Named(Protocol):
    """A test."""

    @property
    def nodeid(self) -> str:
        """As pytest has it: the file, a class where there is one, and the test."""


One = TypeVar("One", bound=Named)


def spread(tests: Sequence[One]) -> list[One]:
    """The longest files, then the largest and the smallest in turn, each whole.

    What is a file of its own and of few tests is a story of whole devices and browsers, which wants a
    processor for a minute. Ordered by size (as xdist does) all of these would be last: beside each other,
    where they miss limits that are the product's own, and with nobody left for the second processor.
    """
    files: dict[str, list[One]] = {}
    for test in tests:
        files.setdefault(test.nodeid.rsplit("::", 1)[0], []).append(test)
    ordered = [test for name in LONGEST for test in files.pop(name, ())]
    by_size = deque(sorted(files.values(), key=len))
    while by_size:
        ordered += by_size.pop()
        if by_size:
            ordered += by_size.popleft()
    return ordered
