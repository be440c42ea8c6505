"""Going to a broker: a real mosquitto, what is wrong with it, and what is no broker at all."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config import Mqtt
from appliance.service.doctor import knocking
from appliance.service.doctor.knocking import Knock, Step, knock
from tests.parts.certificates import Authority
from tests.parts.mosquitto import Mosquitto, free_port, mosquitto
from tests.parts.need import program

__all__ = ["mosquitto"]


@contextlib.contextmanager
def running(directory: Path, configuration: str) -> Iterator[Mosquitto]:
    broker = Mosquitto(program("mosquitto"), directory, configuration)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def until_listening(port: int) -> None:
    """A listener of its own may come later than those that are waited for."""
    end_s = time.monotonic() + 30
    while time.monotonic() < end_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail("mosquitto does not listen")


@pytest.mark.broker
def test_a_message_goes_there_and_back(mosquitto: Mosquitto) -> None:
    told = knock(Mqtt(host="127.0.0.1", port=mosquitto.port), "front-door")
    assert told.step is Step.DONE, told
    assert told.round_trip_ms is not None
    assert 0 < told.round_trip_ms < 3000
    assert "front-door-doctor-" in mosquitto.log, "not the name of the appliance itself"


@pytest.mark.broker
def test_a_password_that_is_wrong_and_one_that_is_right(tmp_path: Path) -> None:
    users, secret = tmp_path / "users", tmp_path / "secret"
    tool = program("mosquitto_passwd", "mosquitto")
    subprocess.run([tool, "-b", "-c", users, "door", "s3cret"], check=True, capture_output=True)
    secret.write_text("wrong\n")
    with running(tmp_path, f"allow_anonymous false\npassword_file {users}") as broker:
        config = Mqtt(host="127.0.0.1", port=broker.port, password_file=str(secret))
        told = knock(config, "door")
        assert (told.step, told.reason) == (Step.LOGIN, "Not authorized")
        secret.write_text("s3cret\n")
        assert knock(config, "door").step is Step.DONE


@pytest.mark.broker
def test_a_broker_that_gives_the_device_no_topics(tmp_path: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text("pattern read appliance/device/%u/#\n")
    rules.chmod(0o600)
    with running(tmp_path, f"acl_file {rules}") as broker:
        told = knock(Mqtt(host="127.0.0.1", port=broker.port), "door")
    assert told.step is Step.MESSAGE
    assert told.reason.startswith("what is written to appliance/device/door/doctor/")


@pytest.mark.broker
@pytest.mark.parametrize(
    ("trusted", "issued_for", "step", "reason"),
    [
        ("house", "127.0.0.1", Step.DONE, ""),
        ("stranger", "127.0.0.1", Step.TLS, "issuer"),
        ("house", "other", Step.TLS, "mismatch"),
    ],
)
def test_a_broker_with_tls(
    trusted: str, issued_for: str, step: Step, reason: str, tmp_path: Path
) -> None:
    authorities = {name: Authority(tmp_path, name) for name in ("house", "stranger")}
    files = authorities["house"].issue(issued_for)
    port = free_port()
    listener = f"listener {port} 127.0.0.1\ncertfile {files.certificate}\nkeyfile {files.key}"
    with running(tmp_path, listener):
        until_listening(port)
        config = Mqtt(host="127.0.0.1", port=port, ca_file=str(authorities[trusted].file))
        told = knock(config, "door")
    assert told.step is step
    assert reason in told.reason
    assert told.tls


def test_nobody_listens() -> None:
    told = knock(Mqtt(host="127.0.0.1", port=free_port()), "door")
    assert told == Knock(Step.CONNECTION, "Connection refused")


def test_a_name_that_nobody_knows() -> None:
    told = knock(Mqtt(host="broker.invalid"), "door")
    assert told.step is Step.NAME
    assert told.reason


def test_who_listens_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knocking, "STEP_S", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        told = knock(Mqtt(host="127.0.0.1", port=silent.getsockname()[1]), "door")
    assert told.step is Step.LOGIN
    assert told.reason


def test_a_certificate_file_that_is_not_there() -> None:
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        broker.listen(16)
        port = broker.getsockname()[1]
        told = knock(Mqtt(host="127.0.0.1", port=port, ca_file="/no/such/file"), "door")
    assert told.step is Step.TLS
    assert "No such file" in told.reason
