"""The file of paired contacts, `contacts.toml`: what stands in it, how it is read and how written.

Of a contact both the configuration and this file may say something: its name and rights are what the
configuration says, where it says any; its keys are those of both, without what was revoked here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from appliance.config import Contact, Id
from appliance.errors import ConfigError
from appliance.model import Right
from appliance.trust.keys import PublicKey
from appliance.whole_file import private_folder, write_whole

FILE = "contacts.toml"
MAX_BYTES = 1024 * 1024
MAX_KEYS = 32
"""Of one contact: phones, tabs and devices; more are somebody's mistake."""
MAX_REVOKED = 256

Kid = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]
Name = Annotated[str, Meta(max_length=256)]


class Paired(Struct, frozen=True, forbid_unknown_fields=True):
    """[contacts.<uid>]: what pairing has added to a contact, and what was taken back."""

    name: Name | None = None
    keys: tuple[str, ...] = ()
    may: tuple[Right, ...] = ()
    revoked: tuple[Kid, ...] = ()
    """Thumbprints of keys that are refused from now on, wherever else they are named."""
    barred: bool = False
    """All of the contact was revoked: it is nobody, until it is paired anew."""


class Book(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    contacts: dict[Id, Paired] = field(default_factory=dict)
    seen: dict[Kid, datetime] = field(default_factory=dict)
    """When each key has last signed something that was believed, in UTC."""

    def with_contact(self, uid: str, paired: Paired) -> Book:
        """With that contact as it is now."""
        return replace(self, contacts={**self.contacts, uid: paired})


def read(file: Path) -> Book:
    """The book in that file, an empty one where there is none. Blocks.

    Raises ConfigError with every fault, as of a configuration: with a book that cannot be understood
    nobody knows who was revoked.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return Book()
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"has {len(data)} bytes, at most {MAX_BYTES} are read")  # noqa: TRY301
        book = msgspec.convert(tomllib.loads(data.decode()), Book)
    except (
        ValueError,
        RecursionError,
    ) as error:  # msgspec's, tomllib's and Unicode's are ValueErrors
        raise ConfigError([f"{file}: {error}"]) from None
    if faults := list(_faults(book)):
        raise ConfigError([f"{file}: {fault}" for fault in faults])
    return book


def _faults(book: Book) -> list[str]:
    faults = []
    for uid, paired in book.contacts.items():
        for at, key in enumerate(paired.keys):
            try:
                PublicKey.read(key)
            except ValueError as fault:
                faults.append(f"contacts.{uid}.keys[{at}]: {fault}")
    return faults


def write(file: Path, book: Book) -> None:
    """Put the book in its place: whole, synced, for this user alone. Blocks; raises OSError."""
    private_folder(file.parent)
    write_whole(file, to_toml(book).encode())


def to_toml(book: Book) -> str:
    """The file's text; people may read it, and with the appliance stopped change it."""
    lines = ["# Written by `appliance pair` and `appliance contacts revoke`.", ""]
    for uid, paired in book.contacts.items():
        lines.append(f"[contacts.{_text(uid)}]")
        for name, value in msgspec.to_builtins(paired).items():
            if value not in (None, (), [], False):
                lines.append(f"{name} = {_value(value)}")
        lines.append("")
    if book.seen:
        lines.append("[seen]")
        lines += [f"{_text(kid)} = {at.isoformat()}" for kid, at in book.seen.items()]
        lines.append("")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    return f"[{', '.join(_text(one) for one in value)}]"


def _text(value: str) -> str:
    """A basic string of TOML: JSON's, but for the one character that JSON leaves as it is."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def together(configured: Mapping[str, Contact], book: Book) -> dict[str, Contact]:
    """The contacts of configuration and book, each as it counts; who was barred is not among them."""
    found: dict[str, Contact] = {}
    for uid in (*configured, *(uid for uid in book.contacts if uid not in configured)):
        given, paired = configured.get(uid, Contact()), book.contacts.get(uid, Paired())
        if not paired.barred:
            found[uid] = Contact(
                name=given.name if given.name is not None else paired.name,
                keys=tuple(dict.fromkeys(_still((*given.keys, *paired.keys), paired.revoked))),
                may=given.may or paired.may,
            )
    return found


def _still(keys: tuple[str, ...], revoked: tuple[str, ...]) -> list[str]:
    """The keys that were not revoked, and what is no key, of which the configuration's check tells."""
    return [key for key in keys if (known := key_of(key)) is None or known.kid not in revoked]


def key_of(text: str) -> PublicKey | None:
    """The key, None where the text is none."""
    try:
        return PublicKey.read(text)
    except ValueError:
        return None
