"""What a backup has, what it leaves out, and who is asked for a passphrase."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.broker.told import links_of, tell
from appliance.cli import main
from appliance.errors import ApplianceError
from appliance.owner import baggage, sealed
from appliance.owner.backup import backup
from tests.owner.device import CHEAP, device, files_of

ROOT = Path(__file__).parents[2]


async def test_it_has_keys_contacts_and_configuration_and_nothing_of_who_rang(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = await device(tmp_path / "a")
    file = tmp_path / "a.backup"
    assert (
        backup(here.places, file, passphrase_file=here.passphrase, cost=CHEAP, broker=here.broker)
        == 0
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert set(files_of(file)) == {
        "etc/appliance.toml",
        "etc/conf.d/own.toml",
        "etc/hooks.d/call_ended.sh",
        "etc/turn.secret",
        "state/device.key",
        "state/contacts.toml",
        "state/memory.json",
        "state/sequence",
        "state/tls/ca.crt",
        "state/tls/ca.key",
        "credstore/appliance.mqtt.password",
        "broker/ca.crt",
        "broker/passwords",
    }
    said = capsys.readouterr().out
    assert f"note: {tmp_path}/a/elsewhere.pem, which mqtt.ca_file names, is not in it" in said
    assert "Calls and pictures are not in it" in said
    assert here.secret.encode() not in file.read_bytes()


async def test_what_an_owner_changed_of_units_goes_along_and_what_cannot_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = await device(tmp_path / "a")
    given = tmp_path / "given"
    given.mkdir()
    (given / "mqtt.password").write_text("as the running service has it")
    environ = {**here.places.environ, "CREDENTIALS_DIRECTORY": str(given)}
    where = replace(here.places, environ=environ)
    (here.broker / "appliance.conf").write_text("listener 8883\n")
    tell(here.broker, links_of(here.broker))
    (links_of(here.broker) / "bridge.conf").write_text("connection elsewhere\n")
    units = here.places.units
    for name in ("appliance.service.d/own.conf", "mosquitto.service.d/limit.conf", "x.service"):
        (units / name).parent.mkdir(parents=True, exist_ok=True)
        (units / name).write_text("[Service]\n")
    (units / "appliance.service.d" / "linked.conf").symlink_to(units / "x.service")
    file = tmp_path / "a.backup"
    words = {"passphrase_file": here.passphrase, "cost": CHEAP, "broker": here.broker}
    backup(where, file, **words)  # type: ignore[arg-type]
    assert {name for name in files_of(file) if name.startswith("unit/")} == {
        "unit/appliance.service.d/own.conf",
        "unit/mosquitto.service.d/limit.conf",
    }
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert notes[1:] == [
        f"note: {one} is not in it: keep a copy yourself"
        for one in (
            units / "appliance.service.d" / "linked.conf",
            links_of(here.broker) / "bridge.conf",
        )
    ]
    (links_of(here.broker) / "appliance.conf").unlink()
    backup(where, file, **words)  # type: ignore[arg-type]
    assert {name for name in files_of(file) if name.startswith("unit/")} == {
        "unit/appliance.service.d/own.conf"
    }, "this mosquitto is no part of the device"


async def test_what_the_configuration_names_and_no_backup_takes_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside it, too: a certificate's link into another folder, or a name with a blank."""
    here = await device(tmp_path / "a")
    etc = here.places.file.parent
    (etc / "broker.pem").symlink_to(tmp_path / "a" / "elsewhere.pem")
    own = here.places.drop_ins / "own.toml"
    own.write_text(own.read_text().replace(f"{tmp_path}/a/elsewhere.pem", f"{etc}/broker.pem"))
    words = {"passphrase_file": here.passphrase, "cost": CHEAP, "broker": here.broker}
    backup(here.places, tmp_path / "a.backup", **words)  # type: ignore[arg-type]
    assert f"{etc}/broker.pem, which mqtt.ca_file names, is not in it" in capsys.readouterr().out


async def test_calls_and_pictures_on_wish_and_recordings_never(tmp_path: Path) -> None:
    here = await device(tmp_path / "a")
    file = tmp_path / "a.backup"
    backup(here.places, file, calls=True, passphrase_file=here.passphrase, cost=CHEAP)
    calls = {name for name in files_of(file) if name.startswith("state/calls")}
    assert calls == {"state/calls/calls.jsonl", "state/calls/pictures/b-1.jpg"}
    assert not [name for name in files_of(file) if "recordings" in name]


async def test_a_configuration_in_somebodys_home_does_not_take_the_home_along(
    tmp_path: Path,
) -> None:
    here = await device(tmp_path / "a", etc="home")
    file = tmp_path / "a.backup"
    backup(here.places, file, passphrase_file=here.passphrase, cost=CHEAP)
    etc = {name for name in files_of(file) if name.startswith("etc/")}
    assert etc == {"etc/appliance.toml", "etc/conf.d/own.toml", "etc/turn.secret"}


async def test_without_a_key_and_without_a_passphrase_there_is_none(tmp_path: Path) -> None:
    here = await device(tmp_path / "a")
    short = tmp_path / "short"
    short.write_text("too short\n")
    with pytest.raises(ApplianceError, match="10 characters at least"):
        backup(here.places, tmp_path / "x", passphrase_file=short)
    with pytest.raises(ApplianceError, match="cannot be read from"):
        backup(here.places, tmp_path / "x", passphrase_file=tmp_path / "none")
    (here.places.state / "device.key").unlink()
    with pytest.raises(ApplianceError, match="no key of this device yet"):
        backup(here.places, tmp_path / "x", passphrase_file=here.passphrase)
    assert not (tmp_path / "x").exists()


async def test_at_a_terminal_one_is_made_for_who_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = await device(tmp_path / "a")
    with pytest.raises(ApplianceError, match="nobody is here to be asked"):
        backup(here.places, tmp_path / "x", cost=CHEAP)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: "")
    assert backup(here.places, tmp_path / "x", cost=CHEAP) == 0
    made = capsys.readouterr().out.split("stands nowhere else:")[1].split()[0]
    assert baggage.read(sealed.unseal((tmp_path / "x").read_bytes(), made)).device_id == "door"
    said = iter(["first of the two", "second of the two"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(said))
    with pytest.raises(ApplianceError, match="not the same"):
        backup(here.places, tmp_path / "y", cost=CHEAP)


async def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = await device(tmp_path / "a")
    for name, value in here.places.environ.items():
        monkeypatch.setenv(name, value)
    words = ["--passphrase-file", str(here.passphrase), "--config", str(here.places.file)]
    assert main(["backup", str(tmp_path / "x"), *words]) == 0
    assert files_of(tmp_path / "x")["state/device.key"].mode == 0o600  # at the usual cost, too
