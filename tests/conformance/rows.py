"""The vocabulary as rows: whatever has to be seen, by its name, and what has been seen of it.

A row is a text such as `event:session_joined`, `enum:call_end_reason=idle` or `command:unlock@mqtt`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from msgspec import Struct

from appliance import model
from appliance.commands import COMMANDS, Command
from appliance.events import EVENTS
from appliance.listeners import DECISIONS
from appliance.model import CallSettings

OUTLETS = ("button", "socket", "ctl", "mqtt", "python")
"""Where a command can be given."""

NEVER_PLAIN = ("generate_token", "start_session")
"""What nobody can ask for over MQTT in plain words."""

NEVER_WRONG = ("set_layout", "show_participant_list")
"""What is refused only for a value that there is not, where one can be written."""

CAUSED_HERE = (
    "unknown",
    "generic",
    "invalid_id",
    "permission_not_granted",
    "zero_capture_fps",
    "device_occupied",
    "device_unplugged",
    "reboot_required",
    "media_services_were_lost",
    "sound_level_too_low",
    "interruption",
    "by_system_pressure",
)
"""The device exceptions that this device's own devices can raise; the others are a phone's."""

ENUMERATIONS: dict[str, type[StrEnum]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): found
    for name, found in vars(model).items()
    if isinstance(found, type) and issubclass(found, StrEnum) and found is not StrEnum
}
"""Every enumeration of the vocabulary, by its name there."""

_hints = cache(get_type_hints)
_NAMES = {found: name for name, found in ENUMERATIONS.items()}


def rows() -> Iterator[str]:
    """Everything that has to be seen."""
    yield from (f"event:{name}" for name in EVENTS)
    for name, enumeration in ENUMERATIONS.items():
        yield from (f"enum:{name}={value}" for value in enumeration)
    yield from (f"cause:{exception}" for exception in CAUSED_HERE)
    yield from (f"setting:{name}" for name in CallSettings.__struct_fields__)
    yield from (f"decision:{name}" for name in DECISIONS)
    for name in COMMANDS:
        for outlet in OUTLETS:
            yield f"command:{name}@{outlet}"
            if outlet in ("socket", "ctl", "mqtt") or name not in NEVER_WRONG:
                yield f"refusal:{name}@{outlet}"


def values_of_event(item: Mapping[str, Any]) -> Iterator[str]:
    """The rows of the enumeration values that stand anywhere in an event's data."""
    event = EVENTS[str(item["type"]).removeprefix("appliance.")]
    if event.NAME.startswith("local_") and item["data"]["type"] is not None:
        yield f"cause:{item['data']['type']}"
    hints = _hints(event)
    for name in event.data_fields():
        yield from values(item["data"][name], hints[name])


def values_of_command(command: Command) -> Iterator[str]:
    """The rows of the enumeration values that stand in a command's arguments."""
    hints = _hints(type(command))
    for name in command.arguments():
        yield from values(getattr(command, name), hints[name])


def values_of_status(status: Mapping[str, Any]) -> Iterator[str]:
    """The rows of the enumeration values that the status shows."""
    call = status["call"]
    yield from values(status["calls"], tuple[model.Call, ...])
    if call is not None:
        yield from values(call["participants"], tuple[model.Participant, ...])
    yield from values(status["screen"].get("showing"), model.Situation | None)
    yield from values(status["screen"]["layout"], model.Layout)
    yield from values(status["panel"]["notice"], model.Notice | None)
    yield from values(status["media"].get("audio_mode"), model.AudioMode | None)
    yield from values(status["media"].get("camera_facing"), model.CameraFacing | None)


def values(value: Any, hint: Any) -> Iterator[str]:
    """The rows of the enumeration values in a JSON value of that type."""
    if value is None:
        return
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        yield f"enum:{_NAMES[hint]}={hint(value)}"
    elif isinstance(hint, type) and issubclass(hint, Struct):
        hints = _hints(hint)
        for name, entry in value.items():
            yield from values(entry, hints[name])
    elif get_origin(hint) is tuple:
        for entry in value:
            yield from values(entry, get_args(hint)[0])
    else:
        options = [one for one in get_args(hint) if one is not type(None)]
        for option in options if len(options) == 1 else ():
            yield from values(value, option)
