"""Who speaks, by levels that are given with their time."""

from __future__ import annotations

from appliance.media.speaking import Loudest


class Room:
    """People who speak at given levels, and who was told to be the speaker."""

    def __init__(self) -> None:
        self.loudest: Loudest[str] = Loudest()
        self.told: list[tuple[str, float]] = []
        self.now_s = 0.0

    def hears(self, seconds: float, **levels_dbfs: float) -> None:
        for _ in range(round(seconds * 50)):
            self.now_s += 0.02
            for who, dbfs in levels_dbfs.items():
                if self.loudest.heard(who, dbfs, self.now_s):
                    self.told.append((who, self.now_s))

    @property
    def speakers(self) -> list[str]:
        return [who for who, _ in self.told]


def test_one_speaker_alone_is_told_once() -> None:
    room = Room()
    room.hears(1, alice=-100)
    assert room.told == []
    room.hears(5, alice=-30)
    room.hears(5, alice=-90)
    room.hears(5, alice=-30)
    assert room.speakers == ["alice"]


def test_who_whispers_below_the_floor_does_not_speak() -> None:
    room = Room()
    room.hears(10, alice=-51)
    assert room.told == []


def test_a_click_is_no_speech() -> None:
    room = Room()
    room.hears(0.04, alice=-10)
    room.hears(1, alice=-90)
    assert room.told == []


def test_another_one_must_be_louder_by_6_db() -> None:
    room = Room()
    room.hears(1, alice=-30, bob=-60)
    room.hears(5, alice=-30, bob=-25)
    assert room.speakers == ["alice"]
    room.hears(5, alice=-30, bob=-23)
    assert room.speakers == ["alice", "bob"]


def test_and_for_as_long_as_a_word_takes() -> None:
    room = Room()
    room.hears(1, alice=-40, bob=-100)
    for _ in range(5):  # bob laughs, again and again
        room.hears(0.5, alice=-40, bob=-20)
        room.hears(0.5, alice=-40, bob=-100)
    assert room.speakers == ["alice"]
    began_s = room.now_s
    room.hears(2, alice=-40, bob=-20)
    assert room.speakers == ["alice", "bob"]
    assert 0.6 <= room.told[-1][1] - began_s <= 1.0


def test_of_whom_nothing_comes_is_silent() -> None:
    room = Room()
    room.hears(1, alice=-10)
    room.hears(2, bob=-40)
    assert room.speakers == ["alice", "bob"]


def test_who_has_left_is_forgotten() -> None:
    room = Room()
    room.hears(1, alice=-10, bob=-40)
    room.loudest.left("alice")
    room.loudest.left("nobody")
    room.hears(0.1, bob=-40)
    assert room.speakers == ["alice", "bob"], "without waiting for anything"
