"""`appliance welcome`: a device that no phone is paired with invites its first one, at its own console.

Laws: an invitation is good once and for ten minutes, and never longer than this program holds it open: a
code that somebody photographed yesterday is worth nothing. As soon as any phone is paired it is over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.client import Client, NotAllowed, Unreachable
from appliance.errors import Refused
from appliance.invitation import link_of, qr_code, qr_plain
from appliance.pair import to_trust, warnings_of

LOOKS_EVERY_S = 5.0
"""How soon it is noticed that a phone was paired elsewhere, and that the appliance runs."""
WIDE = 100
"""Columns of a log that is looked at in a terminal."""
TAKES_S = 10.0
"""A serial line is slow."""
CLEARED = "\x1b[2J\x1b[H"


@dataclass(frozen=True, slots=True)
class Welcome:
    """What is said, and where: to the log (standard output), and at a terminal where there is one."""

    name: str = "Owner"
    lasts_s: float = 24 * 3600.0
    terminal: Path | None = None
    looks_every_s: float = LOOKS_EVERY_S
    say: Callable[[str], None] = lambda text: print(text, flush=True)  # noqa: T201
    environ: Mapping[str, str] | None = None

    def run(self) -> int:
        """Until somebody is paired, or it has gone on for long enough. Raises NotAllowed."""
        ends_s = time.monotonic() + self.lasts_s
        why = ""
        while time.monotonic() < ends_s:
            try:
                if self._is_paired():
                    return 0
                self._invite(ends_s)
            except NotAllowed:
                raise
            except (Unreachable, Refused) as error:
                if str(error) != why:  # once: it may be so for days
                    why = str(error)
                    self.say(f"No phone can be invited yet: {why}")
                time.sleep(self.looks_every_s)
        self.say(
            "No phone came, and the invitation is not shown any more. Start the device anew, or type"
            " `appliance pair NAME`."
        )
        return 0

    def _client(self) -> Client:
        return Client(os.environ if self.environ is None else self.environ)

    def _is_paired(self) -> bool:
        with self._client() as client:
            return any(contact["keys"] for contact in client.ask(contacts=True))

    def _invite(self, ends_s: float) -> None:
        """Open one invitation, show it, and wait for what becomes of it."""
        with self._client() as client:
            made = client.ask(pair={"name": self.name, "on_screen": True})
            if made["page"] is None:
                raise Refused(
                    "no_page", f"the page is not served: {made['page_error'] or 'see [http]'}"
                )
            self._show(made)
            outcome: list[Mapping[str, Any]] = []
            ended = threading.Event()

            def wait() -> None:
                # it may have gone away, or we have hung up
                with contextlib.suppress(Unreachable, OSError, ValueError):
                    outcome.append(client.outcome())
                ended.set()

            waiting = threading.Thread(target=wait, name="invitation")
            waiting.start()
            try:
                while not ended.wait(self.looks_every_s):
                    if time.monotonic() > ends_s or self._is_paired():
                        break
            finally:
                client.hang_up()
                waiting.join()
        if outcome and outcome[0]["outcome"] == "paired":
            self._write(f"{CLEARED}A phone is paired: {outcome[0]['name']}.\r\n")
            self.say(f"The first phone is paired: {outcome[0]['name']}.")

    def _show(self, made: Mapping[str, Any]) -> None:
        link = link_of(made["page"], made["invitation"])
        first = f"{made['device']} waits for its first phone. Scan this, or open the link below it:"
        last = (
            f"It is good once, for {made['expires_s'] / 60:g} minutes; then there is another. Who opens it"
            f" may: {', '.join(made['may'])}."
        )
        warnings = warnings_of(
            made["page"],
            made["invitation"]["websocket_url"],
            own=made["authority"] is not None,
        )
        trust = to_trust(made["authority"])
        notes = [*(trust.split("\n") if trust else []), *(f"note: {one}" for one in warnings)]
        plain = qr_plain(link, WIDE)
        self.say("\n".join([first, *([plain] if plain else []), link, *notes, last]))
        columns = self._columns()
        if columns:
            code = qr_code(link, columns)
            lines = [first, *(code.split("\n") if code else []), "", link, "", *notes, last, ""]
            self._write(CLEARED + "\r\n".join(lines))

    def _columns(self) -> int:
        """Of the terminal; 0 where there is none."""
        if self.terminal is None:
            return 0
        try:
            descriptor = os.open(self.terminal, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return 0
        try:
            size = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8))
            return int(struct.unpack("HHHH", size)[1]) or 80
        except OSError:
            return 0
        finally:
            os.close(descriptor)

    def _write(self, text: str) -> None:
        """To the terminal, which nobody may be looking at: what it does not take is lost."""
        if self.terminal is None:
            return
        try:
            descriptor = os.open(self.terminal, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            sys.stderr.write(f"{self.terminal} cannot be written to: {error.strerror}\n")
            return
        left = text.encode()
        ends_s = time.monotonic() + TAKES_S
        try:
            while left and time.monotonic() < ends_s:
                if select.select([], [descriptor], [], 0.5)[1]:
                    left = left[os.write(descriptor, left) :]
        except OSError as error:
            sys.stderr.write(f"{self.terminal} takes nothing: {error.strerror}\n")
        finally:
            os.close(descriptor)
