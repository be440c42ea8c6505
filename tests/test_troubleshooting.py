"""docs/troubleshooting.md quotes what the program says: each sentence, code and event is in its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from appliance.events import EVENTS
from appliance.model import CalleeState, CallEndReason, DeviceException

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SAYS = ("doctor", "journal", "check-config")
NAMES = ("events", "status", "ctl")
ELSEWHERE = ("`systemctl status appliance`", "`dmesg`", "nothing")
"""What other programs say, and a device that says nothing."""


def rows() -> Iterator[tuple[str, str, str]]:
    """Where it is said, what, and the section, of each row of each symptom."""
    for section in TEXT.split("\n## ")[1:]:
        for line in section.splitlines():
            cells = re.split(r"(?<!\\) \| ", line.removeprefix("| ").removesuffix(" |"))
            if line.startswith("| ") and cells[0] not in ("where", "---"):
                yield cells[0], cells[1], section.splitlines()[0]


@cache
def constants() -> frozenset[str]:
    """Each text in the program, those between the values of f-strings too, on one line."""
    found = set()
    for path in (ROOT / "appliance").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(" ".join(node.value.split()))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return frozenset(found)


@cache
def page() -> str:
    """All that the page may say."""
    static = ROOT / "appliance" / "web" / "static"
    files = [*static.glob("*.js"), *static.glob("*.html")]
    return "\n".join(" ".join(file.read_text(encoding="utf-8").split()) for file in files)


def quoted(says: str) -> list[str]:
    return re.findall(r"`([^`]+)`", says)


def fragments(quote: str) -> list[str]:
    """What of a quotation is the program's: not the values that stand as an ellipsis."""
    return [part.strip(' ."') for part in quote.split("…") if len(part.strip(' ."')) > 3]


ROWS = [*rows()]


def test_each_row_is_of_a_known_kind() -> None:
    assert len(ROWS) > 100
    kinds = {where for where, _, _ in ROWS}
    assert kinds == {*SAYS, *NAMES, "page", *ELSEWHERE}


@pytest.mark.parametrize("says", [says for where, says, _ in ROWS if where in SAYS])
def test_a_sentence_that_is_quoted_is_said(says: str) -> None:
    parts = [part for quote in quoted(says) for part in fragments(quote)]
    assert parts or "MB free" in says, "nothing of the program's is quoted"
    for part in parts:
        known = any(part in constant for constant in constants())
        assert known or part in ("refused",), f"nobody says: {part}"


@pytest.mark.parametrize("says", [says for where, says, _ in ROWS if where == "page"])
def test_a_sentence_of_the_page_is_said(says: str) -> None:
    for quote in quoted(says):
        for part in fragments(quote):
            assert part in page(), f"the page does not say: {part}"


@pytest.mark.parametrize("says", [says for where, says, _ in ROWS if where in NAMES])
def test_a_name_that_is_quoted_is_one(says: str) -> None:
    values = {*map(str, CallEndReason), *map(str, CalleeState), *map(str, DeviceException)}
    for name in quoted(says):
        if name.startswith("audio."):
            assert "audio." in constants()
        else:
            known = name in EVENTS or name in values or name in constants()
            assert known, f"there is no {name}"


def test_a_code_behind_error_is_no_event_and_an_event_is_no_code() -> None:
    for where, says, _ in ROWS:
        names = quoted(says)
        if where == "events" and names:
            assert names[0] in EVENTS, says


def test_every_symptom_is_in_the_list_at_the_top() -> None:
    sections = [part.splitlines()[0] for part in TEXT.split("\n## ")[1:]]
    listed = re.findall(r"\[([^\]]+)\]\(#([a-z-]+)\)", TEXT.split("\n## ")[0])
    assert [title for title, _ in listed] == sections
    for title, anchor in listed:
        assert re.sub(r"[^a-z ]", "", title.lower()).replace(" ", "-") == anchor


def test_every_link_within_leads_somewhere() -> None:
    anchors = {
        re.sub(r"[^a-z ]", "", part.splitlines()[0].lower()).replace(" ", "-")
        for part in TEXT.split("\n## ")[1:]
    }
    for anchor in re.findall(r"\]\(#([a-z-]+)\)", TEXT):
        assert anchor in anchors
