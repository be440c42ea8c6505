"""Keeps a device open exactly while it is wanted, changes to another of its kind, and tries again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from appliance.calls.inputs import DeviceFailed, Input
from appliance.media.base import SourceFailed
from appliance.model import DeviceException

if TYPE_CHECKING:
    from appliance.media.capture import Live

    Make: TypeAlias = Callable[["C", Callable[[], None]], Awaitable[Live]]

logger = logging.getLogger(__name__)

C = TypeVar("C")
"""Which of several: a camera's facing, an audio mode."""

RETRY_S = (1.0, 2.0, 5.0, 10.0)
"""How long to wait before each further attempt; the last holds for all that follow."""
STEADY_S = 10.0
"""What has worked for so long and fails is a new failure, not the last one's continuation."""
BEGIN_LIMIT_S = 5.0
"""What is open is to give its first picture or sound within this."""


class Device(StrEnum):
    """As in the `DeviceFailed` input."""

    MICROPHONE = "microphone"
    CAMERA = "camera"


NOTHING_COMES = {
    Device.MICROPHONE: DeviceException.GENERIC,
    Device.CAMERA: DeviceException.ZERO_CAPTURE_FPS,
}


def retry_after_s(failures: int) -> float:
    """How long to wait after so many failures in a row, at least one."""
    return RETRY_S[min(failures, len(RETRY_S)) - 1]


