"""Answers one request for an update, for who is in the local socket's group: systemd starts it, as root.

The request is a line of JSON, `{"what": "check" | "install" | "resume", "source", "older"}`; the answers
are lines: `{"say": sentence}` any number of times, and at last `{"done": {..}}` or
`{"error": {"code", "message"}}`. Who goes away while it is being written hears no more of it, and changes
nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
from msgspec import Struct

from appliance.errors import ApplianceError, Refused
from appliance.updating import installing, slots, versions

MAX_REQUEST = 8192
ASKED_S = 5.0
"""So long has who connects for the whole request: of places at the socket there are four."""
ENDING = ".raucb"


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """`source`: an absolute path, or a URL of https; without one the configuration's."""

    what: Literal["check", "install", "resume"]
    source: str | None = None
    older: bool = False


class Answers:
    """The lines of one answer; who no longer reads them is no reason to stop."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to `stream`."""
        self._stream = stream

    def say(self, sentence: str) -> None:
        """How it is going."""
        self.send({"say": sentence})

    def send(self, line: Mapping[str, Any]) -> None:
        """One line."""
        with contextlib.suppress(OSError):
            self._stream.write(msgspec.json.encode(line) + b"\n")
            self._stream.flush()


def asked_at(descriptor: int) -> bytes:
    """The line that comes there, or as much of it as there is after `ASKED_S`."""
    until = time.monotonic() + ASKED_S
    came = b""
    while b"\n" not in came and len(came) < MAX_REQUEST:
        left_s = max(0.0, until - time.monotonic())
        readable, _, _ = select.select([descriptor], [], [], left_s)
        more = os.read(descriptor, MAX_REQUEST - len(came)) if readable else b""
        if not more:
            break
        came += more
    return came.partition(b"\n")[0]


def answer(line: bytes, answers: Answers, configured: str | None, *, root: bool) -> None:
    """Do what one line asks for, and tell. `configured`: the URL; `root`: whether root asks."""
    try:
        answers.send({"done": _do(_understood(line, root=root), answers, configured)})
    except ApplianceError as error:
        answers.send({"error": {"code": error.code, "message": str(error)}})
    except (
        Exception
    ) as error:  # who asked hears what it was; the journal, with its place, and the unit fails
        message = str(error) or repr(error)
        answers.send({"error": {"code": ApplianceError.code, "message": message}})
        raise


def _understood(line: bytes, *, root: bool) -> Request:
    try:
        request = msgspec.json.decode(line, type=Request)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Refused("bad_request", f"that is no request for an update: {error}") from None
    if request.older and not root:
        raise Refused("not_allowed", "what is older than what runs is root's to install")
    return request


def _do(request: Request, answers: Answers, configured: str | None) -> Mapping[str, Any]:
    if request.what == "resume":
        installing.resume(answers.say)
        return {"restarts": True}
    source = where(request.source or configured)
    if request.what == "install":
        installing.install(source, answers.say, older=request.older)
        return {"restarts": True}
    bundle = installing.candidate(source, older=request.older)
    given_up = installing.given_up(bundle, slots.status())
    return {"version": bundle.version, "runs": versions.running(), "given_up": given_up}


def where(source: str | None) -> str:
    """A source that may be given to RAUC. Raises Refused."""
    if source is None:
        raise Refused(
            "no_source", "which bundle? name a file, or [update] url in the configuration"
        )
    if source.startswith("https://"):
        return source
    if not source.startswith("/") or not source.endswith(ENDING):
        raise Refused("bad_source", f"{source} is neither a file *{ENDING} nor a URL of https")
    if not Path(source).is_file():
        raise Refused("bad_source", f"there is no file {source}")
    return source


def peer_is_root(descriptor: int) -> bool:
    """Whether the other end of a Unix socket is root's; whoever is no socket's end is nobody."""
    try:
        with socket.socket(fileno=descriptor) as end:
            try:
                said = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            finally:
                end.detach()
    except OSError:
        return False
    _, user, _ = struct.unpack("3i", said)
    return bool(user == 0)
