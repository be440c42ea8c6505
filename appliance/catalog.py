"""The vocabulary as one JSON document, made from the classes that are the vocabulary."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from msgspec import Struct, structs

from appliance.commands import COMMANDS
from appliance.events import EVENTS
from appliance.model import (
    AudioMode,
    AvatarMode,
    CalleeState,
    CallEndReason,
    CallSettings,
    CallState,
    CallType,
    CameraFacing,
    CancelReason,
    DeviceException,
    Gesture,
    Layout,
    ParticipantLeftReason,
    ReceiverType,
    RejectReason,
    SessionStateReason,
)

ENUMERATIONS: tuple[type[StrEnum], ...] = (
    AudioMode,
    AvatarMode,
    CallEndReason,
    CallState,
    CallType,
    CalleeState,
    CameraFacing,
    CancelReason,
    DeviceException,
    Gesture,
    Layout,
    ParticipantLeftReason,
    ReceiverType,
    RejectReason,
    SessionStateReason,
)
"""Those whose values stand in events and commands; the others are this device's own."""


def catalog() -> dict[str, Any]:
    """`{"events", "commands", "settings", "enums"}`: every name that a program may meet or use."""
    return {
        "events": [
            {"name": name, "family": event.FAMILY, "data": [*event.data_fields()]}
            for name, event in EVENTS.items()
        ],
        "commands": [
            {"name": name, "args": [*command.arguments()]} for name, command in COMMANDS.items()
        ],
        "settings": [
            {"name": setting.name, "default": _plain(setting.default)}
            for setting in structs.fields(CallSettings)
        ],
        "enums": {
            _snake_case(enumeration.__name__): [member.value for member in enumeration]
            for enumeration in ENUMERATIONS
        },
    }


def _plain(value: Any) -> Any:
    """A default as JSON has it."""
    if isinstance(value, Struct):
        return structs.asdict(value)
    return list(value) if isinstance(value, tuple) else value


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
