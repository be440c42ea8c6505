"""docs/install.md as somebody follows it."""

from __future__ import annotations

import re
from pathlib import Path

INSTALL = Path(__file__).parents[2] / "docs" / "install.md"


def blocks(section: str) -> list[str]:
    """What is to be typed in a section, block by block."""
    text = INSTALL.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
