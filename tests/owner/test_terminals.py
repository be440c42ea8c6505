"""Terminals that something is shown on: real ones, and what is none."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.owner import terminals
from appliance.owner.terminals import Terminal, there


@pytest.fixture
def pair() -> Iterator[tuple[int, Path]]:
    """Its other end, and its name."""
    ours, theirs = pty.openpty()
    yield ours, Path(os.ttyname(theirs))
    os.close(ours)
    os.close(theirs)


def test_it_is_cleared_and_lines_begin_at_the_left(pair: tuple[int, Path]) -> None:
    ours, name = pair
    Terminal(name).show("one\ntwo\n")
    shown = os.read(ours, 4096).replace(b"\r\r", b"\r")  # the pty's own may be one more
    assert shown == b"\x1b[2J\x1b[Hone\r\ntwo\r\n"


def test_its_size_is_its_own_and_where_it_has_none_the_usual(pair: tuple[int, Path]) -> None:
    ours, name = pair
    assert Terminal(name).size() == (80, 25)
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 67, 240, 0, 0))
    assert Terminal(name).size() == (240, 67)
    assert Terminal(Path(os.devnull)).size() == (80, 25)


def test_what_is_not_there_is_left_out_and_what_cannot_be_written_to_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert there([tmp_path / "none", Path(os.devnull)]) == [Terminal(Path(os.devnull))]
    Terminal(tmp_path).show("nothing")
    assert f"{tmp_path} cannot be written to" in capsys.readouterr().err


def test_nobody_reads_it_and_it_goes_on(
    pair: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminals, "TAKES_S", 0.1)
    Terminal(pair[1]).show("x" * 1_000_000)


@pytest.mark.parametrize(
    ("active", "shown_on"),
    [
        ("ttyS0 tty1\n", ["tty1"]),
        ("tty1 ttyAMA0\n", ["tty1", "console"]),
        ("", ["tty1", "console"]),
    ],
)
def test_the_console_is_shown_on_once_where_it_is_the_first_terminal(
    active: str, shown_on: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "active").write_text(active)
    for name in ("tty1", "console"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(terminals, "CONSOLE", tmp_path / "console")
    monkeypatch.setattr(terminals, "ACTIVE", tmp_path / "active")
    found = there([tmp_path / "tty1", tmp_path / "console"])
    assert [one.path.name for one in found] == shown_on
