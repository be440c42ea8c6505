"""The log: for the journal with its priorities, for a terminal with time and colour.

Each line that is about a call has its id, and no line has a secret.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import TextIO

call_id_var: ContextVar[str | None] = ContextVar("call_id", default=None)
"""The call that the running task works for."""

PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)
"""sd-daemon(3): the number between < and > that the journal takes off a line again."""

COLOURS = {2: "\033[1;31m", 3: "\033[31m", 4: "\033[33m", 6: "", 7: "\033[2m"}
PLAIN = "\033[0m"

CHATTY = ("aioice", "aiortc", "aiohttp.access", "amqtt", "transitions", "libav")
"""Libraries that tell at INFO what only their authors want to know."""

_SECRET = re.compile(
    r"""\b(password|passwd|secret|credential|token|authorization|a=ice-pwd|a=crypto)\b
        (["']?\s*[:=]\s*["']?(?:bearer\s+|basic\s+)?) [^\s"',;}\]]+""",
    re.IGNORECASE | re.VERBOSE,
)
_USER_IN_URL = re.compile(r"(\w+://[^\s:/@]*):[^\s/@]+@")


@contextlib.contextmanager
def call_context(call_id: str | None) -> Iterator[None]:
    """What is logged inside is about this call."""
    before = call_id_var.set(call_id)
    try:
        yield
    finally:
        call_id_var.reset(before)


def set_up(
    level: int = logging.INFO,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Log to `stream` (standard error), in its manner; to be called once, by the program."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JournalLines() if _is_journal(stream, environ) else TerminalLines(stream))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    if level > logging.DEBUG:
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)


class JournalLines(logging.Formatter):
    """`<4>[call_id] appliance.signaling: sentence`; each further line with its priority too."""

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record, for standard error."""
        start = f"<{_priority(record)}>{_call()}"
        return "\n".join(
            start + line for line in without_secrets(super().format(record)).split("\n")
        )


class TerminalLines(logging.Formatter):
    """`09:00:00.123 [call_id] appliance.signaling: sentence`, coloured where that shows."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__("%(name)s: %(message)s")
        self._coloured = stream.isatty() and "NO_COLOR" not in os.environ

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record, for a person."""
        time = f"{self.formatTime(record, '%H:%M:%S')}.{int(record.msecs):03}"
        text = f"{time} {_call()}{without_secrets(super().format(record))}"
        colour = COLOURS[_priority(record)]
        return f"{colour}{text}{PLAIN}" if self._coloured and colour else text


def without_secrets(text: str) -> str:
    """A text as it may be kept: the last guard, for what should not have been logged at all."""
    return _USER_IN_URL.sub(r"\1:***@", _SECRET.sub(r"\1\2***", text))


def _priority(record: logging.LogRecord) -> int:
    return next(number for level, number in PRIORITIES if record.levelno >= level)


def _call() -> str:
    call_id = call_id_var.get()
    return f"[{call_id}] " if call_id else ""


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the stream is the one that systemd connected: systemd.exec(5), `$JOURNAL_STREAM`."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
