"""Heat and a weak supply, read from a folder that is laid out as /sys is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from appliance.calls.inputs import Input, PressureChanged
from appliance.service.pressure import THERMAL, Reading, Zone, judge, read, watch
from appliance.service.throttling import WEAK
from tests.parts.firmware_files import alarm, firmware


class Machine:
    """A /sys of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def zone(self, number: int, temperature: str, **files: str) -> None:
        folder = self.root / THERMAL / f"thermal_zone{number}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {"temp": temperature, "type": "cpu-thermal", **files}.items():
            (folder / "new").write_text(f"{text}\n")
            (folder / "new").rename(folder / name)  # in /sys nobody reads half a number

    def throttled(self, flags: str) -> None:
        firmware(self.root, flags)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_zone_has_the_limit_at_which_the_kernel_slows_down(machine: Machine) -> None:
    machine.zone(0, "61234")
    trips = {"trip_point_0_type": "active", "trip_point_0_temp": "50000"}
    trips |= {"trip_point_1_type": "passive", "trip_point_1_temp": "75000"}
    trips |= {"trip_point_2_type": "critical", "trip_point_2_temp": "110000"}
    machine.zone(1, "40000", type="gpu-thermal", **trips)
    machine.zone(2, "not a number")
    machine.throttled("50005")
    assert read(machine.root) == Reading(
        (Zone("cpu-thermal", 61.234, 80.0), Zone("gpu-thermal", 40.0, 75.0)), 0x50005
    )


def test_where_the_kernel_tells_nothing_there_is_no_pressure(machine: Machine) -> None:
    assert read(machine.root) == Reading()
    machine.throttled("nonsense")
    assert judge(read(machine.root), False) is None


def test_this_machine_can_be_read() -> None:
    for zone in read(Path("/sys")).zones:
        assert zone.limit_c > 0


@pytest.mark.parametrize(
    ("temperature_c", "pressed", "too_hot"),
    [(79.9, False, False), (80.0, False, True), (75.1, True, True), (74.9, True, False)],
)
def test_it_has_to_cool_down_before_it_is_over(
    temperature_c: float, pressed: bool, too_hot: bool
) -> None:
    message = judge(Reading((Zone("cpu", temperature_c),)), pressed)
    assert (message is not None) is too_hot
    if message:
        assert message == f"cpu is at {temperature_c:.0f} °C, its limit is 80 °C"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (0x1, "its supply is too weak"),
        (0x4, "the processor is throttled"),
        (0x6, "the processor's clock is limited by the heat, the processor is throttled"),
    ],
)
def test_the_firmwares_flags_of_now_count(flags: int, words: str) -> None:
    assert judge(Reading(throttled=flags), False) == f"the device is under pressure: {words}"
    assert judge(Reading(throttled=flags << 16), True) is None, "that was before"


async def test_a_change_is_told_and_nothing_else(machine: Machine) -> None:
    told: list[Input] = []
    machine.zone(0, "50000")
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(told.append, machine.root, 0.001))

        async def until(count: int) -> None:
            async with asyncio.timeout(30):
                while len(told) < count:  # noqa: ASYNC110 - files tell nobody
                    await asyncio.sleep(0.001)

        machine.zone(0, "81000")
        await until(1)
        machine.zone(0, "77000")
        await asyncio.sleep(0.05)
        machine.zone(0, "70000")
        await until(2)
        watching.cancel()
    hot = "cpu-thermal is at 81 °C, its limit is 80 °C"
    assert told == [PressureChanged(hot), PressureChanged(None)]


@pytest.mark.parametrize("device", ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"])
def test_the_firmwares_word_is_found_by_whatever_name_it_has(machine: Machine, device: str) -> None:
    firmware(machine.root, "50005", device)
    assert read(machine.root).throttled == 0x50005


def test_where_the_kernel_has_no_word_its_alarm_counts(machine: Machine) -> None:
    firmware(machine.root, None)
    alarm(machine.root, "0", beside=("cpu_thermal", "rp1_adc"))
    assert read(machine.root).throttled == 0
    alarm(machine.root, "1", beside=("cpu_thermal", "rp1_adc"))
    assert read(machine.root).throttled == WEAK
    firmware(machine.root, "4")
    assert read(machine.root).throttled == WEAK | 4
    alarm(machine.root, "nonsense")
    assert read(machine.root).throttled == 4


async def test_a_weak_supply_that_comes_and_goes_is_told_once(machine: Machine) -> None:
    """The voltage stays where it is, and the alarm does not."""
    told: list[Input] = []
    seen: list[int | None] = []

    def note(reading: Reading, pressed: bool) -> None:
        assert pressed is bool((reading.throttled or 0) & WEAK)
        seen.append(reading.throttled)

    async def looks(count: int) -> None:
        async with asyncio.timeout(30):
            until = len(seen) + count
            while len(seen) < until:  # noqa: ASYNC110 - files tell nobody
                await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(told.append, machine.root, 0.001, note, 1e6))
        await looks(2)
        for said in ("1", "0", "1", "0"):
            alarm(machine.root, said)
            await looks(2)
        watching.cancel()
    assert told == [PressureChanged("the device is under pressure: its supply is too weak")]
    assert not seen[0]
    assert seen[-1] == WEAK


async def test_and_is_over_in_the_end(machine: Machine) -> None:
    told: list[Input] = []
    alarm(machine.root, "1")
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(told.append, machine.root, 0.001, weak_lasts_s=0.01))
        for count in (1, 2):
            async with asyncio.timeout(30):
                while len(told) < count:  # noqa: ASYNC110 - files tell nobody
                    await asyncio.sleep(0.001)
            alarm(machine.root, "0")
        watching.cancel()
    assert told[1:] == [PressureChanged(None)]
