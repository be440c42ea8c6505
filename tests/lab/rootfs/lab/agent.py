"""Carries out what the machine's driver asks for, within the guest: one line of JSON for each thing.

`{"id", "command", "timeout"}` is answered by `{"id", "code", "out"}`, or where that cannot be by
`{"id", "error"}`. When the line ends, whoever drove the machine has gone, and it is switched off.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def serve(asked: Mapping[str, Any], line: int) -> None:
    """Do one thing, and answer."""
    try:
        answer = run(asked)
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    say({"id": asked["id"], **answer}, line)


def say(words: Mapping[str, Any], line: int) -> None:
    """One line, in as many pieces as the terminal takes."""
    left = json.dumps(words).encode() + b"\n"
    with _speaking:
        while left:
            left = left[os.write(line, left) :]


def main(device: str) -> None:
    """Answer until the line ends."""
    with Path(device).open("r+b", buffering=0) as terminal:
        line = terminal.fileno()
        tty.setraw(line, termios.TCSANOW)
        say({"id": 0}, line)
        with os.fdopen(os.dup(line), "rb") as heard:
            for asked in heard:
                threading.Thread(target=serve, args=(json.loads(asked), line)).start()
    subprocess.run(["systemctl", "poweroff", "-ff"], check=False)


if __name__ == "__main__":
    main(sys.argv[1])
