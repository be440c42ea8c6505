"""How a TURN server that shares a secret with this device lets people in, and which servers a page is told.

It is given a name that says until when it is good, and the HMAC of that name as a password ("A REST API For
Access To TURN Services", draft-uberti-behave-turn-rest): what is read off the network is of no use for
long, and the secret itself never leaves the device. So only such servers are told to others, and those of
STUN.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from collections.abc import Sequence
from pathlib import Path

from appliance.config import IceServer
from appliance.model import Json

logger = logging.getLogger(__name__)

GOOD_FOR_S = 86_400
"""Longer than any call, and than the clock of a device that has just begun to know the time is off."""


def time_limited(secret: bytes, uid: str, until_s: int) -> tuple[str, str]:
    """User name and password that a TURN server with this secret takes until then (Unix seconds)."""
    username = f"{until_s}:{uid}"
    digest = hmac.new(secret, username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def secret_of(file: str | Path) -> str:
    """What a file of one secret holds. Raises OSError."""
    return Path(file).read_text(encoding="utf-8").strip()


def told(configured: Sequence[IceServer], uid: str, wall_s: float) -> list[dict[str, Json]]:
    """The servers as a page of `uid` is told them (W3C `RTCIceServer`), good for a day from `wall_s` on.

    A password that is always the same would be told to all, so who has no secret with this device is left
    out; so is one whose secret cannot be read.
    """
    servers: list[dict[str, Json]] = []
    for one in configured:
        asked = [url for url in one.urls if url.startswith("stun:")]
        relays = [url for url in one.urls if url.startswith(("turn:", "turns:"))]
        if asked:
            servers.append({"urls": [*asked]})
        if not relays or one.secret_file is None:
            continue
        try:
            secret = secret_of(one.secret_file)
        except (OSError, ValueError) as fault:
            logger.warning("no page is told of %s: %s", relays[0], fault)
            continue
        username, password = time_limited(secret.encode(), uid, int(wall_s) + GOOD_FOR_S)
        servers.append({"urls": [*relays], "username": username, "credential": password})
    return servers
