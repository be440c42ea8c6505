"""An invitation on terminals of each size, and in a log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.owner.sheet import Sheet

FINGERPRINT = ":".join(["A1"] * 32)
MADE = {
    "page": "https://front-door.local:8443/",
    "authority": {"url": "https://front-door.local:8443/ca.crt", "sha256": FINGERPRINT},
    "device": "Front door",
    "may": ["call", "answer"],
    "expires_s": 600.0,
    "invitation": {
        "websocket_url": "wss://front-door.local:8884/",
        "public_key": "k" * 43,
        "password": "p" * 32,
        "secret": "s" * 22,
        "name": "Owner",
    },
}
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def drawn(columns: int, rows: int, **changes: object) -> list[str]:
    """The lines of a terminal of that size."""
    lines = Sheet.of({**MADE, **changes}).drawn(columns, rows).split("\n")
    return [COLOURS.sub("", line) for line in lines]


def test_where_there_is_room_two_codes_stand_beside_one_another() -> None:
    lines = drawn(240, 67)
    height = sum(max(1, -(-len(line) // 240)) for line in lines)
    assert height < 67
    crossed = [line for line in lines if re.search("[▀▄█]", line)]
    first = [line for line in crossed if re.search(r"[▀▄█ ]{25,} {6,}[▀▄█ ]{25,}", line)]
    assert len(crossed) > 30
    assert len(first) > 10
    text = "\n".join(lines)
    assert text.index("/ca.crt") < text.index("#pair=")
    assert "A1:A1" in text


@pytest.mark.parametrize(("columns", "rows"), [(160, 45), (128, 48), (100, 45), (90, 60)])
def test_a_code_is_never_shown_in_part(columns: int, rows: int) -> None:
    lines = drawn(columns, rows)
    height = sum(max(1, -(-len(line) // columns)) for line in lines)
    has_code = any(re.search("[▀▄█]{2}", line) for line in lines)
    assert not has_code or height < rows
    if not has_code:
        assert "journalctl" in "\n".join(lines)
        assert any("#pair=" in line for line in lines)


def test_where_nothing_is_to_be_trusted_nothing_is_said_of_it() -> None:
    text = "\n".join(drawn(240, 67, authority=None))
    assert "ca.crt" not in text
    assert "Scan this" in text


def test_an_image_says_how_it_gets_into_the_network(tmp_path: Path) -> None:
    assert "door.txt" in Sheet.of(MADE, tmp_path).plain()
    assert "door.txt" not in Sheet.of(MADE, tmp_path / "none").plain()


def test_a_log_has_both_codes_and_no_colours() -> None:
    text = Sheet.of(MADE).plain()
    assert "\x1b" not in text
    first, _, second = text.partition("#pair=")[0].partition("Scan this")
    assert all(re.search("[▀▄█]{3}", part) for part in (first, second))
