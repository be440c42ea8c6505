"""The fixtures of the lab: a machine for all of its tests, and one whose time jumps."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.lab.extent import EXTENT, LEFT_OUT, Extent
from tests.lab.guest import GUEST, guest
from tests.lab.kernel import KERNEL, kernel
from tests.lab.machine import Machine
from tests.lab.stock import ROOT, CannotBuildHere, NotAllowedHere
from tests.lab.trial import CannotStartHere
from tests.parts.need import skip_or_fail

TOLD = ROOT / ".cache" / "lab"
"""What a test that failed brings back: console, journal, and the state of the units."""
NIGHTS = {
    "test_waits.py": "night",
    "test_blackout.py": "spare",
    "test_blackout_update.py": "updates",
    "test_stop.py": "spare",
    "test_unit.py": "spare",
}
"""Whose tests take `night`, the `spare` machine, or one of their own: each has a worker.

There are three machines for two processors because two would not be done at the same time. Who has one of
its own is played before `spare` has begun, by its name.
"""
ALONE = "[breaking]"
"""What of `test_calls.py` waits for so long that it has another such machine, where all is played."""
HALVES = "test_night.py"
"""Each of whose tests takes `another`, as each has a worker."""
RUNNING: list[Machine] = []
"""The machines of this worker's fixtures."""
PATIENCE_S = 14_400 if EXTENT is Extent.LONG else 1800
"""A machine boots in seconds, and in minutes where everything else is busy, too, and goes first; thousands
of calls take longer."""
One = TypeVar("One", bound=Machine)


@pytest.fixture(scope="session")
def lab() -> Iterator[Machine]:
    """A machine that has booted, its pins simulated; the appliance is installed and not started."""
    with _machine(virtual=False) as machine:
        yield machine


@pytest.fixture(scope="session")
def night() -> Iterator[Machine]:
    """The same, but its time passes only while a step is done, and jumps whenever all of it waits.

    For what waits, and for what must not be disturbed by a busy computer. Not for its camera and its sound
    card: they do all that they do in a second, and a second of theirs takes many.
    """
    with _machine(virtual=True) as machine:
        yield machine


@pytest.fixture(scope="session")
def spare() -> Iterator[Machine]:
    """Another `night`, for what is done in small steps: between two it moves to a free processor."""
    with _machine(virtual=True, shares=True) as machine:
        yield machine


@pytest.fixture(scope="session")
def another() -> Iterator[Machine]:
    """Like `night`, for half of what is played at the same time."""
    with _machine(virtual=True) as machine:
        yield machine


@contextlib.contextmanager
def _machine(*, virtual: bool, shares: bool = False) -> Iterator[Machine]:
    if not (KERNEL.is_there and GUEST.is_there):
        if not os.environ.get("CI"):
            pytest.skip("the lab has not been built on this machine: make lab (some minutes, once)")
        _build()
    with (
        tempfile.TemporaryDirectory(prefix="lab-") as folder,
        begun(Machine(Path(folder) / "machine", virtual=virtual, shares=shares)) as machine,
    ):
        yield machine


@contextlib.contextmanager
def begun(machine: One) -> Iterator[One]:
    """While it runs; the test is skipped where this computer does not let one be."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(machine)
        except (CannotStartHere, NotAllowedHere) as reason:  # nobody can mend that, in CI neither
            pytest.skip(str(reason))
        except CannotBuildHere as reason:
            skip_or_fail(f"no lab can be built here: {reason}")
        RUNNING.append(machine)
        stack.callback(RUNNING.remove, machine)
        yield machine


def _build() -> None:
    """In CI: `make check` has done it already where it can be done."""
    try:
        guest(), kernel()
    except NotAllowedHere as reason:  # nobody can mend that, in CI neither
        pytest.skip(str(reason))
    except CannotBuildHere as reason:
        skip_or_fail(f"no lab can be built here: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.when != "teardown" and RUNNING:
        place = TOLD / item.name
        RUNNING[-1].save(place)
        report.sections.append(("the lab", f"console, journal and state are in {place}"))
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(PATIENCE_S))
        if "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real_time)
    marks = LEFT_OUT[EXTENT]
    left_out = {item for item in ours if any(map(item.get_closest_marker, marks))}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(optionalhook=True)  # the guest's pytest has no xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Each worker has one machine: whoever plays a test of a machine plays all of that one."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByMachine(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.split("::")[0].rpartition("/")[2]
            if nodeid.endswith(ALONE) or module == HALVES:
                return nodeid
            return NIGHTS.get(module, "lab")

    return ByMachine(config, log)
