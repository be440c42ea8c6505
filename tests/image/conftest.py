"""What the tests of the stand-in machine have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

ONE_FOR_ALL = {"machine", "door"}
"""Fixtures of a machine that is a module's: each of its starts is a process of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        one_for_all = not ONE_FOR_ALL.isdisjoint(getattr(item, "fixturenames", ()))
        if one_for_all and Path(__file__).parent in item.path.parents:
            reason = "it is started anew by a test, and ends with the module"
            item.add_marker(pytest.mark.leaves("process", "descriptor", reason=reason))
