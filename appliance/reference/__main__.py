"""Write references: `python -m appliance.reference docs/events.md docs/configuration.md`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.reference.configuration import configuration
from appliance.reference.document import document

WRITERS: Mapping[str, Callable[[], str]] = {
    "events.md": document,
    "configuration.md": configuration,
}
"""What is written to a file of that name."""


def main(paths: list[str]) -> None:
    """Write each of the files. Raises SystemExit for one that is no reference."""
    for path in map(Path, paths):
        if path.name not in WRITERS:
            raise SystemExit(f"{path} is none of {', '.join(WRITERS)}")
        path.write_text(WRITERS[path.name](), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
