"""How soon a network or a broker that is gone is noticed, and how soon all is as before after its return.

A daemon in a place of its own (namespaces, nftables), a mosquitto with TLS, and a guest that knows nothing
but the documented messages; they believe each other by their keys alone. Each figure is the worst of
`RUNS`, against what is promised.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import pytest

from tests.bench.table import Row
from tests.parts.faraway import Broker, FarDoor, far_door, strict
from tests.parts.guest import Guest, guest
from tests.parts.netlab import Netlab, netlab
from tests.parts.pen import Pen

RUNS = int(os.environ.get("OUTAGE_RUNS", "3"))

Figures = dict[str, list[float]]


def run() -> list[Row]:
    """All figures; none where the machine makes no networks."""
    try:
        with netlab("door", "relay") as lab, tempfile.TemporaryDirectory() as folder:
            return asyncio.run(_measure(lab, Path(folder)))
    except pytest.skip.Exception as why:
        return [Row(f"not measured: {why}", 0, "")]


async def _measure(lab: Netlab, folder: Path) -> list[Row]:
    broker = Broker(lab, folder)
    broker.start()
    figures: Figures = {}
    pen = Pen()
    environ = broker.environ() | strict("alice", pen)
    try:
        async with far_door(lab["door"], folder, environ) as door:
            await door.until_mqtt(True)
            async with guest("alice", broker.port, pen=pen) as alice:
                for _ in range(RUNS):
                    await _of_the_broker(lab, broker, door, alice, figures)
                for _ in range(RUNS):
                    await _of_media(lab, door, alice, figures)
                await _a_long_outage(lab, broker, door, alice, figures)
        for name, more in (
            ("without server", {}),
            ("with a dead STUN server", _dead(lab, folder, "stun")),
            ("with a dead TURN server", _dead(lab, folder, "turn")),
        ):
            async with far_door(lab["door"], folder, environ | more) as door:
                await door.until_mqtt(True)
                async with guest("alice", broker.port, pen=pen) as alice:
                    for _ in range(3 * RUNS):
                        _note(figures, f"answer {name}", await _answer_s(door, alice))
    finally:
        broker.kill()
    return _rows(figures)


def _dead(lab: Netlab, folder: Path, scheme: str) -> dict[str, str]:
    """A STUN or TURN server that is configured, and nobody answers there."""
    lab["relay"].cut_off()  # else its own machine would say at once that nobody listens
    secret = folder / "turn.secret"
    secret.write_text("north")
    url = f"{scheme}:{lab['relay'].address}:3478"
    secrets = f', secret_file = "{secret}"' if scheme == "turn" else ""
    servers = f'[{{urls = ["{url}"]{secrets}}}]'
    return {"APPLIANCE__MEDIA__ICE_SERVERS": servers}


def _note(figures: Figures, name: str, seconds: float) -> None:
    figures.setdefault(name, []).append(seconds)


# -------------------- the broker


async def _of_the_broker(
    lab: Netlab, broker: Broker, door: FarDoor, alice: Guest, figures: Figures
) -> None:
    began = time.monotonic()
    lab["door"].block(broker.tls_port)
    _note(figures, "dead network, idle", await door.until_mqtt(False) - began)
    await asyncio.sleep(random.uniform(1, 8))
    lab.heal()
    began = time.monotonic()
    _note(figures, "back", await door.until_mqtt(True) - began)

    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_chatter(door))
        await asyncio.sleep(1)
        lab["door"].block(broker.tls_port)
        began = time.monotonic()
        _note(figures, "dead network, sending", await door.until_mqtt(False) - began)
        sending.cancel()
    with contextlib.suppress(RuntimeError):
        await door.ask(**_LEAVE)
    lab.heal()
    began = time.monotonic()
    _note(figures, "back", await door.until_mqtt(True) - began)

    broker.kill()
    began = time.monotonic()
    _note(figures, "reset", await door.until_mqtt(False) - began)
    await asyncio.sleep(random.uniform(1, 8))
    broker.start()
    began = time.monotonic()
    _note(figures, "back", await door.until_mqtt(True) - began)
    await alice.online_again()
    await alice.drop(alice.door)


async def _chatter(door: FarDoor) -> None:
    """Somebody is called each half a second, and taken back: messages on both of its links."""
    while True:
        for command in ({"command": "initiate_call", "args": {"receiver": "alice"}}, _LEAVE):
            with contextlib.suppress(RuntimeError):  # it is over already
                await door.ask(**command)
            await asyncio.sleep(0.25)


_LEAVE = {"command": "leave_session"}


# -------------------- media


async def _talk(door: FarDoor, alice: Guest) -> None:
    door.told.clear()
    result = await door.ask(command="initiate_call", args={"receiver": "alice"})
    while (invite := await alice.hear("invite"))["call_id"] != result["call_id"]:
        """Of a call before."""
    await alice.takes(invite)
    await alice.talks()
    await door.until("session_joined")
    await asyncio.sleep(0.5)


async def _hang_up(door: FarDoor, alice: Guest) -> None:
    await alice.leaves()
    await door.until("call_ended")


async def _of_media(lab: Netlab, door: FarDoor, alice: Guest, figures: Figures) -> None:
    await _talk(door, alice)
    began = time.monotonic()
    lab["door"].cut_off()
    _note(figures, "lost", await door.until("connection_lost") - began)
    await asyncio.sleep(random.uniform(0.5, 4))
    began = time.monotonic()
    lab.heal()
    _note(figures, "restored by the old way", await door.until("connection_restored") - began)
    await door.until_mqtt(True)
    await asyncio.sleep(2)
    door.told.clear()
    lab["door"].readdress()
    began = time.monotonic()
    _note(figures, "lost with the address", await door.until("connection_lost") - began)
    _note(figures, "restored with another address", await door.until("connection_restored") - began)
    await door.until_mqtt(True)
    await _hang_up(door, alice)


async def _a_long_outage(
    lab: Netlab, broker: Broker, door: FarDoor, alice: Guest, figures: Figures
) -> None:
    """25 s without a broker: the call goes on; then more than 30 without a network: it is given up."""
    await _talk(door, alice)
    media = alice.links[alice.door].media
    broker.kill()
    before = media.pictures
    await asyncio.sleep(25)
    seen = media.pictures - before
    _note(figures, "pictures a second without a broker", seen / 25)
    broker.start()
    await alice.online_again()
    await door.until_mqtt(True)
    assert "connection_lost" not in door.names()
    lab["door"].cut_off()
    lost = await door.until("connection_lost")
    _note(figures, "given up", await door.until("connection_closed") - lost)
    lab.heal()
    await door.until_mqtt(True)
    await alice.drop(alice.door)


async def _answer_s(door: FarDoor, alice: Guest) -> float:
    """From the accept with an offer to the door's answer."""
    door.told.clear()
    result = await door.ask(command="initiate_call", args={"receiver": "alice"})
    while (invite := await alice.hear("invite"))["call_id"] != result["call_id"]:
        """Of a call before."""
    await alice.takes(invite)
    began = time.monotonic()
    await alice.hear("answer")
    answer_s = time.monotonic() - began
    await alice.talks()
    await door.until("session_joined")
    await _hang_up(door, alice)
    return answer_s


