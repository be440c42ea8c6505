"""What moves from a device to its successor: which files, from where, and what stays behind.

Keys, contacts, configuration and what the broker of the house knows go along. What is about people who
rang goes only if it is asked for; recordings never do.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from appliance.broker.places import CONFIGURATION
from appliance.broker.places import FOLDER as BROKER
from appliance.broker.told import configurations, is_told
from appliance.config import Config
from appliance.errors import ApplianceError
from appliance.loading.layers import read_layers
from appliance.owner.places import Places
from appliance.owner.sealed import CannotBeOpened
from appliance.service.doctor.machine import ThisMachine
from appliance.signaling.sequence import FILE as SEQUENCE
from appliance.trust import authority, book, keys
from appliance.whole_file import NEW

ETC, STATE, CREDSTORE, OF_BROKER, UNIT = "etc", "state", "credstore", "broker", "unit"
KINDS = (OF_BROKER, CREDSTORE, UNIT, ETC, STATE)
"""Folders in the baggage; in the order in which they are unpacked."""
MAIN = "appliance.toml"
"""What the configuration is called in it, whatever it was called."""
CALLS = f"{STATE}/calls/"
KEY = f"{STATE}/{keys.FILE}"
CONTACTS = f"{STATE}/{book.FILE}"
SEQUENCE_FILE = f"{STATE}/{SEQUENCE}"
OF_DAEMON, OF_MOSQUITTO = "appliance.service.d", "mosquitto.service.d"
"""Whose drop-ins go along, an owner's own: in folders of `UNIT`."""
CREDENTIAL_KEY = f"{CREDSTORE}/appliance.{keys.CREDENTIAL}"

MAX_FILE, MAX_FILES = 64 * 1024**2, 10_000
ASIDE = ".before-restore"
_PART = r"[A-Za-z0-9@_+-][A-Za-z0-9@._+-]*"
_NAME = re.compile(
    rf"(etc|state|credstore|broker)(/{_PART})+|unit/(appliance|mosquitto)\.service\.d/{_PART}\.conf"
)
"""What a file in the baggage may be called: no way leads out of its folder."""


