"""`appliance restore`: a new device takes the place of a dead one, and its phones notice nothing.

Laws: nothing is written before all of the file has been understood; what is replaced is kept beside it;
what was revoked on this device stays revoked; the numbers of its messages begin above all that the dead
one may have used; and one that is still there at the broker is not doubled.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import socket
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from appliance.broker.places import AUTHORITY_KEY, BROKER_USER
from appliance.broker.places import FOLDER as BROKER
from appliance.errors import ApplianceError, ConfigError
from appliance.loading.reading import read as read_config
from appliance.owner import baggage
from appliance.owner.backup import passphrase_in
from appliance.owner.baggage import (
    ASIDE,
    CONTACTS,
    CREDENTIAL_KEY,
    ETC,
    KEY,
    OF_BROKER,
    SEQUENCE_FILE,
    Baggage,
    Target,
)
from appliance.owner.card import HOSTNAME
from appliance.owner.places import Places, stopped
from appliance.owner.sealed import CannotBeOpened, check, unseal
from appliance.owner.twin import Kept, refuse_twin
from appliance.service.doctor.knocking import kept as kept_at_broker
from appliance.signaling.sequence import successor
from appliance.trust import book, keys
from appliance.whole_file import private_folder, rename, write_whole

AUTHORITY_OF_BROKER = f"{OF_BROKER}/{AUTHORITY_KEY}"
"""Which stays root's, who alone may read it."""


