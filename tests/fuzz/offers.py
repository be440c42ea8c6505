"""Mutated offers through the firewall and, where it lets them through, through a real connection of aiortc.

Each ends in a refusal with a reason, or in an answer; and then in a close. No step of the loop may hold it
for long, and afterwards nothing is left: no task, no descriptor, no error that nobody caught.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection

from appliance.daemon import settle
from appliance.firewall.blocked import Blocked
from appliance.firewall.descriptions import check_description
from appliance.media.base import BadDescription
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.peer import Peer
from appliance.messages import SessionDescription
from tests.fuzz.mutations import of_sdp
from tests.fuzz.table import Longest, Outcome

CHROMIUM = Path(__file__).parent / "chromium.sdp"
PATIENCE_S = 30.0


class Nobody:
    """Who is told of a connection, and does not mind."""

    def connected(self) -> None:
        """Nobody is at the other end."""
        raise AssertionError("nobody offered this, and somebody has connected")

    def failed(self, code: str, message: str) -> None:
        """It may fail by itself before it is closed."""

    def heard(self, frame: bytes) -> None:
        """Nothing is."""

    def saw(self, screen: bool, picture: object, /) -> None:
        """Nothing is."""

    def dark(self, screen: bool, /) -> None:
        """It always was."""


class Turns:
    """Measures every step that the loop takes, by the CPU time of its own thread."""

    def __init__(self, longest: Longest) -> None:
        self._longest = longest
        self._run = asyncio.events.Handle._run

    def __enter__(self) -> None:
        really, longest = self._run, self._longest

        def run(handle: asyncio.Handle) -> None:
            before = time.thread_time()
            really(handle)
            took_s = time.thread_time() - before
            if took_s > longest.worst_s:
                longest.worst_s, longest.worst_at = took_s, repr(handle)[:120]

        asyncio.events.Handle._run = run  # type: ignore[method-assign, assignment]

    def __exit__(self, *_: object) -> None:
        asyncio.events.Handle._run = self._run  # type: ignore[method-assign]


async def offers() -> list[str]:
    """What is mutated: a browser's, aiortc's own, and one with everything in one bundle."""
    found = [CHROMIUM.read_bytes().decode()]
    for policy in (RTCBundlePolicy.BALANCED, RTCBundlePolicy.MAX_BUNDLE):
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=policy))
        pc.addTransceiver("audio")
        pc.addTransceiver("video")
        pc.createDataChannel("it")
        await pc.setLocalDescription(await pc.createOffer())
        found.append(pc.localDescription.sdp)
        await pc.close()
    return found


def mutated(sdp: str, rng: Random) -> str:
    """Another than it was: what is drawn may leave it as it is, and is drawn anew."""
    while (other := of_sdp(sdp, rng)) == sdp:
        pass
    return other


async def tried(sdp: str) -> str:
    """What becomes of one offer."""
    try:
        check_description(sdp, "offer", "the offer")
    except Blocked as fault:
        return f"kept out: {fault.code}"
    peer = Peer(Nobody(), AudioFanout(), VideoFanout(), setup_limit_s=60)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await peer.answer(SessionDescription("offer", sdp))
    except BadDescription as fault:
        return f"refused: {fault.code}"
    except TimeoutError:
        return "FAULT: no end"
    except Exception as fault:
        return f"FAULT: {fault!r:.60}"
    else:
        return "answered"
    finally:
        await peer.close()


def run(count: int, seed: int) -> Outcome:
    """Try `count` offers."""
    log = logging.getLogger("appliance")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        return asyncio.run(_run(count, seed))
    finally:
        log.setLevel(level)


async def _run(count: int, seed: int) -> Outcome:
    rng = Random(seed)
    outcome = Outcome("Offers: mutated, to the firewall and aiortc", seed)
    uncaught: Counter[str] = Counter()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: uncaught.update([repr(context.get("exception"))[:60]])
    )
    whole = await offers()
    for sdp in whole:  # what is loaded with the first connection is no offer's doing
        assert await tried(sdp) == "answered"
    settle()
    before, longest = await held(), Longest()
    with Turns(longest):
        while outcome.sent < count:
            outcome.counts[await tried(mutated(whole[outcome.sent % len(whole)], rng))] += 1
            outcome.sent += 1
            await asyncio.sleep(0)
    gc.collect()
    after = await held(before)
    faults = [name for name in outcome.counts if name.startswith("FAULT")]
    outcome.expect(not faults, "each ended in a refusal or an answer, and a close")
    outcome.expect(not uncaught, "no error that nobody caught")
    outcome.counts.update({f"uncaught: {name}": number for name, number in uncaught.items()})
    outcome.expect(after == before, f"nothing is left: {before} and {after}")
    outcome.expect_short(longest)
    return outcome


async def held(wanted: dict[str, Any] | None = None) -> dict[str, Any]:
    """Descriptors and tasks of this process, once they are as `wanted`, or have had the time for it."""
    found: dict[str, Any] = {}
    for _ in range(100):
        found = {
            "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
            "tasks": len(asyncio.all_tasks()),
        }
        if found == wanted:
            break
        await asyncio.sleep(0.02)
    return found
