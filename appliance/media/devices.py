"""Keeps a device open exactly while it is wanted, changes to another of its kind, and tries again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from appliance.aside import aside
from appliance.calls.inputs import DeviceFailed, Input
from appliance.media.base import Locatable, SourceFailed
from appliance.media.causes import failure
from appliance.media.diagnosis import Diagnosis
from appliance.model import DeviceException

if TYPE_CHECKING:
    from appliance.media.capture import Live

    Make: TypeAlias = Callable[["C", Callable[[], None]], Awaitable[Live]]

logger = logging.getLogger(__name__)

C = TypeVar("C")
"""Which of several: a camera's facing, an audio mode."""

RETRY_S = (1.0, 2.0, 3.0)
"""How long to wait before each further attempt, from the last one's begin or from the loss; the last holds
for all that follow. An attempt that has taken longer in vain is followed by the next at once. So what
returns works again within 5 s, for which closing the last and opening it have 2.
"""
STEADY_S = 10.0
"""What has worked for so long and fails is a new failure, not the last one's continuation."""
BEGIN_LIMIT_S = 3.0
"""The first picture or sound is to come within this, from the begin of its opening,"""
FIRST_LIMIT_S = 2.0
"""but what has taken long to be opened has this from then on: a camera's sensor has to adapt itself."""
LOOK_S = 10.0
"""How often a device that is closed is looked for, where that can be done without opening it,"""
LOOK_LIMIT_S = 3.0
"""and how long that may take."""


class Device(StrEnum):
    """As in the `DeviceFailed` input."""

    MICROPHONE = "microphone"
    CAMERA = "camera"


NOTHING_COMES = {
    Device.MICROPHONE: DeviceException.GENERIC,
    Device.CAMERA: DeviceException.ZERO_CAPTURE_FPS,
}


ABSENT = (DeviceException.DEVICE_UNPLUGGED, DeviceException.INVALID_ID)
"""What an opening has told, and is over when the device is seen. Of the rest (another has it, its driver is
at fault, the service ended) only its next opening can tell, unless a look has told it.
"""

Told: TypeAlias = tuple[DeviceException, str]


def retry_after_s(failures: int) -> float:
    """How long to wait after so many failures in a row, at least one."""
    return RETRY_S[min(failures, len(RETRY_S)) - 1]


