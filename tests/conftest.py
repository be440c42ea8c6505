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
            item.fixturenames.insert(0, "nothing_left_in_the_loop")
