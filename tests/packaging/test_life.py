"""The life of the package under a systemd that is PID 1: installed, used, upgraded, removed, purged, anew.

`make deb-test` builds it and runs this; beside the rest of the tests it would take too long. The tests are
one story, in their order, on each system that the package is for.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.systems import HERE, SYSTEMS, System, built, root
from tests.parts.booted import Machine, booted
from tests.parts.mosquitto import Mosquitto, free_port, mosquitto
from tests.parts.need import program
from tests.parts.phone import phone

__all__ = ["mosquitto"]

pytestmark = pytest.mark.timeout(1800)

FILE = "/etc/appliance/appliance.toml"
CONFIG = """
[device]
id = "front-door"
name = "Front door"
board = "simulated"
[mqtt]
port = {mqtt_port}
[security]
unsigned = "allow"
[contacts.alice]
name = "Alice"
may = ["call", "answer", "unlock"]
[call]
receiver = "user:alice"
[buttons.call]
pin = "GPIO17"
press = "call"
[cameras.front]
device = "test-card"
[audio.speaker]
playback = "silence"
capture = "tone"
[http]
port = {http_port}
"""
NEWER = "9.0"
COMPILED_S = 600.0
"""What is installed is compiled at once, and leaves everybody else the processor meanwhile."""

STATUS = "systemctl show -P StatusText appliance"
SNAPSHOT = """
find /etc /opt /srv /usr /var -xdev ! -path '/var/cache/*' ! -path '/var/log/*' \
  ! -path '/var/lib/dpkg/*' ! -path '/var/lib/systemd/*' ! -path '/var/tmp/*' | sort
"""
FOR_THE_PASSWORDS = {
    f"/etc/{name}-" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
}
"""Copies that whoever changes these files leaves."""


def newer(package: Path, folder: Path) -> Path:
    """The same with a greater version, and a configuration that has changed."""
    tree = folder / "newer"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {NEWER}", control.read_text()))
    shipped = tree / FILE[1:]
    shipped.write_text(shipped.read_text() + "\n# a line that is new\n")
    made = folder / "newer.deb"
    subprocess.run(["dpkg-deb", "-Znone", "-b", tree, made], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["rm", "-rf", tree], check=True)
    return made


class Box:
    """A machine that begins without the package, and where both versions of it lie."""

    def __init__(self, machine: Machine, system: System, under: Path, given: Path) -> None:
        self.machine, self.system, self.under = machine, system, under
        self.first, self.second = given / "first.deb", given / "newer.deb"
        self.before = self.files()

    def files(self) -> set[str]:
        return set(self.machine.run(SNAPSHOT).out.splitlines())

    def left(self) -> set[str]:
        """What there is that was not there before; but for what this machine itself has got meanwhile."""
        return {
            one
            for one in self.files() - self.before - FOR_THE_PASSWORDS
            if not os.path.lexists(self.under / one[1:])
        }

    def lost(self) -> set[str]:
        """What was there before, and is not any more."""
        return {one for one in self.before - self.files() if os.path.lexists(self.under / one[1:])}

    def dpkg(self, words: str) -> str:
        environ = "DEBIAN_FRONTEND=noninteractive"
        return self.machine.run(f"{environ} dpkg --force-confdef --force-confold {words}").out

    def status(self) -> str:
        return self.machine.run(
            "dpkg-query -W -f '${db:Status-Status} ${Version}' appliance", check=False
        ).out


@pytest.fixture(scope="module", params=SYSTEMS, ids=lambda system: system.suite)
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    program("dpkg-deb", "dpkg")
    system: System = request.param
    package, folder = built(system), tmp_path_factory.mktemp("package")
    given = folder / "given"
    given.mkdir()
    newer(package, given)
    (given / "first.deb").write_bytes(package.read_bytes())
    with root(system, folder) as under, booted(folder, bare=True, root=under) as machine:
        # what keeps this machine's own packages from starting services
        machine.run("rm -f /usr/sbin/policy-rc.d")
        if under == HERE:
            machine.run(
                "rm -rf /etc/appliance /var/lib/appliance /opt/appliance; userdel appliance || true"
            )
        machine.patience_s = COMPILED_S
        yield Box(machine, system, under, given)


def test_it_is_ready_once_it_is_installed(box: Box) -> None:
    """Without network, pins and configuration of the owner's; it says what to do next."""
    told = box.dpkg(f"-i {box.first}")
    assert "appliance check-config" in told
    assert "rror" not in told
    shows = box.machine.shows
    assert (shows("ActiveState"), shows("UnitFileState"), shows("NRestarts")) == (
        "active",
        "enabled",
        "0",
    )
    box.machine.until(STATUS, holds="broker offline, idle")
    assert '"front-door"' in box.machine.run("appliance status").out
    assert "no faults" in box.machine.run("appliance check-config").out
    assert shows("FragmentPath").endswith("/lib/systemd/system/appliance.service")
    for unit in ("appliance-journal.timer", "appliance-accounts.socket"):
        assert (shows("UnitFileState", unit), shows("ActiveState", unit)) == (
            "disabled",
            "inactive",
        )


