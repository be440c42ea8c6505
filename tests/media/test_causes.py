"""What a driver raises, and what becomes of it in ZEGO's words."""

from __future__ import annotations

import doctest
import errno
import os

import pytest

from appliance.media import causes
from appliance.media.base import SourceFailed
from appliance.media.causes import errno_of, exception_of, failure
from appliance.model import DeviceException


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENODEV, DeviceException.DEVICE_UNPLUGGED),
        (errno.ENXIO, DeviceException.DEVICE_UNPLUGGED),
        (errno.EBUSY, DeviceException.DEVICE_OCCUPIED),
        (errno.EACCES, DeviceException.PERMISSION_NOT_GRANTED),
        (errno.EPERM, DeviceException.PERMISSION_NOT_GRANTED),
        (errno.ENOENT, DeviceException.INVALID_ID),
        (errno.ECONNREFUSED, DeviceException.MEDIA_SERVICES_WERE_LOST),
        (errno.EIO, DeviceException.GENERIC),
        (errno.ETIMEDOUT, DeviceException.GENERIC),
        (errno.EINVAL, DeviceException.GENERIC),
    ],
)
def test_an_errno_has_its_exception_whoever_words_it(
    number: int, expected: DeviceException
) -> None:
    assert exception_of(os_error(number)) is expected
    assert failure("it broke", os_error(number)).errno == number
    if number != errno.EINVAL:  # in words alone that could be anything
        assert exception_of(RuntimeError(f"Cannot open: {os.strerror(number)} [hw:1]")) is expected


def test_what_has_worked_and_is_not_found_any_more_was_unplugged() -> None:
    assert exception_of(os_error(errno.ENOENT), has_worked=True) is DeviceException.DEVICE_UNPLUGGED


@pytest.mark.parametrize("error", [RuntimeError("boom"), OSError("boom"), OSError(), ValueError()])
def test_without_an_errno_it_is_unknown(error: Exception) -> None:
    assert errno_of(error) is None
    told = failure("the camera stopped", error)
    assert told.type is DeviceException.UNKNOWN
    assert str(told).startswith("the camera stopped: ")


def test_a_number_in_the_words_counts() -> None:
    assert errno_of(RuntimeError("ioctl failed (errno -19)")) == errno.ENODEV


def test_what_is_a_failure_already_keeps_its_errno() -> None:
    told = SourceFailed(DeviceException.GENERIC, "it is stuck", errno.EIO)
    assert (errno_of(told), exception_of(told)) == (errno.EIO, DeviceException.GENERIC)
    assert errno_of(SourceFailed(DeviceException.GENERIC, "No such device")) is None


def test_the_sentence_says_what_and_why() -> None:
    assert doctest.testmod(causes).failed == 0
    told = failure("the microphone hw:1 stopped", os_error(errno.EIO))
    assert str(told) == "the microphone hw:1 stopped: Input/output error"
