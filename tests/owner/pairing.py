"""A phone is paired, and calls: with the documented messages alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from tests.parts.pen import Pen
from tests.parts.phone import Phone


async def pairs(alice: Phone, words: Mapping[str, Any]) -> None:
    """The phone takes an invitation, as the document has it, and signs from then on."""
    pen = Pen()
    secret = base64.urlsafe_b64decode(words["secret"] + "==")
    said = f"pair\nfront-door\nalice\n{pen.public}".encode()
    proof = (
        base64.urlsafe_b64encode(hmac.digest(secret, said, hashlib.sha256)).rstrip(b"=").decode()
    )
    body = {"key": pen.public, "proof": proof}
    await alice.send("pair", "c" * 32, body, epoch=None)
    paired = await alice.hear("paired")
    assert paired["body"]["kid"] == pen.kid
    alice.pen = pen


async def calls(alice: Phone, call_id: str) -> None:
    """A call that the door answers by itself, and that ends."""
    await alice.call(call_id, type_="audio")
    await alice.connected()
    await alice.send("end", call_id, {"reason": "hang_up", "kicked_by": None})
    await alice.hang_up()
    alice.joined.clear()
