"""A process that floods: an inbox over MQTT, or a port over UDP, so many a second until it is killed.

`python -m tests.fuzz.flooder mqtt HOST PORT RATE TOPIC…` or `… udp HOST PORT RATE SEED`. It reads one line,
what `Told` has as JSON, and says `ready`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from OpenSSL import SSL
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.parts.pen import Pen

TICK_S = 0.005
RUBBISH = b"\xff" * 300
DEVICE = "front-door"


@dataclass(frozen=True)
class Told:
    """What it knows beside the topics: enough for the device to look at what it sends."""

    call_id: str = "c1"
    epoch: str | None = None
    kids: Mapping[str, str] = field(default_factory=dict)
    """By the uid, the name of its key: in which anybody can forge."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """In hexadecimal, the keys of those in whose own name it signs."""


def steadily(rate: float, send: Callable[[int], None]) -> None:
    """Call `send` so often a second, with what is behind made up for, until the process ends."""
    print("ready", flush=True)
    began, sent = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began) * rate)
        for number in range(sent, due):
            send(number)
        sent = due
        time.sleep(TICK_S)


class Hand:
    """Writes in others' names, rightly or not; every number that it gives is above those before."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._pens = {uid: Pen(bytes.fromhex(one)) for uid, one in told.secrets.items()}
        self._stranger = Pen()
        self._first = time.time_ns() // 1000
        self._wrong = self._stranger.sign(b"{}").rpartition(b".")[2]

    def online(self, uid: str, number: int) -> bytes:
        """Somebody has connected anew, and names the key of that uid, if it has one."""
        online = {"v": 1, "state": "online", "epoch": f"{number:032x}", "name": "!" * 60}
        return json.dumps(online | {"kid": self._told.kids.get(uid)}).encode()

    def chat(self, uid: str, number: int) -> bytes:
        """Unsigned: of who is in the call, to all endpoints of the device."""
        words = {"type": "chat", "call_id": self._told.call_id, "body": {"text": "!" * 200}}
        return self._said(uid, number, "phone", words | {"to_endpoint": None})

    def order(self, uid: str, name: str, number: int) -> bytes:
        """A command, unsigned."""
        return self._said(uid, number, "flood", {"client": "flood", "name": name, "args": {}})

    def _said(self, uid: str, number: int, endpoint: str, words: dict[str, Any]) -> bytes:
        number += self._first
        said = {
            "v": 1, "id": f"f{number}", "from": uid, "to": DEVICE, "endpoint": endpoint,
            "epoch": self._told.epoch, "seq": number, "sent_at": 0, "ttl_s": 30, "clock": "unknown",
        }  # fmt: skip
        return json.dumps(said | words).encode()

    def forged(self, uid: str, said: bytes) -> bytes:
        """Under a key that the device knows, by a signature that is one, of something else.

        That costs the most: nothing but the key can tell. Unsigned where no key is known.
        """
        if uid not in self._told.kids:
            return said
        head = self._stranger.head(self._told.kids[uid]).encode()
        text = base64.urlsafe_b64encode(said).rstrip(b"=")
        return b".".join((head, text, self._wrong))

    def signed(self, uid: str, said: bytes) -> bytes:
        """As its own word, where it has the key; else forged."""
        return self._pens[uid].sign(said) if uid in self._pens else self.forged(uid, said)


def over_mqtt(host: str, port: int, rate: float, topics: list[str], told: Told) -> None:
    """Chatter that nobody asked for, or who is there, or commands; each topic gets each kind in turn:
    rubbish, unsigned, forged, and of whose key is there signed.

    A topic that ends with `+` is another each time.
    """
    client = Client(CallbackAPIVersion.VERSION2, "flooder")
    client.connect(host, port)
    client.loop_start()
    hand = Hand(told)

    def message(uid: str, number: int, kind: int) -> bytes:
        said = hand.chat(uid, number)
        match kind % 4:
            case 0:
                return RUBBISH
            case 1:
                return said
            case 2:
                return hand.forged(uid, said)
            case _:
                return hand.signed(uid, said)

    def command(name: str, number: int, kind: int) -> bytes:
        match kind % 3:
            case 0:
                return RUBBISH
            case 1:
                return b"true"
            case _:
                return hand.forged("alice", hand.order("alice", name, number))

    def send(number: int) -> None:
        kind, which = divmod(number, len(topics))
        topic = topics[which].replace("+", f"x{number}")
        what, last = topic.split("/")[1], topic.split("/")[-1]
        if what == "presence":
            online = hand.online(topic.split("/")[2], number)
            client.publish(topic, online if kind % 3 else RUBBISH, 0)
        elif what == "device":
            client.publish(topic, command(last, number, kind), kind % 2)
        else:
            client.publish(topic, message(last, number, kind), 0)

    steadily(rate, send)


def over_udp(host: str, port: int, rate: float, seed: int) -> None:
    """Garbage, DTLS, STUN and RTP, from another port than the other side's."""
    rng = Random(seed)
    hello = first_flight()
    stun = bytes.fromhex("000100002112a442")
    sender = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)

    def send(number: int) -> None:
        with contextlib.suppress(OSError):
            match number % 5:
                case 0:
                    sender.sendto(rng.randbytes(rng.choice([0, 1, 2, 20, 1200])), (host, port))
                case 1:
                    sender.sendto(hello, (host, port))
                case 2:
                    sender.sendto(stun + rng.randbytes(12), (host, port))
                case 3:
                    sender.sendto(b"\x80\x6f" + rng.randbytes(200), (host, port))
                case _:
                    sender.sendto(b"\x81\xc9" + rng.randbytes(60), (host, port))

    steadily(rate, send)


def first_flight() -> bytes:
    """What somebody's DTLS begins a handshake with."""
    connection = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    connection.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(4096)


if __name__ == "__main__":
    way, at, number, wanted, *rest = sys.argv[1:]
    known = Told(**json.loads(sys.stdin.readline()))
    if way == "mqtt":
        over_mqtt(at, int(number), float(wanted), rest, known)
    else:
        over_udp(at, int(number), float(wanted), int(rest[0]))
