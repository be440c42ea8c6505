"""The file of passwords: what mosquitto's own tool writes is read, and what is written is mosquitto's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from appliance.broker.passwords import NoAccount, PasswordFile, fits, hashed, new_password
from tests.parts.need import program


def test_a_password_fits_its_hash_and_no_other() -> None:
    kept = hashed("secret")
    assert fits("secret", kept)
    assert not fits("Secret", kept)
    assert hashed("secret") != kept  # salted
    for rubbish in ("", "$7$1", "$6$1$AA==$AA==", "$7$x$AA==$AA==", "$7$1$AA==$*", "plain"):
        assert not fits("secret", rubbish)


def test_what_mosquittos_own_tool_writes_is_read(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    tool = program("mosquitto_passwd", "mosquitto")
    subprocess.run([tool, "-b", "-c", file, "alice", "s3cret"], check=True, capture_output=True)
    assert fits("s3cret", PasswordFile(file).accounts()["alice"])


def test_accounts_come_and_go_and_the_others_stay(tmp_path: Path) -> None:
    passwords = PasswordFile(tmp_path / "passwords")
    assert passwords.accounts() == {}
    made = {name: passwords.make(name) for name in ("alice", "bob", "front-door")}
    again = passwords.make("alice")
    assert again != made["alice"]
    assert fits(again, passwords.accounts()["alice"])
    assert fits(made["bob"], passwords.accounts()["bob"])
    assert passwords.remove("bob")
    assert not passwords.remove("bob")
    assert [*passwords.accounts()] == ["alice", "front-door"]
    assert (tmp_path / "passwords").stat().st_mode & 0o777 == 0o600
    assert again not in (tmp_path / "passwords").read_text()


@pytest.mark.parametrize("name", ["", "#", "a/b", "+", "Alice", "a:b", "a\nb", "ü", "a" * 65])
def test_a_name_that_could_mean_something_else_is_refused(tmp_path: Path, name: str) -> None:
    passwords = PasswordFile(tmp_path / "passwords")
    with pytest.raises(NoAccount):
        passwords.make(name)
    assert not (tmp_path / "passwords").exists()


def test_no_two_passwords_are_alike_and_none_is_short() -> None:
    made = {new_password() for _ in range(1000)}
    assert len(made) == 1000
    assert min(len(one) for one in made) == 32
