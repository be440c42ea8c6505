"""The composition root: what the appliance is made of, in the order in which it comes alive.

Buttons, LEDs and the core first: a press is answered before anything of the network is even imported.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from appliance import __version__, wiring
from appliance.bus import Bus
from appliance.calls.engine import Engine
from appliance.calls.faults import exceptions
from appliance.calls.inputs import FaultReported
from appliance.calls.moment import Moment
from appliance.calls.situation import fault_counts, situation
from appliance.calls.state import State
from appliance.calls.telling import notice_of
from appliance.config import Config
from appliance.errors import Refused
from appliance.model import AudioMode
from appliance.orphans import Orphans
from appliance.panel import safe
from appliance.panel.board import Board
from appliance.panel.chime import LateOutput
from appliance.policy import hold_of, policy_of
from appliance.reporting.log import write as write_log
from appliance.service import heap, journal, systemd
from appliance.service.heartbeats import Heartbeats
from appliance.service.vitals import Vitals
from appliance.session import CallSession
from appliance.socket_path import listening_path, only_one
from appliance.state_directory import state_directory
from appliance.trust.book import FILE as CONTACTS_FILE
from appliance.trust.contacts import Contacts
from appliance.updating import slots

if TYPE_CHECKING:
    from appliance.accounts import SocketAccounts
    from appliance.inviting import Page
    from appliance.media.base import Devices
    from appliance.media.studio import Studio
    from appliance.reporting.asking import Open
    from appliance.reporting.calllog import CallLog
    from appliance.reporting.conversation import Invite
    from appliance.screen.screen import Screen
    from appliance.trust.keys import DeviceKey
    from appliance.wiring import MakeDemo

log = logging.getLogger(__name__)


class Appliance:
    """One running appliance; made by `running`, which owns everything in it."""

    def __init__(self, config: Config, folder: Path) -> None:
        """Put the parts together; nothing runs and nothing is claimed yet.

        Raises ConfigError where the paired contacts cannot be understood.
        """
        config = _kept_in(config, folder)
        if config.mqtt.username is None:  # the broker knows a device by its id
            config = replace(config, mqtt=replace(config.mqtt, username=config.device.id))
        self.config = config
        self.folder = folder
        self.contacts = Contacts(config.contacts, folder / CONTACTS_FILE)
        self.bus = Bus(config.device.id, on_failure=self._listener_failed)
        self.key: DeviceKey | None = None
        """With which this device signs, once signaling is joined to the core."""
        self.mark = ""
        """What nobody else knows of its client ids at the broker, once signaling is joined to the core."""
        policy = policy_of(config, self.contacts.all())
        self.engine = Engine(policy, self.bus, context=journal.call_context)
        self.sound = LateOutput()
        self.board = Board(
            config.device.board,
            panel=config.panel,
            buttons={
                name: replace(button, hold=hold_of(button, config))
                for name, button in config.buttons.items()
            },
            leds=config.leds,
            relays=config.relays,
            inputs=config.inputs,
            keypads=config.keypads,
            post=self.engine.post,
            sound=self.sound,
        )
        self.vitals = Vitals(folder)
        """How hot the machine is and was, and what is left of memory and disk."""
        self.session = CallSession(
            self.engine,
            self.bus,
            now=self.now,
            device={
                "id": config.device.id,
                "name": config.device.name,
                "version": __version__,
                "board": config.device.board,
            },
            parts={
                "panel": self.board.status,
                "media": self._media_status,
                "screen": self._screen_status,
                "update": _update_status,
                "machine": self.vitals.status,
            },
        )
        self.heartbeats = Heartbeats()
        """Who has to be at work for systemd's watchdog to be fed."""
        self.devices: Devices | None = None
        self.studio: Studio | None = None
        self.screen: Screen | None = None
        self.calls: CallLog | None = None
        self.page: str | None = None
        """Its address, once it is served."""
        self.find_page: Callable[[], Awaitable[Page]] | None = None
        """Opens it, where that was left to whoever is invited."""
        self.accounts: SocketAccounts | None = None
        """Who makes accounts at the broker for whom this device pairs."""
        self.moved: list[Callable[[frozenset[str]], None]] = []
        """Who is told that this machine's addresses are others than before, and which are gone."""
        self.rejected: Counter[str] = Counter()
        self.open_order: Open
        self.websocket_url: str | None = config.mqtt.websocket_url
        """Where pages reach the broker."""
        self.invite: Invite | None = None
        """Invites a phone; None where this device has no key that can be used."""

    def _media_status(self) -> Mapping[str, Any]:
        return self.studio.status() if self.studio else {}

    def told_of_update(self) -> None:
        """Tell of an update that was tried, and left: this is the start after it."""
        found = slots.told()
        if found is not None and found.fell_back and found.other == "failed":
            sentence = (
                f"an update was tried and left ({found.why}): slot {found.current} runs as before"
            )
            self.engine.post(FaultReported("update_failed", sentence, "update"))

    def _screen_status(self) -> Mapping[str, Any]:
        return self.screen.status() if self.screen else {}

    async def snapshot(self) -> bytes | None:
        """What the camera sees now, as JPEG."""
        return await self.studio.snapshot() if self.studio else None

    async def plug(self, output: AudioMode, present: bool) -> None:
        """Let an output of a simulated board come or go. Raises Refused."""
        if self.studio is None:
            raise Refused("not_ready", "there is no sound yet: the device is starting")
        try:
            self.studio.plug(output, present)
        except ValueError as fault:
            raise Refused("no_such_output", str(fault)) from fault

    def now(self) -> Moment:
        """The present moment, of which nothing new is made."""
        utc = datetime.now(UTC)
        return Moment(asyncio.get_running_loop().time(), utc, "", utc.astimezone())

    def _listener_failed(self, where: str, message: str) -> None:
        self.engine.post(FaultReported("listener_failed", message, where))

    def show(self, state: State) -> None:
        """Let the panel and systemd show what the device is about."""
        self.board.show(situation(state), fault_counts(state))
        self.board.tell(notice_of(self.engine.policy, state))
        systemd.show(told_to_systemd(state, media=self.studio is not None))


