"""Carries out what the machine's driver asks for, within the guest: one line of JSON for each thing.

`{"id", "do": "run", "command", "timeout", "user"}` is answered by `{"id", "code", "out"}`, and
`{"id", "do": "put", "path", "data", "mode"}` and `{"id", "do": "get", "path"}` likewise; what is not text
goes as base64. What cannot be done is answered by `{"id", "error"}`.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

TOO_LATE = 124
"""The code of a command whose time was up, as timeout(1) has it."""

_speaking = threading.Lock()


def run(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A shell command, in a process group of its own that is killed when its time is up."""
    process = subprocess.Popen(
        ["/bin/bash", "-c", asked["command"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd="/",
    )
    try:
        said, _ = process.communicate(timeout=asked["timeout"])
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        code = TOO_LATE
    return {"code": code, "out": said.decode(errors="replace")}


def put(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A file, and the folders that it stands in."""
    path = Path(asked["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(asked["data"]))
    path.chmod(asked["mode"])
    return {}


def get(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a file holds."""
    return {"data": base64.b64encode(Path(asked["path"]).read_bytes()).decode()}


DEEDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "run": run,
    "put": put,
    "get": get,
}


def serve(asked: Mapping[str, Any], line: BinaryIO) -> None:
    """Do one thing, and answer."""
    try:
        answer = DEEDS[asked["do"]](asked)
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    whole = json.dumps({"id": asked["id"], **answer}) + "\n"
    with _speaking:
        line.write(whole.encode())
        line.flush()


def main(device: str) -> None:
    """Answer until the line ends."""
    with Path(device).open("r+b", buffering=0) as terminal:
        tty.setraw(terminal.fileno(), termios.TCSANOW)
        with os.fdopen(os.dup(terminal.fileno()), "rb") as heard:
            terminal.write(b'{"id": 0}\n')
            for line in heard:
                threading.Thread(target=serve, args=(json.loads(line), terminal)).start()


if __name__ == "__main__":
    main(sys.argv[1])
