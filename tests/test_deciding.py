"""Whether a hang-up is meant, and when the end of a call is over: listeners that decide, or fail to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from appliance.bus import Bus
from appliance.calls.effects import AskHangUp, ReturnToIdle
from appliance.calls.inputs import FaultReported, HangUpAnswered, ReturnedToIdle
from appliance.commands import LeaveSession
from appliance.deciding import Deciding
from appliance.events import AudioMuted, CallEnded
from appliance.listeners import CallListener, MediaEventsListener
from appliance.model import (
    Call,
    CallDirection,
    CallEndReason,
    Caller,
    CallState,
    CallType,
    Receiver,
    ReceiverType,
)
from tests.panel.inbox import Inbox

CALL = Call(
    call_id="c",
    session_id="s",
    direction=CallDirection.OUTGOING,
    type=CallType.VIDEO,
    state=CallState.CONNECTED,
    caller=Caller("front-door"),
    receiver=Receiver(ReceiverType.USER, "alice"),
    answered_at=datetime(2026, 11, 21, tzinfo=UTC),
)
ASK = AskHangUp("c", LeaveSession(), "socket", 7)
ENDED = CallEnded(CALL, CallEndReason.KICKED_OUT, "alice", 12.5)
YES = HangUpAnswered("c", LeaveSession(), "socket", 7, confirmed=True)
NO = HangUpAnswered("c", LeaveSession(), "socket", 7, confirmed=False)
IDLE = ReturnedToIdle("c")


class Office:
    """A bus with deciders, and what they make of it."""

    def __init__(self, bus: Bus, deciding: Deciding, inbox: Inbox) -> None:
        self.bus, self.deciding, self.inbox = bus, deciding, inbox

    async def asks(self) -> HangUpAnswered:
        """What comes of a hang-up."""
        self.deciding.perform(ASK)
        await self.inbox.until(lambda: bool(self.inbox.of(HangUpAnswered)))
        (answer,) = self.inbox.of(HangUpAnswered)
        return answer

    def faults(self) -> list[tuple[str | None, str]]:
        return [(fault.where, fault.message) for fault in self.inbox.of(FaultReported)]


@asynccontextmanager
async def office(*listeners: CallListener, answer_s: float = 30) -> AsyncIterator[Office]:
    inbox = Inbox()

    def complain(where: str, message: str) -> None:
        inbox.post(FaultReported("listener_failed", message, where))

    async with (
        Bus("front-door", on_failure=complain) as bus,
        Deciding(bus, {"c": CALL}.get, inbox.post, answer_s=answer_s) as deciding,
    ):
        for listener in listeners:
            bus.add_listener(listener)
        yield Office(bus, deciding, inbox)


class Says(CallListener):
    """Decides in one word."""

    def __init__(self, word: bool | None) -> None:
        self.word = word
        self.asked: list[Call] = []

    async def hang_up_confirmation(self, call: Call) -> bool | None:
        self.asked.append(call)
        await asyncio.sleep(0)
        return self.word


class Raises(CallListener):
    async def hang_up_confirmation(self, call: Call) -> bool | None:
        raise RuntimeError("broken")


class Hangs(CallListener):
    async def hang_up_confirmation(self, call: Call) -> bool | None:
        await asyncio.Event().wait()
        return False


class Hears(CallListener):
    """A listener like any other: it decides nothing."""

    def on_call_ended(
        self, call: Call, reason: CallEndReason, kicked_by: str | None, duration_s: float
    ) -> None:
        pass


# -------------------- the hang-up


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ([True], YES),
        ([False], NO),
        ([None], NO),
        ([True, True], YES),
        ([True, False], NO),
        ([None, True], NO),
    ],
)
async def test_only_true_ends_the_call_and_one_that_keeps_it_does(
    words: list[bool | None], answer: HangUpAnswered
) -> None:
    deciders = [Says(word) for word in words]
    async with office(*deciders) as one:
        assert await one.asks() == answer
        assert [decider.asked for decider in deciders] == [[CALL]] * len(words)
        assert one.faults() == []


async def test_what_is_merely_truthy_does_not_end_the_call() -> None:
    class Talks(CallListener):
        async def hang_up_confirmation(self, call: Call) -> Any:
            return "no"

    async with office(Talks()) as one:
        assert await one.asks() == NO


async def test_without_a_listener_that_decides_the_answer_is_there_at_once() -> None:
    async with office(Hears()) as one:
        one.deciding.perform(ASK)
        assert one.inbox.all == [YES]


async def test_a_call_that_is_over_already_is_nobodys_decision() -> None:
    decider = Says(False)
    async with office(decider) as one:
        one.deciding.perform(AskHangUp("gone", LeaveSession(), "socket", 7))
        assert one.inbox.all == [HangUpAnswered("gone", LeaveSession(), "socket", 7, True)]
        assert decider.asked == []


async def test_one_that_raises_agrees_and_is_told_of() -> None:
    async with office(Raises()) as one:
        assert await one.asks() == YES
        assert one.faults() == [
            ("Raises", "hang_up_confirmation raised RuntimeError('broken'), so the call ends")
        ]


async def test_one_that_raises_does_not_overrule_one_that_keeps_the_call() -> None:
    async with office(Raises(), Says(False)) as one:
        assert await one.asks() == NO


async def test_one_that_takes_too_long_agrees_and_is_told_of() -> None:
    async with office(Hangs(), Says(True), answer_s=0.01) as one:
        assert await one.asks() == YES
        assert one.faults() == [
            ("Hangs", "hang_up_confirmation took over 0 s, so the call ends"),
        ]


async def test_one_that_takes_too_long_does_not_overrule_one_that_keeps_the_call() -> None:
    async with office(Hangs(), Says(False), answer_s=0.01) as one:
        assert await one.asks() == NO


async def test_one_that_blocks_is_not_waited_for_either_and_holds_nothing_up() -> None:
    gate = threading.Event()

    class Blocks(CallListener):
        def hang_up_confirmation(self, call: Call) -> bool | None:  # type: ignore[override]
            gate.wait()
            return False

    async with office(Blocks(), answer_s=0.01) as one:
        assert await one.asks() == YES
    gate.set()


async def test_one_that_is_no_coroutine_decides_too() -> None:
    class Plain(CallListener):
        def hang_up_confirmation(self, call: Call) -> bool | None:  # type: ignore[override]
            return False

    async with office(Plain()) as one:
        assert await one.asks() == NO


async def test_it_can_be_stopped_while_somebody_still_thinks() -> None:
    thinking = asyncio.Event()

    class Thinks(CallListener):
        async def hang_up_confirmation(self, call: Call) -> bool | None:
            thinking.set()
            await asyncio.Event().wait()
            return True

    async with office(Thinks()) as one:
        one.deciding.perform(ASK)
        await thinking.wait()
    assert one.inbox.all == []


# -------------------- the return to idle


class Returns(CallListener):
    """Keeps the default action for later."""

    def __init__(self) -> None:
        self.heard: list[tuple[Call, CallEndReason, str | None, float]] = []
        self.action: Callable[[], None] | None = None

    def call_end_default_action(
        self,
        call: Call,
        reason: CallEndReason,
        kicked_by: str | None,
        duration_s: float,
        default_action: Callable[[], None],
    ) -> None:
        self.heard.append((call, reason, kicked_by, duration_s))
        self.action = default_action


async def test_without_a_listener_that_overrides_it_the_device_is_idle_at_once() -> None:
    async with office(Hears(), Says(False)) as one:
        one.deciding.perform(ReturnToIdle("c", ENDED))
        assert one.inbox.all == [IDLE]


async def test_a_listener_that_overrides_it_runs_it_when_it_likes_and_once() -> None:
    listener = Returns()
    async with office(listener) as one:
        one.deciding.perform(ReturnToIdle("c", ENDED))
        assert listener.heard == [(CALL, CallEndReason.KICKED_OUT, "alice", 12.5)]
        assert one.inbox.all == []
        assert listener.action is not None
        await asyncio.gather(*(asyncio.to_thread(listener.action) for _ in range(8)))
        listener.action()
        assert one.inbox.all == [IDLE]


async def test_of_two_that_override_it_the_first_to_run_it_does() -> None:
    first, second = Returns(), Returns()
    async with office(first, second) as one:
        one.deciding.perform(ReturnToIdle("c", ENDED))
        assert first.action is not None
        assert second.action is not None
        second.action()
        first.action()
        assert one.inbox.all == [IDLE]


async def test_one_that_raises_counts_as_not_overriding_and_is_told_of() -> None:
    class Broken(CallListener):
        def call_end_default_action(self, *_: object) -> None:
            raise RuntimeError("broken")

    async with office(Broken()) as one:
        one.deciding.perform(ReturnToIdle("c", ENDED))
        assert one.inbox.of(ReturnedToIdle) == [IDLE]
        assert one.faults() == [("Broken", "call_end_default_action: RuntimeError('broken')")]


async def test_a_coroutine_may_override_it_and_fail_at_it() -> None:
    class Broken(CallListener):
        async def call_end_default_action(self, *_: object) -> None:
            await asyncio.sleep(0)
            raise RuntimeError("broken")

    async with office(Broken()) as one:
        one.deciding.perform(ReturnToIdle("c", ENDED))
        await one.inbox.has(IDLE)


async def test_one_that_is_removed_before_its_turn_leaves_nobody_waiting() -> None:
    busy = asyncio.Event()

    class Busy(CallListener, MediaEventsListener):
        async def on_audio_muted(self) -> None:
            busy.set()
            await asyncio.Event().wait()

        async def call_end_default_action(self, *_: object) -> None:
            pass

    listener = Busy()
    async with office(listener) as one:
        one.bus.publish(AudioMuted())
        await busy.wait()
        one.deciding.perform(ReturnToIdle("c", ENDED))
        assert one.inbox.all == []
        one.bus.remove_listener(listener)
        await one.inbox.has(IDLE)


async def test_overriding_nothing_but_the_default_means_the_default() -> None:
    class Calls(CallListener):
        def call_end_default_action(
            self,
            call: Call,
            reason: CallEndReason,
            kicked_by: str | None,
            duration_s: float,
            default_action: Callable[[], None],
        ) -> None:
            super().call_end_default_action(call, reason, kicked_by, duration_s, default_action)

    async with office(Calls()) as one:
        one.deciding.perform(ReturnToIdle("c", ENDED))
        assert one.inbox.all == [IDLE]


def test_a_decision_that_cannot_take_what_it_is_asked_with_fails_when_the_class_is_defined() -> (
    None
):
    with pytest.raises(TypeError, match="hang_up_confirmation cannot take call"):
        type("Door", (CallListener,), {"hang_up_confirmation": lambda self: True})
    with pytest.raises(TypeError, match="takes reason as kicked_by"):
        type(
            "Door",
            (CallListener,),
            {"call_end_default_action": lambda self, call, kicked_by, reason, *_: None},
        )
