"""The broker that the project ships, running: made by `appliance broker`, on loopback ports of its own.

What is changed of the shipped files is where they lie and where it listens.
"""

from __future__ import annotations

import getpass
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from appliance.broker.authority import Authority, Issued
from appliance.broker.house import House
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.need import program

PATIENCE_S = 30.0
NOT_AUTHORIZED = 135
"""MQTT 5, 2.4: the reason code of a PUBACK or a CONNACK."""
PLAIN, TLS, PAGES, CERTIFICATES = 1883, 8883, 8884, 8885
"""The listeners of a house, by their ports in the shipped file."""
LOCAL_PAGES = 8083
"""With PLAIN those of one computer."""


class ShippedBroker(Mosquitto):
    """A real mosquitto with the shipped configuration; passwords of `names` are in `passwords`."""

    def __init__(
        self, directory: Path, names: tuple[str, ...], *, connections: int | None = None
    ) -> None:
        """`connections`: the limit at each listener, where it is not to be the shipped one."""
        super().__init__(program("mosquitto"), directory)
        self.house = House(directory / "broker")
        self.house.new(["127.0.0.1", "localhost"], device="front-door")
        self.authority = Authority.load(self.house.folder)
        self.passwords = {name: self.house.make(name) for name in names}
        self.ports = {port: free_port() for port in (PLAIN, TLS, PAGES, CERTIFICATES)}
        self.port, self.websocket_port = self.ports[PLAIN], self.ports[PAGES]
        self.pid_file = directory / "mosquitto.pid"
        self.ca = self.house.folder / "ca.crt"
        text = (self.house.folder / "appliance.conf").read_text()
        for port, free in self.ports.items():
            assert f"listener {port}" in text
            text = text.replace(f"listener {port} 127.0.0.1", f"listener {port}")
            text = text.replace(f"listener {port}\n", f"listener {free} 127.0.0.1\n")
        if connections is not None:
            text = re.sub(r"(?m)^max_connections .*$", f"max_connections {connections}", text)
        # else root becomes one who cannot read the test's files
        head = f"user {getpass.getuser()}\npid_file {self.pid_file}\nlog_dest stderr\n"
        self._config.write_text(f"{head}{text}")

    def also_listens(self, issued: Issued) -> int:
        """One more listener, with another certificate; before the start. Gives its port."""
        port = free_port()
        folder = self.house.folder
        (folder / f"{port}.crt").write_bytes(issued.certificate)
        (folder / f"{port}.key").write_bytes(issued.key)
        with self._config.open("a") as file:
            file.write(f"listener {port} 127.0.0.1\ncertfile {folder}/{port}.crt\n")
            file.write(f"keyfile {folder}/{port}.key\n")
        return port


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client was sent."""

    topic: str
    payload: bytes
    retained: bool


class Endpoint:
    """A client of the broker: what it does is answered, and what it hears is kept."""

    def __init__(
        self,
        port: int,
        name: str | None,
        password: str | None = None,
        *,
        ca: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        will: tuple[str, bytes] | None = None,
        pages: bool = False,
        client_id: str = "",
        host: str = "127.0.0.1",
        source: str = "",
    ) -> None:
        """Connect; `code` is the answer, None where there was none (`why` says why). `source` is the own
        address, where that matters.
        """
        self.heard: Queue[Heard] = Queue()
        self.code: int | None = None
        self.why = ""
        self._answers: Queue[int | None] = Queue()
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            transport="websockets" if pages else "tcp",
            reconnect_on_failure=False,
        )
        if name is not None:
            self.client.username_pw_set(name, password)
        if ca is not None:
            context = ssl.create_default_context(cafile=ca)
            if certificate is not None:
                context.load_cert_chain(*certificate)
            self.client.tls_set_context(context)
        if will is not None:
            self.client.will_set(*will)
        self.client.on_connect = lambda *given: self._answers.put(given[3].value)
        self.client.on_subscribe = lambda *given: self._answers.put(given[3][0].value)
        self.client.on_publish = lambda *given: self._answers.put(given[3].value)
        self.client.on_disconnect = self._disconnected
        self.client.on_message = lambda _client, _data, one: self.heard.put(
            Heard(one.topic, bytes(one.payload), one.retain)
        )
        self._ended: Queue[str] = Queue()
        try:
            self.client.connect(host, port, bind_address=source)
        except (OSError, ValueError) as error:
            self.why = str(error)
            self.close()
            return
        self.client.loop_start()
        self.code = self._answers.get(timeout=PATIENCE_S)

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye, where that is still to be said, and keep no socket."""
        self.client.disconnect()
        self.client.loop_stop()
        if (left := self.client.socket()) is not None:
            left.close()
        self.client._reset_sockets()  # the pair by which paho wakes itself up

    @property
    def is_in(self) -> bool:
        """Whether the broker has let it in."""
        return self.code == 0

    def subscribes(self, *topics: str) -> list[int | None]:
        """The answers of the broker, one by one."""
        answers = []
        for topic in topics:
            self.client.subscribe(topic, options=SubscribeOptions(qos=0))
            answers.append(self._answers.get(timeout=PATIENCE_S))
        return answers

    def may_publish(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> bool:
        """Whether the broker took it: 16 is that nobody listens, which is fine."""
        self.client.publish(topic, payload, qos=1, retain=retain)
        code = self._answers.get(timeout=PATIENCE_S)
        assert code in (0, 16, NOT_AUTHORIZED), code
        return code != NOT_AUTHORIZED

    def all_heard(self) -> list[Heard]:
        """Everything up to now: the broker writes to a client in order, and answers behind it."""
        self.subscribes("fence")
        return [self.heard.get() for _ in range(self.heard.qsize())]

    def dies(self) -> None:
        """Leaves its will, and is gone when this returns: the broker publishes it first."""
        packet = PacketTypes.DISCONNECT
        reason = ReasonCode(packet, "Disconnect with will message")
        self.client.disconnect(reasoncode=reason)
        self.gone()
        self.close()

    def gone(self) -> str:
        """Waits until the connection has ended; how."""
        return self._ended.get(timeout=PATIENCE_S)

    def stays(self) -> bool:
        """Whether it is connected still."""
        try:
            self._ended.put(self._ended.get_nowait())
        except Empty:
            return True
        return False

    def _disconnected(self, *given: Any) -> None:
        self._ended.put(str(given[3]))
        self._answers.put(None)
