"""Modules of the house's owner are given the session; one that fails takes nobody along."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from appliance.app import Appliance
from appliance.bus import Bus
from appliance.calls.inputs import FaultReported
from appliance.config import Config, Device
from appliance.events import AudioMuted, AudioUnmuted
from appliance.listeners import MediaEventsListener
from appliance.plugins import Plugins
from tests.panel.inbox import Inbox

DIARY: list[str] = []
"""What the plug-ins wrote down."""

GATE = threading.Event()


class Author:
    """Writes plug-ins, and runs them in an appliance that has neither broker nor pins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox = Inbox()
        self.appliance = Appliance(Config(device=Device(board="simulated")), folder / "state")
        self.appliance.engine.bind()
        self.session = self.appliance.session

    def writes(self, name: str, text: str) -> None:
        head = "from tests.test_plugins import DIARY, GATE\nfrom appliance.listeners import *\n"
        (self.folder / f"{name}.py").write_text(head + dedent(text))

    @asynccontextmanager
    async def outside(self) -> AsyncIterator[Bus]:
        """The appliance around the plug-ins."""
        async with self.appliance.bus as bus:
            yield bus

    def running(self, *names: str, **options: Any) -> Plugins:
        """The plug-ins, while the block lasts."""
        return Plugins(names, self.session, self.appliance.bus, self.inbox.post, **options)

    def faults(self) -> list[str]:
        return [fault.message for fault in self.inbox.of(FaultReported)]


@pytest.fixture
async def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Author]:
    monkeypatch.syspath_prepend(tmp_path)
    before = {*sys.modules}
    yield Author(tmp_path)
    for name in {*sys.modules} - before:
        if name.startswith("plug"):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def empty_diary() -> Iterator[None]:
    DIARY.clear()
    GATE.clear()
    yield
    GATE.set()


LISTENS = """
    class Muted(MediaEventsListener):
        def on_audio_muted(self):
            DIARY.append("muted")

    def setup(session):
        session.add_listener(Muted())
    """


async def test_a_plug_in_hears_events_until_the_end_and_leaves_no_listener(author: Author) -> None:
    author.writes("plug_listens", LISTENS)
    async with author.outside() as bus:
        async with author.running("plug_listens") as plugins:
            bus.publish(AudioMuted())
            assert DIARY == ["muted"]
            assert [*plugins.loaded] == ["plug_listens"]
        assert bus.listeners == ()
        assert [*plugins.loaded] == []
    assert author.faults() == []


async def test_listeners_of_others_stay(author: Author) -> None:
    author.writes("plug_listens", LISTENS)

    class Mine(MediaEventsListener):
        def on_audio_unmuted(self) -> None:
            DIARY.append("mine")

    async with author.outside() as bus:
        mine = Mine()
        async with author.running("plug_listens"):
            author.session.add_listener(mine)
        assert bus.listeners == (mine,)
        bus.publish(AudioUnmuted())
    assert DIARY == ["mine"]


async def test_setup_may_be_a_coroutine_and_give_back_a_context_that_lasts_as_long(
    author: Author,
) -> None:
    author.writes(
        "plug_context",
        """
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def life(session):
            DIARY.append("begins")
            yield
            DIARY.append("ends")

        async def setup(session):
            return life(session)
        """,
    )
    async with author.outside(), author.running("plug_context"):
        assert DIARY == ["begins"]
    assert DIARY == ["begins", "ends"]


