"""The keeper of a device, with gadgets that open, give, and break when the test says so."""

from __future__ import annotations

import asyncio
import errno
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from appliance.calls.inputs import DeviceFailed, Input
from appliance.media import devices
from appliance.media.base import SourceFailed
from appliance.media.capture import Live
from appliance.media.devices import Device, DeviceKeeper, retry_after_s
from appliance.model import DeviceException
from tests.media.stranger import until

UNPLUGGED = SourceFailed(DeviceException.DEVICE_UNPLUGGED, "the cable is loose")
HUSHED = SourceFailed(DeviceException.SOUND_LEVEL_TOO_LOW, "nothing is heard")
BUSY = SourceFailed(DeviceException.DEVICE_OCCUPIED, "somebody else has it")


class Gadget:
    """A device that can be opened; `gives` tells whether it then gives something at once."""

    def __init__(self, name: str, shop: Shop, changed: Callable[[], None]) -> None:
        self.source: object = shop.sources.setdefault(name, object())
        self.began = False
        self.fault: SourceFailed | None = None
        self.complaint: SourceFailed | None = None
        self.due_s = math.inf
        self.is_open = False
        self.released = True
        self.name = name
        self._shop, self._changed = shop, changed

    async def open(self) -> None:
        await asyncio.sleep(0)
        if fault := self._shop.refuses.get(self.name):
            raise fault
        self.is_open = True
        self._shop.story.append(f"open {self.name}")
        if self._shop.gives:
            self.give()

    async def close(self) -> SourceFailed | None:
        await asyncio.sleep(0)
        self.is_open = False
        self._shop.story.append(f"close {self.name}")
        self.released = self._shop.hangs is None
        return self._shop.hangs

    def give(self) -> None:
        self.began = True
        self._changed()

    def fail(self, fault: SourceFailed) -> None:
        self.fault = fault
        self._changed()


class Place:
    """Where a device is looked for, on another thread."""

    def __init__(self) -> None:
        self.looks = 0
        self.fault: SourceFailed | None = None
        self.certain = True

    def locate(self) -> bool:
        self.looks += 1
        if self.fault is not None:
            raise self.fault
        return self.certain


