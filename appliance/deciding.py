"""What listeners decide rather than hear of: whether a hang-up is meant, and when a call's end is over.

An edge of the core: it asks whoever overrides a decision of `CallListener`, and posts the answer. The
device can always be hung up and always returns to idle: who fails to decide has decided for that.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

from appliance.aside import aside
from appliance.bus import Bus
from appliance.calls.effects import AskHangUp, Effect, ReturnToIdle
from appliance.calls.inputs import FaultReported, HangUpAnswered, Input, ReturnedToIdle
from appliance.listeners import Listener
from appliance.model import Call

ANSWER_S = 10.0
"""Who has not decided by then has agreed."""

CONFIRM, RETURN = "hang_up_confirmation", "call_end_default_action"

Confirm = Callable[[Call], Any]


class Deciding:
    """Asks the listeners of the bus; `async with`. `post` is safe from any thread."""

    EFFECTS: ClassVar[tuple[type[Effect], ...]] = (AskHangUp, ReturnToIdle)

    def __init__(
        self,
        bus: Bus,
        call_of: Callable[[str], Call | None],
        post: Callable[[Input], None],
        *,
        answer_s: float = ANSWER_S,
    ) -> None:
        """`call_of(call_id)` is the call as it stands, None where there is none any more."""
        self._bus = bus
        self._call_of = call_of
        self._post = post
        self._answer_s = answer_s
        self._tasks = asyncio.TaskGroup()
        self._asking: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._asking:
            task.cancel()
        await self._tasks.__aexit__(None, None, None)

    def perform(self, effect: Effect) -> None:
        """Ask, or let return to idle; whoever decides is heard later."""
        match effect:
            case AskHangUp():
                self._ask(effect)
            case ReturnToIdle():
                self._return(effect)

    # -------------------- is this hang-up meant?

    def _ask(self, effect: AskHangUp) -> None:
        call = self._call_of(effect.call_id)
        deciders = self._deciders(CONFIRM)
        if call is None or not deciders:
            self._answer(effect, confirmed=True)
        else:
            self._own(self._tasks.create_task(self._ask_all(effect, call, deciders)))

    async def _ask_all(
        self, effect: AskHangUp, call: Call, deciders: list[tuple[Listener, Confirm]]
    ) -> None:
        asked = {
            self._own(self._tasks.create_task(self._ask_one(listener, confirm, call))): listener
            for listener, confirm in deciders
        }
        decided, late = await asyncio.wait(asked, timeout=self._answer_s)
        for task in late:
            task.cancel()
            self._fault(asked[task], CONFIRM, f"took over {self._answer_s:.0f} s, so the call ends")
        self._answer(effect, confirmed=all(task.result() for task in decided))

    async def _ask_one(self, listener: Listener, confirm: Confirm, call: Call) -> bool:
        try:
            if inspect.iscoroutinefunction(confirm):
                answer = await confirm(call)
            else:  # not a coroutine, so it may block
                answer = await aside(partial(confirm, call), CONFIRM)
                answer = await answer if inspect.isawaitable(answer) else answer
        except Exception as error:
            self._fault(listener, CONFIRM, f"raised {error!r}, so the call ends")
            return True
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._fault(listener, CONFIRM, "waited for something that was cancelled")
            return True
        return answer is True

    def _answer(self, effect: AskHangUp, *, confirmed: bool) -> None:
        answer = HangUpAnswered(
            effect.call_id, effect.command, effect.origin, effect.request, confirmed
        )
        self._post(answer)

    # -------------------- the end of an end

    def _return(self, effect: ReturnToIdle) -> None:
        default_action = _once(lambda: self._post(ReturnedToIdle(effect.call_id)))
        deciders = self._deciders(RETURN)
        if not deciders:
            default_action()
        event = effect.event
        arguments = (event.call, event.reason, event.kicked_by, event.duration_s, default_action)
        for listener, _ in deciders:
            # the bus has told of what it raises already
            self._bus.call(listener, RETURN, arguments, lambda _name, _error: default_action())

    # -------------------- who decides

    def _deciders(self, name: str) -> list[tuple[Listener, Callable[..., Any]]]:
        return [
            (listener, method)
            for listener in self._bus.listeners
            if (method := listener.overridden(name)) is not None
        ]

    def _fault(self, listener: Listener, name: str, sentence: str) -> None:
        where = type(listener).__name__
        self._post(FaultReported("listener_failed", f"{name} {sentence}", where))

    def _own(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        return task


def _once(action: Callable[[], None]) -> Callable[[], None]:
    """The action, which is run by the first call and by no other, from whichever thread."""
    first = threading.Lock()

    def run() -> None:
        if first.acquire(blocking=False):
            action()

    return run
