"""The machine boots, does what it is told, and has the devices of a door."""

from __future__ import annotations

import contextlib
import os
import re

import psutil
import pytest

from tests.lab.machine import Machine, MachineError


def test_everything_of_the_guest_has_started(lab: Machine) -> None:
    assert lab.run("systemctl is-system-running").out.strip() == "running", lab.check(
        "systemctl --failed --no-pager --plain"
    )


def test_a_step_has_an_exit_status_and_all_that_was_written(lab: Machine) -> None:
    done = lab.run("seq 200000; echo stopped >&2; exit 3")
    assert done.code == 3
    assert done.out == "".join(f"{n}\n" for n in range(1, 200001)) + "stopped\n"


def test_a_step_that_takes_too_long_is_ended_with_all_that_it_started(lab: Machine) -> None:
    assert lab.run("sleep 4321 & sleep 4321", timeout=0.5).code == 124
    assert lab.run("pgrep -f 'sleep [4]321'").code == 1


def test_steps_go_on_beside_one_another(lab: Machine) -> None:
    waits = lab.start("until [ -e /run/later ]; do sleep 0.05; done; echo seen")
    lab.put("/run/later", "")
    assert waits.result().out == "seen\n"
    lab.check("rm /run/later")


def test_all_of_it_stays_on_one_processor(lab: Machine) -> None:
    """Its kernel, and the processes that this runs: on two, each waits for the other to wake."""
    places = []
    for process in psutil.pids():
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(process) == lab.session:
                places.append(os.sched_getaffinity(process))
    assert len(places) > 5, "a guest that does nothing has seven"
    assert all(len(place) == 1 for place in places)


def test_files_come_as_they_went(lab: Machine) -> None:
    data = bytes(range(256)) * 4096
    lab.put("/run/put/there", data)
    assert lab.get("/run/put/there") == data
    (lab.shared / "beside").write_bytes(data)
    assert lab.run("cmp /host/beside /run/put/there").ok
    with pytest.raises(MachineError, match="No such file"):
        lab.get("/run/nowhere")


@pytest.mark.thorough
def test_nothing_is_compiled_when_it_is_started(lab: Machine) -> None:
    told = lab.check("/opt/appliance/bin/python -v -c 'import aiortc, aiohttp, numpy, pytest' 2>&1")
    assert re.findall(r"(?m)code object from [^'\n]+$", told) == []


def test_a_door_has_pins_sound_and_a_camera(lab: Machine) -> None:
    assert "[pinctrl-bcm2711] (54 lines)" in lab.check("gpiodetect")
    assert "Loopback" in lab.check("cat /proc/asound/cards")
    assert "vimc" in lab.check("cam -l 2>&1")
    assert "system" in lab.check("ls /dev/dma_heap")


def test_a_pin_is_pulled_and_read_from_outside(lab: Machine) -> None:
    for level, value in (("down", 0), ("up", 1), ("down", 0)):
        lab.pull(5, level)  # type: ignore[arg-type] # both are levels
        assert lab.line(5) == value
