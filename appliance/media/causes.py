"""What a driver's error means: from errno to ZEGO's words for what is wrong with a device.

A driver that only has words (ALSA, libcamera) is asked for the errno that they stand for.
"""

from __future__ import annotations

import errno
import os
import re

from appliance.media.base import SourceFailed
from appliance.model import DeviceException

_EXCEPTIONS = {
    errno.ENODEV: DeviceException.DEVICE_UNPLUGGED,
    errno.ENXIO: DeviceException.DEVICE_UNPLUGGED,
    errno.EBUSY: DeviceException.DEVICE_OCCUPIED,
    errno.EACCES: DeviceException.PERMISSION_NOT_GRANTED,
    errno.EPERM: DeviceException.PERMISSION_NOT_GRANTED,
    # a device has no connection; what has one is the sound server, and it has ended
    errno.ECONNREFUSED: DeviceException.MEDIA_SERVICES_WERE_LOST,
    errno.ECONNRESET: DeviceException.MEDIA_SERVICES_WERE_LOST,
}

_REASONS = {
    DeviceException.DEVICE_UNPLUGGED: "it is not there any more",
    DeviceException.DEVICE_OCCUPIED: "another program uses it",
    DeviceException.PERMISSION_NOT_GRANTED: "this user may not use it",
    DeviceException.INVALID_ID: "there is no device of that name",
    DeviceException.MEDIA_SERVICES_WERE_LOST: "the service that it needs has ended",
}

_WORDS = {
    os.strerror(number).lower(): number
    for number in (*_EXCEPTIONS, errno.ENOENT, errno.EIO, errno.ETIMEDOUT)
}
_TOLD_NUMBER = re.compile(r"\berrno[ =:]*-?(\d+)", re.IGNORECASE)


def exception_of(error: BaseException, *, has_worked: bool = False) -> DeviceException:
    """The exception for what a driver raised, by its errno; UNKNOWN where it has none.

    ENOENT is a wrong name, except where the device `has_worked`: then its node went away.
    """
    if isinstance(error, SourceFailed):
        return error.type
    number = errno_of(error)
    if number is None:
        return DeviceException.UNKNOWN
    if number == errno.ENOENT:
        return DeviceException.DEVICE_UNPLUGGED if has_worked else DeviceException.INVALID_ID
    return _EXCEPTIONS.get(number, DeviceException.GENERIC)


def errno_of(error: BaseException) -> int | None:
    """Its errno; of an error that has words alone, the one that the words are for."""
    if isinstance(error, SourceFailed):
        return error.errno
    if isinstance(error, OSError) and error.errno:
        return error.errno
    words = str(error).lower()
    if told := _TOLD_NUMBER.search(words):
        return int(told[1])
    return next((number for meaning, number in _WORDS.items() if meaning in words), None)


def failure(what: str, error: BaseException, *, has_worked: bool = False) -> SourceFailed:
    """What a driver is to raise or report; `what` is a sentence without its reason. A SourceFailed is
    one already.

    >>> str(failure("the camera cannot be opened", OSError(16, "Device or resource busy")))
    'the camera cannot be opened: another program uses it (Device or resource busy)'
    """
    if isinstance(error, SourceFailed):
        return error
    type_ = exception_of(error, has_worked=has_worked)
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    said = said or type(error).__name__
    reason = _REASONS.get(type_)
    return SourceFailed(
        type_, f"{what}: {reason} ({said})" if reason else f"{what}: {said}", errno_of(error)
    )
