"""A client of the local socket, for the command line: plain sockets, since it has to start fast."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from appliance.errors import ApplianceError, Refused
from appliance.socket_path import connecting_path

ANSWER_TIMEOUT_S = 60.0
"""Longer than any command takes; who hears nothing until then will not."""


class Unreachable(ApplianceError):
    """No appliance answers at the socket."""

    code = "unreachable"


class NotAllowed(Unreachable):
    """One runs, and does not talk with this user."""


class Client:
    """One connection; `with`. Raises Unreachable where nobody listens, or the daemon goes away."""

    def __init__(
        self, environ: Mapping[str, str] = os.environ, patience_s: float = ANSWER_TIMEOUT_S
    ) -> None:
        self._patience_s = patience_s
        self._socket = _connected(environ)
        self._lines = self._socket.makefile("rb")
        self._asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, **request: Any) -> Any:
        """The result of one request; raises Refused where the appliance says no."""
        self._asked += 1
        request["id"] = self._asked
        try:
            self._socket.settimeout(self._patience_s)
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            for item in self._items():
                if "ok" in item and item.get("id") in (self._asked, None):
                    return _result(item)
        except TimeoutError:
            raise Unreachable("the appliance does not answer") from None
        except ConnectionError:
            pass
        raise Unreachable("the appliance has gone away")

    def outcome(self) -> Mapping[str, Any]:
        """What became of the invitation that was asked for last: waits as long as that takes."""
        self._socket.settimeout(None)
        for item in self._items():
            if "pairing" in item:
                found: Mapping[str, Any] = item["pairing"]
                return found
        raise Unreachable("the appliance has gone away, and the invitation with it")

    def hang_up(self) -> None:
        """End whatever waits for an answer, in another thread too."""
        with contextlib.suppress(OSError):  # the other side was faster
            self._socket.shutdown(socket.SHUT_RDWR)

    def events(self, *patterns: str) -> Iterator[Mapping[str, Any]]:
        """Events from now on, and `{"dropped": n}` where some were lost, until the daemon ends."""
        self.ask(subscribe=list(patterns))
        self._socket.settimeout(None)
        return self._items()

    def _items(self) -> Iterator[dict[str, Any]]:
        for line in self._lines:
            yield _item(line)


def _item(line: bytes) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):
        item = None
    if not isinstance(item, dict):
        raise Unreachable("what answers at the socket is no appliance")
    return item


def _result(answer: Mapping[str, Any]) -> Any:
    if answer["ok"]:
        return answer.get("result")
    match answer.get("error"):
        case {"code": str(code), "message": str(message)}:
            raise Refused(code, message)
    raise Unreachable("what answers at the socket is no appliance")


def _connected(environ: Mapping[str, str]) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = "its socket"
    unreachable = Unreachable
    try:
        path = str(connecting_path(environ))
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        fault = (
            f"no appliance is running here (nothing listens at {path}); `appliance demo` starts one"
        )
    except PermissionError as error:
        unreachable = NotAllowed
        fault = str(error) if error.errno is None else f"{path} is for the group appliance only"
    except OSError as error:
        fault = f"cannot connect to {path}: {error.strerror or error}"
    else:
        return connection
    connection.close()
    raise unreachable(fault)
