"""Every test leaves nothing behind: what it started has ended, what it opened is closed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from tests.parts.leftovers import nothing_left_in_the_loop, nothing_left_in_the_process

__all__ = ["nothing_left_in_the_loop", "nothing_left_in_the_process"]


@pytest.fixture(autouse=True, scope="session")
def no_state_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What an appliance keeps in a test, programs that are started included, is the test's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Watch the loop of each test that has one, from before its fixtures until after them."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            # inside the watch over the process, since a loop's end takes its threads along
            names = item.fixturenames
            at = names.index("nothing_left_in_the_process") + 1
            names.insert(at, "nothing_left_in_the_loop")
