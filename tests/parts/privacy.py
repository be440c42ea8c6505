"""Watches a whole appliance for what must never be: a device that is open while its LED is dark.

Looked at whenever either changes: before a device is opened, after it was closed, and each time that
the pin of a privacy LED changes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from appliance.app import Appliance


class PrivacyWatch:
    """Its verdict is `check`, after the appliance has ended."""

    def __init__(self, appliance: Appliance) -> None:
        self._lights = [
            light for light in appliance.board._privacy.lights.values() if light is not None
        ]
        self.open: set[int] = set()
        """Devices that may see or hear somebody now."""
        self.opened = 0
        self.darkened = 0
        self.violations: list[str] = []
        self.suspended = False
        """An LED has been broken on purpose: until that is noticed, it is dark."""
        for light in self._lights:
            pin = light._device.pin
            pin._change_state = self._watched(pin._change_state)
        assert appliance.studio is not None
        for keeper in (appliance.studio._desk._microphone, appliance.studio._desk._camera):
            keeper._make = self._making(keeper._make)

    @property
    def lit(self) -> bool:
        """What the pins say."""
        return all(light._device.pin.state for light in self._lights)

    def check(self) -> None:
        """Nothing was ever open in the dark, and nothing is left open."""
        assert self.violations == []
        assert self.open == set()

    def _look(self, what: str) -> None:
        if self._lights and self.open and not self.lit and not self.suspended:
            self.violations.append(what)

    def _watched(self, change: Callable[[Any], bool]) -> Callable[[Any], bool]:
        def changed(value: Any) -> bool:
            result = change(value)
            self.darkened += not value
            self._look("an LED went dark")
            return result

        return changed

    def _making(self, make: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def made(*arguments: Any) -> Any:
            live = await make(*arguments)
            live.open = self._opening(live, live.open)
            live.close = self._closing(live, live.close)
            return live

        return made

    def _opening(self, live: object, really: Callable[[], Awaitable[None]]) -> Any:
        async def opening() -> None:
            self.open.add(id(live))
            self.opened += 1
            self._look(f"{type(live).__name__} is opened")
            try:
                await really()
            except BaseException:
                self.open.discard(id(live))
                raise
            self._look(f"{type(live).__name__} was opened")

        return opening

    def _closing(self, live: object, really: Callable[[], Awaitable[Any]]) -> Any:
        async def closing() -> Any:
            fault = await really()
            self._look(f"{type(live).__name__} is closed")
            self.open.discard(id(live))
            return fault

        return closing
