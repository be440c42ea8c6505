"""`appliance card`: takes what an owner has written on the card's first partition, on any computer.

`door.txt` (TOML) has the machine's name, its time zone and its Wi-Fi; files that end in `.nmconnection` are
NetworkManager's own. Laws: what was taken is removed from the card, for passwords are in it; what has a
fault is left there, with a sentence for each beside it, and nothing of that file is taken.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from appliance.errors import ConfigError
from appliance.loading.toml import NoToml, parsed
from appliance.whole_file import private_folder, sync_folder, write_whole

FILES = ("door.txt", "door.toml")
FAULTS = "door-faults.txt"
CONNECTION = ".nmconnection"
MAX_BYTES = 64 * 1024
OURS = "appliance-wifi"
"""The name of the connection that is made of `door.txt`: another Wi-Fi takes its place."""
HOSTNAME, ZONE, COUNTRY = "hostname", "zone", "wifi-country"
"""Beside the configuration: read at each start."""
MODE = 0o644
ZONES = Path("/usr/share/zoneinfo")
"""A file for each time zone, by its name."""


class Wifi(Struct, frozen=True, forbid_unknown_fields=True):
    """[wifi] of door.txt."""

    name: Annotated[str, Meta(min_length=1, max_length=32)]
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")]
    password: str | None = None


class Said(Struct, frozen=True, forbid_unknown_fields=True):
    """All of door.txt."""

    name: Annotated[str, Meta(pattern=r"^(?!-)[a-z0-9-]{1,63}(?<!-)\Z")] | None = None
    zone: Annotated[str, Meta(max_length=64)] | None = None
    wifi: Wifi | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """Where things go: `etc` is /etc/appliance, `connections` NetworkManager's folder."""

    etc: Path
    connections: Path
    say: Callable[[str], None] = lambda text: print(text, flush=True)  # noqa: T201

    def take(self, card: Path) -> int:
        """Everything that is on the card; 1 where something of it has faults. Raises OSError."""
        faults = []
        (card / FAULTS).unlink(missing_ok=True)
        for file in sorted(card.iterdir()):
            try:
                if file.name.lower() in FILES:
                    self._door(read(file))
                elif file.suffix.lower() == CONNECTION and not file.name.startswith("."):
                    self._connection(file.name, _bytes(file))
                else:
                    continue
            except ConfigError as error:
                faults += [f"{file.name}: {fault}" for fault in error.faults]
                continue
            file.unlink()
            sync_folder(card)
            self.say(f"{file.name} was taken from the card.")
        if faults:
            text = "".join(f"{fault}\n" for fault in faults)
            self.say(f"Of what is on the card this was not taken:\n{text}")
            (card / FAULTS).write_text(text, "utf-8", newline="\r\n")  # also for an old Notepad
        return 1 if faults else 0

    def _door(self, said: Said) -> None:
        if said.wifi is not None:
            self._connection(f"{OURS}{CONNECTION}", keyfile(said.wifi).encode())
            write_whole(self.etc / COUNTRY, f"{said.wifi.country}\n".encode(), MODE)
        if said.zone is not None:
            write_whole(self.etc / ZONE, f"{said.zone}\n".encode(), MODE)
        if said.name is not None:
            write_whole(self.etc / HOSTNAME, f"{said.name}\n".encode(), MODE)

    def _connection(self, name: str, data: bytes) -> None:
        """NetworkManager reads none that anybody else might have written, or may read."""
        private_folder(self.connections)
        write_whole(self.connections / name, data)


def read(file: Path) -> Said:
    """What `door.txt` says. Raises ConfigError."""
    try:
        said = msgspec.convert(parsed(_bytes(file).decode("utf-8-sig")), Said)
    except UnicodeDecodeError:
        raise ConfigError(["is not UTF-8: save it as such"]) from None
    except NoToml as error:
        raise ConfigError([str(error)]) from None
    except msgspec.ValidationError as error:
        raise ConfigError([str(error)]) from None
    if faults := [*_of_zone(said.zone), *_of_wifi(said.wifi)]:
        raise ConfigError(faults)
    return said


def _of_zone(zone: str | None) -> Iterator[str]:
    if zone is not None and not is_zone(zone):
        yield f"zone: {zone!r} is no time zone of {ZONES}, such as 'Europe/Berlin'"


def is_zone(name: str) -> bool:
    """Whether this machine knows that time zone, as the image's `zone` asks, which puts it into it."""
    if not re.fullmatch(r"[\w+-][\w/+-]*", name, re.ASCII):
        return False
    try:
        with (ZONES / name).open("rb") as data:
            return data.read(4) == b"TZif"  # tzfile(5)
    except OSError:
        return False


def _of_wifi(wifi: Wifi | None) -> Iterator[str]:
    if wifi is None:
        return
    if len(wifi.name.encode()) > 32:
        yield "the name of a Wi-Fi has 32 bytes at most"
    word = wifi.password
    if word is not None and not re.fullmatch(r"[ -~]{8,63}", word):
        yield (
            "the password of a Wi-Fi has 8 to 63 letters of ASCII: it is not the key of 64 hexadecimal"
            " digits that is made of it, which iwd does not take"
        )


def keyfile(wifi: Wifi) -> str:
    """The connection, as NetworkManager keeps it (nm-settings-keyfile(5))."""
    # as bytes: a text that has a semicolon in it would be read as a list
    name = "".join(f"{byte};" for byte in wifi.name.encode())
    sections = {
        "connection": {
            "id": OURS,
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, OURS)),
            "type": "wifi",
            "autoconnect-retries": "0",  # without end: a router may be away for long
        },
        "wifi": {"mode": "infrastructure", "ssid": name},
        **(
            {"wifi-security": {"key-mgmt": "wpa-psk", "psk": _escaped(wifi.password)}}
            if wifi.password
            else {}
        ),
        "ipv4": {"method": "auto"},
        "ipv6": {"method": "auto"},
    }
    return "\n".join(
        f"[{section}]\n" + "".join(f"{key}={value}\n" for key, value in values.items())
        for section, values in sections.items()
    )


def _escaped(text: str) -> str:
    """As a key file has it: blanks at its ends are lost otherwise."""
    plain = text.replace("\\", "\\\\")
    inner = plain.strip(" ")
    before = len(plain) - len(plain.lstrip(" "))
    return "\\s" * before + inner + "\\s" * (len(plain) - before - len(inner))


def _bytes(file: Path) -> bytes:
    """A small file. Raises ConfigError."""
    if not file.is_file() or file.stat().st_size > MAX_BYTES:
        raise ConfigError(["is no small file"])
    return file.read_bytes()
