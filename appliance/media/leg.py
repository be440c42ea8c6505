"""One connection from its opening to its end: what is done with it, in order, and what is reported."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.calls.effects import AcceptAnswer, AddCandidate, OpenPeer
from appliance.calls.inputs import (
    FaultReported,
    Input,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerKey,
    PeerLost,
    PeerOffered,
    PeerRestored,
)
from appliance.media.base import AudioSink, BadDescription

if TYPE_CHECKING:  # aiortc is loaded when the first connection needs it
    from appliance.media.peer import Peer

logger = logging.getLogger(__name__)

LIVENESS_LIMIT_S = 2.5
"""Sound comes every 20 ms and reports about every second: who is silent for so long is cut off."""


class Leg:
    """A connection's life. Reports its failure once and nothing after it, and nothing once closed."""

    def __init__(self, opening: OpenPeer, post: Callable[[Input], None]) -> None:
        """`run` opens it."""
        self.key: PeerKey = opening.peer
        self.connected_once = False
        self._opening = opening
        self._post = post
        self._steps: asyncio.Queue[AcceptAnswer | AddCandidate | None] = asyncio.Queue()
        self._over = False
        self._peer: Peer | None = None
        self._speaker: AudioSink | None = None
        self._voice = f"{self.key.uid}/{self.key.endpoint}/{self.key.generation}"
        self._packets = 0
        self._heard_at_s = 0.0
        self._lost = False

    def do(self, step: AcceptAnswer | AddCandidate) -> None:
        """Queue a step."""
        if not self._over:
            self._steps.put_nowait(step)

    def close(self) -> None:
        """Report nothing from now on; `run` releases the connection when its present step is done."""
        self._over = True
        self._steps.put_nowait(None)

    async def run(self, peer: Peer, speaker: AudioSink) -> None:
        """Open the connection, carry out the steps, and release it at the end."""
        self._peer, self._speaker = peer, speaker
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(peer.listen(), name=f"listen to {self._voice}")
                await self._carry_out(peer)
                listening.cancel()
        except* Exception:
            logger.exception("the connection with %s failed", self._voice)
            self.failed("failed", "the connection failed inside this device; its log says why")
        finally:
            self._over = True
            await peer.close()
            speaker.remove(self._voice)

    async def _carry_out(self, peer: Peer) -> None:
        try:
            await self._open(peer)
            while not self._over:
                match await self._steps.get():
                    case AcceptAnswer(answer=answer) if not self._over:
                        await peer.accept(answer)
                    case AddCandidate() as step if not self._over:
                        await self._add_candidate(peer, step)
        except BadDescription as fault:
            self.failed(fault.code, str(fault))

    async def _open(self, peer: Peer) -> None:
        if self._over:
            return
        if self._opening.offer is None:
            self._report(PeerOffered(self.key, await peer.offer()))
        else:
            self._report(PeerAnswered(self.key, await peer.answer(self._opening.offer)))

    async def _add_candidate(self, peer: Peer, step: AddCandidate) -> None:
        try:
            await peer.add_candidate(step.candidate)
        except BadDescription as fault:  # one that is of no use; the others may be
            where = f"candidate of {self._voice}"
            self._report(FaultReported("bad_candidate", str(fault), where))

    async def watch(self, now_s: float) -> None:
        """Compare what has come with the last look, and report silence and its end."""
        peer = self._peer
        if peer is None or self._over or not self.connected_once or not peer.expects_packets:
            return
        packets = await peer.packets_received()
        if packets != self._packets:
            self._packets, self._heard_at_s = packets, now_s
            if self._lost:
                self._lost = False
                self._report(PeerRestored(self.key))
        elif not self._lost and now_s - self._heard_at_s > LIVENESS_LIMIT_S:
            self._lost = True
            self._report(PeerLost(self.key))

    # -------------------- what the peer tells

    def connected(self) -> None:
        """Media flows."""
        self.connected_once = True
        self._heard_at_s = asyncio.get_running_loop().time()
        self._report(PeerConnected(self.key))

    def failed(self, code: str, message: str) -> None:
        """It could not be made, or is gone."""
        self._report(PeerFailed(self.key, code, message))
        self.close()

    def heard(self, frame: bytes) -> None:
        """20 ms of the other side's sound."""
        if self._speaker is not None and not self._over:
            self._speaker.push(self._voice, frame)

    def _report(self, report: Input) -> None:
        if not self._over:
            self._post(report)
