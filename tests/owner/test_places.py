"""Where a device's own things are, for who types a command beside it."""

from __future__ import annotations

from pathlib import Path

from appliance.owner.places import places


def test_the_environments_own_folder_goes_first(tmp_path: Path) -> None:
    system = tmp_path / "system"
    system.mkdir()
    found = places(None, {"STATE_DIRECTORY": str(tmp_path / "own")}, system=system)
    assert found.state == tmp_path / "own"
    assert found.file == Path("/etc/appliance/appliance.toml")


def test_else_the_one_that_systemd_starts(tmp_path: Path, monkeypatch: object) -> None:
    system, credentials = tmp_path / "system", tmp_path / "credentials"
    home = {"HOME": str(tmp_path)}
    system.mkdir()
    credentials.mkdir()
    file = tmp_path / "etc" / "appliance.toml"
    found = places(
        file, {**home, "XDG_STATE_HOME": str(tmp_path)}, system=system, credentials=credentials
    )
    assert found.state == tmp_path / "appliance", "whoever has said where is meant"
    assert found.environ["CREDENTIALS_DIRECTORY"] == str(credentials)
    assert found.drop_ins == tmp_path / "etc" / "conf.d"


def test_what_is_not_there_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "appliance.mqtt.password").write_text("x")
    (tmp_path / "store" / "others.secret").write_text("x")
    found = places(
        None, {"STATE_DIRECTORY": "/x"}, credentials=tmp_path / "none", credstore=tmp_path / "store"
    )
    assert "CREDENTIALS_DIRECTORY" not in found.environ
    assert [one.name for one in found.stored()] == ["appliance.mqtt.password"]
