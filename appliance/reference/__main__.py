"""Write the reference: `python -m appliance.reference docs/events.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.reference.document import document


def main(paths: list[str]) -> None:
    """Write it to each of the files."""
    for path in map(Path, paths):
        path.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
