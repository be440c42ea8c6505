"""Every test leaves nothing behind: what it started has ended, what it opened is closed."""

from __future__ import annotations

import inspect

import pytest

from tests.parts.leftovers import nothing_left_in_the_loop, nothing_left_in_the_process

__all__ = ["nothing_left_in_the_loop", "nothing_left_in_the_process"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Watch the loop of each test that has one, from before its fixtures until after them."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            # inside the watch over the process, since a loop's end takes its threads along
            names = item.fixturenames
            at = names.index("nothing_left_in_the_process") + 1
            names.insert(at, "nothing_left_in_the_loop")