class Shop:
    """Where gadgets come from, and the keeper that they are made for."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.reports: list[Input] = []
        self.switched: list[str] = []
        self.refuses: dict[str, Exception] = {}
        self.sources: dict[str, object] = {}
        self.missing: set[str] = set()
        self.gives = True
        self.hangs: SourceFailed | None = None
        self.forbidden: str | None = None
        self.rests: list[bool] = []
        """Each time that it said that all is closed: whether something was open."""
        self.last: Gadget | None = None
        self.keeper: DeviceKeeper[str] = DeviceKeeper(
            Device.CAMERA,
            "front",
            self._make,
            self.reports.append,
            self.switched.append,
            forbidden=lambda: self.forbidden,
            at_rest=lambda: self.rests.append(self.last is not None and self.last.is_open),
        )

    async def _make(self, name: str, changed: Callable[[], None]) -> Live:
        if name in self.missing:
            raise SourceFailed(DeviceException.INVALID_ID, f"there is no {name}")
        self.last = Gadget(name, self, changed)
        return self.last

    def told(self) -> list[DeviceException | None]:
        return [report.type for report in self.reports if isinstance(report, DeviceFailed)]

    async def until_story(self, *story: str) -> None:
        await until(lambda: self.story == [*story], f"{story}, not {self.story}")

    def complain(self, complaint: SourceFailed | None) -> None:
        assert self.last is not None
        self.last.complaint = complaint
        self.keeper._changed.set()

    def break_down(self, fault: SourceFailed = UNPLUGGED) -> None:
        assert self.last is not None
        self.last.fail(fault)


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    shop = Shop()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(shop.keeper.run())
        yield shop
        shop.keeper.end()
    assert not shop.keeper.open


@pytest.fixture
async def shop(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr(devices, "RETRY_S", (0.01,))
    async with open_shop() as shop:
        yield shop


def test_it_is_tried_again_after_1_2_and_then_every_3_seconds() -> None:
    assert [retry_after_s(failures) for failures in range(1, 6)] == [1, 2, 3, 3, 3]


async def test_it_is_open_exactly_while_it_is_wanted(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.keeper.want(wanted=True)
    shop.keeper.want(wanted=False)
    await shop.until_story("open front", "close front")
    assert shop.reports == []


async def test_what_cannot_be_opened_is_told_once_and_tried_until_it_works(shop: Shop) -> None:
    shop.refuses["front"] = BUSY
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper._failures > 3, "further attempts")
    assert shop.told() == [DeviceException.DEVICE_OCCUPIED]
    shop.refuses["front"] = UNPLUGGED
    await until(lambda: len(shop.told()) == 2, "the other reason")
    shop.refuses.clear()
    await until(lambda: shop.keeper.live, "it to be open")
    assert shop.told() == [
        DeviceException.DEVICE_OCCUPIED,
        DeviceException.DEVICE_UNPLUGGED,
        None,
    ]


async def test_what_breaks_is_closed_told_and_opened_again(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.break_down()
    await shop.until_story("open front", "close front", "open front")
    await until(lambda: shop.told() == [DeviceException.DEVICE_UNPLUGGED, None])


async def test_a_device_that_breaks_at_once_each_time_is_left_alone_for_longer_and_longer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "RETRY_S", (0.0, 0.0, 3600.0))
    shop.keeper.want(wanted=True)
    for turn in range(1, 4):
        await until(lambda: shop.keeper.live, "it to be open")
        shop.break_down()
        await until(lambda turn=turn: shop.story.count("close front") == turn, "it to be closed")  # type: ignore[misc]
    assert shop.keeper._deadline_s is not None
    assert shop.keeper._deadline_s > shop.keeper._now_s + 3000
    assert not shop.keeper.open


async def test_what_has_worked_for_long_is_tried_again_soon(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "RETRY_S", (0.0, 3600.0))
    monkeypatch.setattr(devices, "STEADY_S", 0.0)
    shop.keeper.want(wanted=True)
    for turn in range(1, 5):
        await until(lambda turn=turn: shop.story.count("open front") == turn)  # type: ignore[misc]
        await until(lambda: shop.keeper.live, "it to be open")
        shop.break_down()


async def test_nothing_is_tried_once_it_is_no_longer_wanted(shop: Shop) -> None:
    shop.refuses["front"] = BUSY
    shop.keeper.want(wanted=True)
    await until(shop.told, "the failure")
    shop.keeper.want(wanted=False)
    await asyncio.sleep(0)
    await until(lambda: shop.keeper._deadline_s is None)
    shop.keeper.want(wanted=True)
    await until(lambda: len(shop.told()) == 2, "it is told for the next call again")


async def test_a_driver_that_breaks_in_an_unknown_way_is_told_and_logged(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.refuses["front"] = OSError("I/O error")
    shop.keeper.want(wanted=True)
    await until(shop.told, "the failure")
    assert shop.told() == [DeviceException.UNKNOWN]
    assert "I/O error" in caplog.text


async def test_what_is_open_and_gives_nothing_any_more_is_opened_anew(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    assert shop.last is not None
    shop.last.due_s = shop.keeper._now_s
    shop.keeper.hurry()
    await shop.until_story("open front", "close front", "open front")
    await until(lambda: shop.told() == [DeviceException.ZERO_CAPTURE_FPS, None])


async def test_a_complaint_is_told_and_taken_back_while_it_stays_open(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.complain(HUSHED)
    await until(lambda: shop.told() == [DeviceException.SOUND_LEVEL_TOO_LOW])
    shop.complain(None)
    await until(lambda: shop.told() == [DeviceException.SOUND_LEVEL_TOO_LOW, None])
    shop.complain(HUSHED)
    await until(lambda: len(shop.told()) == 3)
    shop.keeper.want(wanted=False)
    await until(lambda: shop.told()[3:] == [None], "the end of a complaint with its call")
    assert shop.story == ["open front", "close front"]


async def test_what_was_cut_off_is_told_and_opened_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "RETRY_S", (3600.0,))
    shop.keeper.interrupt("nobody cares")
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.keeper.interrupt("the device slept")
    await shop.until_story("open front", "close front", "open front")
    await until(lambda: shop.told() == [DeviceException.INTERRUPTION, None])


async def test_what_another_takes_away_was_interrupted_and_is_then_occupied(shop: Shop) -> None:
    taken = SourceFailed(DeviceException.DEVICE_OCCUPIED, "somebody has it", errno.EBUSY)
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.refuses["front"] = taken
    shop.break_down(taken)
    both = [DeviceException.INTERRUPTION, DeviceException.DEVICE_OCCUPIED]
    await until(lambda: shop.told() == both)
    shop.refuses.clear()
    await until(lambda: shop.told() == [*both, None])


async def test_what_fails_hard_again_and_again_asks_for_a_restart(shop: Shop) -> None:
    shop.refuses["front"] = OSError(errno.EIO, "I/O error")
    shop.keeper.want(wanted=True)
    await until(lambda: len(shop.told()) == 2, "the diagnosis")
    assert shop.told() == [DeviceException.GENERIC, DeviceException.REBOOT_REQUIRED]
    assert shop.keeper._failures >= 4
    shop.refuses.clear()
    await until(lambda: shop.told()[2:] == [None])


async def test_a_driver_that_does_not_let_go_is_told_and_left_alone_until_it_does(
    shop: Shop,
) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    stuck = shop.last
    assert stuck is not None
    shop.hangs = SourceFailed(DeviceException.GENERIC, "it hangs", errno.ETIMEDOUT)
    shop.keeper.want(wanted=False)
    await until(lambda: shop.told() == [DeviceException.GENERIC])
    assert shop.keeper.open, "who looks at the status is not told that it is closed"
    shop.hangs = None
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper._failures > 2, "further attempts")
    assert shop.story == ["open front", "close front"]
    stuck.released = True
    await until(lambda: shop.keeper.live, "it to be open")
    assert shop.told()[-1] is None


async def test_what_lets_go_late_is_taken_back_while_nobody_wants_it(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.hangs = SourceFailed(DeviceException.GENERIC, "it hangs", errno.ETIMEDOUT)
    shop.keeper.want(wanted=False)
    await until(lambda: shop.told() == [DeviceException.GENERIC])
    assert shop.last is not None
    shop.last.released = True
    await until(lambda: shop.told() == [DeviceException.GENERIC, None])
    assert not shop.keeper.open


async def test_what_can_be_looked_for_is_missed_while_nobody_calls(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "LOOK_S", 0.01)
    place = Place()
    shop.sources["front"] = place
    shop.keeper.attend()
    await until(lambda: place.looks > 2, "it to be looked for again and again")
    assert shop.told() == []
    place.fault = SourceFailed(DeviceException.INVALID_ID, "there is no such camera", errno.ENOENT)
    await until(lambda: shop.told() == [DeviceException.INVALID_ID])
    place.fault = None
    await until(lambda: shop.told() == [DeviceException.INVALID_ID, None])
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.refuses["front"] = UNPLUGGED
    shop.break_down()
    seen = [DeviceException.INVALID_ID, None, DeviceException.DEVICE_UNPLUGGED]
    await until(lambda: shop.told() == seen)
    shop.keeper.want(wanted=False)
    await until(lambda: shop.told() == [*seen, None], "it to be found again, without being opened")
    assert shop.story == ["open front", "close front"]


NOT_SEEN = (
    DeviceException.MEDIA_SERVICES_WERE_LOST,
    DeviceException.DEVICE_OCCUPIED,
    DeviceException.PERMISSION_NOT_GRANTED,
    DeviceException.REBOOT_REQUIRED,
    DeviceException.GENERIC,
    DeviceException.ZERO_CAPTURE_FPS,
)


@pytest.mark.parametrize("type_", NOT_SEEN)
async def test_that_it_is_there_does_not_mean_that_it_works(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, type_: DeviceException
) -> None:
    monkeypatch.setattr(devices, "LOOK_S", 0.01)
    place = Place()
    shop.sources["front"] = place
    shop.keeper.attend()
    shop.refuses["front"] = SourceFailed(type_, "it crashed")
    shop.keeper.want(wanted=True)
    await until(shop.told, "the failure")
    shop.keeper.want(wanted=False)
    looks = place.looks
    await until(lambda: place.looks > looks + 2, "it to be looked for")
    shop.keeper.choose("front")
    await until(lambda: shop.switched == ["front"])
    assert shop.told() == [type_], "not even where it is chosen once more"


@pytest.mark.parametrize("type_", NOT_SEEN)
async def test_what_a_look_has_told_a_look_takes_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, type_: DeviceException
) -> None:
    monkeypatch.setattr(devices, "LOOK_S", 0.01)
    monkeypatch.setattr(devices, "RETRY_S", (0.01,))
    place = Place()
    shop.sources["front"] = place
    place.fault = SourceFailed(type_, "nobody may look")
    shop.keeper.attend()
    await until(lambda: shop.told() == [type_])
    place.fault = None
    await until(lambda: shop.told() == [type_, None])


async def test_a_name_that_may_lead_to_nothing_is_not_believed_to_be_there(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "LOOK_S", 0.01)
    place = Place()
    place.certain = False
    shop.sources["front"] = place
    shop.keeper.attend()
    shop.refuses["front"] = UNPLUGGED
    shop.keeper.want(wanted=True)
    await until(shop.told, "the failure")
    shop.keeper.want(wanted=False)
    looks = place.looks
    await until(lambda: place.looks > looks + 2, "it to be looked for")
    assert shop.told() == [DeviceException.DEVICE_UNPLUGGED]


async def test_what_was_wrong_before_it_hung_is_so_still_when_it_has_come_back(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.hangs = SourceFailed(DeviceException.GENERIC, "it hangs", errno.ETIMEDOUT)
    lost = SourceFailed(DeviceException.MEDIA_SERVICES_WERE_LOST, "it crashed")
    shop.break_down(lost)
    types = [lost.type, DeviceException.GENERIC]
    await until(lambda: shop.told()[:2] == types)
    shop.keeper.want(wanted=False)
    assert shop.last is not None
    shop.last.released = True
    await until(lambda: not shop.keeper._stuck, "it to be seen")
    await until(lambda: shop.told()[-1] is lost.type)


async def test_who_is_ended_while_a_driver_closes_knows_that_it_is_open() -> None:
    """As at the daemon's end, where nobody waits for it: the privacy LED has to stay lit."""
    shop, closes = Shop(), asyncio.Event()
    running = asyncio.get_running_loop().create_task(shop.keeper.run())
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    gadget = shop.last
    assert gadget is not None

    async def never() -> SourceFailed | None:
        closes.set()
        await asyncio.Event().wait()
        return None

    gadget.released, gadget.close = False, never  # type: ignore[method-assign]
    shop.keeper.end()
    await closes.wait()
    assert not shop.keeper.released
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not shop.keeper.released
    gadget.released = True
    assert shop.keeper.released


