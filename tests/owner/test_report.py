"""`appliance report`: secrets are put wherever the device knows of one, and none is in the bundle."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from appliance import __version__
from appliance.errors import ApplianceError
from appliance.owner import evidence, settings
from appliance.owner.places import Places, places
from appliance.owner.redaction import Redaction, spellings
from appliance.owner.report import bundle, collected, report
from appliance.trust import book
from appliance.trust.authority import Authority
from appliance.trust.keys import DeviceKey

ROOT = Path(__file__).parents[2]
SECRETS = {
    "credential": "recognise-broker/Pa55+word",
    "store": "recognise-the-store-5ecret",
    "turn": "recognise-turn-5ecret",
    "inline": "recognise-inline-5ecret",
    "unknown key": "recognise-what-nobody-knows",
    "environment": "recognise-environ-5ecret",
    "chat": "recognise-i-am-on-holiday",
    "comment": "recognise-a-comment",
}
PEOPLE = ("Aleksandra", "Bartholomew", "Cassiopeia", "Desdemona")


@pytest.fixture
async def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A device that keeps a secret in every place; and programs that tell all of them."""
    etc, state, creds, store = (tmp_path / name for name in ("etc", "state", "creds", "store"))
    for folder in (etc / "conf.d", creds, store, state / "calls"):
        folder.mkdir(parents=True)
    DeviceKey.load_or_make(state, {})
    Authority.load_or_make(state / "tls", "door", "pi")
    (state / "tls" / "page.pem").write_bytes((state / "tls" / "ca.key").read_bytes())
    phone = DeviceKey.make().public
    paired = book.Paired(name="Bartholomew", keys=(phone,))
    book.write(state / book.FILE, book.Book(contacts={"bartholomew": paired}))
    caller = {"uid": "cassiopeia", "name": "Cassiopeia"}
    entry = {"id": "a", "call_id": "c", "caller": caller, "started_at": "2026-11-28T09:00:00Z",
             "direction": "incoming", "type": "video", "reason": "timed_out",
             "callees": [{"uid": "desdemona", "name": "Desdemona", "state": "ringing"}]}  # fmt: skip
    (state / "calls" / "calls.jsonl").write_text(json.dumps(entry) + "\n")
    (creds / "mqtt.password").write_text(f"{SECRETS['credential']}\n")
    (store / "appliance.turn.secret").write_text(SECRETS["store"])
    (etc / "turn.secret").write_text(f"{SECRETS['turn']}\n")
    (etc / "appliance.toml").write_text((ROOT / "config" / "simulated.toml").read_text())
    (etc / "conf.d" / "own.toml").write_text(
        f"""
        # {SECRETS["comment"]}
        [contacts.aleksandra]
        name = "Aleksandra"
        keys = ["{DeviceKey.make().public}"]
        [mqtt]
        password = "{SECRETS["inline"]}"
        websocket_url = "wss://al:{SECRETS["inline"]}@broker.lan:8884/"
        password_file = "$CREDENTIALS_DIRECTORY/mqtt.password"
        passwurt = "{SECRETS["unknown key"]}"
        [call]
        chat_messages = ["{SECRETS["chat"]}"]
        [[media.ice_servers]]
        urls = ["turn:127.0.0.1:3478"]
        username = "door"
        credential_file = "../turn.secret"
    """.replace("../turn", str(etc / "turn"))
    )
    environ = {
        "STATE_DIRECTORY": str(state),
        "CREDENTIALS_DIRECTORY": str(creds),
        "APPLIANCE_SOCKET": str(tmp_path / "nobody.sock"),
        "APPLIANCE__MQTT__SECRET": SECRETS["environment"],
    }
    found = places(etc / "appliance.toml", environ, credstore=store)
    told = tmp_path / "told"
    told.write_text("\n".join(f"said: {text} and" for text in hidden(found) if text.isprintable()))
    for name in ("journalctl", "systemctl", "dmesg", "df", "dpkg-query"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n/bin/cat {told}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return found


def hidden(there: Places) -> set[str]:
    """Whatever is not to be in a bundle, gathered by this test on its own, in every spelling."""
    state = there.state
    key = DeviceKey.load_or_make(state, {})
    known = book.read(state / book.FILE)
    whole = {*SECRETS.values()} - {SECRETS["unknown key"], SECRETS["chat"], SECRETS["comment"]}
    texts = {how for secret in whole for how in spellings(secret.encode())}
    texts |= spellings(key._private.private_bytes_raw())
    for file in (state / "device.key", state / "tls" / "ca.key"):
        texts |= {*file.read_text().splitlines()[1:-1]}
    texts |= {key for one in known.contacts.values() for key in one.keys}
    texts |= {*PEOPLE, *(name.lower() for name in PEOPLE)}
    return texts


def opened(file: Path) -> Mapping[str, str]:
    with tarfile.open(file) as archive:
        return {
            Path(one.name).name: (archive.extractfile(one) or io.BytesIO()).read().decode()
            for one in archive.getmembers()
        }


def test_no_secret_is_in_the_bundle_wherever_it_lay(
    there: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bin_said = (tmp_path / "told").read_text()
    assert all(text in bin_said for text in hidden(there) if text.isprintable())
    file = tmp_path / "out.tar.gz"
    assert report(there, (), file) == 0
    assert str(file) in capsys.readouterr().out
    assert file.stat().st_mode & 0o777 == 0o600
    parts = opened(file)
    everything = "\n".join(parts.values())
    assert parts["journal.txt"].count("said: ") > 20, "the log was to be in it"
    found = [text for text in hidden(there) | set(SECRETS.values()) if text in everything]
    assert found == []
    assert set(parts) == {*evidence.parts(there, ()), "README.txt"}
    assert "contacts" in parts["README.txt"]


def test_what_helps_is_in_it(
    there: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version").write_text("0.1.1-2\n")
    monkeypatch.setattr(evidence, "SYSTEM", tmp_path / "version")
    report(there, (), tmp_path / "out.tar.gz")
    parts = opened(tmp_path / "out.tar.gz")
    configuration = json.loads(parts["configuration.json"])
    assert configuration["set"]["mqtt"]["password_file"].endswith("/mqtt.password")
    assert configuration["set"]["mqtt"]["passwurt"] == "<27 characters>"
    assert any("passwurt" in fault for fault in configuration["faults"])
    assert any(file.endswith("conf.d/own.toml") for file in configuration["files"])
    calls = json.loads(parts["calls.json"])
    assert (calls["entries"], calls["kinds"]) == (1, {"incoming video: timed_out": 1})
    assert "FAULT  configuration" in parts["doctor.txt"]
    assert "No appliance" in parts["status.json"] or "no appliance" in parts["status.json"]
    assert f"{there.state}/calls" in parts["storage.txt"]
    # of what runs, whatever packages say
    assert {f"appliance {__version__}", "image: 0.1.1-2"} <= set(parts["versions.txt"].splitlines())


def test_a_part_that_fails_is_told_in_its_place() -> None:
    def broken() -> str:
        raise OSError("the disk is gone")

    found = collected({"a.txt": broken, "b.json": broken, "c.txt": lambda: "well"})
    assert found == {
        "a.txt": "(OSError: the disk is gone)",
        "b.json": {"could_not_be_had": "OSError: the disk is gone"},
        "c.txt": "well",
    }


def test_of_what_is_too_long_the_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.owner.report.LONGEST", 20_000)
    data = bundle("x", {"a.txt": f"{'x' * 99}\n" * 300 + "the latest"}, Redaction())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        text = (archive.extractfile("x/a.txt") or io.BytesIO()).read()
    assert (len(text), text[-10:]) == (20_000, b"the latest")


def test_where_there_is_no_folder_it_says_so(there: Places, tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="there is no folder"):
        report(there, (), tmp_path / "nowhere" / "x.tar.gz")


def test_a_name_in_the_configuration_is_a_persons_as_one_in_the_book_is(there: Places) -> None:
    assert set(settings.people(there)) >= {"aleksandra", "bartholomew", "cassiopeia", "desdemona"}
