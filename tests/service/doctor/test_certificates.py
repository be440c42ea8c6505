"""Certificates, keys and passwords of real files, looked at by their content."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.config import Config, Http, Mqtt
from appliance.service.doctor.certificates import certificates
from appliance.service.doctor.findings import Finding, Verdict
from tests.parts.certificates import Authority, Files
from tests.service.doctor.paper import PaperMachine


class Real(PaperMachine):
    """A machine whose files are those of the disk."""

    def content(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def mode(self, path: str) -> int:
        return Path(path).stat().st_mode & 0o777


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def files(authority: Authority) -> Files:
    issued = authority.issue("door.example")
    issued.key.chmod(0o600)
    return issued


@pytest.fixture
def machine(files: Files) -> Real:
    from cryptography import x509

    valid = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    machine = Real()
    machine.clock = valid.not_valid_before_utc + timedelta(minutes=1)
    # the certificates of tests last for a day or so
    machine.clock = min(machine.clock, valid.not_valid_after_utc)
    return machine


def config(files: Files, host: str = "door.example") -> Config:
    http = Http(host=host, cert_file=str(files.certificate), key_file=str(files.key))
    return Config(http=http)


def found(config: Config, machine: Real) -> list[Finding]:
    """But for those that say that it ends soon: these are made for a test."""
    return [one for one in certificates(config, machine) if "expires in" not in one.finding]


def test_no_files() -> None:
    [one] = certificates(Config(), Real())
    assert one.finding == "none are configured"


def test_files_that_fit(files: Files, machine: Real, authority: Authority) -> None:
    mqtt = Mqtt(ca_file=str(authority.file))
    assert not [
        one
        for one in found(replace(config(files), mqtt=mqtt), machine)
        if one.verdict is not Verdict.OK
    ]


def test_one_that_has_expired_and_one_that_will(files: Files, machine: Real) -> None:
    from cryptography import x509

    end = x509.load_pem_x509_certificate(files.certificate.read_bytes()).not_valid_after_utc
    machine.clock = end + timedelta(days=1)
    [one] = certificates(config(files), machine)
    assert one.verdict is Verdict.FAULT
    assert "has expired on" in one.finding
    machine.clock = end - timedelta(hours=1)
    [one] = certificates(config(files), machine)
    assert one.verdict is Verdict.WARNING
    assert "expires in 0 days" in one.finding


def test_one_of_tomorrow_is_a_clock_of_yesterday(files: Files, machine: Real) -> None:
    machine.clock -= timedelta(days=400)
    [one] = certificates(config(files), machine)
    assert "is not valid before" in one.finding
    assert "clock" in (one.advice or "")


def test_a_key_of_another(files: Files, machine: Real, authority: Authority) -> None:
    other = authority.issue("other.example")
    other.key.chmod(0o600)
    [one] = found(config(replace_key(files, other.key)), machine)
    assert one.verdict is Verdict.FAULT
    assert "is not the key of" in one.finding


def replace_key(files: Files, key: Path) -> Files:
    return Files(files.certificate, key)


@pytest.mark.parametrize(
    ("host", "fits"),
    [("door.example", True), ("::", True), ("gate.example", False), ("10.0.0.7", False)],
)
def test_the_name_of_the_page(files: Files, machine: Real, host: str, fits: bool) -> None:
    told = [one for one in found(config(files, host), machine) if "is not for" in one.finding]
    assert bool(told) is not fits


def test_what_is_missing_is_no_pem_or_is_open_to_all(
    tmp_path: Path, files: Files, machine: Real
) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    password.chmod(0o644)
    rubbish = tmp_path / "ca.der"
    rubbish.write_bytes(b"0\x82")
    mqtt = Mqtt(password_file=str(password), ca_file=str(rubbish), key_file=str(tmp_path / "no"))
    one, two, three = certificates(Config(mqtt=mqtt), machine)
    assert "is no certificate in PEM" in one.finding
    assert two.finding == f"{password} can be read by everybody"
    assert two.advice == f"chmod 640 {password}"
    assert three.verdict is Verdict.FAULT
    assert "No such file" in three.finding
    assert three.advice is not None
    assert "[mqtt] key_file" in three.advice


def test_a_key_with_a_passphrase_or_none_at_all(
    tmp_path: Path, files: Files, machine: Real
) -> None:
    key = tmp_path / "bad.key"
    key.write_text("-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n")
    key.chmod(0o600)
    [one] = found(config(replace_key(files, key)), machine)
    assert "is no key that can be used" in one.finding


def test_what_only_the_service_sees_is_not_looked_for(machine: Real) -> None:
    mqtt = Mqtt(password_file="$CREDENTIALS_DIRECTORY/mqtt")
    [one] = certificates(Config(mqtt=mqtt), machine)
    assert one.verdict is Verdict.OK
