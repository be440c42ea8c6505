"""Servers are asked beside the call: what they say in time is described, the rest follows, nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from aioice import stun
from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp
from msgspec.structs import replace

from appliance.calls.effects import AcceptAnswer, AddCandidate, ClosePeer, OpenPeer
from appliance.calls.inputs import (
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFound,
    PeerKey,
    PeerOffered,
)
from appliance.config import IceServer
from appliance.media import gathering
from appliance.media.gathering import as_message
from appliance.messages import SessionDescription
from appliance.model import CallType
from appliance.signaling.broker import EmbeddedBroker
from tests.media.stranger import Stranger, until
from tests.media.studio_door import ALICE, a_door
from tests.parts.house import config_for, house
from tests.parts.need import own_address
from tests.parts.phone import phone

SEEN_AS = ("198.18.7.7", 40_404)
"""As whom the server of these tests sees everybody."""


class StunServer(asyncio.DatagramProtocol):
    """Tells everybody the same address, once it is allowed to."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.asked = 0
        self._waiting: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        task = asyncio.get_running_loop().create_task(self._answer(stun.parse_message(data), addr))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _answer(self, request: stun.Message, addr: tuple[str, int]) -> None:
        await self.answers.wait()
        response = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
        )
        response.attributes["XOR-MAPPED-ADDRESS"] = SEEN_AS
        self.transport.sendto(bytes(response), addr)

    async def close(self) -> None:
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        self.transport.close()


@asynccontextmanager
async def stun_server() -> AsyncIterator[tuple[StunServer, IceServer]]:
    """One that keeps silent until it is told to answer, and how it is configured."""
    loop = asyncio.get_running_loop()
    address = own_address()
    _, server = await loop.create_datagram_endpoint(StunServer, local_addr=(address, 0))
    port = server.transport.get_extra_info("sockname")[1]
    try:
        yield server, IceServer((f"stun:{address}:{port}",))
    finally:
        await server.close()


async def test_what_comes_in_time_is_in_the_description(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PATIENCE_S", 30)
    async with stun_server() as (server, configured):
        server.answers.set()
        async with a_door(ice_servers=(configured,)) as door:
            door.studio.perform(OpenPeer(ALICE, CallType.AUDIO))
            sdp = (await door.next(PeerOffered)).description.sdp
            assert f"{SEEN_AS[0]} {SEEN_AS[1]} typ srflx" in sdp
            assert "a=end-of-candidates" in sdp
            door.studio.perform(ClosePeer(ALICE))
        assert door.all(PeerFound) == []


@pytest.mark.parametrize("who_offers", ["they", "we"])
async def test_nobody_waits_for_a_server_that_is_silent_and_what_it_says_late_follows(
    who_offers: str,
) -> None:
    async with (
        stun_server() as (server, configured),
        Stranger(tone_hz=500) as alice,
        a_door(ice_servers=(configured,)) as door,
    ):
        if who_offers == "we":
            door.studio.perform(OpenPeer(ALICE, CallType.AUDIO))
            sdp = (await door.next(PeerOffered)).description.sdp
        else:
            offer = await alice.call(video=None)
            door.studio.perform(OpenPeer(ALICE, CallType.AUDIO, offer))
            sdp = (await door.next(PeerAnswered)).description.sdp
        assert not server.answers.is_set()
        assert "typ host" in sdp
        assert "a=end-of-candidates" not in sdp, "more may come"
        await until(lambda: server.asked, "the question")
        server.answers.set()
        found = await door.next(PeerFound)
        assert found.candidate is not None
        assert f"{SEEN_AS[0]} {SEEN_AS[1]} typ srflx" in found.candidate.candidate
        assert found.candidate.sdp_mid == "0"
        assert isinstance(parsed(found.candidate.candidate), RTCIceCandidate)
        while (await door.next(PeerFound)).candidate is not None:
            """One for each address that this machine has."""
        door.studio.perform(ClosePeer(ALICE))


def parsed(candidate: str) -> RTCIceCandidate:
    return candidate_from_sdp(candidate.removeprefix("candidate:"))


async def test_with_a_server_that_never_answers_two_devices_are_connected_all_the_same() -> None:
    other = PeerKey(ALICE.call_id, "front-door", "main")
    async with stun_server() as (_, configured):
        dead = (configured, IceServer((configured.urls[0].replace("stun", "turn"),), "u", None))
        async with a_door(ice_servers=dead) as door, a_door(ice_servers=dead) as house:
            door.studio.perform(OpenPeer(ALICE, CallType.AUDIO))
            offer = (await door.next(PeerOffered)).description
            house.studio.perform(OpenPeer(other, CallType.AUDIO, offer))
            door.studio.perform(AcceptAnswer(ALICE, (await house.next(PeerAnswered)).description))
            await door.next(PeerConnected)
            await house.next(PeerConnected)


async def test_a_call_of_a_whole_device_waits_for_no_server_however_long_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waited for this one would wait for ever: what is waited is `PATIENCE_S`, once."""
    monkeypatch.setattr(gathering, "LIMIT_S", 1e6)
    assert gathering.PATIENCE_S <= 0.05, "more than a dead server is to cost a call"
    async with stun_server() as (server, configured), EmbeddedBroker() as broker:
        config = config_for(broker.port)
        config = replace(config, media=replace(config.media, ice_servers=(configured,)))
        async with (
            house(config, tmp_path) as door,
            phone("alice", "127.0.0.1", broker.port, version=4) as alice,
        ):
            await door.until_true(lambda: "alice" in door.appliance.engine.state.presence)
            await door.appliance.session.initiate_call("alice")
            await alice.answer(await alice.hear("invite"))
            await door.until("session_joined")
            assert server.asked > 0
            assert not server.answers.is_set(), "it has kept silent all the while"
            await door.appliance.session.end_call()


async def test_a_candidate_that_comes_late_makes_the_connection() -> None:
    """Neither side knows an address of the other at first."""
    other = PeerKey(ALICE.call_id, "front-door", "main")
    async with a_door() as door, a_door() as house:
        door.studio.perform(OpenPeer(ALICE, CallType.AUDIO))
        offer = (await door.next(PeerOffered)).description
        house.studio.perform(OpenPeer(other, CallType.AUDIO, bare(offer)))
        answer = (await house.next(PeerAnswered)).description
        door.studio.perform(AcceptAnswer(ALICE, bare(answer)))
        await door.next(PeerAgreed)
        lines = [line for line in answer.sdp.splitlines() if line.startswith("a=candidate:")]
        for line in lines:
            message = as_message(line.removeprefix("a=candidate:"), "0")
            door.studio.perform(AddCandidate(ALICE, message))
        await door.next(PeerConnected)
        await house.next(PeerConnected)


def bare(description: SessionDescription) -> SessionDescription:
    """A description without candidates."""
    lines = description.sdp.splitlines(keepends=True)
    kept = [one for one in lines if not one.startswith(("a=candidate:", "a=end-of-candidates"))]
    return SessionDescription(description.type, "".join(kept))
