"""What this device keeps of people, deleted with one command: calls, recordings, contacts; keys on wish."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from appliance.config import Config
from appliance.errors import ApplianceError
from appliance.loading.layers import DEFAULT_FILE
from appliance.loading.reading import read
from appliance.media.shelf import Shelf
from appliance.owner.places import places, stopped
from appliance.reporting.ledger import Ledger
from appliance.signaling.sequence import FILE as SEQUENCE
from appliance.trust.authority import FOLDER as AUTHORITY
from appliance.trust.book import FILE as CONTACTS
from appliance.trust.keys import FILE as KEY
from appliance.whole_file import NEW, sync_folder

MEMORY = "memory.json"


def erase(
    file: Path | None, environ: Mapping[str, str], *, keys: bool = False, yes: bool = False
) -> int:
    """Delete it for good, once somebody has said yes; what is left of it, which is nothing.

    Raises ApplianceError where an appliance runs, which would write it anew, where nobody says yes, or
    where something cannot be deleted; the rest is deleted all the same.
    """
    here = places(file, environ)
    if here.state.exists() and not os.access(here.state, os.R_OK | os.X_OK):
        raise ApplianceError(f"{here.state} is not yours to look into: sudo appliance erase")
    config = Config()
    if file is not None or DEFAULT_FILE.exists():
        config = read(file, here.environ).config  # with faults it still says where things are
    with stopped(here):
        found = kept(config, here.state, keys=keys)
        if not found:
            _say("Nothing of people is kept here.")
            return 0
        _ask(found, yes=yes)
        faults = _delete(found)
    if faults:
        raise ApplianceError("; ".join(faults))
    _say(
        "It is deleted, and not overwritten: who has the memory card may find traces. Accounts at the"
        " broker are taken back with `appliance broker remove`."
    )
    return 0


def kept(config: Config, state: Path, *, keys: bool) -> dict[str, list[Path]]:
    """The files, by what they are; only this program's own, wherever they are told to lie."""
    calls = Ledger(_folder(config.call_log.directory) or state / "calls")
    recordings = Shelf(_folder(config.recording.directory) or state / "recordings", 0)
    found = {
        "the call log": _there(
            [calls.file, *calls.file.parent.glob(f"{calls.file.stem}.broken*"), *_new(calls.file)]
        ),
        "pictures of who rang": _there(calls.pictures.glob("*")),
        "recordings": recordings.recordings() if recordings.folder.is_dir() else [],
        "paired contacts": _there([state / CONTACTS, *_new(state / CONTACTS)]),
        "what was switched": _there(state.glob(f"{MEMORY}*")),
    }
    if keys:
        secret = [state / KEY, state / SEQUENCE, *(state / AUTHORITY).glob("*")]
        found["the device's keys, which every phone has pinned"] = _there(secret)
    return {what: files for what, files in found.items() if files}


def _folder(named: str | None) -> Path | None:
    return None if named is None or named.startswith("$") else Path(named)


def _new(file: Path) -> Iterable[Path]:
    """What a kill has left of a file that was being written."""
    return [file.with_name(file.name + NEW)]


def _there(files: Iterable[Path]) -> list[Path]:
    return sorted({file for file in files if file.is_file() and not file.is_symlink()})


def _ask(found: Mapping[str, list[Path]], *, yes: bool) -> None:
    for what, files in found.items():
        _say(f"{what}: {len(files)} file{'s' if len(files) > 1 else ''} in {files[0].parent}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise ApplianceError("nobody is here to be asked: --yes deletes it")
    if input("Delete all of it for good? yes or no: ").strip().lower() != "yes":
        raise ApplianceError("nothing was deleted")


def _delete(found: Mapping[str, list[Path]]) -> list[str]:
    faults = []
    for file in [one for files in found.values() for one in files]:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            faults.append(f"{file} cannot be deleted: {error.strerror}")
    for folder in {file.parent for files in found.values() for file in files}:
        try:
            sync_folder(folder)  # or it may be back after a power cut
        except OSError as error:
            faults.append(f"{folder} may still have what was deleted: {error.strerror}")
    return faults


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
