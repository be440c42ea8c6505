"""The live book: who is added and revoked while it is used, at once and over a restart."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.config import Contact
from appliance.errors import Refused
from appliance.model import Right
from appliance.trust import book as files
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey

ONE, TWO, THREE = DeviceKey.make(), DeviceKey.make(), DeviceKey.make()
MAY = (Right.ANSWER, Right.UNLOCK)
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "contacts.toml"


async def code(action: object) -> str:
    with pytest.raises(Refused) as caught:
        await action  # type: ignore[misc]
    return caught.value.code


async def test_who_is_paired_counts_at_once_and_after_a_restart(file: Path) -> None:
    contacts = Contacts({}, file)
    heard: list[frozenset[str]] = []
    contacts.watch(heard.append)
    assert await contacts.add("alice", "Alice", ONE.public, MAY) == ONE.kid
    assert heard == [frozenset()]
    for book in (contacts, Contacts({}, file)):
        assert "alice" in book
        assert book.of("alice") == Contact("Alice", (ONE.public,), MAY)
        assert book.keys_of("alice") == {ONE.kid: ONE.public_key}
        assert book.may("alice") == frozenset(MAY)
    assert contacts.may("bob") == frozenset()
    assert contacts.of("bob") is None
    assert contacts.keys_of("bob") == {}


async def test_several_phones_of_one_person(file: Path) -> None:
    contacts = Contacts({"alice": Contact("Alice", (THREE.public,))}, file)
    for key in (ONE, TWO, ONE):
        await contacts.add("alice", None, key.public, MAY)
    assert set(contacts.keys_of("alice")) == {ONE.kid, TWO.kid, THREE.kid}


async def test_a_lost_phone_is_refused_and_the_others_are_not(file: Path) -> None:
    contacts = Contacts({}, file)
    await contacts.add("alice", "Alice", ONE.public, MAY)
    await contacts.add("alice", "Alice", TWO.public, MAY)
    heard: list[frozenset[str]] = []
    contacts.watch(heard.append)
    assert await contacts.revoke("alice", ONE.kid[:8]) == (ONE.kid,)
    assert heard == [{ONE.kid}]
    for book in (contacts, Contacts({}, file)):
        assert set(book.keys_of("alice")) == {TWO.kid}
    assert await code(contacts.add("alice", "Alice", ONE.public, MAY)) == "key_revoked"


async def test_a_key_of_the_configuration_is_revoked_too(file: Path) -> None:
    stated = {"alice": Contact("Alice", (ONE.public,), MAY)}
    contacts = Contacts(stated, file)
    await contacts.revoke("alice", ONE.public)
    for book in (contacts, Contacts(stated, file)):
        assert book.keys_of("alice") == {}
        assert "alice" in book


async def test_all_of_a_contact_is_revoked_until_it_is_paired_anew(file: Path) -> None:
    stated = {"alice": Contact("Alice", (ONE.public,), MAY)}
    contacts = Contacts(stated, file)
    await contacts.add("alice", None, TWO.public, MAY)
    assert set(await contacts.revoke("alice")) == {ONE.kid, TWO.kid}
    for book in (contacts, Contacts(stated, file)):
        assert "alice" not in book
        assert not book.may("alice")
    assert await code(contacts.revoke("alice")) == "unknown_contact"
    await contacts.add("alice", None, THREE.public, MAY)
    for book in (contacts, Contacts(stated, file)):
        assert set(book.keys_of("alice")) == {THREE.kid}


async def test_what_is_no_key_or_somebody_elses_is_refused(file: Path) -> None:
    contacts = Contacts({"bob": Contact(keys=(TWO.public,))}, file)
    assert await code(contacts.add("alice", None, "nonsense", MAY)) == "bad_key"
    assert await code(contacts.add("alice", None, TWO.public, MAY)) == "key_in_use"
    assert await code(contacts.revoke("bob", ONE.kid)) == "unknown_key"
    assert await code(contacts.revoke("bob", TWO.kid[:5])) == "unknown_key"
    assert not file.exists()


async def test_nobody_has_more_keys_than_a_hand_could_make(file: Path) -> None:
    contacts = Contacts({})
    for _ in range(files.MAX_KEYS):
        await contacts.add("alice", None, DeviceKey.make().public, MAY)
    assert await code(contacts.add("alice", None, ONE.public, MAY)) == "too_many_keys"


async def test_nobody_is_believed_whom_the_file_does_not_have(file: Path) -> None:
    file.parent.write_text("a file where a folder should be")
    contacts = Contacts({})
    contacts._file = file
    with pytest.raises(OSError):
        await contacts.add("alice", None, ONE.public, MAY)
    assert "alice" not in contacts


async def test_who_is_revoked_is_refused_though_the_file_could_not_be_written(file: Path) -> None:
    contacts = Contacts({"alice": Contact(keys=(ONE.public,))}, file)
    file.parent.write_text("a file where a folder should be")
    with pytest.raises(OSError):
        await contacts.revoke("alice")
    assert "alice" not in contacts


async def test_two_changes_at_once_are_both_kept(file: Path) -> None:
    contacts = Contacts({}, file)
    await asyncio.gather(
        contacts.add("alice", None, ONE.public, MAY), contacts.add("bob", None, TWO.public, MAY)
    )
    assert set(Contacts({}, file).all()) == {"alice", "bob"}


async def test_when_a_key_was_last_seen_is_kept_once_a_day(file: Path) -> None:
    clock = [NOW]
    contacts = Contacts({"alice": Contact(keys=(ONE.public,))}, file, now=lambda: clock[0])
    assert contacts.seen(ONE.kid)
    await contacts.keep()
    clock[0] += timedelta(hours=1)
    assert not contacts.seen(ONE.kid)
    listed = contacts.listing()
    assert listed[0]["keys"] == [
        {"kid": ONE.kid, "key": ONE.public, "last_seen": "2026-11-21T10:00:00Z"}
    ]
    again = Contacts({"alice": Contact(keys=(ONE.public,))}, file)
    assert again.listing()[0]["keys"][0]["last_seen"] == "2026-11-21T09:00:00Z"
    clock[0] += timedelta(days=1)
    assert contacts.seen(ONE.kid)


async def test_who_looks_no_more_is_told_nothing(file: Path) -> None:
    contacts = Contacts({}, file)
    heard: list[frozenset[str]] = []
    contacts.watch(heard.append)()
    await contacts.add("alice", None, ONE.public, MAY)
    assert heard == []
