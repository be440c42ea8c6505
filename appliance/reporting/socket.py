"""The local socket: programs on this machine ask for things and are told of events, in JSON Lines.

Who may open the file may command, `unlock` included: mode 0660, group `appliance`.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import socket
import stat
import struct
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from appliance.errors import Refused
from appliance.reporting.conversation import (
    CallLog,
    Contacts,
    Conversation,
    Invite,
    Plug,
    Press,
    Send,
    Session,
    no_calls,
)
from appliance.socket_path import only_one

logger = logging.getLogger(__name__)

GROUP = "appliance"
MAX_LINE_BYTES = 64 * 1024
MAX_CLIENTS = 64
MAX_CLIENTS_OF_ONE = 48
"""Of one user of this machine, so that the others get in."""
FLUSH_S = 5.0
"""How long the last answers may take to a client that has hung up its side."""


class LocalSocket:
    """Listens at `path`; `async with`.

    `press` and `plug` are None where the board is real; `recent` are the latest events, oldest first, and
    `call_log(limit)` the latest calls, newest first; `invite` pairs phones; `locked` says that this
    process holds the path already (`only_one`).
    Raises AlreadyRunning, or OSError where the path cannot be used.
    """

    def __init__(
        self,
        path: Path,
        session: Session,
        press: Press | None = None,
        *,
        plug: Plug | None = None,
        recent: Iterable[Mapping[str, Any]] = (),
        call_log: CallLog = no_calls,
        contacts: Contacts | None = None,
        invite: Invite | None = None,
        locked: bool = False,
    ) -> None:
        self._path = path
        self._locked = locked
        self._session = session
        self._press = press
        self._plug = plug
        self._recent = recent
        self._call_log = call_log
        self._contacts = contacts
        self._invite = invite
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()
        self._clients: Counter[int] = Counter()
        """How many are connected, by the user."""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if not self._locked:
                stack.enter_context(only_one(self._path))
            listener = stack.enter_context(_listener(self._path))
            await stack.enter_async_context(self._tasks)
            stack.callback(self._cancel)
            server = await asyncio.start_unix_server(
                self._accept, sock=listener, limit=MAX_LINE_BYTES
            )
            stack.callback(server.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def converse(self, send: Send) -> Conversation:
        """A conversation over another transport, such as the page's WebSocket."""
        return Conversation(
            self._session,
            self._press,
            send,
            start=self._own,
            recent=self._recent,
            call_log=self._call_log,
            invite=self._invite,
            plug=self._plug,
            origin="page",
        )

    # -------------------- clients

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = _user_of(writer)
        if self._clients.total() >= MAX_CLIENTS or self._clients[uid] >= MAX_CLIENTS_OF_ONE:
            clients = self._clients[uid]
            logger.warning("refused a client: %d of user %d are connected", clients, uid)
            writer.write(_line({"id": None, "ok": False, "error": _TOO_MANY}))
            writer.close()
            return
        self._clients[uid] += 1
        self._own(self._serve(reader, writer)).add_done_callback(lambda _: self._gone(uid))

    def _gone(self, uid: int) -> None:
        self._clients[uid] -= 1
        if not self._clients[uid]:
            del self._clients[uid]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it hangs up: an end of its requests is an end of its events too."""
        conversation = Conversation(
            self._session,
            self._press,
            lambda item: writer.write(_line(item)),
            start=self._own,
            ready=writer.drain,
            recent=self._recent,
            call_log=self._call_log,
            contacts=self._contacts,
            invite=self._invite,
            plug=self._plug,
        )
        try:
            async for line in _lines(reader):
                if line is None:
                    conversation.refuse(_TOO_LONG)
                else:
                    await conversation.handle(line)
                await writer.drain()
            writer.close()
            async with asyncio.timeout(FLUSH_S):
                await writer.wait_closed()
        except (ConnectionError, TimeoutError):
            pass  # expected: clients go away at any time
        finally:
            conversation.close()
            writer.transport.abort()

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _cancel(self) -> None:
        for task in self._running:
            task.cancel()


_TOO_LONG = Refused("malformed", f"a line has at most {MAX_LINE_BYTES} bytes")
_TOO_MANY = {"code": "busy", "message": "too many clients are connected already"}


def _user_of(writer: asyncio.StreamWriter) -> int:
    """Whose program is at the other end, by the kernel's word (SO_PEERCRED)."""
    peer = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
    )
    uid: int = _CREDENTIALS.unpack(peer)[1]
    return uid


_CREDENTIALS = struct.Struct("3i")
"""Process, user, group."""


def _line(item: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(item) + b"\n"


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes | None]:
    """The lines of a client; None for each that is too long, which is skipped up to its end."""
    skipping = False
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as overrun:
            await reader.readexactly(overrun.consumed)
            skipping = True
            continue
        except asyncio.IncompleteReadError as end:
            line = end.partial
        if skipping or line.strip():
            yield None if skipping else line
        skipping = False
        if not line.endswith(b"\n"):
            return


# -------------------- the file


@contextlib.contextmanager
def _listener(path: Path) -> Iterator[socket.socket]:
    """A socket at `path`, where what an earlier process left is replaced; gone afterwards."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is in the way: it is not a socket")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        _permit(path)  # nobody can connect before this: it does not listen yet
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


def _permit(path: Path) -> None:
    with contextlib.suppress(KeyError, PermissionError):  # no such group, or we are not in it
        os.chown(path, -1, grp.getgrnam(GROUP).gr_gid)
    path.chmod(0o660)
