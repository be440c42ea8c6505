"""Turns tables into the configuration's structs, key by key, so that no fault hides another.

What is wrong is left out and reported; the rest is built, so that it can be checked as a whole.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct, structs

from appliance.config import Config, Id
from appliance.errors import did_you_mean
from appliance.loading.findings import Finding, Path

T = TypeVar("T")


class _Wrong:
    """Stands for a value that could not be converted."""


WRONG = _Wrong()


def convert(values: Mapping[str, Any], texts: Mapping[Path, str]) -> tuple[Config, list[Finding]]:
    """The configuration in `values`, without what is wrong in it, and a finding for each of that.

    `texts` has the spelling of values that may also have been meant as a text.
    """
    conversion = _Conversion(texts)
    return conversion.section(Config, values, ()) or Config(), conversion.findings


class _Conversion:
    def __init__(self, texts: Mapping[Path, str]) -> None:
        self.findings: list[Finding] = []
        self._texts = texts

    def section(self, cls: type[T], table: Any, path: Path) -> T | None:
        """An instance of a struct, or None where a value without a default is missing."""
        if not isinstance(table, dict):
            self._found(path, f"{shown(table)} is not a table")
            return None
        hints = _hints(cls)  # type: ignore[arg-type]  # a class is hashable, whatever mypy says
        for key in table.keys() - hints.keys():
            self._found((*path, key), _unknown_key(key, hints))
        made: dict[str, Any] = {}
        needed = set()
        for entry in structs.fields(cls):  # type: ignore[arg-type]  # every caller has a struct
            hint, where = hints[entry.name], (*path, entry.name)
            if entry.required:
                needed.add(entry.name)
            if entry.name in table:
                value = self.value(hint, table[entry.name], where)
                if value is not WRONG:
                    made[entry.name] = value
            elif entry.name in needed:
                self._found(where, f"is missing: {wanted(hint)}")
                if _is_list(hint):
                    made[entry.name] = ()  # so that whoever names this entry is not blamed
        return cls(**made) if made.keys() >= needed else None

    def value(self, hint: Any, value: Any, path: Path) -> Any:
        """`value` as what `hint` says, or WRONG."""
        bare = _bare(hint)
        if isinstance(bare, type) and issubclass(bare, Struct):
            return self.section(bare, value, path) or WRONG
        if get_origin(bare) is dict:
            return self._table(get_args(bare), value, path)
        if _is_list(bare):
            return self._list(get_args(bare)[0], value, path)
        return self._plain(hint, value, path)

    def _table(self, hints: tuple[Any, ...], table: Any, path: Path) -> Any:
        if not isinstance(table, dict):
            self._found(path, f"{shown(table)} is not a table")
            return WRONG
        key_hint, value_hint = hints
        made = {}
        for key, value in table.items():
            try:
                name = msgspec.convert(key, key_hint)
            except msgspec.ValidationError:
                self._found((*path, key), f"the name {_not_wanted(key, key_hint)}")
                continue
            converted = self.value(value_hint, value, (*path, key))
            if converted is not WRONG:
                made[name] = converted
        return made

    def _list(self, hint: Any, values: Any, path: Path) -> Any:
        if not isinstance(values, list):
            self._found(path, f"{shown(values)} is not a list")
            return ()
        made = (self.value(hint, value, (*path, at)) for at, value in enumerate(values))
        return tuple(value for value in made if value is not WRONG)

    def _plain(self, hint: Any, value: Any, path: Path) -> Any:
        spellings = [value, self._texts[path]] if path in self._texts else [value]
        for spelling in spellings:
            try:
                return msgspec.convert(spelling, hint)
            except msgspec.ValidationError:
                continue
        self._found(path, _not_wanted(value, hint))
        return WRONG

    def _found(self, path: Path, sentence: str) -> None:
        self.findings.append(Finding(path, sentence))


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _bare(hint: Any) -> Any:
    """A type without its `Annotated`."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_list(hint: Any) -> bool:
    return get_origin(hint) is tuple and get_args(hint)[1:] == (...,)


# -------------------- sentences


def _unknown_key(key: str, names: Iterable[str]) -> str:
    if f"{key}_file" in names:
        return f"never stands in the configuration itself: put it into a file, named by {key}_file"
    known = [*names]
    near = did_you_mean(key, known)
    return f"there is no such key{near or '; there are ' + ', '.join(known)}"


def _not_wanted(value: Any, hint: Any) -> str:
    near = did_you_mean(value, _choices(hint)) if isinstance(value, str) else ""
    return f"{shown(value)} is not {wanted(hint)}{near}"


def shown(value: Any) -> str:
    """A value as the file has it, but never long."""
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else "a list"
    words = json.dumps(value, ensure_ascii=False, default=str)
    return words if len(words) <= 60 else f"{words[:56]}…"


def wanted(hint: Any) -> str:
    """What a value of this type looks like, in words."""
    if hint == Id:
        return "an id: 1 to 64 of a-z, 0-9, _ and -"
    choices = [*_choices(hint)]
    if choices:
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    bare, limits = _bare(hint), _limits(hint)
    plain = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    if bare in plain:
        return plain[bare] + limits
    if get_origin(bare) in (Union, types.UnionType):
        return " or ".join(wanted(each) for each in get_args(bare) if each is not type(None))
    if get_origin(bare) is tuple:
        parts = get_args(bare)
        return "a list" if parts[1:] == (...,) else f"a list of {len(parts)}"
    return "a table"


def _choices(hint: Any) -> Iterator[str]:
    bare = _bare(hint)
    if get_origin(bare) is Literal:
        yield from get_args(bare)
    elif isinstance(bare, type) and issubclass(bare, Enum):
        yield from (member.value for member in bare)


def _limits(hint: Any) -> str:
    """The bounds of an annotated number: ` from 1 to 65535`, ` above 0 and up to 60`."""
    words = []
    for meta in getattr(hint, "__metadata__", ()):
        words += [f"{word} {limit:g}" for word, limit in (("above", meta.gt),) if limit is not None]
        if meta.ge is not None:
            words.append(f"from {meta.ge}" if meta.le is not None else f"of at least {meta.ge}")
        if meta.le is not None:
            words.append(f"to {meta.le}" if meta.ge is not None else f"and up to {meta.le}")
    return "".join(f" {word}" for word in words)
