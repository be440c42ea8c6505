"""A distribution is upgraded under the package: Debian 12 becomes Debian 13, and its Python another.

By apt as it is, and nothing else: the package is told of the other Python (its trigger), and has what that
needs. `make deb-test` runs this; it fetches what Debian 13 has newer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.archive import PATIENT
from tests.packaging.systems import BOOKWORM, TRIXIE, built, root
from tests.packaging.test_life import CONFIG, FILE, STATUS
from tests.parts.booted import Machine, booted
from tests.parts.mosquitto import free_port
from tests.parts.need import program

pytestmark = pytest.mark.timeout(1800)

APT = " ".join(
    [
        "DEBIAN_FRONTEND=noninteractive apt-get --yes -o APT::Sandbox::User=root",
        "-o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io",
        *(f"-o {one}" for one in PATIENT),
    ]
)
PYTHON = "readlink /proc/$(systemctl show -P MainPID appliance)/exe"
LIBRARIES = (
    "import aiortc, alsaaudio, av, cryptography, livekit.rtc, msgspec, numpy, PIL.Image, sdl2, sys;"
    "print(sys.version_info[:2], numpy.__version__, numpy.__file__)"
)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what the machine gets from outside, and has at the same place: both packages."""
    program("dpkg-deb", "dpkg")
    folder = tmp_path_factory.mktemp("next") / "given"
    folder.mkdir()
    for system in (BOOKWORM, TRIXIE):
        (folder / f"{system.suite}.deb").write_bytes(built(system).read_bytes())
    return folder


@pytest.fixture(scope="module")
def machine(given: Path) -> Iterator[Machine]:
    """A Debian 12 with the package, configured."""
    with (
        root(BOOKWORM, given.parent, bootstrapped=True) as under,
        booted(given.parent, bare=True, root=under) as one,
    ):
        one.put("/etc/resolv.conf", Path("/etc/resolv.conf").read_text())
        one.run(f"{APT} install {given}/bookworm.deb")
        one.put(FILE, CONFIG.format(mqtt_port=free_port(), http_port=free_port()))
        one.run("systemctl restart appliance")
        one.until(STATUS, holds="idle")
        yield one


def libraries(machine: Machine) -> str:
    """What its Python is, and which numpy it has."""
    environ = "PYSDL2_DLL_PATH="
    return machine.run(f'{environ} /opt/appliance/bin/python -W ignore -c "{LIBRARIES}"').out


def rings(machine: Machine) -> bool:
    """Press the bell: a call begins, and is taken back."""
    machine.until("appliance press call && echo pressed", holds="pressed")
    began = machine.until("appliance status", holds="outgoing")
    machine.run("appliance ctl end_call")
    machine.until("appliance status", holds='"call": null')
    return bool(began)


def test_it_runs_on_the_python_of_before(machine: Machine) -> None:
    assert machine.run(PYTHON).out.strip().endswith(f"python{BOOKWORM.python}")
    assert "(3, 11) 1." in libraries(machine)
    assert rings(machine)


def test_it_rings_on_when_the_distribution_is_upgraded(machine: Machine) -> None:
    """Nothing is to be done for it: it has not been removed, and was started anew on the other Python."""
    mine = machine.read(FILE)
    kept = machine.run("cat /var/lib/appliance/device.key | sha256sum").out
    machine.run("sed -i s/bookworm/trixie/ /etc/apt/sources.list")
    machine.run(f"{APT} update")
    told = machine.run(f"{APT} full-upgrade").out
    assert "appliance: it is started anew with python3.13" in told, told[-3000:]
    state = "dpkg-query -W -f '${db:Status-Status} ${Version}' appliance"
    status = machine.run(state).out
    assert status.startswith("installed "), told[-3000:]
    assert status.endswith("+deb12")
    machine.until(STATUS, holds="idle")
    assert machine.run(PYTHON).out.strip().endswith(f"python{TRIXIE.python}")
    assert "(3, 13) 2." in libraries(machine)
    assert machine.read(FILE) == mine
    assert machine.run("cat /var/lib/appliance/device.key | sha256sum").out == kept
    assert rings(machine)


def test_what_was_python_before_is_not_needed_any_more(machine: Machine) -> None:
    """As `apt autoremove` takes it away."""
    told = machine.run(f"{APT} autoremove --purge").out
    assert "Removing python3.11" in told
    assert machine.run("ls /usr/bin/python3.11", check=False).code
    machine.run("systemctl restart appliance")
    machine.until(STATUS, holds="idle")
    assert rings(machine)


def test_the_package_of_the_newer_system_is_an_upgrade(machine: Machine, given: Path) -> None:
    """It leaves nothing of the other Python's behind."""
    machine.run(f"{APT} install {given}/trixie.deb")
    machine.until(STATUS, holds="idle")
    assert machine.run("ls /opt/appliance/lib").out.split() == [f"python{TRIXIE.python}"]
    assert "(3, 13) 2." in libraries(machine)
    assert rings(machine)
