"""`appliance broker` as somebody at a prompt meets it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from appliance.broker import command
from appliance.broker.house import House
from appliance.broker.passwords import fits
from appliance.cli import FAILED, main
from appliance.trust.authority import Authority

Captured = pytest.CaptureFixture[str]


def run(folder: Path, *words: str) -> int:
    return main(["broker", "--folder", str(folder), "--pid-file", str(folder / "none"), *words])


@pytest.fixture
def folder(tmp_path: Path, capsys: Captured) -> Path:
    made = tmp_path / "broker"
    assert run(made, "new", "--host", "broker.lan", "--host", "10.0.0.1") == 0
    out = capsys.readouterr().out
    assert 'host = "broker.lan"' in out
    assert "wss://broker.lan:8884/" in out
    return made


def test_an_account_with_its_password_on_the_screen_or_in_a_file(
    folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert run(folder, "account", "alice") == 0
    shown = capsys.readouterr().out.strip()
    file = tmp_path / "mqtt.password"
    assert run(folder, "account", "front-door", "--to", str(file)) == 0
    assert capsys.readouterr().out == f"{command.NOBODY_TOLD}\n"
    kept = House(folder).passwords.accounts()
    assert fits(shown, kept["alice"])
    assert fits(file.read_text().strip(), kept["front-door"])
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_broker_for_one_computer_says_what_is_left_to_do(
    tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "broker"
    assert run(folder, "new", "--local", "front-door", "alice") == 0
    said = capsys.readouterr().out
    assert f"mosquitto -c {folder}/appliance.conf" in said
    assert f'password_file = "{folder}/front-door.password"' in said
    assert f"appliance pair alice --password-file {folder}/alice.password" in said
    with pytest.raises(SystemExit):
        run(folder, "new", "--local", "alice", "--host", "broker.lan")
    with pytest.raises(SystemExit):
        run(folder, "new")
    assert run(folder, "new", "--local", "Alice") == FAILED
    assert "no name of an account" in capsys.readouterr().err


def test_certificates_and_their_end(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    assert run(folder, "certificate", "front-door", "--to", str(tmp_path)) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "front-door.crt"),
        str(tmp_path / "front-door.key"),
    ]
    assert run(folder, "remove", "front-door") == 0
    assert run(folder, "remove", "front-door") == FAILED
    assert "has no account" in capsys.readouterr().err


def test_pages_meet_another_certificate_only_where_it_is_good_and_another(
    folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    """And who starts the broker anew learns of that by a file."""
    tls, changed = tmp_path / "state" / "tls", tmp_path / "changed"
    authority = Authority.load_or_make(tls, "door", "gate")
    page, _ = authority.leaf(["gate.local"])
    words = ("pages", "--changed", str(changed), str(page))
    assert run(folder, *words) == 0
    assert not changed.exists(), "pages meet everybody's certificate here"
    House(folder).new(["broker.lan"], device="front-door", pages=page.read_bytes())
    assert run(folder, *words) == 0
    assert not changed.exists(), "it is the same"
    first = page.read_bytes()
    for bad in (b"", first[:-200], b"root:x:0:0:\n"):
        page.write_bytes(bad)
        assert run(folder, *words) == FAILED
        assert "no certificate of a page" in capsys.readouterr().err
    page.unlink()
    page.symlink_to(folder / "server.key")
    assert run(folder, *words) == FAILED
    assert "symbolic link" in capsys.readouterr().err
    assert not changed.exists()
    assert (folder / "pages.pem").read_bytes() == first
    page.unlink()
    authority.leaf(["gate.local"])
    assert run(folder, *words) == 0
    assert changed.exists()
    assert (folder / "pages.pem").read_bytes() == page.read_bytes() != first


def test_faults_are_sentences(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    assert run(tmp_path / "none", "account", "alice") == FAILED
    assert "appliance broker new" in capsys.readouterr().err
    before = (folder / "passwords").read_bytes()
    (tmp_path / "file").write_text("where a folder should be")
    assert run(folder, "account", "alice", "--to", str(tmp_path / "file" / "password")) == FAILED
    assert "Not a directory" in capsys.readouterr().err
    assert (folder / "passwords").read_bytes() == before, "the account is as it was"


def test_where_a_password_goes_is_made_and_that_nobody_was_told_is_said(
    folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    """/etc/credstore is on no system before somebody makes it."""
    file = tmp_path / "credstore" / "appliance.mqtt.password"
    assert run(folder, "account", "alice", "--to", str(file)) == 0
    assert file.read_text().strip()
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert "No running mosquitto was found" in capsys.readouterr().out


def test_a_request_at_the_socket(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"make": "alice"}\n')))
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
    assert run(folder, "accounts") == 0
    password = json.loads(out.getvalue())["password"]
    assert fits(password, House(folder).passwords.accounts()["alice"])


def test_a_broker_that_reads_its_accounts_is_told_of_a_new_one_once_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What mosquitto is told while it reads it forgets. Whoever asked does not wait for that."""
    out = io.BytesIO()
    happens: list[tuple[str, bool]] = []
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
    monkeypatch.setattr(command, "pause", lambda _: happens.append(("waits", bool(out.getvalue()))))

    def told(*_: object) -> bool:
        happens.append(("tells", bool(out.getvalue())))
        return True

    monkeypatch.setattr(House, "reload", told)
    for asked in ("make", "make", "remove"):
        request = json.dumps({asked: "alice"}).encode() + b"\n"
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(request)))
        assert run(folder, "accounts") == 0
        out.seek(0)
        out.truncate()
    once = [("tells", False), ("waits", True), ("tells", True)]
    assert happens == once * 2, "the second has asked for the same account"
