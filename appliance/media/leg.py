"""One connection from its opening to its end: what is done with it, in order, and what is reported."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from appliance.calls.effects import (
    AcceptAnswer,
    AddCandidate,
    HoldPeer,
    MutePeer,
    OpenPeer,
    Renegotiate,
)
from appliance.calls.inputs import (
    VIEWING,
    FaultReported,
    Input,
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerFound,
    PeerKey,
    PeerLost,
    PeerOffered,
    PeerRestored,
)
from appliance.media.base import BadDescription
from appliance.messages import IceCandidate
from appliance.model import CallType

if TYPE_CHECKING:  # aiortc is loaded when the first connection needs it
    from appliance.media.audience import Audience
    from appliance.media.base import Rgb
    from appliance.media.hold_tone import HoldTone
    from appliance.media.peer import Peer
    from appliance.media.tracks import VideoTrack

logger = logging.getLogger(__name__)

LIVENESS_LIMIT_S = 1.8
"""Of whom nothing comes for so long, neither a packet nor an answer to a knock, the way is cut off. With
the time between two looks it is told after 2.5 s at the latest."""
PACKETS_LIMIT_S = 12.0
"""Answers alone are not taken for so long where packets have to come: of who gets sound a report every 5 s,
give or take a half."""

MAX_STEPS = 128
"""What may wait while a step takes its time: all candidates of a connection, and some changes of mind."""

Step: TypeAlias = AcceptAnswer | AddCandidate | Renegotiate | HoldPeer | MutePeer


class Leg:
    """A connection's life. Reports its failure once and nothing after it, and nothing once closed."""

    def __init__(self, opening: OpenPeer, post: Callable[[Input], None]) -> None:
        """`run` opens it."""
        self.key: PeerKey = opening.peer
        self.connected_once = False
        self.held_here = self.held_there = False
        self.muted = False
        self._opening = opening
        self._post = post
        self._steps: asyncio.Queue[Step | None] = asyncio.Queue()
        self._over = self._agreed_once = False
        self._peer: Peer | None = None
        self._audience: Audience | None = None
        self._tone: HoldTone | None = None
        self._packets = self._answers = 0
        self._heard_at_s = self._packets_at_s = 0.0
        self._lost = False
        self._is_described = False
        self._found: list[IceCandidate | None] = []

    def do(self, step: Step) -> None:
        """Queue a step; what is on hold is not heard from now on."""
        if self._over:
            return
        if isinstance(step, HoldPeer):
            self.held_here, self.held_there = step.here, step.there
            self._let_wait()
        if isinstance(step, MutePeer):
            self.muted = step.muted
            if self._audience is not None:
                self._audience.silent(self.key)
        if not isinstance(step, HoldPeer | MutePeer) and self._steps.qsize() >= MAX_STEPS:
            sentence = (
                f"so much waits to be done for this connection that a {_word(step)} is left out"
            )
            self._report(FaultReported("overloaded", sentence, self._name, self.key.call_id))
            return
        self._steps.put_nowait(step)

    def close(self) -> None:
        """Report nothing from now on; `run` releases the connection when its present step is done."""
        self._over = True
        self._let_wait()
        self._steps.put_nowait(None)

    async def run(self, peer: Peer, audience: Audience, tone: HoldTone) -> None:
        """Open the connection, carry out the steps, and release it at the end."""
        self._peer, self._audience, self._tone = peer, audience, tone
        self._let_wait()
        try:
            async with asyncio.TaskGroup() as tasks:
                receiving = [
                    tasks.create_task(work, name=f"{what} {self._name}")
                    for what, work in (
                        ("listen to", peer.listen()),
                        ("find", peer.find()),
                        ("watch", peer.watch(screen=False)),
                        ("watch the screen of", peer.watch(screen=True)),
                        ("knock at", peer.knock()),
                        ("gather for", peer.gather()),
                    )
                ]
                if self.muted:  # from its first packet on
                    await peer.mute(muted=True)
                await self._carry_out(peer)
                for task in receiving:
                    task.cancel()
        except* Exception:
            logger.exception("the connection with %s failed", self._name)
            self.failed("failed", "the connection failed inside this device; its log says why")
        finally:
            self._over = True
            self._let_wait()
            audience.left(self.key)
            await peer.close()

    # -------------------- its steps

    async def _carry_out(self, peer: Peer) -> None:
        try:
            await self._open(peer)
        except BadDescription as fault:
            self.failed(fault.code, str(fault))
        while not self._over:
            step = await self._steps.get()
            if step is None or self._over:
                return
            try:
                await self._take(peer, step)
            except BadDescription as fault:
                self._refuse(step, fault)

    async def _open(self, peer: Peer) -> None:
        if not self._over:
            await self._negotiate(peer, self._opening)

    async def _take(self, peer: Peer, step: Step) -> None:
        match step:
            case AcceptAnswer(answer=answer):
                await peer.accept(answer)
                self._agreed(peer)
            case AddCandidate(candidate=candidate):
                await peer.add_candidate(candidate)
            case Renegotiate():
                await self._negotiate(peer, step)
            case HoldPeer(here=here, there=there):
                await peer.hold(here=here, there=there)
                self._heard_at_s = self._packets_at_s = asyncio.get_running_loop().time()
            case MutePeer(muted=muted):
                await peer.mute(muted=muted)

    async def _negotiate(self, peer: Peer, step: OpenPeer | Renegotiate) -> None:
        video = step.type is CallType.VIDEO
        if step.offer is None:
            self._report(PeerOffered(self.key, await peer.offer(video=video)))
        else:
            self._report(PeerAnswered(self.key, await peer.answer(step.offer, video=video)))
            self._agreed(peer)
        self._is_described = True
        found, self._found = self._found, []
        for candidate in found:
            self.found(candidate)

    def _agreed(self, peer: Peer) -> None:
        self._agreed_once = True
        self._report(PeerAgreed(self.key, peer.carries_video, peer.carries_screen))

    def _refuse(self, step: Step, fault: BadDescription) -> None:
        """What cannot be done: the end of a connection that does not stand yet, and else nothing."""
        match step:
            case AddCandidate():  # one that is of no use; the others may be
                code, what = "bad_candidate", "candidate"
            case AcceptAnswer() if not self._agreed_once:
                self.failed(fault.code, str(fault))
                return
            case _:
                code, what = fault.code, "negotiation"
        where = f"{what} of {self._name}"
        self._report(FaultReported(code, str(fault), where, self.key.call_id))

    # -------------------- connections that have gone silent

    async def keep_seeing(self) -> None:
        """Do not wait for pictures that were lost for good; to be called twice a second."""
        if self._peer is not None and not self._over and self.connected_once:
            await self._peer.keep_seeing()

    async def watch(self, now_s: float) -> None:
        """Compare what has come with the last look, and report silence and its end."""
        peer = self._peer
        if peer is None or self._over or not self.connected_once:
            return
        packets, answers = await peer.packets_received(), peer.answers_received
        if packets != self._packets:
            self._packets_at_s = self._heard_at_s = now_s
        answers_do = now_s - self._packets_at_s < PACKETS_LIMIT_S or not peer.expects_packets
        if answers != self._answers and answers_do:
            self._heard_at_s = now_s
        self._packets, self._answers = packets, answers
        if self._lost and self._heard_at_s == now_s:
            self._lost = False
            self._report(PeerRestored(self.key))
        elif not self._lost and now_s - self._heard_at_s > LIVENESS_LIMIT_S:
            self._lost = True
            self._report(PeerLost(self.key))

    async def moved(self, gone: frozenset[str]) -> None:
        """These addresses of this machine are gone: what went by one of them is lost now, not in 2 s."""
        peer = self._peer
        if peer is None or self._over or self._lost or not self.connected_once:
            return
        if peer.came_by(gone):
            self._lost = True
            self._packets, self._answers = await peer.packets_received(), peer.answers_received
            self._report(PeerLost(self.key))

    # -------------------- what the peer tells

    def connected(self) -> None:
        """Media flows."""
        self.connected_once = True
        self._heard_at_s = self._packets_at_s = asyncio.get_running_loop().time()
        if self._audience is not None and not self._over:
            self._audience.joined(self.key)
        self._report(PeerConnected(self.key))

    def failed(self, code: str, message: str) -> None:
        """It could not be made, or is gone."""
        self._report(PeerFailed(self.key, code, message))
        self.close()

    def found(self, candidate: IceCandidate | None, /) -> None:
        """An address of this device's, which is told behind the description."""
        if self._is_described:
            self._report(PeerFound(self.key, candidate))
        else:
            self._found.append(candidate)

    def heard(self, frame: bytes) -> None:
        """20 ms of the other side's sound."""
        if self._audience is not None and not (self._over or self.waits or self.muted):
            self._audience.heard(self.key, frame)

    def saw(self, screen: bool, picture: Rgb, /) -> None:
        """A picture of the other side."""
        if self._audience is not None and not self._over and not self.waits:
            self._audience.saw(self.key, screen, picture)

    def dark(self, screen: bool, /) -> None:
        """No more pictures for now."""
        if self._audience is not None:
            self._audience.dark(self.key, screen=screen)

    def _report(self, report: Input) -> None:
        if not self._over:
            self._post(report)

    @property
    def camera_track(self) -> VideoTrack | None:
        """Over which it gets the camera's pictures, where it was agreed that it does."""
        return None if self._peer is None else self._peer.camera_track

    @property
    def sound(self) -> bool:
        """Whether sound is to pass over it at all."""
        return self._opening.sound

    @property
    def looks(self) -> bool:
        """It is with somebody who looks, and is in no call."""
        return self.key.call_id == VIEWING

    @property
    def waits(self) -> bool:
        """It is on hold: nothing of the other side is heard, and it gets neither sound nor picture."""
        return self.held_here or self.held_there

    @property
    def _name(self) -> str:
        return f"{self.key.uid}/{self.key.endpoint}/{self.key.generation}"

    def _let_wait(self) -> None:
        """The hold tone is heard here while the other side holds, unless this device does as well."""
        if self._tone is not None and self._audience is not None:
            waits_here = self.held_there and not self.held_here and not self._over
            self._tone.play_here(self.key, waits_here)
            if self.waits:
                self._audience.silent(self.key)


def _word(step: Step) -> str:
    return "candidate" if isinstance(step, AddCandidate) else "description"
