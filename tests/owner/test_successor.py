"""A dead device is replaced from its backup: the same phone calls, and is called, and was paired once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.config import Config, Mqtt, Security
from appliance.errors import ApplianceError
from appliance.owner.backup import backup
from appliance.owner.places import places
from appliance.owner.restoring import restore
from tests.owner.device import CHEAP, PASSPHRASE
from tests.parts.house import House, config_for, house
from tests.parts.mosquitto import Mosquitto, mosquitto
from tests.parts.pen import Pen
from tests.parts.phone import Phone, phone

__all__ = ["mosquitto"]

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]


async def pairs(one: House, alice: Phone) -> str:
    """The phone takes an invitation, as the document has it; the device's public key."""
    assert one.appliance.invite is not None
    invited = await one.appliance.invite("Alice", ["call", "answer"], None)
    words = invited.told["invitation"]
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
    assert (await invited.outcome())["outcome"] == "paired"
    alice.pen = pen
    return str(words["public_key"])


async def calls(alice: Phone, call_id: str) -> None:
    """A call that the door answers by itself, and that ends."""
    await alice.call(call_id, type_="audio")
    await alice.connected()
    await alice.send("end", call_id, {"reason": "hang_up", "kicked_by": None})
    await alice.hang_up()
    alice.joined.clear()


def settings(port: int) -> Config:
    config = config_for(port, security=Security("refuse"), contacts={}, groups={})
    return replace(
        config,
        mqtt=Mqtt(host="127.0.0.1", port=port, websocket_url="ws://127.0.0.1:1/"),
        call=replace(config.call, receiver="user:alice", auto_answer=("alice",)),
    )


async def test_the_same_phone_calls_the_device_that_took_the_place_of_a_dead_one(
    mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(mosquitto.port)
    passphrase, file = tmp_path / "passphrase", tmp_path / "door.backup"
    passphrase.write_text(PASSPHRASE)

    def on(name: str) -> Any:
        environ = {
            "STATE_DIRECTORY": str(tmp_path / name / "state"),
            "APPLIANCE_SOCKET": str(tmp_path / name / "free.sock"),
        }
        return places(tmp_path / name / "etc" / "door.toml", environ, credstore=tmp_path / "none")

    (tmp_path / "a" / "etc").mkdir(parents=True)
    (tmp_path / "b" / "etc").mkdir(parents=True)
    (tmp_path / "a" / "etc" / "door.toml").write_text(
        f'[device]\nid = "front-door"\n[mqtt]\nhost = "127.0.0.1"\nport = {mosquitto.port}\n'
    )
    async with AsyncExitStack() as stack:
        async with house(config, tmp_path / "a") as door:
            port = mosquitto.port
            alice = await stack.enter_async_context(phone("alice", "127.0.0.1", port, version=5))
            known_as = await pairs(door, alice)
            await calls(alice, "a1" * 16)
            await door.until("call_ended")
            await asyncio.to_thread(backup, on("a"), file, passphrase_file=passphrase, cost=CHEAP)
            # while it lives nobody takes its place
            with pytest.raises(ApplianceError, match="is at the broker now, with this very key"):
                await asyncio.to_thread(restore, on("b"), file, passphrase_file=passphrase)
        assert not (tmp_path / "b" / "state").exists()
        last = max(one["seq"] for one in alice.seen)
        shutil.rmtree(tmp_path / "a")  # it is dead, with all that it had

        assert await asyncio.to_thread(restore, on("b"), file, passphrase_file=passphrase) == 0
        alice.forget()
        async with house(config, tmp_path / "b") as door:
            assert door.appliance.key is not None
            assert door.appliance.key.public == known_as, "the phone has pinned it"
            await alice.online_again()
            await calls(alice, "b1" * 16)
            await door.until("call_ended")
            await door.until_true(lambda: "alice" in door.appliance.engine.state.presence)
            await door.appliance.session.initiate_call()
            await alice.hear("invite")
            await door.appliance.session.end_call()
            assert not [one for one in door.told if one["type"] == "appliance.error"]
        # who stayed connected, as this phone did, believes only numbers that rise
        assert min(one["seq"] for one in alice.seen) > last
