"""Keeps microphone and camera open exactly while they are wanted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from appliance.calls.inputs import DeviceFailed, Input
from appliance.media.base import SourceFailed
from appliance.model import DeviceException

if TYPE_CHECKING:
    from appliance.media.capture import LiveCamera, LiveMicrophone
    from appliance.media.equipment import Equipment

logger = logging.getLogger(__name__)


class Device(StrEnum):
    """As in the `DeviceFailed` input."""

    MICROPHONE = "microphone"
    CAMERA = "camera"


class DeviceKeeper:
    """Opens and closes one device after the other, since that may take a while; reports failures.

    What could not be opened is tried again when it is wanted again, not by itself.
    """

    def __init__(
        self, loaded: Callable[[], Awaitable[Equipment]], post: Callable[[Input], None]
    ) -> None:
        """`loaded` gives the equipment as soon as there is one."""
        self._loaded = loaded
        self._post = post
        self._wanted: frozenset[Device] = frozenset()
        self._changed = asyncio.Event()
        self._ending = False
        self._open: dict[Device, LiveMicrophone | LiveCamera] = {}
        self._failing: set[Device] = set()

    @property
    def open(self) -> frozenset[Device]:
        """What is open now, or being opened."""
        return frozenset(self._open)

    def want(self, *devices: Device) -> None:
        """These are to be open, and no others."""
        self._wanted = frozenset(devices)
        self._changed.set()

    def end(self) -> None:
        """Close everything, and let `run` return."""
        self._ending = True
        self.want()

    async def run(self) -> None:
        """Do what is wanted, until the end."""
        while self._open or not self._ending:
            await self._changed.wait()
            self._changed.clear()
            for device in Device:
                if device not in self._wanted and device in self._open:
                    await self._open.pop(device).close()
                elif device in self._wanted and device not in self._open:
                    await self._open_one(device)

    async def _open_one(self, device: Device) -> None:
        equipment = await self._loaded()

        def failed(fault: SourceFailed) -> None:
            self._failing.add(device)
            self._post(DeviceFailed(device, fault.type, str(fault)))

        had_failed = device in self._failing
        self._failing.discard(device)
        try:
            make = equipment.microphone if device is Device.MICROPHONE else equipment.camera
            self._open[device] = make(failed)
            await self._open[device].open()
        except SourceFailed as fault:
            self._open.pop(device, None)
            failed(fault)
        except Exception as fault:  # a driver's surprise: the call goes on without the device
            logger.exception("the %s could not be opened", device)
            self._open.pop(device, None)
            failed(SourceFailed(DeviceException.UNKNOWN, f"the {device} cannot be opened: {fault}"))
        else:
            if had_failed and device not in self._failing:
                self._post(DeviceFailed(device, None))
