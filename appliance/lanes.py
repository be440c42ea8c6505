"""Where a listener's methods run: on the loop, as a coroutine, or in a thread, and always in order.

Laws: nothing that a listener does keeps an event from another one, save once: a method that holds the
loop for longer than `SLOW_S` is found out, and from then on its listener's plain methods run in a
thread of its own. Who is 1000 events behind loses the newest, and that is told once.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
import resource
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any

from msgspec import Struct

from appliance.listeners import Listener

SLOW_S = 0.05
"""Who holds the loop for longer does so once."""
BEHIND_MAX = 1000
"""What may wait for a listener; more is lost to it."""

Failed = Callable[[str, Exception], None]
"""Hears which method failed, and how; called on the loop."""


class _Work(Struct):
    """One call of a method: to be made in the thread, or its coroutine, to be awaited."""

    name: str
    method: Callable[..., object]
    arguments: tuple[object, ...]
    failed: Failed | None
    result: Awaitable[object] | None = None


class _Moment:
    """When a method was called, by the clock and by what its thread had done until then."""

    def __init__(self) -> None:
        self._at_s = monotonic()
        self._used = resource.getrusage(resource.RUSAGE_THREAD)

    def held_s(self) -> float:
        """How long the loop was held since; 0 where it was not, or not by who was called.

        A busy machine stops anybody in the middle: who neither worked nor waited for anything in all
        that time is not to be blamed for it.
        """
        held_s = monotonic() - self._at_s
        if held_s <= SLOW_S:
            return 0.0
        used = resource.getrusage(resource.RUSAGE_THREAD)
        worked_s = used.ru_utime + used.ru_stime - self._used.ru_utime - self._used.ru_stime
        waited = used.ru_nvcsw > self._used.ru_nvcsw
        return held_s if waited or worked_s > SLOW_S / 2 else 0.0


class Lane:
    """One listener, and what waits for it."""

    def __init__(
        self,
        listener: Listener,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        failed: Callable[[Listener, str, Exception], None],
    ) -> None:
        """`start` runs and owns a task; `failed(listener, method, error)` hears what goes wrong."""
        self.listener = listener
        self._start = start
        self._failed = failed
        self._coroutines: asyncio.Queue[_Work] = asyncio.Queue(BEHIND_MAX)
        self._task: asyncio.Task[None] | None = None
        self._calls: queue.Queue[_Work | None] = queue.Queue(BEHIND_MAX)
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._behind = False

    def call(
        self,
        name: str,
        method: Callable[..., object],
        arguments: tuple[object, ...],
        failed: Failed | None = None,
    ) -> None:
        """Call a method, or have it called in its turn; on the loop.

        `failed` hears of it, besides whoever hears of all, where it raises, or never has its turn.
        """
        work = _Work(name, method, arguments, failed)
        if self._thread is not None and not inspect.iscoroutinefunction(method):
            self._put(self._calls, work)
            return
        before = _Moment()
        try:
            result = method(*arguments)
        except Exception as error:
            self._fail(work, error)
        else:
            self._await(work, result)
        if held_s := before.held_s():
            self._move(name, held_s)

    def stop(self) -> None:
        """Call nothing any more; what waits is dropped, and a coroutine that runs is cancelled."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
        while not self._coroutines.empty():
            self._drop(self._coroutines.get_nowait())
        with suppress(queue.Empty):
            while (work := self._calls.get_nowait()) is not None:
                self._drop(work)
        if self._thread is not None:
            self._calls.put_nowait(None)

    @property
    def has_thread(self) -> bool:
        """Whether it was found out, and has a thread of its own."""
        return self._thread is not None

    def join(self, timeout_s: float) -> None:
        """Wait until the thread, if there is one, has ended; blocks."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    # -------------------- coroutines

    def _await(self, work: _Work, result: object) -> None:
        if not isinstance(result, Awaitable):
            return
        work.result = result
        if self._stopped:  # it came from the thread, behind the end
            self._drop(work)
        elif self._put(self._coroutines, work) and self._task is None:
            self._task = self._start(self._await_all())

    async def _await_all(self) -> None:
        with suppress(asyncio.CancelledError):
            while not self._stopped:
                work = await self._coroutines.get()
                assert work.result is not None
                try:
                    await work.result
                except Exception as error:
                    self._fail(work, error)
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        self._drop(work)
                        raise
                    # something that it awaits was cancelled, not this task
                    self._fail(work, RuntimeError("what it waited for was cancelled"))

    # -------------------- the thread

    def _move(self, name: str, held_s: float) -> None:
        if self._thread is not None or self._stopped:
            return
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._call_all,
            args=(loop,),
            name=f"listener {type(self.listener).__name__}",
            daemon=True,  # one that never comes back does not hold up the program's end
        )
        self._thread.start()
        sentence = (
            f"it held everything up for {held_s:.2f} s; it has a thread of its own from now on"
        )
        self._failed(self.listener, name, TimeoutError(sentence))

    def _call_all(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            while (work := self._calls.get()) is not None:
                try:
                    result = work.method(*work.arguments)
                except Exception as error:
                    loop.call_soon_threadsafe(self._fail, work, error)
                else:
                    if isinstance(result, Awaitable):
                        loop.call_soon_threadsafe(self._await, work, result)

    # -------------------- what goes wrong

    def _put(self, waiting: asyncio.Queue[_Work] | queue.Queue[Any], work: _Work) -> bool:
        if waiting.empty():
            self._behind = False
        if not waiting.full():
            waiting.put_nowait(work)
            return True
        _close(work)
        error = OverflowError(f"it is {BEHIND_MAX} events behind")
        if not self._behind:
            self._behind = True
            self._failed(self.listener, work.name, error)
        if work.failed is not None:
            work.failed(work.name, error)
        return False

    def _fail(self, work: _Work, error: Exception) -> None:
        if self._stopped and work.failed is None:
            return
        self._failed(self.listener, work.name, error)
        if work.failed is not None:
            work.failed(work.name, error)

    def _drop(self, work: _Work) -> None:
        _close(work)
        if work.failed is not None:
            work.failed(work.name, RuntimeError("the listener was removed before its turn"))


def _close(work: _Work) -> None:
    """Close a coroutine that will not be awaited."""
    if asyncio.iscoroutine(work.result):
        work.result.close()
