"""A device that nobody has configured: made ready once, and never what somebody has configured."""

from __future__ import annotations

import shutil
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from appliance.broker.house import House
from appliance.broker.passwords import fits
from appliance.errors import ApplianceError, ConfigError
from appliance.loading.reading import read
from appliance.owner import first_start
from appliance.owner.first_start import FirstStart
from appliance.owner.places import Places
from appliance.trust.authority import Authority
from appliance.web.tls import Tls
from appliance.whole_file import write_whole
from tests.owner.device import empty

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "image-build" / "debian" / "appliance.toml"


@dataclass
class Machine:
    """One with an image's first configuration; each start may have another name."""

    folder: Path
    places: Places
    said: list[str] = field(default_factory=list)

    def starts(self, host: str = "gate") -> str:
        """What is said at its first start, or one that comes after."""
        self.said.clear()
        one = FirstStart(self.places, host, self.broker, self.links, self.said.append)
        assert one.run() == 0
        return "\n".join(self.said)

    @property
    def broker(self) -> Path:
        return self.folder / "mosquitto" / "appliance"

    @property
    def links(self) -> Path:
        return self.folder / "mosquitto" / "conf.d"

    @property
    def drop_in(self) -> Path:
        return self.places.drop_ins / "10-first-start.toml"

    @property
    def note(self) -> Path:
        return self.places.file.parent / "first-start.txt"

    def files(self) -> dict[str, bytes]:
        return {
            str(file.relative_to(self.folder)): file.read_bytes()
            for file in self.folder.rglob("*")
            if file.is_file()
        }

    def is_ready(self, host: str, device: str) -> None:
        """Everything fits together that a phone needs."""
        reading = read(self.places.file, self.places.environ)
        assert reading.faults == ()
        config = reading.config
        assert config.device.id == device
        assert config.call.receiver == "user:owner", "whom `appliance welcome` invites"
        assert "owner" in config.contacts
        assert config.buttons["call"].press == "call"
        assert config.mqtt.websocket_url == f"wss://{host}.local:8884/"
        everywhere = "0.0.0.0"  # noqa: S104 - as it was written
        assert (config.http.host, config.http.port) == (everywhere, 8443)
        kept = House(self.broker).passwords.accounts()[device]
        password = self.places.credstore / "appliance.mqtt.password"
        assert fits(password.read_text().strip(), kept)
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
        assert (self.links / "appliance.conf").resolve() == self.broker / "appliance.conf"
        page = Tls.of(config.http, self.places.state / "tls", names=lambda: [f"{host}.local"])
        assert page is not None
        assert page.authority_pem == (self.places.state / "tls" / "ca.crt").read_bytes()
        authority = Authority.load(self.places.state / "tls")
        met = x509.load_pem_x509_certificate((self.broker / "pages.pem").read_bytes())
        met.verify_directly_issued_by(authority.certificate)
        names = met.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert f"{host}.local" in names.get_values_for_type(x509.DNSName)
        key = load_pem_private_key((self.broker / "pages.pem").read_bytes(), None)
        assert key.public_key() == met.public_key()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path, empty(tmp_path))
    made.places.file.write_bytes(SHIPPED.read_bytes())
    made.places.state.mkdir(mode=0o700)
    return made


def test_who_configured_nothing_finds_it_ready_and_is_told_what_was_done(machine: Machine) -> None:
    said = machine.starts()
    assert "https://gate.local:8443/" in said
    assert machine.note.read_text().endswith(said)
    assert not (machine.places.file.parent / ".first-start").exists()
    machine.is_ready("gate", "gate")


def test_two_of_them_share_no_secret(tmp_path: Path) -> None:
    secrets: list[set[bytes]] = []
    for name in ("one", "two"):
        machine = Machine(tmp_path / name, empty(tmp_path / name))
        machine.places.file.write_bytes(SHIPPED.read_bytes())
        machine.starts()
        files = machine.files()
        held = {"password", "pages.pem", "server.key", "ca.key", "passwords", "page.pem"}
        found = {data for file, data in files.items() if Path(file).name.split("mqtt.")[-1] in held}
        assert len(found) == 6, "a password and its hash, two authorities, and who they vouch for"
        secrets.append(found)
    assert secrets[0] & secrets[1] == set()


