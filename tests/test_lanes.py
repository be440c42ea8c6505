"""A listener that blocks or hangs harms nobody: its events wait for it, and for it alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator

import pytest

from appliance import lanes
from appliance.bus import Bus
from appliance.events import AudioMuted, AudioUnmuted, ConnectionLost, Error
from appliance.listeners import MediaEventsListener, SessionStatusListener

PATIENCE_S = 30.0


class Complaints:
    """What the bus was told to be wrong with its listeners."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def hear(self, where: str, message: str) -> None:
        self.all.append((where, message))


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
async def bus(complaints: Complaints) -> AsyncIterator[Bus]:
    async with asyncio.timeout(PATIENCE_S), Bus("d", on_failure=complaints.hear) as bus:
        yield bus


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened at the end, so that no thread outlives its test."""
    gate = threading.Event()
    yield gate
    gate.set()


class Diary(SessionStatusListener):
    """Writes down the sessions, and in which thread it was told."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.threads: set[str] = set()
        self.complete = threading.Event()

    def on_connection_lost(self, session_id: str) -> None:
        self.sessions.append(session_id)
        self.threads.add(threading.current_thread().name)
        if session_id == "last":
            self.complete.set()


async def tell(bus: Bus, *sessions: str) -> None:
    for session in sessions:
        bus.publish(ConnectionLost(session))


async def opened(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)


# -------------------- blocking


async def test_a_listener_that_held_the_loop_once_is_called_in_its_own_thread_in_order(
    bus: Bus, complaints: Complaints
) -> None:
    class Sluggish(Diary):
        def on_connection_lost(self, session_id: str) -> None:
            if session_id == "first":
                time.sleep(lanes.SLOW_S + 0.01)  # what is proven is that this is found out
            super().on_connection_lost(session_id)

    sluggish = Sluggish()
    bus.add_listener(sluggish)
    await tell(bus, "first")
    assert sluggish.threads == {"MainThread"}
    ((where, message),) = complaints.all
    assert where == "Sluggish"
    assert message.startswith("on_connection_lost: TimeoutError('it held everything up for 0.")
    await tell(bus, *map(str, range(100)), "last")
    await opened(sluggish.complete)
    assert sluggish.sessions == ["first", *map(str, range(100)), "last"]
    assert sluggish.threads == {"MainThread", "listener Sluggish"}
    assert len(complaints.all) == 1


async def test_one_that_blocks_for_ever_keeps_nothing_from_the_others(
    bus: Bus, complaints: Complaints, gate: threading.Event
) -> None:
    class Stuck(SessionStatusListener):
        def on_connection_lost(self, session_id: str) -> None:
            if session_id == "first":
                time.sleep(lanes.SLOW_S + 0.01)
            else:
                gate.wait()

    diary = Diary()
    bus.add_listener(Stuck())
    bus.add_listener(diary)
    await tell(bus, "first", *map(str, range(lanes.BEHIND_MAX + 50)), "last")
    assert diary.sessions[-1] == "last"
    assert len(diary.sessions) == lanes.BEHIND_MAX + 52
    behind = [message for _, message in complaints.all if "1000 events behind" in message]
    assert len(behind) == 1
    gate.set()


async def test_one_that_computes_for_long_is_found_out_like_one_that_sleeps(
    bus: Bus, complaints: Complaints
) -> None:
    class Computes(SessionStatusListener):
        def on_connection_lost(self, session_id: str) -> None:
            until_s = time.thread_time() + lanes.SLOW_S
            while time.thread_time() < until_s:
                pass

    bus.add_listener(Computes())
    await tell(bus, "first")
    assert [where for where, _ in complaints.all] == ["Computes"]


