"""A closed connection goes with its last user: nothing of it waits for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from appliance.media.fanout import AudioFanout
from appliance.media.lines import Role
from appliance.media.peer import Peer
from tests.media.stranger import Stranger, until
from tests.media.test_peer import Diary, Watched, camera

__all__ = ["camera"]


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Without the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def parts_of(peer: Peer) -> dict[str, ref[object]]:
    """The peer, and what aiortc has made for it."""
    found: dict[str, object] = {"the peer": peer, "the connection": peer._pc}
    for number, transceiver in enumerate(peer._pc.getTransceivers()):
        dtls = transceiver.sender.transport
        found |= {
            f"sender {number}": transceiver.sender,
            f"receiver {number}": transceiver.receiver,
            "the DTLS transport": dtls,
            "the ICE transport": dtls.transport,
            "the ICE connection": dtls.transport._connection,
        }
    return {name: ref(part) for name, part in found.items()}


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("way", ["answered", "offered", "connected"])
async def test_whatever_became_of_it(way: str, camera: Watched) -> None:
    diary = Diary()
    peer = Peer(diary, AudioFanout(), camera.fanout)
    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        offer = await peer.offer() if way == "offered" else await alice.call()
        if way != "offered":
            answer = await peer.answer(offer)
        if way == "connected":
            await alice.take(answer)
            await until(lambda: diary.connections and alice.numbers, "pictures")
            listening = tasks.create_task(peer.listen())
            await peer.hold(here=True, there=False)
            await peer.hold(here=False, there=False)
            track = peer.camera_track
            assert track is not None
            assert peer.feedback[Role.CAMERA] is track.feedback
            del track
            listening.cancel()
            del listening  # which keeps where it was when it was cancelled
        parts = parts_of(peer)
        await peer.close()
        del peer
        try:
            await until(lambda: not left(parts), "the end of all parts")
        except AssertionError:
            assert left(parts) == []
    await asyncio.get_running_loop().shutdown_default_executor()


def left(parts: dict[str, ref[object]]) -> list[str]:
    return [name for name, part in parts.items() if part() is not None]
