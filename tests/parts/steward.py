"""Who gives signed commands over MQTT: somebody of the house with a key, who may moderate and open."""

from __future__ import annotations

import itertools
import json
import secrets
import time
from typing import Any

from appliance.config import Contact
from appliance.model import Right
from appliance.trust.jws import seal
from appliance.trust.keys import DeviceKey

UID = "steward"


class Steward:
    """A key, and the numbers of what was signed with it."""

    def __init__(self) -> None:
        self.key = DeviceKey.make()
        self.contact = Contact("Steward", (self.key.public,), (Right.UNLOCK, Right.MODERATE))
        self._numbers = itertools.count(1)

    def order(self, device: str, epoch: str, name: str, args: Any, **changes: Any) -> bytes:
        """The payload for `command/<name>` of a device whose connection has that epoch."""
        said = {
            "v": 1,
            "id": secrets.token_hex(8),
            "client": "steward",
            "name": name,
            "args": args,
            "from": UID,
            "to": device,
            "endpoint": "program",
            "epoch": epoch,
            "seq": next(self._numbers),
            "sent_at": time.time_ns() // 1_000_000,
            "ttl_s": 30,
            "clock": "unknown",
        }
        return seal(json.dumps(said | changes).encode(), self.key)
