"""The unit under a real systemd as PID 1: what it tells, what it survives, what it grants and denies."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import paho.mqtt.subscribe as subscribe
import pytest

from tests.parts.booted import Machine, booted
from tests.parts.mosquitto import Mosquitto, free_port, mosquitto
from tests.parts.pen import read
from tests.parts.phone import phone
from tests.parts.sandbox import DEVICES, ROWS, UNIT, probed, unit_for

__all__ = ["mosquitto"]

CONFIG = """
[device]
id = "front-door"
name = "Front door"
board = "{board}"
[mqtt]
port = {mqtt_port}
password_file = "$CREDENTIALS_DIRECTORY/mqtt.password"
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
[relays.door]
pin = "GPIO18"
[cameras.front]
device = "test-card"
[audio.speaker]
playback = "silence"
capture = "tone"
[http]
port = {http_port}
[plugins]
modules = [{plugins}]
"""
FILE = "/etc/appliance/appliance.toml"
# in a container systemd may not set its loopback up, and warns of that each time
NO_LOOPBACK = {
    "/etc/systemd/system/appliance-journal.service.d/test.conf": "[Service]\nPrivateNetwork=no\n"
}

HANGS = '''
"""Holds the loop up for good, once somebody says so, and lets the watchdog notice at once."""

import asyncio
import time
from pathlib import Path

from appliance.service import systemd


async def wait_for_the_word():
    while not Path("/run/appliance/hang").exists():
        await asyncio.sleep(0.05)
    systemd.notify("WATCHDOG_USEC=200000")
    time.sleep(600)


def setup(session):
    global task  # kept, or it is collected
    task = asyncio.get_running_loop().create_task(wait_for_the_word())
'''
PASSWORD = "not-to-be-seen"
SOMEBODY = "setpriv --reuid nobody --regid nogroup"


def config(mqtt_port: int, board: str = "simulated", plugins: str = '"hanging"') -> str:
    return CONFIG.format(board=board, mqtt_port=mqtt_port, http_port=free_port(), plugins=plugins)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    files = {
        FILE: config(free_port()),
        "/etc/systemd/system/appliance.service.d/alone.conf": "[Service]\nPrivateNetwork=yes\n",
        "/etc/credstore/appliance.mqtt.password": PASSWORD,
        "/etc/appliance/hooks.d/call_ended": "#!/bin/sh\n",
        "/opt/appliance/plugins/hanging.py": HANGS,
        **NO_LOOPBACK,
    }
    with booted(tmp_path_factory.mktemp("booted"), files) as one:
        yield one


@pytest.fixture
def alone(machine: Machine) -> Machine:
    """It runs without any network; the same one for several tests, which find out how it is."""
    machine.begin()
    machine.run("systemctl start appliance")
    machine.until("test -S /run/appliance/appliance.sock && echo there")
    return machine


@pytest.fixture
def stopped(machine: Machine) -> Iterator[Machine]:
    """It does not run; and does not afterwards, with the network and the configuration that it had."""
    machine.as_shipped()
    machine.begin()
    yield machine
    machine.as_shipped()
    machine.put(FILE, config(free_port()))


# -------------------- what it grants and denies


@pytest.fixture(scope="module")
def found(machine: Machine) -> Mapping[str, str]:
    return probed(machine)


@pytest.mark.parametrize("attempt", ROWS)
def test_what_the_sandbox_grants_and_denies(
    attempt: str, found: Mapping[str, str], machine: Machine
) -> None:
    if attempt in DEVICES and not machine.controls("devices"):
        pytest.skip("this kernel lets no container control devices: the lab's own does")
    assert found[attempt] == ROWS[attempt]


def test_every_attempt_has_its_row(found: Mapping[str, str]) -> None:
    assert found.keys() == ROWS.keys()


def test_a_secret_may_be_encrypted_to_this_machine(machine: Machine) -> None:
    shown = "/bin/sh -c 'cat $CREDENTIALS_DIRECTORY/mqtt.password > $STATE_DIRECTORY/shown'"
    encrypted = "LoadCredentialEncrypted=mqtt.password:appliance.mqtt.password\n"
    machine.run(
        "mkdir -p /etc/credstore.encrypted && printf other | systemd-creds encrypt --with-key=host"
        " --name=mqtt.password - /etc/credstore.encrypted/appliance.mqtt.password"
    )
    machine.put("/run/systemd/system/shows.service", unit_for(shown))
    machine.put("/run/systemd/system/shows.service.d/test.conf", f"[Service]\n{encrypted}")
    machine.run("systemctl daemon-reload && systemctl start shows")
    assert machine.read("/var/lib/appliance/shown") == "other"


# -------------------- what it tells, and what it survives


def test_it_is_ready_without_any_network(alone: Machine) -> None:
    """Buttons are answered; that there is no broker is told."""
    assert alone.shows("ActiveState") == "active"
    assert alone.shows("WatchdogUSec") == "30s"
    alone.until("systemctl show -P StatusText appliance", holds="broker offline")
    alone.run("/opt/appliance/bin/appliance press call")
    alone.until("/opt/appliance/bin/appliance events", holds="call_button_clicked")
    ordered = [alone.shows(name) for name in ("After", "Wants", "Requires")]
    waits = [name for name in " ".join(ordered).split() if re.match("network|time|sound|nss", name)]
    assert waits == []


def test_a_secret_is_for_the_service_alone(alone: Machine) -> None:
    secret = "/run/credentials/appliance.service/mqtt.password"
    assert alone.read(secret) == PASSWORD
    nobody = alone.run(f"{SOMEBODY} --clear-groups cat {secret}", check=False)
    assert (nobody.code, PASSWORD in nobody.out) == (1, False)
    environ = alone.run("cat /proc/$(systemctl show -P MainPID appliance)/environ").out
    assert "CREDENTIALS_DIRECTORY" in environ
    assert PASSWORD not in environ


def test_who_may_use_the_local_socket(alone: Machine) -> None:
    """Whom the owner has put into the group, and nobody else."""
    ask = "/opt/appliance/bin/appliance status"
    assert '"front-door"' in alone.run(f"{SOMEBODY} --groups appliance {ask}").out
    refused = alone.run(f"{SOMEBODY} --clear-groups {ask}", check=False)
    assert refused.code == 1
    assert "group" in refused.out
    mode = alone.run("stat -c '%A %U %G' /run/appliance/appliance.sock").out
    assert mode.split() == ["srw-rw----", "appliance", "appliance"]


def test_who_is_killed_is_back_and_tells_what_does_not_work(alone: Machine) -> None:
    """This time it is to drive pins, of which there are none: it answers, and tries them again."""
    alone.put(FILE, config(free_port(), board="pi"))
    before, restarts = alone.shows("MainPID"), int(alone.shows("NRestarts"))
    alone.run(f"kill -9 {before}")
    alone.until("systemctl show -P NRestarts appliance", holds=str(restarts + 1))
    alone.until("systemctl is-active appliance", holds="active")
    alone.until("/opt/appliance/bin/appliance status", holds='"front-door"')
    alone.until("systemctl show -P StatusText appliance", holds="does not work: gpio_unavailable")
    assert alone.shows("MainPID") not in ("0", before)
    assert "Control process exited" not in alone.journal(), "what releases the outputs has failed"


def test_what_hangs_is_ended_and_started_anew(alone: Machine) -> None:
    """And where it hung stands in the journal."""
    before, restarts = alone.shows("MainPID"), int(alone.shows("NRestarts"))
    alone.run("touch /run/appliance/hang")
    alone.until("systemctl show -P NRestarts appliance", holds=str(restarts + 1))
    alone.until("systemctl is-active appliance", holds="active")
    assert alone.shows("MainPID") not in ("0", before)
    told = alone.journal()
    for sentence in ("Watchdog timeout", "signal SIGABRT", "in wait_for_the_word", "'watchdog'"):
        assert sentence in told


def test_a_fault_of_the_configuration_is_told_once(stopped: Machine) -> None:
    """It does not mend itself, so nothing is tried again; and it stands in the journal."""
    stopped.put(FILE, "[device]\nid = 7\n")
    assert stopped.run("systemctl start appliance", check=False).code != 0
    ended = [stopped.shows(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")]
    assert ended == ["failed", "78", "0"]
    assert "device.id" in stopped.journal()


async def test_a_stop_in_a_call_is_polite(stopped: Machine, mosquitto: Mosquitto) -> None:
    """The other side is told by a message, and the broker too; nothing has to be killed."""

    async def status(holds: str) -> None:
        await asyncio.to_thread(
            stopped.until, "systemctl show -P StatusText appliance", holds=holds
        )

    stopped.put(FILE, config(mosquitto.port))
    await asyncio.to_thread(stopped.run, "systemctl start appliance")
    async with phone("alice", "127.0.0.1", mosquitto.port) as alice:
        await status("broker connected, idle")
        await alice.call("ab" * 16)
        await alice.hear("ringing")
        await asyncio.to_thread(stopped.run, "/opt/appliance/bin/appliance ctl accept_call")
        await alice.connected()
        await status("broker connected, connected")
        began_s = time.monotonic()
        await asyncio.to_thread(stopped.run, "systemctl stop appliance")
        print(f"a stop in a call took {time.monotonic() - began_s:.2f} s")  # noqa: T201 - a figure
        await alice.hear("end")
    presence = await asyncio.to_thread(
        subscribe.simple, "appliance/presence/front-door/+", port=mosquitto.port
    )
    assert json.loads(read(bytes(presence.payload)))["state"] == "offline"
    told = stopped.journal()
    assert "Deactivated successfully" in told
    assert "SIGKILL" not in told


def test_warnings_are_kept_over_a_restart_and_written_once(machine: Machine) -> None:
    kept = "/var/lib/appliance-journal/$(tr -d - < /proc/sys/kernel/random/boot_id).log"
    machine.run("systemctl start appliance-journal")
    machine.run("echo the lamp is out | systemd-cat --priority=warning")
    machine.run("echo all is well | systemd-cat --priority=info")
    machine.run("journalctl --sync && systemctl start appliance-journal-hour")
    told = machine.until(f"cat {kept}", holds="the lamp is out")
    assert "all is well" not in told
    machine.run("systemctl restart appliance-journal")
    written = machine.run(f"stat -c %i.%Y {kept}").out
    machine.run("systemctl restart appliance-journal")
    assert machine.run(f"stat -c %i.%Y {kept}").out == written
    assert machine.run("ls /var/log/journal/*/*", check=False).code != 0, "the card is spared"


WARNS = """
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStop=/bin/sh -c 'echo "<4>the lamp went out with me"; journalctl --sync'
"""
MOUNT = """
[Unit]
Before=local-fs.target
Conflicts=umount.target
[Mount]
Type=none
Options=bind
"""


def test_what_is_warned_of_last_is_kept_where_an_image_keeps_it(tmp_path: Path) -> None:
    """Behind two mounts of units' own, as on image-rota's data partition: both end with the system."""
    var, shared = "var.mount", "var-lib-private-appliance\\x2djournal.mount"
    folder = "var/lib/private/appliance-journal"
    units = {
        var: f"{MOUNT}What=/persistent/slot/var\nWhere=/var\n",
        shared: f"{MOUNT}What=/persistent/shared/{folder}\nWhere=/{folder}\n"
        "[Unit]\nRequires=var.mount\nAfter=var.mount\n",
        "warns.service": WARNS,
    }
    kept = tmp_path / "kept"
    for each in ("slot", "shared"):
        (kept / each / folder).mkdir(parents=True)
        (kept / each / folder).parent.chmod(0o700)
    files = {f"/etc/systemd/system/{name}": text for name, text in units.items()}
    with booted(tmp_path, {**files, **NO_LOOPBACK}, kept=kept) as one:
        one.run(f"systemctl start {var} '{shared}' && systemctl start appliance-journal warns")
        one.run("systemctl poweroff --no-block", check=False)
        one.ends()
    [file] = (kept / "shared" / folder).glob("*.log")
    assert "the lamp went out with me" in file.read_text()


# -------------------- limits, and a drop-in


def test_the_first_phone_is_invited_in_the_log_and_no_longer_than_somebody_invites(
    stopped: Machine,
) -> None:
    """Within its own sandbox it reaches the daemon's socket, and writes down a link that ends with it."""
    drop_in = "/etc/appliance/conf.d/first.toml"
    stopped.put(drop_in, '[mqtt]\nwebsocket_url = "ws://localhost:8083/"\n')
    stopped.run("systemctl start appliance && systemctl start appliance-welcome")
    said = stopped.until("journalctl --no-pager -o cat -t appliance-welcome | grep -m 1 '#pair='")
    assert re.match(r"http://(localhost|127.0.0.1):\d+/#pair=\w", said)
    told = stopped.run("journalctl --no-pager -o cat -t appliance-welcome").out
    assert "Front door waits for its first phone" in told
    assert "may: call, answer." in told
    stopped.run("systemctl stop appliance-welcome")
    assert stopped.run("systemctl show -P Result appliance-welcome").out.strip() == "success"
    # nobody may read it but who may read the journal
    look = "--clear-groups journalctl --no-pager -t appliance-welcome"
    assert "#pair=" not in stopped.run(f"{SOMEBODY} {look}", check=False).out
    stopped.run(f"rm {drop_in}")


