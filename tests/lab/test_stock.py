"""What is built once is found again, and what failed is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.stock import KEPT, Item, _keep, digest, run
from tests.parts.powercut import instants
from tests.parts.writes import recorded


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "appliance-lab"


def thing(key: str) -> Item:
    return Item("thing", "a thing", "no time", key)


def test_it_is_built_once_for_each_version(cache: Path) -> None:
    built = []

    def make(made: Path, room: Path) -> None:
        assert room.is_dir()
        built.append(1)
        made.write_text(f"number {len(built)}")

    assert not thing("a").is_there
    for key, text in (("a", "number 1"), ("a", "number 1"), ("b", "number 2"), ("a", "number 1")):
        assert thing(key).get(make).read_text() == text
        assert thing(key).is_there
    assert {path.name for path in cache.iterdir()} == {
        "thing-a",
        "thing-b",
        "thing.lock",
        "thing.log",
    }


def test_what_is_there_is_had_while_another_version_is_being_built(cache: Path) -> None:
    def make(made: Path, room: Path) -> None:
        made.write_text("it")

    def looks_at_the_other(made: Path, room: Path) -> None:
        made.write_text(thing("a").get(make).name)

    thing("a").get(make)
    assert thing("b").get(looks_at_the_other).read_text() == "thing-a"


def test_what_could_not_be_built_is_not_there_and_leaves_nothing(cache: Path) -> None:
    def fails(made: Path, room: Path) -> None:
        made.write_text("half of")
        (room / "source").mkdir()
        raise RuntimeError("no compiler")

    with pytest.raises(RuntimeError, match="no compiler"):
        thing("a").get(fails)
    assert not thing("a").is_there
    assert {path.name for path in cache.iterdir()} == {"thing.lock", "thing.log"}


def test_what_somebody_was_making_who_was_killed_is_removed_by_who_makes_the_same(
    cache: Path,
) -> None:
    for name in ("thing", "other"):
        (cache / f"making-{name}-k1ll3d" / "source").mkdir(parents=True)
    thing("a").get(lambda made, _: made.touch())
    assert [path.name for path in cache.glob("making-*")] == ["making-other-k1ll3d"]


def test_what_is_there_is_whole_whenever_power_is_lost(tmp_path: Path) -> None:
    with recorded(tmp_path) as record:
        (tmp_path / "made").write_bytes(b"all of it")
        _keep(tmp_path / "made", tmp_path / "thing-a")
        record.told("it is built")
    seen = []
    for instant in instants(record):
        for left in instant.left:
            there = "thing-a" in left.files
            assert not there or left.files["thing-a"][0] == b"all of it"
            assert there or not instant.told, "it was told, and is lost"
            seen.append(there)
    assert set(seen) == {False, True}


def test_what_a_program_said_that_failed_is_told_and_kept(cache: Path) -> None:
    def fails(made: Path, room: Path) -> None:
        run(["sh", "-c", "echo one; echo no compiler >&2; exit 3"], thing("a").log)

    with pytest.raises(RuntimeError, match=r"(?s)sh failed \(3\).*no compiler.*thing\.log"):
        thing("a").get(fails)
    assert "one\nno compiler\n" in thing("a").log.read_text()


def test_the_oldest_versions_make_room(cache: Path) -> None:
    for number in range(KEPT + 2):
        path = thing(str(number)).get(lambda made, _: made.touch())
        os.utime(path, (number, number))
    thing("new").get(lambda made, _: made.touch())
    kept = sorted(path.name for path in cache.glob("thing-*"))
    assert kept == ["thing-3", "thing-4", "thing-5", "thing-new"]


def test_a_version_is_told_by_each_of_its_parts() -> None:
    assert digest("a", "bc") == digest("a", b"bc")
    assert len({digest("a", "bc"), digest("ab", "c"), digest("abc"), digest("a", "bc", "")}) == 4
