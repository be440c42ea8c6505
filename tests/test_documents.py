"""What documents say is tested is there to be run, and where they lead is something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STATES = ("met", "partly", "not", "n/a")
PROVISIONS = [f"5.{number}" for number in range(1, 14)]
CHAPTER_17 = ["17.1.1", "17.1.2", *(f"17.2.{n}" for n in range(1, 9)), "17.3.1", "17.3.2"]


def named_tests(text: str) -> Iterator[Path]:
    """Each path of a test in a text; a bare `test_x.py` lies beside the one named before it."""
    for line in text.splitlines():
        folder = Path("tests")
        for name in re.findall(r"`(tests/[\w/.]*|test_\w+\.py)`", line):
            path = Path(name) if name.startswith("tests/") else folder / name
            folder = path.parent if path.suffix else path
            yield path


@pytest.mark.parametrize("document", ["security.md", "proof.md"])
def test_every_test_that_is_named_is_there(document: str) -> None:
    named = list(named_tests((ROOT / "docs" / document).read_text()))
    assert len(named) > 30
    assert [str(path) for path in named if not (ROOT / path).exists()] == []


def test_what_is_proven_in_every_run_is_played_in_every_run() -> None:
    """No row of it is shown first by what `make test` leaves to the lab or to other commands."""
    left = re.findall(r"(?m)^(?:BOOTS|APART) := (.*)$", (ROOT / "Makefile").read_text())
    apart = {Path(name) for name in re.findall(r"tests/[\w/.]+", " ".join(left))}
    lab = Path("tests/lab")
    sections = (ROOT / "docs" / "proof.md").read_text().split("\n## Proven ")[1:]
    every, in_the_lab, by_hand = (one.split("\n## ")[0].splitlines() for one in sections)
    for line in [*every, *in_the_lab, *by_hand]:
        first = next(named_tests(line.rpartition(" | ")[2]), ROOT)
        if line.startswith("| ") and first != ROOT:
            assert (lab in (first, *first.parents)) is (line in in_the_lab), line
            assert line not in every or first not in apart, line


def test_every_threat_promise_and_provision_has_one_row_with_a_state() -> None:
    rows = {
        cells[0]: cells
        for line in (ROOT / "docs" / "security.md").read_text().splitlines()
        if len(cells := [cell.strip() for cell in line.strip("| ").split(" | ")]) > 3
    }
    wanted = [*(f"T{n}" for n in range(1, 21)), *(f"P{n}" for n in range(1, 21))]
    assert [name for name in rows if name[-1].isdigit()] == [*wanted, *PROVISIONS, *CHAPTER_17]
    for name, cells in rows.items():
        if not name[-1].isdigit():
            continue
        state, tests = cells[-1], list(named_tests(cells[-2]))
        assert state.split(":")[0].split()[0] in STATES, f"{name}: {state}"
        assert tests or not state.startswith("met"), f"{name} is met by no test"


DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def anchors(document: Path) -> set[str]:
    """What of a document can be linked: its headings as GitHub spells them, and names of its own."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = set(re.findall(r'<a id="([^"]+)">', text))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)|<[^>]+>", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading_of_it(document: Path) -> None:
    for target in re.findall(r"(?<!`)\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        assert file.exists(), f"{document.name}: there is no {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{document.name}: nothing in {file.name} is #{anchor}"


def test_every_document_is_in_the_list_of_documents() -> None:
    listed = (ROOT / "README.md").read_text().split("\n## Documents\n")[1]
    for document in DOCUMENTS[2:]:
        ending = document.name.removeprefix("from-") if "from-" in document.name else document.name
        assert ending in listed, document.name