class DeviceKeeper(Generic[C]):
    """One kind of device. `want` and `choose` say what is to be, `run` brings it about.

    A change while it is open opens the other first: only when that gives something is the old one
    closed, and if it fails the old one goes on. Failures are told once, until they are another or
    over; what failed is tried again for as long as it is wanted. A driver that hangs in opening or closing
    holds nobody up; it is not called again until it has come back.
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
        self._wanted = self._ending = self._asked = self._attends = False
        self._chosen = self._used = self._coming_choice = choice
        self._changed = asyncio.Event()
        self._live: Live | None = None
        self._coming: Live | None = None
        self._stuck: list[tuple[C, Live]] = []
        """What does not come to an end with opening or closing."""
        self._interrupted: str | None = None
        self._told: Told | None = None
        self._seen: Told | None = None
        """What a look has told, and a look can therefore take back."""
        self._hung: Told | None = None
        """What was told of a driver that hangs, over when it has come back,"""
        self._beneath: Told | None = None
        """and what was told before that, which that is not the end of."""
        self._tell_again = False
        self._failures = 0
        self._diagnosis: Diagnosis[C] = Diagnosis(device)
        self._retry_at_s = self._begin_by_s = self._began_at_s = self._look_at_s = 0.0
        self._tried_at_s = 0.0

    @property
    def open(self) -> bool:
        """Whether one is open, or being opened or closed, by a driver that hangs in it too."""
        return bool(self._live or self._coming) or any(not one.released for _, one in self._stuck)

    @property
    def released(self) -> bool:
        """Whether no driver has any open, whatever became of whom it was opened for. From any thread."""
        known = (self._live, self._coming, *(live for _, live in tuple(self._stuck)))
        return all(live is None or live.released for live in known)

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

    def attend(self) -> None:
        """Look after it while it is closed, too: from now on it is one that there should be."""
        self._attends = True
        self.hurry()

    def interrupt(self, reason: str) -> None:
        """What is open has been cut off from outside, as the sentence says: open it anew."""
        if self._live is not None:
            self._interrupted = reason
        self.hurry()

    def hurry(self) -> None:
        """Something was plugged in: do not wait before the next attempt."""
        self._retry_at_s = self._look_at_s = 0.0
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
        if not self._wanted and not self._stuck:  # what hangs may see and hear still
            self._rests = True
            self._at_rest()

    @property
    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def _deadline_s(self) -> float | None:
        """When there is something to be done even if nothing changes."""
        if self._coming is not None:
            return self._begin_by_s
        if self._live is not None:
            return self._live.due_s
        if self._wanted:
            return self._retry_at_s
        return self._look_at_s if self._attends or self._stuck else None

    async def _step(self) -> bool:
        """Do one thing, if there is one to be done."""
        if not self._wanted:
            return await self._close() or await self._choose_closed() or await self._look()
        if (self._live or self._coming) and (why := self._forbidden()) is not None:
            await self._close()
            self._fail(_not_granted(why), self._now_s)
            return True
        if self._coming is not None:
            return await self._receive(self._coming)
        if self._live is not None and (fault := self._fault_of(self._live)) is not None:
            await self._lose(self._live, fault)
        elif self._live is None and self._now_s < self._retry_at_s:
            return False
        elif self._live is None or self._chosen != self._used:
            await self._begin(self._chosen)
        elif self._asked:
            self._settle(self._chosen)
        else:
            return self._tell(self._live.complaint)
        return True

    def _fault_of(self, live: Live) -> SourceFailed | None:
        """Why what is open cannot be used any more."""
        if live.fault is not None:
            return live.fault
        if self._interrupted is not None:
            return SourceFailed(DeviceException.INTERRUPTION, self._interrupted)
        return self._gives_nothing(live) if self._now_s >= live.due_s else None

    def _gives_nothing(self, live: Live) -> SourceFailed:
        what = "any more" if live.began else "at all"
        sentence = f"the {self._device} is open and gives nothing {what}"
        return SourceFailed(NOTHING_COMES[self._device], sentence)

    async def _close(self) -> bool:
        if self._coming is None and self._live is None:
            return False
        opened = [(self._used, self._live), (self._coming_choice, self._coming)]
        self._coming = self._live = self._interrupted = None
        for choice, live in opened:
            if live is not None:
                await self._let_go(choice, live)
        if self._told is not None and self._told[0] is DeviceException.SOUND_LEVEL_TOO_LOW:
            self._tell(None)  # nobody listens any more
        return True

    async def _let_go(self, choice: C, live: Live) -> None:
        """Close it; what does not let go is told, and left alone until it has."""
        closing = choice, live
        self._stuck.append(closing)  # at once: who is ended in the middle of this has not closed it
        fault = await live.close()
        if fault is None:
            self._stuck.remove(closing)
        else:
            self._tell_hung(fault)
            self._look_at_s = self._now_s + RETRY_S[0]

    async def _look(self) -> bool:
        """Look after what is closed: nothing is opened for that."""
        if self._ending or self._now_s < self._look_at_s:
            return False
        was_stuck = bool(self._stuck)
        self._stuck = [(choice, live) for choice, live in self._stuck if not live.released]
        if self._stuck:
            self._look_at_s = self._now_s + RETRY_S[-1]
            return False
        if was_stuck and self._told == self._hung:
            self._tell(None if self._beneath is None else SourceFailed(*self._beneath))
        self._look_at_s = self._now_s + LOOK_S
        if self._attends:
            fault = await self._locate(self._chosen)
            if fault is not None:
                self._tell(fault)
                self._seen = self._told
                self._look_at_s = self._now_s + RETRY_S[-1]
        return False

    async def _locate(self, choice: C) -> SourceFailed | None:
        """Why it cannot be used, as far as that can be known without opening it."""
        try:
            source = (await self._make(choice, self._changed.set)).source
            if not isinstance(source, Locatable):
                return None
            async with asyncio.timeout(LOOK_LIMIT_S):
                certain = await aside(source.locate, f"look for the {self._device}")
        except TimeoutError:
            return None  # that is for its opening to tell
        except Exception as error:
            fault = failure(f"the {self._device} cannot be found", error)
            return self._diagnosis.of_looking(choice, fault)
        told = self._told
        if told is not None and (told == self._seen or (certain and told[0] in ABSENT)):
            self._tell(None)
        return None

    async def _choose_closed(self) -> bool:
        if not self._asked or self._ending:
            return False
        try:
            await self._make(self._chosen, self._changed.set)
        except SourceFailed as fault:
            self._refuse(self._chosen, fault)
        else:
            self._settle(self._chosen, works=self._chosen != self._used)
        return True

    async def _begin(self, choice: C) -> None:
        self._tried_at_s = self._now_s
        try:
            live = await self._make(choice, self._changed.set)
            if self._live is not None and live.source is self._live.source:
                self._settle(choice)  # it is the same one by another name
                return
            self._wait_for_stuck(choice, live)
            if (why := self._forbidden()) is not None:
                raise _not_granted(why)  # noqa: TRY301 - told and tried again as what cannot be opened
            self._coming, self._coming_choice = live, choice
            await live.open()
            self._begin_by_s = max(self._tried_at_s + BEGIN_LIMIT_S, self._now_s + FIRST_LIMIT_S)
        except Exception as fault:
            late, self._coming = self._coming, None
            hangs = late is not None and not late.released
            if late is not None and hangs:
                self._stuck.append((choice, late))
            if not isinstance(fault, SourceFailed):  # a driver's surprise
                logger.exception("the %s could not be opened", self._device)
            self._refuse(choice, failure(f"the {self._device} cannot be opened", fault))
            if hangs and self._told and self._told[0] is DeviceException.GENERIC:
                self._hung, self._beneath = self._told, None

    def _wait_for_stuck(self, choice: C, live: Live) -> None:
        """Do not call a driver that has not come back. Raises SourceFailed."""
        self._stuck = [one for one in self._stuck if not one[1].released]
        for other, stuck in self._stuck:
            if other == choice or stuck.source is live.source:
                sentence = f"the {self._device} is stuck: its driver has not come back yet"
                raise SourceFailed(DeviceException.GENERIC, sentence, errno.ETIMEDOUT)

    async def _receive(self, coming: Live) -> bool:
        """Take it in place of the present one as soon as it gives something."""
        fault = coming.fault
        if coming.began:
            old, self._live, self._coming = self._live, coming, None
            before, self._interrupted = self._used, None
            self._began_at_s = self._now_s
            self._diagnosis.works(self._coming_choice)
            self._settle(self._coming_choice)
            if old is not None:
                await self._let_go(before, old)
            return True
        if fault is None:
            if self._now_s < self._begin_by_s:
                return False
            fault = self._gives_nothing(coming)
        self._coming = None
        await self._let_go(self._coming_choice, coming)
        self._refuse(self._coming_choice, fault)
        return True

    async def _lose(self, live: Live, fault: SourceFailed) -> None:
        """What was open has stopped by itself, or was cut off."""
        self._live = None
        if self._now_s - self._began_at_s >= STEADY_S:
            self._failures = 0
        late = live.fault is None or fault.errno == errno.ETIMEDOUT  # it was waited for already
        self._fail(self._diagnosis.of_running(fault), self._began_at_s if late else self._now_s)
        if self._interrupted is not None:
            self._interrupted, self._retry_at_s = None, 0.0
        await self._let_go(self._used, live)

    def _settle(self, choice: C, *, works: bool = True) -> None:
        """This one is in use, and nothing bad is known of it, unless it has been so all along."""
        self._used = choice
        if works:
            self._tell(None)
        if self._asked and choice == self._chosen:
            self._asked = False
            self._switched(choice)

    def _refuse(self, choice: C, fault: SourceFailed) -> None:
        """It cannot be opened: where it is another than before, that one goes on."""
        fault = self._diagnosis.of_opening(choice, fault, again=self._told is not None)
        if choice == self._chosen:
            self._chosen, self._asked = self._used, False
        if choice == self._used or self._told is not None:
            self._fail(fault, self._tried_at_s)
        else:
            self._post(DeviceFailed(self._device, fault.type, str(fault)))
            self._post(DeviceFailed(self._device, None))

    def _fail(self, fault: SourceFailed, since_s: float) -> None:
        """`since_s` is when what failed began."""
        self._failures += 1
        self._retry_at_s = max(self._now_s, since_s + retry_after_s(self._failures))
        self._tell(fault)

    def _tell_hung(self, fault: SourceFailed) -> None:
        """A driver hangs in closing: what was wrong before is so still when it has come back."""
        over = (DeviceException.SOUND_LEVEL_TOO_LOW, DeviceException.INTERRUPTION)
        if self._told != self._hung:
            self._beneath = None if self._told and self._told[0] in over else self._told
        self._tell(fault)
        self._hung = self._told

    def _tell(self, fault: SourceFailed | None) -> bool:
        """Tell what is wrong, or that nothing is, once; in each call anew."""
        what = None if fault is None else (fault.type, str(fault))
        if what == self._told and not (self._tell_again and what):
            return False
        self._told = what
        self._tell_again = self._tell_again and what is None
        self._post(DeviceFailed(self._device, *(what or (None,))))
        return True


def _not_granted(why: str) -> SourceFailed:
    return SourceFailed(DeviceException.PERMISSION_NOT_GRANTED, why)
