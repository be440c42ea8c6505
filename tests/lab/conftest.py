"""The fixture of the lab: one machine for all of its tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.guest import GUEST, guest
from tests.lab.kernel import KERNEL, kernel
from tests.lab.machine import Machine
from tests.lab.stock import ROOT, CannotBuildHere

TOLD = ROOT / ".cache" / "lab"
"""What a test that failed brings back: console, journal, and the state of the units."""
PATIENCE_S = 900
"""A machine boots in seconds, and in minutes where everything else is busy, too."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Machine]:
    """A machine that has booted, its pins simulated; the appliance is installed and not started."""
    with _machine() as machine:
        yield machine


@pytest.fixture(scope="session")
def night() -> Iterator[Machine]:
    """The same, but its clock can be let jump to what comes next, when all of it waits (`inside.py`)."""
    with _machine(virtual=True) as machine:
        yield machine


@contextmanager
def _machine(*, virtual: bool = False) -> Iterator[Machine]:
    if not (KERNEL.is_there and GUEST.is_there):
        if os.environ.get("CI"):
            _build()
        else:
            pytest.skip("the lab has not been built on this machine: make lab (some minutes, once)")
    with (
        tempfile.TemporaryDirectory(prefix="lab-") as folder,
        Machine(Path(folder) / "machine", virtual=virtual) as machine,
    ):
        yield machine


def _build() -> None:
    """In CI: `make check` has done it already where it can be done."""
    try:
        guest(), kernel()
    except CannotBuildHere as reason:
        pytest.skip(f"no lab can be built here: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    machines = [
        value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Machine)
    ]
    if report.failed and call.when == "call" and machines:
        place = TOLD / item.name
        machines[0].save(place)
        report.sections.append(("the lab", f"console, journal and state are in {place}"))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        ours = Path(__file__).parent in item.path.parents
        if ours and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(PATIENCE_S))
