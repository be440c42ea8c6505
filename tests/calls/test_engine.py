"""The shell of the core: one way in, one order out, timers and replies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar

import pytest

from appliance.bus import Bus
from appliance.calls import effects
from appliance.calls.effects import Effect
from appliance.calls.engine import Engine
from appliance.calls.inputs import (
    ButtonGestured,
    ButtonPressed,
    FaultReported,
    LinkChanged,
    LinkState,
    PresenceChanged,
    RelayChanged,
    Timer,
    TimerFired,
)
from appliance.commands import InitiateCall, Unlock
from appliance.errors import Refused
from appliance.listeners import ButtonClickListener
from appliance.model import CallState, Gesture
from tests.parts.play import HOUSE


class Everything:
    """An edge that does nothing but remember, in order."""

    EFFECTS: ClassVar[tuple[type[Effect], ...]] = (
        effects.Send,
        effects.ForgetCall,
        effects.SettleMessage,
        effects.StartCapture,
        effects.StopCapture,
        effects.PlaySound,
        effects.StopSound,
        effects.PulseRelay,
    )

    def __init__(self, diary: list[str]) -> None:
        self.diary = diary

    def perform(self, effect: Effect) -> None:
        self.diary.append(type(effect).__name__)


@asynccontextmanager
async def running(diary: list[str]) -> AsyncIterator[tuple[Engine, Bus]]:
    async with Bus("front-door") as bus:
        engine = Engine(HOUSE, bus)
        engine.bind()
        engine.attach(Everything(diary))
        bus.sinks.append(lambda item: diary.append(item["type"].removeprefix("appliance.")))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.run())
            yield engine, bus
            engine.stop()


async def until(bus: Bus, name: str) -> dict[str, Any]:
    with bus.subscribe([name]) as events:
        item = await anext(events)
        assert isinstance(item, dict)
        return item


async def test_a_buttons_event_stands_before_its_effect_even_for_coroutines() -> None:
    diary: list[str] = []

    class Curious(ButtonClickListener):
        async def on_call_button_clicked(self, button: str, gesture: Gesture) -> None:
            diary.append("listener")

    async with running(diary) as (engine, bus):
        bus.add_listener(Curious())
        with bus.subscribe(["outgoing_call_started"]) as events:
            engine.post(ButtonGestured("call", Gesture.PRESS))
            await anext(events)
    assert diary[:4] == ["call_button_clicked", "listener", "outgoing_call_started", "Send"]


async def test_a_command_gets_its_result_or_the_reason_why_not() -> None:
    async with running([]) as (engine, _):
        result = await engine.command(InitiateCall(receiver="alice"), "python")
        assert set(result) == {"call_id", "session_id"}
        assert engine.state.active is not None
        assert engine.state.active.state is CallState.OUTGOING
        with pytest.raises(Refused, match="there is a call already") as refused:
            await engine.command(InitiateCall(), "python")
        assert refused.value.code == "busy"


async def test_a_reply_may_come_in_a_later_turn() -> None:
    async with running([]) as (engine, _), asyncio.TaskGroup() as tasks:
        unlocked = tasks.create_task(engine.command(Unlock(), "python"))
        engine.post(LinkChanged(LinkState.CONNECTED))
        await asyncio.sleep(0)
        assert not unlocked.done()
        engine.post(RelayChanged("door", True))
        assert await unlocked is None


async def test_what_a_thread_posts_arrives_on_the_loop() -> None:
    async with running([]) as (engine, bus):
        with bus.subscribe(["error"]) as events:
            fault = FaultReported("malformed", "no JSON")
            thread = threading.Thread(target=engine.post, args=(fault,))
            thread.start()
            item = await anext(events)
            thread.join()
        assert item["data"]["code"] == "malformed"  # type: ignore[index]


async def test_a_timer_comes_back_as_an_input() -> None:
    async with running([]) as (engine, bus):
        with bus.subscribe(["call_ended"]) as events:
            await engine.command(InitiateCall(receiver="alice", timeout_s=0.01), "python")
            item = await anext(events)
        assert item["data"]["reason"] == "failed"  # type: ignore[index]


async def test_what_is_wanted_before_its_edge_is_there_is_done_when_it_comes() -> None:
    diary: list[str] = []
    async with Bus("front-door") as bus, asyncio.TaskGroup() as tasks:
        engine = Engine(HOUSE, bus)
        engine.bind()
        tasks.create_task(engine.run())
        await engine.command(InitiateCall(receiver="alice"), "python")
        assert engine.state.active is not None
        engine.attach(Everything(diary))
        assert diary == ["Send", "StartCapture", "PlaySound"]
        engine.stop()


async def test_stopping_ends_the_call_and_refuses_who_still_waits() -> None:
    diary: list[str] = []
    async with running(diary) as (engine, _):
        await engine.command(InitiateCall(receiver="alice"), "python")
    assert diary[-1] == "call_ended"
    assert engine.state.calls == ()


async def test_a_command_after_the_end_is_refused_and_does_not_wait() -> None:
    async with running([]) as (engine, _):
        pass
    with pytest.raises(Refused, match="stopping"):
        await engine.command(InitiateCall(), "mqtt")


async def test_a_command_that_is_queued_at_the_end_is_refused() -> None:
    async with Bus("front-door") as bus, asyncio.TaskGroup() as tasks:
        engine = Engine(HOUSE, bus)
        engine.bind()
        waiting = tasks.create_task(refused(engine))
        await asyncio.sleep(0)
        engine.stop()
        await engine.run()
        assert (await waiting).code in ("stopping", "unknown_relay", "relay_failed")


async def refused(engine: Engine) -> Refused:
    with pytest.raises(Refused) as refusal:
        await engine.command(Unlock(), "mqtt")
    return refusal.value


async def test_a_flood_cannot_keep_the_appliance_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("appliance.calls.engine.INBOX_MAX", 10)
    async with Bus("front-door") as bus:
        engine = Engine(HOUSE, bus)
        engine.bind()
        for _ in range(15):
            engine.post(FaultReported("malformed", "no JSON"))
        assert engine.dropped == 5
        with pytest.raises(Refused, match="too much to do"):
            await engine.command(InitiateCall(), "mqtt")
        engine.stop()
        await engine.run()
        assert engine.state.stopping


async def test_a_flood_of_others_leaves_room_for_a_press_and_a_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("appliance.calls.engine.INBOX_MAX", 10)
    monkeypatch.setattr("appliance.calls.engine.OWN_MAX", 2)
    async with Bus("front-door") as bus:
        engine = Engine(HOUSE, bus)
        engine.bind()
        for number in range(11):
            engine.post(PresenceChanged("bob", f"tab{number}", online=True, epoch="e"))
        assert engine.dropped == 1
        engine.post(ButtonPressed("call"))
        engine.post(TimerFired(Timer("ring", "c")))
        assert engine.dropped == 1
        engine.post(ButtonPressed("call"))
        assert engine.dropped == 2, "it is bounded all the same"


async def test_two_edges_cannot_perform_the_same_effect() -> None:
    async with running([]) as (engine, _):
        with pytest.raises(ValueError, match="two edges perform Send"):
            engine.attach(Everything([]))


async def test_what_is_done_for_a_call_is_done_in_its_context() -> None:
    entered: list[str | None] = []

    @contextmanager
    def context(call_id: str | None) -> Iterator[None]:
        entered.append(call_id)
        yield

    async with Bus("front-door") as bus, asyncio.TaskGroup() as tasks:
        engine = Engine(HOUSE, bus, context=context)
        engine.bind()
        engine.attach(Everything([]))
        tasks.create_task(engine.run())
        result = await engine.command(InitiateCall(receiver="alice"), "python")
        engine.stop()
    assert entered[0] == result["call_id"], "the event"
    assert result["call_id"] in entered[1:], "the invite"
    assert None in entered, "the chime is for no call"
