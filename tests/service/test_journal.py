"""The log as the journal, a terminal and a file get it."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import pty
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.service.journal import call_context, set_up, without_secrets
from tests.parts.rootlog import as_before

log = logging.getLogger("appliance.test")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with as_before():
        yield


def journal(file: Path) -> dict[str, str]:
    """The environment of a process whose standard error is this file, made by systemd."""
    found = file.stat()
    return {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


def test_the_journal_gets_priorities(tmp_path: Path) -> None:
    file = tmp_path / "stderr"
    with file.open("w") as stream:
        set_up(logging.DEBUG, stream, journal(file))
        log.debug("a")
        log.info("b")
        log.warning("c")
        log.error("d")
        log.critical("e")
    assert file.read_text().splitlines() == [
        "<7>appliance.test: a",
        "<6>appliance.test: b",
        "<4>appliance.test: c",
        "<3>appliance.test: d",
        "<2>appliance.test: e",
    ]


def fail() -> None:
    """Go wrong, with words of more than one line."""
    raise ValueError("no\nway")


def test_every_line_of_a_traceback_has_its_priority_and_its_call(tmp_path: Path) -> None:
    file = tmp_path / "stderr"
    with file.open("w") as stream:
        set_up(stream=stream, environ=journal(file))
        with call_context("c1"):
            try:
                fail()
            except ValueError:
                log.exception("it failed")
    lines = file.read_text().splitlines()
    assert lines[0] == "<3>[c1] appliance.test: it failed"
    assert len(lines) > 4
    assert all(line.startswith("<3>[c1] ") for line in lines)


def test_a_file_that_is_not_the_journal_gets_the_time(tmp_path: Path) -> None:
    stream = io.StringIO()
    set_up(stream=stream, environ={"JOURNAL_STREAM": "1:2"})
    log.warning("one is enough")
    text = stream.getvalue()
    assert text[2] == text[5] == ":"
    assert text.endswith(" appliance.test: one is enough\n")
    assert "\033" not in text


def test_a_terminal_gets_colour_unless_it_minds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    outer, inner = pty.openpty()
    with os.fdopen(outer, "rb"), os.fdopen(inner, "w") as terminal:
        set_up(stream=terminal, environ={})
        log.error("red")
        assert b"\033[31m" in os.read(outer, 4096)
        monkeypatch.setenv("NO_COLOR", "1")
        set_up(stream=terminal, environ={})
        log.error("plain")
        assert b"\033" not in os.read(outer, 4096)


async def test_each_task_logs_its_own_call() -> None:
    stream = io.StringIO()
    set_up(stream=stream, environ={})
    both = asyncio.Barrier(2)

    async def work(call_id: str) -> None:
        with call_context(call_id):
            await both.wait()
            log.info("working on %s", call_id)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work("c1"))
        tasks.create_task(work("c2"))
    log.info("done")
    assert "[c1] appliance.test: working on c1\n" in stream.getvalue()
    assert "[c2] appliance.test: working on c2\n" in stream.getvalue()
    assert " appliance.test: done\n" in stream.getvalue()
    assert stream.getvalue().count("[c") == 2


def test_libraries_chat_in_debug_only() -> None:
    stream = io.StringIO()
    set_up(stream=stream, environ={})
    logging.getLogger("aioice.ice").info("a candidate pair")
    logging.getLogger("aioice.ice").warning("no candidate pair")
    assert "a candidate pair" not in stream.getvalue().replace("no candidate pair", "")
    assert "no candidate pair" in stream.getvalue()


def test_warnings_of_python_are_logged() -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        set_up(stream=stream, environ={})
        warnings.warn("this will go", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "this will go" in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"token": "abc.def", "uid": "bob"}', '{"token": "***", "uid": "bob"}'),
        ("password=hunter2 port=1", "password=*** port=1"),
        ("a=ice-pwd:kXQ9 and more", "a=ice-pwd:*** and more"),
        ("Authorization: Bearer abc", "Authorization: Bearer ***"),
        ("mqtt://door:hunter2@broker/x", "mqtt://door:***@broker/x"),
        ("password_file=/etc/x", "password_file=/etc/x"),
        ("the token is its inbox topic", "the token is its inbox topic"),
        ("https://broker:8080/a@b", "https://broker:8080/a@b"),
    ],
)
def test_what_looks_like_a_secret_is_not_kept(text: str, kept: str) -> None:
    assert without_secrets(text) == kept