def restore(
    places: Places,
    file: Path,
    *,
    passphrase_file: Path | None = None,
    yes: bool = False,
    twin: bool = False,
    broker: Path = BROKER,
    kept: Kept = kept_at_broker,
) -> int:
    """Put everything in its place; the exit status. Raises ApplianceError, and then nothing has changed,
    unless the disk fails in the middle: then it is to be done once more.

    `yes`: nobody is asked whether phones of this device are to be forgotten. `twin`: though a device with
    this key is at the broker.
    """
    content = _opened(file, passphrase_file)
    target = Target(places, broker)
    with stopped(places):
        if not twin:
            refuse_twin(content, target, kept)
        _ask(content, places, yes=yes)
        files = {name: one.data for name, one in content.files.items()}
        walls = (content.made_at_ms, time.time_ns() // 1_000_000)
        files[SEQUENCE_FILE] = successor(files.get(SEQUENCE_FILE, b""), *walls)
        files[CONTACTS] = _with_revocations(files.get(CONTACTS, b""), content, places)
        _write(content, files, target)
    _say_what_is_left(content, target)
    return 0


def _opened(file: Path, passphrase_file: Path | None) -> Baggage:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ApplianceError(f"{file} cannot be read: {error.strerror}") from None
    try:
        check(data)
        if passphrase_file is not None:
            passphrase = passphrase_in(passphrase_file)
        elif sys.stdin.isatty():
            passphrase = getpass.getpass(f"The passphrase of {file.name}: ")
        else:
            raise ApplianceError("nobody is here to be asked: --passphrase-file FILE")
        content = baggage.read(unseal(data, passphrase))
    except CannotBeOpened as fault:
        raise CannotBeOpened(f"{file}: {fault}") from None
    return content


# -------------------- may it be


def _ask(content: Baggage, places: Places, *, yes: bool) -> None:
    """What this device is already is only forgotten with a word; raises ApplianceError."""
    made = datetime.fromtimestamp(content.made_at_ms / 1000, UTC)
    _say(
        f"{content.device_id}, its key {content.kid[:6]}…, with {len(content.files)} files, of"
        f" {made:%Y-%m-%d %H:%M} UTC by its clock."
    )
    here, paired = _known_here(places)
    if here in (None, content.kid) or not paired:
        return
    sentence = (
        f"this device has a key of its own, with which {paired} phones are paired: they would have to be"
        " paired anew"
    )
    if yes:
        _say(f"note: {sentence}.")
    elif not sys.stdin.isatty():
        raise ApplianceError(f"{sentence}; --yes replaces it")
    elif input(f"{sentence}. Replace it? yes or no: ").strip().lower() != "yes":
        raise ApplianceError("nothing was changed")


def _known_here(places: Places) -> tuple[str | None, int]:
    """The key of this device, where it has made one, and how many phones know it."""
    try:
        pem = (places.state / keys.FILE).read_bytes()
        here = keys.DeviceKey.from_pem(pem, keys.FILE).kid
        contacts = book.read(places.state / book.FILE).contacts.values()
    except (OSError, keys.KeyUnusable, ConfigError):
        return None, 0
    return here, sum(len(one.keys) for one in contacts)


# -------------------- what is put where


def _with_revocations(data: bytes, content: Baggage, places: Places) -> bytes:
    """The contacts of the baggage, without whom this very device has revoked since."""
    here, _ = _known_here(places)
    if here != content.kid:
        return data
    with TemporaryDirectory(prefix="appliance-") as name:
        file = Path(name) / book.FILE
        file.write_bytes(data)
        try:
            then, now = book.read(file), book.read(places.state / book.FILE)
        except ConfigError as error:
            raise ApplianceError(str(error)) from None
    contacts = dict(then.contacts)
    for uid, one in now.contacts.items():
        if one.revoked or one.barred:
            old = contacts.get(uid, book.Paired())
            revoked = tuple(dict.fromkeys((*old.revoked, *one.revoked)))
            left = tuple(key for key in old.keys if keys.PublicKey.read(key).kid not in revoked)
            barred = old.barred or one.barred
            contacts[uid] = replace(
                old, revoked=revoked, keys=() if barred else left, barred=barred
            )
    return book.to_toml(replace(then, contacts=contacts)).encode()


def _write(content: Baggage, files: Mapping[str, bytes], target: Target) -> None:
    """Everything in its place, each file whole, the key last: until then this is no twin of anybody."""
    # a drop-in that the old device had not would be laid over what it had
    for drop_in in sorted(target.places.drop_ins.glob("*.toml")):
        if f"{ETC}/conf.d/{drop_in.name}" not in files:
            _put_aside(drop_in)
    last = (SEQUENCE_FILE, KEY, CREDENTIAL_KEY)  # in this order: numbers before who uses them
    others = sorted(
        files.keys() - {*last}, key=lambda one: (baggage.KINDS.index(one.split("/")[0]), one)
    )
    for name in (*others, *(one for one in last if one in files)):
        place = target.path(name)
        mode = content.files[name].mode if name in content.files else 0o600
        try:
            if not place.parent.is_dir():
                private_folder(place.parent, 0o755 if name.startswith(f"{ETC}/") else 0o700)
                _belongs_to_broker(place.parent, name)
            if name.startswith((f"{ETC}/", f"{OF_BROKER}/")) and place.exists():
                if place.read_bytes() == files[name]:
                    continue
                _put_aside(place)
            write_whole(place, files[name], mode, of_folder=name != AUTHORITY_OF_BROKER)
            _belongs_to_broker(place, name)
        except OSError as error:
            raise ApplianceError(
                f"{place} cannot be written: {error.strerror}; do it again"
            ) from None
    if (
        CREDENTIAL_KEY not in files
        and (foreign := target.places.credstore / CREDENTIAL_KEY.split("/")[1]).exists()
    ):
        _put_aside(foreign)  # it would go before the key that was just put back


def _put_aside(file: Path) -> None:
    """Kept, under a name that nothing reads."""
    aside = file.with_name(file.name + ASIDE)
    rename(file, aside)
    _say(f"note: {file} is kept as {aside.name}.")


def _belongs_to_broker(place: Path, name: str) -> None:
    """What root has written belongs to whom its folder does; the first folder is to be the broker's."""
    if os.geteuid() != 0 or not name.startswith(f"{OF_BROKER}/") or name == AUTHORITY_OF_BROKER:
        return
    with contextlib.suppress(KeyError):  # without such a user root runs the broker
        user = pwd.getpwnam(BROKER_USER)
        os.chown(place, user.pw_uid, user.pw_gid, follow_symlinks=False)


# -------------------- what is left to do


def _say_what_is_left(content: Baggage, target: Target) -> None:
    reading = read_config(target.places.file, target.places.environ)
    for fault in reading.faults:
        _say(f"fault: {fault}")
    for sentence in content.left_behind:
        _say(f"note: {sentence}")
    made = datetime.fromtimestamp(content.made_at_ms / 1000, UTC)
    if socket.gethostname() != content.host:
        how = _named(content.host, target.places.file.parent / HOSTNAME)
        _say(f"note: phones look for the page at the old machine's name: {how}")
    _say(f"""It is put back. What is left to do:
  Start it: sudo systemctl restart appliance && sudo appliance doctor
  Whoever was revoked on the old device after {made:%Y-%m-%d %H:%M} UTC is believed again:
    appliance contacts, and revoke once more.
  Was the old device stolen, and is not just dead? Then its key is somebody else's too: do not go on
    with it, but stop this one, appliance erase --keys, and pair the phones anew.""")


def _named(host: str, kept: Path) -> str:
    """How this machine is given a name: that of an image is in `kept`, and read when it starts."""
    if not kept.exists():
        return f"sudo hostnamectl set-hostname {host}"
    if kept.read_text("utf-8", "replace").strip() == host:
        return "sudo reboot, and it has it"
    return f"echo {host} | sudo tee {kept}, and then sudo reboot"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
