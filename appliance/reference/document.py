"""The reference as one Markdown document, a function for each of its sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, get_type_hints

from msgspec import NODEFAULT, Struct, structs

from appliance import listeners, model
from appliance.catalog import ENUMERATIONS
from appliance.commands import COMMANDS, Command
from appliance.config import CallSection
from appliance.events import EVENTS, Event
from appliance.model import (
    Call,
    CallDirection,
    Callee,
    Caller,
    CallSettings,
    Participant,
    ParticipantState,
    Receiver,
)
from appliance.reference import elsewhere, examples, prose, refusals
from appliance.reference.spelling import (
    default_of,
    row,
    said_beside,
    sentence_of,
    signature_of,
    snake_case,
    summary_of,
    table,
    type_of,
)
from appliance.reporting.mqtt import FAMILIES

OBJECTS: tuple[type[Struct], ...] = (Call, Callee, Caller, Receiver, Participant)
IN_OBJECTS: tuple[type[StrEnum], ...] = (CallDirection, ParticipantState)
"""Enumerations that stand in objects only, and not in the catalog."""


def document() -> str:
    """All of it."""
    sections = (
        [prose.INTRODUCTION],
        _events(),
        _objects(),
        _commands(),
        _settings(),
        _decisions(),
        _enumerations(),
    )
    return "\n".join(line for section in sections for line in section).rstrip() + "\n"


# -------------------- events


def _events() -> Iterator[str]:
    yield prose.EVENTS_BEGIN
    yield f"```json\n{examples.cloudevent('session_joined')}\n```\n"
    for family, level in FAMILIES.items():
        events = [event for event in EVENTS.values() if family == event.FAMILY]
        listener = getattr(listeners, family)
        yield f"### {family}\n"
        yield f"{summary_of(listener)} On MQTT `event/{level}/<name>`.\n"
        yield from table("event", "fires", *elsewhere.DOCUMENTS.values())
        for event in events:
            link = f"[`{event.NAME}`](#{event.NAME})"
            yield row(link, sentence_of(event), *elsewhere.by_document(event.SEEDS))
        yield ""
        for event in events:
            yield from _event(event, listener, level)


def _event(event: type[Event], listener: type[listeners.Listener], level: str) -> Iterator[str]:
    yield f"#### {event.NAME}\n"
    yield f"{sentence_of(event)}\n"
    hints = get_type_hints(event)
    for name in event.data_fields():
        yield f"- `{name}`: {type_of(hints[name])}"
    yield f"- Python: `{signature_of(getattr(listener, f'on_{event.NAME}'))}`"
    yield f"- MQTT: `<root>/device/<device_id>/event/{level}/{event.NAME}`"
    yield f"- example: `{examples.data_of(examples.example(event))}`\n"


def _objects() -> Iterator[str]:
    yield "## Objects\n"
    for kind in OBJECTS:
        yield f"### {kind.__name__}\n"
        yield f"{sentence_of(kind)}\n"
        yield from table("field", "type")
        hints = get_type_hints(kind)
        for name in kind.__struct_fields__:
            yield row(f"`{name}`", type_of(hints[name]))
        yield ""


# -------------------- commands


def _commands() -> Iterator[str]:
    yield prose.COMMANDS_BEGIN
    columns = ("command", "what it does", "arguments", "result", "refused with", "elsewhere")
    yield from table(*columns)
    for command in COMMANDS.values():
        yield row(
            f"`{command.NAME}`",
            sentence_of(command),
            "<br>".join(_arguments(command)),
            " ".join(f"`{key}`" for key in command.RESULT),
            " ".join(f"`{code}`" for code in refusals.codes_of(command)),
            elsewhere.in_words(command.SEEDS),
        )
    yield ""


def _arguments(command: type[Command]) -> Iterator[str]:
    hints = get_type_hints(command)
    for field in structs.fields(command):
        needed = "required" if field.required else default_of(field.default)
        yield f"`{field.name}`: {type_of(hints[field.name])}, {needed}"


# -------------------- settings and decisions


def _settings() -> Iterator[str]:
    yield prose.SETTINGS_BEGIN
    yield from table("setting", "type", "default", "what it does", "elsewhere")
    yield from _fields(CallSettings, CallSettings.__struct_fields__)
    container = model.MainVideoContainer
    yield from _fields(container, container.__struct_fields__, "main_video_container.")
    yield f"\n{prose.OWN_SETTINGS_BEGIN}"
    yield from table("key", "type", "default", "what it does", "elsewhere")
    own = [name for name in said_beside(CallSection) if name not in CallSettings.__struct_fields__]
    yield from _fields(CallSection, own)
    yield ""


def _fields(kind: type[Struct], names: Iterable[str], prefix: str = "") -> Iterator[str]:
    hints, said = get_type_hints(kind), said_beside(kind)
    defaults = {field.name: field.default for field in structs.fields(kind)}
    for name in names:
        yield row(
            f"`{prefix}{name}`",
            _setting_type(hints[name]),
            "" if defaults[name] is NODEFAULT else default_of(defaults[name]),
            said[name],
            elsewhere.in_words(elsewhere.SETTINGS.get(name, ())),
        )


def _setting_type(hint: Any) -> str:
    is_object = isinstance(hint, type) and issubclass(hint, Struct)
    return "object" if is_object else type_of(hint)


def _decisions() -> Iterator[str]:
    yield prose.DECISIONS_BEGIN
    yield from table("decision", "asked", "Python", "elsewhere")
    for name in listeners.DECISIONS:
        method = getattr(listeners.CallListener, name)
        words = elsewhere.in_words(elsewhere.DECISIONS[name])
        yield row(f"`{name}`", sentence_of(method), f"`{signature_of(method)}`", words)
    yield ""


# -------------------- enumerations


def _enumerations() -> Iterator[str]:
    yield "## Enumerations\n"
    for kind in (*ENUMERATIONS, *IN_OBJECTS):
        yield from _enumeration(kind)


def _enumeration(kind: type[StrEnum]) -> Iterator[str]:
    name, said = snake_case(kind.__name__), said_beside(kind)
    names = elsewhere.ENUMERATIONS.get(name, {})
    yield f"### {name}\n"
    yield f"{sentence_of(kind)}\n"
    yield from table("value", "meaning", "elsewhere")
    for member in kind:
        words = elsewhere.in_words(names.get(member.value, ()))
        yield row(f"`{member.value}`", said.get(member.name, ""), words)
    yield ""
