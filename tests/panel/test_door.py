"""Relays on mock pins: pulses that end whatever the loop does, and what follows a situation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from appliance import config
from appliance.calls.inputs import FaultCleared, FaultReported, RelayChanged
from appliance.model import Situation
from appliance.panel.door import Relay
from tests.panel.inbox import Inbox
from tests.panel.wires import MockWires

PIN = 22
ON, OFF = RelayChanged("door", energized=True), RelayChanged("door", energized=False)


@pytest.fixture
def wires() -> MockWires:
    return MockWires()


@pytest.fixture
async def inbox() -> Inbox:
    return Inbox()


Build = Callable[..., Relay]


@pytest.fixture
def door(wires: MockWires, inbox: Inbox) -> Build:
    def build(max_on_s: float = 60, **keys: Any) -> Relay:
        section = config.Relay(pin=PIN, **keys)
        return Relay("door", section, factory=wires.factory, post=inbox.post, max_on_s=max_on_s)

    return build


async def test_a_pulse_ends_after_its_time(wires: MockWires, inbox: Inbox, door: Build) -> None:
    relay = door(pulse_s=0.05)
    began_s = time.monotonic()
    relay.pulse()
    assert relay.energized, "before pulse returns"
    inbox.block_until(OFF)
    assert time.monotonic() - began_s >= 0.05
    assert (relay.energized, relay.state) == (False, "released")
    relay.release()
    assert inbox.all == [ON, OFF]


async def test_a_second_pulse_begins_the_time_anew(inbox: Inbox, door: Build) -> None:
    relay = door(pulse_s=0.5)
    relay.pulse()
    threading.Event().wait(0.1)
    again_s = time.monotonic()
    relay.pulse()
    inbox.block_until(OFF)
    assert time.monotonic() - again_s >= 0.5
    relay.release()
    assert inbox.all == [ON, OFF], "one change on, one off"


async def test_each_pulse_after_the_other_is_reported(inbox: Inbox, door: Build) -> None:
    relay = door(pulse_s=0.05)
    for count in (1, 2, 3):
        relay.pulse()
        await inbox.until(lambda: len(inbox.all) == 2 * count)  # noqa: B023 - waited for at once
    relay.release()
    assert inbox.all == [ON, OFF] * 3


async def test_a_release_in_the_middle_of_a_pulse_ends_it(
    wires: MockWires, inbox: Inbox, door: Build
) -> None:
    before = threading.active_count()
    relay = door(pulse_s=60)
    relay.pulse()
    relay.release()
    assert inbox.all == [ON, OFF]
    assert wires.high(PIN) is None
    assert threading.active_count() == before


async def test_what_follows_a_situation_is_on_while_it_lasts(inbox: Inbox, door: Build) -> None:
    relay = door(on="ringing")
    assert relay.follows
    for situation in (Situation.IDLE, Situation.RINGING_OUT, Situation.RINGING_IN):
        relay.show(situation)
    assert inbox.all == [ON]
    relay.show(Situation.CONNECTING)
    inbox.block_until(OFF)
    relay.show(Situation.IDLE)
    relay.release()
    assert inbox.all == [ON, OFF]


async def test_no_situation_keeps_a_relay_on_for_ever(inbox: Inbox, door: Build) -> None:
    relay = door(max_on_s=0.05, on="ringing_in")
    relay.show(Situation.RINGING_IN)
    inbox.block_until(OFF)
    relay.show(Situation.IDLE)
    relay.show(Situation.RINGING_IN)
    assert relay.energized, "the next ring is a new one"
    relay.release()
    assert inbox.all == [ON, OFF, ON, OFF]


async def test_what_is_reported_is_what_the_pin_says(
    wires: MockWires, inbox: Inbox, door: Build
) -> None:
    relay = door(pulse_s=60)
    mock = wires.factory.pin(PIN)
    mock.function = "input"  # somebody else took the pin
    relay.pulse()
    (fault,) = inbox.of(FaultReported)
    assert (fault.code, fault.where) == ("relay_failed", "relays.door")
    assert fault.message == ("The relay door cannot be energized: cannot set state of pin GPIO22.")
    assert inbox.of(RelayChanged) == []
    mock.function = "output"
    relay.pulse()
    assert inbox.of(RelayChanged) == [ON]
    relay.release()


async def test_a_pin_that_does_not_follow_is_a_fault(
    wires: MockWires, inbox: Inbox, door: Build
) -> None:
    relay = door(pulse_s=60)
    mock = wires.factory.pin(PIN)
    mock._change_state = lambda value: False  # a short to ground
    relay.pulse()
    (fault,) = inbox.of(FaultReported)
    assert fault.message == "The relay door cannot be energized: the pin stays where it was."
    del mock._change_state
    relay.release()


async def test_a_release_that_fails_is_tried_again(
    wires: MockWires, inbox: Inbox, door: Build
) -> None:
    relay = door(pulse_s=0.05)
    mock = wires.factory.pin(PIN)
    relay.pulse()
    mock._change_state = lambda value: False  # the contact of a relay that sticks
    await inbox.until(lambda: bool(inbox.of(FaultReported)))
    assert "cannot be released" in inbox.of(FaultReported)[0].message
    assert relay.energized
    del mock._change_state
    inbox.block_until(OFF)
    relay.release()
    assert len(inbox.of(FaultReported)) == 1
    assert inbox.of(FaultCleared) == [FaultCleared("relays.door")]


async def test_a_lamp_follows_who_moves_and_nothing_else(inbox: Inbox, door: Build) -> None:
    relay = door(on="motion", pulse_s=0.05)
    assert relay.follows
    relay.show(Situation.RINGING_IN)
    assert inbox.all == []
    relay.sense(motion=True)
    relay.show(Situation.IDLE)
    assert relay.energized
    relay.sense(motion=False)
    assert relay.energized, "it lingers"
    inbox.block_until(OFF)
    relay.sense(motion=True)
    relay.release()
    assert inbox.all == [ON, OFF, ON, OFF]


async def test_a_gong_is_nothing_to_who_moves(inbox: Inbox, door: Build) -> None:
    relay = door(on="ringing")
    relay.sense(motion=True)
    relay.release()
    assert inbox.all == []
