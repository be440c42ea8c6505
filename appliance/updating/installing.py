"""One update, up to the restart into its trial: looked at, waited for, written, waited for again.

A call comes first: nothing begins to be written while one is on, and nothing is restarted. One that comes
while it is being written goes on; RAUC's service then has what nobody else wants of disk and processor.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from appliance.updating import quiet, rauc, slots, versions, wellness
from appliance.updating.rauc import Bundle, CannotUpdate
from appliance.whole_file import write_whole

DATA = Path("/persistent/rauc")
"""What belongs to neither slot; RAUC's own as well."""

BEFORE = "before.json"
LEFT = "left"
"""Why what was tried last was left, in a line: told by the handler, in the slot that runs then."""

LOCK = Path("/run/appliance-update/lock")

Say = Callable[[str], None]


class Before(Struct, frozen=True):
    """How it was when an update was about to be tried: its version, and what did not work anyway."""

    version: str | None
    troubles: Mapping[str, str]


def candidate(source: str, *, older: bool = False) -> Bundle:
    """What is to be had, if it is for this device and newer than what runs. Raises CannotUpdate."""
    bundle = rauc.look_into(source)
    wanted = rauc.compatible()
    if bundle.compatible != wanted:
        raise CannotUpdate(f"{source} is for {bundle.compatible}, and this is {wanted}")
    runs = versions.running()
    if not older and not versions.is_newer(bundle.version, runs):
        raise CannotUpdate(f"{source} is {bundle.version}; {runs} runs, which is no older")
    return bundle


def newest(source: str) -> Bundle | None:
    """What is to be had where one looks every night; None: nothing newer. Raises CannotUpdate."""
    bundle = rauc.look_into(source)
    newer = versions.is_newer(bundle.version, versions.running())
    return bundle if newer and bundle.compatible == rauc.compatible() else None


def install(source: str, say: Say, *, older: bool = False) -> None:
    """Do all of it. Raises CannotUpdate, NoSlots or OSError; where it returns the machine goes down."""
    with _alone():
        _may_be_written(slots.status())
        bundle = candidate(source, older=older)
        say(f"{bundle.description or bundle.version} is signed by who may, and for this device")
        quiet.until_quiet(say)
        say("it is written to the slot that does not run")
        rauc.install(source, say, older=older)
        _try(bundle, say)


def resume(say: Say) -> None:
    """Try what was written before and has not been tried. Raises NoSlots where there is nothing such."""
    with _alone():
        _try(Bundle("", rauc.versions().get(_opposite(slots.status().default))), say)


def _try(bundle: Bundle, say: Say) -> None:
    before = Before(bundle.version, wellness.troubles())
    write_whole(DATA / BEFORE, msgspec.json.encode(before))
    say(
        "it is whole; this device restarts into it, and comes back to the old one if it is not well"
    )
    quiet.until_quiet(say)
    slots.ask("arm")
    try:
        restart("0 tryboot")
    except CannotUpdate as error:
        # or the next start, for whatever reason, would be one after a trial that failed
        slots.ask("set-primary", _opposite(slots.status().default))
        raise CannotUpdate(f"{error}; `appliance update resume` tries it again") from None


def restart(argument: str | None = None) -> None:
    """Let systemd restart the machine; `argument` is for the firmware. Raises CannotUpdate."""
    words = ["systemctl", "reboot"]
    if argument is not None:
        words.append(f"--reboot-argument={argument}")
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            words, stderr=subprocess.PIPE, text=True, check=False
        )
    except OSError as error:
        raise CannotUpdate(f"systemd cannot be asked to restart this device: {error}") from None
    if done.returncode:
        why = done.stderr.strip() or f"systemctl ends with {done.returncode}"
        raise CannotUpdate(f"systemd does not restart this device: {why}")


def before() -> Before | None:
    """What was noted before this trial."""
    try:
        return msgspec.json.decode((DATA / BEFORE).read_bytes(), type=Before)
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def given_up(bundle: Bundle, now: slots.Slots) -> bool:
    """Whether this version was tried already, and left."""
    return now.other == "failed" and rauc.versions().get(_opposite(now.default)) == bundle.version


def _may_be_written(now: slots.Slots) -> None:
    if now.trial:
        raise CannotUpdate(
            "what runs is being tried itself; when it is good, or given up, another can be had"
        )


def _opposite(slot: str) -> str:
    return "B" if slot == "A" else "A"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    LOCK.parent.mkdir(exist_ok=True)
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotUpdate("an update is under way already") from None
        yield
    finally:
        os.close(descriptor)
