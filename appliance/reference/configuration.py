"""The reference of the configuration (docs/configuration.md): each key, its values, default and purpose.

Names, values, limits and defaults are those of the classes in `config.py`, and so is what a key is for,
beside its field; where nothing stands there, the documented configuration's comment says it. What stands
above a table in that file stands above it here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct, structs

from appliance.config import Config
from appliance.loading.conversion import wanted
from appliance.loading.shipped import shipped
from appliance.reference import prose
from appliance.reference.documented import Part, parts
from appliance.reference.spelling import default_of, row, said_beside, summary_of, table

Path = tuple[str, ...]
ANY = "*"
"""Stands in a path for a name that the owner chooses."""


def configuration() -> str:
    """All of it."""
    said = Comments(parts(shipped("appliance.toml").read_text(encoding="utf-8").splitlines()))
    sections = [*_sections(Config, ())]
    lines = [prose.CONFIGURATION_BEGIN, *_contents(sections)]
    for path, kind in sections:
        lines += _section(path, kind, said)
    return "\n".join(lines).rstrip() + "\n"


class Comments:
    """What the documented configuration says of each table and key."""

    def __init__(self, found: list[Part]) -> None:
        self.prose: dict[Path, list[str]] = {}
        self.keys: dict[Path, str] = {}
        self.examples: dict[Path, str] = {}
        waiting: list[str] = []
        where: Path = ()
        begun = False
        for part in found:
            if part.kind == "prose":
                waiting.append(part.text)
            elif part.kind == "gap" and not begun:
                waiting = []  # of the file as a whole
            elif part.kind == "table":
                begun, where = True, place(part.title)
                self._add(where, [*waiting, part.text])
                waiting = []
            elif part.kind == "key":
                self._add(where, waiting)
                waiting = []
                self._key(where, part)

    def _add(self, where: Path, texts: list[str]) -> None:
        self.prose.setdefault(where, []).extend(text for text in texts if text)

    def _key(self, where: Path, part: Part) -> None:
        name, _, value = part.title.partition(" = ")
        path = (*where, name.strip('"'))
        if part.text:
            self.keys.setdefault(path, part.text)
        if not part.default:
            self.examples.setdefault(path, value)


def place(title: str) -> Path:
    """Where the table of a title lies in the configuration: `[buttons.call]` is `("buttons", "*")`."""
    path: list[str] = []
    hint: Any = Config
    for name in title.strip("[]").split("."):
        if get_origin(hint) is dict:
            hint = get_args(hint)[1]
            path.append(ANY)
            continue
        hint = get_type_hints(hint)[name]
        path.append(name)
        if get_origin(hint) is tuple:
            hint = get_args(hint)[0]
    return tuple(path)


def _sections(kind: type[Struct], path: Path) -> Iterator[tuple[Path, type[Struct]]]:
    """Each table of the configuration, in order, with the class of what stands in it."""
    if path:
        yield path, kind
    for name, hint in get_type_hints(kind).items():
        if (inner := _struct(hint)) is not None:
            names = (name, ANY) if get_origin(hint) is dict else (name,)
            yield from _sections(inner, (*path, *names))


def _struct(hint: Any) -> type[Struct] | None:
    """The class of the tables below a key, if there are any."""
    inner = get_args(hint)[-1] if get_origin(hint) is dict else hint
    if get_origin(inner) is tuple:
        inner = get_args(inner)[0]
    return inner if isinstance(inner, type) and issubclass(inner, Struct) else None


def _title(path: Path, kind: type[Struct]) -> str:
    """As it is written in the file; the class's text begins with it where names are the owner's."""
    told = re.match(r"(\[\S+\](?: \[\S+\])*): ", summary_of(kind))
    return told[1] if told else f"[{'.'.join(path)}]"


def _contents(sections: list[tuple[Path, type[Struct]]]) -> Iterator[str]:
    links = [f"[`{_title(path, kind)}`](#{'-'.join(_anchor(path))})" for path, kind in sections]
    yield " · ".join(links) + "\n"


def _anchor(path: Path) -> Path:
    return tuple(name for name in path if name != ANY)


def _section(path: Path, kind: type[Struct], said: Comments) -> Iterator[str]:
    title = _title(path, kind)
    yield f'## <a id="{"-".join(_anchor(path))}"></a>`{title}`\n'
    sentence = summary_of(kind).removeprefix(f"{title}: ")
    yield f"{sentence[:1].upper()}{sentence[1:]}\n"
    for where, texts in said.prose.items():
        inner = where[: len(path)] == path and _struct_at(where) is kind
        for text in texts if inner else ():
            yield f"{_sentence(text).rstrip('.')}.\n"
    hints, beside = get_type_hints(kind, include_extras=True), _beside(kind)
    yield from table("key", "value", "default", "what it is for")
    for field in structs.fields(kind):
        if _struct(hints[field.name]) is not None:
            continue
        where = (*path, field.name)
        yield row(
            f"`{field.name}`",
            values(hints[field.name]),
            _default(field, said.examples.get(where)),
            _sentence(beside.get(field.name) or said.keys.get(where, "")),
        )
    yield ""


def _struct_at(where: Path) -> type[Struct]:
    """The class of the table in which a path lies: that of `("leds", "*", "patterns")` is an LED's."""
    kind: type[Struct] = Config
    for name in where:
        if name != ANY:
            kind = _struct(get_type_hints(kind)[name]) or kind
    return kind


def _beside(kind: type[Struct]) -> dict[str, str]:
    """What stands beside the fields of a class and of those that it extends."""
    said: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base is not Struct and issubclass(base, Struct):
            said.update(said_beside(base))
    return said


def values(hint: Any) -> str:
    """What may stand behind a key, in words."""
    arguments = [each for each in get_args(hint) if each is not NoneType]
    if get_origin(hint) in (Union, UnionType):
        pin = ["a pin"] if {str, int} <= {*arguments} else []
        others = [each for each in arguments if not pin or each not in (str, int)]
        return " or ".join([*pin, *map(values, others)])
    if get_origin(hint) is tuple:
        one = values(arguments[0]).removeprefix("a ").removeprefix("an ")
        return f"a list of {one}" if arguments[-1] is Ellipsis else f"a list of {len(arguments)}"
    words = wanted(hint)
    if words.startswith("one of "):
        return " ".join(f"`{word}`" for word in words.removeprefix("one of ").split(", "))
    return words


def _default(field: structs.FieldInfo, example: str | None) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    if value is None:
        return f"none; such as `{example}`" if example else "none"
    return default_of(value)


def _sentence(text: str) -> str:
    return _plain(text[:1].upper() + text[1:])


def _plain(text: str) -> str:
    """Words that mean nothing to Markdown, but for what is code."""
    pieces = text.split("`")
    pieces[::2] = [re.sub(r"([<>*_])", r"\\\1", piece) for piece in pieces[::2]]
    return "`".join(pieces)
