"""How types, defaults and docstrings of the vocabulary are spelled for people who read no Python."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from msgspec import Struct

from appliance.bus import to_json

WORDS: Mapping[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    datetime: "time",
    Any: "any JSON",
}


def snake_case(name: str) -> str:
    """A class's name as an enumeration is called."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def type_of(hint: Any) -> str:
    """A field's type in words, with links to the enumeration or object that it is."""
    if hint in WORDS:
        return WORDS[hint]
    arguments = get_args(hint)
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        options = [type_of(one) for one in arguments if one is not NoneType]
        return " or ".join([*options, *(["null"] if NoneType in arguments else [])])
    if origin is Literal:
        return " or ".join(f"`{option}`" for option in arguments)
    if origin is tuple:
        return f"list of {type_of(arguments[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "object"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        name = snake_case(hint.__name__)
        return f"[{name}](#{name})"
    if isinstance(hint, type) and issubclass(hint, Struct):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    raise ValueError(f"there are no words for the type {hint}")


def default_of(value: Any) -> str:
    """A default as it is written in JSON."""
    return f"`{json.dumps(to_json(value))}`"


def sentence_of(documented: Any) -> str:
    """A docstring on one line."""
    return " ".join((inspect.getdoc(documented) or "").split())


def summary_of(documented: Any) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def signature_of(method: Callable[..., Any]) -> str:
    """A method as one overrides it, without self: `on_session_left(session_id: str, …)`."""
    parameters = [
        f"{parameter.name}: {parameter.annotation}"
        for parameter in inspect.signature(method).parameters.values()
        if parameter.name != "self"
    ]
    return f"{method.__name__}({', '.join(parameters)})"


def said_beside(cls: type) -> dict[str, str]:
    """The texts that stand below the members of a class, which Python does not keep."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    said: dict[str, str] = {}
    for member, text in zip(definition.body, definition.body[1:], strict=False):
        match member, text:
            case (
                ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)),
                ast.Expr(ast.Constant(str(words))),
            ):
                said[name] = " ".join(words.split())
    return said


def row(*cells: str) -> str:
    """A row of a table; what would end a cell is escaped."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def table(*columns: str) -> list[str]:
    """The head of a table."""
    return [row(*columns), row(*("---" for _ in columns))]