def told_to_systemd(state: State, *, media: bool) -> str:
    """The broker's state, the call's, and what does not work; `media`: whether there is any yet.

    An upgrade of the package reads of it whether a call is on: appliance.postinst.
    """
    call = state.active
    doing = call.state if call else "idle" if media else "no media yet"
    wrong = ", ".join(sorted({*exceptions(state), *state.faults.values()}))
    return f"broker {state.link}, {doing}{wrong and f'; does not work: {wrong}'}"


def _update_status() -> Mapping[str, Any]:
    found = slots.told()
    return slots.NONE if found is None else found.status()


def _kept_in(config: Config, folder: Path) -> Config:
    """What is not told to lie elsewhere lies in the state folder."""
    calls, recording = config.call_log, config.recording
    if calls.directory is None:
        calls = replace(calls, directory=str(folder / "calls"))
    if recording.directory is None:
        recording = replace(recording, directory=str(folder / "recordings"))
    return replace(config, call_log=calls, recording=recording)


# -------------------- coming alive


@asynccontextmanager
async def running(
    config: Config,
    *,
    socket_path: Path | None = None,
    websocket_url: str | None = None,
    demo: MakeDemo | None = None,
    state_folder: Path | None = None,
    devices: Devices | None = None,
    sys_root: Path | None = None,
    heartbeats: Heartbeats | None = None,
    on_alive: Callable[[], None] = lambda: None,
) -> AsyncIterator[Appliance]:
    """A whole appliance for as long as the block lasts; its end ends calls first.

    `websocket_url` is where pages reach the broker, if not where [mqtt] says; `demo` makes the door
    pane of the page, for a simulated board. `on_alive` is called when buttons and LEDs are; the block
    begins when it can take calls too. `state_folder` is where it keeps what is to survive it,
    `devices` are cameras and microphones of a program's own, which win over the configured ones;
    `sys_root` is where heat and supply are read, by default /sys of a Pi; `heartbeats` is told of who
    has to be at work.
    """
    appliance = Appliance(config, state_folder or state_directory())
    appliance.devices = devices
    appliance.heartbeats = heartbeats or appliance.heartbeats
    appliance.websocket_url = websocket_url or appliance.websocket_url
    engine, bus, board = appliance.engine, appliance.bus, appliance.board
    engine.bind()
    loop = asyncio.get_running_loop()
    path = socket_path or listening_path()
    async with AsyncExitStack() as stack:
        stack.enter_context(only_one(path))  # before anything of a running one is touched
        heap.few()  # before there are threads
        stack.callback(loop.set_exception_handler, loop.get_exception_handler())
        loop.set_exception_handler(Orphans(engine.post))
        await stack.enter_async_context(bus)
        bus.sinks.append(write_log)
        await wiring.deciding(appliance, stack)
        await wiring.remembered(appliance, stack)
        await wiring.hooks(appliance, stack, path)
        _note_outputs(config, appliance.folder)
        await stack.enter_async_context(board)
        for name, held_up_s in board.heartbeats().items():
            appliance.heartbeats.watch(name, held_up_s)
        engine.attach(board)
        engine.observers.append(appliance.show)
        appliance.show(engine.state)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        core = tasks.create_task(engine.run())
        on_alive()

        await wiring.signaling(appliance, stack)  # it connects in a thread, while media is imported
        if demo is None:  # whose page pairs by itself
            wiring.warn_of_keyless(appliance)
        await wiring.screen(appliance, stack)
        await wiring.media(appliance, stack)
        if sys_root is None and config.device.board == "pi":
            sys_root = Path("/sys")
        await wiring.senses(appliance, stack, sys_root)
        await wiring.device_topics(appliance, stack)
        local = await wiring.local_socket(appliance, stack, path)
        await wiring.page(appliance, stack, local, demo)
        await wiring.plugins(appliance, stack)
        appliance.told_of_update()
        stack.push_async_callback(_end, engine, core)
        yield appliance


def _note_outputs(config: Config, folder: Path) -> None:
    """Keep which pins this run drives, for who has to release them after it, however it ends."""
    try:
        safe.note(safe.driven_by(config), folder)
    except OSError as error:
        log.warning("what is driven could not be noted in %s: %s", folder, error)


async def _end(engine: Engine, core: asyncio.Task[None]) -> None:
    """End every call, then the core; the edges close behind it."""
    engine.stop()
    await core
