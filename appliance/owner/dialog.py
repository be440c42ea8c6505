"""A conversation at a terminal: sentences, questions with an answer at hand, waiting."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Sequence
from typing import TextIO, TypeVar

from appliance.errors import ApplianceError

T = TypeVar("T")


class Dialog:
    """Asks at `keyboard` (a descriptor) and says to `screen`."""

    def __init__(self, keyboard: int, screen: TextIO) -> None:
        """Neither is closed by it."""
        self._keyboard, self._screen = keyboard, screen
        self._typed = b""

    def say(self, text: str = "") -> None:
        """One paragraph."""
        self._screen.write(f"{text}\n")
        self._screen.flush()

    def ask(
        self, question: str, default: str = "", wrong: Callable[[str], str | None] = lambda _: None
    ) -> str:
        """What is typed, or the answer at hand; again while `wrong` has a sentence about it.

        Raises ApplianceError where the terminal is closed.
        """
        while True:
            self._prompt(f"{question} [{default}]: " if default else f"{question}: ")
            said = self._line() or default
            sentence = wrong(said)
            if sentence is None:
                return said
            self.say(f"  {sentence}")

    def yes(self, question: str, *, default: bool = False) -> bool:
        """Yes or no."""
        known = {"yes": True, "y": True, "no": False, "n": False}
        said = self.ask(
            f"{question} (yes, no)",
            "yes" if default else "no",
            lambda word: None if word.lower() in known else "yes or no",
        )
        return known[said.lower()]

    def choose(self, question: str, options: Sequence[tuple[str, str]], default: str) -> str:
        """One of the options (value, description) by its number, or a value that is typed."""
        for number, (value, description) in enumerate(options, 1):
            self.say(f"  {number}  {value}" + (f"  ({description})" if description else ""))
        said = self.ask(f"{question}: a number, or a name", default)
        if said.isdecimal() and 1 <= int(said) <= len(options):
            return options[int(said) - 1][0]
        return said

    def until(self, question: str, waker: int, happened: Callable[[], T | None]) -> T | None:
        """What `happened` gives once `waker` can be read; None when Enter is pressed first."""
        self._prompt(question)
        while True:
            ready, _, _ = select.select([self._keyboard, waker], [], [])
            if waker in ready:
                os.read(waker, 4096)
                if (found := happened()) is not None:
                    self.say()
                    return found
            if self._keyboard in ready:
                self._line()
                return None

    def _prompt(self, text: str) -> None:
        self._screen.write(text)
        self._screen.flush()

    def _line(self) -> str:
        while b"\n" not in self._typed:
            try:
                typed = os.read(self._keyboard, 1024)
            except OSError:  # EIO: the terminal is gone
                typed = b""
            if not typed:
                raise ApplianceError("nobody is there any more: nothing was changed")
            self._typed += typed
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode("utf-8", "replace").strip()
