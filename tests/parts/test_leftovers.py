"""The watch over leftovers sees each kind of them, and only what is really left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., pytest.RunResult]

pytest_plugins = ["pytester"]

CONFTEST = """
from tests.conftest import *
from tests.conftest import pytest_collection_modifyitems
from tests.parts import leftovers
leftovers.GRACE_S = 0.3
"""

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
markers = leaves(*kinds, reason): x
addopts = -p no:cacheprovider
"""

LEFT = {
    "task": (
        """
import asyncio
async def test_it():
    asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="forgotten")
""",
        "*the test left 1 task(s) running:*",
    ),
    "error": (
        """
import asyncio
async def test_it():
    async def fail():
        raise RuntimeError("unseen")
    task = asyncio.get_running_loop().create_task(fail())
    await asyncio.wait([task])
""",
        "*Task exception was never retrieved: RuntimeError('unseen')*",
    ),
    "thread": (
        """
import threading
def test_it():
    threading.Thread(target=threading.Event().wait, name="forgotten", daemon=True).start()
""",
        "*the test left 1 thread(s):*",
    ),
    "descriptor": (
        """
import os
def test_it():
    os.open(__file__, os.O_RDONLY)
""",
        "*the test left 1 descriptor(s):*",
    ),
    "process": (
        """
import subprocess
kept = []
def test_it():
    kept.append(subprocess.Popen(["sleep", "15"]))
""",
        "*the test left 1 process(s):*",
    ),
}


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run test files under this project's watch, in an interpreter of their own."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pytester.makeconftest(CONFTEST)
    pytester.makeini(INI)

    def run(**sources: str) -> pytest.RunResult:
        pytester.makepyfile(**sources)
        return pytester.runpytest_subprocess()

    return run


def test_what_is_left_behind_fails_the_test(run: Run) -> None:
    result = run(**{f"test_{kind}": source for kind, (source, _) in LEFT.items()})
    result.assert_outcomes(passed=len(LEFT), errors=len(LEFT))
    for _, words in LEFT.values():
        result.stdout.fnmatch_lines([words])


def test_a_test_may_say_that_it_leaves_something(run: Run) -> None:
    mark = 'import pytest\npytestmark = pytest.mark.leaves("{}", reason="why not")\n'
    result = run(**{f"test_{kind}": mark.format(kind) + LEFT[kind][0] for kind in LEFT})
    result.assert_outcomes(passed=len(LEFT))


OF_THE_FILE = """
import asyncio
import pytest
import pytest_asyncio
pytestmark = pytest.mark.asyncio(loop_scope="module")
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared():
    task = asyncio.get_running_loop().create_task(asyncio.Event().wait())
    yield asyncio.get_running_loop()
    task.cancel()
    await asyncio.to_thread(int)
async def test_one_leaves_a_task(shared):
    shared.create_task(asyncio.Event().wait(), name="forgotten")
async def test_another_leaves_an_error(shared):
    async def fail():
        raise RuntimeError("unseen")
    await asyncio.wait([shared.create_task(fail())])
async def test_the_threads_of_each_end_with_it(shared):
    assert asyncio.get_running_loop() is shared
    await asyncio.to_thread(int)
"""


def test_of_a_loop_that_tests_share_each_leaves_nothing(run: Run) -> None:
    result = run(test_them=OF_THE_FILE)
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*the test left 1 task(s) running:*"])
    result.stdout.fnmatch_lines(["*never retrieved: RuntimeError('unseen')*"])


def test_permission_wants_a_reason_and_what_ends_by_itself_needs_none(run: Run) -> None:
    result = run(
        test_mute="import pytest\n@pytest.mark.leaves('thread')\ndef test_it(): pass\n",
        test_soon="import threading\ndef test_it(): threading.Timer(0.05, int).start()\n",
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*wants a reason*"])
