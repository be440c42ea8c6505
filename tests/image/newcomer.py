"""A phone that has nothing but what a new device shows: it trusts, opens the page, and is paired.

    python newcomer.py LINK FINGERPRINT [PORTS]

PORTS is JSON: where on loopback each of the device's ports is, if not there.

Beside `tests/parts/pen.py`, and with nothing of the project's code: within the machine, whose own name it
then looks up on loopback, or outside, where its ports are forwarded. It prints what it was told as JSON.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import socket
import ssl
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

PATIENCE_S = 600.0
"""An emulated processor shakes hands slowly; only a fault waits for it."""
ENDPOINT = "phone-1"


def pair(link: str, fingerprint: str, ports: Mapping[int, int], pen: Any) -> dict[str, Any]:
    """Do all that its owner does with a phone; `ports`: where those of the device are on loopback."""
    page, _, packed = link.partition("#pair=")
    words = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    host = urlsplit(page).hostname
    found_by_name(str(host), ports)
    # whoever it is who gives it: it is compared with what the device shows
    pem = get(f"{page}ca.crt", ssl._create_unverified_context())  # noqa: S323
    found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest().upper()
    if found != fingerprint.replace(":", ""):
        raise SystemExit(f"{found} is not what the device shows")
    trusting = ssl.create_default_context(cadata=pem.decode())
    opened = get(page, trusting)
    told = asked(words, trusting, pen)
    return {"page": len(opened), "host": host, "uid": words["uid"], "told": told, "kid": pen.kid}


def found_by_name(host: str, ports: Mapping[int, int]) -> None:
    """Have the device's name lead to loopback, as multicast DNS has it lead to the device."""
    look_up = socket.getaddrinfo

    def looked_up(name: Any, port: Any, *more: Any, **named: Any) -> Any:
        if name == host:
            return look_up("127.0.0.1", ports.get(int(port), int(port)), *more, **named)
        return look_up(name, port, *more, **named)

    setattr(socket, "getaddrinfo", looked_up)  # noqa: B010 - for urllib and paho alike


def get(url: str, trusting: ssl.SSLContext) -> bytes:
    """What is there."""
    with urllib.request.urlopen(url, timeout=PATIENCE_S, context=trusting) as answer:
        content: bytes = answer.read()
    return content


def asked(words: Mapping[str, Any], trusting: ssl.SSLContext, pen: Any) -> Any:
    """Send `pair` over the broker that the invitation names, until it is answered by its `paired`."""
    uid, device, root = words["uid"], words["device_id"], words["root"]
    said = f"pair\n{device}\n{uid}\n{pen.public}".encode()
    secret = base64.urlsafe_b64decode(words["secret"] + "==")
    proof = base64.urlsafe_b64encode(hmac.digest(secret, said, "sha256")).rstrip(b"=").decode()
    call_id, epoch = secrets.token_hex(8), secrets.token_hex(16)
    now_ms = int(time.time() * 1000)
    # fmt: off
    envelope = {
        "v": 1, "id": secrets.token_hex(8), "type": "pair", "call_id": call_id, "from": uid, "to": device,
        "endpoint": ENDPOINT, "to_endpoint": None, "epoch": None, "seq": now_ms, "sent_at": now_ms,
        "ttl_s": 600, "clock": "unknown", "body": {"key": pen.public, "proof": proof},
    }
    # fmt: on
    answers: list[Any] = []
    came, subscribed = threading.Event(), threading.Event()

    def arrived(_client: Any, _data: Any, packet: paho.MQTTMessage) -> None:
        body = json.loads(read(bytes(packet.payload)))
        if body["type"] == "paired" and body["call_id"] == call_id:
            answers.append(body["body"])
            came.set()

    at = urlsplit(words["websocket_url"])
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        f"{uid}-{ENDPOINT}",
        transport="websockets",
        protocol=paho.MQTTv5,
    )
    client.tls_set_context(trusting)
    client.username_pw_set(words["username"], words["password"])

    def connected(*_: Any) -> None:
        client.subscribe(f"{root}/call/{uid}/+", 1)

    client.on_connect = connected
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = arrived
    client.connect(str(at.hostname), at.port or 443, 60)
    client.loop_start()
    try:
        if not subscribed.wait(PATIENCE_S):
            raise SystemExit("the broker lets nobody in")
        online = {"v": 1, "state": "online", "epoch": epoch, "name": "Phone", "kid": None}
        client.publish(f"{root}/presence/{uid}/{ENDPOINT}", json.dumps(online), 1, True)
        ends_s = time.monotonic() + PATIENCE_S
        while not came.wait(2) and time.monotonic() < ends_s:
            client.publish(f"{root}/call/{device}/{uid}", json.dumps(envelope), 1)
        if not answers:
            raise SystemExit("the device does not answer")
    finally:
        client.disconnect()
        client.loop_stop()
    return answers[0]


def read(payload: bytes) -> bytes:
    """What a message says, signed or not."""
    if payload.startswith(b"{"):
        return payload
    text = payload.split(b".")[1]
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


if __name__ == "__main__":
    from pen import Pen  # type: ignore[import-not-found]  # beside it, in the machine

    forwarded = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    found = pair(sys.argv[1], sys.argv[2], {int(one): forwarded[one] for one in forwarded}, Pen())
    sys.stdout.write(json.dumps(found))
