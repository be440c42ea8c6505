"""Inputs: which level means on, and how chatter is kept from being told."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given

from appliance import config
from appliance.calls.inputs import InputSwitched
from appliance.panel.inputs import BOUNCE_S, InputPin, Level
from tests.panel.chatter import burst, gaps
from tests.panel.inbox import Inbox
from tests.panel.wires import MockWires

Kind = Literal["door_contact", "exit", "tamper", "motion"]
PIN = 24


@given(gaps, gaps)
def test_a_change_with_any_chatter_is_told_once(down: list[float], up: list[float]) -> None:
    level, told = Level(closed=False), list[bool]()
    for at_s, closed in [*burst(1.0, down, closed=True), *burst(9.0, up, closed=False)]:
        told += level.edge(at_s, closed=closed)
    assert told + level.tick(99.0) == [True, False]


def test_a_change_shorter_than_the_chatter_is_told_with_its_end() -> None:
    level = Level(closed=False)
    assert level.edge(1.0, closed=True) == [True]
    assert level.edge(1.01, closed=False) == []
    assert level.deadline_s == pytest.approx(1.01 + BOUNCE_S)
    assert level.tick(1.02 + BOUNCE_S) == [False]
    assert level.deadline_s is None


@pytest.mark.parametrize(
    ("kind", "at_ground", "apart"),
    [
        ("exit", True, False),
        ("door_contact", False, True),
        ("tamper", False, True),
        # a sensor that drives its pin low sees nobody, and so does one that is not there
        ("motion", False, False),
    ],
)
async def test_what_is_on(kind: Kind, at_ground: bool, apart: bool) -> None:
    wires, inbox = MockWires(), Inbox()
    section = config.InputPin(pin=PIN, kind=kind)
    pin = InputPin("it", section, factory=wires.factory, post=inbox.post)
    assert pin.on is apart
    wires.to_ground(PIN)
    assert pin.on is at_ground
    assert pin.state == ("on" if at_ground else "off")
    if at_ground != apart:
        await inbox.has(InputSwitched("it", kind, on=at_ground))
    pin.release()


async def test_somebody_moves() -> None:
    wires, inbox = MockWires(), Inbox()
    section = config.InputPin(pin=PIN, kind="motion")
    pin = InputPin("porch", section, factory=wires.factory, post=inbox.post)
    wires.factory.pin(PIN).drive_high()
    await inbox.has(InputSwitched("porch", "motion", on=True))
    pin.release()


@pytest.mark.parametrize("kind", ["door_contact", "exit", "tamper", "motion"])
async def test_on_a_simulated_board_all_is_well_at_first(kind: Kind) -> None:
    wires, inbox = MockWires(), Inbox()
    section = config.InputPin(pin=PIN, kind=kind)
    pin = InputPin("it", section, factory=wires.factory, post=inbox.post, simulated=True)
    assert not pin.on
    pin.release()
    assert inbox.all == []


@pytest.mark.parametrize(
    ("kind", "told"), [("door_contact", True), ("tamper", True), ("motion", True), ("exit", False)]
)
async def test_what_is_on_at_the_start_is_told_but_no_press(kind: Kind, told: bool) -> None:
    """A door that stood open through a restart, and a button that nobody pressed just now."""
    wires, inbox = MockWires(), Inbox()
    wires.to_ground(PIN)
    section = config.InputPin(pin=PIN, kind=kind, active_high=False)
    pin = InputPin("it", section, factory=wires.factory, post=inbox.post)
    assert pin.on
    pin.release()
    assert inbox.all == ([InputSwitched("it", kind, on=True)] if told else [])


@pytest.mark.parametrize("kind", ["door_contact", "exit", "tamper", "motion"])
@pytest.mark.parametrize("active_high", [True, False])
async def test_any_kind_may_be_wired_otherwise(kind: Kind, active_high: bool) -> None:
    wires, inbox = MockWires(), Inbox()
    section = config.InputPin(pin=PIN, kind=kind, pull="none", active_high=active_high)
    pin = InputPin("it", section, factory=wires.factory, post=inbox.post, simulated=True)
    assert not pin.on
    mock = wires.factory.pin(PIN)
    (mock.drive_high if active_high else mock.drive_low)()
    await inbox.has(InputSwitched("it", kind, on=True))
    assert mock.pull == "floating"
    pin.release()
