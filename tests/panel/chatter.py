"""Contacts as they really are: one touch as the edges of a contact that chatters."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from hypothesis import strategies as st

Edge = tuple[float, bool]
"""When, in seconds, and whether the contact is closed from then on."""


def burst(at_s: float, gaps_s: Iterable[float], *, closed: bool) -> Iterator[Edge]:
    """A change to `closed` at `at_s` that chatters: away and back, with `gaps_s` between the edges.

    An odd number of gaps would end at the wrong level, so its last one is left out.
    """
    gaps = list(gaps_s)
    times = itertools.accumulate(gaps[: len(gaps) // 2 * 2], initial=at_s)
    for number, time_s in enumerate(times):
        yield time_s, closed == (number % 2 == 0)


def touch(at_s: float, length_s: float, down: Iterable[float], up: Iterable[float]) -> list[Edge]:
    """A finger that comes at `at_s` and stays for `length_s` after the contact has fallen quiet."""
    closing = list(burst(at_s, down, closed=True))
    return closing + list(burst(closing[-1][0] + length_s, up, closed=False))


gaps = st.lists(st.floats(0.0001, 0.02), max_size=40)
"""Chatter of up to 20 bounces, 0.1 to 20 ms apart."""
