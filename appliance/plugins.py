"""Plug-ins: the modules that the configuration names, each given the session while the appliance runs.

A plug-in is a module with `setup(session)`, plain or a coroutine. It may give back an async context
manager, which is entered, or a function for the end, plain or a coroutine. Laws: one that fails is
told of by its name, and takes neither another one nor the appliance along; what it added to the
session's listeners goes with it.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from functools import partial
from types import ModuleType
from typing import Any, Self

from appliance.aside import aside
from appliance.bus import Bus
from appliance.calls.inputs import FaultReported, Input
from appliance.listeners import Listener
from appliance.session import CallSession

log = logging.getLogger(__name__)

SETUP_S = 10.0
"""How long a plug-in may take to be imported, and again to be set up."""
STOP_S = 5.0
"""How long it may take to end."""


class _Failed(Exception):
    """A sentence about a plug-in."""


class _Plugin:
    """One plug-in, which lives on a task of its own: what it cancels or breaks there is its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.settled = asyncio.Event()
        """It is set up, or has failed at that."""
        self.stop = asyncio.Event()
        self.listeners: list[Listener] = []
        self.loaded = False


class Plugins:
    """Loads plug-ins in the order of their names, and unloads them the other way round; `async with`."""

    def __init__(
        self,
        modules: Iterable[str],
        session: CallSession,
        bus: Bus,
        post: Callable[[Input], None],
        *,
        setup_s: float = SETUP_S,
        stop_s: float = STOP_S,
    ) -> None:
        """`bus` is the session's own: what a plug-in leaves behind there is removed."""
        self._plugins = [_Plugin(name) for name in modules]
        self._session = session
        self._bus = bus
        self._post = post
        self._setup_s, self._stop_s = setup_s, stop_s
        self._tasks = asyncio.TaskGroup()
        self._living: list[tuple[_Plugin, asyncio.Task[None]]] = []

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of those that work."""
        return tuple(plugin.name for plugin in self._plugins if plugin.loaded)

    async def __aenter__(self) -> Self:
        """Load one after the other, so that one may rest on those before it."""
        await self._tasks.__aenter__()
        for plugin in self._plugins:
            task = self._tasks.create_task(self._live(plugin))
            self._living.append((plugin, task))
            with suppress(TimeoutError):  # it does not even let itself be cancelled: nobody waits
                async with asyncio.timeout(3 * self._setup_s):
                    await plugin.settled.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        for plugin, task in reversed(self._living):
            plugin.stop.set()
            await asyncio.wait([task], timeout=self._stop_s)
            if not task.done():
                self._fault(plugin, f"does not end within {self._stop_s:g} s")
                task.cancel()
        await self._tasks.__aexit__(None, None, None)

    # -------------------- one life

    async def _live(self, plugin: _Plugin) -> None:
        try:
            async with AsyncExitStack() as stack:
                await self._set_up(plugin, stack)
                plugin.loaded = True
                plugin.settled.set()
                log.info("the plug-in %s is set up", plugin.name)
                await plugin.stop.wait()
        except _Failed as failed:
            self._fault(plugin, str(failed))
        except asyncio.CancelledError:
            if not plugin.stop.is_set():
                self._fault(plugin, "was cancelled")
                raise
        except (Exception, SystemExit, BaseExceptionGroup) as error:
            self._fault(plugin, f"failed: {_told(error)}", error)
        finally:
            plugin.loaded = False
            self._remove_listeners(plugin)
            plugin.settled.set()

    async def _set_up(self, plugin: _Plugin, stack: AsyncExitStack) -> None:
        setup = getattr(await self._imported(plugin), "setup", None)
        if not callable(setup):
            raise _Failed("has no function setup(session)")
        before = self._bus.listeners
        try:
            async with asyncio.timeout(self._setup_s):
                given = setup(self._session)
                if inspect.isawaitable(given):
                    given = await given
                await self._take(given, stack)
        except TimeoutError:
            raise _Failed(f"was not set up within {self._setup_s:g} s") from None
        finally:
            plugin.listeners = [one for one in self._bus.listeners if one not in before]

    async def _imported(self, plugin: _Plugin) -> ModuleType:
        try:
            async with asyncio.timeout(self._setup_s):
                importing = partial(importlib.import_module, plugin.name)
                return await aside(importing, f"import of {plugin.name}")
        except TimeoutError:
            raise _Failed(f"was not imported within {self._setup_s:g} s") from None
        except Exception as error:
            log.warning("the plug-in %s cannot be imported", plugin.name, exc_info=error)
            raise _Failed(f"cannot be imported: {_told(error)}") from None

    async def _take(self, given: Any, stack: AsyncExitStack) -> None:
        """Enter or keep what `setup` gave back."""
        if given is None:
            return
        if hasattr(given, "__aenter__") and hasattr(given, "__aexit__"):
            await stack.enter_async_context(given)
        elif callable(given):
            stack.push_async_callback(_call, given)
        else:
            raise _Failed(
                f"gives back {type(given).__name__} from setup: an async context manager, a function or"
                " nothing is wanted"
            )

    # -------------------- what it leaves

    def _remove_listeners(self, plugin: _Plugin) -> None:
        """Those that came while it was set up, and those of its own classes that came later."""
        for listener in self._bus.listeners:
            module = type(listener).__module__
            own = module == plugin.name or module.startswith(f"{plugin.name}.")
            if own or any(listener is one for one in plugin.listeners):
                self._bus.remove_listener(listener)

    def _fault(self, plugin: _Plugin, sentence: str, error: BaseException | None = None) -> None:
        if error is not None:
            log.warning("the plug-in %s failed", plugin.name, exc_info=error)
        sentence = f"the plug-in {plugin.name} {sentence}"
        self._post(FaultReported("plugin_failed", sentence, plugin.name))


async def _call(end: Callable[[], Any]) -> None:
    given = end()
    if inspect.isawaitable(given):
        await given


def _told(error: BaseException) -> str:
    """An error in a line; of several that came together, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