async def test_a_device_that_gives_nothing_has_failed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "BEGIN_LIMIT_S", 0.01)
    monkeypatch.setattr(devices, "FIRST_LIMIT_S", 0.01)
    shop.gives = False
    shop.keeper.want(wanted=True)
    await until(shop.told, "the failure")
    assert shop.told() == [DeviceException.ZERO_CAPTURE_FPS]


async def test_it_can_be_closed_before_it_has_given_anything(shop: Shop) -> None:
    shop.gives = False
    shop.keeper.want(wanted=True)
    await shop.until_story("open front")
    shop.keeper.want(wanted=False)
    await shop.until_story("open front", "close front")


# -------------------- of several


async def test_a_change_opens_the_other_before_it_closes_the_first(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.gives = False
    shop.keeper.choose("rear")
    await shop.until_story("open front", "open rear")
    assert shop.keeper.used == "front"
    assert shop.switched == []
    assert shop.last is not None
    shop.last.give()
    await shop.until_story("open front", "open rear", "close front")
    assert (shop.keeper.used, shop.switched, shop.reports) == ("rear", ["rear"], [])


async def test_while_it_is_closed_a_change_is_for_the_next_time(shop: Shop) -> None:
    shop.keeper.choose("rear")
    await until(lambda: shop.switched == ["rear"])
    assert shop.story == []
    shop.keeper.want(wanted=True)
    await shop.until_story("open rear")


async def test_a_choice_of_what_is_in_use_is_confirmed_and_nothing_else(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.keeper.choose("front")
    await until(lambda: shop.switched == ["front"])
    assert shop.story == ["open front"]


@pytest.mark.parametrize("wanted", [True, False])
async def test_where_the_other_does_not_exist_the_first_goes_on(shop: Shop, wanted: bool) -> None:
    shop.missing.add("rear")
    if wanted:
        shop.keeper.want(wanted=True)
        await until(lambda: shop.keeper.live, "it to be open")
    shop.keeper.choose("rear")
    await until(lambda: shop.told() == [DeviceException.INVALID_ID, None])
    assert shop.keeper.used == "front"
    assert shop.switched == []
    assert shop.story == ["open front"] * wanted


async def test_where_the_other_gives_nothing_it_is_closed_and_the_first_goes_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    monkeypatch.setattr(devices, "BEGIN_LIMIT_S", 0.01)
    monkeypatch.setattr(devices, "FIRST_LIMIT_S", 0.01)
    shop.gives = False
    shop.keeper.choose("rear")
    await until(lambda: shop.told() == [DeviceException.ZERO_CAPTURE_FPS, None])
    assert shop.story == ["open front", "open rear", "close rear"]
    assert shop.keeper.live is not None


async def test_the_other_is_the_way_out_where_the_first_is_broken(shop: Shop) -> None:
    shop.refuses["front"] = BUSY
    shop.keeper.want(wanted=True)
    await until(shop.told, "the failure")
    shop.keeper.choose("rear")
    await until(lambda: shop.switched == ["rear"])
    assert shop.told() == [DeviceException.DEVICE_OCCUPIED, None]
    assert shop.keeper.used == "rear"


async def test_one_device_by_two_names_is_not_opened_twice(shop: Shop) -> None:
    shop.sources["rear"] = shop.sources["front"] = object()
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.keeper.choose("rear")
    await until(lambda: shop.switched == ["rear"])
    assert shop.story == ["open front"]


async def test_who_changes_to_and_fro_ends_with_the_last_choice(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    for choice in ("rear", "front", "rear", "front", "rear"):
        shop.keeper.choose(choice)
        await asyncio.sleep(0)
    await until(lambda: shop.keeper.used == "rear" and len(shop.switched))
    shop.keeper.want(wanted=False)
    await until(lambda: not shop.keeper.open)
    opened = [word for word in shop.story if word.startswith("open")]
    assert len(opened) * 2 == len(shop.story), "each was closed"


# -------------------- where none may be open


async def test_what_is_forbidden_is_not_opened_until_it_is_allowed(shop: Shop) -> None:
    shop.forbidden = "it is dark"
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper._failures > 3, "further attempts")
    assert shop.story == []
    assert shop.reports == [
        DeviceFailed(Device.CAMERA, DeviceException.PERMISSION_NOT_GRANTED, "it is dark")
    ]
    shop.forbidden = None
    await shop.until_story("open front")
    await until(lambda: shop.told()[-1] is None, "it to work")


async def test_what_becomes_forbidden_is_closed_when_it_is_wanted_once_more(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.forbidden = "it is dark"
    shop.keeper.want(wanted=True)
    await shop.until_story("open front", "close front")
    assert shop.told() == [DeviceException.PERMISSION_NOT_GRANTED]
    assert not shop.keeper.rests, "it is wanted"


async def test_another_one_is_not_opened_either(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.forbidden = "it is dark"
    shop.keeper.choose("rear")
    await shop.until_story("open front", "close front")


async def test_that_all_is_closed_is_said_when_it_is(shop: Shop) -> None:
    """Whatever is done meanwhile, and however soon it is wanted again."""
    for pauses in range(8):
        shop.rests.clear()
        shop.keeper.want(wanted=True)
        for _ in range(pauses):
            await asyncio.sleep(0)
        assert not shop.keeper.rests
        shop.keeper.want(wanted=False)
        await until(lambda: shop.rests, "it to be closed")
        assert shop.rests == [False]
        assert shop.keeper.rests


async def test_what_fails_while_it_is_being_closed_is_not_closed_yet(shop: Shop) -> None:
    shop.keeper.want(wanted=True)
    await until(lambda: shop.keeper.live, "it to be open")
    shop.rests.clear()
    shop.break_down()
    await asyncio.sleep(0)
    shop.keeper.want(wanted=False)
    await until(lambda: shop.rests, "it to be closed")
    assert shop.rests[0] is False
    assert shop.story == ["open front", "close front"]