async def test_or_a_function_for_the_end_and_the_last_ends_first(author: Author) -> None:
    author.writes("plug_one", 'setup = lambda session: lambda: DIARY.append("one")')
    author.writes(
        "plug_two",
        """
        def setup(session):
            async def end():
                DIARY.append("two")
            return end
        """,
    )
    async with author.outside(), author.running("plug_one", "plug_two") as plugins:
        assert plugins.loaded == ("plug_one", "plug_two")
    assert DIARY == ["two", "one"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("import no_such_thing", "cannot be imported: ModuleNotFoundError: No module named"),
        ("def", "cannot be imported: SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "failed: SystemExit: 3"),
        ("", "has no function setup(session)"),
        ("setup = 3", "has no function setup(session)"),
        ("def setup(session): 1 / 0", "failed: ZeroDivisionError: division by zero"),
        ("async def setup(session): 1 / 0", "failed: ZeroDivisionError: division by zero"),
        ("def setup(): pass", "failed: TypeError: setup() takes 0 positional arguments"),
        ("def setup(session): raise SystemExit", "failed: SystemExit"),
        ("def setup(session): return 3", "gives back int from setup: an async context manager"),
        ("def setup(session): return lambda: 1 / 0", "failed: ZeroDivisionError"),
    ],
)
async def test_one_that_fails_is_told_of_by_name_and_the_others_go_on(
    author: Author, text: str, sentence: str
) -> None:
    author.writes("plug_bad", text)
    author.writes("plug_good", LISTENS)
    async with author.outside() as bus, author.running("plug_bad", "plug_good"):
        bus.publish(AudioMuted())
    assert DIARY == ["muted"]
    (fault,) = author.inbox.of(FaultReported)
    assert fault.message.startswith(f"the plug-in plug_bad {sentence}")
    assert (fault.code, fault.where) == ("plugin_failed", "plug_bad")


async def test_one_that_is_not_there_is_told_of(author: Author) -> None:
    async with author.outside(), author.running("plug_nowhere"):
        assert author.faults() == [
            (
                "the plug-in plug_nowhere cannot be imported: ModuleNotFoundError: "
                "No module named 'plug_nowhere'"
            )
        ]


async def test_what_a_failing_setup_added_is_removed_at_once(author: Author) -> None:
    author.writes("plug_half", f"{LISTENS}    raise RuntimeError('half way')")
    async with author.outside() as bus, author.running("plug_half"):
        assert author.faults() == ["the plug-in plug_half failed: RuntimeError: half way"]
        assert bus.listeners == ()


async def test_one_that_breaks_while_it_runs_breaks_alone(author: Author) -> None:
    author.writes(
        "plug_tasks",
        """
        import asyncio
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def life():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(breaks())
                yield

        async def breaks():
            await asyncio.sleep(0)
            raise RuntimeError("broken")

        async def setup(session):
            session.add_listener(CallListener())
            return life()
        """,
    )
    async with author.outside() as bus, author.running("plug_tasks") as plugins:
        await author.inbox.until(lambda: bool(author.faults()))
        assert author.faults() == ["the plug-in plug_tasks failed: RuntimeError: broken"]
        assert plugins.loaded == ()
        assert bus.listeners == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("GATE.wait()", "was not imported within 0.05 s"),
        (
            "import asyncio\nasync def setup(session): await asyncio.Event().wait()",
            "was not set up within 0.05 s",
        ),
    ],
)
async def test_one_that_never_gets_ready_is_not_waited_for(
    author: Author, text: str, sentence: str
) -> None:
    author.writes("plug_slow", text)
    async with author.outside(), author.running("plug_slow", setup_s=0.05):
        assert author.faults() == [f"the plug-in plug_slow {sentence}"]
    GATE.set()


async def test_one_that_does_not_end_is_not_waited_for(author: Author) -> None:
    author.writes(
        "plug_endless",
        """
        import asyncio

        def setup(session):
            return asyncio.Event().wait
        """,
    )
    async with author.outside(), author.running("plug_endless", stop_s=0.05):
        pass
    assert author.faults() == ["the plug-in plug_endless does not end within 0.05 s"]


async def test_a_plug_in_may_be_a_module_in_a_package(author: Author) -> None:
    (author.folder / "plugs").mkdir()
    (author.folder / "plugs" / "__init__.py").touch()
    author.writes("plugs/front", LISTENS)
    async with author.outside() as bus, author.running("plugs.front"):
        bus.publish(AudioMuted())
    assert DIARY == ["muted"]
