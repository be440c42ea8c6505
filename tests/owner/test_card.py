"""What an owner has written on the card: taken once, or told what is wrong with it."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from configparser import RawConfigParser
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.errors import ConfigError
from appliance.owner.card import Taken, Wifi, keyfile, read

ROOT = Path(__file__).parents[2]
DOOR = """\
name = "front-door"
zone = "Europe/Berlin"

[wifi]
name = "Müllers; Netz"
password = "in the house only"
country = "DE"
"""


@dataclass
class Machine:
    folder: Path
    said: list[str] = field(default_factory=list)

    @property
    def card(self) -> Path:
        return self.folder / "card"

    def takes(self) -> int:
        return Taken(self.folder / "etc", self.folder / "nm", self.said.append).take(self.card)

    def connection(self, name: str) -> RawConfigParser:
        parser = RawConfigParser(delimiters="=")
        parser.read_string((self.folder / "nm" / name).read_text("utf-8"))
        return parser


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in ("card", "etc"):
        (tmp_path / name).mkdir()
    (tmp_path / "card" / "autoboot.txt").write_text("[all]\n")
    return Machine(tmp_path)


def test_the_documents_own_file_is_taken_as_it_stands(machine: Machine) -> None:
    document = (ROOT / "docs" / "install.md").read_text("utf-8")
    [text] = re.findall(r"(?s)```toml\n(   name = .*?)```", document)
    (machine.card / "door.txt").write_text(text, "utf-8")
    assert machine.takes() == 0, machine.said
    assert (machine.folder / "etc" / "hostname").read_text() == "front-door\n"
    assert (machine.folder / "etc" / "zone").read_text() == "Europe/Berlin\n"
    made = machine.connection("appliance-wifi.nmconnection")
    name = bytes(int(one) for one in made["wifi"]["ssid"].split(";") if one)
    assert name == b"The house"
    assert made["wifi-security"]["psk"] == "what the router says"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["door.txt", "DOOR.TXT", "door.toml"])
def test_name_and_wifi_are_taken_and_leave_nothing_on_the_card(
    name: str, newline: str, encoding: str, machine: Machine
) -> None:
    (machine.card / name).write_text(DOOR, encoding, newline=newline)
    assert machine.takes() == 0
    assert [file.name for file in machine.card.iterdir()] == ["autoboot.txt"]
    assert (machine.folder / "etc" / "hostname").read_text() == "front-door\n"
    assert (machine.folder / "etc" / "zone").read_text() == "Europe/Berlin\n"
    assert (machine.folder / "etc" / "wifi-country").read_text() == "DE\n"
    file = machine.folder / "nm" / "appliance-wifi.nmconnection"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = machine.connection(file.name)
    ssid = bytes(map(int, found["wifi"]["ssid"].rstrip(";").split(";")))
    assert ssid.decode() == "Müllers; Netz"
    assert found["wifi-security"]["psk"] == "in the house only"
    assert "in the house only" not in "".join(machine.said), "the journal is for others too"


def test_another_wifi_takes_the_place_of_the_first(machine: Machine) -> None:
    for name in ("First", "Second"):
        door = f'[wifi]\nname = "{name}"\npassword = "12345678"\ncountry = "DE"\n'
        (machine.card / "door.txt").write_text(door)
        assert machine.takes() == 0
    [file] = (machine.folder / "nm").iterdir()
    assert f"ssid={';'.join(str(byte) for byte in b'Second')};" in file.read_text()
    for other in ("hostname", "zone"):
        assert not (machine.folder / "etc" / other).exists()


def test_a_connection_of_ones_own_is_taken_as_it_is(machine: Machine) -> None:
    text = "[connection]\nid=office\ntype=wifi\n"
    (machine.card / "office.nmconnection").write_text(text)
    (machine.card / "._office.nmconnection").write_bytes(b"\0what a Mac leaves behind")
    assert machine.takes() == 0
    kept = machine.folder / "nm" / "office.nmconnection"
    assert kept.read_text() == text
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [*(machine.folder / "nm").iterdir()] == [kept]
    assert not (machine.card / "office.nmconnection").exists()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"name = Front door\n", "is not TOML"),
        (b'name = "Front door"\n', "name"),
        (b'name = "gate"\nwlan = "x"\n', "wlan"),
        (b'[wifi]\nname = "x"\ncountry = "DE"\npassword = "short"\n', "8 to 63 letters"),
        # the key that is made of one: NetworkManager would hand it to iwd as the password
        (b'[wifi]\nname = "x"\ncountry = "DE"\npassword = "' + b"0f" * 32 + b'"\n', "8 to 63"),
        (b'[wifi]\nname = "x"\npassword = "long enough"\n', "country"),
        (b'zone = "Europe/Berln"\n', "zone: 'Europe/Berln' is no time zone of /usr/share/zoneinfo"),
        (b'zone = "Europe"\n', "is no time zone"),
        (b'zone = "\\u001b[2J"\n', "x1b"),
        (b'zone = ""\n', "is no time zone"),
        (b'zone = "tzdata.zi"\n', "is no time zone"),
        (b'zone = "leapseconds"\n', "is no time zone"),
        (b'zone = "/usr/share/zoneinfo/Europe/Berlin"\n', "is no time zone"),
        (b'zone = "../zoneinfo/Europe/Berlin"\n', "is no time zone"),
        (b'zone = "' + b"x" * 65 + b'"\n', "zone"),
        (b"zone = 1\n", "zone"),
        (b'[wifi]\nname = "x"\ncountry = "Germany"\n', "country"),
        (b'[wifi]\nname = "' + "ü".encode() * 17 + b'"\ncountry = "DE"\n', "32 bytes"),
        (b'name = "\xfc"\n', "is not UTF-8"),
        (b"x = " + b"1" * 5000, "a number that is too long"),
        (b"#" * 70_000, "no small file"),
    ],
)
def test_what_has_a_fault_stays_on_the_card_which_says_why(
    text: bytes, fault: str, machine: Machine
) -> None:
    file = machine.card / "door.txt"
    file.write_bytes(text)
    assert machine.takes() == 1
    assert file.read_bytes() == text
    assert [*(machine.folder / "etc").iterdir()] == []
    assert not (machine.folder / "nm").exists()
    told = (machine.card / "door-faults.txt").read_bytes().decode()
    assert fault in told
    assert told.endswith("\r\n")
    assert fault in "".join(machine.said)
    with pytest.raises(ConfigError, match=fault):
        read(file)
    # put right, it is taken, and nothing is wrong any more
    file.write_text(DOOR)
    assert machine.takes() == 0
    assert [one.name for one in machine.card.iterdir()] == ["autoboot.txt"]


@pytest.mark.parametrize("password", [" two blanks ", "back\\slash", "a=b;c#d", "ümlaut" * 2])
def test_a_password_is_kept_letter_by_letter(password: str, tmp_path: Path) -> None:
    """Read as GLib reads a key file, of which NetworkManager's are."""
    wifi = Wifi("x", "DE", password)
    if not password.isascii():
        (tmp_path / "door.txt").write_text(f'[wifi]\nname="x"\ncountry="DE"\npassword="{password}"')
        with pytest.raises(ConfigError, match="ASCII"):
            read(tmp_path / "door.txt")
        return
    [line] = [line for line in keyfile(wifi).splitlines() if line.startswith("psk=")]
    value = line.removeprefix("psk=").strip()
    assert re.sub(r"\\(.)", lambda one: " " if one[1] == "s" else one[1], value) == password


def test_a_wifi_without_a_password_is_open() -> None:
    assert "wifi-security" not in keyfile(Wifi("x", "DE"))


def test_the_command_takes_it(machine: Machine) -> None:
    (machine.card / "door.txt").write_text(DOOR)
    words = [sys.executable, "-m", "appliance", "card", str(machine.card)]
    etc, connections = machine.folder / "etc", machine.folder / "nm"
    done = subprocess.run(
        [*words, "--etc", str(etc), "--connections", str(connections)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "door.txt was taken" in done.stdout
    assert (etc / "hostname").exists()
