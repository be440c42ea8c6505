"""Reads the comments of the documented configuration (config/appliance.toml), for manual and reference.

Above a `[table]` stands what is said of it, behind and below a key what is said of that. A key that is
commented out has no default: its value is an example. The standard library alone is used, since whoever
builds the package has no more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TABLE = re.compile(r"(?:# )?(\[\[?[a-z_.]+\]\]?)(?:\s+# (.*))?")
KEY = re.compile(r'(# )?("?[\w#]+"?) = (.*?)(?:\s{2,}# (.*))?')
CONTINUED = re.compile(r"(?:\s{4,}|#\s{4,})#?\s*(.*)")
PROSE = re.compile(r"#(?: (.*))?")


@dataclass
class Part:
    """A paragraph, a heading with its rest of the line, or a key with its value and what is said of it."""

    kind: str
    text: str = ""
    title: str = ""
    default: bool = True


def parts(lines: list[str]) -> list[Part]:
    """What the documented configuration consists of, in its order.

    Raises ValueError for a line that is nothing of it.
    """
    found: list[Part] = []
    for line in lines:
        last = found[-1] if found else Part("gap")
        if not line.strip():
            found.append(Part("gap"))
        elif match := TABLE.fullmatch(line):
            found.append(Part("table", match[2] or "", match[1]))
        elif match := KEY.fullmatch(line):
            found.append(Part("key", match[4] or "", f"{match[2]} = {match[3]}", not match[1]))
        elif last.kind in ("key", "table") and (match := CONTINUED.fullmatch(line)):
            if line.lstrip("# ")[:1] in ('"', "[") and not line.lstrip().startswith("#"):
                last.title += " " + line.split("#")[0].strip()  # a value of two lines
                match = re.fullmatch(r"[^#]*#?\s*(.*)", line)
            last.text = f"{last.text} {match[1] if match else ''}".strip()
        elif match := PROSE.fullmatch(line):
            if last.kind != "prose":
                found.append(Part("prose"))
            found[-1].text = f"{found[-1].text} {match[1] or ''}".strip()
        else:
            raise ValueError(f"this is no line of a documented configuration: {line}")
    return found
