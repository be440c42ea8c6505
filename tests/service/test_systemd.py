"""systemd hears of the daemon: played against a datagram socket, as systemd's own is."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.service import systemd
from appliance.web.connections import AT_MOST
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
    assert systemd.ready()
    assert listener.hears() == "READY=1"
    assert systemd.show("in a call\nSTOPPING=1")
    assert listener.hears() == "STATUS=in a call STOPPING=1"  # a status cannot say other things
    assert systemd.alive()
    assert listener.hears() == "WATCHDOG=1"
    assert systemd.stopping()
    assert listener.hears() == "STOPPING=1"


def test_a_status_is_told_when_it_changes_and_when_it_did_not_arrive(listener: Listener) -> None:
    assert all(systemd.show(status) for status in ("idle", " idle\n", "in a call", "idle"))
    assert systemd.alive()
    heard = [listener.hears() for _ in range(4)]
    assert heard == ["STATUS=idle", "STATUS=in a call", "STATUS=idle", "WATCHDOG=1"]
    listener.socket.close()
    assert not systemd.show("in a call")
    assert not systemd.show("in a call")


def test_a_daemon_without_its_pins_is_ready_and_says_of_none_that_they_work(
    listener: Listener, tmp_path: Path
) -> None:
    """From the first sentence on, which stays for as long as nothing else happens."""
    file = tmp_path / "appliance.toml"
    file.write_text(
        '[device]\nid = "front-door"\nboard = "pi"\n[mqtt]\nport = 9\n[buttons.call]\npin = 17\n'
    )
    environ = {
        **os.environ,
        "APPLIANCE_SOCKET": str(tmp_path / "socket"),
        "STATE_DIRECTORY": str(tmp_path),
    }
    words = [sys.executable, "-m", "appliance", "run", "--config", str(file)]
    told: list[str] = []
    with subprocess.Popen(words, env=environ, stderr=subprocess.DEVNULL) as daemon:
        try:
            while not (told and "gpio_unavailable" in told[-1]):
                told += listener.hears().splitlines()
        finally:
            daemon.terminate()
    assert "READY=1" in told
    sentences = {one.removeprefix("STATUS=") for one in told if one.startswith("STATUS=")}
    assert all(one.startswith("broker ") for one in sentences), sentences


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.ready()


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


UNITS = UNIT.parent
PROGRAMS = re.compile(r"(?<==)-?(/opt/appliance/bin/appliance|/usr/lib/appliance\S+)")
OF_THE_IMAGE = UNITS.parent / "image-build/layer/appliance.rootfs-overlay/usr/lib/systemd/system"
OF_UPDATES = UNITS.parent / "image-build/update/units"
DROP_INS = ("appliance-accounts.conf", "appliance-lan-only.conf", "appliance-screen.conf")
MOST_EXPOSED = 15
"""Tenths of what `systemd-analyze security` counts to ten."""
EXPOSED_OF_ROOTS = {
    # who marks slots, restarts the machine, and has the doctor open every device
    **{f"appliance-update{one}.service": 40 for one in ("@", "-look", "-settle", "-trial")},
    # nothing is to keep the end of a trial from what it does
    "appliance-update-limit.service": 100,
    # who loads a module, makes files others' own, mounts for everybody, writes the card's table
    "appliance-country.service": 25,
    "appliance-first-start.service": 20,
    "appliance-name.service": 40,
    "appliance-grow.service": 70,
}
"""Of those that root's work leaves no less; of all others `MOST_EXPOSED`."""


OURS = [
    one
    for place in (UNITS, OF_THE_IMAGE, OF_UPDATES)
    for one in sorted(place.iterdir())
    if one.suffix in (".service", ".socket", ".timer", ".path")
]


def laid_out(folder: Path, *drop_ins: str) -> Path:
    """The units below `folder`, with a program that is there and these drop-ins of the daemon's."""
    program = folder / "appliance"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for file in OURS:
        (folder / file.name).write_text(PROGRAMS.sub(str(program), file.read_text()))
    # which a generator of the image's layout makes
    (folder / "persistent.mount").write_text("[Mount]\nWhat=/dev/null\nWhere=/persistent\n")
    beside = folder / f"{UNIT.name}.d"
    beside.mkdir()
    for name in drop_ins:
        (beside / name).write_text((UNITS / name).read_text())
    return folder / UNIT.name


def analyzed(*words: str | Path) -> subprocess.CompletedProcess[str]:
    analyze = need.program("systemd-analyze", "systemd")
    return subprocess.run([analyze, *words], capture_output=True, text=True, check=False)


def test_the_brokers_unit_is_given_rules_that_the_package_brings() -> None:
    text = (UNITS / "appliance-broker.conf").read_text()
    [rules] = re.findall(r"(?m)^ExecStartPre=-\+/usr/sbin/nft -f (\S+)$", text)
    root = UNITS.parent
    files = (root / "image-build" / "debian" / "appliance.install").read_text().split("\n")
    brought = {
        f"/{where}/{Path(what).name}": what
        for what, where in (line.split() for line in files if line)
    }
    assert (root / brought[rules]).is_file()
    assert "systemd/appliance-broker.conf usr/share/appliance" in files
    assert "appliance-broker.conf" in (root / "image-build" / "layer" / "settle").read_text()


