"""Every test leaves nothing behind: what it started has ended, what it opened is closed."""

from __future__ import annotations

import gc
import inspect
import os
from collections.abc import Generator, Iterator

import pytest

from tests.parts import thrift
from tests.parts.leftovers import (
    nothing_left_in_the_loop,
    nothing_left_in_the_loop_of_the_file,
    nothing_left_in_the_process,
)
from tests.parts.spreading import scheduler, spread

__all__ = [
    "nothing_left_in_the_loop",
    "nothing_left_in_the_loop_of_the_file",
    "nothing_left_in_the_process",
]


def pytest_configure(config: pytest.Config) -> None:
    """A busy machine is slow, and no test is wrong for that."""
    if not config.pluginmanager.has_plugin("hypothesispytest"):
        return  # the lab's guest does without: to import it takes as long as a call
    from hypothesis import HealthCheck, settings

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
            thrift.short_work(patch)
        yield


@pytest.fixture(autouse=True, scope="module")
def looked_over_once() -> None:
    """What was there before a file's first test is not looked at after each of its tests."""
    thrift.look_no_more()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None]:
    """While tests are found nothing is looked for that is garbage: all of it stays until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Where the order is `spread`'s, what is dear is played by two."""
    return None if config.getoption("loadscopereorder") else scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The loop of each test that has one is watched, around its fixtures."""
    if "PYTEST_XDIST_WORKER" in os.environ and not config.getoption("loadscopereorder"):
        items[:] = spread(items)
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            # inside the watch over the process, since a loop's end takes its threads along
            names = item.fixturenames
            at = names.index("nothing_left_in_the_process") + 1
            mark = item.get_closest_marker("asyncio")
            of_the_file = mark is not None and mark.kwargs.get("loop_scope") == "module"
            names.insert(
                at,
                "nothing_left_in_the_loop_of_the_file"
                if of_the_file
                else "nothing_left_in_the_loop",
            )
