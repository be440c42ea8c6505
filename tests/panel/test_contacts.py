"""Contacts: edges leave gpiozero's thread with the time at which they were seen there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from appliance.config import Pull
from appliance.panel.contacts import UP, Contact, Wiring
from tests.panel.wires import MockWires

PIN = 17


class EdgeLog:
    """A reader that tells every edge as it is, and what time it is when its deadline comes."""

    def __init__(self, deadline_s: float | None = None) -> None:
        self.deadline_s = deadline_s

    def edge(self, at_s: float, *, closed: bool) -> list[tuple[float, str]]:
        self.deadline_s = at_s + 0.02
        return [(at_s, "closed" if closed else "open")]

    def tick(self, now_s: float) -> list[tuple[float, str]]:
        self.deadline_s = None
        return [(now_s, "tick")]


@pytest.fixture
def wires() -> MockWires:
    return MockWires()


class Told:
    """What a contact told, and in which thread."""

    def __init__(self) -> None:
        self.all: list[tuple[float, str]] = []
        self.threads: set[int] = set()
        self.new = asyncio.Event()

    def __call__(self, it: tuple[float, str]) -> None:
        self.all.append(it)
        self.threads.add(threading.get_ident())
        self.new.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.all) < count:
                self.new.clear()
                await self.new.wait()


def in_a_thread(act: Callable[[], None]) -> None:
    """Run `act` in a thread, as gpiozero's drivers report edges."""
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


async def test_edges_come_from_a_thread_to_the_loop_with_their_own_time(wires: MockWires) -> None:
    told, loop = Told(), asyncio.get_running_loop()
    contact = Contact(PIN, lambda _: EdgeLog(), told, wiring=UP, factory=wires.factory)
    before_s = loop.time()
    in_a_thread(lambda: wires.to_ground(PIN))
    in_a_thread(lambda: wires.let_go(PIN))
    after_s = loop.time()
    assert told.all == [], "nothing is told in gpiozero's thread"
    await told.until(3)
    contact.release()
    (closed_s, _), (open_s, _), (tick_s, _) = told.all
    assert [word for _, word in told.all] == ["closed", "open", "tick"]
    assert before_s <= closed_s <= open_s <= after_s
    assert tick_s >= open_s + 0.02, "a deadline is kept, and moves with each edge"
    assert told.threads == {threading.get_ident()}


async def test_a_contact_is_closed_at_the_level_that_its_pull_keeps_it_from(
    wires: MockWires,
) -> None:
    levels: list[bool] = []

    def note(closed: bool) -> EdgeLog:
        levels.append(closed)
        return EdgeLog()

    wires.to_ground(PIN)
    for wiring, closed in (
        (UP, True),
        (Wiring("down", active_high=True), False),
        (Wiring("none", active_high=False), True),
        (Wiring("none", active_high=True), False),
        (Wiring("up", active_high=True), False),
        (Wiring("down", active_high=False), True),
    ):
        contact = Contact(PIN, note, Told(), wiring=wiring, factory=wires.factory)
        assert contact.closed is closed
        assert levels.pop() is closed
        contact.release()


@pytest.mark.parametrize("pull", ["up", "down", "none"])
@pytest.mark.parametrize("active_high", [True, False])
async def test_edges_are_told_whatever_the_wiring(
    pull: Pull, active_high: bool, wires: MockWires
) -> None:
    told = Told()
    contact = Contact(
        PIN,
        lambda _: EdgeLog(),
        told,
        wiring=Wiring(pull, active_high=active_high),
        factory=wires.factory,
        simulate_closed=False,
    )
    for closed in (True, False):
        contact.move(closed=closed)
        assert contact.closed is closed
        assert bool(wires.factory.pin(PIN).state) is (closed is active_high)
    await told.until(2)
    contact.release()
    assert [word for _, word in told.all][:2] == ["closed", "open"]
    assert wires.factory.pin(PIN).pull == {"none": "floating"}.get(pull, pull)


def test_a_floating_pin_wants_to_be_told_what_is_closed() -> None:
    with pytest.raises(ValueError, match="wants active_high"):
        Wiring.of("none", None)
    assert Wiring.of("up", None) == UP
    assert Wiring.of("down", None) == Wiring("down", active_high=True)
    assert Wiring.of("none", active_high=False) == Wiring("none", active_high=False)


async def test_nothing_is_told_after_the_release(wires: MockWires) -> None:
    told = Told()
    contact = Contact(PIN, lambda _: EdgeLog(), told, wiring=UP, factory=wires.factory)
    wires.to_ground(PIN)
    contact.release()
    contact.move(closed=True)
    await asyncio.sleep(0.05)  # longer than the reader's deadline
    assert told.all == [], "an edge that was on its way"
    contact = Contact(PIN, lambda _: EdgeLog(), told, wiring=UP, factory=wires.factory)
    wires.let_go(PIN)
    await told.until(1)
    contact.release()
    await asyncio.sleep(0.05)
    assert [word for _, word in told.all] == ["open"], "a deadline that was to come"


async def test_a_mock_contact_is_moved_by_hand(wires: MockWires) -> None:
    for wiring in (UP, Wiring("down", active_high=True)):
        contact = Contact(
            PIN,
            lambda _: EdgeLog(),
            Told(),
            wiring=wiring,
            factory=wires.factory,
            simulate_closed=True,
        )
        levels = [contact.closed]
        for closed in (False, True):
            contact.move(closed=closed)
            levels.append(contact.closed)
        contact.release()
        assert levels == [True, False, True]