# -------------------- what those who help are kept from

LOOK = """#!/bin/sh
for each in "$@"; do
  grep -qs secret "$each/kept" "$each" && echo "read $each"
  ( : > "$each/written" ) 2> /dev/null && rm "$each/written" && echo "write $each"
done
exit 0
"""
OF_NOBODY = ("/etc/theirs", "/usr/theirs")
HIDDEN = (
    *("/etc/shadow-", "/etc/ssl/private", "/etc/credstore", "/etc/mosquitto/appliance", "/root"),
    *("/var/log", "/var/lib/mosquitto", "/persistent/shared/etc/credstore", "/home/alice"),
)
NETWORKS, CARD = "/etc/NetworkManager/system-connections", "/bootfs"
OVERLAY = UNIT.parents[1] / "image-build/layer/appliance.rootfs-overlay/usr/lib/systemd/system"


def seen(machine: Machine, unit: str) -> set[str]:
    """What can be read and written of all this by who is root, or passes over who may, in this unit."""
    places = (*OF_NOBODY, *HIDDEN, NETWORKS, CARD, "/etc/appliance")
    machine.run(
        "umask 077; echo secret > /etc/shadow-; for each in"
        f" {' '.join(places)}; do [ -f $each ] || (mkdir -p $each; echo secret > $each/kept); done"
    )
    machine.put("/opt/look", LOOK, 0o755)
    text = unit if "\nType=" in unit else unit.replace("[Service]\n", "[Service]\nType=oneshot\n")
    text = text.replace("RemainAfterExit=yes\n", "")
    words = f"/opt/look {' '.join(places)}"
    machine.put("/run/systemd/system/looks.service", unit_for(words, text))
    machine.begin()
    machine.run("systemctl daemon-reload && systemctl start looks")
    assert machine.shows("Result", "looks") == "success"
    told = machine.journal("looks")
    machine.run("rm -f " + " ".join(f"{one}/kept" for one in places if one != "/etc/shadow-"))
    return set(re.findall(r"(?m)(?:read|write) /\S+$", told))


