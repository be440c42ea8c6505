"""Buttons on mock pins: what is posted, in which order, and what is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import config
from appliance.calls.inputs import ButtonGestured, ButtonPressed, ButtonStuck, Input
from appliance.model import Gesture
from appliance.panel.buttons import Button
from tests.panel.chatter import Edge, burst, gaps
from tests.panel.inbox import Inbox
from tests.panel.virtual import play
from tests.panel.wires import MockWires

PIN = 17


@pytest.fixture
def wires() -> MockWires:
    return MockWires()


@pytest.fixture
async def inbox() -> Inbox:
    return Inbox()


async def test_the_acknowledgement_comes_before_anything_is_posted(wires: MockWires) -> None:
    order: list[object] = []
    posted = asyncio.Event()

    def post(it: Input) -> None:
        order.append(it)
        posted.set()

    section = config.Button(pin=PIN, press="call")
    button = Button("call", section, factory=wires.factory, post=post, acknowledge=order.append)
    wires.to_ground(PIN)
    await posted.wait()
    button.release()
    assert order == ["call", ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS)]


async def test_a_hold_comes_while_the_finger_is_down_and_nothing_after_it(
    wires: MockWires, inbox: Inbox
) -> None:
    section = config.Button(pin=PIN, press="call", hold="leave", hold_s=0.5, bounce_ms=5)
    button = Button(
        "call", section, factory=wires.factory, post=inbox.post, acknowledge=lambda _: None
    )
    wires.to_ground(PIN)
    await inbox.has(ButtonGestured("call", Gesture.HOLD))
    wires.let_go(PIN)
    await asyncio.sleep(0.05)  # until the contact is believed open
    wires.to_ground(PIN)
    wires.let_go(PIN)
    await inbox.has(ButtonGestured("call", Gesture.PRESS))
    button.release()
    assert [it.gesture for it in inbox.of(ButtonGestured)] == [Gesture.HOLD, Gesture.PRESS]


async def test_unbound_gestures_are_not_posted(wires: MockWires, inbox: Inbox) -> None:
    section = config.Button(pin=PIN, hold="leave", hold_s=5, bounce_ms=1)
    button = Button(
        "call", section, factory=wires.factory, post=inbox.post, acknowledge=lambda _: None
    )
    await button.press(Gesture.PRESS)
    await button.press(Gesture.DOUBLE_PRESS)
    button.release()
    assert inbox.all == [ButtonPressed("call")] * 3


async def test_a_button_may_close_to_the_supply(wires: MockWires, inbox: Inbox) -> None:
    section = config.Button(pin=PIN, press="call", pull="down")
    button = Button(
        "call", section, factory=wires.factory, post=inbox.post, acknowledge=lambda _: None
    )
    wires.factory.pin(PIN).drive_high()
    await inbox.has(ButtonGestured("call", Gesture.PRESS))
    button.release()


async def test_a_loop_that_stood_still_sees_the_press_that_was(
    wires: MockWires, inbox: Inbox
) -> None:
    """The edges carry their own times, so that a late loop takes a tap for a tap, not for a hold."""
    section = config.Button(pin=PIN, press="call", hold="leave", hold_s=0.3, bounce_ms=5)
    button = Button(
        "call", section, factory=wires.factory, post=inbox.post, acknowledge=lambda _: None
    )
    still = threading.Event()
    wires.to_ground(PIN)
    wires.let_go(PIN)
    still.wait(0.35)  # the loop stands still for longer than a hold
    await inbox.has(ButtonGestured("call", Gesture.PRESS))
    button.release()
    assert inbox.of(ButtonGestured) == [ButtonGestured("call", Gesture.PRESS)]


@settings(deadline=None)
@given(st.lists(st.tuples(gaps, gaps), min_size=1, max_size=6))
def test_any_chatter_on_the_pin_is_one_press_each_time(
    touches: list[tuple[list[float], list[float]]],
) -> None:
    """1 to 20 bounces of 0.1 to 20 ms each, at both ends of every touch."""
    wires, posted, lit = MockWires(), list[Input](), list[str]()

    async def finger() -> None:
        section = config.Button(pin=PIN, press="call")
        button = Button(
            "call", section, factory=wires.factory, post=posted.append, acknowledge=lit.append
        )
        for down, up in touches:
            await move(burst(0.0, down, closed=True))
            await asyncio.sleep(0.2)
            await move(burst(0.0, up, closed=False))
            await asyncio.sleep(0.2)
        button.release()

    async def move(edges: Iterable[Edge]) -> None:
        before_s = 0.0
        for at_s, closed in edges:
            await asyncio.sleep(at_s - before_s)
            before_s = at_s
            (wires.to_ground if closed else wires.let_go)(PIN)

    play(finger())
    press = [ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS)]
    assert posted == press * len(touches)
    assert lit == ["call"] * len(touches)


def test_a_stuck_button_is_told_after_half_a_minute_and_pressed_once() -> None:
    wires, told = MockWires(), list[tuple[float, Input]]()

    async def stick() -> None:
        loop = asyncio.get_running_loop()
        section = config.Button(pin=PIN, press="call")
        began_s = loop.time()
        button = Button(
            "call",
            section,
            factory=wires.factory,
            post=lambda it: told.append((round(loop.time() - began_s, 3), it)),
            acknowledge=lambda _: None,
        )
        wires.to_ground(PIN)
        await asyncio.sleep(3600)
        wires.let_go(PIN)
        await asyncio.sleep(1)
        button.release()

    play(stick())
    assert told == [
        (0.0, ButtonPressed("call")),
        (0.0, ButtonGestured("call", Gesture.PRESS)),
        (30.0, ButtonStuck("call", stuck=True)),
        (3600.0, ButtonStuck("call", stuck=False)),
    ]


def test_one_that_is_stuck_from_the_start_is_told_too() -> None:
    wires, posted = MockWires(), list[Input]()
    wires.to_ground(PIN)

    async def wait() -> None:
        section = config.Button(pin=PIN, press="call")
        button = Button(
            "call", section, factory=wires.factory, post=posted.append, acknowledge=lambda _: None
        )
        await asyncio.sleep(31)
        button.release()
        await asyncio.sleep(60)

    play(wait())
    assert posted == [ButtonStuck("call", stuck=True)]


async def test_a_button_that_opens_when_it_is_pressed(wires: MockWires, inbox: Inbox) -> None:
    section = config.Button(pin=PIN, press="call", active_high=True)
    wires.to_ground(PIN)
    button = Button(
        "call", section, factory=wires.factory, post=inbox.post, acknowledge=lambda _: None
    )
    wires.let_go(PIN)
    await inbox.has(ButtonGestured("call", Gesture.PRESS))
    button.release()


async def test_a_simulated_one_begins_unpressed_however_it_is_wired(
    wires: MockWires, inbox: Inbox
) -> None:
    section = config.Button(pin=PIN, press="call", pull="none", active_high=False, bounce_ms=1)
    button = Button(
        "call",
        section,
        factory=wires.factory,
        post=inbox.post,
        acknowledge=lambda _: None,
        simulated=True,
    )
    await button.press(Gesture.PRESS)
    button.release()
    assert inbox.of(ButtonGestured) == [ButtonGestured("call", Gesture.PRESS)]
