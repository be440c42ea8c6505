"""A contact that logs in over HTTP, as the documents say, with a key of its own."""

from __future__ import annotations

from typing import Any

from aiohttp import ClientSession

from appliance.trust.keys import DeviceKey, encoded


async def log_in(client: ClientSession, url: str, uid: str, key: DeviceKey, **changes: Any) -> int:
    """The status; the client keeps the cookie."""
    async with client.get(f"{url}login") as response:
        challenge = (await response.json())["challenge"]
    origin = changes.pop("origin", url.rstrip("/"))
    signature = encoded(key.sign(f"login\n{origin}\n{challenge}".encode()))
    entry = {"uid": uid, "kid": key.kid, "challenge": challenge, "signature": signature, **changes}
    async with client.post(f"{url}login", json=entry) as response:
        return response.status
