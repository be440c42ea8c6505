"""A program that is started for an event: what it is given, and how it ends, with all that it started.

Nothing of ours is inherited: no secret in the environment, no descriptor, no terminal, no working
folder. What it leaves in the background ends with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

COMPLAINT_MAX = 4096
"""Bytes of what it complains about that are kept; the rest is read and dropped."""
READ_AT_ONCE = 65536
DIES_S = 2.0
"""How long a killed program may take to be gone; one that hangs in a driver is left to the system."""

PASSED_ON = (
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_TIME",
    "TZ",
)
"""What of our own environment a program may see."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(
    event: str, call_id: str | None, socket: Path, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """What a program for an event finds in its environment; `appliance ctl` works in it."""
    passed_on = {name: environ[name] for name in PASSED_ON if name in environ}
    return passed_on | {
        # behind the system's, so that this program's own python is nobody else's
        "PATH": f"{PATH}:{Path(sys.executable).parent}",
        "APPLIANCE_EVENT": event,
        "APPLIANCE_CALL_ID": call_id or "",
        "APPLIANCE_SOCKET": str(socket),
    }


class Program:
    """One running program, and its process group; `ended` is to be awaited once, on the loop."""

    def __init__(self, file: Path, event: str, text: bytes, environ: Mapping[str, str]) -> None:
        """Start it, with `text` as its standard input; blocks, and raises OSError."""
        self._complaint = b""
        # a file in memory: nobody has to feed it, and it may be read or not
        given = os.memfd_create("event", os.MFD_CLOEXEC)
        try:
            os.write(given, text)
            os.lseek(given, 0, os.SEEK_SET)
            self._process = subprocess.Popen(  # noqa: S603 - files that root or this user put there
                [file, event],
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env=environ,
                start_new_session=True,
            )
        finally:
            os.close(given)
        # tells of the end without reaping: until then the process's number is nobody else's
        self._end = os.pidfd_open(self._process.pid)
        assert self._process.stderr is not None
        self._complaints = self._process.stderr
        os.set_blocking(self._complaints.fileno(), False)

    def kill(self) -> None:
        """End it, and all that it started; nothing where it has been seen to have ended."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def ended(self, limit_s: float) -> str | None:
        """Wait for its end, and force it after `limit_s`; what was wrong, if anything."""
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        late = False
        loop.add_reader(self._end, gone.set)
        loop.add_reader(self._complaints, self._listen)
        try:
            late = not await _within(limit_s, gone)
            if late:
                self.kill()
                await _within(DIES_S, gone)
        finally:
            self.kill()  # what it left in the background
            self._listen()
            loop.remove_reader(self._end)
            loop.remove_reader(self._complaints)
            os.close(self._end)
            self._complaints.close()
            self._process.poll()
        return f"took over {limit_s:g} s and was killed" if late else self._verdict()

    def _listen(self) -> None:
        """Take some of what it complains about: it may be more than anybody wants to know."""
        try:
            data = os.read(self._complaints.fileno(), READ_AT_ONCE)
        except BlockingIOError:
            return
        self._complaint += data[: COMPLAINT_MAX - len(self._complaint)]
        if not data:
            asyncio.get_running_loop().remove_reader(self._complaints)

    def _verdict(self) -> str | None:
        status = self._process.returncode
        if not status:
            return None
        said = self._complaint.decode(errors="replace").strip().partition("\n")[0].rstrip()
        how = f"status {status}" if status > 0 else f"signal {-status}"
        return f"ended with {how}: {said}" if said else f"ended with {how}"


async def _within(limit_s: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
