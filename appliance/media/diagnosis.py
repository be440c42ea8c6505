"""What a failure means in the light of what came before it: of one kind of device, over its life."""

from __future__ import annotations

import errno
from typing import Generic, TypeVar

from appliance.media.base import SourceFailed
from appliance.model import DeviceException

C = TypeVar("C")

HARD = (errno.EIO, errno.ETIMEDOUT)
"""The bus or the driver itself is at fault: opening it once more seldom helps."""
HOPELESS = 3
"""After so many re-openings in a row that failed in such a way, only a restart will do."""


class Diagnosis(Generic[C]):
    """Remembers which of several has worked, and how the latest re-openings failed."""

    def __init__(self, device: str) -> None:
        """`device` is its name in a sentence."""
        self._device = device
        self._worked: set[C] = set()
        self._hard = 0

    def works(self, choice: C) -> None:
        """It has been opened, and gives something."""
        self._worked.add(choice)
        self._hard = 0

    def of_running(self, fault: SourceFailed) -> SourceFailed:
        """What it means that one stopped in the middle: that it is busy, is that another took it away."""
        if fault.errno == errno.EBUSY:
            return SourceFailed(DeviceException.INTERRUPTION, str(fault), fault.errno)
        if fault.errno == errno.ENOENT:
            return _unplugged(fault)
        return fault

    def of_looking(self, choice: C, fault: SourceFailed) -> SourceFailed:
        """What it means that one is not found: a name that was right once still is."""
        lost = fault.type is DeviceException.INVALID_ID and choice in self._worked
        return _unplugged(fault) if lost else fault

    def of_opening(self, choice: C, fault: SourceFailed, *, again: bool) -> SourceFailed:
        """What it means that one cannot be opened, for the first time or `again`."""
        fault = self.of_looking(choice, fault)
        self._hard = self._hard + 1 if again and fault.errno in HARD else 0
        if self._hard < HOPELESS:
            return fault
        sentence = f"the {self._device} does not come back, the device needs a restart: {fault}"
        return SourceFailed(DeviceException.REBOOT_REQUIRED, sentence, fault.errno)


def _unplugged(fault: SourceFailed) -> SourceFailed:
    return SourceFailed(DeviceException.DEVICE_UNPLUGGED, str(fault), fault.errno)
