"""The file of paired contacts: what is written is read, and what cannot be understood is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import Contact
from appliance.errors import ConfigError
from appliance.model import Right
from appliance.trust.book import Book, Paired, read, to_toml, together, write
from appliance.trust.keys import DeviceKey

ONE, TWO = DeviceKey.make(), DeviceKey.make()
PAIRED = st.builds(
    Paired,
    name=st.none() | st.text(max_size=20),
    keys=st.sampled_from([(), (ONE.public,), (ONE.public, TWO.public)]),
    may=st.sampled_from([(), (Right.CALL,), tuple(Right)]),
    revoked=st.sampled_from([(), (TWO.kid,)]),
    barred=st.booleans(),
)
UIDS = st.from_regex(r"^[a-z0-9_-]{1,64}\Z")


def parsed(text: str, tmp: Path) -> Book:
    file = tmp / "contacts.toml"
    file.write_text(text)
    return read(file)


@given(st.dictionaries(UIDS, PAIRED, max_size=3))
def test_what_is_written_is_read(tmp_path_factory: object, contacts: dict[str, Paired]) -> None:
    import tomllib

    import msgspec

    book = Book(contacts, {ONE.kid: datetime(2026, 11, 21, 9, tzinfo=UTC)})
    assert msgspec.convert(tomllib.loads(to_toml(book)), Book) == book


def test_it_is_this_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "contacts.toml"
    write(file, Book({"alice": Paired("Alice", (ONE.public,), (Right.CALL,))}))
    assert file.stat().st_mode & 0o777 == 0o600
    assert read(file).contacts["alice"].keys == (ONE.public,)
    assert [one.name for one in file.parent.iterdir()] == ["contacts.toml"]


def test_without_a_file_it_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "contacts.toml") == Book()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[contacts.alice", "contacts.toml"),
        ('[contacts.alice]\nkeys = ["short"]', r"contacts\.alice\.keys\[0\]"),
        ("[contacts.alice]\nkey = []", "key"),
        ('[contacts.Alice]\nname = "A"', "regex"),
        ('[contacts.alice]\nmay = ["everything"]', "everything"),
        ('[contacts.alice]\nrevoked = ["x"]', "regex"),
    ],
)
def test_what_cannot_be_understood_stops_the_start(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parsed(text, tmp_path)


def test_what_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "contacts.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "contacts.toml")


def test_the_configuration_wins_and_keys_are_added_up() -> None:
    book = Book({"alice": Paired("Alice (phone)", (TWO.public,), (Right.UNLOCK,))})
    stated = {"alice": Contact("Alice", (ONE.public,), (Right.CALL,))}
    assert together(stated, book) == {
        "alice": Contact("Alice", (ONE.public, TWO.public), (Right.CALL,))
    }
    silent = {"alice": Contact()}
    assert together(silent, book)["alice"] == Contact(
        "Alice (phone)", (TWO.public,), (Right.UNLOCK,)
    )


def test_what_was_revoked_counts_nowhere() -> None:
    stated = {"alice": Contact("Alice", (ONE.public, TWO.public))}
    without = together(stated, Book({"alice": Paired(revoked=(ONE.kid,))}))
    assert without["alice"].keys == (TWO.public,)
    assert together(stated, Book({"alice": Paired(barred=True)})) == {}
