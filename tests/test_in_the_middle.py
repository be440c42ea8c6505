"""A broker in the middle of two whole devices: what it changes is refused, and it gets no packet of media.

Each device is at a real broker of its own, and between the two is a bridge that changes what it likes
(`tests/parts/middle.py`). What comes to its sockets is counted there. That the same attack works where
plain messages are allowed shows that it is one.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.config import Camera, Config, Contact, Device, Media, Security
from appliance.errors import Refused
from appliance.model import CallType, Right
from appliance.signaling.trust import Unsigned
from appliance.trust.keys import DeviceKey
from tests.parts import need
from tests.parts.house import House, config_for, house
from tests.parts.middle import HOWS, Middle, middle
from tests.parts.mosquitto import Mosquitto

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

DOOR, GATE = "front-door", "gate"
BOTH_WAYS = [(DOOR, GATE), (GATE, DOOR)]
ATTEMPTS = 5


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[dict[str, Mosquitto]]:
    """One for each device."""
    found = {}
    for uid in (DOOR, GATE):
        (tmp_path / uid).mkdir()
        found[uid] = Mosquitto(need.program("mosquitto"), tmp_path / uid)
        found[uid].start()
    yield found
    for one in found.values():
        one.kill()


@dataclass
class Two:
    """Both devices, and who is between them."""

    houses: dict[str, House]
    middle: Middle

    async def calls(
        self,
        caller: str,
        callee: str,
        *swapped: str,
        how: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """One calls, the other takes it by itself; and the middle changes messages of these types."""
        await self.middle.begins_anew(swapped, HOWS if how is None else (how,))
        for one in self.houses.values():
            one.told.clear()
        # there is another offer where sound is to become sound and pictures
        type_ = CallType.AUDIO if "offer" in swapped else CallType.VIDEO
        session = self.houses[caller].appliance.session
        await session.initiate_call(callee, type=type_, timeout_s=timeout_s)

    async def talks(self, caller: str, callee: str, *swapped: str, how: str | None = None) -> None:
        """One calls until both are connected with whom they take for the other.

        A call has 10 s for that, and a machine with much to do may need another one.
        """
        for _ in range(ATTEMPTS):
            await self.calls(caller, callee, *swapped, how=how)
            await self.houses[caller].until_true(
                lambda: self.are_connected or self._is_over(caller) or self._is_over(callee)
            )
            if self.are_connected:
                return
            await self.hangs_up(caller)
        raise AssertionError("no call has come to be")

    @property
    def are_connected(self) -> bool:
        """Whether both have media, with whomever."""
        return all(map(self._is_connected, self.houses))

    def _is_over(self, uid: str) -> bool:
        return "call_ended" in self.houses[uid].names()

    def _is_connected(self, uid: str) -> bool:
        call = self.houses[uid].appliance.session.status()["call"]
        return bool(call) and [one["state"] for one in call["participants"]] == ["connected"]

    async def ends(self, uid: str) -> str:
        """Wait for the end of its call; why."""
        return str((await self.houses[uid].until("call_ended"))["data"]["reason"])

    async def hangs_up(self, uid: str) -> None:
        """It has enough, and the other hears of it."""
        with contextlib.suppress(Refused):  # it may have been given up meanwhile
            await self.houses[uid].appliance.session.end_call()
        for each in self.houses:
            await self.ends(each)

    async def believes_nothing(self, uid: str, type_: str) -> None:
        """Of what is put in the place of messages of that type, whatever it is and whoever signed it."""
        one, middle = self.houses[uid].appliance, self.middle
        await self.houses[uid].until_true(
            lambda: middle.said[type_] > 0 and one.rejected == middle.refused[uid]
        )
        told = await self.houses[uid].until("error", lambda it: it["data"]["code"] == "forged")
        assert "did not sign this" in told["data"]["message"]
        assert middle.said.keys() == {type_}
        assert set(middle.came()) <= ({"check"} if type_ == "answer" else set())


def config(
    uid: str, other: str, port: int, keys: dict[str, DeviceKey], unsigned: Unsigned
) -> Config:
    """A device that has the other's key, and takes the other's calls by itself."""
    found = config_for(port)
    contact = Contact(other.title(), (keys[other].public,), (Right.CALL, Right.ANSWER))
    return replace(
        found,
        device=Device(id=uid, name=uid.title(), board="simulated"),
        security=Security(unsigned),
        contacts={other: contact},
        groups={},
        call=replace(found.call, auto_answer=(other,)),
        media=Media(width=320, height=180, framerate=5, bitrate_kbps=200),
        cameras={"front": Camera("test-card")},
    )


def knows(one: House, uid: str) -> bool:
    """Presence travels: who is to be rung is seen to be there."""
    return uid in one.appliance.engine.state.presence


@asynccontextmanager
async def two(
    brokers: dict[str, Mosquitto], folder: Path, unsigned: Unsigned
) -> AsyncIterator[Two]:
    """Both are there, and each has seen that the other is."""
    keys = {uid: DeviceKey.load_or_make(folder / uid / "state", {}) for uid in brokers}
    ports = {uid: broker.port for uid, broker in brokers.items()}
    async with middle(ports, need.own_address()) as between, AsyncExitStack() as stack:
        houses = {}
        for uid, other in BOTH_WAYS:
            made = config(uid, other, ports[uid], keys, unsigned)
            houses[uid] = await stack.enter_async_context(house(made, folder / uid))
        for uid, other in BOTH_WAYS:
            await houses[uid].until_true(partial(knows, houses[uid], other))
        yield Two(houses, between)


async def test_what_is_changed_is_refused_and_the_middle_gets_no_packet(
    brokers: dict[str, Mosquitto], tmp_path: Path
) -> None:
    async with two(brokers, tmp_path, "refuse") as both:
        for caller, callee in BOTH_WAYS:
            # nobody is rung by it, and who rings is told that nobody came
            await both.calls(caller, callee, "invite", timeout_s=1)
            assert await both.ends(caller) == "timed_out"
            await both.believes_nothing(callee, "invite")
            assert set(both.houses[callee].names()) == {"error"}

            # who takes the call takes it in vain: it rings on, until whoever rings has enough
            await both.calls(caller, callee, "accept")
            await both.believes_nothing(caller, "accept")
            await both.hangs_up(caller)
            assert await both.ends(caller) == await both.ends(callee) == "cancelled"

            # both wait for a connection, until somebody has enough; the callee has offered, so whoever
            # knows the offer knows its ICE password, and is answered how to reach it: no more than that
            await both.calls(caller, callee, "answer")
            await both.believes_nothing(callee, "answer")
            await both.hangs_up(caller)

            # what the middle does not change connects the two, and a call that stands goes on
            await both.talks(caller, callee, "offer")
            assert both.middle.passed >= Counter(invite=1, accept=1, answer=1)
            for uid in (caller, callee):
                assert both.houses[uid].appliance.rejected == both.middle.refused[uid]
            await both.houses[callee].appliance.session.switch_to_video_call()
            await both.believes_nothing(caller, "offer")
            assert both.are_connected
            await both.hangs_up(callee)
            assert both.middle.came() == {}


async def test_where_plain_messages_are_allowed_the_same_middle_hears_and_sees(
    brokers: dict[str, Mosquitto], tmp_path: Path
) -> None:
    """Which is what that setting costs, and shows that the test above would see it."""
    async with two(brokers, tmp_path, "allow") as both:
        door, gate = both.houses[DOOR], both.houses[GATE]
        # each has a connection, and it is the middle's
        for swapped in (("accept", "answer"), ("invite", "accept", "answer")):
            await both.talks(DOOR, GATE, *swapped, how="description")
            for uid in (DOOR, GATE):
                await both.middle.peers[uid].sees()
            await both.hangs_up(GATE)

        # a call that stands is taken over
        await both.talks(DOOR, GATE, "offer", how="description")
        await gate.appliance.session.switch_to_video_call()
        await gate.until_true(lambda: DOOR in both.middle.peers)
        await both.middle.peers[DOOR].sees()
        await both.hangs_up(DOOR)

        # who is led elsewhere knocks there
        await both.calls(GATE, DOOR, "answer", how="candidates")
        await door.until_true(lambda: both.middle.ear.came["check"] > 0)
        await both.hangs_up(GATE)

        # another certificate than that of who is at the end: nobody gets anything
        await both.calls(GATE, DOOR, "answer", how="fingerprints")
        assert await both.ends(DOOR) == "untrusted"
        assert both.middle.came()["media"] == 0
