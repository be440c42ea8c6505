"""What a test leaves behind: tasks, threads, file descriptors, child processes, unseen errors.

The fixtures are automatic (see `conftest.py`). A test that must leave something says so, and why:
`@pytest.mark.leaves("thread", reason="the library's own, which cannot be joined")`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
import pytest_asyncio

GRACE_S = 5.0
"""How long something may take that is already ending; what leaks is there afterwards too."""

KINDS = ("task", "error", "thread", "descriptor", "process")

_NOBODYS = ("/dev/urandom", "/dev/null", "/proc/", "/sys/", "anon_inode:inotify")
"""Opened once per process by libraries and kept on purpose."""


def allowed(request: pytest.FixtureRequest) -> set[str]:
    """The kinds of leftover that the test's `leaves` markers permit."""
    kinds: set[str] = set()
    for mark in request.node.iter_markers("leaves"):
        if unknown := set(mark.args) - set(KINDS):
            pytest.fail(f"the marker `leaves` knows {KINDS}, not {sorted(unknown)}")
        if not mark.kwargs.get("reason"):
            pytest.fail("the marker `leaves` wants a reason")
        kinds |= set(mark.args)
    return kinds


@pytest.fixture
async def nothing_left_in_the_loop(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail the test if tasks outlive it, or if an error reached the loop instead of somebody."""
    try:
        async with _watched(request):
            yield
    finally:  # its threads are the loop's, and end with it
        await asyncio.get_running_loop().shutdown_default_executor()


@pytest_asyncio.fixture(loop_scope="module")
async def nothing_left_in_the_loop_of_the_file(
    request: pytest.FixtureRequest,
) -> AsyncIterator[None]:
    """The same for a test that shares its loop with all of its file; its threads are its own."""
    loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor()
    loop.set_default_executor(threads)
    try:
        async with _watched(request):
            yield
    finally:
        threads.shutdown(wait=False)
        loop.set_default_executor(ThreadPoolExecutor())  # which starts none before it is used


@contextlib.asynccontextmanager
async def _watched(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    others = asyncio.all_tasks()  # of fixtures with a wider scope
    unseen: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: unseen.append(context))
    try:
        yield
        left = asyncio.all_tasks() - others - {asyncio.current_task()}
        if left:
            _, left = await asyncio.wait(left, timeout=GRACE_S)
        gc.collect()  # an exception that nobody looked at is reported when its task is collected
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(None)  # what comes at a file's end is logged
    permitted = allowed(request)
    if left and "task" not in permitted:
        names = "\n  ".join(sorted(repr(task) for task in left))
        pytest.fail(f"the test left {len(left)} task(s) running:\n  {names}", pytrace=False)
    if unseen and "error" not in permitted:
        words = "\n  ".join(
            f"{context.get('message')}: {context.get('exception')!r}" for context in unseen
        )
        pytest.fail(f"errors that nobody handled:\n  {words}", pytrace=False)


@pytest.fixture(autouse=True)
def nothing_left_in_the_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test if threads, file descriptors or child processes outlive it."""
    looks = {"thread": _threads, "descriptor": descriptors, "process": _processes}
    before = {kind: look() for kind, look in looks.items()}
    yield
    for kind in looks.keys() - allowed(request):
        left = _remaining(looks[kind], before[kind])
        if left:
            names = "\n  ".join(f"{name}{_kind(name)}" for name in sorted(left.elements()))
            pytest.fail(f"the test left {left.total()} {kind}(s):\n  {names}", pytrace=False)


def _remaining(look: Callable[[], Counter[str]], before: Counter[str]) -> Counter[str]:
    """What is there now and was not before, given time to end and garbage to be collected."""
    deadline = time.monotonic() + GRACE_S
    while left := look() - before:
        if time.monotonic() > deadline:
            break
        gc.collect()  # again each time: a thread that ends lets go of what it held
        time.sleep(0.02)
    return left


def _threads() -> Counter[str]:
    return Counter(repr(thread) for thread in threading.enumerate() if thread.is_alive())


def _processes() -> Counter[str]:
    names: Counter[str] = Counter()
    try:  # most tests have none; to name them, the processes of the whole machine have to be read
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return names
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            names[f"{child.pid} {child.name()}"] += 1
    return names


def _kind(name: str) -> str:
    """Of a socket, what it is and where it leads to."""
    found = re.fullmatch(r"(\d+) -> socket:.*", name)
    if found is None:
        return ""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(found[1]))) as one:
        ends = []
        for ask in (one.getsockname, one.getpeername):
            with contextlib.suppress(OSError):
                ends.append(str(ask()))
        return f" ({one.family.name}, {one.type.name}, {' to '.join(ends)})"
    return ""


def descriptors() -> Counter[str]:
    """What each open descriptor leads to, by number, so that the message names the file."""
    names: Counter[str] = Counter()
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - Path.iterdir sorts nothing more
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115 - a few for every test
            if not target.startswith(_NOBODYS):
                names[f"{number} -> {target}"] += 1
    return names
