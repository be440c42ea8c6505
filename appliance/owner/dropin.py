"""What `appliance setup` has found out, as a file of `conf.d`: checked with all others, then written."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct

from appliance.errors import ApplianceError, ConfigError
from appliance.loading.findings import Check, spelled
from appliance.loading.layers import read_layers
from appliance.loading.reading import read
from appliance.owner.places import Places
from appliance.whole_file import private_folder, write_whole

NAME = "50-setup.toml"
HEAD = "# Written by `appliance setup`, and anew each time. Files that come after it are laid over it.\n"
MODE = 0o644
FOLDER_MODE = 0o755

Values = dict[str, Any]


class Clash(Struct, frozen=True):
    """A key that somebody has set elsewhere, to something else."""

    path: str
    theirs: Any
    ours: Any
    file: str
    wins: bool
    """What setup writes is laid over it; else theirs is laid over what setup writes."""


def present(places: Places) -> Values:
    """What setup wrote before; nothing where it did not. Raises ConfigError."""
    file = places.drop_ins / NAME
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError([f"{file}: {error}"]) from None


def clashes(places: Places, values: Mapping[str, Any]) -> list[Clash]:
    """Every key that stands elsewhere with another value."""
    layers = read_layers(places.file, places.environ)
    own = places.drop_ins / NAME
    found = []
    for path, ours in leaves(values):
        theirs: Any = layers.values
        for part in path:
            theirs = theirs.get(part) if isinstance(theirs, Mapping) else None
        origin = layers.origins.get(path)
        if theirs is None or origin in (None, str(own)) or theirs == ours:
            continue
        is_after = not origin.endswith(".toml") or Path(origin) > own
        wins = Path(origin) == places.file or not is_after
        found.append(Clash(spelled(path), theirs, ours, origin, wins))
    return found


def checked(places: Places, values: Mapping[str, Any], checks: Sequence[Check]) -> list[str]:
    """The faults that all files together would have with it, which they have not now."""
    etc = places.file.parent
    before = set(read(places.file, places.environ, checks).faults)
    with TemporaryDirectory(prefix="appliance-") as folder:
        twin = Path(folder)
        for one in etc.iterdir() if etc.is_dir() else ():
            if one.name != "conf.d":
                (twin / one.name).symlink_to(one)
        (twin / "conf.d").mkdir()
        for one in places.drop_ins.glob("*.toml"):
            if one.name != NAME:
                (twin / "conf.d" / one.name).symlink_to(one)
        (twin / "conf.d" / NAME).write_text(to_toml(values), "utf-8")
        if not (twin / places.file.name).exists():
            (twin / places.file.name).write_text("")
        faults = read(twin / places.file.name, places.environ, checks).faults
    told = [fault.replace(str(twin), str(etc)) for fault in faults]
    return [fault for fault in told if fault not in before]


def write(places: Places, values: Mapping[str, Any]) -> Path:
    """Put it in its place, whole; readable by the daemon. Raises ApplianceError."""
    file = places.drop_ins / NAME
    try:
        private_folder(places.drop_ins, FOLDER_MODE)
        if not places.file.exists():
            write_whole(
                places.file, b"# What `appliance setup` has found out is in conf.d.\n", MODE
            )
        write_whole(file, to_toml(values).encode(), MODE)
    except OSError as error:
        raise ApplianceError(f"{file} cannot be written: {error.strerror}") from None
    return file


# -------------------- TOML


def leaves(
    values: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no table, with its path."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def to_toml(values: Mapping[str, Any]) -> str:
    """The file's text: tables of texts, numbers, truths, and lists of them."""
    return HEAD + "".join(_table(values, ()))


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    if plain:
        if path:
            yield f"\n[{'.'.join(map(_key, path))}]\n"
        yield from (f"{_key(key)} = {_value(value)}\n" for key, value in plain.items())
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _table(value, (*path, key))


def _key(key: str) -> str:
    bare = key and all(one.isascii() and (one.isalnum() or one in "_-") for one in key)
    return key if bare else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
