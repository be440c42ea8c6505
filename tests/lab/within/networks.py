"""A call over a network that loses, delays, and is pulled out: netem between the unit and an aiortc peer.

The unit has a namespace of its own; broker and peer live at the other end of its wire.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import paho.mqtt.subscribe as subscribe
import pytest

from tests.lab.extent import EXTENT, Extent
from tests.lab.within.unit import SMALL, overheard, shell, started
from tests.parts.asking import asking_again
from tests.parts.certificates import Authority
from tests.parts.faraway import Overheard
from tests.parts.guest import Guest, guest
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.pen import read
from tests.parts.phone import RATE

HERE, THERE = "198.18.0.1", "198.18.0.2"
PORT = 8883
OURS_HZ = 880
PIECE = RATE // 50
LOOKS_S = 4 if EXTENT is Extent.LONG else 2
LEAST = {2: (0.95, 0.7), 5: (0.95, 0.6), 20: (0.9, 0.15)}
"""By percent lost: how much of the time each is to be heard, she at the door, and the door by her. Her
aiortc waits for what is lost, and is silent meanwhile; what plays at the door is the project's own."""
GIVEN_UP_S = 30
"""Without its peer a call is given up after so long."""

pytestmark = pytest.mark.timeout(10_000)  # by a clock that jumps


@pytest.fixture(scope="module")
def wire() -> Iterator[None]:
    shell(
        "ip netns add door && ip link add near type veth peer name wire netns door"
        f" && ip addr add {HERE}/30 dev near && ip link set near up"
        f" && ip -n door addr add {THERE}/30 dev wire && ip -n door link set wire up"
        " && ip -n door link set lo up"
    )
    yield
    shell("ip netns delete door")


