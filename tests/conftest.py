"""Every test leaves nothing behind: what it started has ended, what it opened is closed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.parts import thrift
from tests.parts.leftovers import nothing_left_in_the_loop, nothing_left_in_the_process

__all__ = ["nothing_left_in_the_loop", "nothing_left_in_the_process"]

# a busy machine is slow, and no test is wrong for that
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def no_state_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What an appliance keeps in a test, programs that are started included, is the test's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True, scope="session")
def short_stacks() -> Iterator[None]:
    """Beside others, three frames tell where a future came from; alone, all of them."""
    with pytest.MonkeyPatch.context() as patch:
        if "PYTEST_XDIST_WORKER" in os.environ:
            thrift.short_stacks(patch)
        yield


@pytest.fixture(autouse=True, scope="module")
def looked_over_once() -> None:
    """What was there before a file's first test is not looked at after each of its tests."""
    thrift.look_no_more()


LONG = (
    "tests/conformance/",
    "tests/test_four.py",
    "tests/test_app_faults.py",
    "tests/test_demo.py",
    "tests/test_app",
    "tests/media/test_leg.py",
    "tests/media/test_playout.py",
    "tests/media/test_recorder.py",
    "tests/media/",
    "tests/web/test_page",
    "tests/web/",
    "tests/reporting/",
    "tests/signaling/",
)
"""Where a file's tests take long, the longest first: what is dealt out last is short then, and nobody is
left with a minute's work while the other has none."""


def _turn(item: pytest.Item) -> int:
    return next((at for at, begin in enumerate(LONG) if item.nodeid.startswith(begin)), len(LONG))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; and the loop of each test that has one is watched, around its fixtures."""
    items.sort(key=_turn)
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            # inside the watch over the process, since a loop's end takes its threads along
            names = item.fixturenames
            at = names.index("nothing_left_in_the_process") + 1
            names.insert(at, "nothing_left_in_the_loop")
