"""When the page is opened: at the start, or, where it lacks a certificate, for the first phone.

Beyond this machine the page needs TLS. Where the configuration opens it and names no certificate, inviting
a phone makes this device's own authority, and not before: until one is paired nobody could log in anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from appliance.errors import ApplianceError
from appliance.inviting import Page

if TYPE_CHECKING:
    from collections.abc import Mapping


class Server(Protocol):
    """What serves the page while inside its block, which may be entered again after a failure."""

    @property
    def url(self) -> str:
        """The page's address."""
        ...

    @property
    def authority(self) -> Mapping[str, str] | None:
        """Where the certificate of this device's own authority is to be had, and its fingerprint."""
        ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *about: Any) -> Any: ...


class Opening:
    """One page, opened once; an async context manager, whose end closes it."""

    def __init__(
        self,
        server: Server,
        opened: Callable[[str], object],
        failed: Callable[[ApplianceError], object],
    ) -> None:
        """`opened` is told the address, and `failed` why an attempt of `place` has failed."""
        self._server = server
        self._opened, self._failed = opened, failed
        self._is_open = False
        self._one_at_a_time = asyncio.Lock()
        self._end = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        await self._tasks.__aexit__(kind, error, trace)

    async def open(self) -> None:
        """Serve, unless it does already; tried again each time. Raises ApplianceError."""
        async with self._one_at_a_time:
            if not self._is_open:
                begun = asyncio.get_running_loop().create_future()
                self._tasks.create_task(self._serve(begun), name="page")
                await asyncio.shield(begun)

    async def place(self) -> Page:
        """Where a phone finds the page, for which it is opened."""
        try:
            await self.open()
        except ApplianceError as error:
            self._failed(error)
            return Page(None, why=str(error))
        return Page(self._server.url, self._server.authority)

    async def _serve(self, begun: asyncio.Future[None]) -> None:
        """Until the end, in a task of its own: who opens it may be gone long before."""
        try:
            async with self._server:
                self._is_open = True
                self._opened(self._server.url)
                begun.set_result(None)
                await self._end.wait()
        except ApplianceError as error:
            if begun.done():
                raise
            begun.set_exception(error)