def test_who_invites_reads_no_secret_whoever_it_belongs_to(machine: Machine) -> None:
    unit = (UNIT.parent / "appliance-welcome.service").read_text()
    reads = {f"read {one}" for one in (*OF_NOBODY, "/etc/appliance")}
    assert seen(machine, unit) == reads, "it may open any terminal, and so any file that it finds"
    bare = re.sub(r"(?m)^(InaccessiblePaths|ProtectHome)=.*\n", "", unit)
    assert seen(machine, bare) >= reads | {f"read {one}" for one in (*HIDDEN, NETWORKS, CARD)}


@pytest.fixture
def card(machine: Machine) -> Iterator[Machine]:
    """With a first partition, and a folder of the one that outlives updates, as an image has them."""
    shared = f"/persistent/shared{NETWORKS}"
    machine.run(f"mkdir -p {CARD} {NETWORKS} {shared} && mount -t tmpfs tmpfs {CARD}")
    machine.run(f"mount --bind {shared} {NETWORKS}")
    machine.put(
        f"{CARD}/door.txt", 'name = "gate"\nzone = "Etc/UTC"\n[wifi]\nname = "x"\ncountry = "DE"\n'
    )
    yield machine
    machine.run(
        f"systemctl stop appliance-card; umount {CARD} {NETWORKS}; rm -r {shared}"
        " /etc/appliance/hostname /etc/appliance/zone /etc/appliance/wifi-country",
        check=False,
    )


