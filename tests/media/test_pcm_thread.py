"""One opening of a sound card, in its thread."""

from __future__ import annotations

import errno
import threading
import time

import pytest

from appliance.media import pcm_thread
from appliance.media.pcm import Direction, Pcm
from appliance.media.pcm_thread import Opening, let_go, once_more, too_late
from tests.media.softcard import SoftCard, because
from tests.media.soundcontract import until


def until_stopped(one: Opening, pcm: Pcm) -> None:
    one.stopping.wait()


def nothing_ended(one: Opening, fault: Exception) -> None:
    raise AssertionError(fault)


def test_it_is_open_until_it_is_stopped() -> None:
    card = SoftCard()
    one = Opening(Direction.CAPTURE, "hw:0", card.opens, until_stopped, nothing_ended)
    assert one.settled.wait(30)
    assert one.is_open
    assert card.open
    assert one.stop()
    assert not card.open


def test_why_it_ended_is_told_and_the_card_is_closed() -> None:
    card = SoftCard()
    ends: list[Exception] = []

    def broken(one: Opening, pcm: Pcm) -> None:
        raise because(errno.EIO)

    one = Opening(
        Direction.CAPTURE, "hw:0", card.opens, broken, lambda _, fault: ends.append(fault)
    )
    until(lambda: ends, "the end")
    assert one.stop()
    assert not card.open
    assert isinstance(ends[0], OSError)


def test_what_cannot_be_opened_has_never_been_open() -> None:
    card = SoftCard()
    card.refuses = because(errno.EBUSY)
    ends: list[Exception] = []
    one = Opening(
        Direction.CAPTURE, "hw:0", card.opens, until_stopped, lambda _, fault: ends.append(fault)
    )
    assert one.settled.wait(30)
    until(lambda: ends, "the end")
    assert (one.is_open, one.fault) == (False, card.refuses)
    one.stop()


def test_who_hangs_is_not_waited_for_and_closes_the_card_when_it_wakes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pcm_thread, "STOP_LIMIT_S", 0.05)
    card, wakes = SoftCard(), threading.Event()

    def asleep(one: Opening, pcm: Pcm) -> None:
        wakes.wait()

    one = Opening(Direction.CAPTURE, "hw:0", card.opens, asleep, nothing_ended)
    assert one.settled.wait(30)
    assert let_go(one) is one
    assert "microphone hw:0 does not let go" in caplog.text
    after = Opening(Direction.CAPTURE, "hw:0", card.opens, until_stopped, nothing_ended, before=one)
    assert not after.settled.wait(0.05), "it waits for the other to let go"
    wakes.set()
    until(lambda: after.is_open, "it to be open")
    assert let_go(after) is None
    assert not card.open


def test_it_hangs_when_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SoftCard()
    one = Opening(Direction.CAPTURE, "hw:0", card.opens, until_stopped, nothing_ended)
    assert one.settled.wait(30)
    one.moved()
    one.check()
    monkeypatch.setattr(pcm_thread, "STALL_S", -10.0)
    assert one.hangs
    with pytest.raises(OSError, match="timed out"):
        one.check()
    one.stop()


def test_a_device_that_loses_something_each_time_has_failed_after_a_while() -> None:
    lost, begin_s = 0, time.monotonic()
    while lost < pcm_thread.XRUNS:
        lost = once_more(lost)
    with pytest.raises(OSError, match="Input/output") as failed:
        once_more(lost)
    assert failed.value.errno == errno.EIO
    assert time.monotonic() - begin_s > 0.2, "and it cost little"
    assert too_late().errno == errno.ETIMEDOUT
