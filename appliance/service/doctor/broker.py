"""The broker: how far one gets with it, and what to do where that is not far enough; this machine's own."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.broker.places import CONFIGURATION, FOLDER, OWN_PID_FILE
from appliance.broker.told import configurations, is_told, links_of
from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.knocking import Knock, Step
from appliance.service.doctor.machine import Machine

OWN = "own broker"
LAID_OUT = str(FOLDER / CONFIGURATION)
"""By `appliance broker`; who is not root does not see it."""


def broker(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line: how it went, or where it ended."""
    mqtt = config.mqtt
    files = (mqtt.password_file, mqtt.ca_file, mqtt.key_file)
    unset = [file for file in files if file is not None and file.startswith("$")]
    where = f"{mqtt.host}:{mqtt.port}"
    if unset:
        if machine.status is not None and machine.status.get("mqtt") == "connected":
            yield ok("broker", f"{where}: the running appliance is connected")
            return
        variable = unset[0].split("/", maxsplit=1)[0].strip("${}")
        advice = (
            f"Set {variable} to where systemd puts the credentials, or run this as the service."
        )
        yield fault("broker", f"{where}: {unset[0]} cannot be looked for here", advice)
        return
    knock = machine.knock(mqtt, config.device.id)
    if knock.step is Step.DONE:
        how = "with TLS, " if knock.tls else ""
        yield ok("broker", f"{where} {how}a message and back in {knock.round_trip_ms:g} ms")
    else:
        own = _is_here(mqtt.host, machine) and machine.exists(LAID_OUT)
        yield fault("broker", _finding(knock, where, mqtt.host), _advice(knock, config, own=own))


def own_broker(config: Config, machine: Machine) -> Iterator[Finding]:
    """A line where one was laid out on this machine, and one where it gives no accounts."""
    accounts = config.mqtt.accounts_socket
    if accounts is not None and not machine.exists(accounts):
        advice = "sudo systemctl enable --now appliance-accounts.socket"
        yield warning(OWN, f"phones are given no accounts: {accounts} is not there", advice)
    laid_out = machine.text(LAID_OUT)
    if laid_out is None or f"pid_file {FOLDER / OWN_PID_FILE}" in laid_out:
        return  # none, or one that its owner starts by hand
    if is_told(FOLDER, machine.names, machine.text):
        yield ok(OWN, f"mosquitto is told of {FOLDER}")
    elif _is_here(config.mqtt.host, machine) and not configurations(FOLDER, machine.names):
        said = f"no phone reaches it: mosquitto is not told of {LAID_OUT}"
        advice = f"sudo ln -s {LAID_OUT} {links_of(FOLDER)}/ && sudo systemctl restart mosquitto"
        yield fault(OWN, said, advice)


def _is_here(host: str, machine: Machine) -> bool:
    """Whether that is this machine, by its own names."""
    own = (machine.output("hostname") or "").lower().partition(".")[0]
    names = {"localhost", "::1", own, f"{own}.local"}
    return host.lower() in names or host.startswith("127.")


def _finding(knock: Knock, where: str, host: str) -> str:
    match knock.step:
        case Step.NAME:
            return f"the name {host} is not found: {knock.reason}"
        case Step.CONNECTION:
            return f"{where} cannot be reached: {knock.reason}"
        case Step.TLS:
            return f"{where} is not trusted: {knock.reason}"
        case Step.LOGIN:
            return f"{where} does not let this device in: {knock.reason}"
        case _:
            return f"{where}: {knock.reason}"


def _advice(knock: Knock, config: Config, *, own: bool) -> str:
    mqtt = config.mqtt
    user = mqtt.username or config.device.id
    match knock.step:
        case Step.NAME:
            return f"Check the spelling of [mqtt] host; `getent hosts {mqtt.host}` has to know it."
        case Step.CONNECTION if "refused" in knock.reason:
            return "Start the broker (systemctl status mosquitto), and check [mqtt] port."
        case Step.CONNECTION:
            return f"Check network and firewall: `nc -vz {mqtt.host} {mqtt.port}` from here."
        case Step.TLS if "expired" in knock.reason:
            return "Renew the broker's certificate, or set this device's clock."
        case Step.TLS if "match" in knock.reason or "valid for" in knock.reason:
            return "Let [mqtt] host be a name that the broker's certificate has."
        case Step.TLS if "issuer" in knock.reason or "self" in knock.reason:
            return "Let [mqtt] ca_file be the authority that signed the broker's certificate."
        case Step.TLS:
            return f"See that the broker speaks TLS at port {mqtt.port}."
        case Step.LOGIN if own:
            return (
                "sudo systemctl restart mosquitto, which may know older accounts; else check the"
                f" password of {user} there."
            )
        case Step.LOGIN:
            return f"Check the password of {user} at the broker, and [mqtt] password_file."
        case _:
            return f"Give {user} its topics: pattern readwrite {mqtt.root}/device/%u/#"
