"""A dead device is replaced from its backup: the same phone calls, and is called, and was paired once."""

from __future__ import annotations

import asyncio
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
from tests.owner.pairing import calls, pairs
from tests.parts.house import config_for, house
from tests.parts.mosquitto import Mosquitto, mosquitto
from tests.parts.phone import phone

__all__ = ["mosquitto"]

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]


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
        return places(
            tmp_path / name / "etc" / "door.toml",
            environ,
            credstore=tmp_path / "none",
            root=tmp_path,
        )

    (tmp_path / "a" / "etc").mkdir(parents=True)
    (tmp_path / "b" / "etc").mkdir(parents=True)
    (tmp_path / "a" / "etc" / "door.toml").write_text(
        f'[device]\nid = "front-door"\n[mqtt]\nhost = "127.0.0.1"\nport = {mosquitto.port}\n'
    )
    async with AsyncExitStack() as stack:
        async with house(config, tmp_path / "a") as door:
            port = mosquitto.port
            alice = await stack.enter_async_context(phone("alice", "127.0.0.1", port, version=5))
            assert door.appliance.invite is not None
            invited = await door.appliance.invite("Alice", ["call", "answer"], None)
            await pairs(alice, invited.told["invitation"])
            assert (await invited.outcome())["outcome"] == "paired"
            known_as = invited.told["invitation"]["public_key"]
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
