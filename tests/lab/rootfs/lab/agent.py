"""Carries out what the machine's driver asks for, within the guest: one line of JSON for each thing.

`{"id", "command", "timeout"}` is answered by `{"id", "code", "out"}`, or where that cannot be by
`{"id", "error"}`; the line is for short words, so what the command wrote is in `/host/told-<id>` where the
driver shares that folder. When the line ends, whoever drove the machine has gone, and it is switched off.

Where the machine's time jumps (kernel: time-travel=inf-cpu), what its processor does takes no time, and
when all of it waits, it is at once the moment of whatever comes next. So that nothing comes while it is the
driver that is waited for, somebody is busy then, and time stands still: between two steps, nothing happens.
"""

from __future__ import annotations

import contextlib
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


class Time:
    """Passes while something is done, and at no other time."""

    def __init__(self) -> None:
        """A program that is busy, and less urgent than everything else."""
        self._lock = threading.Lock()
        self._doing = 0
        self._busy = os.fork()
        if not self._busy:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            while True:
                os.sched_yield()

    def __enter__(self) -> None:
        with self._lock:
            self._doing += 1
            os.kill(self._busy, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._doing -= 1
            if not self._doing:
                os.kill(self._busy, signal.SIGCONT)


def jumps() -> bool:
    """Whether this machine's time does."""
    return "time-travel" in Path("/proc/cmdline").read_text()


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
    if not os.path.ismount("/host"):
        return {"code": code, "out": said.decode(errors="replace")}
    Path(f"/host/told-{asked['id']}").write_bytes(said)
    return {"code": code}


def serve(
    asked: Mapping[str, Any], line: int, time: contextlib.AbstractContextManager[None]
) -> None:
    """Do one thing, and answer."""
    with time:
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
        time = Time() if jumps() else contextlib.nullcontext()
        say({"id": 0}, line)
        with os.fdopen(os.dup(line), "rb") as heard:
            for asked in heard:
                threading.Thread(target=serve, args=(json.loads(asked), line, time)).start()
    subprocess.run(["systemctl", "poweroff", "-ff"], check=False)


if __name__ == "__main__":
    main(sys.argv[1])
