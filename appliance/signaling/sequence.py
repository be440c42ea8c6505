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


def first_number(folder: Path, wall_ms: int) -> int:
    """Where to begin: at the clock's milliseconds, or behind what a former run may have used.

    A receiver that stayed connected refuses what does not rise, and a clock may be set back. Blocks
    until the next run's beginning is kept; where that cannot be done the clock alone is left.
    """
    file = folder / FILE
    try:
        kept = int(file.read_bytes()[:20])
    except (OSError, ValueError):
        kept = 0
    first = max(wall_ms, kept if kept < HIGHEST else 0)
    try:
        private_folder(folder)
        write_whole(file, b"%d\n" % (first + RESERVED))
    except OSError as error:
        log.warning(
            "%s cannot be written (%s): after a clock set back, numbers may too", file, error
        )
    return first