@pytest.mark.parametrize(
    ("unit", "drop_ins"),
    [
        *((one.name, ()) for one in OURS),
        *(("appliance.service", (name,)) for name in DROP_INS),
        ("appliance.service", DROP_INS),
    ],
)
def test_systemd_understands_every_line(
    unit: str, drop_ins: tuple[str, ...], tmp_path: Path
) -> None:
    laid_out(tmp_path, *drop_ins)
    found = analyzed("verify", "--man=no", tmp_path / unit)
    ours = [line for line in found.stderr.splitlines() if "appliance" in line]
    assert (found.returncode, ours) == (0, [])


def test_a_line_that_it_does_not_understand_would_be_told(tmp_path: Path) -> None:
    unit = laid_out(tmp_path)
    unit.write_text(unit.read_text().replace("[Install]", "NoSuchKey=yes\n[Install]"))
    assert "NoSuchKey" in analyzed("verify", "--man=no", unit).stderr


@pytest.mark.parametrize("drop_ins", [(), *((name,) for name in DROP_INS), DROP_INS])
def test_what_is_exposed_is_little(drop_ins: tuple[str, ...], tmp_path: Path) -> None:
    """By systemd's own measure, which has counted alike since its version 240."""
    unit = laid_out(tmp_path, *drop_ins)
    found = analyzed("security", "--offline=yes", "--no-pager", f"--threshold={MOST_EXPOSED}", unit)
    assert found.returncode == 0, found.stdout[-200:] + found.stderr


@pytest.mark.parametrize("name", [one.name for one in OURS if one.suffix == ".service"])
def test_those_who_help_are_confined_as_far_as_they_can_be(name: str, tmp_path: Path) -> None:
    laid_out(tmp_path)
    threshold = f"--threshold={EXPOSED_OF_ROOTS.get(name, MOST_EXPOSED)}"
    found = analyzed("security", "--offline=yes", "--no-pager", threshold, tmp_path / name)
    assert found.returncode == 0, found.stdout[-200:] + found.stderr


def test_the_broker_is_started_anew_only_where_pages_meet_another_certificate(
    tmp_path: Path,
) -> None:
    text = (UNITS / "appliance-broker-pages.service").read_text()
    assert "\nLoadCredential" not in text, "it follows links, as root"
    [told] = re.findall(r"--changed \$\{RUNTIME_DIRECTORY\}/(\S+)", text)
    [script] = re.findall(r"(?m)^ExecStartPost=\+/bin/sh -c '([^']*)'$", text)
    asked = tmp_path / "asked"
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    (tmp_path / "systemctl").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "RUNTIME_DIRECTORY": str(tmp_path)}
    subprocess.run(["/bin/sh", "-c", script], env=environ, check=True)
    assert not asked.exists()
    (tmp_path / told).touch()
    subprocess.run(["/bin/sh", "-c", script], env=environ, check=True)
    assert asked.read_text() == "--no-block try-restart mosquitto.service\n"


def test_a_unit_without_a_sandbox_would_be_refused(tmp_path: Path) -> None:
    unit = laid_out(tmp_path)
    unit.write_text(unit.read_text().replace("CapabilityBoundingSet=\n", ""))
    threshold = f"--threshold={MOST_EXPOSED}"
    assert analyzed("security", "--offline=yes", "--no-pager", threshold, unit).returncode == 1


def test_nothing_is_waited_for_that_the_bell_does_not_need() -> None:
    """Neither network, name, clock nor sound; tried under a real systemd in test_booted.py."""
    waits = re.findall(r"(?m)^(?:After|Wants|Requires|BindsTo|Requisite)=(.*)$", UNIT.read_text())
    assert waits == []


def test_the_modules_that_the_unit_allows_classes_of_are_loaded_before_it() -> None:
    """A class without a number when the service starts is not allowed at all."""
    classes = re.findall(r"(?m)^DeviceAllow=char-(\S+) rw$", UNIT.read_text())
    loaded = (UNITS / "modules-load.d" / "appliance.conf").read_text().split("\n")
    registered_by = {"video4linux": "videodev", "media": "mc", "alsa": "snd"}
    built_in = {"gpiochip", "dma_heap"}  # in the kernels of Raspberry Pi OS and of Debian for arm64
    assert set(classes) == registered_by.keys() | built_in
    assert set(registered_by.values()) <= set(loaded)


def test_users_and_folders_are_made(tmp_path: Path) -> None:
    sysusers = need.program("systemd-sysusers", "systemd")
    tmpfiles = need.program("systemd-tmpfiles", "systemd")
    if os.geteuid() != 0:
        need.skip_where_forbidden("users are made in a folder", "by systemd-sysusers")
    (tmp_path / "etc").mkdir()
    subprocess.run(
        [sysusers, f"--root={tmp_path}", UNITS / "sysusers.d" / "appliance.conf"],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [tmpfiles, "--create", f"--root={tmp_path}", UNITS / "tmpfiles.d" / "appliance.conf"],
        check=True,
        capture_output=True,
    )
    user = next(
        line.split(":")
        for line in (tmp_path / "etc/passwd").read_text().splitlines()
        if line.startswith("appliance:")
    )
    members = {
        name
        for name, _, _, users in (
            line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines()
        )
        if "appliance" in users.split(",")
    }
    assert members == {"gpio", "video", "audio"}
    assert user[5:] == ["/var/lib/appliance", "/usr/sbin/nologin"]
    state = (tmp_path / "var/lib/appliance").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid) == (0o700, int(user[2]))
    assert stat.S_IMODE((tmp_path / "etc/credstore").stat().st_mode) == 0o700


def test_the_unit_has_descriptors_for_all_that_may_be_open() -> None:
    limit = re.search(r"^LimitNOFILE=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert limit is not None
    assert int(limit[1]) >= 1024 + AT_MOST
