"""The development broker that comes with the project: the real mosquitto, and what it lets pass."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.parts import need

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config" / "mosquitto" / "mosquitto.conf"
NOT_AUTHORIZED = 135
"""MQTT 5, 2.4: the reason code of a PUBACK or a CONNACK."""

COMPLAINT = r"Error|recommended|Warning: (?!Mosquitto should not be run as root|ACL pattern)"
"""What the broker says about a configuration that is not right."""

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The shipped configuration, on ports of its own: MQTT's, and that for web pages."""
    program = need.program("mosquitto")
    mqtt, pages = free_ports()
    text = SHIPPED.read_text().replace("listener 1883 ", f"listener {mqtt} ")
    text = text.replace("listener 8083 ", f"listener {pages} ")
    assert str(mqtt) in text
    if os.getuid() == 0:
        text += "\nuser root\n"  # it would change to an account that cannot read pytest's folder
    file = tmp_path_factory.mktemp("mosquitto") / "mosquitto.conf"
    file.write_text(text)
    log = file.with_suffix(".log")
    with (
        log.open("w") as stderr,
        subprocess.Popen([program, "-c", file], cwd=ROOT, stderr=stderr) as broker,
    ):
        try:
            until_it_listens(broker, mqtt)
            assert not re.search(COMPLAINT, log.read_text()), log.read_text()
            yield mqtt, pages
        finally:
            broker.terminate()


@pytest.fixture(scope="module")
def port(ports: tuple[int, int]) -> int:
    """MQTT's."""
    return ports[0]


def until_it_listens(broker: subprocess.Popen[bytes], port: int) -> None:
    """The broker does not say when; it is asked until it answers, or has ended."""
    deadline = time.monotonic() + 60
    while broker.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.02)
    pytest.fail(f"mosquitto does not listen: exit status {broker.poll()}")


def free_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        return one.getsockname()[1], two.getsockname()[1]


class Endpoint:
    """A client of the broker: publishes with an answer, and keeps what it hears."""

    def __init__(self, port: int, name: str | None) -> None:
        self.heard: Queue[str] = Queue()
        self._answers: Queue[int] = Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if name is not None:
            self.client.username_pw_set(name)
        self.client.on_connect = lambda *a: self._answers.put(a[3].value)
        self.client.on_subscribe = lambda *a: self._answers.put(a[3][0].value)
        self.client.on_publish = lambda *a: self._answers.put(a[3].value)
        self.client.on_message = lambda _client, _data, message: self.heard.put(message.topic)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._answers.get(timeout=30) == 0

    def subscribes(self, topic: str) -> None:
        self.client.subscribe(topic, qos=1)
        assert self._answers.get(timeout=30) in (0, 1)

    def may_publish(self, topic: str) -> bool:
        """Whether the broker took it: 16 is nobody listens, which is fine."""
        self.client.publish(topic, b"{}", qos=1)
        code = self._answers.get(timeout=30)
        assert code in (0, 16, NOT_AUTHORIZED)
        return code != NOT_AUTHORIZED


@contextlib.contextmanager
def endpoint(port: int, name: str | None) -> Iterator[Any]:
    made = Endpoint(port, name)
    try:
        yield made
    finally:
        made.client.disconnect()
        made.client.loop_stop()


def test_who_writes_is_who_it_says(port: int) -> None:
    with endpoint(port, "alice") as alice:
        assert alice.may_publish("appliance/call/front-door/alice")
        assert not alice.may_publish("appliance/call/front-door/bob")
        assert alice.may_publish("appliance/presence/alice/phone-1")
        assert not alice.may_publish("appliance/presence/bob/phone-1")
        assert not alice.may_publish("appliance/device/front-door/command/unlock")
        assert not alice.may_publish("appliance/device/front-door/availability")
        assert not alice.may_publish("other/topic")


def test_a_device_has_its_own_topics(port: int) -> None:
    with endpoint(port, "front-door") as door:
        assert door.may_publish("appliance/device/front-door/event/button/call_button_clicked")
        assert not door.may_publish("appliance/device/back-door/availability")


def test_nobody_reads_what_is_for_another(port: int) -> None:
    with endpoint(port, "bob") as bob, endpoint(port, "alice") as alice:
        bob.subscribes("#")
        with endpoint(port, "front-door") as door:
            for topic in ("event/button/call_button_clicked", "state/call", "reply/all", "info"):
                assert door.may_publish(f"appliance/device/front-door/{topic}")
            assert door.may_publish("appliance/call/alice/front-door")
            assert door.may_publish("appliance/presence/front-door/main")
            assert door.may_publish("appliance/call/bob/front-door")
        assert alice.may_publish("appliance/presence/alice/phone-1")
        heard = [bob.heard.get(timeout=30) for _ in range(4)]
    assert heard == [
        "appliance/device/front-door/info",
        "appliance/presence/front-door/main",
        "appliance/call/bob/front-door",
        "appliance/presence/alice/phone-1",
    ]


def test_an_automation_gives_the_commands_that_are_written_down(port: int) -> None:
    with endpoint(port, "homeassistant") as home, endpoint(port, "front-door") as door:
        home.subscribes("appliance/device/front-door/#")
        assert home.may_publish("appliance/device/front-door/command/set_do_not_disturb")
        assert not home.may_publish("appliance/device/front-door/command/unlock")
        assert door.may_publish("appliance/device/front-door/reply/alice")
        assert door.may_publish("appliance/device/front-door/state/call")
        assert (
            home.heard.get(timeout=30) == "appliance/device/front-door/command/set_do_not_disturb"
        )
        assert home.heard.get(timeout=30) == "appliance/device/front-door/state/call"


def test_who_has_no_name_has_nothing_to_say(port: int) -> None:
    with endpoint(port, None) as nobody:
        assert not nobody.may_publish("appliance/call/front-door/alice")
        assert not nobody.may_publish("appliance/call/front-door/")


def test_the_broker_is_for_this_machine_only(ports: tuple[int, int]) -> None:
    listeners = re.findall(r"^\s*listener (.*)$", SHIPPED.read_text(), re.MULTILINE)
    assert [address.split()[1:] for address in listeners] == [["127.0.0.1"], ["127.0.0.1"]]
    # `port`, `bind_address` and `bind_interface` would be a listener of another kind
    assert not re.search(r"^\s*(port|bind_\w+|include_dir)\b", SHIPPED.read_text(), re.MULTILINE)
    for port in ports:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
        with socket.socket() as guest:  # who is not on loopback
            guest.settimeout(30)
            assert guest.connect_ex((need.own_address(), port)) == errno.ECONNREFUSED


def test_no_other_configuration_lets_anybody_in_unnamed_and_no_package_has_this_one() -> None:
    """Of what is in the source: it is for who has the checkout, and starts it."""
    found = {
        str(file.relative_to(ROOT))
        for folder in ("config", "image-build", "systemd", "appliance")
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and re.search(rb"(?m)^\s*allow_anonymous\s+true", file.read_bytes())
    }
    assert found == {"config/mosquitto/mosquitto.conf"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["appliance"]
    assert not [one for one in wheel["force-include"] if one.endswith("mosquitto.conf")]
    for file in (ROOT / "image-build").rglob("*"):
        if file.is_file() and file.suffix != ".md":
            assert b"config/mosquitto/mosquitto.conf" not in file.read_bytes()
