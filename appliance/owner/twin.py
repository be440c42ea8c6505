"""Whether the device of a backup is still at the broker: two with one key would throw one another out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from appliance.config import Mqtt
from appliance.errors import ApplianceError
from appliance.loading.reading import read as read_config
from appliance.owner.baggage import CREDSTORE, ETC, MAIN, OF_BROKER, STATE, Baggage, Target
from appliance.owner.places import Places
from appliance.service.doctor.knocking import kept as kept_at_broker
from appliance.signaling.presence import kid_of as kid_of_presence
from appliance.signaling.rejected import Rejected
from appliance.whole_file import private_folder, write_whole

Kept = Callable[[Mqtt, str, str], dict[str, bytes] | None]
"""What a broker keeps under topics, for a device of that id; None where it cannot be asked."""


def refuse_twin(content: Baggage, target: Target, kept: Kept = kept_at_broker) -> None:
    """Two devices with one key would throw one another out at the broker, and answer in turn.

    Raises ApplianceError where it is there; where nobody can be asked it says so.
    """
    device = content.device_id
    with _reaching_the_broker(content, target) as mqtt:
        told = kept(mqtt, device, f"{mqtt.root}/presence/{device}/+")
    if told is None:
        _say(
            f"note: the broker {mqtt.host} cannot be asked whether the old device is still there: see"
            " that it is off, for good."
        )
    elif content.kid in map(_kid, told.values()):
        raise ApplianceError(
            f"{device} is at the broker now, with this very key: switch the old one off first. If that was"
            " a moment ago, the broker notices within half a minute; --twin goes on all the same"
        )


def _kid(presence: bytes) -> str | None:
    try:
        return kid_of_presence(presence)
    except Rejected:
        return None


@contextmanager
def _reaching_the_broker(content: Baggage, target: Target) -> Iterator[Mqtt]:
    """How that device reaches its broker, with what is needed for it in a folder for the while."""
    with TemporaryDirectory(prefix="appliance-", dir=_in_memory()) as name:
        folder = Path(name)
        moved = Target(
            Places(folder / ETC / MAIN, folder / STATE, {}, folder / CREDSTORE), folder / OF_BROKER
        )
        for each, one in content.files.items():
            if each.startswith((f"{ETC}/", f"{CREDSTORE}/")):
                private_folder(moved.path(each).parent)
                write_whole(moved.path(each), one.data)
        given = folder / "given"  # as systemd gives them to the unit
        given.mkdir()
        for file in (folder / CREDSTORE).glob("appliance.*"):
            file.rename(given / file.name.removeprefix("appliance."))
        environ = {"STATE_DIRECTORY": str(folder / STATE), "CREDENTIALS_DIRECTORY": str(given)}
        mqtt = read_config(folder / ETC / MAIN, environ).config.mqtt
        etc = target.places.file.parent
        yield replace(
            mqtt,
            **{
                key: str(folder / ETC / Path(value).relative_to(etc))
                for key in ("ca_file", "cert_file", "key_file", "password_file")
                if (value := getattr(mqtt, key)) and Path(value).is_relative_to(etc)
            },
        )


def _in_memory() -> str | None:
    """A folder that no disk has, where there is one: secrets lie there for a moment."""
    folder = "/dev/shm"  # noqa: S108 - the folder below it is made for this user alone
    return folder if os.access(folder, os.W_OK) else None


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
