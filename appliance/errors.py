"""One tree of errors; each says what went wrong in words for the person at the console."""

from __future__ import annotations

from collections.abc import Iterable


class ApplianceError(Exception):
    """Anything that this project raises on purpose; `code` is for programs."""

    code = "failed"


class ConfigError(ApplianceError):
    """The configuration has faults; `faults` lists every one, each with its path."""

    code = "config"

    def __init__(self, faults: list[str]) -> None:
        """Keep `faults`, in the order of the file."""
        super().__init__("\n".join(faults))
        self.faults = faults


class Refused(ApplianceError):
    """A command was not carried out: `code` says which rule, the message why."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the sentence."""
        super().__init__(message)
        self.code = code


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """`; did you mean <name>?` for the name that is nearest to `word`, or nothing."""
    from difflib import get_close_matches  # only who has made a mistake waits for this import

    known = list(names)
    letters = sorted(word.lower())  # two swapped letters are the commonest slip, and score low
    near = [name for name in known if sorted(name) == letters]
    near = near or get_close_matches(word.lower(), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
