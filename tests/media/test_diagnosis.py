"""What a failure means in the light of what came before it."""

from __future__ import annotations

import errno

import pytest

from appliance.media.base import SourceFailed
from appliance.media.diagnosis import Diagnosis
from appliance.model import DeviceException


def broken(number: int, type_: DeviceException = DeviceException.GENERIC) -> SourceFailed:
    return SourceFailed(type_, "it broke", number)


@pytest.fixture
def diagnosis() -> Diagnosis[str]:
    return Diagnosis("camera")


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT])
def test_the_third_re_opening_in_a_row_that_fails_hard_asks_for_a_restart(
    diagnosis: Diagnosis[str], number: int
) -> None:
    told = [
        diagnosis.of_opening("front", broken(number), again=attempt > 0).type
        for attempt in range(5)
    ]
    again = DeviceException.REBOOT_REQUIRED
    assert told == [*[DeviceException.GENERIC] * 3, again, again]


@pytest.mark.parametrize("between", ["works", "another reason"])
def test_only_in_a_row(diagnosis: Diagnosis[str], between: str) -> None:
    for _ in range(2):
        diagnosis.of_opening("front", broken(errno.EIO), again=True)
    if between == "works":
        diagnosis.works("front")
    else:
        diagnosis.of_opening("front", broken(errno.EINVAL), again=True)
    told = diagnosis.of_opening("front", broken(errno.EIO), again=True)
    assert told.type is DeviceException.GENERIC


def test_a_name_that_was_right_once_is_of_something_that_was_unplugged(
    diagnosis: Diagnosis[str],
) -> None:
    missing = broken(errno.ENOENT, DeviceException.INVALID_ID)
    assert diagnosis.of_opening("front", missing, again=False) is missing
    diagnosis.works("front")
    assert diagnosis.of_looking("front", missing).type is DeviceException.DEVICE_UNPLUGGED
    assert diagnosis.of_opening("rear", missing, again=False) is missing
    assert diagnosis.of_running(missing).type is DeviceException.DEVICE_UNPLUGGED


def test_what_becomes_busy_while_it_is_in_use_was_taken_away(diagnosis: Diagnosis[str]) -> None:
    busy = broken(errno.EBUSY, DeviceException.DEVICE_OCCUPIED)
    assert diagnosis.of_running(busy).type is DeviceException.INTERRUPTION
    assert diagnosis.of_opening("front", busy, again=True).type is DeviceException.DEVICE_OCCUPIED
    gone = broken(errno.ENODEV, DeviceException.DEVICE_UNPLUGGED)
    assert diagnosis.of_running(gone) is gone
