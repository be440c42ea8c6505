"""Reaching for pins: with a back-off, in a thread, told once. What a board does then is in test_board."""

from __future__ import annotations

import threading
from itertools import islice

import pytest
from gpiozero.pins.mock import MockFactory

from appliance.calls.inputs import FaultCleared, FaultReported
from appliance.panel import reaching
from appliance.panel.pins import PinFactory, PinsUnavailableError, UnknownFactoryError
from appliance.panel.reaching import WHERE, Reaching, waits_s
from tests.panel.inbox import Inbox


def test_each_wait_is_twice_the_last_one_up_to_a_minute() -> None:
    assert list(islice(waits_s(), 7)) == [3, 6, 12, 24, 48, 60, 60]


async def test_it_is_told_once_for_each_reason_and_that_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reaching, "RETRY_S", 0.0)
    inbox, found = Inbox(), MockFactory()
    here = threading.current_thread()
    answers: list[Exception] = [
        PinsUnavailableError("No node"),
        PinsUnavailableError("No node"),
        PinsUnavailableError("No permission"),
        ZeroDivisionError("a driver"),
    ]

    def open_pins() -> PinFactory:
        if len(answers) < 4:
            assert threading.current_thread() is not here, "a driver may hang"
        if answers:
            raise answers.pop(0)
        return found

    pins = Reaching(open_pins, inbox.post)
    assert pins.try_once() is None
    assert not pins.hopeless
    assert await pins.keep_trying() is found
    told = [
        FaultReported("gpio_unavailable", sentence, WHERE)
        for sentence in (
            "No node.",
            "No permission.",
            "No pins can be reached (ZeroDivisionError('a driver')).",
        )
    ]
    assert inbox.all == [*told, FaultCleared(WHERE)]


async def test_a_name_that_does_not_exist_is_hopeless() -> None:
    def open_pins() -> PinFactory:
        raise UnknownFactoryError("gpiozero knows no such pin factory")

    pins = Reaching(open_pins, Inbox().post)
    assert pins.try_once() is None
    assert pins.hopeless
