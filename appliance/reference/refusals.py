"""Why a command may be refused: the codes in the table, and in the rules that carry it out."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from types import FunctionType, ModuleType

import appliance.calls
from appliance.calls.sizes import check_json
from appliance.calls.table import TABLE, Go, Refuse
from appliance.commands import Command
from appliance.errors import Refused
from appliance.model import CallState

LATER: Mapping[str, tuple[str, ...]] = {
    "end_call": ("hang_up_declined",),
    "leave_session": ("hang_up_declined",),
    "start_recording": ("recording_failed",),
    "unlock": ("pin_unavailable", "relay_failed", "relay_unavailable"),
}
"""Codes of what becomes known only after the command was taken."""
ASKED = ("appliance.calls.requests", "ask")
"""A rule that reaches this asks a participant, who may refuse."""


def codes_of(command: type[Command]) -> list[str]:
    """The codes with which the core may refuse a command, sorted."""
    verdicts = [TABLE[state, command.NAME] for state in CallState]
    codes = {verdict.code for verdict in verdicts if isinstance(verdict, Refuse)}
    codes.update(LATER.get(command.NAME, ()))
    rules = {verdict.rule for verdict in verdicts if isinstance(verdict, Go)}
    for rule in {*rules, *_takers(command)}:
        if isinstance(rule, FunctionType):
            for function in _reached(rule):
                if command.arguments() or function is not check_json:
                    codes |= _raised(function)
                if (function.__module__, function.__name__) == ASKED:
                    codes.add("refused")
    return sorted(codes)


@cache
def _functions() -> tuple[FunctionType, ...]:
    """Every function of the core."""
    package = appliance.calls
    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    ]
    return tuple(
        function
        for module in modules
        for function in vars(module).values()
        if isinstance(function, FunctionType) and function.__module__ == module.__name__
    )


def _takers(command: type[Command]) -> Iterator[FunctionType]:
    """The functions of the core that have a parameter for exactly this command."""
    for function in _functions():
        if any(function.__globals__.get(name) is command for name in _annotations(function)):
            yield function


@cache
def _annotations(function: FunctionType) -> frozenset[str]:
    """The names in those of its parameters."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(name for one in parameters for name in re.findall(r"\w+", str(one.annotation)))


def _reached(function: FunctionType) -> set[FunctionType]:
    """The function, and those of the core that it calls, by whatever way."""
    reached, waiting = {function}, [function]
    while waiting:
        for called in _called(waiting.pop()):
            if called not in reached:
                reached.add(called)
                waiting.append(called)
    return reached


@cache
def _nodes(function: FunctionType) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))))


def _called(function: FunctionType) -> Iterator[FunctionType]:
    known = function.__globals__
    for node in _nodes(function):
        match node:
            case ast.Call(func=ast.Name(name)):
                target = known.get(name)
            case ast.Call(func=ast.Attribute(value=ast.Name(module), attr=name)):
                owner = known.get(module)
                target = getattr(owner, name, None) if isinstance(owner, ModuleType) else None
            case _:
                continue
        if isinstance(target, FunctionType) and target.__module__.startswith("appliance.calls"):
            yield target


def _raised(function: FunctionType) -> set[str]:
    """The codes of the `Refused` errors that it raises itself."""
    return {
        code
        for node in _nodes(function)
        for code in _code_of(node)
        if function.__globals__.get("Refused") is Refused
    }


def _code_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Raise(exc=ast.Call(func=ast.Name("Refused"), args=[ast.Constant(str(code)), *_])):
            yield code
