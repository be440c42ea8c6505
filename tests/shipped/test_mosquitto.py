"""Whatever broker comes with the project, as a real mosquitto runs it: nobody is let in without an
account, and in plain text only over loopback.
"""

from __future__ import annotations

import errno
import getpass
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.broker.house import House
from tests.parts import need
from tests.parts.brokerhouse import CERTIFICATES, LOCAL_PAGES, NOT_AUTHORIZED, PATIENCE_S, Endpoint
from tests.parts.mosquitto import Mosquitto, free_port

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config" / "mosquitto"
KINDS = ("one computer's", "by hand", "an image's", "a house's")
"""The last has its own tests, in `test_broker.py`; an image's is one, as Debian starts it."""
OF_DEBIAN = """
pid_file /run/mosquitto/mosquitto.pid
persistence true
persistence_location /var/lib/mosquitto/
log_dest file /var/log/mosquitto/mosquitto.log
include_dir /etc/mosquitto/conf.d
"""
"""What is in the mosquitto.conf of Debian 12 and 13, and so of an image."""

COMPLAINT = r"Error|recommended|Warning: (?!Mosquitto should not be run as root|ACL pattern)"
"""What the broker says about a configuration that is not right."""

STRANGERS = ((None, None), ("alice", "wrong"))
MORE_STRANGERS = (("alice", None), ("alice", ""), ("nobody", "wrong"), ("", ""))
"""At the listeners that `test_broker.py` does not know."""

pytestmark = pytest.mark.broker


@dataclass(frozen=True)
class Listener:
    """One of a configuration: `was` is its port there."""

    was: int
    port: int
    address: str | None
    is_plain: bool
    is_for_pages: bool


class Shipped(Mosquitto):
    """A real mosquitto with one of the configurations; only its ports are others."""

    def __init__(self, kind: str, folder: Path) -> None:
        super().__init__(need.program("mosquitto"), folder)
        self.house = House(folder / "broker")
        if kind == "one computer's":
            self.house.new_local(["front-door"], device="front-door")
        else:
            self.house.new(["127.0.0.1", "localhost"], device="front-door")
        self.password = self.house.make("alice")
        self.ca = self.house.folder / "ca.crt"
        file = self.house.folder / "appliance.conf"
        if kind == "by hand":
            text = (SHIPPED / "appliance.conf").read_text()
            file.write_text(text.replace("/etc/mosquitto/appliance", str(self.house.folder)))
        self.listeners = [*self._on_free_ports(file)]
        self.port, self.websocket_port = self.listeners[0].port, self.listeners[1].port
        self._config.write_text(self._started_as(kind, file, folder))

    def _on_free_ports(self, file: Path) -> Iterator[Listener]:
        head, *parts = re.split(r"(?m)^listener ", file.read_text())
        for part in parts:
            was, *address = part.splitlines()[0].split()
            port = free_port()
            head += f"listener {port}{part.removeprefix(was)}"
            yield Listener(
                int(was),
                port,
                address[0] if address else None,
                "\ncertfile " not in part,
                "\nprotocol websockets" in part,
            )
        file.write_text(head)

    def _started_as(self, kind: str, file: Path, folder: Path) -> str:
        # else root becomes one who cannot read the test's files
        user = f"user {getpass.getuser()}\n"
        if kind == "one computer's":
            return file.read_text()
        if kind != "an image's":
            return f"{user}log_dest stderr\n{file.read_text()}"
        self._log = folder / "mosquitto.log"
        (folder / "conf.d").mkdir()
        (folder / "conf.d" / "appliance.conf").symlink_to(file)
        text = re.sub(r"/etc/mosquitto/|/(run|var/\w+)/mosquitto/", f"{folder}/", OF_DEBIAN)
        return f"{user}{text}"


@pytest.fixture(scope="module", params=KINDS[:-1])
def shipped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shipped]:
    broker = Shipped(request.param, tmp_path_factory.mktemp("shipped"))
    broker.start()
    try:
        assert not re.search(COMPLAINT, broker.log), broker.log
        yield broker
    finally:
        broker.kill()


def enters(broker: Shipped, listener: Listener, name: str | None, password: str | None) -> Endpoint:
    ca = None if listener.is_plain else broker.ca
    return Endpoint(listener.port, name, password, ca=ca, pages=listener.is_for_pages)


def test_nobody_is_let_in_without_an_account(shipped: Shipped) -> None:
    for listener in shipped.listeners:
        strangers = STRANGERS + (MORE_STRANGERS if listener.was == LOCAL_PAGES else ())
        for name, password in strangers:
            with enters(shipped, listener, name, password) as stranger:
                assert not stranger.is_in, (listener, name, password)
                if listener.was != CERTIFICATES:
                    assert stranger.code == NOT_AUTHORIZED, (listener, name, password)
        with enters(shipped, listener, "alice", shipped.password) as alice:
            assert alice.is_in == (listener.was != CERTIFICATES), listener
            if alice.is_in:
                assert alice.may_publish("appliance/call/front-door/alice")
                assert not alice.may_publish("appliance/call/front-door/bob")


def test_a_broker_that_was_started_by_hand_is_told_of_new_accounts(tmp_path: Path) -> None:
    """By its own process number, which is in its folder."""
    broker = Shipped("one computer's", tmp_path)
    broker.start()
    try:
        bob = broker.house.make("bob")
        assert broker.house.reload()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with enters(broker, broker.listeners[0], "bob", bob) as one:
                if one.is_in or time.monotonic() > deadline:
                    break
        assert one.is_in
    finally:
        broker.kill()


def test_in_plain_text_it_listens_on_loopback_alone(shipped: Shipped) -> None:
    """At each of this machine's addresses, whatever the file says: mosquitto does not always do it."""
    assert 1883 in [one.was for one in shipped.listeners if one.is_plain]
    for listener in shipped.listeners:
        assert (listener.address == "127.0.0.1") == listener.is_plain, listener
        with socket.socket() as guest:  # who is not on loopback
            guest.settimeout(PATIENCE_S)
            answer = guest.connect_ex((need.own_address(), listener.port))
            assert answer == (errno.ECONNREFUSED if listener.is_plain else 0), listener
        if not listener.is_plain:
            with Endpoint(listener.port, "alice", shipped.password) as plain:
                assert not plain.is_in, listener


def test_one_computers_broker_listens_nowhere_else_and_a_houses_not_there(tmp_path: Path) -> None:
    ports = {}
    for kind in KINDS:
        (tmp_path / kind).mkdir()
        ports[kind] = [one.was for one in Shipped(kind, tmp_path / kind).listeners]
    assert ports == {
        "a house's": [1883, 8883, 8884, 8885],
        "one computer's": [1883, 8083],
        "by hand": [1883, 8083, 8883, 8884, 8885],
        "an image's": [1883, 8883, 8884, 8885],
    }


def test_there_is_one_configuration_and_nothing_lets_anybody_in_unnamed() -> None:
    """`port`, `bind_address` and the like would be listeners that the tests above do not see."""
    assert [file.name for file in sorted(SHIPPED.glob("*.conf"))] == ["appliance.conf"]
    unseen = (
        r"(?m)^\s*(allow_anonymous\s+true|port\b|bind_\w+\b|include_dir\b|per_listener_settings\b)"
    )
    for folder in (SHIPPED, ROOT / "image-build", ROOT / "systemd"):
        for file in folder.rglob("*"):
            if file.is_file() and b"\0" not in file.read_bytes():
                assert not re.search(unseen, file.read_text("utf-8")), file
