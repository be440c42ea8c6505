"""A phone that is rung thousands of times: it notes when each call began to ring, and says no."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.parts.pen import Pen, kid_of, read

UID, ENDPOINT = "alice", "phone"
_OFFLINE = json.dumps({"v": 1, "state": "offline"})

_NO = {"reason": "rejected", "custom_data": None}

PATIENCE_S = 60.0

Patience = Callable[[], float]
"""How long (seconds) the next call rings here before it is rejected."""


@dataclass
class Rung:
    """One call, as it was rung here: from when to when, by the wall clock, and how often it began anew."""

    began_s: float
    times: int = 1
    over_s: float | None = None
    """When it stopped ringing, by the door's word or because it was rejected here."""
    rejected: bool = False
    ended_s: float | None = None
    """When the door's own word that it is over came, before it was rejected here or after."""
    invited_s: list[float] = field(default_factory=list)
    """When the door wrote each of its invites, by what stands in them."""


class RingingPhone:
    """The messages of the interfaces by hand, over a connection of its own; `with`."""

    def __init__(
        self, device: str, host: str, port: int, patience: Patience, pen: Pen | None
    ) -> None:
        """`pen`: with which it signs; None: nobody does."""
        self.rung: dict[str, Rung] = {}
        self.signers: set[str | None] = set()
        """By which keys the door's messages were signed; None: by none."""
        self.stepped_back: list[str] = []
        """Of what the door has said, new messages whose number was not higher than one before."""
        self._highest: dict[tuple[str | None, str | None], int] = {}
        self._pen = pen
        self._device = device
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._door_epoch: str | None = None
        self._epoch = ""
        self._seq = 0
        self._known = False
        self._online = asyncio.Event()
        self._ids: set[str] = set()
        self._rejecting: dict[str, asyncio.TimerHandle] = {}
        self._presence = f"appliance/presence/{UID}/{ENDPOINT}"
        client = paho.Client(CallbackAPIVersion.VERSION2, f"{UID}-{ENDPOINT}", protocol=paho.MQTTv5)
        client.will_set(self._presence, _OFFLINE, 1, retain=True)
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda client, *_: client.subscribe(
            [
                (f"appliance/call/{UID}/+", 1),
                (f"appliance/presence/{device}/+", 1),
                (self._presence, 1),
            ]
        )
        client.on_subscribe = lambda *_: self._soon(self._say_online)
        client.on_message = lambda _client, _data, packet: self._soon(
            self._take, packet.topic, bytes(packet.payload)
        )
        client.connect_async(host, port, 5)
        self._client = client

    def __enter__(self) -> RingingPhone:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        for handle in self._rejecting.values():
            handle.cancel()

    async def is_online(self) -> None:
        """Wait until the broker has told of this phone, and this phone has heard of the door."""
        async with asyncio.timeout(PATIENCE_S):
            await self._online.wait()

    def _soon(self, call: Callable[..., None], *given: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: all is over
            self._loop.call_soon_threadsafe(call, *given)

    def _say_online(self) -> None:
        self._epoch = secrets.token_hex(16)
        online = {"v": 1, "state": "online", "epoch": self._epoch, "name": "Alice"}
        online["kid"] = self._pen.kid if self._pen else None
        self._client.publish(self._presence, json.dumps(online), 1, retain=True)

    def _take(self, topic: str, payload: bytes) -> None:
        message = json.loads(read(payload))
        if topic.startswith("appliance/call/"):
            self.signers.add(kid_of(payload))
        if topic == self._presence:
            self._known = message["state"] == "online"
            self._look()
        elif topic.startswith("appliance/presence/"):
            self._door_epoch = message.get("epoch")
            self._look()
        # what was written to an earlier connection of this phone is not of now
        elif message["epoch"] in (None, self._epoch) and message["id"] not in self._ids:
            self._ids.add(message["id"])
            self._rises((message["epoch"], message["to_endpoint"]), message["seq"])
            self._heard(message["type"], message["call_id"], message["sent_at"] / 1000)

    def _rises(self, counter: tuple[str | None, str | None], seq: int) -> None:
        """By the number a phone tells a replay, whatever has become of the daemon meanwhile."""
        highest = self._highest.get(counter, -1)
        if seq <= highest:
            self.stepped_back.append(f"number {seq} came behind {highest}")
        self._highest[counter] = max(seq, highest)

    def distrusts(self) -> list[str]:
        """What somebody who goes by the rules would not have believed of the door, as sentences."""
        other = [] if len(self.signers) <= 1 else [f"the door has signed by {self.signers}"]
        plain = ["the door has not signed"] if self._pen and None in self.signers else []
        return [*other, *plain, *self.stepped_back]

    def _look(self) -> None:
        if self._known and self._door_epoch:
            self._online.set()

    def _heard(self, type_: str, call_id: str, sent_s: float) -> None:
        if type_ == "invite":
            self._rings(call_id)
            self.rung[call_id].invited_s.append(sent_s)
        elif type_ in ("cancel", "end"):
            if call_id not in self.rung:  # its invite, should it still come, rings no more
                self.rung[call_id] = Rung(time.time(), times=0)
            known = self.rung[call_id]
            known.ended_s = known.ended_s or time.time()
            if not known.rejected:
                known.over_s = time.time()
            if handle := self._rejecting.pop(call_id, None):
                handle.cancel()

    def _rings(self, call_id: str) -> None:
        known = self.rung.get(call_id)
        if known is None:
            self.rung[call_id] = Rung(time.time())
        elif known.rejected:  # which cannot have been heard
            self._send("reject", call_id, _NO)
            return
        elif known.over_s and known.times:
            known.times += 1  # the door itself has ended it, and lets it ring again
            known.ended_s = None
        else:
            return
        self._send("ringing", call_id, {})
        self._rejecting[call_id] = self._loop.call_later(self._patience(), self._reject, call_id)

    def _reject(self, call_id: str) -> None:
        self._rejecting.pop(call_id, None)
        self.rung[call_id].over_s = time.time()
        self.rung[call_id].rejected = True
        self._send("reject", call_id, _NO)

    def _send(self, type_: str, call_id: str, body: dict[str, Any]) -> None:
        self._seq += 1
        envelope = {
            "v": 1,
            "id": secrets.token_hex(8),
            "type": type_,
            "call_id": call_id,
            "from": UID,
            "to": self._device,
            "endpoint": ENDPOINT,
            "to_endpoint": "main",
            "epoch": self._door_epoch,
            "seq": self._seq,
            "sent_at": int(time.time() * 1000),
            "ttl_s": 5,
            "clock": "unknown",
            "body": body,
        }
        said = json.dumps(envelope).encode()
        said = self._pen.sign(said) if self._pen else said
        self._client.publish(f"appliance/call/{self._device}/{UID}", said, 1)
