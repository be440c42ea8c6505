"""The number with which this run's messages begin: above all of former runs, whatever the clock says."""

from __future__ import annotations

import logging
from pathlib import Path

from appliance.whole_file import private_folder, write_whole

log = logging.getLogger(__name__)

FILE = "sequence"
RESERVED = 2**28
"""Of a run whose clock may be wrong at the next start: more messages than it sends in years."""
HIGHEST = 2**53 - RESERVED


SUCCESSION = 2**40
"""Of a run whose beginning was kept in a backup: more than four thousand starts since then."""
PER_MS = 1024
"""A successor begins at so many times the clock's milliseconds, so that of two from one backup the later
one begins higher, unless the other has started more often than every five minutes."""


def successor(kept: bytes, *walls_ms: int) -> bytes:
    """What the file of a device has to hold that begins where another ended, whose file was once `kept`.

    Nobody knows how far that one has come since. `walls_ms` are times of day of which any may be wrong.
    """
    first = max(_number(kept) + SUCCESSION, *(wall_ms * PER_MS for wall_ms in walls_ms))
    return b"%d\n" % min(first, HIGHEST - 1)


def first_number(folder: Path, wall_ms: int) -> int:
    """Where to begin: at the clock's milliseconds, or behind what a former run may have used.

    A receiver that stayed connected refuses what does not rise, and a clock may be set back. Blocks
    until the next run's beginning is kept; where that cannot be done the clock alone is left.
    """
    file = folder / FILE
    try:
        kept = _number(file.read_bytes())
    except OSError:
        kept = 0
    first = max(wall_ms, kept)
    try:
        private_folder(folder)
        write_whole(file, b"%d\n" % (first + RESERVED))
    except OSError as error:
        log.warning(
            "%s cannot be written (%s): after a clock set back, numbers may too", file, error
        )
    return first


def _number(kept: bytes) -> int:
    """What stands in the file; 0 for what cannot be."""
    try:
        number = int(kept[:20])
    except ValueError:
        return 0
    return number if number < HIGHEST else 0
