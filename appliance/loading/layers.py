"""Merges the configuration's layers, later over earlier: the file, its conf.d, the environment.

A value keeps its origin, so that a fault can name the file that has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from string import Template
from typing import Any

from appliance.loading.findings import Path
from appliance.loading.toml import NoToml, parsed

DEFAULT_FILE = FilePath("/etc/appliance/appliance.toml")
PREFIX = "APPLIANCE__"


@dataclass(slots=True)
class Layers:
    """What all layers together say, and where each part of it comes from."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    """The file, or the environment variable, that set a path last."""
    texts: dict[Path, str] = field(default_factory=dict)
    """How a value of the environment was spelled: `42` may have been meant as a text."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Files that could not be read: each with its sentence."""

    def origin(self, path: Path) -> str:
        """Who set `path`, or else the nearest table around it."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, "")


def read_layers(file: FilePath | None, environ: Mapping[str, str]) -> Layers:
    """Read `file` (else `DEFAULT_FILE`), `conf.d/*.toml` beside it, and `environ`."""
    main = DEFAULT_FILE if file is None else file
    layers = Layers(origins={(): str(main)})
    for each in [main, *sorted((main.parent / "conf.d").glob("*.toml"))]:
        _merge(layers, _read_file(layers, each), str(each), each.parent, environ)
    for name in sorted(environ):
        if name.startswith(PREFIX):
            _read_variable(layers, name, environ)
    return layers


def _read_file(layers: Layers, file: FilePath) -> dict[str, Any]:
    try:
        return parsed(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "" if file != DEFAULT_FILE else " (config/appliance.toml shows what it may hold)"
        fault = f"there is no such file{hint}"
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8 at byte {error.start}"
    except NoToml as error:
        fault = str(error)
    layers.faults.append((str(file), fault))
    return {}


def _read_variable(layers: Layers, name: str, environ: Mapping[str, str]) -> None:
    """One `APPLIANCE__SECTION__KEY`: a TOML value, or else a text."""
    path = tuple(part.lower() for part in name.removeprefix(PREFIX).split("__"))
    if not all(path):
        layers.faults.append((name, "is not spelled APPLIANCE__SECTION__KEY"))
        return
    text = environ[name]
    value: Any = _toml_value(text)
    if not isinstance(value, str):
        layers.texts[path] = text
    for part in reversed(path):
        value = {part: value}
    _merge(layers, value, name, FilePath.cwd(), environ)


def _toml_value(text: str) -> Any:
    try:
        found = parsed(f"value = {text}")
    except NoToml:
        return text
    return found["value"] if found.keys() == {"value"} else text


def _merge(
    layers: Layers,
    values: Mapping[str, Any],
    origin: str,
    folder: FilePath,
    environ: Mapping[str, str],
) -> None:
    """Lay `values` over what is there: table by table, everything else replaced as a whole."""
    for path, value in _leaves(values):
        table = layers.values
        for part in path[:-1]:
            inner = table.get(part)
            if not isinstance(inner, dict):
                inner = table[part] = {}
            table = inner
        if value == {} and isinstance(table.get(path[-1]), dict):
            continue
        table[path[-1]] = _located(path[-1], value, folder, environ)
        for depth in range(1, len(path)):
            layers.origins.setdefault(path[:depth], origin)
        layers.origins[path] = origin


def _leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Every value that is not a filled table, with its path."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _located(key: str, value: Any, folder: FilePath, environ: Mapping[str, str]) -> Any:
    """A file's name made absolute: `$NAME` from `environ`, the rest from the file's folder."""
    if isinstance(value, list):
        return [
            {k: _located(k, v, folder, environ) for k, v in item.items()}
            if isinstance(item, dict)
            else item
            for item in value
        ]
    if not isinstance(value, str) or not value or not key.endswith(("_file", "directory")):
        return value
    filled = Template(value).safe_substitute(environ)
    if filled.startswith("$"):
        return filled
    return os.path.normpath(folder.absolute() / os.path.expanduser(filled))  # noqa: PTH111 - does not raise
