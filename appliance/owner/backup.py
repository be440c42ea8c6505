"""`appliance backup`: all that makes this device the one that its phones know, in one encrypted file."""

from __future__ import annotations

import getpass
import socket
import sys
import time
from pathlib import Path

from appliance import __version__
from appliance.broker.places import FOLDER as BROKER
from appliance.errors import ApplianceError
from appliance.loading.reading import read
from appliance.owner import baggage
from appliance.owner.baggage import Baggage
from appliance.owner.places import Places
from appliance.owner.sealed import Cost, made_passphrase, seal
from appliance.whole_file import write_whole

SHORTEST = 10
"""Characters of a passphrase: who has the file may try as many as he likes."""


def backup(
    places: Places,
    file: Path,
    *,
    calls: bool = False,
    passphrase_file: Path | None = None,
    cost: Cost | None = None,
    broker: Path = BROKER,
) -> int:
    """Write `file`; the exit status. A daemon may run meanwhile. Raises ApplianceError."""
    config = read(places.file, places.environ).config  # with faults it is to be kept all the same
    files = baggage.found(places, config, calls=calls, broker=broker)
    kid = baggage.kid_of(files)
    if kid is None:
        raise ApplianceError(
            f"{places.state} has no key of this device yet: it is made at the first start"
        )
    passphrase, is_made = _new_passphrase(passphrase_file)
    content = Baggage(
        device_id=config.device.id,
        kid=kid,
        host=socket.gethostname(),
        version=__version__,
        made_at_ms=time.time_ns() // 1_000_000,
        files=files,
        left_behind=baggage.left_behind(places, files, broker),
        broker_in_use=baggage.in_use(broker),
    )
    try:
        write_whole(file, seal(baggage.written(content), passphrase, cost))
    except OSError as error:
        raise ApplianceError(f"{file} cannot be written: {error.strerror}") from None
    _say(
        f"{file}: {config.device.id} with {len(files)} files, its key {kid[:6]}… and its contacts."
    )
    for sentence in content.left_behind:
        _say(f"note: {sentence}")
    if not calls:
        _say("Calls and pictures are not in it (--calls takes them along), recordings never.")
    if is_made:
        _say(f"Its passphrase, which stands nowhere else:\n\n    {passphrase}\n")
    _say("Keep it away from the device. Whoever has it and its passphrase is this device.")
    return 0


# -------------------- passphrases


def _new_passphrase(file: Path | None) -> tuple[str, bool]:
    """One to seal with, and whether it was made here; raises ApplianceError."""
    if file is not None:
        said = passphrase_in(file)
    elif not sys.stdin.isatty():
        raise ApplianceError("nobody is here to be asked for a passphrase: --passphrase-file FILE")
    else:
        said = getpass.getpass("A passphrase for it (nothing: one is made): ")
        if not said:
            return made_passphrase(), True
        if getpass.getpass("The same once more: ") != said:
            raise ApplianceError("the two are not the same: nothing was written")
    if len(said) < SHORTEST:
        raise ApplianceError(
            f"a passphrase has {SHORTEST} characters at least: it is all that keeps it"
        )
    return said, False


def passphrase_in(file: Path) -> str:
    """What stands in a file, without the end of its line; raises ApplianceError."""
    try:
        return file.read_text("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ApplianceError(f"the passphrase cannot be read from {file}: {error}") from None


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