def test_what_reads_the_card_as_root_reaches_nothing_else(card: Machine) -> None:
    places = (NETWORKS, CARD, "/etc/appliance")
    own = {f"{what} {one}" for what in ("read", "write") for one in places}
    unit = (OVERLAY / "appliance-card.service").read_text()
    assert seen(card, unit) == own | {f"read {one}" for one in OF_NOBODY}


def test_what_is_on_the_card_is_taken_within_that_sandbox(card: Machine) -> None:
    card.put(f"{CARD}/office.nmconnection", "[connection]\nid=office\n")
    card.put(f"{CARD}/door.toml", f"x = {'1' * 5000}\n")
    unit = (OVERLAY / "appliance-card.service").read_text()
    card.put("/run/systemd/system/appliance-card.service", unit)
    card.run("chown appliance /etc/appliance && systemctl daemon-reload")
    card.begin()
    card.run("systemctl start appliance-card")
    assert card.shows("Result", "appliance-card") == "success"
    assert card.run(f"ls {CARD}").out.split() == ["door-faults.txt", "door.toml"]
    assert "door.toml: has a number that is too long" in card.read(f"{CARD}/door-faults.txt")
    assert card.read("/etc/appliance/hostname") == "gate\n"
    assert card.read("/etc/appliance/zone") == "Etc/UTC\n"
    assert card.run("stat -c %U /etc/appliance/hostname").out == "appliance\n"
    kept = card.run(f"stat -c '%U %a %n' {NETWORKS}/*").out.split("\n")
    assert [line.rpartition("/")[2] for line in kept[:-1]] == [
        "appliance-wifi.nmconnection",
        "office.nmconnection",
    ]
    assert all(line.startswith("root 600 ") for line in kept[:-1])
    card.run("chown root /etc/appliance")