class Packed(Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    data: bytes
    mode: int
    digest: str
    whose: tuple[str, str] | None = None
    """User and group, of what lies beside the configuration: the daemon reads a key there by its group."""


class Baggage(Struct, frozen=True, forbid_unknown_fields=True):
    """All of it, and whose it is."""

    device_id: str
    kid: str
    host: str
    version: str
    made_at_ms: int
    files: dict[str, Packed] = field(default_factory=dict)
    left_behind: tuple[str, ...] = ()
    """Sentences about what the successor has to be given by other hands."""
    broker_in_use: bool = True
    """Whether mosquitto was told of the broker's folder, where that is in it; older ones do not say."""

    @property
    def has_broker(self) -> bool:
        """Whether the old device was its own broker."""
        return self.broker_in_use and f"{OF_BROKER}/{CONFIGURATION}" in self.files


@dataclass(frozen=True, slots=True)
class Target:
    """Where each folder of the baggage goes on a machine."""

    places: Places
    broker: Path = BROKER

    def path(self, name: str) -> Path:
        """The file that one of the baggage becomes."""
        kind, _, rest = name.partition("/")
        if name == f"{ETC}/{MAIN}":
            return self.places.file
        folder = {
            ETC: self.places.file.parent,
            STATE: self.places.state,
            CREDSTORE: self.places.credstore,
            OF_BROKER: self.broker,
            UNIT: self.places.units,
        }[kind]
        return folder / rest


def packed(data: bytes, mode: int, whose: tuple[str, str] | None = None) -> Packed:
    """A file as it goes into the baggage."""
    return Packed(data, stat.S_IMODE(mode) & 0o777, hashlib.sha256(data).hexdigest(), whose)


def in_use(broker: Path) -> bool:
    """Whether this machine's mosquitto is told of that folder."""
    machine = ThisMachine()
    return is_told(broker, machine.names, machine.text)


def found(
    places: Places, config: Config, *, calls: bool = False, broker: Path = BROKER
) -> dict[str, Packed]:
    """Every file that goes along, by its name in the baggage.

    Raises ApplianceError where one cannot be read, or is too large.
    """
    files: dict[str, Packed] = {}
    for name, file in _wanted(places, config, calls, broker):
        try:
            status = file.lstat()
            if not stat.S_ISREG(status.st_mode) or not _NAME.fullmatch(name):
                continue
            if status.st_size > MAX_FILE or len(files) >= MAX_FILES:
                raise ApplianceError(f"{file} is too much for a backup: move it elsewhere")
            whose = _whose(status) if name.startswith(f"{ETC}/") else None
            files[name] = packed(file.read_bytes(), status.st_mode, whose)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ApplianceError(f"{file} cannot be read ({error.strerror}): ask as root") from None
    return files


def _wanted(
    places: Places, config: Config, calls: bool, broker: Path
) -> Iterator[tuple[str, Path]]:
    state = places.state
    yield f"{ETC}/{MAIN}", places.file
    for file in _below(places.drop_ins):
        yield f"{ETC}/conf.d/{file.relative_to(places.drop_ins)}", file
    etc = places.file.parent
    mine = _below(etc) if etc.name == "appliance" else []  # a folder of this program's own
    named = [Path(file) for _, file in named_files(places)]
    for file in (*mine, *(one for one in named if one.is_relative_to(etc))):
        yield f"{ETC}/{file.relative_to(etc)}", file
    for name in (SEQUENCE, book.FILE, keys.FILE, "memory.json"):
        yield f"{STATE}/{name}", state / name
    for name in (authority.KEY_FILE, authority.CERTIFICATE_FILE):
        yield f"{STATE}/{authority.FOLDER}/{name}", state / authority.FOLDER / name
    for file in places.stored():
        yield f"{CREDSTORE}/{file.name}", file
    for file in _below(broker):
        yield f"{OF_BROKER}/{file.relative_to(broker)}", file
    for file in _unit_drop_ins(places, broker):
        yield f"{UNIT}/{file.relative_to(places.units)}", file
    if calls:
        said = config.call_log.directory
        folder = Path(said) if said else state / "calls"
        for file in (folder / "calls.jsonl", *_below(folder / "pictures")):
            yield f"{CALLS}{file.relative_to(folder)}", file


def _unit_drop_ins(places: Places, broker: Path) -> Iterator[Path]:
    """Those that are this user's to change: an image's own are not."""
    for name in (OF_DAEMON, OF_MOSQUITTO) if in_use(broker) else (OF_DAEMON,):
        if os.access(folder := places.units / name, os.W_OK):
            yield from sorted(folder.glob("*.conf"))


def _whose(status: os.stat_result) -> tuple[str, str] | None:
    with contextlib.suppress(KeyError):  # of nobody who has a name
        return pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name
    return None


def _below(folder: Path) -> list[Path]:
    try:
        return sorted(
            one
            for one in folder.rglob("*")
            if one.is_file() and not one.name.endswith((NEW, ASIDE)) and not one.is_symlink()
        )
    except OSError as error:
        raise ApplianceError(f"{folder} cannot be read ({error.strerror}): ask as root") from None


def left_behind(
    places: Places, files: Mapping[str, Packed], broker: Path = BROKER
) -> tuple[str, ...]:
    """A sentence for each file that belongs to the device and is not among these."""
    found_ = []
    given = Path(places.environ.get("CREDENTIALS_DIRECTORY", "$"))
    for key, value in named_files(places):
        file = Path(value)
        if value.startswith("$") or file.is_relative_to(given):
            continue  # a secret of the service: it lies in the store
        etc = places.file.parent
        name = f"{ETC}/{file.relative_to(etc)}" if file.is_relative_to(etc) else value
        if (
            name not in files and file.exists()
        ):  # beside it, too: a link, or a name that no backup has
            found_.append(f"{file}, which {key} names, is not in it: keep a copy yourself")
    others = [
        file
        for file in _unit_drop_ins(places, broker)
        if f"{UNIT}/{file.relative_to(places.units)}" not in files
    ]
    if in_use(broker):
        others += [
            file
            for file in configurations(broker, ThisMachine().names)
            if not file.resolve().is_relative_to(broker.resolve())
        ]
    found_ += [f"{file} is not in it: keep a copy yourself" for file in others]
    encrypted = sorted(places.credstore.with_name("credstore.encrypted").glob("appliance.*"))
    found_ += [
        f"{file} is encrypted to the old machine: put it anew into the store of the new one"
        for file in encrypted
    ]
    return tuple(found_)


def named_files(places: Places) -> Iterator[tuple[str, str]]:
    """Every file that the configuration names, behind the key that names it."""
    yield from _files(read_layers(places.file, places.environ).values, "")


def _files(values: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _files(value, f"{path}.{key}".lstrip("."))
    elif isinstance(values, list):
        for at, value in enumerate(values):
            yield from _files(value, f"{path}[{at}]")
    elif isinstance(values, str) and path.endswith("_file"):
        yield path, values


def kid_of(files: Mapping[str, Packed]) -> str | None:
    """The thumbprint of the device's key among these files; raises KeyUnusable."""
    # the service's goes first, as in the daemon
    for name in (CREDENTIAL_KEY, KEY):
        if name in files:
            return keys.DeviceKey.from_pem(files[name].data, name).kid
    return None


def written(baggage: Baggage) -> bytes:
    """As it is sealed."""
    return msgspec.msgpack.encode(baggage)


def read(data: bytes) -> Baggage:
    """As it was unsealed; raises CannotBeOpened naming what is wrong."""
    try:
        baggage = msgspec.msgpack.decode(data, type=Baggage)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise CannotBeOpened(f"its content makes no sense: {fault}") from None
    for name, file in baggage.files.items():
        if not _NAME.fullmatch(name):
            raise CannotBeOpened(f"it has a file of a name that no backup has: {name[:80]!r}")
        if hashlib.sha256(file.data).hexdigest() != file.digest:
            raise CannotBeOpened(f"{name} in it is damaged")
    try:
        kid = kid_of(baggage.files)
    except keys.KeyUnusable as fault:
        raise CannotBeOpened(f"in it {fault}") from None
    if kid is None or kid != baggage.kid:
        raise CannotBeOpened("the device's key is not in it: phones would not know the device")
    return baggage
