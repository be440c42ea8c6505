"""Stories of whole devices are played between files of many tests, and none of them is the last."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.stock import ROOT
from tests.parts.spreading import DEAR, WAITING, spread


@dataclass(frozen=True)
class One:
    """A test."""

    nodeid: str


def some_of(file: str, many: int) -> list[One]:
    """So many of one file."""
    return [One(f"{file}.py::test_{number}") for number in range(many)]


def test_each_file_stays_whole_and_small_ones_stand_between_large_ones() -> None:
    small, other, middle, large = (
        some_of(name, many) for name, many in (("a", 1), ("b", 2), ("c", 5), ("d", 90))
    )
    assert spread([*small, *middle, *other, *large]) == [*large, *small, *middle, *other]


def test_who_waits_is_first_and_who_is_dear_is_last() -> None:
    waiting, dear = (some_of(name.removesuffix(".py"), 2) for name in (WAITING[1], DEAR[0]))
    large = some_of("large", 9)
    assert spread([*dear, *large, *waiting]) == [*waiting, *large, *dear]
    assert [name for name in WAITING + DEAR if not (ROOT / name).exists()] == []


def test_a_class_is_played_by_itself_and_nothing_is_lost() -> None:
    inside, beside = One("a.py::TestOne::test_it"), One("a.py::test_it")
    assert set(spread([inside, beside])) == {inside, beside}
    assert spread([]) == []