def test_who_starts_no_end_of_threads_is_stopped(machine: Machine) -> None:
    if not machine.controls("pids"):
        pytest.skip("this kernel lets no container limit processes: the lab's own does")
    text = UNIT.read_text().replace("TasksMax=200", "TasksMax=20")
    assert "TasksMax=20\n" in text
    name = "start two hundred threads"
    assert probed(machine, text, f"'{name}'") == {name: "RuntimeError: can't start new thread"}


def test_who_grows_without_end_is_ended(machine: Machine) -> None:
    if not machine.controls("memory"):
        pytest.skip("this kernel lets no container limit memory: the lab's own does")
    text = UNIT.read_text().replace("MemoryMax=600M", "MemoryMax=60M")
    assert "MemoryMax=60M\n" in text
    grows = "/opt/appliance/bin/python -c 'held = bytearray(200_000_000)'"
    machine.put("/run/systemd/system/grows.service", unit_for(grows, text))
    machine.run("systemctl daemon-reload")
    assert machine.run("systemctl start grows", check=False).code != 0
    assert machine.shows("Result", "grows") in ("oom-kill", "signal")
    assert machine.shows("ExecMainStatus", "grows") == "9"


def test_a_screen_s_devices_are_its_drop_in_s(machine: Machine) -> None:
    if not machine.controls("devices"):
        pytest.skip("this kernel lets no container control devices: the lab's own does")
    text = UNIT.read_text() + (UNIT.parent / "appliance-screen.conf").read_text()
    found = probed(machine, text, "'open a keyboard' 'open a terminal'")
    assert found == {"open a keyboard": "granted", "open a terminal": "EPERM"}
