"""`appliance restore`: a new device takes the place of a dead one, and its phones notice nothing.

Laws: nothing is written before all of the file has been understood; what is replaced is kept beside it;
what was revoked on this device stays revoked; the numbers of its messages begin above all that the dead
one may have used; and one that is still there at the broker is not doubled.
"""

from __future__ import annotations

import contextlib
import getpass
import grp
import os
import pwd
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from appliance.broker.places import AUTHORITY_KEY, BROKER_USER, CONFIGURATION
from appliance.broker.places import FOLDER as BROKER
from appliance.broker.told import links_of, tell
from appliance.errors import ApplianceError, ConfigError
from appliance.loading.reading import read as read_config
from appliance.owner import afterwards, baggage
from appliance.owner.backup import passphrase_in
from appliance.owner.baggage import (
    ASIDE,
    CONTACTS,
    CREDENTIAL_KEY,
    ETC,
    KEY,
    OF_BROKER,
    OF_MOSQUITTO,
    SEQUENCE_FILE,
    UNIT,
    Baggage,
    Packed,
    Target,
)
from appliance.owner.places import Places, stopped
from appliance.owner.sealed import CannotBeOpened, check, unseal
from appliance.owner.twin import Kept, refuse_twin
from appliance.service.doctor.knocking import kept as kept_at_broker
from appliance.signaling.sequence import successor
from appliance.trust import book, keys
from appliance.whole_file import private_folder, rename, write_whole

PROGRAMS = ("usr/local/sbin", "usr/sbin", "usr/local/bin", "usr/bin")
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
    _can_have_its_broker(content, places)
    with stopped(places):
        if not twin:
            refuse_twin(content, target, kept)
        _ask(content, places, yes=yes)
        files = {
            name: one.data
            for name, one in content.files.items()
            if _may_be_written(target.path(name), name, places)
        }
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


def _can_have_its_broker(content: Baggage, places: Places) -> None:
    """Whose files would be whose, without the broker's user? Raises ApplianceError."""
    programs = ":".join(str(places.root / one) for one in PROGRAMS)
    if content.has_broker and shutil.which("mosquitto", path=programs) is None:
        how = "this image has none" if places.is_image else "sudo apt install mosquitto first"
        raise ApplianceError(f"the old device carried its broker, and here is no mosquitto: {how}")


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


def _may_be_written(place: Path, name: str, places: Places) -> bool:
    """All of it; but an image has its broker's unit as it is."""
    if not (places.is_image and name.startswith(f"{UNIT}/{OF_MOSQUITTO}/")):
        return True
    if not place.exists():
        _say(f"note: {place} is left out: nothing is written there on an image.")
    return False


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
    try:
        for name in others:
            _put(target.path(name), files[name], name, content.files.get(name))
        if content.has_broker:
            _link(target.broker)
        for name in last:
            if name in files:
                _put(target.path(name), files[name], name, content.files.get(name))
    except OSError as error:
        raise ApplianceError(
            f"{error.filename or 'the disk'} cannot be written: {error.strerror}; do it again"
        ) from None
    if (
        CREDENTIAL_KEY not in files
        and (foreign := target.places.credstore / CREDENTIAL_KEY.split("/")[1]).exists()
    ):
        _put_aside(foreign)  # it would go before the key that was just put back


def _put(place: Path, data: bytes, name: str, packed: Packed | None) -> None:
    """One file; what it takes the place of is kept beside it where an owner may miss it. Raises OSError."""
    if not place.parent.is_dir():
        of_all = name.startswith((f"{ETC}/", f"{UNIT}/"))
        private_folder(place.parent, 0o755 if of_all else 0o700)
        _belongs(place.parent, name, None)
    of_owner = name.startswith((f"{ETC}/", f"{OF_BROKER}/", f"{UNIT}/"))
    if of_owner and place.exists() and place.read_bytes() != data:
        _put_aside(place)
    mode = packed.mode if packed is not None else 0o600
    write_whole(place, data, mode, of_folder=name != AUTHORITY_OF_BROKER)
    _belongs(place, name, packed.whose if packed is not None else None)


def _link(broker: Path) -> None:
    """Mosquitto is told of it, as it was. Raises OSError."""
    link, to = links_of(broker) / CONFIGURATION, broker / CONFIGURATION
    is_right = link.is_symlink() and link.readlink() == to
    if os.path.lexists(link) and not is_right:
        _put_aside(link)
    tell(broker, link.parent)


def _put_aside(file: Path) -> None:
    """Kept, under a name that nothing reads."""
    aside = file.with_name(file.name + ASIDE)
    rename(file, aside)
    _say(f"note: {file} is kept as {aside.name}.")


def _belongs(place: Path, name: str, whose: tuple[str, str] | None) -> None:
    """What root has written belongs to whom its folder does; but the broker's first folder is to be the
    broker's, and beside the configuration the daemon reads some of it by its group.
    """
    if os.geteuid() != 0 or name == AUTHORITY_OF_BROKER:
        return
    if name.startswith(f"{OF_BROKER}/"):
        with contextlib.suppress(KeyError):  # without such a user root runs the broker
            user = pwd.getpwnam(BROKER_USER)
            os.chown(place, user.pw_uid, user.pw_gid, follow_symlinks=False)
    elif whose is not None:
        ids = [-1, -1]
        with contextlib.suppress(KeyError):  # who is not here leaves it root's
            ids[0] = pwd.getpwnam(whose[0]).pw_uid
        with contextlib.suppress(KeyError):
            ids[1] = grp.getgrnam(whose[1]).gr_gid
        os.chown(place, *ids, follow_symlinks=False)


# -------------------- what is left to do


def _say_what_is_left(content: Baggage, target: Target) -> None:
    reading = read_config(target.places.file, target.places.environ)
    for fault in reading.faults:
        _say(f"fault: {fault}")
    for sentence in content.left_behind:
        _say(f"note: {sentence}")
    made = datetime.fromtimestamp(content.made_at_ms / 1000, UTC)
    _say(f"""It is put back. Before it starts:
  Was the old device stolen, and is not just dead? Then its key is somebody else's too: do not go on
    with it, but appliance erase --keys, and pair the phones anew.
  Whoever was revoked on the old device after {made:%Y-%m-%d %H:%M} UTC is believed again:
    appliance contacts, once it runs, and revoke once more.
What is left to do, in this order:""")
    for command in afterwards.commands(content, target.places, reading.config.mqtt.accounts_socket):
        _say(f"  {command}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