@pytest.fixture(scope="module")
def broker(wire: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    folder = tmp_path_factory.mktemp("broker")
    authority = Authority(folder, "authority")
    files = authority.issue(HERE)
    Path("/etc/appliance/broker.pem").write_bytes(authority.file.read_bytes())
    one = Mosquitto(
        program("mosquitto"),
        folder,
        f"listener {PORT} {HERE}\ncertfile {files.certificate}\nkeyfile {files.key}\n",
    )
    one.start()
    yield one
    one.kill()


@pytest.fixture(scope="module")
def unit(broker: Mosquitto) -> Iterator[Mosquitto]:
    """It runs at one end of the wire; the broker that it reaches at the other."""
    mqtt = f'[mqtt]\nhost = "{HERE}"\nport = {PORT}\nca_file = "/etc/appliance/broker.pem"\n'
    with started(SMALL + mqtt, "[Service]\nNetworkNamespacePath=/run/netns/door\n"):
        yield broker


@asynccontextmanager
async def at_the_door(broker: Mosquitto) -> AsyncIterator[tuple[Overheard, Guest]]:
    """A call between the unit at one end of the wire, and alice at the other."""
    shape("")
    plug("up")
    async with overheard() as door:
        await door.until_mqtt(True)
        await door.until_status(lambda status: status["call"] is None)
        async with guest("alice", broker.port) as alice:
            await talk(door, alice)
            async with asking_again((await alice.talks()).connection):
                yield door, alice
        shape("")


def shape(what: str) -> None:
    """Both ends of the wire do to each packet what netem is told (tc-netem(8)); nothing: a wire again."""
    for where, name in (("", "near"), ("ip netns exec door ", "wire")):
        shell(f"{where}tc qdisc del dev {name} root 2> /dev/null; true")
        if what:
            shell(f"{where}tc qdisc add dev {name} root netem {what}")


def plug(how: str) -> None:
    """Pull the door's cable out (`down`), or put it in again (`up`)."""
    shell(f"ip -n door link set wire {how}")


async def talk(door: Overheard, alice: Guest) -> None:
    """The bell is pressed, and she answers."""
    over = {one["call_id"] for one in alice.seen}
    await door.ask(press="call")
    while (invite := await alice.hear("invite"))["call_id"] in over:
        """She may have been invited twice into the call before."""
    await alice.takes(invite)
    await alice.talks()
    await door.until("session_joined")
    await both_ways(door, alice)


async def both_ways(door: Overheard, alice: Guest) -> None:
    """She sees pictures of now and hears the door's tone, and hers sounds at the door."""
    media = (await alice.talks()).media
    seen = media.pictures
    await media.until(lambda: media.pictures > seen + 3)
    media.samples.clear()
    await media.until(lambda: sum(map(len, media.samples)) > RATE)
    assert media.tone_hz() > 100
    await door.until_status(lambda status: near(status, OURS_HZ))


def near(status: dict[str, dict[str, dict[str, float | None]]], hertz: float) -> bool:
    heard = status["media"]["speaker"]["tone_hz"]
    return heard is not None and abs(heard - hertz) < 20


async def share_heard_here(alice: Guest, seconds: int) -> float:
    """How much of the time there was sound for her, of the time that has passed for it."""
    media = (await alice.talks()).media
    media.samples.clear()
    began_s = asyncio.get_running_loop().time()
    await asyncio.sleep(seconds)
    took_s = asyncio.get_running_loop().time() - began_s
    sound = np.concatenate(media.samples)
    pieces = sound[: len(sound) // PIECE * PIECE].reshape(-1, PIECE)
    return float(np.sum(np.sqrt(np.mean(pieces**2, axis=1)) > 300)) * PIECE / RATE / took_s


async def share_heard_there(door: Overheard, seconds: int) -> float:
    """How often the door's loudspeaker was seen to sound as she does."""
    looks = [near(await door.status(), OURS_HZ) for _ in range(10 * seconds) if await tick()]
    return sum(looks) / len(looks)


async def tick() -> bool:
    await asyncio.sleep(0.1)
    return True


async def test_a_call_bears_loss_and_delay(unit: Mosquitto) -> None:
    async with at_the_door(unit) as (door, alice):
        shares: dict[int, tuple[float, float]] = {}
        for loss in LEAST:
            shape(f"delay 60ms 15ms loss {loss}%")
            await both_ways(door, alice)
            shares[loss] = (
                await share_heard_there(door, LOOKS_S),
                await share_heard_here(alice, LOOKS_S),
            )
        assert "connection_lost" not in door.names()
        assert "call_ended" not in door.names()
        for loss, least in LEAST.items():
            assert shares[loss][0] >= least[0], shares
            assert shares[loss][1] >= least[1], shares
        shape("")
        await both_ways(door, alice)
        await alice.leaves()
        await door.until("call_ended")


async def test_a_cable_that_is_pulled_out_and_put_in_again(unit: Mosquitto) -> None:
    async with at_the_door(unit) as (door, alice):
        plug("down")
        await door.until("connection_lost")
        await asyncio.sleep(15)
        plug("up")
        await door.until("connection_restored")
        await door.until_mqtt(True)
        await both_ways(door, alice)
        assert "call_ended" not in door.names()
        await alice.leaves()
        await door.until("call_ended")


@pytest.mark.thorough
async def test_a_cable_that_is_out_for_a_minute(unit: Mosquitto) -> None:
    async with at_the_door(unit) as (door, alice):
        plug("down")
        lost_s = await door.until("connection_lost")
        await asyncio.sleep(60)
        assert abs(await door.until("call_ended") - lost_s - GIVEN_UP_S) < 5
        assert (await door.status())["call"] is None
        plug("up")
        await door.until_mqtt(True)
        door.told.clear()
        await talk(door, alice)
        await alice.leaves()
        await door.until("call_ended")


async def test_a_stop_in_a_call_is_polite(unit: Mosquitto) -> None:
    """The other side is told, the broker too, the relay goes back, and nothing has to be killed."""
    async with at_the_door(unit) as (_, alice):
        cursor = shell("journalctl --lines=0 --show-cursor").split("cursor: ")[1].strip()
        await asyncio.to_thread(shell, "systemctl stop appliance")
        await alice.hear("end")
        presence = await asyncio.to_thread(
            subscribe.simple, "appliance/presence/front-door/+", port=unit.port
        )
        assert json.loads(read(bytes(presence.payload)))["state"] == "offline"
        shell("journalctl --sync")
        told = shell(f"journalctl -u appliance --no-pager --after-cursor='{cursor}'")
        assert "Deactivated successfully" in told
        assert "SIGKILL" not in told
        assert shell("systemctl show -P Result -P ExecMainStatus appliance").split() == [
            "success",
            "0",
        ]
