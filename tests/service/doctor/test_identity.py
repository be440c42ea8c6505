"""The device's key and the authority of its page, as files of a real disk: each fault, and its advice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.config import Config, Http
from appliance.service.doctor.findings import Finding, Verdict
from appliance.service.doctor.identity import identity
from appliance.trust.authority import Authority
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey
from tests.parts.certificates import Authority as Another
from tests.service.doctor.paper import PaperMachine

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOST = "pi"
CONFIG = Config(http=Http(host="192.168.1.2", local_ca=True))


class Disk(PaperMachine):
    """A machine whose files are those of the disk, but for those that are not for this user."""

    secret = ""

    def content(self, path: str) -> bytes:
        if self.secret and path.endswith(self.secret):
            raise PermissionError(13, "Permission denied", path)
        return Path(path).read_bytes()

    def mode(self, path: str) -> int:
        return Path(path).stat().st_mode & 0o777

    def exists(self, path: str) -> bool:
        return Path(path).exists()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As a device keeps it that has run."""
    DeviceKey.load_or_make(tmp_path, {})
    Authority.load_or_make(tmp_path / "tls", "door", HOST).leaf(
        ["192.168.1.2", f"{HOST}.local"], NOW
    )
    return tmp_path


@pytest.fixture
def machine(folder: Path) -> Disk:
    machine = Disk(environ={"STATE_DIRECTORY": str(folder)}, clock=NOW)
    machine.outputs["hostname"] = f"{HOST}\n"
    return machine


def ill(machine: Disk, config: Config = CONFIG) -> list[Finding]:
    return [one for one in identity(config, machine) if one.verdict is not Verdict.OK]


def test_a_device_that_has_run_is_well(folder: Path, machine: Disk) -> None:
    one, two = identity(CONFIG, machine)
    assert ill(machine) == []
    assert DeviceKey.load_or_make(folder, {}).kid[:6] in one.finding
    assert "good until 2027-02" in two.finding


def test_one_that_has_not_is_well_too(tmp_path: Path) -> None:
    fresh = Disk(environ={"STATE_DIRECTORY": str(tmp_path / "none")}, clock=NOW)
    assert [one.finding for one in identity(CONFIG, fresh)] == [
        "none yet; it is made at the first start"
    ] * 2
    assert len([*identity(Config(), fresh)]) == 1, "on loopback there is no authority"
    _, waits = identity(Config(http=Http(host="192.168.1.2")), fresh)
    assert "`appliance pair` makes it" in waits.finding


async def test_a_key_that_is_gone_is_missed_by_whoever_is_paired(
    folder: Path, machine: Disk
) -> None:
    (folder / "device.key").unlink()
    assert ill(machine) == []
    await Contacts({}, folder / "contacts.toml").add("alice", "Alice", DeviceKey.make().public, ())
    [one] = ill(machine)
    assert "is gone, and phones are paired with it" in one.finding
    assert "pair every phone anew" in (one.advice or "")


def test_a_key_given_by_systemd_takes_its_place(folder: Path, machine: Disk) -> None:
    given = folder / "credentials"
    given.mkdir()
    (given / "device_key").write_bytes(b"rubbish")
    machine.environ = {**machine.environ, "CREDENTIALS_DIRECTORY": str(given)}
    [one] = ill(machine)
    assert str(given / "device_key") in one.finding


Breaks = Callable[[Path, Disk], object]


def another(folder: Path, _: Disk) -> None:
    files = Another(folder, "other").issue("192.168.1.2")
    (folder / "tls/page.pem").write_bytes(files.certificate.read_bytes() + files.key.read_bytes())


@pytest.mark.parametrize(
    ("breaks", "verdict", "finding", "advice"),
    [
        (lambda f, _: (f / "device.key").write_bytes(b""), "fault", "is no private key", "backup"),
        (
            lambda f, _: (f / "device.key").write_bytes((f / "tls/ca.key").read_bytes()),
            "fault",
            "of another kind than Ed25519",
            "pair every phone anew",
        ),
        (lambda f, _: (f / "device.key").chmod(0o640), "warning", "read by others", "chmod 600"),
        (lambda _, m: setattr(m, "secret", "device.key"), "warning", "not for this user", "sudo"),
        (lambda f, _: (f / "tls/ca.key").unlink(), "fault", "is not whole", "trust the new one"),
        (lambda f, _: (f / "tls/ca.crt").write_bytes(b"x"), "fault", "broken", "backup"),
        (
            lambda f, _: (f / "tls/ca.key").write_bytes((f / "device.key").read_bytes()),
            "fault",
            "is not the key of",
            "backup",
        ),
        (lambda f, _: (f / "tls/ca.key").chmod(0o604), "warning", "read by others", "chmod 600"),
        (lambda _, m: setattr(m, "secret", "ca.key"), "warning", "not for this user", "sudo"),
        (another, "fault", "no certificate of this device's authority", "Restart"),
        (lambda f, _: (f / "tls/page.pem").write_bytes(b"x"), "fault", "no certificate", "Restart"),
        (
            lambda _, m: setattr(m, "clock", NOW + timedelta(days=91)),
            "warning",
            "has expired on 2027-02",
            "Restart",
        ),
        (
            lambda _, m: setattr(m, "clock", NOW - timedelta(days=9)),
            "warning",
            "is yet to come",
            "timedatectl",
        ),
        (
            lambda _, m: m.outputs.update(hostname="hall"),
            "warning",
            "is not for hall.local",
            "Restart",
        ),
    ],
)
def test_each_fault_has_its_advice(
    folder: Path, machine: Disk, breaks: Breaks, verdict: str, finding: str, advice: str
) -> None:
    breaks(folder, machine)
    [one] = ill(machine)
    assert one.verdict == verdict
    assert finding in one.finding
    assert advice in (one.advice or "")


def test_one_that_has_expired_beside_a_running_appliance_is_a_fault(machine: Disk) -> None:
    machine.clock = NOW + timedelta(days=91)
    machine.status = {}
    [one] = ill(machine)
    assert one.verdict is Verdict.FAULT


def test_with_a_certificate_of_ones_own_the_authority_is_not_looked_at(machine: Disk) -> None:
    own = replace(CONFIG, http=replace(CONFIG.http, cert_file="/c", key_file="/k"))
    assert [one.component for one in identity(own, machine)] == ["device key"]