def test_it_runs_on_what_the_package_has_alone(box: Box) -> None:
    """Its libraries are its own, compiled for this Python, and it can do all that it was built with."""
    program_ = (
        "import aiortc, alsaaudio, av, livekit.rtc, msgspec, numpy, sdl2, sys; from pathlib import Path;"
        "from appliance.media import echo; import appliance.web.server as server;"
        "vendor = Path(server.__file__).parent / 'static/vendor/mqtt.esm.js';"
        "parts = (aiortc, alsaaudio, av, livekit.rtc, msgspec, numpy, sdl2);"
        "print([part.__file__ for part in parts], echo.installed(),"
        " vendor.stat().st_size > 100_000, Path(sys.modules['aiortc'].__cached__).exists())"
    )
    told = box.machine.run(
        f'PYSDL2_DLL_PATH= /opt/appliance/bin/python -W ignore -c "{program_}"'
    ).out
    assert told.count(f"'/opt/appliance/lib/python{box.system.python}/site-packages/") == 7, told
    assert told.split("] ")[1].split() == ["True", "True", "True"]
    found = box.machine.run(
        "find /opt/appliance -name '*.so' ! -path '*.libs/*' -exec ldd {} + 2>&1 | grep 'not found'",
        check=False,
    )
    assert found.out == ""


def test_its_pages_are_there(box: Box) -> None:
    there = box.machine.run("dpkg -L appliance").out.split()
    for page in ("man1/appliance.1.gz", "man5/appliance.toml.5.gz"):
        assert f"/usr/share/man/{page}" in there
        assert ".TH" in box.machine.run(f"gzip -dc /usr/share/man/{page}").out
    assert "/usr/bin/appliance" in there


async def test_a_press_rings_and_an_upgrade_waits_for_the_call(
    box: Box, mosquitto: Mosquitto
) -> None:
    """It goes on with the configuration that the owner wrote, and the new one lies beside it."""
    mine = CONFIG.format(mqtt_port=mosquitto.port, http_port=free_port())
    box.machine.put(FILE, mine)
    box.machine.put("/etc/appliance/conf.d/mine.toml", '[prompts]\nlanguage = "de"\n')
    until = box.machine.until
    await asyncio.to_thread(box.machine.run, "systemctl restart appliance")
    async with phone("alice", "127.0.0.1", mosquitto.port) as alice:
        await asyncio.to_thread(until, STATUS, holds="broker connected, idle")
        await asyncio.to_thread(until, "appliance press call && echo pressed", holds="pressed")
        invite = await alice.hear("invite")
        await alice.answer(invite)
        await asyncio.to_thread(until, STATUS, holds="broker connected, connected")
        before = await asyncio.to_thread(box.machine.shows, "MainPID")
        log = "/root/upgrade.log"
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(box.dpkg, f"-i {box.second} > {log} 2>&1"))
            await asyncio.to_thread(until, f"cat {log}", holds="a call is on")
            assert await asyncio.to_thread(box.machine.shows, "MainPID") == before
            await alice.hang_up()
    assert box.status() == f"installed {NEWER}"
    assert box.machine.shows("MainPID") not in ("0", before)
    assert box.machine.shows("ActiveState") == "active"
    assert box.machine.read(FILE) == mine
    assert "a line that is new" in box.machine.read(f"{FILE}.dpkg-dist")
    assert '"front-door"' in box.machine.run("appliance status").out
    assert "SIGKILL" not in box.machine.journal()


