"""Buttons on mock pins: what is posted, in which order, and what is not."""

from __future__ import annotations

import asyncio
import threading

import pytest

from appliance import config
from appliance.calls.inputs import ButtonGestured, ButtonPressed, Input
from appliance.model import Gesture
from appliance.panel.buttons import Button
from tests.panel.inbox import Inbox
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
    section = config.Button(pin=PIN, press="call", hold="leave", hold_s=0.05, bounce_ms=5)
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
