"""Hooks: programs in a folder that are started for events, in the order of the events.

A file `<event>` or `<event>.<anything>` is started for that event, `all` or `all.<anything>` for every
one. It is given the event's CloudEvents object as a line of JSON on standard input, and its name as
argument. Laws: nothing waits for a hook but other hooks; no event is kept from them in silence; what is
about an `error` is never told by another error, or a broken hook would be busy with itself for ever.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from appliance.calls.inputs import FaultReported, Input
from appliance.hook_files import HookFile, hooks_for
from appliance.reporting.programs import Program, environment

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Programs that run beside one another."""
LIMIT_S = 30.0
WAITING_MAX = 256
"""Events that wait for programs to end; the oldest give way."""
AGAIN_S = 60.0
"""The least time between two reports about one file."""
STOP_S = 2.0
"""How long the last events' programs may take when the appliance stops."""


class Hooks:
    """Starts what lies in a folder; `async with`. `see` is a sink of the bus."""

    def __init__(
        self,
        folder: Path,
        socket: Path,
        post: Callable[[Input], None],
        *,
        limit_s: float = LIMIT_S,
        stop_s: float = STOP_S,
    ) -> None:
        """`socket` is where a hook reaches this appliance."""
        self._folder = folder
        self._socket = socket
        self._post = post
        self._limit_s, self._stop_s = limit_s, stop_s
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._lost = 0
        self._news = asyncio.Event()
        self._stopping = self._killing = False
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks = asyncio.TaskGroup()
        self._running: dict[asyncio.Task[None], Program] = {}
        self._told_s: dict[Path, float] = {}
        self._untold: dict[Path, int] = {}

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._starter = self._tasks.create_task(self._start_all())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the last events' programs end, for a moment; then everything that runs is killed."""
        self._stopping = True
        self._news.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stop_s):
                await self._all_ended()
        if self._waiting:
            log.warning("stopping: %d events were not given to hooks", len(self._waiting))
            self._waiting.clear()
        self._killing = True
        for program in self._running.values():
            program.kill()
        await self._all_ended()
        await self._tasks.__aexit__(None, None, None)

    async def _all_ended(self) -> None:
        await asyncio.wait([self._starter])  # which is not cancelled in the middle of a start
        while self._running:
            await asyncio.wait(self._running)

    def see(self, item: Mapping[str, Any]) -> None:
        """Have the programs for an event started in its turn, as a sink of the bus."""
        if self._stopping:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(item)
        self._news.set()

    # -------------------- starting

    async def _start_all(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._start_for(self._waiting.popleft())

    async def _start_for(self, item: Mapping[str, Any]) -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            sentence = f"{lost} events were not given to hooks, which are too slow for so many"
            self._post(FaultReported("hooks_behind", sentence, str(self._folder)))
        event = item["type"].removeprefix("appliance.")
        try:
            files = await asyncio.to_thread(hooks_for, self._folder, event)
        except OSError as error:
            files = [HookFile(self._folder, f"{self._folder} cannot be read: {error.strerror}")]
        for file in files:
            if file.fault is not None:
                self._fault(event, file.path, file.fault)
            else:
                await self._slots.acquire()
                if self._killing:
                    return
                await self._start(file.path, event, item)

    async def _start(self, file: Path, event: str, item: Mapping[str, Any]) -> None:
        text = json.dumps(item, ensure_ascii=False).encode(errors="replace") + b"\n"
        environ = environment(event, item["subject"], self._socket)
        try:
            program = await asyncio.to_thread(partial(Program, file, event, text, environ))
        except OSError as error:
            self._slots.release()
            self._fault(event, file, f"{file} cannot be started: {error.strerror}")
            return
        if self._killing:
            program.kill()
        task = self._tasks.create_task(self._follow(program, file, event))
        self._running[task] = program
        task.add_done_callback(self._gone)

    async def _follow(self, program: Program, file: Path, event: str) -> None:
        wrong = await program.ended(self._limit_s)
        if wrong and not self._killing:
            self._fault(event, file, f"{file} {wrong}")

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task)
        self._slots.release()

    # -------------------- telling

    def _fault(self, event: str, file: Path, sentence: str) -> None:
        """Tell that a hook did not work: at once, and then at most once in a minute."""
        log.warning("for %s: %s", event, sentence)
        if event == "error":
            return
        now_s = asyncio.get_running_loop().time()
        if now_s - self._told_s.get(file, -AGAIN_S) < AGAIN_S:
            self._untold[file] = self._untold.get(file, 0) + 1
            return
        self._told_s[file] = now_s
        if untold := self._untold.pop(file, 0):
            sentence = f"{sentence} (and failed {untold} times since this was told last)"
        self._post(FaultReported("hook_failed", sentence, str(file)))
