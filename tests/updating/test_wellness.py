"""What does not work, by what the running appliance says and the doctor finds."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.app import Appliance
from appliance.calls.inputs import PressureChanged
from appliance.config import Camera
from appliance.service.doctor.examination import CHECKS, examine
from appliance.service.doctor.findings import report
from appliance.updating.wellness import NOT_READY, examined, troubles
from tests.parts.house import config_for, house
from tests.parts.mosquitto import free_port
from tests.service.doctor.paper import CONFIG, FIRMWARE, PaperMachine


def doctor(*faults: str) -> str:
    findings = [{"component": one, "finding": f"{one}!", "verdict": "fault"} for one in faults]
    findings.append({"component": "clock", "finding": "late", "verdict": "warning"})
    return json.dumps({"findings": findings})


async def test_a_device_that_runs(tmp_path: Path) -> None:
    environ = {"APPLIANCE_SOCKET": str(tmp_path / "appliance.sock")}
    asked: list[Sequence[str]] = []

    def run(words: Sequence[str]) -> str:
        asked.append(words)
        return doctor("camera")

    async with house(config_for(free_port()), tmp_path, connected=False) as door:
        del door
        found = await asyncio.to_thread(troubles, environ, run, "/opt/appliance")
    assert set(found) == {"broker", "doctor: camera"}
    assert list(asked[0]) == [
        "runuser",
        "-u",
        "appliance",
        "--",
        "/opt/appliance",
        "doctor",
        "--json",
    ]


@pytest.mark.parametrize(
    ("cameras", "where"), [({"front": Camera("test-card")}, "camera"), ({}, "system")]
)
async def test_a_hot_day_and_a_weak_supply_are_no_updates_fault(
    cameras: dict[str, Camera], where: str, tmp_path: Path
) -> None:
    """Neither as the daemon tells them, with a camera or without, nor as the doctor does."""
    sunny = PaperMachine()
    sunny.files["/sys/class/thermal/thermal_zone0/temp"] = "83000"
    sunny.files[f"{FIRMWARE}/soc:firmware/get_throttled"] = "0x5"
    said = report(examine(CONFIG, sunny, {"temperature": CHECKS["temperature"]}))
    assert said["faults"] == 2
    environ = {"APPLIANCE_SOCKET": str(tmp_path / "appliance.sock")}
    config = config_for(free_port(), cameras=cameras)
    async with house(config, tmp_path, connected=False) as door:
        door.appliance.engine.post(PressureChanged("it is at 83 °C"))
        await door.until_true(lambda: where in told_by(door.appliance))
        found = await asyncio.to_thread(troubles, environ, lambda _: json.dumps(said), "/opt/x")
    assert set(found) == {"broker"}


def told_by(appliance: Appliance) -> dict[str, str]:
    status = appliance.session.status()
    return {**status["failures"], **status["faults"]}


def test_one_that_does_not(tmp_path: Path) -> None:
    environ = {"APPLIANCE_SOCKET": str(tmp_path / "none.sock")}
    assert set(troubles(environ, lambda _: doctor())) == {NOT_READY}


@pytest.mark.parametrize(
    "said", ["", "[]", "null", '{"findings": 3}', '{"findings": [{}]}', "[" * 9000]
)
def test_a_doctor_that_makes_no_sense_is_itself_a_trouble(said: str) -> None:
    assert set(examined(lambda _: said, "appliance")) == {"doctor"}


def test_one_that_hangs_too() -> None:
    def hangs(words: Sequence[str]) -> str:
        raise subprocess.TimeoutExpired(list(words), 60)

    assert set(examined(hangs, "appliance")) == {"doctor"}
