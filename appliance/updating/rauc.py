"""RAUC, by its own command line: what a bundle is, and that it is written to the slot that does not run.

A signature is believed by RAUC's configuration alone, and nothing here knows a key. RAUC's program speaks
with its service over D-Bus; of what it prints as JSON only what is named here is used, which versions 1.8
to 1.16 have alike.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from appliance.errors import ApplianceError

LOOK_S = 120.0
"""For a server that answers slowly; RAUC gives up by itself before that."""
MARKS = 3
"""RAUC's service has 25 s for an answer, in which its handler writes to a card; so often it is asked."""

_PROGRESS = re.compile(r"^\s*(\d{1,3})% (.+?)\.?$")

_NO_ANSWER = "server not responding"
_ASKED = re.compile(
    r"request failed: (?P<not_believed>server verification failed: |SSL certificate problem: )?"
    r"(?P<why>.+?)[ .]*(?:\(CAfile|\(retrying|$)",
    re.MULTILINE,
)
"""What libcurl says of a server that RAUC could not ask, with GnuTLS and with OpenSSL."""

_REASONS: Sequence[tuple[str, str]] = (
    ("certificate has expired", "its signature's certificate has expired"),
    ("not yet valid", "its signature is of a time to come: this device's clock is wrong"),
    ("unsuitable certificate purpose", "it is signed with a key that is not for updates"),
    ("unsupported certificate purpose", "it is signed with a key that is not for updates"),
    ("local issuer certificate", "it is signed with a key that this device does not know"),
    ("self-signed certificate", "it is signed with a key that this device does not know"),
    ("self signed certificate", "it is signed with a key that this device does not know"),
    ("certificate verify error", "it is signed with a key that this device does not know"),
    ("Verify error", "its signature is not right"),
    ("signature verification failed", "its signature is not right"),
    ("Invalid identifier", "it is no bundle"),
    ("is not signed", "it is not signed"),
    ("signature size", "it is no whole bundle"),
    ("Signature size", "it is no whole bundle"),
    ("Compatible mismatch", "it is for another kind of device"),
    ("ersion limit", "it is older than what this device takes"),
    ("min-bundle-version", "it is older than what this device takes"),
    ("No such file", "there is no such file"),
)
"""What RAUC and OpenSSL say, and what it means; the first that is found counts."""


class CannotUpdate(ApplianceError):
    """A bundle was refused, or could not be written; the message says why."""

    code = "update_failed"


class Bundle(Struct, frozen=True):
    """What is signed of a bundle: for which devices it is, and which version."""

    compatible: str
    version: str | None = None
    description: str | None = None


class _Written(Struct, frozen=True):
    version: str | None = None


class _SlotStatus(Struct, frozen=True):
    bundle: _Written | None = None


class _Slot(Struct, frozen=True):
    bootname: str | None = None
    slot_status: _SlotStatus | None = None

    def version(self) -> str | None:
        written = self.slot_status and self.slot_status.bundle
        return written.version if written else None


class _Status(Struct, frozen=True):
    slots: list[dict[str, _Slot]] = []


Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]
"""Runs RAUC with these words."""


def run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run RAUC to its end. Raises CannotUpdate where it is not there, or does not come to one."""
    try:
        return subprocess.run(  # noqa: S603 - fixed words and one name of a bundle
            ["rauc", *words],  # noqa: S607 - root's own PATH
            capture_output=True,
            text=True,
            timeout=LOOK_S,
            check=False,
        )
    except FileNotFoundError:
        raise CannotUpdate("rauc is not installed: this system is not updated by bundles") from None
    except subprocess.TimeoutExpired:
        raise CannotUpdate(f"rauc {words[0]} does not come to an end") from None


def look_into(source: str, run: Run = run) -> Bundle:
    """What a bundle is, whose signature is right. `source`: a file, or a URL of which only that is fetched.

    Raises CannotUpdate.
    """
    done = run(["info", "--output-format=json", source])
    if done.returncode:
        raise CannotUpdate(f"{source} is refused: {reason(done.stderr)}")
    try:
        return msgspec.convert(_json(done.stdout), Bundle)
    except msgspec.ValidationError as error:
        raise CannotUpdate(f"{source} says of itself what makes no sense: {error}") from None


def compatible(run: Run = run) -> str:
    """Which bundles are for this device. Raises CannotUpdate."""
    return str(_status(run).get("compatible"))


def versions(run: Run = run) -> Mapping[str, str | None]:
    """The version that was written to each slot (`A`, `B`), None where none was since the card was.

    Raises CannotUpdate.
    """
    try:
        entries = msgspec.convert(_status(run), _Status).slots
    except msgspec.ValidationError as error:
        raise CannotUpdate(f"rauc says of its slots what makes no sense: {error}") from None
    slots = [slot for entry in entries for slot in entry.values() if slot.bootname]
    return {str(slot.bootname): slot.version() for slot in slots}


def _status(run: Run) -> Mapping[str, Any]:
    done = run(["status", "--detailed", "--output-format=json"])
    if done.returncode:
        raise CannotUpdate(f"rauc says nothing of its slots: {reason(done.stderr)}")
    return _json(done.stdout)


def mark_good(run: Run = run) -> None:
    """What runs becomes the default. Raises CannotUpdate."""
    _mark("good", run)


def mark_bad(run: Run = run) -> None:
    """What runs is not to be booted again. Raises CannotUpdate."""
    _mark("bad", run)


def _mark(state: str, run: Run) -> None:
    """More than once does no harm; and a good update is not to be left since a busy machine was slow."""
    for _ in range(MARKS):
        done = run(["status", f"mark-{state}", "booted"])
        if not done.returncode:
            return
    raise CannotUpdate(f"what runs cannot be marked {state}: {reason(done.stderr)}")


def install(source: str, say: Callable[[str], None], *, older: bool = False) -> None:
    """Write a bundle to the slot that does not run, once RAUC has believed it. Raises CannotUpdate.

    It goes on for as long as that takes; `say` is told how far it is.
    """
    words = ["rauc", "install", *(["--ignore-version-limit"] if older else []), source]
    with subprocess.Popen(  # noqa: S603 - fixed words and one name of a bundle
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines = [*lines[-40:], line]
            if found := _PROGRESS.match(line):
                say(f"{found[1]} % {found[2]}")
    if process.returncode:
        raise CannotUpdate(f"{source} is refused: {reason(''.join(lines))}")


def reason(said: str) -> str:
    """Why RAUC has refused, in a sentence; else its own words."""
    if _NO_ANSWER in said and (asked := _ASKED.search(said)):
        whose = "its server's certificate is not believed" if asked["not_believed"] else None
        return f"{whose or 'its server cannot be asked'}: {asked['why']}"
    for words, meaning in _REASONS:
        if words in said:
            return meaning
    return next(_errors(said), "rauc does not say why")


def _errors(said: str) -> Iterator[str]:
    for line in reversed(said.splitlines()):
        words = line.removeprefix("LastError:").strip()
        if words and "rauc-Message" not in words and not _PROGRESS.match(line):
            yield words


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CannotUpdate("rauc says what makes no sense")
    return found
