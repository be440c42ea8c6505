"""A process that floods: an inbox over MQTT, or a port over UDP, so many a second until it is killed.

`python -m tests.fuzz.flooder mqtt HOST PORT RATE TOPIC…` or `… udp HOST PORT RATE SEED`; it first says
`ready`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from collections.abc import Callable
from random import Random

from OpenSSL import SSL
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

TICK_S = 0.005


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


def over_mqtt(host: str, port: int, rate: float, topics: list[str]) -> None:
    """Chats that nobody asked for, unsigned, with rising numbers, and some rubbish; or who is there; or
    plain commands.

    A topic that ends with `+` is another each time.
    """
    client = Client(CallbackAPIVersion.VERSION2, "flooder")
    client.connect(host, port)
    client.loop_start()

    def send(number: int) -> None:
        topic = topics[number % len(topics)]
        if topic.split("/")[1] == "presence":
            online = {"v": 1, "state": "online", "epoch": f"{number:032x}", "name": "!" * 60}
            payload = json.dumps(online) if number % 3 else b"\xff" * 300
            client.publish(topic.replace("+", f"x{number}"), payload, 0)
            return
        if topic.split("/")[1] == "device":
            payload = b"true" if number % 3 else b"\xff" * 300
            client.publish(topic.replace("+", f"x{number}"), payload, number % 2)
            return
        said = {
            "v": 1, "id": f"f{number}", "type": "chat", "call_id": "c1", "from": topic.split("/")[-1],
            "to": topic.split("/")[-2], "endpoint": "flood", "to_endpoint": None, "epoch": None,
            "seq": number, "sent_at": 0, "ttl_s": 30, "clock": "unknown", "body": {"text": "!" * 200},
        }  # fmt: skip
        client.publish(topic, json.dumps(said) if number % 3 else b"\xff" * 300, 0)

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
    if way == "mqtt":
        over_mqtt(at, int(number), float(wanted), rest)
    else:
        over_udp(at, int(number), float(wanted), int(rest[0]))
