"""Keypads: keys that are buttons of their own, on wires that cross."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import islice

import pytest
from msgspec.structs import replace

from appliance import config
from appliance.calls.inputs import ButtonGestured, ButtonPressed
from appliance.errors import Refused
from appliance.model import Gesture
from appliance.panel.keypads import Keypad, crossings
from tests.panel.crossings import Crossings
from tests.panel.inbox import Inbox

PHONE = config.Keypad(rows=(5, 6), columns=(12, 16, 20), keys=("123", "* #"), bounce_ms=20)


SLOW = replace(PHONE, bounce_ms=500)
"""A busy machine that chatters for it takes its time."""


class Bench:
    def __init__(self, inbox: Inbox, keypad: config.Keypad = PHONE) -> None:
        self.wires = Crossings([5, 6], [12, 16, 20])
        self.inbox = inbox
        self.acknowledged: list[str] = []
        self.keypad = Keypad(
            "front",
            keypad,
            factory=self.wires,
            post=inbox.post,
            acknowledge=self.acknowledged.append,
        )


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    one = Bench(Inbox())
    yield one
    one.keypad.release()


@pytest.fixture
async def slow() -> AsyncIterator[Bench]:
    one = Bench(Inbox(), SLOW)
    yield one
    one.keypad.release()


def press(key: str) -> list[object]:
    return [ButtonPressed(key), ButtonGestured(key, Gesture.PRESS)]


async def test_a_key_is_a_button_by_its_name(bench: Bench) -> None:
    for crossing, key in (((0, 0), "front.1"), ((1, 2), "front.#"), ((1, 0), "front.*")):
        bench.wires.close_keys(crossing)
        await bench.inbox.has(ButtonGestured(key, Gesture.PRESS))
        bench.wires.close_keys()
        await asyncio.sleep(0.05)  # until it is believed open
    assert bench.inbox.all == [*press("front.1"), *press("front.#"), *press("front.*")]
    assert bench.acknowledged == ["front.1", "front.#", "front.*"]


async def test_a_key_that_chatters_is_pressed_once(slow: Bench) -> None:
    bench = slow
    for _ in range(10):
        bench.wires.close_keys((0, 1))
        await asyncio.sleep(0.003)
        bench.wires.close_keys()
        await asyncio.sleep(0.003)
    bench.wires.close_keys((0, 1))
    await bench.inbox.has(ButtonGestured("front.2", Gesture.PRESS))
    bench.wires.close_keys()
    await asyncio.sleep(0.1)
    assert bench.inbox.all == press("front.2")


async def test_a_crossing_without_a_key_is_nothing(bench: Bench) -> None:
    bench.wires.close_keys((1, 1))
    await asyncio.sleep(0.05)
    bench.wires.close_keys((0, 2))
    await bench.inbox.has(ButtonGestured("front.3", Gesture.PRESS))
    assert bench.inbox.all == press("front.3")


async def test_a_simulated_finger_presses_a_key(bench: Bench) -> None:
    await asyncio.gather(*(bench.keypad.press("1", Gesture.PRESS) for _ in range(3)))
    assert bench.inbox.all == press("front.1") * 3
    with pytest.raises(Refused, match='no key "4" on front'):
        await bench.keypad.press("4", Gesture.PRESS)
    with pytest.raises(Refused, match="it has no hold"):
        await bench.keypad.press("1", Gesture.HOLD)


async def test_nothing_is_posted_after_the_release() -> None:
    bench = Bench(Inbox())
    bench.wires.close_keys((0, 0))
    bench.keypad.release()
    await asyncio.sleep(0.05)
    assert bench.inbox.all == []


def test_where_the_keys_are() -> None:
    found = crossings(PHONE)
    assert dict(islice(found.items(), 4)) == {"1": (0, 0), "2": (0, 1), "3": (0, 2), "*": (1, 0)}
    assert " " not in found


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (replace(PHONE, keys=("123",)), "2 rows of pins and 1 of keys"),
        (replace(PHONE, keys=("123", "45")), 'has 3 columns, and "45" is 2 keys'),
        (replace(PHONE, keys=("123", "451")), "has the key 1 twice"),
    ],
)
def test_keys_that_do_not_fit_are_told(section: config.Keypad, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        crossings(section)
