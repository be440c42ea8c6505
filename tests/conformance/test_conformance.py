"""Everything that the vocabulary names happens for a real reason, and everybody is told the same.

The scenarios are played once; then each event, command, setting, value and decision has a test of its
own, which fails by its name if nothing of it was seen.
"""

from __future__ import annotations

import asyncio
import traceback
from functools import partial
from pathlib import Path

import pytest

from appliance.media import devices, hush
from appliance.service import pressure
from tests.conformance import breaking, commanding, endings, looking, ringing, setting, talking
from tests.conformance.houses import HOUSES, config_of, is_awake, standins
from tests.conformance.rows import rows
from tests.conformance.scenes import SCENES, Scene
from tests.conformance.stage import Seen, Stage, stage
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program

PLAYS = (ringing, talking, endings, commanding, setting, breaking, looking)
"""Their scenarios are entered by their import."""

FINGERS = {"tap": "setting:enable_video_tile_click", "drag": "setting:enable_video_tile_drag"}
"""What a finger on the screen does, unless it is switched off."""

SCENE_LIMIT_S = 120.0
"""Far more than any takes; only a fault waits for it."""

pytestmark = pytest.mark.timeout(900)


class Played:
    """What came of it."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.failures: dict[str, str] = {}
        self.differences: dict[str, list[str]] = {}
        self.hooked: dict[str, tuple[list[str], list[str]]] = {}


async def play(played: Played, folder: Path) -> None:
    """Every scenario in its house: they mostly wait, so that two houses wait at the same time."""
    two = asyncio.Semaphore(2)

    async def in_turn(house: str) -> None:
        async with two:
            await play_in(played, folder / house, house)

    async with asyncio.TaskGroup() as playing:
        for house in HOUSES:
            playing.create_task(in_turn(house), name=house)
    for finger, row in FINGERS.items():  # shown by two houses together
        if played.seen.rows[f"{finger}:taken"] and played.seen.rows[f"{finger}:ignored"]:
            played.seen.note(row)


async def play_in(played: Played, place: Path, house: str) -> None:
    """One house, with a broker of its own."""
    place.mkdir()
    broker = Mosquitto(program("mosquitto"), place)
    if is_awake(house):
        await asyncio.to_thread(broker.start)
    try:
        await play_house(played, broker, place, house, SCENES[house])
    finally:
        await asyncio.to_thread(broker.kill)


async def play_house(
    played: Played, broker: Mosquitto, place: Path, house: str, scenes: dict[str, Scene]
) -> None:
    async with stage(
        broker, place, played.seen, config=config_of(house, broker.port), **standins(house)
    ) as one:
        for name, scene in scenes.items():
            await play_one(played, one, name, scene)
        played.hooked[house] = await one.hooked()


async def play_one(played: Played, one: Stage, name: str, scene: Scene) -> None:
    try:
        async with asyncio.timeout(SCENE_LIMIT_S):
            await one.begin(name)
            await scene(one)
    except Exception:
        played.failures[name] = traceback.format_exc()
    try:
        async with asyncio.timeout(SCENE_LIMIT_S):
            await one.end()
    except Exception:
        played.failures.setdefault(name, traceback.format_exc())
    played.differences[name], one.differences = one.differences, []


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """What is broken is tried again soon, and what is deaf or hot is told soon: that takes no other way."""
    result = Played()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "RETRY_S", (0.1, 0.2, 0.3))
        patch.setattr(hush, "TOO_LONG_S", 2.0)
        patch.setattr(pressure, "watch", partial(pressure.watch, interval_s=0.5))
        asyncio.run(play(result, tmp_path_factory.mktemp("conformance")))
    return result


SCENARIOS = [name for scenes in SCENES.values() for name in scenes]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scenario_can_be_played(played: Played, name: str) -> None:
    if name in played.failures:
        pytest.fail(played.failures[name], pytrace=False)


@pytest.mark.parametrize("name", SCENARIOS)
def test_everybody_is_told_the_same_in_the_same_order(played: Played, name: str) -> None:
    assert played.differences[name] == []


@pytest.mark.parametrize("house", SCENES)
def test_hooks_are_started_in_the_order_of_the_events(played: Played, house: str) -> None:
    told, started = played.hooked[house]
    assert started == told


@pytest.mark.parametrize("row", [*rows()])
def test_it_was_seen(played: Played, row: str) -> None:
    assert played.seen.rows[row], f"nothing of {row} was seen in any scenario"
