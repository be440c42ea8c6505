"""Power that is lost during updates: the door boots from a slot that is whole, rings, and takes the next.

Of the long form, `python -m tests.image.cuts`, what the lab plays in continuous integration: RAUC itself,
with all that an image has of updates, on a card whose slots are as small as can be, so that after each cut
every byte of them is compared with what was meant to be written.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import begun
from tests.lab.fates import dice
from tests.lab.inside import found
from tests.lab.release import SIZES_MB, Release, card, release
from tests.lab.trial import memory
from tests.lab.twoslots import OTHER, Autoboot, Began, Phase, TwoSlots
from tests.parts.promised import Found, Promised
from tests.updating.bundles import keys

ALWAYS = (Phase.WRITTEN, Phase.TRIED)
SOMETIMES = (Phase.CHECKED, Phase.WHOLE, Phase.LEFT, Phase.KEPT)
"""In one of these power is lost, too: each cut costs two starts."""
CUTS = len(ALWAYS) + 1


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory, where there is plenty."""
    with (
        tempfile.TemporaryDirectory(prefix="lab-") as folder,
        tempfile.TemporaryDirectory(dir=memory([Path(folder)], 20 * SIZES_MB["system"])) as place,
    ):
        yield Path(place)


@pytest.fixture
def releases(place: Path) -> list[Release]:
    """What a card begins with, and for each update one that is newer."""
    signer = keys(place / "keys")
    return [release(place / str(number), signer, f"9.{number}") for number in range(CUTS + 3)]


@pytest.fixture
def door(place: Path, releases: list[Release]) -> Iterator[TwoSlots]:
    disk = card(place / "card", releases[0])
    with begun(TwoSlots(place / "machine", disk, releases)) as machine:
        yield machine


@pytest.mark.thorough
@pytest.mark.timeout(1800)  # seven starts
def test_whenever_power_is_lost_in_an_update_it_boots_rings_and_takes_the_next(
    door: TwoSlots, releases: list[Release]
) -> None:
    fate = dice()
    _, first, *others, last = releases
    whole = door.undergoes(first, lambda began: Phase.UP in began)
    promised = Promised().kept(looked(door))
    phases = fate.sample((*ALWAYS, fate.choice(SOMETIMES)), CUTS)
    for phase, new in zip(phases, others, strict=True):
        instant_s = fate.uniform(0, lasted(whole, phase))
        door.undergoes(new, lambda began: is_over(began, phase, instant_s))  # noqa: B023
        left = door.cut()
        door.comes_back()
        seen = looked(door)
        promised = promised.kept(seen)
        tells_the_truth(door, left, seen)
    door.undergoes(last, lambda began: Phase.UP in began)
    promised.kept(looked(door))
    assert door.runs == last
    assert last in door.good


def looked(door: TwoSlots) -> Found:
    return found(door, "appliance", "appliance-update-settle")


def lasted(whole: Began, phase: Phase) -> float:
    """How long an update is in a phase, in seconds."""
    begins = list(whole)
    return whole[begins[begins.index(phase) + 1]] - whole[phase]


def is_over(began: Began, phase: Phase, instant_s: float) -> bool:
    return phase in began and time.monotonic() >= began[phase] + instant_s


def tells_the_truth(door: TwoSlots, left: Autoboot, seen: Found) -> None:
    """What is said of the slots, after a cut that has left that on the card."""
    cut_off = left.other == "tried"
    other = "failed" if cut_off else left.other
    why = seen["slots"]["why"]
    assert seen["slots"] == {
        "slot": left.slot,
        "default_slot": left.slot,
        "other_slot": other,
        "trial": False,
        "fell_back": cut_off,
        "why": why,
    }
    assert bool(why) == (other == "failed")
    has = door.whole(OTHER[left.slot])
    assert has is not None or other == "bad", f"the other slot is {other}, and not whole"
    assert has in door.good or other != "good", (
        "the other slot is good, and nothing has found it so"
    )
