"""`appliance update`: what it asks for at the socket, what it prints, and what units start."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import main
from appliance.updating import answering, installing, quiet, trial, wellness
from tests.parts.rootlog import as_before
from tests.updating.conftest import Device, Published


@contextmanager
def saying(path: Path, *lines: bytes) -> Iterator[list[Any]]:
    """Somebody at the socket, who says these lines to whatever is asked; what was asked."""
    asked: list[Any] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as reading:
                asked.append(json.loads(reading.readline()))
                connection.sendall(b"".join(lines))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            thread.join()


def update(path: Path, *words: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPLIANCE_UPDATE_SOCKET", str(path))
        return main(["update", *words])


def test_an_update_is_asked_for_and_its_way_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s"
    lines = [b'{"say": "it is written"}\n', b'{"done": {"restarts": true}}\n']
    with saying(path, *lines) as asked:
        assert update(path, "install", str(tmp_path / "x" / ".." / "a.raucb"), "--older") == 0
    assert asked == [{"what": "install", "source": str(tmp_path / "a.raucb"), "older": True}]
    assert capsys.readouterr().out == "it is written\n"


@pytest.mark.parametrize("given_up", [True, False])
def test_whether_there_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given_up: bool
) -> None:
    done = {"done": {"version": "9.0", "runs": "1.0", "given_up": given_up}}
    with saying(tmp_path / "s", json.dumps(done).encode() + b"\n") as asked:
        assert update(tmp_path / "s", "check", "https://example/a.raucb") == 0
    assert asked[0]["source"] == "https://example/a.raucb"
    out = capsys.readouterr().out
    assert out.startswith("9.0 is to be had; 1.0 runs\n")
    assert ("tried here, and left" in out) is given_up


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            b'{"error": {"code": "update_failed", "message": "it is no bundle"}}\n',
            "it is no bundle",
        ),
        (b"", "has gone away"),
        (b'{"say": "it is written"}\n', "has gone away"),
        (b"[]\n", "makes no sense"),
        (b"\xff\n", "makes no sense"),
        (b"[" * 9000 + b"\n", "makes no sense"),
        (b'{"done": ', "makes no sense"),
    ],
)
def test_what_is_refused_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: bytes, sentence: str
) -> None:
    with saying(tmp_path / "s", line):
        assert update(tmp_path / "s", "resume") == 1
    assert sentence in capsys.readouterr().err


def test_a_system_of_another_kind_says_how_it_is_updated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert update(tmp_path / "none", "check") == 1
    assert "updated by apt" in capsys.readouterr().err


def test_how_the_slots_are(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["update", "status"]) == 1
    device.pi.boots()
    capsys.readouterr()
    assert main(["update", "status"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["slot"], said["other_slot"], said["trial"]) == ("A", "good", False)


# -------------------- what units start


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that is the system's."""
    file = tmp_path / "appliance.toml"
    monkeypatch.setattr("appliance.loading.layers.DEFAULT_FILE", file)
    monkeypatch.setattr(installing, "install", lambda source, say: say(f"{source} is installed"))
    return file


@pytest.mark.parametrize(
    ("nightly", "says"),
    [("install", "is installed"), ("check", "9.0 is to be had at"), ("off", "")],
)
def test_by_night_it_does_what_the_configuration_says(
    device: Device, published: Published, configured: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], nightly: str, says: str,
) -> None:  # fmt: skip
    url = "https://updates.example/a.raucb"
    configured.write_text(f'[update]\nurl = "{url}"\nnightly = "{nightly}"\n')
    found = installing.newest(str(published.good))
    monkeypatch.setattr(installing, "newest", lambda source: found if source == url else None)
    assert main(["update", "look"]) == 0
    out = capsys.readouterr().out
    assert says in out
    assert ("is installed" in out) is (nightly == "install")


def test_without_a_place_nothing_is_looked_for(
    configured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configured.write_text("")
    monkeypatch.setattr(installing, "newest", lambda source: pytest.fail(f"looked at {source}"))
    assert main(["update", "look"]) == 0
    assert capsys.readouterr().out == ""


def test_what_was_left_once_is_not_tried_by_itself_again(
    device: Device, published: Published, configured: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    configured.write_text('[update]\nurl = "https://updates.example/a.raucb"\n')
    found = installing.newest(str(published.good))
    monkeypatch.setattr(installing, "newest", lambda _: found)
    device.pi.has("A", "failed")
    (device.pi.folder / "version-B").write_text("9.0")
    assert main(["update", "look"]) == 0
    out = capsys.readouterr().out
    assert "not tried by itself again" in out
    assert "is installed" not in out


def test_a_request_of_the_socket_is_answered(
    device: Device, published: Published, configured: Path, monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:  # fmt: skip
    configured.write_text("no TOML")
    end, ours = socket.socketpair()
    with end, ours, monkeypatch.context() as patch:
        ours.sendall(json.dumps({"what": "check", "source": str(published.good)}).encode() + b"\n")
        patch.setattr("sys.stdin", end)
        assert main(["update", "answer"]) == 0
    assert b'{"done":{"version":"9.0"' in capfdbinary.readouterr().out


@pytest.mark.parametrize("said", [b"", b'{"what": "check"', b"{" * 9000])
def test_who_does_not_come_to_an_end_is_sent_away(
    configured: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes],
    said: bytes,
) -> None:  # fmt: skip
    """There are four places, and four who say nothing would have all of them."""
    configured.write_text("")
    monkeypatch.setattr(answering, "ASKED_S", 0.01)
    end, ours = socket.socketpair()
    with end, ours, monkeypatch.context() as patch:
        ours.sendall(said)
        patch.setattr("sys.stdin", end)
        assert main(["update", "answer"]) == 0
    assert b'"code":"bad_request"' in capfdbinary.readouterr().out


def test_what_is_no_trial_is_let_be(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["update", "trial"]) == 0
    assert "not being tried" in capsys.readouterr().out


@pytest.fixture
def restored() -> Iterator[None]:
    with as_before():
        yield


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("good", [True, False])
def test_a_trial_that_fails_restarts_the_machine_and_says_why_as_a_warning(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    """Of that start no more than its warnings is kept: journald.conf.d/appliance.conf."""
    device.pi.has("A", "tried")
    device.pi.runs("B")
    monkeypatch.setenv("APPLIANCE_TRIAL_S", "0")
    monkeypatch.setattr(trial, "LOOK_S", 0)
    monkeypatch.setattr(quiet, "LOOK_S", 0)
    monkeypatch.setattr(wellness, "troubles", dict if good else lambda: {"camera": "is unplugged"})
    with (tmp_path / "journal").open("w") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        monkeypatch.setattr("sys.stderr", journal)
        assert main(["update", "trial"]) == (0 if good else 1)
    warned = "<4>appliance.updating.trial: worse than before: camera: is unplugged\n"
    assert (tmp_path / "journal").read_text() == ("" if good else warned)
    assert device.restarted_with() == ([] if good else ["reboot"])
