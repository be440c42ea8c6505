"""Events are numbered once and reach everyone in the same order; nobody slows or harms another."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from appliance.bus import Bus, CloudEvent, Dropped, matches, to_json
from appliance.events import EVENTS, AudioMuted, AudioUnmuted, ConnectionLost, SessionJoined
from appliance.listeners import (
    ButtonClickListener,
    CallListener,
    LayoutListener,
    Listener,
    MediaEventsListener,
    ParticipantEventListener,
    SessionStatusListener,
)
from appliance.model import Caller, CallState, Participant

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def test_an_event_is_a_cloudevent() -> None:
    bus = Bus("front-door", clock=lambda: NOON)
    first = bus.publish(SessionJoined("s", "c"), "c")
    second = bus.publish(AudioMuted())
    boot, number = str(first["id"]).rsplit("-", 1)
    assert number == "1"
    assert second["id"] == f"{boot}-2"
    assert first == {
        "specversion": "1.0",
        "id": first["id"],
        "source": "/appliance/front-door",
        "type": "appliance.session_joined",
        "time": "2026-11-21T12:00:00.123Z",
        "subject": "c",
        "sequence": "1",
        "family": "SessionStatusListener",
        "data": {"session_id": "s", "call_id": "c"},
    }
    assert second["subject"] is None
    assert list(bus.recent) == [first, second]


def test_values_become_json() -> None:
    participant = Participant("alice", None, "phone", NOON)
    assert to_json({"who": (participant,), "state": CallState.IDLE})["who"][0]["joined_at"] == (
        "2026-11-21T12:00:00.123Z"
    )
    assert to_json(Caller("a")) == {"uid": "a", "name": None}


def test_a_value_that_is_too_deep_is_cut_and_breaks_nobody() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    text = json.dumps(to_json(deep))
    assert text.startswith("[[[")
    assert '"\\u2026"' in text


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [("*", True), ("session_*", True), ("appliance.session_joined", True), ("call_*", False)],
)
def test_globs_mean_events_with_and_without_the_prefix(pattern: str, meant: bool) -> None:
    assert matches(pattern, "appliance.session_joined") is meant


# -------------------- subscriptions


async def test_a_subscription_reads_what_it_asked_for_in_order() -> None:
    async with Bus("d") as bus:
        with bus.subscribe(["audio_*"]) as events:
            bus.publish(AudioMuted())
            bus.publish(ConnectionLost("s"))
            bus.publish(AudioUnmuted())
            told = [await anext(events), await anext(events)]
        assert [type_of(item) for item in told] == ["audio_muted", "audio_unmuted"]
        bus.publish(AudioMuted())
        assert not bus.subscriptions


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    async with Bus("d") as bus:
        with bus.subscribe(limit=2) as events:
            for number in range(5):
                bus.publish(ConnectionLost(str(number)))
            assert await anext(events) == Dropped(3)
            kept = [await anext(events), await anext(events)]
        assert [item["data"]["session_id"] for item in kept if not isinstance(item, Dropped)] == [
            "3",
            "4",
        ]


def type_of(item: CloudEvent | Dropped) -> str:
    assert not isinstance(item, Dropped)
    return str(item["type"]).removeprefix("appliance.")


# -------------------- listeners


class Diary(SessionStatusListener, MediaEventsListener):
    def __init__(self) -> None:
        self.entries: list[str] = []

    def on_session_joined(self, session_id: str, call_id: str) -> None:
        self.entries.append(f"joined {session_id} {call_id}")

    def on_audio_muted(self) -> None:
        self.entries.append("muted")


async def test_a_listener_is_called_with_the_events_fields_until_it_is_removed() -> None:
    async with Bus("d") as bus:
        diary = Diary()
        bus.add_listener(diary)
        bus.publish(SessionJoined("s", "c"))
        bus.publish(AudioMuted())
        bus.publish(AudioUnmuted())
        assert diary.entries == ["joined s c", "muted"]
        assert bus.remove_listener(diary)
        assert not bus.remove_listener(diary)
        bus.publish(AudioMuted())
        assert diary.entries == ["joined s c", "muted"]


async def test_the_same_id_replaces() -> None:
    async with Bus("d") as bus:
        old, new = Diary(), Diary()
        bus.add_listener(old, "diary")
        bus.add_listener(new, "diary")
        bus.publish(AudioMuted())
        assert (old.entries, new.entries) == ([], ["muted"])
        assert bus.remove_listener("diary")


async def test_a_coroutine_listener_hears_one_after_the_other() -> None:
    heard: list[str] = []
    done = asyncio.Event()

    class Slow(MediaEventsListener):
        async def on_audio_muted(self) -> None:
            await asyncio.sleep(0)
            heard.append("muted")

        async def on_audio_unmuted(self) -> None:
            heard.append("unmuted")
            done.set()

    async with Bus("d") as bus:
        bus.add_listener(Slow())
        bus.publish(AudioMuted())
        bus.publish(AudioUnmuted())
        await done.wait()
    assert heard == ["muted", "unmuted"]


async def test_a_listener_that_raises_or_hangs_harms_nobody() -> None:
    failures: list[tuple[str, str]] = []
    hanging = asyncio.Event()

    class Broken(MediaEventsListener):
        def on_audio_muted(self) -> None:
            raise RuntimeError("broken")

        async def on_audio_unmuted(self) -> None:
            hanging.set()
            await asyncio.Event().wait()

    diary = Diary()
    async with Bus("d", on_failure=lambda where, what: failures.append((where, what))) as bus:
        bus.add_listener(Broken())
        bus.add_listener(diary)
        bus.publish(AudioMuted())
        bus.publish(AudioUnmuted())
        await hanging.wait()
        bus.publish(AudioMuted())
    assert diary.entries == ["muted", "muted"]
    assert failures == [("Broken", "on_audio_muted: RuntimeError('broken')")] * 2


async def test_one_is_removed_by_its_id_or_itself_and_the_others_stay() -> None:
    async with Bus("d") as bus:
        first, second, third = Diary(), Diary(), Diary()
        bus.add_listener(first)
        bus.add_listener(second, "second")
        bus.add_listener(third, "third")
        assert not bus.remove_listener("first"), "it was added without an id"
        assert bus.remove_listener(second), "by itself, though it has an id"
        bus.publish(AudioMuted())
        assert [len(one.entries) for one in (first, second, third)] == [1, 0, 1]
        assert bus.remove_listener("third")
        assert bus.remove_listener(first)
        assert not bus.has_listeners


def test_a_misspelt_handler_fails_when_the_class_is_defined() -> None:
    with pytest.raises(TypeError, match="did you mean on_session_joined"):
        type("Door", (SessionStatusListener,), {"on_sesion_joined": lambda self: None})
    with pytest.raises(TypeError, match="handles no event of its families"):
        type("Door", (CallListener,), {"on_session_joined": lambda self: None})


def taking(handler: object) -> None:
    """Define a listener whose `on_session_left` is this."""
    type("Door", (SessionStatusListener,), {"on_session_left": handler})


async def _awaited(self: object, session_id: str, call_id: str, reason: str) -> None: ...


@pytest.mark.parametrize(
    "handler",
    [
        lambda self, session_id, call_id, reason: None,
        lambda self, session, call, why: None,
        lambda self, _session_id, _call_id, reason, tries=3: None,
        lambda self, *fields: None,
        lambda *everything: None,
        lambda self, *_, loud=False, **more: None,
        staticmethod(lambda session_id, call_id, reason: None),
        classmethod(lambda cls, session_id, call_id, reason: None),
        _awaited,
    ],
)
def test_a_handler_may_name_what_it_takes_as_it_likes(handler: object) -> None:
    taking(handler)


@pytest.mark.parametrize(
    ("handler", "sentence"),
    [
        (lambda self: None, "Door.on_session_left cannot take session_id, call_id, reason"),
        (lambda self, session_id, call_id: None, "too many positional arguments"),
        (lambda self, session_id, call_id, reason, more: None, "required argument: 'more'"),
        (lambda self, *fields, loud: None, "required .*argument: 'loud'"),
        (lambda self, **fields: None, "cannot take"),
        (staticmethod(lambda self, a, b, c: None), "required argument: 'c'"),
        (lambda self, call_id, session_id, reason: None, "takes session_id as call_id"),
        (None, "is no method; session_left calls it with session_id, call_id, reason"),
    ],
)
def test_a_handler_that_cannot_take_the_fields_fails_when_the_class_is_defined(
    handler: object, sentence: str
) -> None:
    with pytest.raises(TypeError, match=sentence):
        taking(handler)


def test_what_a_listener_inherits_is_checked_with_it() -> None:
    class Mixin:
        def on_audio_muted(self, button: str) -> None: ...

        def on_paint(self) -> None:
            """Somebody else's method that happens to begin with on_."""

    with pytest.raises(TypeError, match="on_audio_muted cannot take no fields"):
        type("Door", (Mixin, MediaEventsListener), {})
    type("Door", (Mixin, CallListener), {})


def test_every_event_has_its_method_with_its_fields_and_there_are_no_others() -> None:
    families: list[type[Listener]] = [
        SessionStatusListener,
        ParticipantEventListener,
        MediaEventsListener,
        ButtonClickListener,
        LayoutListener,
        CallListener,
    ]
    methods = {
        (family.__name__, name.removeprefix("on_"), method.__code__.co_varnames[1:])
        for family in families
        for name, method in vars(family).items()
        if name.startswith("on_")
    }
    events = {(event.FAMILY, name, event.data_fields()) for name, event in EVENTS.items()}
    assert methods == events
