"""`appliance welcome`: a device that no phone is paired with invites its first one, at its own terminals.

Laws: an invitation is good once and for ten minutes, and never longer than this program holds it open: a
code that somebody photographed yesterday is worth nothing. As soon as any phone is paired it is over. Each
has an account at the broker, which is written to the card: so there are three, and three more when the bell
is pressed, rather than one every ten minutes while nobody is there.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from appliance.client import Client, NotAllowed, Unreachable
from appliance.errors import Refused
from appliance.owner.sheet import Sheet
from appliance.owner.terminals import there

LOOKS_EVERY_S = 5.0
"""How soon it is noticed that a phone was paired elsewhere, and that the appliance runs."""
CODES = 3
"""Invitations that are shown one after the other, at the start and at a press of the bell."""
BELL = "call_button_clicked"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Welcome:
    """What is said, and where: to the log (standard output), and at each terminal that there is."""

    name: str = "Owner"
    lasts_s: float = 24 * 3600.0
    terminals: tuple[Path, ...] = ()
    looks_every_s: float = LOOKS_EVERY_S
    say: Callable[[str], None] = lambda text: print(text, flush=True)  # noqa: T201
    environ: Mapping[str, str] | None = None

    def run(self) -> int:
        """Until somebody is paired, or it has gone on for long enough. Raises NotAllowed."""
        ends_s = time.monotonic() + self.lasts_s
        why = said = ""
        left = CODES
        while time.monotonic() < ends_s:
            try:
                if self._is_paired():
                    return 0
                if left:
                    left -= self._invite(ends_s)
                elif self._bell_rings(ends_s):
                    left = CODES
            except NotAllowed:
                raise
            except (Unreachable, Refused) as error:
                # not at once, for the page comes after the bell; and once, for it may be so for days
                if str(error) == why != said:
                    said = why
                    self._say_everywhere(
                        f"No phone can be invited yet: {why}.\n{self._what_to_do()}"
                    )
                why = str(error)
                time.sleep(self.looks_every_s)
        self._say_everywhere(
            "No phone came, and the invitation is not shown any more. Start the device anew, or type"
            " `appliance pair NAME`."
        )
        return 0

    def _what_to_do(self) -> str:
        """The next step of whoever reads that it does not work."""
        host = socket.gethostname().partition(".")[0]
        return (
            f"This machine is {host}.local. Who may log in there finds more by `sudo appliance doctor` and"
            " `journalctl -b -u 'appliance*'`; as soon as it is put right the code appears here."
        )

    def _say_everywhere(self, text: str) -> None:
        self.say(text)
        for terminal in there(self.terminals):
            terminal.show(f"{text}\n")

    def _client(self) -> Client:
        return Client(os.environ if self.environ is None else self.environ)

    def _is_paired(self) -> bool:
        with self._client() as client:
            return any(contact["keys"] for contact in client.ask(contacts=True))

    def _invite(self, ends_s: float) -> bool:
        """Open one invitation, show it, and wait for what becomes of it; whether that was heard.

        One that has ended with the daemon is none of the three.
        """
        with self._client() as client:
            made = client.ask(pair={"name": self.name, "on_screen": True})
            if made["page"] is None:
                raise Refused(
                    "no_page", f"the page is not served: {made['page_error'] or 'see [http]'}"
                )
            self._show(made)
            outcome = self._until(client, client.outcome, ends_s)
        if outcome is not None and outcome["outcome"] == "paired":
            self._say_everywhere(f"The first phone is paired: {outcome['name']}.")
        return outcome is not None

    def _bell_rings(self, ends_s: float) -> bool:
        """Wait for it; False where the wait ends otherwise."""
        with self._client() as client:
            events = client.events(BELL)
            self._say_everywhere(
                "No phone came, and no code is shown now. Press the bell, and there is another one; or type"
                " `sudo systemctl restart appliance-welcome`."
            )
            return self._until(client, lambda: next(events), ends_s) is not None

    def _until(self, client: Client, comes: Callable[[], T], ends_s: float) -> T | None:
        """What comes at that client; None where a phone is paired or the time is over before that."""
        found: list[T] = []
        ended = threading.Event()

        def wait() -> None:
            # it may have gone away, or we have hung up
            with contextlib.suppress(Unreachable, OSError, ValueError, StopIteration):
                found.append(comes())
            ended.set()

        waiting = threading.Thread(target=wait, name="waiting")
        waiting.start()
        try:
            while not ended.wait(self.looks_every_s):
                if time.monotonic() > ends_s or self._is_paired():
                    break
        finally:
            client.hang_up()
            waiting.join()
        return found[0] if found else None

    def _show(self, made: Mapping[str, Any]) -> None:
        sheet = Sheet.of(made)
        self.say(sheet.plain())
        for terminal in there(self.terminals):
            terminal.show(sheet.drawn(*terminal.size()))
