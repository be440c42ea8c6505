"""Which kernel is built: the faster one, and the slower where the faster is not there, until it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.lab import kernel as building
from tests.lab import stock
from tests.lab.archive import NotThere, NotToBeHad
from tests.lab.kernel import AGAIN_S, SOURCES, OtherSource, kernel
from tests.lab.stock import CannotBuildHere

FAST, SLOW = (source for _, source in SOURCES)


class Archive:
    """Debian's, as far as kernels are built of it: why a source cannot be had, by its name."""

    def __init__(self) -> None:
        self.refuses: dict[str, Exception] = {}

    def build(self, _suite: str, source: str, made: Path, _room: Path) -> None:
        if source in self.refuses:
            raise self.refuses[source]
        made.write_text(source)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """With nothing built of it yet."""
    one = Archive()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(building, "_ours", one.build)
    fast, slow = building.KERNEL, building.SLOWER
    monkeypatch.setattr(building, "KERNEL", building._item(type(fast), fast.what, SOURCES))
    monkeypatch.setattr(building, "SLOWER", building._item(type(slow), slow.what, SOURCES[1:]))
    return one


def a_day_passes() -> None:
    """Since it was looked for last."""
    past_s = time.time() - AGAIN_S - 1
    os.utime(building.KERNEL.log, (past_s, past_s))


NONE = NotThere(f"Unable to locate package {FAST}")
BUSY = NotToBeHad("503 Service Unavailable")


@pytest.mark.parametrize("reason", [NONE, OtherSource("gpio-sim.c is not as it was")])
def test_where_the_faster_is_not_there_the_slower_is_kept_until_it_is(
    archive: Archive, reason: Exception
) -> None:
    archive.refuses[FAST] = reason
    assert kernel(anew=True).read_text() == SLOW
    assert building.KERNEL.is_there
    archive.refuses = {SLOW: AssertionError("it has been built")}
    assert kernel(anew=True).read_text() == SLOW, "it was looked for a moment ago"
    a_day_passes()
    assert kernel().read_text() == SLOW, "nobody waits for a compiler who only wants a machine"
    building.KERNEL.log.unlink()
    assert kernel(anew=True).read_text() == FAST
    assert kernel().read_text() == FAST


@pytest.mark.parametrize(
    "reason", [BUSY, CannotBuildHere("1.0 GB are free in /, and 5 are needed")]
)
def test_a_mirror_that_is_busy_makes_nobody_s_kernel_slower(
    archive: Archive, reason: Exception
) -> None:
    archive.refuses[FAST] = reason
    with pytest.raises(type(reason)):
        kernel(anew=True)
    assert not building.KERNEL.is_there


@pytest.mark.parametrize(
    "reason",
    [
        BUSY,
        CannotBuildHere("1.0 GB are free in /, and 5 are needed"),
        RuntimeError("the compiler failed"),
    ],
)
def test_who_has_the_slower_goes_on_where_the_faster_cannot_be_built(
    archive: Archive, reason: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.refuses[FAST] = NONE
    kernel()
    archive.refuses[FAST] = reason
    a_day_passes()
    assert kernel(anew=True).read_text() == SLOW
    assert f"slower: {reason}" in capsys.readouterr().err
    archive.refuses[FAST] = AssertionError("it was looked for a moment ago")
    assert kernel(anew=True).read_text() == SLOW


def test_a_source_that_lacks_a_file_is_another_one(tmp_path: Path) -> None:
    with pytest.raises(OtherSource, match="is not as it was"):
        building._edit(tmp_path)


def test_room_is_looked_for_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: object) -> Path:
        raise AssertionError("it is on its way")

    monkeypatch.setattr(building, "download", fetched)
    monkeypatch.setattr(stock, "ROOM", 1 << 62)
    with pytest.raises(CannotBuildHere, match="GB are free in"):
        building._ours("trixie", SLOW, tmp_path / "made", tmp_path)
    with pytest.raises(CannotBuildHere, match="GB are free in"):
        building.build(tmp_path / "made", tmp_path, building.CONFIG, tmp_path / "log")