def test_it_is_done_once_whatever_becomes_of_it(machine: Machine) -> None:
    machine.starts()
    machine.drop_in.unlink()  # its owner wants none of it
    before = machine.files()
    assert machine.starts() == ""
    assert machine.files() == before


def _mqtt(machine: Machine) -> None:
    machine.places.drop_ins.mkdir()
    (machine.places.drop_ins / "door.toml").write_text('[mqtt]\nhost = "broker.lan"\n')


def _http(machine: Machine) -> None:
    machine.places.file.write_text('[http]\nhost = "0.0.0.0"\nlocal_ca = true\n')


def _broker(machine: Machine) -> None:
    House(machine.broker).new(["broker.lan"], device="door")


def _link(machine: Machine) -> None:
    machine.links.mkdir(parents=True)
    (machine.links / "mine.conf").write_text("listener 1883\n")


def _secret(machine: Machine) -> None:
    (machine.places.credstore / "appliance.mqtt.password").write_text("secret\n")


def _authority(machine: Machine) -> None:
    Authority.load_or_make(machine.places.state / "tls", "door", "door")


def _phone(machine: Machine) -> None:
    key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    (machine.places.state / "contacts.toml").write_text(f'[contacts.alice]\nkeys = ["{key}"]\n')


@pytest.mark.parametrize(
    ("configure", "why"),
    [
        (_mqtt, "[mqtt] host is set"),
        (_http, "[http] host is set"),
        (_broker, "a broker's configuration"),
        (_link, "a broker's configuration"),
        (_secret, "appliance.mqtt.password"),
        (_authority, "an authority already"),
        (_phone, "a phone is paired"),
    ],
)
def test_what_somebody_has_configured_stays_as_it_is(
    configure: Callable[[Machine], None], why: str, machine: Machine
) -> None:
    configure(machine)
    before = machine.files()
    said = machine.starts()
    assert "nothing was changed" in said
    assert why in said
    after = machine.files()
    assert after.pop("appliance/first-start.txt").decode().endswith(said)
    assert after == before
    assert machine.starts() == ""


def test_an_id_that_its_owner_gave_it_stays(machine: Machine) -> None:
    machine.places.drop_ins.mkdir()
    (machine.places.drop_ins / "door.toml").write_text('[device]\nid = "back"\n')
    machine.starts()
    machine.is_ready("gate", "back")


def test_what_somebody_has_wired_is_no_other_door(machine: Machine) -> None:
    machine.places.drop_ins.mkdir()
    (machine.places.drop_ins / "door.toml").write_text('[buttons.bell]\npin = "GPIO17"\n')
    machine.starts()
    assert [*sorted(file.name for file in machine.places.drop_ins.iterdir())] == [
        "10-first-start.toml",
        "door.toml",
    ]
    assert read(machine.places.file, machine.places.environ).faults == ()


