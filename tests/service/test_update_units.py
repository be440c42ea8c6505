"""The units of updates under a real systemd: in their sandbox they do what they are for, and see all of it.

RAUC and the firmware are on paper; the handler, the judge and the doctor are those of an image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import pytest

from tests.parts.booted import Machine, booted
from tests.parts.mosquitto import free_port
from tests.parts.sandbox import unit_for
from tests.updating.bundles import UPDATE

UNITS = UPDATE / "units"
CONFIG = """
[device]
id = "front-door"
board = "simulated"
[mqtt]
port = {port}
[cameras.front]
device = "test-card"
[audio.speaker]
playback = "silence"
capture = "tone"
"""
HANDLER = "/usr/lib/appliance/slots"
PROC = "/opt/pi/proc"
PAPER = (
    f"[Service]\nEnvironment=APPLIANCE_PROC={PROC} APPLIANCE_SYS=/opt/pi/sys APPLIANCE_TRIAL_S=0\n"
)
RAUC = f"""#!/bin/sh
case $2 in mark-good) state=good ;; *) state=bad ;; esac
exec {HANDLER} set-state "$({HANDLER} get-current)" $state
"""
"""As RAUC does, for `rauc status mark-..`: it is asked for nothing else here."""
SYSTEMCTL = '#!/bin/sh\necho "$@" >> /persistent/asked\n'
FOUND = "/run/appliance-update/found"
LOOK = (
    "import json; from appliance.updating import wellness;"
    f" open('{FOUND}', 'w').write(json.dumps(wellness.troubles()))"
)
"""What an update notes before, and looks at afterwards."""
RUN = f'/opt/appliance/bin/python -c "{LOOK}"'


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    files = {
        "/etc/appliance/appliance.toml": CONFIG.format(port=free_port()),
        "/usr/local/bin/rauc": RAUC,
        "/usr/local/bin/systemctl": SYSTEMCTL,
        HANDLER: (UPDATE / "slots").read_text(),
        f"{PROC}/mounts": "",
        f"{PROC}/self/mountinfo": "",
        "/opt/pi/sys/none": "",
        "/bootfs/none": "",
        "/persistent/none": "",
    }
    for unit in UNITS.glob("*.service"):
        files[f"/etc/systemd/system/{unit.name}"] = unit.read_text()
        files[f"/etc/systemd/system/{unit.name}.d/paper.conf"] = PAPER
    files["/etc/systemd/system/appliance-update-trial.service.d/paper.conf"] += (
        "[Unit]\nFailureAction=none\n"
    )
    with booted(tmp_path_factory.mktemp("booted"), files) as one:
        one.run("systemctl start appliance")
        one.until("test -S /run/appliance/appliance.sock && echo there")
        yield one


def runs(machine: Machine, slot: str, *, other: str) -> None:
    """It was started from this slot; the default one is A."""
    machine.put(f"{PROC}/cmdline", f"quiet rauc.slot={slot}\n")
    machine.put(
        "/bootfs/autoboot.txt",
        "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"
        f"[none]\nother={other}\n",
    )


def told(machine: Machine) -> Mapping[str, str]:
    lines = machine.read("/run/appliance-update/slots").splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture(scope="module")
def outside(machine: Machine) -> Mapping[str, str]:
    """What does not work on it, for who is in no sandbox."""
    machine.run(f"mkdir -p /run/appliance-update && {RUN}")
    found: Mapping[str, str] = json.loads(machine.read(FOUND))
    return found


def test_each_start_settles_what_was_tried(machine: Machine) -> None:
    runs(machine, "A", other="tried")
    machine.run("systemctl start appliance-update-settle")
    assert (told(machine)["other"], told(machine)["fell_back"]) == ("failed", "yes")
    assert "\nother=failed" in machine.read("/bootfs/autoboot.txt")
    assert machine.run("stat -c '%U %a' /persistent/rauc").out == "root 700\n"


@pytest.mark.parametrize(
    "unit",
    [
        "appliance-update-look.service",
        "appliance-update@.service",
        "appliance-update-trial.service",
    ],
)
def test_no_sandbox_hides_from_the_doctor_what_the_daemon_has(
    machine: Machine, outside: Mapping[str, str], unit: str
) -> None:
    """Or a note would say of a camera that it did not work before, and a good update would be left."""
    text = (UNITS / unit).read_text().replace("=socket\n", "=null\n")
    text = re.sub(r"(?m)^(ExecCondition|FailureAction|Type)=.*\n", "", text)
    text = text.replace("[Service]\n", "[Service]\nType=oneshot\n")
    machine.put("/run/systemd/system/looks.service", unit_for(RUN, text))
    machine.run(f"rm {FOUND}; systemctl daemon-reload && systemctl start looks")
    assert json.loads(machine.read(FOUND)) == outside
    assert "broker" in outside
    assert "appliance" not in outside, "the daemon runs"


def test_the_judge_leaves_what_is_worse_and_keeps_what_is_not(
    machine: Machine, outside: Mapping[str, str]
) -> None:
    machine.run("systemctl start appliance-update-settle")
    runs(machine, "B", other="tried")
    machine.run("rm -f /persistent/asked; systemctl start appliance-update-trial", check=False)
    assert machine.read("/persistent/asked") == "reboot\n"
    runs(machine, "A", other="tried")
    machine.run("systemctl restart appliance-update-settle")
    assert "broker: the broker is offline" in told(machine)["why"]
    note = {"version": "9.0", "troubles": dict(outside)}
    machine.put("/persistent/rauc/before.json", json.dumps(note))
    runs(machine, "B", other="tried")
    machine.run("systemctl start appliance-update-trial")
    assert (told(machine)["default"], told(machine)["other"]) == ("B", "good")
    assert machine.read("/persistent/asked") == "reboot\n"
