"""Draw the drawings: `python -m tests.wiring docs/drawings`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.wiring.drawings import DRAWINGS


def main(folder: Path) -> None:
    """Write each of them to a folder."""
    folder.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        (folder / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
