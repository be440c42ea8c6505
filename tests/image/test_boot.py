"""What the image promises of a machine, seen in one that boots from it, in user mode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.build import image
from tests.image.card import Card
from tests.image.machine import BY_THE_CLOCK, OF_A_FIRST_START, CardMachine
from tests.image.pairing import paired, shown, words_of
from tests.image.parts_list import unlisted
from tests.lab.stock import CannotBuildHere
from tests.parts.need import skip_or_fail
from tests.parts.sandbox import UNIT, unit_for

pytestmark = pytest.mark.timeout(3600)

CARD_MB = 4096
ASKED_FOR_ACCOUNT = """
import socket
with socket.socket(socket.AF_UNIX) as line:
    line.connect("/run/appliance-accounts.sock")
    line.sendall(b'{"make": "alice"}\\n')
    print(line.makefile().readline())
"""
SENDS = """
import errno, socket
for address in ("127.0.0.1", "192.168.7.7", "203.0.113.7"):
    try:
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"whoever is there", (address, 9))
        print(address, "granted")
    except OSError as error:
        print(address, errno.errorcode[error.errno])
"""
IDENTITY = "cat /etc/machine-id /etc/ssh/ssh_host_*_key.pub"
CLOCK = "stat -c '%i %U' /var/lib/systemd/timesync/clock"
"""Where the last time that was known is noted, and whose that is."""
MADE = (
    "cat /etc/credstore/appliance.mqtt.password; for one in /var/lib/appliance/tls"
    " /etc/mosquitto/appliance; do openssl x509 -noout -fingerprint -sha256 -in $one/ca.crt; done"
)
"""At the first start, as first-start.txt has it."""
DOOR = """\
name = "front-door"
zone = "Asia/Kolkata"
[wifi]
name = "Müllers; Netz"
password = " in the house only"
country = "DE"
"""
ITS_CLOCK = "date -d @0 +%H:%M"
"""What it showed there when it was midnight in UTC."""
OWNERS = "/etc/systemd/system/appliance.service.d/mine.conf"


@pytest.fixture(scope="module")
def card() -> Path:
    try:
        return image("amd64")
    except CannotBuildHere as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="module")
def machine(card: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CardMachine]:
    """One for all, in the order of the file."""
    folder = tmp_path_factory.mktemp("machine")
    with CardMachine(folder / "one", card, user_mode=True, size_mb=CARD_MB) as one:
        up(one)
        yield one


def up(machine: CardMachine) -> None:
    """Wait until everything has started that starts."""
    machine.until("systemctl is-active multi-user.target appliance.service")


def test_it_comes_up_whole_from_slot_a(machine: CardMachine) -> None:
    assert machine.started is not None
    assert machine.started.partition == 2
    assert machine.check("systemctl is-system-running --wait").strip() == "running"
    assert machine.check("systemctl list-units --state=failed --plain --no-legend").strip() == ""
    assert "broker connected" in machine.until(
        "systemctl show -P StatusText appliance | grep 'broker connected, idle'"
    )
    assert machine.check("systemctl show -P NRestarts appliance").strip() == "0"
    root = machine.check("lsblk -no PARTLABEL $(findmnt -no SOURCE /)").strip()
    assert root == "system_a"


def test_what_says_which_slot_boots_has_its_length_from_the_first_start_on(
    card: Path, machine: CardMachine
) -> None:
    """An image has it shorter; a write that changes the length is more than one of a sector."""
    made, now = Card(card).read("bootconfig", "autoboot.txt"), machine.get("/bootfs/autoboot.txt")
    assert len(made) < len(now) == 256
    assert now.startswith(made)
    machine.check("sync -f /bootfs")
    assert machine.card.read("bootconfig", "autoboot.txt") == now


@pytest.mark.parametrize("path", ["/x", "/etc/x", "/usr/x", "/opt/appliance/x", "/boot/firmware/x"])
def test_the_system_is_only_read(machine: CardMachine, path: str) -> None:
    done = machine.run(f"touch {path}")
    assert not done.ok
    assert "Read-only file system" in done.out


def test_the_data_partition_fills_the_card(machine: CardMachine) -> None:
    machine.until("systemctl is-active appliance-grow.service")
    last = machine.card.partition("persistent")
    assert (CARD_MB << 20) - (last.begins + last.length) < 2 << 20
    size = int(machine.check("findmnt -bno SIZE /persistent"))
    assert size > last.length * 0.9
    assert int(machine.check("blockdev --getsize64 /dev/disk/by-slot/persistent")) == last.length


def test_what_is_written_there_is_little_and_on_the_data_partition(machine: CardMachine) -> None:
    data = machine.check("findmnt -nvo SOURCE /persistent").strip()
    for place in ("/var", "/var/lib/appliance", "/etc/appliance", "/etc/credstore", "/etc/ssh"):
        assert machine.check(f"findmnt -nvo SOURCE -T {place}").split("[")[0].strip() == data, place
    assert machine.run("ls /var/log/journal/*").code != 0, "the journal is in memory"
    assert "/run/log/journal" in machine.check("journalctl --header | grep 'File path'")


def test_nothing_is_done_by_the_clock_for_packages_that_never_change(machine: CardMachine) -> None:
    timers = machine.check("systemctl list-units --type timer --plain --no-legend | cut -d' ' -f1")
    assert set(timers.split()) == BY_THE_CLOCK


def test_the_card_is_told_what_is_free_on_the_partition_that_is_written(
    machine: CardMachine,
) -> None:
    machine.check("systemctl start fstrim.service")
    told = machine.check("journalctl -b -u fstrim.service -o cat --no-pager")
    assert re.search(r"(?m)^/persistent: .* trimmed on /dev/", told), told


def test_it_is_logged_in_to_over_the_network_alone(machine: CardMachine) -> None:
    assert machine.check("systemctl is-active ssh.service").strip() == "active"
    assert machine.check("systemctl list-units --plain --no-legend 'sshd-*.socket'").strip() == ""


def test_no_password_is_the_same_twice_for_there_is_none(machine: CardMachine) -> None:
    for line in machine.check("cat /etc/shadow").splitlines():
        name, password = line.split(":")[:2]
        assert password.startswith(("*", "!")), name


def test_a_new_one_shows_what_a_phone_needs_and_one_is_paired_by_it(machine: CardMachine) -> None:
    """Nobody has logged in: on the first terminal, on the console, and in the journal."""
    said = shown(machine)
    host = machine.check("cat /proc/sys/kernel/hostname").strip()
    assert re.fullmatch(r"appliance-[0-9a-f]{4}", host)
    assert f"its name: {host}.local" in machine.get("/etc/appliance/first-start.txt").decode()
    link, fingerprint = words_of(said)
    assert link.startswith(f"https://{host}.local:8443/#pair=")
    for screen in (machine.terminal(), machine.console()):
        assert link in screen
        assert fingerprint in screen
        assert f"https://{host}.local:8443/ca.crt" in screen
    assert len([line for line in said.split("\n") if re.search("[▀▄█]", line)]) > 40, "two codes"
    told = paired(machine, said)
    assert told["told"] == {"kid": told["kid"], "may": ["call", "answer"], "error": None}
    assert told["uid"] == "owner"
    assert told["kid"][:8] in machine.check("appliance contacts")
    assert "The first phone is paired: Owner." in machine.terminal()


def test_what_its_owner_looks_at_is_what_the_daemon_keeps(machine: CardMachine) -> None:
    """As root, whose home is only read and has nothing of it."""
    assert machine.check("appliance check-config").strip().endswith(": no faults")
    said = machine.run("appliance doctor").out
    assert "/root" not in said
    assert re.search(r"ok +state +/var/lib/appliance", said), said
    for part in ("device key", "authority"):
        assert re.search(rf"ok +{part} +(?!none yet)", said), said


def test_its_first_start_warns_of_nothing_but_what_this_machine_lacks(machine: CardMachine) -> None:
    said = machine.warned()
    assert said, "it has no pins, and tells"
    assert [one for one in said if not re.search(OF_A_FIRST_START, one)] == []


def test_without_its_authority_nobody_is_believed(machine: CardMachine) -> None:
    """The page and the broker are not believed by who does not trust the device."""
    asks = "openssl s_client -connect 127.0.0.1:{} -servername x -verify_return_error"
    trusts = f"{asks} -CAfile /var/lib/appliance/tls/ca.crt -verify_hostname $(hostname).local"
    for port in (8443, 8884):
        assert machine.run(f"{trusts.format(port)} < /dev/null").ok, port
        assert not machine.run(f"{asks.format(port)} < /dev/null").ok, port


def test_the_broker_follows_where_the_page_has_a_new_certificate(machine: CardMachine) -> None:
    page = "/var/lib/appliance/tls/page.pem"
    serial = "openssl x509 -noout -serial -in"
    before = machine.check(f"{serial} /etc/mosquitto/appliance/pages.pem")
    machine.check(f"rm {page}; systemctl restart appliance")
    now = machine.until(f"{serial} {page} 2> /dev/null")
    assert now != before
    meets = "openssl s_client -connect 127.0.0.1:8884 < /dev/null 2> /dev/null"
    machine.until(f"{meets} | openssl x509 -noout -serial", holds=now.strip())
    up(machine)


def test_its_broker_gives_the_daemon_accounts_for_phones_and_nobody_else(
    machine: CardMachine,
) -> None:
    """A drop-in and a socket that an owner cannot put there, for /etc is only read."""
    group = machine.check("getent group appliance-accounts").split(":")[2]
    daemon = "/proc/$(systemctl show -P MainPID appliance)/status"
    assert group in machine.check(f"grep Groups {daemon}").split()
    machine.put("/tmp/asked.py", ASKED_FOR_ACCOUNT)
    asks = "setpriv --reuid {} --regid {} --groups {} python3 /tmp/asked.py"
    given = machine.check(asks.format("appliance", "appliance", "appliance-accounts"))
    assert re.search(r'"password": "[^"]{16,}"', given), given
    assert "alice:" in machine.check("cat /etc/mosquitto/appliance/passwords")
    refused = machine.run(asks.format("nobody", "nogroup", "nogroup"))
    assert "PermissionError" in refused.out
    machine.check("appliance broker remove alice")
    # this kernel follows no connections, so what the rules do is seen elsewhere
    assert "connections.conf" in machine.check("systemctl show -P DropInPaths mosquitto")


def test_its_list_of_parts_has_what_is_installed(
    machine: CardMachine, card: Path, tmp_path: Path
) -> None:
    """Each of Debian's packages and of the appliance's own libraries, in the version that is there."""
    assert unlisted(machine, card, tmp_path / "bom.json") == set()


def test_another_machine_of_the_same_image_is_somebody_else(
    machine: CardMachine, card: Path, tmp_path: Path
) -> None:
    asked = f"{IDENTITY}; sha256sum < /var/lib/systemd/random-seed; {MADE}"
    name = machine.check("cat /proc/sys/kernel/hostname")
    machine.until("systemctl is-active stand-in-ssh-keys.service")
    mine = machine.check(asked).splitlines()
    assert len(mine) == 8, "an id, three keys, a seed, a password, two authorities"
    with CardMachine(tmp_path / "another", card, user_mode=True) as another:
        up(another)
        another.until("systemctl is-active stand-in-ssh-keys.service")
        theirs = another.check(asked).splitlines()
        assert another.check("cat /proc/sys/kernel/hostname") != name
    assert len(theirs) == 8
    # what a key has beside itself names its kind and the host, which are the same
    assert not {word for line in mine for word in line.split() if len(word) > 24} & {
        word for line in theirs for word in line.split() if len(word) > 24
    }


def test_what_it_keeps_outlives_a_restart(machine: CardMachine) -> None:
    before = machine.check(IDENTITY)
    machine.put("/etc/appliance/conf.d/name.toml", '[device]\nname = "Garden gate"\n')
    machine.check("echo kept > /var/lib/appliance/kept; sync")
    machine.restart()
    up(machine)
    assert machine.started is not None
    assert machine.started.partition == 2
    assert machine.check(IDENTITY) == before
    assert machine.check("cat /var/lib/appliance/kept") == "kept\n"
    assert "Garden gate" in machine.until("appliance status | grep 'Garden gate'")


def test_what_its_owner_wants_otherwise_is_so_after_the_next_start(machine: CardMachine) -> None:
    """By files: on the card, which any computer writes, and on the data partition."""
    mosquittos = "cd /etc/mosquitto/appliance && stat -c '%U %a' . passwords ca.key"
    whose = machine.check(mosquittos)
    assert whose == "mosquitto 700\nmosquitto 600\nroot 600\n"
    assert machine.check("id -u mosquitto appliance; id -g mosquitto appliance").split() == [
        *("872", "871", "872", "871")
    ]
    # as another build might have had it
    machine.check(
        "chown -R 4321:4321 /etc/mosquitto/appliance /var/lib/mosquitto; chmod 755 /etc/credstore"
    )
    machine.put(OWNERS, "[Service]\nEnvironment=DOOR=mine\n")
    device = machine.check("appliance status | grep -m1 '\"id\"'")
    before = machine.check(MADE)
    assert machine.check(ITS_CLOCK) == "00:00\n", "the image's own zone"
    machine.stop()
    door = machine.folder / "door.txt"
    door.write_text(DOOR, "utf-8-sig", newline="\r\n")
    machine.card.write("bootconfig", "door.txt", door)
    machine.power_on()
    up(machine)
    assert machine.check("cat /proc/sys/kernel/hostname /etc/hostname") == "front-door\n" * 2
    assert machine.check("getent hosts front-door").split()[0] == "127.0.1.1"
    assert machine.check("systemctl is-system-running --wait").strip() == "running"
    assert machine.run("ls /bootfs/door*").code != 0, "it has a password in it"
    assert machine.check("cat /etc/appliance/wifi-country") == "DE\n"
    # its zone is everybody's: programs', the daemon's in its sandbox, and systemd's own, for timers
    daemon = "nsenter --mount --target $(systemctl show -P MainPID appliance)"
    assert machine.check(f"{ITS_CLOCK}; {daemon} {ITS_CLOCK}") == "05:30\n" * 2
    machine.check("systemd-run --quiet --unit=night --on-calendar=03:00 true")
    assert "03:00:00 IST" in machine.check("systemctl show -P NextElapseUSecRealtime night.timer")
    machine.check("systemctl stop night.timer")
    assert machine.check("timedatectl show --property Timezone --value") == "appliance\n"
    machine.until("systemctl is-active NetworkManager")
    asked = "nmcli -s -g 802-11-wireless.ssid,802-11-wireless-security.psk connection show appliance-wifi"
    assert machine.check(asked).splitlines() == ["Müllers; Netz", " in the house only"]
    assert machine.check(mosquittos) == whose
    assert machine.check("stat -c %a /etc/credstore") == "700\n"
    assert "DOOR=mine" in machine.check("systemctl show -P Environment appliance")
    assert machine.check("systemctl show -P NRestarts appliance").strip() == "0"
    machine.until("systemctl show -P StatusText appliance | grep 'broker connected'")
    # what phones are told has the new name, and what they trust is the same
    network = machine.get("/etc/appliance/conf.d/10-first-start.toml").decode()
    assert "wss://front-door.local:8884/" in network
    assert machine.check("appliance status | grep -m1 '\"id\"'") == device
    assert machine.check(MADE).splitlines()[1:] == before.splitlines()[1:]
    trusts = "-CAfile /var/lib/appliance/tls/ca.crt -verify_hostname front-door.local"
    for port in (8443, 8884):
        words = f"openssl s_client -connect 127.0.0.1:{port} -verify_return_error {trusts}"
        machine.until(f"{words} < /dev/null")


def test_what_is_wrong_on_the_card_is_told_there(machine: CardMachine) -> None:
    machine.stop()
    door = machine.folder / "door.txt"
    door.write_text('name = "Front door"\n')
    machine.card.write("bootconfig", "door.txt", door)
    machine.power_on()
    up(machine)
    assert machine.get("/bootfs/door.txt") == door.read_bytes()
    assert "door.txt: " in machine.get("/bootfs/door-faults.txt").decode()
    assert "this was not taken" in machine.console()
    assert machine.check("cat /proc/sys/kernel/hostname") == "front-door\n"
    machine.check("rm /bootfs/door*")


def test_tryboot_is_for_once_and_has_the_same_data(machine: CardMachine) -> None:
    before, clock = machine.check(IDENTITY), machine.check(CLOCK)
    assert clock.split()[1] == "systemd-timesync"
    machine.restart("0 tryboot")
    up(machine)
    assert machine.started is not None
    assert machine.started.partition == 3
    assert machine.check("lsblk -no PARTLABEL $(findmnt -no SOURCE /)").strip() == "system_b"
    assert machine.check(IDENTITY) == before
    assert machine.check(CLOCK) == clock, "one on trial knows how late it is by the other"
    assert machine.check("cat /var/lib/appliance/kept") == "kept\n"
    assert machine.check(ITS_CLOCK) == "05:30\n"
    machine.cut()
    machine.power_on()
    up(machine)
    assert machine.started.partition == 2


def test_a_system_that_cannot_be_used_starts_anew_by_itself(machine: CardMachine) -> None:
    """Nobody sits before it: and one on trial would be left for the one before it."""
    machine.start("systemctl isolate emergency.target", 30)
    told = machine.ended()
    assert told is not None
    machine.power_on(told)
    up(machine)


def test_one_for_the_house_alone_sends_to_nobody_else(machine: CardMachine) -> None:
    """By the kernel's own filter (systemd.resource-control(5)), whatever becomes of the daemon."""
    lan_only = (UNIT.parent / "appliance-lan-only.conf").read_text()
    machine.put("/run/sends", SENDS)
    machine.check("for one in 192.168.7.8 203.0.113.8; do ip address add $one/24 dev lo; done")
    for name, more in ("any", ""), ("house", lan_only):
        unit = unit_for("/usr/bin/python3 /run/sends", UNIT.read_text() + more)
        machine.put(f"/run/systemd/system/{name}.service", unit)
        machine.check(f"systemctl daemon-reload; systemctl start {name}; journalctl --sync")
    said = {
        name: machine.check(f"journalctl -u {name} -o cat | grep -E '[0-9.]+ (granted|E)'").split()
        for name in ("any", "house")
    }
    ways = ["127.0.0.1", "192.168.7.7", "203.0.113.7"]
    assert said["any"] == [word for way in ways for word in (way, "granted")]
    assert said["house"] == [*said["any"][:-1], "EPERM"]
    machine.check("for one in 192.168.7.8 203.0.113.8; do ip address del $one/24 dev lo; done")
    # they have had the folder of its socket, and taken it along
    machine.check("systemctl restart appliance")
    up(machine)


def test_what_it_keeps_of_people_is_deleted_where_its_owner_says_so(machine: CardMachine) -> None:
    assert machine.check("ls /var/lib/appliance/contacts.toml")
    assert "systemctl stop appliance first" in machine.run("appliance erase --yes").out
    machine.check("systemctl stop appliance && appliance erase --yes")
    assert not machine.run("ls /var/lib/appliance/contacts.toml").ok
