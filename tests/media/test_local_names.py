"""Candidates with a name for an address: looked up beside everything else, and then looked at."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

import pytest

from appliance.firewall.candidates import MAX_LOCAL_NAMES, Remote, check_candidate
from appliance.media.fanout import AudioFanout
from appliance.media.local_names import LocalNames
from appliance.media.peer import Peer
from appliance.messages import IceCandidate, SessionDescription
from tests.media.stranger import Stranger, until
from tests.media.test_peer import Diary


def named(name: str) -> Remote:
    return check_candidate(f"candidate:1 1 udp 5 {name}.local 54321 typ host", "it")


class Network:
    """Who answers to which name, and how often each was asked for; nobody does before `answer`."""

    def __init__(self, **addresses: str) -> None:
        self.addresses = addresses
        self.asked: Counter[str] = Counter()
        self.answer = asyncio.Event()

    async def look_up(self, name: str) -> str | None:
        self.asked[name] += 1
        await self.answer.wait()
        return self.addresses.get(name.removesuffix(".local"))


async def test_names_are_asked_for_at_once_and_each_once_and_no_more_than_a_few() -> None:
    network = Network(a="192.0.2.1", loop="127.0.0.1", all="224.0.0.1", name="example.com")
    found: list[Remote | None] = []

    async def keep(candidate: Remote | None) -> None:
        found.append(candidate)

    names = LocalNames(keep, network.look_up)
    wanted = ["a", "loop", "all", "name", "nobody", "n5", "n6", "n7"]
    assert len(wanted) == MAX_LOCAL_NAMES
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(names.run())
        assert all(names.ask(named(name)) for name in wanted)
        assert not names.ask(named("one-too-many"))
        await until(lambda: len(network.asked) == len(wanted), "all questions")
        assert found == [], "nobody waited for one before asking for the next"
        network.answer.set()
        await until(lambda: len(found) == len(wanted), "all answers")
        running.cancel()
    assert set(network.asked.values()) == {1}
    usable = [candidate for candidate in found if candidate is not None]
    assert [candidate.host for candidate in usable] == ["192.0.2.1"], "the others lead nowhere"


async def test_an_offer_of_nothing_but_names_is_answered_at_once_and_connects_when_they_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Network()
    monkeypatch.setattr("appliance.media.peer.look_up", network.look_up)
    diary = Diary()
    peer = Peer(diary, AudioFanout(), None)
    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        offer = await alice.call(video=None)
        host, port = re.findall(r" udp \d+ ([0-9.]+) (\d+) typ host", offer.sdp)[0]
        network.addresses = {"alice": host}
        hidden = re.sub(r"a=candidate:.*\r\n", "", offer.sdp).replace(
            "a=end-of-candidates",
            f"a=candidate:1 1 udp 2130706431 alice.local {port} typ host\r\na=end-of-candidates",
        )
        finding = tasks.create_task(peer.find())
        answer = await peer.answer(SessionDescription("offer", hidden))
        assert not network.answer.is_set()
        late = IceCandidate(f"candidate:2 1 udp 5 nobody.local {port} typ host", sdp_mid="0")
        await peer.add_candidate(late)
        await alice.take(
            SessionDescription("answer", re.sub("a=(end-of-)?candidate.*\r\n", "", answer.sdp))
        )
        await until(lambda: network.asked.total() == 2, "the questions")
        assert diary.connections == 0
        network.answer.set()
        await until(lambda: diary.connections == 1, "the connection")
        finding.cancel()
        await peer.close()
    await asyncio.get_running_loop().shutdown_default_executor()
