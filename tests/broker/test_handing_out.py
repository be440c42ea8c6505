"""Accounts on request: made once, the same for a second phone, another after they were taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.broker.handing_out import MAX_ACCOUNTS, HandedOut
from appliance.broker.house import House
from appliance.broker.passwords import NoAccount, fits


class Desk:
    """Who hands out, and how often the broker was told."""

    def __init__(self, folder: Path) -> None:
        self.house = House(folder)
        self.house.new(["localhost"], device="front-door")
        self.reloads = 0
        self.out = HandedOut(self.house, self._reload)

    def _reload(self) -> None:
        self.reloads += 1

    def lets_in(self, name: str, password: str) -> bool:
        return fits(password, self.house.passwords.accounts().get(name, ""))

    def ask(self, request: Any) -> Any:
        return json.loads(self.out.answer(json.dumps(request).encode() + b"\n"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "broker")


def test_a_second_phone_gets_the_same_and_nothing_is_written_for_it(desk: Desk) -> None:
    password = desk.out.make("alice")
    assert desk.lets_in("alice", password)
    assert desk.out.make("alice") == password
    assert desk.out.make("bob") != password
    assert desk.reloads == 2


def test_what_was_taken_back_never_comes_again(desk: Desk) -> None:
    had = set()
    for _ in range(4):
        password = desk.out.make("alice")
        assert password not in had
        had.add(password)
        assert desk.out.remove("alice")
        assert not desk.lets_in("alice", password)
    assert not desk.out.remove("alice")


def test_what_was_made_by_hand_is_nobodys_to_change(desk: Desk) -> None:
    password = desk.house.make("homeassistant")
    with pytest.raises(NoAccount, match="by hand"):
        desk.out.make("homeassistant")
    assert not desk.out.remove("homeassistant")
    assert desk.lets_in("homeassistant", password)
    assert desk.reloads == 0


def test_an_account_that_somebody_removed_by_hand_comes_back_as_another(desk: Desk) -> None:
    had = desk.out.make("alice")
    assert desk.house.remove("alice")
    assert desk.out.make("alice") != had


@pytest.mark.parametrize("ends_before", ["passwords", "handed_out.json"])
def test_ended_in_the_middle_it_can_be_asked_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, ends_before: str
) -> None:
    """Whichever of the two files was not written: no old password opens, and the next try works."""
    had = desk.out.make("alice")

    def full(file: Path, data: bytes) -> None:
        if file.name == ends_before:
            raise OSError(28, "No space left on device")
        file.write_bytes(data)

    for module in ("passwords", "handing_out"):
        monkeypatch.setattr(f"appliance.broker.{module}.write_whole", full)
    assert desk.ask({"remove": "alice"}) == {
        "error": "the accounts cannot be written: No space left on device"
    }
    monkeypatch.undo()
    if ends_before == "passwords":
        assert desk.out.remove("alice")
    new = desk.out.make("alice")
    assert new != had
    assert desk.lets_in("alice", new)
    assert not desk.lets_in("alice", had)


def test_requests_are_answered_in_a_line(desk: Desk) -> None:
    password = desk.ask({"make": "alice"})["password"]
    assert desk.lets_in("alice", password)
    assert desk.ask({"remove": "alice"}) == {"removed": True}
    assert desk.ask({"remove": "alice"}) == {"removed": False}
    assert "no name" in desk.ask({"make": "a/b"})["error"]
    rubbish: Any
    for rubbish in (None, [], {}, {"make": 1}, {"make": "a", "remove": "a"}, "make", {"x": "a"}):
        assert desk.ask(rubbish) == {"error": "this is no request"}
    for line in (b"", b"\xff", b"[" * 1024, b'{"make": "x' + b"x" * 5000):
        assert json.loads(desk.out.answer(line)) == {"error": "this is no request"}


def test_who_asks_for_more_than_a_house_has_gets_no_more(desk: Desk) -> None:
    book = {f"u{number}": (1, False) for number in range(MAX_ACCOUNTS)}
    (desk.house.folder / "handed_out.json").write_text(json.dumps(book))
    with pytest.raises(NoAccount, match=str(MAX_ACCOUNTS)):
        desk.out.make("alice")
    assert desk.out.make("u3")
