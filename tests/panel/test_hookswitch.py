"""A handset on mock pins: lifted and put back, each told once, whatever its contact does meanwhile."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import config
from appliance.calls.inputs import HookSwitched, Input
from appliance.errors import Refused
from appliance.model import Gesture
from appliance.panel.board import Board
from appliance.panel.hookswitch import HookSwitch, Rest
from tests.panel.chatter import burst, gaps
from tests.panel.inbox import Inbox
from tests.panel.wires import MockWires

PIN = 17
LIFTED, PUT_BACK = HookSwitched("handset", lifted=True), HookSwitched("handset", lifted=False)


@pytest.fixture
def wires() -> MockWires:
    return MockWires()


@pytest.fixture
async def inbox() -> Inbox:
    return Inbox()


def section(pull: Literal["up", "down"] = "up", bounce_ms: float = 5) -> config.Button:
    return config.Button(pin=PIN, kind="hook", press="answer", pull=pull, bounce_ms=bounce_ms)


# -------------------- what its edges mean


@given(gaps, gaps)
def test_any_chatter_is_one_change(up: list[float], down: list[float]) -> None:
    rest, told = Rest(0.03, closed=False), list[bool]()
    for at_s, closed in [*burst(1.0, up, closed=True), *burst(9.0, down, closed=False)]:
        told += rest.edge(at_s, closed=closed)
    assert told + rest.tick(99.0) == [True, False]


@given(gaps, st.booleans())
def test_a_knock_is_no_change(chatter: list[float], lifted: bool) -> None:
    rest, told = Rest(0.03, closed=lifted), list[bool]()
    edges = [*burst(1.0, chatter, closed=not lifted)]
    edges.append((edges[-1][0] + 0.02, lifted))
    for at_s, closed in edges:
        told += rest.edge(at_s, closed=closed)
    assert told + rest.tick(99.0) == []


def test_it_is_told_when_the_contact_has_been_quiet_and_not_before() -> None:
    rest = Rest(0.03, closed=False)
    assert rest.deadline_s is None
    assert rest.edge(1.0, closed=True) == []
    assert rest.deadline_s == pytest.approx(1.03)
    assert rest.tick(1.029) == []
    assert rest.tick(1.031) == [True]
    assert rest.deadline_s is None


# -------------------- on a pin


@pytest.mark.parametrize("pull", ["up", "down"])
async def test_lifting_and_putting_back_are_told_with_the_led_before_them(
    wires: MockWires, inbox: Inbox, pull: Literal["up", "down"]
) -> None:
    order: list[object] = []

    def post(it: Input) -> None:
        order.append(it)
        inbox.post(it)

    hook = HookSwitch(
        "handset", section(pull), factory=wires.factory, post=post, acknowledge=order.append
    )
    close, apart = wires.factory.pin(PIN).drive_low, wires.factory.pin(PIN).drive_high
    if pull == "down":
        close, apart = apart, close
    for move in (close, apart, close, apart, close):
        move()
    await inbox.has(LIFTED)
    for move in (apart, close, apart):
        move()
    await inbox.has(PUT_BACK)
    hook.release()
    assert order == ["handset", LIFTED, "handset", PUT_BACK]


async def test_a_handset_that_lies_beside_at_power_on_has_not_been_lifted(
    wires: MockWires, inbox: Inbox
) -> None:
    wires.factory.pin(PIN).pull = "up"
    wires.to_ground(PIN)
    hook = HookSwitch(
        "handset", section(), factory=wires.factory, post=inbox.post, acknowledge=lambda _: None
    )
    wires.let_go(PIN)
    await inbox.has(PUT_BACK)
    hook.release()
    assert inbox.all == [PUT_BACK]


# -------------------- on the simulated board


async def test_a_press_on_the_simulated_board_lifts_it_and_the_next_puts_it_back(
    inbox: Inbox,
) -> None:
    board = Board(
        "simulated",
        panel=config.Panel(),
        buttons={"handset": section()},
        leds={},
        relays={},
        inputs={},
        post=inbox.post,
    )
    async with board:
        await board.press("handset")
        await inbox.has(LIFTED)
        await board.press("handset")
        await inbox.has(PUT_BACK)
        with pytest.raises(Refused, match="it has no hold") as caught:
            await board.press("handset", Gesture.HOLD)
        assert caught.value.code == "bad_gesture"
    assert inbox.all == [LIFTED, PUT_BACK]
