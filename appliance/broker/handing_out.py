"""Accounts that a device asks for when it pairs a phone: made, handed out again, taken back.

A device may be given these rights without more: it can make and remove accounts for those it pairs, and
touches none that was made by hand. One person's second phone gets the same password as the first; so
it is worked out from a secret of this folder rather than kept.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.broker.house import House
from appliance.broker.passwords import NoAccount, check_name, fits
from appliance.errors import ApplianceError
from appliance.whole_file import write_whole

BOOK, KEY = "handed_out.json", "handed_out.key"
MAX_REQUEST = 1024
MAX_ACCOUNTS = 256
"""A device that asks for more is not pairing phones."""


class HandedOut:
    """The accounts that were made on request. Blocks."""

    def __init__(self, house: House, reload: Callable[[], object]) -> None:
        """`reload` has the broker read its accounts anew."""
        self._house = house
        self._reload = reload

    def make(self, uid: str) -> str:
        """The password of an account: a new one, or the same again. Raises NoAccount, OSError."""
        check_name(uid)
        book = self._book()
        kept = self._house.passwords.accounts().get(uid)
        number, active = book.get(uid, (0, False))
        if kept is not None and not active:
            raise NoAccount(
                f"{uid} has an account that was made by hand; its password is known there"
            )
        if kept is not None and fits(password := self._password(uid, number), kept):
            return password
        if len(book) >= MAX_ACCOUNTS and uid not in book:
            raise NoAccount(f"{MAX_ACCOUNTS} accounts were handed out already")
        number += 1  # never one that somebody had before
        password = self._password(uid, number)
        self._write({**book, uid: (number, True)})
        self._house.passwords.make(uid, password)
        self._house.belong()
        self._reload()
        return password

    def remove(self, uid: str) -> bool:
        """Take an account back; False where none was handed out. Raises OSError."""
        book = self._book()
        number, active = book.get(uid, (0, False))
        if not active:
            return False
        self._house.passwords.remove(uid)
        self._write({**book, uid: (number, False)})
        self._house.belong()
        self._reload()
        return True

    def answer(self, request: bytes) -> bytes:
        """One line of JSON, `{"make": uid}` or `{"remove": uid}`, to one: `{"password"}`, `{"removed"}`,
        or `{"error": sentence}`.
        """
        try:
            reply = self._answer(json.loads(request[:MAX_REQUEST]))
        except (ValueError, RecursionError):
            reply = {"error": "this is no request"}
        except ApplianceError as error:
            reply = {"error": str(error)}
        except OSError as error:
            reply = {"error": f"the accounts cannot be written: {error.strerror}"}
        return json.dumps(reply).encode() + b"\n"

    def _answer(self, request: Any) -> dict[str, Any]:
        match request:
            case {"make": str(uid), **rest} if not rest:
                return {"password": self.make(uid)}
            case {"remove": str(uid), **rest} if not rest:
                return {"removed": self.remove(uid)}
        raise ValueError

    def _password(self, uid: str, number: int) -> str:
        derived = hmac.digest(self._key(), f"{uid}\n{number}".encode(), "sha256")
        return base64.urlsafe_b64encode(derived[:24]).decode()

    def _key(self) -> bytes:
        file = self._house.folder / KEY
        if not file.exists():
            write_whole(file, secrets.token_bytes(32))
        return file.read_bytes()

    def _book(self) -> dict[str, tuple[int, bool]]:
        """How often an account was made for somebody, and whether the last is still good."""
        file = self._house.folder / BOOK
        if not file.exists():
            return {}
        return {
            uid: (int(one[0]), bool(one[1])) for uid, one in json.loads(file.read_text()).items()
        }

    def _write(self, book: dict[str, tuple[int, bool]]) -> None:
        file: Path = self._house.folder / BOOK
        write_whole(file, json.dumps(book).encode())