def test_what_was_begun_is_ended_at_the_next_start(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power goes before each of its own writes; what is within them is test_promised_writes.py's."""
    for name in (
        ".first-start",
        "20-first-door.toml",
        "appliance.mqtt.password",
        "10-first-start.toml",
        "first-start.txt",
    ):

        def write(file: Path, data: bytes, mode: int = 0o600, name: str = name) -> None:
            if file.name == name:
                raise OSError(5, "the power is gone", str(file))
            write_whole(file, data, mode)

        monkeypatch.setattr("appliance.owner.first_start.write_whole", write)
        with pytest.raises(ApplianceError, match=f"{name}: the power is gone"):
            machine.starts()
        assert machine.drop_in.exists() == (name == "first-start.txt"), "in use before it is whole"
    monkeypatch.undo()
    machine.starts()
    machine.is_ready("gate", "gate")


def test_with_another_name_what_was_written_for_the_old_one_follows(machine: Machine) -> None:
    machine.starts("appliance-1f3a")
    authority = (machine.places.state / "tls" / "ca.crt").read_bytes()
    said = machine.starts("front-door")
    assert "https://front-door.local:8443/" in said
    assert "its name: front-door.local, at the broker appliance-1f3a" in machine.note.read_text()
    machine.is_ready("front-door", "appliance-1f3a")
    assert (machine.places.state / "tls" / "ca.crt").read_bytes() == authority, "phones trust it"


def test_with_another_name_its_broker_lets_in_whom_its_owner_lets_in(machine: Machine) -> None:
    machine.starts("old")
    House(machine.broker).make("kitchen")
    mine = {
        "acl": "\nuser kitchen\ntopic read appliance/#\n",
        "appliance.conf": "\nlistener 1885 127.0.0.1\n",
    }
    for name, line in mine.items():
        with (machine.broker / name).open("a") as file:
            file.write(line)
    kept = [
        *(machine.broker / name for name in (*mine, "passwords", "ca.crt", "ca.key")),
        machine.places.credstore / "appliance.mqtt.password",
        machine.places.drop_ins / "20-first-door.toml",
    ]
    before = [file.read_bytes() for file in kept]
    said = machine.starts("new")
    assert "configuration, accounts and ACL are as they were" in said
    assert [file.read_bytes() for file in kept] == before
    machine.is_ready("new", "old")
    for name in ("server.crt", "pages.pem"):
        met = x509.load_pem_x509_certificate((machine.broker / name).read_bytes())
        names = met.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert "new.local" in names.get_values_for_type(x509.DNSName)
        assert "old.local" not in names.get_values_for_type(x509.DNSName)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(machine.broker / "server.crt", machine.broker / "server.key")


def test_with_another_name_a_broker_that_its_owner_took_away_is_not_made_anew(
    machine: Machine,
) -> None:
    machine.starts("old")
    shutil.rmtree(machine.broker)
    with pytest.raises(ApplianceError, match="no broker's folder"):
        machine.starts("new")
    assert not machine.broker.exists()


def test_with_another_name_what_was_changed_is_not_touched(machine: Machine) -> None:
    machine.starts("old")
    with machine.drop_in.open("a") as file:
        file.write('login = "always"\n')
    before = machine.files()
    assert "phones look in vain" in machine.starts("new")
    assert machine.files() == before


def test_faults_are_told_and_it_is_tried_again(machine: Machine) -> None:
    good = machine.places.file.read_bytes()
    machine.places.file.write_text("[device\n")
    with pytest.raises(ConfigError, match="is not TOML"):
        machine.starts()
    with pytest.raises(ApplianceError, match="no name of a machine"):
        machine.starts("Front door")
    assert not machine.note.exists()
    machine.places.file.write_bytes(good)
    machine.starts()
    machine.is_ready("gate", "gate")


def test_it_is_known_that_page_and_broker_have_one_authority(machine: Machine) -> None:
    """So whoever pairs is not told to trust a second one."""
    url, main = "wss://gate.local:8884/", machine.places.file
    assert not first_start.is_ours(url, main)
    machine.starts()
    assert first_start.is_ours(url, main)
    assert not first_start.is_ours("wss://broker.lan:8884/", main)


def test_what_pages_meet_is_what_a_phone_trusts_though_everybody_else_meets_another(
    machine: Machine,
) -> None:
    machine.starts()
    text = (machine.broker / "appliance.conf").read_text()
    of_pages = text.partition("\nlistener 8884\n")[2].partition("\n\n")[0]
    others = text.replace(of_pages, "")
    assert of_pages.count(f"{machine.broker}/pages.pem") == 2
    assert "pages.pem" not in others
    assert f"{machine.broker}/server.crt" in others
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(machine.broker / "pages.pem", machine.broker / "pages.pem")


def test_the_command_does_it(machine: Machine) -> None:
    """As far as it may go here: a device that is configured."""
    _http(machine)
    words = [sys.executable, "-m", "appliance", "first-start", "--host", "gate"]
    done = subprocess.run(
        [*words, "--config", str(machine.places.file)],
        env={**machine.places.environ, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "nothing was changed" in done.stdout
