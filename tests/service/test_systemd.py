"""systemd hears of the daemon: played against a datagram socket, as systemd's own is."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.service import systemd
from tests.parts import need

UNIT = Path(__file__).parents[2] / "systemd" / "appliance.service"


class Listener:
    """The end of the notification socket that systemd holds."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(30)

    def hears(self) -> str:
        return self.socket.recv(4096).decode()


@pytest.fixture(params=["file", "abstract"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Listener]:
    """A socket of each kind that systemd may use, in the environment of the test."""
    name = str(tmp_path / "notify")
    if request.param == "abstract":
        listener = Listener(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    else:
        listener = Listener(name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
    with listener.socket:
        yield listener


def test_the_life_of_a_daemon(listener: Listener) -> None:
    assert systemd.ready("rings the house")
    assert listener.hears() == "READY=1\nSTATUS=rings the house"
    assert systemd.show("in a call\nSTOPPING=1")
    assert listener.hears() == "STATUS=in a call STOPPING=1"  # a status cannot say other things
    assert systemd.alive()
    assert listener.hears() == "WATCHDOG=1"
    assert systemd.stopping()
    assert listener.hears() == "STOPPING=1"


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.ready("rings the house")


def test_a_systemd_that_is_gone_is_no_reason_to_fail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not systemd.notify("READY=1", environ={"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert "systemd was not told READY=1" in caplog.text


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "20000000"}, 10.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_wants_to_hear_twice_as_often_as_it_bites(
    environ: dict[str, str], interval_s: float | None
) -> None:
    assert systemd.watchdog_interval_s(environ) == interval_s


def test_the_unit_is_one_that_systemd_understands(tmp_path: Path) -> None:
    analyze = need.program("systemd-analyze", "systemd")
    text = UNIT.read_text()
    program = tmp_path / "appliance"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert "ExecStart=/opt/appliance/bin/appliance " in text
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("/opt/appliance/bin/appliance", str(program)))
    found = subprocess.run(
        [analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    ours = [line for line in found.stderr.splitlines() if UNIT.name in line]
    assert (found.returncode, ours) == (0, [])
