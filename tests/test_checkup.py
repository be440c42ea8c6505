"""`appliance doctor` on this machine: with and without a configuration, beside an appliance and without."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.app import running
from appliance.calls.inputs import LinkState
from appliance.calls.state import State
from appliance.checkup import check_up
from appliance.cli import main
from appliance.config import Device, Mqtt, load
from appliance.loading.layers import DEFAULT_FILE
from appliance.loading.shipped import shipped
from appliance.service.doctor.findings import Finding, Verdict
from tests.parts.mosquitto import Mosquitto, mosquitto

__all__ = ["mosquitto"]


def of(findings: list[Finding], component: str) -> Finding:
    [found] = [one for one in findings if one.component == component]
    return found


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    variables = {
        "APPLIANCE_SOCKET": str(tmp_path / "appliance.sock"),
        "STATE_DIRECTORY": str(tmp_path),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def test_without_a_configuration_it_is_about_the_demo(environ: dict[str, str]) -> None:
    if DEFAULT_FILE.exists():
        pytest.skip(f"this machine has {DEFAULT_FILE}")
    findings = check_up(None, environ)
    first = findings[0]
    assert first.component == "configuration"
    assert "simulated board" in first.finding
    assert "appliance doctor --config" in (first.advice or "")
    assert of(findings, "pins").finding.startswith("simulated")
    assert of(findings, "broker").finding == "the demo brings its own"
    assert not [one for one in findings[1:] if one.verdict is Verdict.FAULT]


def test_a_configuration_with_faults_is_looked_at_all_the_same(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        '[device]\nboard = "simulated"\n[mqtt]\nhsot = "x"\nport = 1\n[call]\nlayuot = 1\n'
    )
    findings = check_up(file, environ)
    assert findings[0].verdict is Verdict.FAULT
    assert "hsot" in findings[0].finding
    assert "(and 1 more)" in findings[0].finding
    assert findings[0].advice == f"appliance check-config {file}"
    assert "Connection refused" in of(findings, "broker").finding


@pytest.mark.broker
async def test_beside_a_running_appliance(
    tmp_path: Path, environ: dict[str, str], mosquitto: Mosquitto
) -> None:
    config = load(shipped("simulated.toml"), {})
    config = replace(
        config,
        device=Device(id="front-door", board="simulated"),
        mqtt=Mqtt(host="127.0.0.1", port=mosquitto.port),
        http=replace(config.http, port=18_993),
    )
    file = tmp_path / "door.toml"
    file.write_text(
        '[device]\nid = "front-door"\nboard = "simulated"\n[security]\nunsigned = "allow"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {mosquitto.port}\n'
    )
    path = Path(environ["APPLIANCE_SOCKET"])
    async with running(config, socket_path=path, state_folder=tmp_path) as appliance:
        connected = asyncio.Event()

        def look(state: State) -> None:
            if state.link is LinkState.CONNECTED:
                connected.set()

        look(appliance.engine.state)
        appliance.engine.observers.append(look)
        async with asyncio.timeout(30):
            await connected.wait()
        findings = await asyncio.to_thread(check_up, file, environ)
        assert of(findings, "appliance").finding.startswith("front-door runs here")
        assert "a message and back" in of(findings, "broker").finding
        assert appliance.session.status()["mqtt"] == "connected", "it was not thrown out"
    findings = await asyncio.to_thread(check_up, file, environ)
    assert of(findings, "appliance").finding.startswith("none runs here")


def test_one_that_hangs_is_told(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.checkup.PATIENCE_S", 0.2)
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(environ["APPLIANCE_SOCKET"])
        hanging.listen()
        found = of(check_up(None, environ), "appliance")
    assert found.verdict is Verdict.FAULT
    assert found.finding == "one runs here, and does not answer"


def test_the_command_prints_a_table_or_json_and_its_status_tells(
    tmp_path: Path, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[device]\nboard = "simulated"\n[mqtt]\nhost = "127.0.0.1"\nport = 1\n')
    assert main(["doctor", "--config", str(file)]) == 1
    printed = capsys.readouterr().out
    assert "FAULT  broker" in printed
    assert "-> Start the broker" in printed
    assert max(len(line) for line in printed.splitlines() if str(tmp_path) not in line) <= 80
    assert main(["doctor", "--config", str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    assert all((one["advice"] is None) == (one["verdict"] == "ok") for one in told["findings"])
