"""A whole appliance in the test's own process, on a simulated board, and its event log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from appliance.app import Appliance, running
from appliance.config import Config, Http, Mqtt, Security, load
from appliance.loading.shipped import shipped
from tests.parts.mosquitto import free_port
from tests.parts.pen import Pen
from tests.parts.privacy import PrivacyWatch
from tests.parts.told import Item, name_of

PATIENCE_S = 30.0
"""Far longer than anything takes; only a fault waits for it."""


@dataclass
class House:
    """The appliance, and what it told, in order."""

    appliance: Appliance
    told: list[Item] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    privacy: PrivacyWatch = field(init=False)

    def __post_init__(self) -> None:
        self.privacy = PrivacyWatch(self.appliance)

    async def until(self, name: str, where: Callable[[Item], bool] = lambda _: True) -> Item:
        """The first event of that name (that fits) since the house was opened or forgot."""

        def found() -> Item | None:
            return next((one for one in self.told if name_of(one) == name and where(one)), None)

        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: found() is not None)
        item = found()
        assert item is not None
        return item

    def names(self) -> list[str]:
        """The names of all events, in order."""
        return [name_of(item) for item in self.told]

    async def watch(self) -> None:
        """Keep everything that is told, as any program of Python's reads it."""
        async with aclosing(self.appliance.session.events()) as events:
            async for item in events:
                assert isinstance(item, dict)
                self.told.append(item)
                async with self.changed:
                    self.changed.notify_all()

    async def until_connected(self) -> None:
        """Wait for the broker."""
        await self.until_true(lambda: self.appliance.session.status()["mqtt"] == "connected")

    async def until_true(self, true: Callable[[], bool]) -> None:
        """Wait for something that no event tells of."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():  # noqa: ASYNC110 - a pin or a meter tells nobody that it changed
                await asyncio.sleep(0.02)


def config_for(port: int, **changes: Any) -> Config:
    """The demo's configuration, with another broker, and its page on a free port."""
    config = load(shipped("simulated.toml"), {})
    return replace(
        config,
        mqtt=Mqtt(host="127.0.0.1", port=port),
        http=Http(port=free_port()),
        **changes,
    )


def strict(config: Config, **pens: Pen) -> Config:
    """The same house, which believes nobody without a key, and each of these contacts by its own."""
    contacts = {
        uid: replace(contact, keys=(pens[uid].public,) if uid in pens else ())
        for uid, contact in config.contacts.items()
    }
    return replace(config, security=Security("refuse"), contacts=contacts)


@asynccontextmanager
async def house(
    config: Config, folder: Path, *, connected: bool = True, **options: Any
) -> AsyncIterator[House]:
    """A house that is connected to its broker, unless that is to come later."""
    options.setdefault("state_folder", folder / "state")
    async with running(config, socket_path=folder / "appliance.sock", **options) as appliance:
        one = House(appliance)
        watching = asyncio.get_running_loop().create_task(one.watch())
        try:
            if connected:
                await one.until_connected()
            yield one
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    one.privacy.check()
