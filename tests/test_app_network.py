"""The network goes away: a daemon on a network of its own, with real brokers and a real TURN server.

How long it is away is `OUTAGE_S` of the environment at least (60 is what the two reports were about, and
what `make chaos` plays); in the suite it is as long as it takes until all have noticed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aioice import turn
from aioice.stun import TransactionFailed

from appliance.media.ice_servers import time_limited
from tests.chaos.door import DISTRUSTED
from tests.parts.coturn import PORT, Coturn, environ
from tests.parts.faraway import PATIENCE_S, Broker, FarDoor, far_door, strict
from tests.parts.guest import Guest, guest
from tests.parts.netlab import Netlab, netlab
from tests.parts.pen import Pen
from tests.parts.phone import Message

OUTAGE_S = float(os.environ.get("OUTAGE_S", "0"))
GIVEN_UP_S = 32.0
"""A lost connection is, after 30 s."""

pytestmark = pytest.mark.timeout(240 + 4 * OUTAGE_S)


@pytest.fixture
def lab() -> Iterator[Netlab]:
    with netlab("door", "relay") as one:
        yield one


@pytest.fixture
def broker(lab: Netlab, tmp_path: Path) -> Iterator[Broker]:
    one = Broker(lab, tmp_path)
    one.start()
    yield one
    one.kill()


@asynccontextmanager
async def at_the_door(
    lab: Netlab, broker: Broker, folder: Path, **more: str
) -> AsyncIterator[tuple[FarDoor, Guest]]:
    """The daemon far away, and alice here; each believes the other by its key alone."""
    pen = Pen()
    believes = strict("alice", pen)
    async with far_door(lab["door"], folder, broker.environ() | believes | more) as door:
        await door.until_mqtt(True)
        async with guest("alice", broker.port, pen=pen) as alice:
            yield door, alice
        said = (folder / "far-door.log").read_text(errors="replace")
        for code in DISTRUSTED:
            assert f"{code}: " not in said


async def rings(door: FarDoor, alice: Guest) -> Message:
    """The bell is pressed, and alice's phone rings."""
    await door.ask(press="call")
    return await invited(alice)


async def invited(alice: Guest) -> Message:
    """Her phone rings for another call than before; who is invited twice into one rings once."""
    before = {one["call_id"] for one in alice.seen if one["type"] == "accepted by the test"}
    while (invite := await alice.hear("invite"))["call_id"] in before:
        """Of a call that she has taken already."""
    alice.seen.append({"type": "accepted by the test", "call_id": invite["call_id"]})
    return invite


async def talk(door: FarDoor, alice: Guest) -> None:
    """She answers, and both hear each other."""
    await alice.takes(await rings(door, alice))
    link = await alice.talks()
    await door.until("session_joined")
    await hear_each_other(door, alice)
    assert link.generation >= 1


async def hear_each_other(door: FarDoor, alice: Guest) -> None:
    """Pictures of the door come, by whichever connection it is by now, and the door does not miss her."""

    def seen() -> int:
        return alice.links[alice.door].media.pictures

    await alice.talks()
    async with asyncio.timeout(PATIENCE_S):
        before, link = seen(), alice.links[alice.door]
        while seen() < before + 5:
            await asyncio.sleep(0.05)
            if alice.links[alice.door] is not link:  # it was replaced: the new one begins at none
                before, link = 0, alice.links[alice.door]
        await door.until_status(
            lambda status: [one["state"] for one in status["call"]["participants"]] == ["connected"]
        )


async def hang_up(door: FarDoor, alice: Guest) -> None:
    await alice.leaves()
    await door.until("call_ended")
    door.told.clear()