class DeviceKeeper(Generic[C]):
    """One kind of device. `want` and `choose` say what is to be, `run` brings it about.

    A change while it is open opens the other first: only when that gives something is the old one
    closed, and if it fails the old one goes on. Failures are told once, until they are another or
    over; what failed is tried again for as long as it is wanted.
    """

    def __init__(
        self,
        device: Device,
        choice: C,
        make: Make[C],
        post: Callable[[Input], None],
        switched: Callable[[C], None],
        *,
        forbidden: Callable[[], str | None] = lambda: None,
        at_rest: Callable[[], None] = lambda: None,
    ) -> None:
        """`make` gives a device that is not open yet, and raises SourceFailed where there is none.

        `switched` is told each time that `choose` has been carried out. `forbidden` says why none may
        be open now; it is asked before each is opened, and whenever `want` was called. `at_rest` is
        told when none is wanted and all are closed.
        """
        self._forbidden, self._at_rest = forbidden, at_rest
        self._rests = True
        self._device, self._make, self._post, self._switched = device, make, post, switched
        self._wanted = self._ending = self._asked = False
        self._chosen = self._used = self._coming_choice = choice
        self._changed = asyncio.Event()
        self._live: Live | None = None
        self._coming: Live | None = None
        self._told: tuple[DeviceException, str] | None = None
        self._tell_again = False
        self._failures = 0
        self._retry_at_s = self._begin_by_s = self._began_at_s = 0.0

    @property
    def open(self) -> bool:
        """Whether one is open, or being opened."""
        return self._live is not None or self._coming is not None

    @property
    def rests(self) -> bool:
        """Whether none is wanted, and all are closed and were heard to be."""
        return self._rests and not self._wanted

    @property
    def used(self) -> C:
        """Which one is in use, or would be."""
        return self._used

    @property
    def live(self) -> Live | None:
        """The one that is open and has given something."""
        return self._live

    def want(self, *, wanted: bool) -> None:
        """It is to be open, or closed."""
        if wanted and not self._wanted:
            self._failures, self._retry_at_s, self._tell_again = 0, 0.0, True
        self._wanted = wanted
        self._rests = self._rests and not wanted
        self._changed.set()

    def choose(self, choice: C) -> None:
        """This one is to be used, from now on where one is open."""
        self._chosen, self._asked, self._retry_at_s = choice, True, 0.0
        self._changed.set()

    def end(self) -> None:
        """Close it, and let `run` return."""
        self._ending = True
        self.want(wanted=False)

    async def run(self) -> None:
        """Do what is wanted, until the end."""
        while True:
            self._changed.clear()
            if not await self._step():
                self._rest()
                if self._ending:
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(self._deadline_s):
                        await self._changed.wait()

    def _rest(self) -> None:
        """Nothing is left to be done."""
        if not self._wanted:
            self._rests = True
            self._at_rest()

    @property
    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def _deadline_s(self) -> float | None:
        if self._coming is not None:
            return self._begin_by_s
        return self._retry_at_s if self._wanted and self._live is None else None

    async def _step(self) -> bool:
        """Do one thing, if there is one to be done."""
        if not self._wanted:
            return await self._close() or await self._choose_closed()
        if self.open and (why := self._forbidden()) is not None:
            await self._close()
            self._fail(_not_granted(why))
            return True
        if self._coming is not None:
            return await self._receive(self._coming)
        if self._live is not None and self._live.fault is not None:
            await self._lose(self._live, self._live.fault)
        elif self._live is None and self._now_s < self._retry_at_s:
            return False
        elif self._live is None or self._chosen != self._used:
            await self._begin(self._chosen)
        elif self._asked:
            self._settle(self._chosen)
        else:
            return False
        return True

    async def _close(self) -> bool:
        opened = [live for live in (self._coming, self._live) if live is not None]
        for live in opened:
            await live.close()
        self._coming = self._live = None
        return bool(opened)

    async def _choose_closed(self) -> bool:
        if not self._asked or self._ending:
            return False
        try:
            await self._make(self._chosen, self._changed.set)
        except SourceFailed as fault:
            self._refuse(self._chosen, fault)
        else:
            self._settle(self._chosen)
        return True

    async def _begin(self, choice: C) -> None:
        try:
            live = await self._make(choice, self._changed.set)
            if self._live is not None and live.source is self._live.source:
                self._settle(choice)  # it is the same one by another name
                return
            if (why := self._forbidden()) is not None:
                raise _not_granted(why)  # noqa: TRY301 - told and tried again as what cannot be opened
            self._coming, self._coming_choice = live, choice
            await live.open()
            self._begin_by_s = self._now_s + BEGIN_LIMIT_S
        except SourceFailed as fault:
            self._coming = None
            self._refuse(choice, fault)
        except Exception as fault:  # a driver's surprise: the call goes on without the device
            logger.exception("the %s could not be opened", self._device)
            self._coming = None
            sentence = f"the {self._device} cannot be opened: {fault}"
            self._refuse(choice, SourceFailed(DeviceException.UNKNOWN, sentence))

    async def _receive(self, coming: Live) -> bool:
        """Take it in place of the present one as soon as it gives something."""
        fault = coming.fault
        if coming.began:
            old, self._live, self._coming = self._live, coming, None
            self._began_at_s = self._now_s
            self._settle(self._coming_choice)
            if old is not None:
                await old.close()
            return True
        if fault is None:
            if self._now_s < self._begin_by_s:
                return False
            sentence = f"the {self._device} is open and gives nothing for {BEGIN_LIMIT_S:g} s"
            fault = SourceFailed(NOTHING_COMES[self._device], sentence)
        self._coming = None
        await coming.close()
        self._refuse(self._coming_choice, fault)
        return True

    async def _lose(self, live: Live, fault: SourceFailed) -> None:
        """What was open has stopped by itself."""
        self._live = None
        if self._now_s - self._began_at_s >= STEADY_S:
            self._failures = 0
        self._fail(fault)
        await live.close()

    def _settle(self, choice: C) -> None:
        """It works."""
        self._used = choice
        if self._told is not None:
            self._told = None
            self._post(DeviceFailed(self._device, None))
        if self._asked and choice == self._chosen:
            self._asked = False
            self._switched(choice)

    def _refuse(self, choice: C, fault: SourceFailed) -> None:
        """It cannot be opened: where it is another than before, that one goes on."""
        if choice == self._chosen:
            self._chosen, self._asked = self._used, False
        if choice == self._used or self._told is not None:
            self._fail(fault)
        else:
            self._post(DeviceFailed(self._device, fault.type, str(fault)))
            self._post(DeviceFailed(self._device, None))

    def _fail(self, fault: SourceFailed) -> None:
        self._failures += 1
        self._retry_at_s = self._now_s + retry_after_s(self._failures)
        what = (fault.type, str(fault))
        if what != self._told or self._tell_again:
            self._told, self._tell_again = what, False
            self._post(DeviceFailed(self._device, *what))


def _not_granted(why: str) -> SourceFailed:
    return SourceFailed(DeviceException.PERMISSION_NOT_GRANTED, why)
