"""Somebody else's code beside the loop, in a thread that holds up neither the loop nor the exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def aside(function: Callable[[], T], name: str) -> T:
    """Run `function` in a daemon thread called `name`, and give back what it does, or raise it.

    Who gives up waiting leaves the thread behind: what never ends does not hold up the program's end,
    as it would on the loop's own executor.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            value = function()
        except BaseException as error:  # a SystemExit too: it is for who waits to judge
            tell(_fail, result, error)
        else:
            tell(_finish, result, value)

    def tell(how: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(how, *arguments)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await result


def _finish(result: asyncio.Future[T], value: T) -> None:
    if not result.done():
        result.set_result(value)


def _fail(result: asyncio.Future[object], error: BaseException) -> None:
    if not result.done():
        # a future refuses StopIteration, which would end whoever awaits it in silence
        result.set_exception(
            RuntimeError(repr(error)) if isinstance(error, StopIteration) else error
        )
