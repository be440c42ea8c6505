"""Who is known, with which keys and rights, while the appliance runs: configuration and pairing together.

Laws: nobody is believed by a key before the file has it, and nobody any more from the moment of its
revocation, whether the file could be written or not. Whatever changes is told to whoever watches.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from appliance.config import Contact
from appliance.errors import Refused
from appliance.model import Right
from appliance.trust import book as files
from appliance.trust.book import MAX_KEYS, MAX_REVOKED, Book, Paired
from appliance.trust.keys import PublicKey

log = logging.getLogger(__name__)

SEEN_EVERY = timedelta(days=1)
"""How often the file is written for nothing but when a key was last seen."""
SHORTEST_NAME = 6
"""Characters of a key's thumbprint that are enough where they are the only one's."""

Watcher = Callable[[frozenset[str]], None]
"""Called on the loop after each change, with the thumbprints of the keys that count no more."""


class Contacts:
    """The live book of contacts; a mapping of uids could not change while others look at it."""

    def __init__(
        self,
        configured: Mapping[str, Contact],
        file: Path | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Read `file` (blocks); without one nothing is kept. Raises ConfigError."""
        self._configured = dict(configured)
        self._file = file
        self._now = now
        self._book = files.read(file) if file is not None else Book()
        self._seen = dict(self._book.seen)
        self._watchers: list[Watcher] = []
        self._writing = asyncio.Lock()
        self._index()

    # -------------------- who is who

    def __contains__(self, uid: object) -> bool:
        return uid in self._all

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def all(self) -> Mapping[str, Contact]:
        """Every contact by its uid, as of now: what is given is not changed later."""
        return self._all

    def of(self, uid: str) -> Contact | None:
        """That contact, None where there is none (any more)."""
        return self._all.get(uid)

    def keys_of(self, uid: str) -> Mapping[str, PublicKey]:
        """Its keys, by their thumbprints."""
        return self._keys.get(uid, {})

    def has_key(self, kid: str) -> bool:
        """Whether that thumbprint is one of a contact's keys, whoever's; on any thread."""
        return kid in self._kids

    def may(self, uid: str) -> frozenset[Right]:
        """Its rights."""
        contact = self._all.get(uid)
        return frozenset(contact.may) if contact else frozenset()

    def revoked(self, kid: str) -> bool:
        """Whether that key was revoked, here and for everybody who might vouch for it."""
        return any(kid in paired.revoked for paired in self._book.contacts.values())

    def barred(self, uid: str) -> bool:
        """Whether all of that contact was revoked: nobody is to vouch for it either."""
        paired = self._book.contacts.get(uid)
        return paired is not None and paired.barred

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Be told of every change; gives the function that ends it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    # -------------------- what changes

    async def add(self, uid: str, name: str | None, key: str, may: Iterable[Right]) -> str:
        """A contact has been paired: with this key (base64url) too; gives its thumbprint.

        Name and rights are the file's, and count where the configuration names none. Back when it is
        kept, synced. Raises Refused, or OSError where it cannot be kept; then nothing has changed.
        """
        public = _read(key)
        async with self._writing:
            paired = self._book.contacts.get(uid, Paired())
            if public.kid in paired.revoked:
                raise Refused("key_revoked", f"this key of {uid} was revoked: make a new one")
            self._nobody_elses(public.kid, uid)
            keys = tuple(dict.fromkeys((*paired.keys, public.text)))
            if len(keys) > MAX_KEYS:
                raise Refused("too_many_keys", f"{uid} has {MAX_KEYS} keys already: revoke some")
            changed = replace(
                paired, name=name or paired.name, may=tuple(may), keys=keys, barred=False
            )
            if paired.barred:  # who comes anew brings nothing of what was taken away
                changed = replace(changed, keys=(public.text,))
            book = self._book.with_contact(uid, changed)
            await self._write(book)
            self._take(book)
        return public.kid

    async def revoke(self, uid: str, key: str | None = None) -> tuple[str, ...]:
        """Believe this key no more (a thumbprint, the beginning of one, or the key), or all of the contact.

        Gives the thumbprints that count no more. It holds at once, and over a restart once it is kept.
        Raises Refused where there is nobody or no such key, OSError where it cannot be kept.
        """
        async with self._writing:
            if uid not in self._all:
                raise Refused("unknown_contact", f"there is no contact {uid}")
            known = self.keys_of(uid)
            kids = tuple(known) if key is None else (_meant(uid, key, known),)
            paired = self._book.contacts.get(uid, Paired())
            keys = tuple(each for each in paired.keys if PublicKey.read(each).kid not in kids)
            revoked = tuple(dict.fromkeys((*paired.revoked, *kids)))
            # of those named in the configuration none may be forgotten: it would count again
            stated = map(files.key_of, self._configured.get(uid, Contact()).keys)
            named = {key.kid for key in stated if key is not None}
            rest = [kid for kid in revoked if kid not in named][-MAX_REVOKED:]
            changed = Paired(
                name=paired.name,
                may=paired.may if key is not None else (),
                keys=keys,
                revoked=(*(kid for kid in revoked if kid in named), *rest),
                barred=key is None,
            )
            book = self._book.with_contact(uid, changed)
            self._take(book)  # first of all, whatever becomes of the file
            await self._write(book)
        return kids

    def seen(self, kid: str) -> bool:
        """A key has signed what was believed; whether the file is to be written for it (`keep`)."""
        at = self._now().replace(microsecond=0)
        self._seen[kid] = at
        kept = self._book.seen.get(kid)
        return kept is None or abs(at - kept) >= SEEN_EVERY

    async def keep(self) -> None:
        """Write down when each key was last seen, if that is news. Raises OSError."""
        async with self._writing:
            seen = self._still_seen()
            if self._file is not None and seen != self._book.seen:
                book = replace(self._book, seen=seen)
                await self._write(book)
                self._book = book

    # -------------------- what is shown

    def listing(self) -> list[dict[str, Any]]:
        """Who may what, with which keys, last seen: what `appliance contacts` prints."""
        return [
            {
                "uid": uid,
                "name": contact.name,
                "may": list(contact.may),
                "keys": [
                    {"kid": kid, "key": key.text, "last_seen": _spelled(self._seen.get(kid))}
                    for kid, key in self.keys_of(uid).items()
                ],
            }
            for uid, contact in self._all.items()
        ]

    # -------------------- inside

    def _index(self) -> None:
        self._all: dict[str, Contact] = files.together(self._configured, self._book)
        self._keys: dict[str, dict[str, PublicKey]] = {
            uid: {key.kid: key for text in contact.keys if (key := files.key_of(text))}
            for uid, contact in self._all.items()
        }
        self._kids = frozenset(kid for keys in self._keys.values() for kid in keys)

    def _take(self, book: Book) -> None:
        before = {kid for keys in self._keys.values() for kid in keys}
        self._book = book
        self._index()
        gone = frozenset(before - {kid for keys in self._keys.values() for kid in keys})
        for kid in gone:
            self._seen.pop(kid, None)
        for watcher in tuple(self._watchers):
            watcher(gone)

    async def _write(self, book: Book) -> None:
        if self._file is None:
            return
        book = replace(book, seen=self._still_seen())
        await asyncio.to_thread(files.write, self._file, book)

    def _still_seen(self) -> dict[str, datetime]:
        known = {kid for keys in self._keys.values() for kid in keys}
        return {kid: at for kid, at in self._seen.items() if kid in known}

    def _nobody_elses(self, kid: str, uid: str) -> None:
        """Of two people one key would be no proof of who it is; raises Refused."""
        for other, keys in self._keys.items():
            if other != uid and kid in keys:
                raise Refused("key_in_use", f"this key is {other}'s already")


def _read(key: str) -> PublicKey:
    try:
        return PublicKey.read(key)
    except ValueError as fault:
        raise Refused("bad_key", f"{fault}") from None


def _meant(uid: str, word: str, known: Mapping[str, PublicKey]) -> str:
    """The one key that is meant; raises Refused."""
    found = [
        kid
        for kid, key in known.items()
        if word in (kid, key.text) or (len(word) >= SHORTEST_NAME and kid.startswith(word))
    ]
    if len(found) != 1:
        which = "several keys that begin so" if found else "no such key"
        raise Refused("unknown_key", f"{uid} has {which}; `appliance contacts` lists them")
    return found[0]


def _spelled(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
