"""Watches a whole appliance for what must never be: a device that is open while its LED is dark.

Looked at whenever either changes: before a device is opened, after it was closed, and each time that
the pin of a privacy LED changes. A device whose driver does not come back from opening or closing may see
and hear still: it is open until the driver has come back, whatever its closing said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from appliance.app import Appliance


class PrivacyWatch:
    """Its verdict is `check`, after the appliance has ended."""

    def __init__(self, appliance: Appliance) -> None:
        lights = appliance.board._privacy.lights.values()
        self._pins: list[Any] = [light._device.pin for light in lights if light is not None]
        self._begun: dict[int, Any] = {}
        """What has been begun to be opened, and was not seen to be released."""
        self._beginning: set[int] = set()
        """What of that has not told its driver yet."""
        self.opened = 0
        self.darkened = 0
        self.violations: list[str] = []
        self.suspended = False
        """An LED has been broken on purpose: until that is noticed, it is dark."""
        self.left_behind = False
        """A driver hangs on purpose beyond the end: what it has open is the test's to look after."""
        for pin in self._pins:
            pin._change_state = self._watched(pin._change_state)
            pin.close = self._given_back(pin.close)
        assert appliance.studio is not None
        for keeper in (appliance.studio._desk._microphone, appliance.studio._desk._camera):
            keeper._make = self._making(keeper._make)

    @property
    def lit(self) -> bool:
        """What the pins say; one that is not driven any more gives no light."""
        return all(pin.function == "output" and pin.state for pin in self._pins)

    @property
    def open(self) -> set[int]:
        """Devices that may see or hear somebody now."""
        for one, live in list(self._begun.items()):
            if one not in self._beginning and live.released:
                del self._begun[one]
        return set(self._begun)

    def check(self) -> None:
        """Nothing was ever open in the dark, and nothing is left open."""
        assert self.violations == []
        assert self.left_behind or self.open == set()

    def _look(self, what: str) -> None:
        if self._pins and self.open and not self.lit and not self.suspended:
            self.violations.append(what)

    def _watched(self, change: Callable[[Any], bool]) -> Callable[[Any], bool]:
        def changed(value: Any) -> bool:
            result = change(value)
            self.darkened += not value
            self._look("an LED went dark")
            return result

        return changed

    def _given_back(self, close: Callable[[], None]) -> Callable[[], None]:
        def closed() -> None:
            close()
            self._look("the pin of an LED was given back")

        return closed

    def _making(self, make: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def made(*arguments: Any) -> Any:
            live = await make(*arguments)
            live.open = self._opening(live, live.open)
            live.close = self._closing(live, live.close)
            return live

        return made

    def _opening(self, live: Any, really: Callable[[], Awaitable[None]]) -> Any:
        async def opening() -> None:
            self._begun[id(live)] = live
            self._beginning.add(id(live))
            self.opened += 1
            self._look(f"{type(live).__name__} is opened")
            coming = really()
            try:
                self._beginning.discard(id(live))
                await coming
            finally:
                self._look(f"{type(live).__name__} was opened")

        return opening

    def _closing(self, live: Any, really: Callable[[], Awaitable[Any]]) -> Any:
        async def closing() -> Any:
            fault = await really()
            self._look(f"{type(live).__name__} is closed")
            return fault

        return closing