async def test_one_that_the_machine_stopped_in_the_middle_is_not_blamed(
    bus: Bus, complaints: Complaints, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = 0.0

    def monotonic() -> float:
        nonlocal clock_s
        clock_s += 1.0  # a second passes between any two looks at it
        return clock_s

    monkeypatch.setattr("appliance.lanes.monotonic", monotonic)
    diary = Diary()
    bus.add_listener(diary)
    await tell(bus, *map(str, range(20)))
    monkeypatch.undo()
    assert complaints.all == []
    assert diary.threads == {"MainThread"}


async def test_what_it_raises_and_awaits_in_its_thread_is_treated_as_ever(
    bus: Bus, complaints: Complaints
) -> None:
    done = asyncio.Event()

    class Mixed(MediaEventsListener, SessionStatusListener):
        def on_connection_lost(self, session_id: str) -> None:
            time.sleep(lanes.SLOW_S + 0.01)

        def on_audio_muted(self) -> None:
            raise RuntimeError("broken")

        def on_audio_unmuted(self) -> Awaitable[object]:
            return done_soon()

    async def done_soon() -> None:
        assert threading.current_thread() is threading.main_thread()
        done.set()

    bus.add_listener(Mixed())
    await tell(bus, "slow")
    bus.publish(AudioMuted())
    bus.publish(AudioUnmuted())
    await done.wait()
    assert [message.split("(")[0] for _, message in complaints.all] == [
        "on_connection_lost: TimeoutError",
        "on_audio_muted: RuntimeError",
    ]


async def test_who_is_removed_hears_no_more_in_its_thread_either(
    bus: Bus, gate: threading.Event
) -> None:
    entered = threading.Event()

    class Stuck(Diary):
        def on_connection_lost(self, session_id: str) -> None:
            super().on_connection_lost(session_id)
            if session_id == "first":
                time.sleep(lanes.SLOW_S + 0.01)
            else:
                entered.set()
                gate.wait()

    stuck = Stuck()
    bus.add_listener(stuck)
    await tell(bus, "first", "second", "third")
    await opened(entered)
    assert bus.remove_listener(stuck)
    gate.set()
    await opened(finished(stuck))
    assert stuck.sessions == ["first", "second"]


def finished(_: Diary) -> threading.Event:
    """Set once the listener's thread has ended."""
    ended = threading.Event()
    (thread,) = (one for one in threading.enumerate() if one.name == "listener Stuck")

    def wait() -> None:
        thread.join()
        ended.set()

    threading.Thread(target=wait).start()
    return ended


# -------------------- coroutines


async def test_a_coroutine_that_never_ends_is_told_of_once_and_keeps_nobody_waiting(
    bus: Bus, complaints: Complaints
) -> None:
    class Hanging(SessionStatusListener):
        async def on_connection_lost(self, session_id: str) -> None:
            await asyncio.Event().wait()

    diary = Diary()
    bus.add_listener(Hanging())
    bus.add_listener(diary)
    await tell(bus, *map(str, range(lanes.BEHIND_MAX + 50)), "last")
    assert diary.sessions[-1] == "last"
    assert complaints.all == [
        ("Hanging", "on_connection_lost: OverflowError('it is 1000 events behind')")
    ]


async def test_one_that_catches_up_and_falls_behind_again_is_told_of_again(
    bus: Bus, complaints: Complaints
) -> None:
    go, caught_up = asyncio.Event(), asyncio.Event()

    class Slow(SessionStatusListener):
        async def on_connection_lost(self, session_id: str) -> None:
            await go.wait()
            if session_id == "999":
                caught_up.set()

    bus.add_listener(Slow())
    flood = [*map(str, range(lanes.BEHIND_MAX + 50))]
    await tell(bus, *flood)
    go.set()
    await caught_up.wait()
    go.clear()
    await tell(bus, *flood)
    assert len(complaints.all) == 2


async def test_a_cancelled_thing_that_it_awaits_ends_its_turn_and_not_its_task(
    bus: Bus, complaints: Complaints
) -> None:
    heard = asyncio.Event()

    class Waiting(MediaEventsListener):
        async def on_audio_muted(self) -> None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

        async def on_audio_unmuted(self) -> None:
            heard.set()

    bus.add_listener(Waiting())
    bus.publish(AudioMuted())
    bus.publish(AudioUnmuted())
    await heard.wait()
    assert complaints.all == [
        ("Waiting", "on_audio_muted: RuntimeError('what it waited for was cancelled')")
    ]


async def test_one_that_swallows_its_end_hears_nothing_behind_it() -> None:
    heard: list[str] = []
    begun = asyncio.Event()

    class Stubborn(MediaEventsListener):
        async def on_audio_muted(self) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard.append("the end")

        async def on_audio_unmuted(self) -> None:
            heard.append("unmuted")

    async with asyncio.timeout(PATIENCE_S), Bus("d") as bus:
        bus.add_listener(Stubborn())
        bus.publish(AudioMuted())
        bus.publish(AudioUnmuted())
        await begun.wait()
    assert heard == ["the end"]


async def test_who_fails_over_an_error_is_not_told_of_that_for_ever(complaints: Complaints) -> None:
    failed = asyncio.Event()

    class Broken(SessionStatusListener):
        async def on_error(self, code: str, message: str, where: str | None, count: int) -> None:
            failed.set()
            raise RuntimeError("broken")

    async with asyncio.timeout(PATIENCE_S), Bus("d", on_failure=complaints.hear) as bus:
        bus.add_listener(Broken())
        bus.publish(Error("x", "y", None, 1))
        await failed.wait()
        await asyncio.sleep(0)
    assert complaints.all == []
