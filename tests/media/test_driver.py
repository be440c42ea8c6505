"""Drivers that hang, raise and come back late: nobody waits for them, and nothing stays open."""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from appliance.media import driver
from appliance.media.base import SourceFailed
from appliance.media.driver import Driver
from appliance.model import DeviceException
from tests.media.stranger import until


class Source:
    """Opens and closes when it is let; counts how often it is open."""

    def __init__(self) -> None:
        self.opens, self.closes = threading.Event(), threading.Event()
        self.opens.set()
        self.closes.set()
        self.open = 0
        self.lingers = False
        self.raises: Exception | None = None

    def start(
        self, deliver: Callable[[bytes], None], failed: Callable[[SourceFailed], None], /
    ) -> None:
        self.opens.wait()
        if self.raises is not None:
            raise self.raises
        self.open += 1

    def stop(self) -> None:
        self.closes.wait()
        self.open -= 1
        if self.raises is not None:
            raise self.raises


def ignore(_: object) -> None: ...


@pytest.fixture
async def source(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Source]:
    monkeypatch.setattr(driver, "OPEN_LIMIT_S", 30)
    monkeypatch.setattr(driver, "CLOSE_LIMIT_S", 30)
    one = Source()
    yield one
    one.opens.set()
    one.closes.set()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets a limit that nothing which hangs keeps."""
    return lambda limit: monkeypatch.setattr(driver, limit, 0.05)


async def test_it_is_opened_and_closed(source: Source) -> None:
    one: Driver[bytes] = Driver("camera", source)
    assert one.released
    await one.start(ignore, ignore)
    assert (source.open, one.released) == (1, False)
    assert await one.stop() is None
    assert (source.open, one.released) == (0, True)


async def test_what_hangs_while_it_is_opened_is_closed_when_it_comes_back(
    source: Source, impatient: Callable[[str], None]
) -> None:
    impatient("OPEN_LIMIT_S")
    source.opens.clear()
    one: Driver[bytes] = Driver("camera", source)
    with pytest.raises(SourceFailed, match="does not open") as told:
        await one.start(ignore, ignore)
    assert told.value.errno == errno.ETIMEDOUT
    assert not one.released
    fault = await one.stop()
    assert fault is not None
    source.opens.set()
    await until(lambda: one.released, "it to be released")
    assert source.open == 0


async def test_who_gives_up_opening_leaves_nothing_open(source: Source) -> None:
    source.opens.clear()
    one: Driver[bytes] = Driver("camera", source)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await one.start(ignore, ignore)
    source.opens.set()
    await until(lambda: one.released, "it to be released")
    assert source.open == 0


async def test_what_comes_back_in_the_last_moment_is_closed_as_well(
    source: Source, impatient: Callable[[str], None]
) -> None:
    impatient("OPEN_LIMIT_S")
    source.opens.clear()
    one: Driver[bytes] = Driver("camera", source)

    async def be_late() -> None:
        await asyncio.sleep(0.01)
        source.opens.set()
        while source.open == 0:
            time.sleep(0.01)  # noqa: ASYNC251
        time.sleep(0.1)  # noqa: ASYNC251

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(be_late())
        with pytest.raises(SourceFailed, match="does not open"):
            await one.start(ignore, ignore)
    await until(lambda: one.released, "it to be released")
    assert source.open == 0


async def test_what_hangs_while_it_is_closed_is_told(
    source: Source, impatient: Callable[[str], None]
) -> None:
    impatient("CLOSE_LIMIT_S")
    one: Driver[bytes] = Driver("microphone", source)
    await one.start(ignore, ignore)
    source.closes.clear()
    fault = await one.stop()
    assert fault is not None
    assert "microphone does not close" in str(fault)
    assert not one.released
    source.closes.set()
    await until(lambda: one.released, "it to be released")


async def test_what_returns_and_leaves_its_driver_behind_is_not_released(source: Source) -> None:
    one: Driver[bytes] = Driver("microphone", source)
    await one.start(ignore, ignore)
    source.lingers = True
    fault = await one.stop()
    assert fault is not None
    assert "microphone does not close" in str(fault)
    assert not one.released
    source.lingers = False
    assert one.released


@pytest.mark.parametrize(
    ("raised", "type_", "logged"),
    [
        (OSError(errno.EBUSY, "busy"), DeviceException.DEVICE_OCCUPIED, False),
        (RuntimeError("boom"), DeviceException.UNKNOWN, True),
        (SourceFailed(DeviceException.GENERIC, "by itself"), DeviceException.GENERIC, False),
    ],
)
async def test_whatever_a_driver_raises_is_a_failure(
    source: Source,
    caplog: pytest.LogCaptureFixture,
    raised: Exception,
    type_: DeviceException,
    logged: bool,
) -> None:
    source.raises = raised
    one: Driver[bytes] = Driver("camera", source)
    with pytest.raises(SourceFailed) as told:
        await one.start(ignore, ignore)
    assert told.value.type is type_
    assert one.released
    # asyncio itself warns where a busy machine held it up
    assert any(record.name != "asyncio" for record in caplog.records) is logged


async def test_what_raises_while_it_is_closed_is_closed(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    one: Driver[bytes] = Driver("camera", source)
    await one.start(ignore, ignore)
    source.raises = OSError("too late")
    assert await one.stop() is None
    assert one.released
    assert "too late" in caplog.text
