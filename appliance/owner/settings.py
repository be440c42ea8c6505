"""The configuration as somebody else may read it, and all of it that is to be taken out of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from appliance import config
from appliance.loading.findings import Check
from appliance.loading.layers import read_layers
from appliance.loading.reading import read
from appliance.owner.places import Places
from appliance.owner.redaction import SECRET, secrets_in
from appliance.reporting.ledger import Ledger
from appliance.trust import authority, book, keys

SECRETIVE = re.compile(r"password|passwd|secret|credential|token|private", re.IGNORECASE)
PUBLIC_FILES = ("ca_file", "cert_file")
NAMED_BY_OWNER = ("actions", "patterns", "volumes", "contacts")
"""Tables whose keys are not the configuration's own."""


def _field_names() -> Iterator[str]:
    for one in vars(config).values():
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            yield from one.__struct_fields__


PERSON = "a person"
"""Where a table is somebody's, by whatever name."""
WORDS = frozenset(_field_names())
"""The keys of the configuration: whoever is called so, they stay."""


def told(places: Places, checks: Sequence[Check]) -> dict[str, Any]:
    """All that is set, which file has it, and what is wrong with it."""
    layers = read_layers(places.file, places.environ)
    reading = read(places.file, places.environ, checks)
    return {
        "set": _shown(layers.values),
        "files": sorted(set(layers.origins.values())),
        "faults": list(reading.faults),
        "warnings": list(reading.warnings),
        "paired": {
            "contacts": {
                uid: {"keys": len(one.keys), "revoked": len(one.revoked), "may": list(one.may)}
                for uid, one in _book(places).contacts.items()
            }
        },
    }


def _shown(values: Mapping[str, Any], inside: str = "") -> dict[str, Any]:
    return {key: _value(key, value, inside) for key, value in values.items()}


def _value(key: str, value: Any, inside: str) -> Any:
    if SECRETIVE.search(key) and not key.endswith("_file"):
        return SECRET  # it does not belong there, which is a fault of its own
    if isinstance(value, list) and (key == "chat_messages" or (key, inside) == ("keys", PERSON)):
        return f"{len(value)} of them"
    if isinstance(value, Mapping):
        return _shown(value, PERSON if inside == "contacts" else key)
    if isinstance(value, list):
        return [_shown(one, key) if isinstance(one, Mapping) else one for one in value]
    if isinstance(value, str) and key not in WORDS and inside not in NAMED_BY_OWNER:
        return f"<{len(value)} characters>"  # a key that nobody knows may hold anything
    return value


# -------------------- what is to be taken out


def secrets(places: Places) -> set[bytes]:
    """Every secret that this device is told of or keeps, as far as this user may read it."""
    found: set[bytes] = set()
    for file in _secret_files(places):
        try:
            found |= secrets_in(file.read_bytes())
        except OSError:
            continue
    layers = read_layers(places.file, places.environ)
    found |= {value.encode() for key, value in _leaves(layers.values) if SECRETIVE.search(key)
              and not key.endswith("_file")}  # fmt: skip
    found |= {one.encode() for each in _contacts(places).values() for one in each.keys}
    return found


def people(places: Places) -> dict[str, list[str]]:
    """Whoever this device knows by name: contacts, those who were paired, and those who rang."""
    found: dict[str, list[str]] = {uid: [one.name or uid] for uid, one in _contacts(places).items()}
    for uid, paired in _book(places).contacts.items():
        found.setdefault(uid, []).append(paired.name or uid)
    reading = read(places.file, places.environ)
    ours = reading.config.device.id
    folder = reading.config.call_log.directory
    ledger = Ledger(Path(folder) if folder else places.state / "calls")
    try:
        entries = ledger.load()[0] if ledger.file.exists() else []
    except OSError:
        entries = []
    for entry in entries:
        if entry.caller is not None:
            found.setdefault(entry.caller.uid, []).append(entry.caller.name or entry.caller.uid)
        for callee in entry.callees:
            found.setdefault(callee.uid, []).append(callee.name or callee.uid)
    return {uid: names for uid, names in found.items() if uid != ours}


def _secret_files(places: Places) -> Iterator[Path]:
    yield places.state / keys.FILE
    yield places.state / authority.FOLDER / authority.KEY_FILE
    yield places.state / authority.FOLDER / authority.LEAF_FILE
    if credentials := places.environ.get("CREDENTIALS_DIRECTORY"):
        yield from _in(Path(credentials))
    yield from places.stored()
    for key, value in _leaves(read_layers(places.file, places.environ).values):
        if key.endswith("_file") and key not in PUBLIC_FILES:
            yield Path(value)


def _in(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if one.is_file())
    except OSError:
        return []


def _leaves(values: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Each text, with the key that it has."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _leaves(value, str(name))
    elif isinstance(values, list):
        for value in values:
            yield from _leaves(value, key)
    elif isinstance(values, str):
        yield key, values


def _contacts(places: Places) -> dict[str, config.Contact]:
    return book.together(read(places.file, places.environ).config.contacts, _book(places))


def _book(places: Places) -> book.Book:
    try:
        return book.read(places.state / book.FILE)
    except Exception:  # it is told as a fault of the configuration
        return book.Book()
