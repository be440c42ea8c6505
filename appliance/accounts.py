"""Accounts at the broker for whom this device pairs, asked for at a socket where somebody makes them.

A daemon in its sandbox can write no file of the broker's. What listens there is `appliance broker
accounts`, which systemd starts for each request with the broker's rights, or anything that answers as
it does: a line of JSON, `{"make": uid}` or `{"remove": uid}`, and one back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from appliance.errors import Refused
from appliance.trust.contacts import Contacts

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
MAX_ANSWER = 4096


class SocketAccounts:
    """Makes and removes accounts by asking at a Unix socket."""

    def __init__(self, socket: Path) -> None:
        """`socket` need not be there yet."""
        self._socket = socket
        self._turn = asyncio.Lock()
        """Each request is a process there: what is asked first is done first."""

    async def make(self, uid: str) -> str | None:
        """The password of an account: a new one, or again that of one that was made here.

        Raises Refused with a sentence where there is none to be had.
        """
        answer = await self._ask({"make": uid})
        password = answer.get("password")
        if not isinstance(password, str) or not password:
            raise Refused(
                "no_account", f"the broker's accounts: {answer.get('error', 'no answer')}"
            )
        return password

    async def remove(self, uid: str) -> None:
        """Take an account back, if one was made here; whoever uses it is thrown out.

        Where that cannot be done it is logged: whoever was revoked is believed no more in any case.
        """
        try:
            answer = await self._ask({"remove": uid})
        except Refused as fault:
            log.warning("%s may still log in at the broker: %s", uid, fault)
            return
        if isinstance(answer.get("removed"), bool):
            log.info("%s has no account at the broker that was made here", uid)
        else:
            log.warning("%s may still log in at the broker: %s", uid, answer.get("error"))

    async def _ask(self, request: dict[str, str]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(PATIENCE_S), self._turn:
                reader, writer = await asyncio.open_unix_connection(self._socket, limit=MAX_ANSWER)
                try:
                    writer.write(msgspec.json.encode(request) + b"\n")
                    await writer.drain()
                    answer = msgspec.json.decode(await reader.readline())
                finally:
                    writer.close()
        except TimeoutError:
            sentence = f"the broker's accounts: {self._socket} does not answer"
            raise Refused("no_account", sentence) from None
        except OSError as error:
            raise Refused("no_account", f"the broker's accounts: {error}") from None
        except (ValueError, RecursionError):
            sentence = f"the broker's accounts: what answers at {self._socket} makes no sense"
            raise Refused("no_account", sentence) from None
        return answer if isinstance(answer, dict) else {}


class Following:
    """Takes back the account of whoever is no contact any more. An async context manager."""

    def __init__(self, accounts: SocketAccounts, contacts: Contacts) -> None:
        """Watches `contacts` inside the block."""
        self._accounts = accounts
        self._contacts = contacts
        self._known = frozenset(contacts.all())
        self._tasks = asyncio.TaskGroup()
        self._ended: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Following:
        await self._tasks.__aenter__()
        self._ended = self._contacts.watch(self._changed)
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._ended()
        await self._tasks.__aexit__(None, None, None)

    def _changed(self, _keys: frozenset[str]) -> None:
        known = frozenset(self._contacts.all())
        for uid in self._known - known:
            self._tasks.create_task(self._accounts.remove(uid), name="account-removal")
        self._known = known
