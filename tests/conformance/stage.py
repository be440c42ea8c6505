"""A house in which everything is observed at once, and what a scenario may do in it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from appliance.calls.engine import Engine
from appliance.commands import parse_command
from appliance.config import Config, Hooks
from appliance.errors import Refused
from appliance.media.base import Devices
from appliance.model import CallState, Gesture
from appliance.screen.touch import Gesture as Touched
from appliance.screen.touch import Pointer
from appliance.service import pressure
from tests.conformance.giving import GIVE, command_buttons
from tests.conformance.outlets import BrokerClient, HookFolder, Item, SocketClient, listener
from tests.conformance.rows import (
    values,
    values_of_command,
    values_of_event,
    values_of_status,
)
from tests.parts.guest import Guest, guest
from tests.parts.hosted import Hosted
from tests.parts.house import PATIENCE_S, House, house
from tests.parts.mosquitto import Mosquitto
from tests.parts.told import name_of

__all__ = ["Item", "Stage", "stage"]

Picture = npt.NDArray[np.uint8]


class Seen:
    """Every row that was seen, and how often."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()

    def note(self, *rows: str) -> None:
        self.rows.update(rows)


class Stage:
    """A house, its broker, everybody who is told, and the guests of the present scenario."""

    def __init__(self, one: House, broker: Mosquitto, folder: Path, seen: Seen) -> None:
        self.house, self.broker, self.folder, self.seen = one, broker, folder, seen
        self.session = one.appliance.session
        self.buttons = command_buttons(one.appliance.config)
        self.heard: list[tuple[str, Item]] = []
        self.socket: SocketClient
        self.mqtt: BrokerClient
        self.hooks: HookFolder
        self.differences: list[str] = []
        self.loop = asyncio.get_running_loop()
        self.follows = True
        """Somebody follows at the broker; not where the broker goes away."""
        self._begin = 0
        self._unheard = len(one.told)
        self._guests = AsyncExitStack()
        self._came: list[Guest] = []

    # -------------------- what happens

    async def guest(self, uid: str, **dress: Any) -> Guest:
        """Somebody comes online, and stays until the scenario is over."""
        options = {name: dress.pop(name) for name in ("endpoint", "version") if name in dress}

        def put_on(one: Guest) -> None:
            for name, value in dress.items():
                setattr(one, name, value)

        device = self.house.appliance.config.device.id
        coming = guest(uid, self.broker.port, device=device, dress=put_on, **options)
        one = await self._guests.enter_async_context(coming)
        self._came.append(one)
        await self.until(lambda: self._knows(one))
        return one

    def _knows(self, one: Guest) -> bool:
        """Whether the appliance takes it to be online."""
        known = self.house.appliance.engine.state.presence.get(one.uid, ())
        return any(there.epoch == one.epoch for there in known)

    async def press(self, button: str, gesture: str = "press") -> None:
        """A finger on a button."""
        await self.house.appliance.board.press(button, Gesture(gesture))

    async def do(self, name: str, /, **args: Any) -> Any:
        """Give a command from Python; its result."""
        return await self.give("python", name, **args)

    async def give(self, outlet: str, name: str, /, **args: Any) -> Any:
        """Give a command from an outlet; its result, None from a button. Raises Refused."""
        result = await GIVE[outlet](self, name, args)
        self.seen.note(*values_of_command(parse_command(name, args)))
        return result

    # -------------------- what is waited for

    async def event(self, name: str, /, **data: Any) -> Item:
        """The first event of that name in this scenario with that data, which is not found again."""

        def look() -> Item | None:
            for at, item in enumerate(self.house.told[self._begin :], self._begin):
                if at not in self._found and name_of(item) == name and _fits(item["data"], data):
                    self._found.add(at)
                    return item
            return None

        found: list[Item | None] = []

        def seen() -> bool:
            found.append(look())
            return found[-1] is not None

        try:
            async with asyncio.timeout(PATIENCE_S), self.house.changed:
                await self.house.changed.wait_for(seen)
        except TimeoutError:
            told = "\n  ".join(_line(item) for item in self.house.told[self._begin :])
            raise AssertionError(f"no {name} {data}; there was:\n  {told}") from None
        assert found[-1] is not None
        return found[-1]

    def told(self, name: str, /, **data: Any) -> list[Item]:
        """All events of that name in this scenario with that data."""
        return [
            item
            for item in self.house.told[self._begin :]
            if name_of(item) == name and _fits(item["data"], data)
        ]

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for something that no event tells of."""
        await self.house.until_true(lambda: bool(true()))

    async def settled(self) -> None:
        """Wait until all that has happened so far was told."""
        await self.do("send_custom_event", name="settled")
        await self.event("custom", name="settled")

    def status(self) -> Mapping[str, Any]:
        """The status now; what it shows is seen."""
        status = self.session.status()
        self.seen.note(*values_of_status(status))
        return status

    # -------------------- the screen

    async def picture(self, where: Callable[[Picture], bool] = lambda _: True) -> Picture:
        """What the screen shows, once it is as wanted."""
        screen = self.house.appliance.screen
        assert screen is not None
        shown: list[Picture] = []
        end = screen.subscribe(shown.append)
        try:
            await self.until(lambda: shown and where(shown[-1]))
        finally:
            end()
        return shown[-1]

    def touch(self, *points: tuple[int, int]) -> None:
        """A finger goes down at the first point, over the others, and up at the last."""
        screen = self.house.appliance.screen
        assert screen is not None
        screen.pointed(Pointer(Touched.PRESS, *points[0]))
        for point in points[1:]:
            screen.pointed(Pointer(Touched.MOVE, *point))
        screen.pointed(Pointer(Touched.RELEASE, *points[-1]))

    # -------------------- the usual beginnings

    async def talk(self, uid: str = "alice", type_: str = "video", **dress: Any) -> Guest:
        """Somebody calls, and is answered."""
        one = await self.guest(uid, **dress)
        await self.call(one, type_)
        return one

    async def call(self, one: Guest, type_: str = "video") -> None:
        """A guest who is there calls, and is answered."""
        call_id = await one.rings(type_=type_)
        await one.hear("ringing")
        await self.do("accept_call", call_id=call_id)
        self.status()  # it connects
        await one.talks()
        await self.joined(one)

    async def joined(self, one: Guest) -> None:
        """Wait until a guest has joined."""
        await self.event("participant_joined", participant={"uid": one.uid})

    async def meets(self, one: Guest, **settings: Any) -> None:
        """An own session with these settings, which a guest enters by a token."""
        session_id = secrets.token_hex(16)
        device = self.house.appliance.config.device.id
        own = await self.do("generate_token", session_id=session_id, uid=device)
        await self.do("start_session", token=own["token"], settings=settings)
        token = await self.do("generate_token", session_id=session_id, uid=one.uid)
        await one.joins(token["token"])
        await one.talks()
        await self.joined(one)

    async def hosted(self, host: Guest) -> Hosted:
        """A session of a guest's, which this device enters by the guest's token."""
        there = Hosted(host)
        await self.do("start_session", token=there.token)
        await host.talks()
        await self.joined(host)
        return there

    # -------------------- the frame around a scenario

    async def begin(self, name: str) -> None:
        """A scenario begins: everybody who is told hears its name."""
        self._begin = len(self.house.told)
        self._found: set[int] = set()
        await self.do("send_custom_event", name=f"begin:{name}")
        await self.event("custom", name=f"begin:{name}")

    async def end(self) -> None:
        """It is over, however it went: everything is as before, and everybody was told the same."""
        await self._guests.aclose()
        self._guests = AsyncExitStack()
        came, self._came = self._came, []
        engine = self.house.appliance.engine
        if not engine.state.stopping:
            await self.until(lambda: not any(map(self._knows, came)))
            await self._at_rest(engine)
            self.status()
        await self.until(self._everybody_was_told)
        self._compare()

    async def _at_rest(self, engine: Engine) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while engine.state.calls:
                incoming = engine.state.calls[0].state is CallState.INCOMING
                with contextlib.suppress(Refused):  # it ends by itself meanwhile
                    await self.do("reject_call" if incoming else "leave_session")
                await asyncio.sleep(0.01)
        if engine.state.do_not_disturb is not None and not engine.policy.settings.quiet_hours:
            await self.do("set_do_not_disturb", on=False)

    def _everybody_was_told(self) -> bool:
        last = self.house.told[-1]["id"]
        ears = [self.socket.events, *([self.mqtt.events] if self.follows else [])]
        heard = len(self.heard) >= len(self.house.told) - self._unheard
        return heard and all(any(one["id"] == last for one in events[-50:]) for events in ears)

    def _compare(self) -> None:
        """The same on the socket, at the broker, in Python and for the listener, since the beginning."""
        read = json.loads(json.dumps(self.house.told[self._begin :]))
        first, last = (str(read[at]["id"]) for at in (0, -1))
        socket = _between(self.socket.events, first, last)
        if read != socket:
            self.differences.append(f"{len(socket)} on the socket, {len(read)} others in Python")
        mqtt = _between(self.mqtt.events, first, last) if self.follows else socket
        for one, other in zip(socket, mqtt, strict=False):
            if one != other:
                self.differences.append(f"socket: {_line(one)}, broker: {_line(other)}")
                break
        if len(socket) != len(mqtt):
            self.differences.append(f"{len(socket)} on the socket, {len(mqtt)} at the broker")
        listened = self.heard[self._begin - self._unheard :]
        for item, (name, data) in zip(socket, listened, strict=False):
            if (name_of(item), item["data"]) != (name, data):
                self.differences.append(f"socket: {_line(item)}, listener: {name} {data}")
                break
        if self.follows:
            self.differences += self.mqtt.faults
            self.mqtt.faults.clear()
        for item in socket:
            self.seen.note(f"event:{name_of(item)}", *values_of_event(item))
        for thing, value in self.mqtt.states if self.follows else ():
            if thing == "call":
                self.seen.note(*values(value, CallState))

    async def hooked(self) -> tuple[list[str], list[str]]:
        """The ids of all events since the socket listens, and those for which a hook was started."""
        told = [str(item["id"]) for item in self.socket.events]
        await self.until(lambda: set(told) <= set(self.hooks.started()))
        started = self.hooks.started()
        return told, started[started.index(told[0]) :][: len(told)]


def _fits(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            name in found and _fits(found[name], one) for name, one in wanted.items()
        )
    return bool(found == wanted)


def _between(items: list[Item], first: str, last: str) -> list[Item]:
    """From one event to the other: one ear may already have heard of what comes after."""
    ids = [item["id"] for item in items]
    return items[ids.index(first) : ids.index(last) + 1]


def _line(item: Item) -> str:
    return f"{item['sequence']} {name_of(item)} {json.dumps(item['data'])[:160]}"


@asynccontextmanager
async def stage(
    broker: Mosquitto,
    folder: Path,
    seen: Seen,
    *,
    config: Config,
    devices: Devices | None = None,
) -> AsyncIterator[Stage]:
    """The house, and everybody who is told. A broker that does not run yet is not followed."""
    hooks = HookFolder(folder)
    heat = folder / "sys" / pressure.THERMAL / "thermal_zone0" / "temp"
    heat.parent.mkdir(parents=True)
    heat.write_text("40000\n")
    config = replace(config, hooks=Hooks(str(hooks.folder)))
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(
            house(
                config,
                folder,
                devices=devices,
                connected=broker.running,
                sys_root=folder / "sys",
            )
        )
        made = Stage(one, broker, folder, seen)
        made.hooks, made.follows = hooks, broker.running
        made.socket = await stack.enter_async_context(SocketClient(folder / "appliance.sock"))
        if made.follows:
            made.mqtt = await stack.enter_async_context(BrokerClient(broker.port, config.device.id))
        one.appliance.session.add_listener(listener(made.heard), "conformance")
        made._unheard = len(one.told)
        yield made
