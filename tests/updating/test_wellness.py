"""What does not work, by what the running appliance says and the doctor finds."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.updating.wellness import NOT_READY, examined, troubles
from tests.parts.house import config_for, house
from tests.parts.mosquitto import free_port


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