async def test_where_there_is_no_direct_way_media_takes_the_one_through_turn(
    lab: Netlab, broker: Broker, tmp_path: Path
) -> None:
    server = Coturn(lab["relay"], tmp_path, "north")
    lab["door"].cut(lab.host, "udp")
    async with at_the_door(lab, broker, tmp_path, **environ(server)) as (door, alice):
        await talk(door, alice)
        assert ":front-door" in server.log, "it came under the name that says until when"
        await hang_up(door, alice)
    for secret, until_s in (("south", time.time() + 60), ("north", time.time() - 60)):
        username, password = time_limited(secret.encode(), "front-door", int(until_s))
        with pytest.raises(TransactionFailed):
            await turn.create_turn_endpoint(
                asyncio.DatagramProtocol, (server.address, PORT), username, password
            )


async def test_pi_webrtc_306_a_cable_that_is_out_for_a_minute_and_it_never_comes_back(
    lab: Netlab, broker: Broker, tmp_path: Path
) -> None:
    async with at_the_door(lab, broker, tmp_path) as (door, alice):
        await talk(door, alice)
        lab["door"].unplug()
        await door.until("connection_lost")
        lab["door"].plug()
        await door.until("connection_restored")
        await door.until_mqtt(True)
        await hear_each_other(door, alice)

        door.told.clear()
        lab["door"].readdress()
        await door.until("connection_lost")
        before = await alice.talks()
        await door.until("connection_restored")
        after = await alice.talks()
        assert after.generation > before.generation, "another connection in the same session"
        assert "session_left" not in door.names()
        gone = [one["data"]["message"] for _, one in door.told if "code" in one.get("data", {})]
        assert any("is gone" in message for message in gone), "the kernel has told, not a silence"
        await hear_each_other(door, alice)
        await hang_up(door, alice)

        await _out_in_a_call(door, alice, lab["door"].cut_off, lab.heal)
        if OUTAGE_S:  # for longer than it was above
            await _out_in_a_call(door, alice, lab["door"].unplug, lab["door"].plug)


async def _out_in_a_call(
    door: FarDoor, alice: Guest, pull: Callable[[], None], mend: Callable[[], None]
) -> None:
    """For the whole time: a call that is given up meanwhile has ended, and the next is as any other."""
    await talk(door, alice)
    door.told.clear()
    pull()
    await door.until("connection_lost")
    began_s = time.monotonic()
    if OUTAGE_S > GIVEN_UP_S:
        await door.until("call_ended")
    await asyncio.sleep(max(0.0, OUTAGE_S - (time.monotonic() - began_s)))
    mend()
    await door.until_mqtt(True)
    await alice.online_again()
    if OUTAGE_S <= GIVEN_UP_S:
        await door.until("connection_restored")
        await hear_each_other(door, alice)
        await hang_up(door, alice)
    await talk(door, alice)
    await hang_up(door, alice)


async def test_baresip_2865_mqtt_that_never_reconnects(
    lab: Netlab, broker: Broker, tmp_path: Path
) -> None:
    async with at_the_door(lab, broker, tmp_path) as (door, alice):
        await talk(door, alice)
        link = alice.links[alice.door]
        broker.kill()
        await door.until_mqtt(False)
        await asyncio.sleep(OUTAGE_S)
        await hear_each_other(door, alice)
        broker.start()
        await door.until_mqtt(True)
        assert alice.links[alice.door] is link, "the call has not noticed"
        assert not {"connection_lost", "call_ended"} & set(door.names())
        await alice.online_again()
        await hang_up(door, alice)

        # a press without a broker: told once if it is fresh, and never late
        broker.kill()
        await door.until_mqtt(False)
        await door.ask(press="call")
        await door.until("outgoing_call_started")
        broker.start()
        await alice.online_again()
        await alice.takes(await invited(alice))
        await hear_each_other(door, alice)
        await hang_up(door, alice)
        broker.kill()
        await door.until_mqtt(False)
        await door.ask(command="initiate_call", args={"receiver": "alice", "timeout_s": 1})
        await door.until("call_ended")
        heard = len(alice.seen)
        broker.start()
        await alice.online_again()
        await door.until_mqtt(True)
        await talk(door, alice)
        late = [one["call_id"] for one in alice.seen[heard:] if one["type"] == "invite"]
        assert len(set(late)) == 1, "that of now alone"
