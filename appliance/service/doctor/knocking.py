"""Goes to the broker as the appliance would, step by step: name, connection, TLS, login, a message.

It has a client id of its own, so that a running appliance is not thrown out, and writes only below the
device's topics.
"""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from appliance.config import Mqtt

STEP_S = 3.0
"""The patience at each step."""
TLS_PORT = 8883
_REFUSED = ("uthori", "user name", "password")
"""Of the reasons for which a login is refused that the protocol has nothing to do with."""


class Step(StrEnum):
    """How far it went."""

    NAME = "name"
    CONNECTION = "connection"
    TLS = "tls"
    LOGIN = "login"
    MESSAGE = "message"
    DONE = "done"


class Knock(Struct, frozen=True):
    """The step at which it ended, and why; `round_trip_ms` where all of it works."""

    step: Step
    reason: str = ""
    round_trip_ms: float | None = None
    tls: bool = False


def knock(mqtt: Mqtt, device_id: str) -> Knock:
    """Try; each step takes `STEP_S` at most, but for the system's own look for the name."""
    tls = bool(mqtt.ca_file or mqtt.cert_file or mqtt.port == TLS_PORT)
    steps: list[tuple[Step, Callable[[Mqtt], None]]] = [
        (Step.NAME, _find),
        (Step.CONNECTION, _connect),
        *([(Step.TLS, _trust)] if tls else []),
    ]
    for step, take in steps:
        try:
            take(mqtt)
        except (OSError, ValueError) as error:
            return Knock(step, _reason(error), tls=tls)
    try:
        return _log_in(mqtt, device_id, tls)
    except (OSError, ValueError) as error:
        return Knock(Step.LOGIN, _reason(error), tls=tls)


def _find(mqtt: Mqtt) -> None:
    socket.getaddrinfo(mqtt.host, mqtt.port, type=socket.SOCK_STREAM)


def _connect(mqtt: Mqtt) -> None:
    socket.create_connection((mqtt.host, mqtt.port), STEP_S).close()


def _trust(mqtt: Mqtt) -> None:
    with (
        socket.create_connection((mqtt.host, mqtt.port), STEP_S) as plain,
        _context(mqtt).wrap_socket(plain, server_hostname=mqtt.host),
    ):
        pass


def _context(mqtt: Mqtt) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=mqtt.ca_file)
    if mqtt.cert_file is not None:
        context.load_cert_chain(mqtt.cert_file, mqtt.key_file)
    return context


def _log_in(mqtt: Mqtt, device_id: str, tls: bool) -> Knock:
    result = _speak(mqtt, device_id, tls, MQTTProtocolVersion.MQTTv5)
    if result.step is Step.LOGIN and not any(word in result.reason for word in _REFUSED):
        # brokers that know no MQTT 5 refuse it, or just hang up
        result = _speak(mqtt, device_id, tls, MQTTProtocolVersion.MQTTv311)
    return result


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or str(error)
    if isinstance(error, TimeoutError):
        return f"no answer within {STEP_S:g} s"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def kept(mqtt: Mqtt, device_id: str, topic_filter: str) -> dict[str, bytes] | None:
    """What the broker keeps under these topics; None where it cannot be asked. Never raises."""
    tls = bool(mqtt.ca_file or mqtt.cert_file or mqtt.port == TLS_PORT)
    for version in (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311):
        found: dict[str, bytes] = {}
        try:
            knock = _speak(mqtt, device_id, tls, version, {topic_filter: found})
        except (OSError, ValueError):
            return None
        if knock.step is Step.DONE:
            return found
    return None


def _speak(
    mqtt: Mqtt,
    device_id: str,
    tls: bool,
    version: MQTTProtocolVersion,
    asked: Mapping[str, dict[str, bytes]] | None = None,
) -> Knock:
    """Log in and have a message come back; what is retained below the topics of `asked` is put there."""
    heard: list[str] = []
    back: list[float] = []
    topic = f"{mqtt.root}/device/{device_id}/doctor/{secrets.token_hex(8)}"
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"{device_id}-doctor-{secrets.token_hex(4)}",
        protocol=version,
        reconnect_on_failure=False,
    )
    client.connect_timeout = STEP_S
    secret = None if mqtt.password_file is None else Path(mqtt.password_file).read_text("utf-8")
    client.username_pw_set(mqtt.username or device_id, secret and secret.strip("\r\n"))
    if tls:
        client.tls_set_context(_context(mqtt))

    def connected(_c: Any, _d: Any, _f: Any, reason: Any, _p: Any = None) -> None:
        heard.append("in" if not reason.is_failure else str(reason))

    def subscribed(_c: Any, _d: Any, _m: int, reasons: Any, _p: Any = None) -> None:
        heard.append("subscribed" if not reasons[0].is_failure else str(reasons[0]))

    def arrived(_c: Any, _d: Any, message: MQTTMessage) -> None:
        if message.topic == topic:
            back.append(time.monotonic())
        for told in (asked or {}).values():
            if message.retain:
                told[message.topic] = bytes(message.payload)

    client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, arrived
    try:
        client.connect(mqtt.host, mqtt.port, keepalive=30)
        if not _until(client, lambda: bool(heard)) or heard[0] != "in":
            return Knock(Step.LOGIN, heard[0] if heard else "no answer to the login", tls=tls)
        # one packet: what is retained comes before what is published later
        client.subscribe([(topic, 1), *((each, 0) for each in asked or {})])
        if not _until(client, lambda: len(heard) > 1) or heard[1] != "subscribed":
            return Knock(Step.MESSAGE, f"{topic} may not be read", tls=tls)
        begun = time.monotonic()
        client.publish(topic, b"doctor", qos=1)
        if not _until(client, lambda: bool(back)):
            return Knock(Step.MESSAGE, f"what is written to {topic} does not come back", tls=tls)
        return Knock(Step.DONE, round_trip_ms=round((back[0] - begun) * 1000, 1), tls=tls)
    finally:
        client.disconnect()
        client.loop(0)


def _until(client: Client, happened: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + STEP_S
    while not happened() and time.monotonic() < end_s:
        if client.loop(0.05):  # the connection is gone
            break
    return happened()