def _rows(figures: Figures) -> list[Row]:
    def worst(name: str) -> float:
        return max(figures[name])

    without, dead_stun, dead_turn = (
        1000 * statistics.median(figures[f"answer {name}"])
        for name in ("without server", "with a dead STUN server", "with a dead TURN server")
    )
    return [
        Row("broker: a reset is noticed after", worst("reset"), "s", most=1),
        Row("broker: a dead network, while sending", worst("dead network, sending"), "s", most=6),
        Row("broker: a dead network, idle", worst("dead network, idle"), "s", most=12),
        Row("broker: from its return to connected", worst("back"), "s", most=5),
        Row("media: connection_lost after", worst("lost"), "s", most=2.5),
        Row("media: restored, the old way", worst("restored by the old way"), "s", most=1),
        Row(
            "media: lost, from another address on",
            worst("lost with the address"),
            "s",
            most=0.5,
        ),
        Row(
            "media: restored, from another address on",
            worst("restored with another address"),
            "s",
            most=1.5,
        ),
        Row("media: given up after", worst("given up"), "s", most=31),
        Row(
            "pictures a second, 25 s without a broker",
            min(figures["pictures a second without a broker"]),
            "/s",
            least=20,
        ),
        Row("accept to answer, median, without a STUN or TURN server", without, "ms"),
        Row("accept to answer, median, with a dead STUN server", dead_stun, "ms"),
        Row("accept to answer, median, with a dead TURN server", dead_turn, "ms"),
        Row("what a dead STUN server costs", dead_stun - without, "ms", most=50),
        Row("what a dead TURN server costs", dead_turn - without, "ms", most=50),
    ]