def test_an_upgrade_with_a_faulty_configuration_is_no_broken_package(box: Box) -> None:
    """The same version again is an upgrade too."""
    mine = box.machine.read(FILE)
    box.machine.put(FILE, "[device]\nid = 7\n")
    box.dpkg(f"-i {box.second}")
    assert (box.status(), box.machine.shows("ActiveState")) == (f"installed {NEWER}", "failed")
    box.machine.put(FILE, mine)
    box.machine.run("systemctl restart appliance")


def test_what_was_switched_off_stays_off(box: Box) -> None:
    box.machine.run("systemctl disable --now appliance")
    box.dpkg(f"-i {box.second}")
    assert (box.machine.shows("UnitFileState"), box.machine.shows("ActiveState")) == (
        "disabled",
        "inactive",
    )
    box.machine.run("systemctl enable --now appliance")


def test_who_removes_it_keeps_what_is_theirs(box: Box) -> None:
    kept = box.machine.run("find /var/lib/appliance -type f | sort").out
    assert kept
    mine = box.machine.read(FILE)
    box.machine.put("/etc/credstore/appliance.mqtt.password", "secret", 0o600)
    box.dpkg("--remove appliance")
    assert box.status() == f"config-files {NEWER}"
    assert box.machine.run("pgrep -u appliance", check=False).out == ""
    assert (
        box.machine.run("ls -d /opt/appliance /usr/bin/appliance 2> /dev/null", check=False).out
        == ""
    )
    assert box.machine.run("find /var/lib/appliance -type f | sort").out == kept
    assert box.machine.read(FILE) == mine
    box.dpkg("--remove appliance")  # once more is no fault


def test_who_purges_it_keeps_nothing(box: Box) -> None:
    box.machine.run("rm -f /root/upgrade.log")
    box.dpkg("--purge appliance")
    assert "installed" not in box.status().split()[:1]
    assert box.left() == set()
    assert box.lost() == set()
    assert (
        box.machine.run(
            "getent passwd appliance; getent group appliance appliance-accounts", check=False
        ).out
        == ""
    )
    failed = box.machine.run("systemctl list-units --all --plain --no-legend 'appliance*'").out
    assert failed == ""


def test_it_can_be_installed_anew(box: Box) -> None:
    box.dpkg(f"-i {box.first}")
    assert box.machine.shows("ActiveState") == "active"
    box.machine.until(STATUS, holds="broker offline, idle")


def test_who_purges_it_while_all_that_can_be_switched_on_runs_keeps_nothing(box: Box) -> None:
    """Above all who invites the first phone: it is the daemon's user, which is taken away."""
    there = box.machine.run("dpkg -L appliance | sed -n 's,.*/systemd/system/,,p'").out.split()
    files = [one for one in there if "@" not in one]
    box.machine.run(f"systemctl enable --now {' '.join(files)}", check=False)
    box.machine.until("pgrep -u appliance -f welcome")
    box.dpkg("--purge appliance")
    assert box.left() == set()
    assert box.machine.run("getent passwd appliance", check=False).out == ""
    assert box.machine.run("systemctl list-units --all --plain --no-legend 'appliance*'").out == ""


def test_what_was_installed_by_hand_is_put_aside(box: Box) -> None:
    box.machine.put("/opt/appliance/pyvenv.cfg", "home = /usr/bin\n")
    box.machine.put("/opt/appliance/mine.py", "")
    assert "is moved to /opt/appliance.by-hand" in box.dpkg(f"-i {box.first}")
    assert box.machine.shows("ActiveState") == "active"
    assert box.machine.run("ls /opt/appliance.by-hand").out.split() == ["mine.py", "pyvenv.cfg"]
