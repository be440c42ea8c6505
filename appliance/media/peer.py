"""One peer connection of aiortc: what goes over it, how it does, and its end.

aiortc starts tasks that nobody awaits. Connecting is one: closed at the wrong moment, it would go on after
the end and leave a task for good; so it is taken over here, and ended before the rest is closed. What the
others raise (it closes itself when the other side has closed) reaches the loop's exception handler, which
`app.py` sets; the connection then fails by its state or its set-up limit.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
)
from aiortc.mediastreams import MediaStreamTrack

from appliance.firewall.candidates import Remote
from appliance.media import handshakes
from appliance.media.agreement import Agreement
from appliance.media.base import BadDescription
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.feedback import Feedback
from appliance.media.gathering import Gathering, as_message
from appliance.media.governor import Cause
from appliance.media.hold_tone import HoldTone
from appliance.media.ice_servers import Server
from appliance.media.lines import NOT_ON_HOLD, Hold, Line, Role, Sources
from appliance.media.link import Report
from appliance.media.local_names import LocalNames, look_up
from appliance.media.reception import Reception
from appliance.media.seams import (
    admitting,
    guarding,
    ice,
    lifetime,
    receiving,
    rtcp,
    sending,
    timing,
)
from appliance.media.tracks import AudioTrack, VideoTrack
from appliance.media.watching import Stall, View
from appliance.messages import IceCandidate, SessionDescription

if TYPE_CHECKING:
    from appliance.media.base import Rgb

logger = logging.getLogger(__name__)

MAX_CANDIDATES = 64
"""Which come one by one, beside those of the descriptions."""
SETUP_LIMIT_S = 10.0
CLOSE_LIMIT_S = 5.0
KNOCK_AFTER_S = 0.5
"""After so long without a packet the other side is asked whether it is there,"""
KNOCK_LIMIT_S = 0.8
"""and asked anew when it has not answered for so long."""


class PeerObserver(Protocol):
    """Who is told of a connection."""

    def connected(self) -> None:
        """Media flows. At most once."""

    def failed(self, code: str, message: str) -> None:
        """It could not be made, or is gone for good. At most once, and nothing comes after."""

    def heard(self, frame: bytes) -> None:
        """20 ms of the other side's sound."""

    def saw(self, screen: bool, picture: Rgb, /) -> None:
        """A picture of the other side's camera, or of its screen."""

    def dark(self, screen: bool, /) -> None:
        """No more pictures of it come for now."""


class Peer:
    """One connection, with sound both ways, pictures from here, and from there where they are wanted."""

    def __init__(
        self,
        observer: PeerObserver,
        audio: AudioFanout | None,
        video: VideoFanout | None,
        *,
        screen: VideoFanout | None = None,
        hold: HoldTone | None = None,
        watch_framerate: int | None = None,
        yields: bool = False,
        ice_servers: Sequence[Server] = (),
        found: Callable[[IceCandidate | None], None] = lambda _: None,
        setup_limit_s: float = SETUP_LIMIT_S,
    ) -> None:
        """Without `video` (or `screen`) nothing of the kind is sent, whatever the other side offers;
        without `audio` no sound passes either way. One that `yields` makes nobody else get less.

        `hold` is what sounds while on hold. Pictures of the other side are taken where there is a
        `watch_framerate`, so many per second. What the `ice_servers` say too late for a description is
        given to `found`: by which addresses it can be reached as well, and None when there are no more.
        """
        self.feedback = {Role.CAMERA: Feedback(), Role.SCREEN: Feedback()}
        self._observer = observer
        self._tell_found = found
        self._sources = Sources(audio, video, screen, hold)
        self._watch_framerate = watch_framerate
        self._reception = Reception(observer.heard)
        guarding.guard()
        timing.go_steadily()
        handshakes.answer_in_c()
        # never None: aiortc would then ask a public STUN server; and ours it would wait for
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._pc = RTCPeerConnection(configuration)
        self._pc.on("connectionstatechange", self._state_changed)
        self._gathering = Gathering(self._pc, ice_servers, self._asked)
        self._connecting: set[asyncio.Task[None]] = set()
        lifetime.own_connecting(self._pc, self._connecting, self._cannot_connect)
        self._agreement = Agreement(
            self._pc,
            self._sources,
            watching=watch_framerate is not None,
            made=self._line_made,
            named=lambda candidate: self._names.ask(candidate),
            gathering=self._gathering,
        )
        self._names = LocalNames(self._found, look_up)
        self._setup_limit_s = setup_limit_s
        self._setup_timer: asyncio.TimerHandle | None = None
        self._candidates: list[IceCandidate | None] = []
        self._candidate_count = 0
        self._tracks: dict[Role, asyncio.Queue[MediaStreamTrack]] = {
            role: asyncio.Queue() for role in (Role.CAMERA, Role.SCREEN)
        }
        self._known: set[MediaStreamTrack] = set()
        self._hold = NOT_ON_HOLD
        self._muted = False
        self._yields = yields
        self._watched: set[Role] = set()
        self._views: dict[Role, tuple[View, Stall]] = {}
        self._connected = self._over = False
        self._answers = 0

    # -------------------- negotiation

    async def answer(self, offer: SessionDescription, *, video: bool = True) -> SessionDescription:
        """Answer a remote offer, the first or a further one; without `video` there is sound alone.

        Raises BadDescription or NoCommonCodec, with which a connection that stands is as it was.
        """
        answer = await self._agreement.answer(offer, video=video)
        await self._agreed()
        return answer

    async def offer(self, *, video: bool = True) -> SessionDescription:
        """Make an offer, the first or a further one: sound both ways, and `video`.

        Raises BadDescription where the other side is the one that offers.
        """
        offer = await self._agreement.offer(video=video)
        self._limit_setup()
        return offer

    async def accept(self, answer: SessionDescription) -> None:
        """Take the answer to what was offered. Raises BadDescription or NoCommonCodec."""
        await self._agreement.accept(answer)
        await self._agreed()

    async def add_candidate(self, candidate: IceCandidate | None) -> None:
        """Add a remote candidate, or say that there are no more; kept until there is a description.

        Raises BadDescription for what is no candidate, and for the 65th.
        """
        if candidate is not None:
            self._candidate_count += 1
            if self._candidate_count > MAX_CANDIDATES:
                raise BadDescription(f"more than {MAX_CANDIDATES} candidates")
        if self._agreement.is_made:
            await self._agreement.add_candidate(candidate)
        else:
            self._candidates.append(candidate)

    async def find(self) -> None:
        """Look up the candidates that have a name for an address; to be cancelled at the end."""
        await self._names.run()

    async def _found(self, candidate: Remote | None) -> None:
        try:
            await self._agreement.add_found(candidate)
        except BadDescription as fault:
            logger.warning("a candidate was left out: %s", fault)

    @property
    def carries_video(self) -> bool:
        """Whether it was agreed to use the camera's section, in either direction."""
        line = self._agreement.line(Role.CAMERA)
        return line is not None and (line.sends or line.receives)

    @property
    def camera_track(self) -> VideoTrack | None:
        """Over which the camera's pictures go, where it was agreed that they do."""
        line = self._agreement.line(Role.CAMERA)
        if line is None or not line.sends or not isinstance(line.track, VideoTrack):
            return None
        return line.track

    @property
    def carries_screen(self) -> bool:
        """Whether it was agreed that this device may send its screen."""
        line = self._agreement.line(Role.SCREEN)
        return line is not None and line.sends

    def _line_made(self, line: Line) -> None:
        fanout = self._sources.of(line.role)
        sending.send_ready_made(line.transceiver.sender, lambda: self._says_twice)
        if isinstance(fanout, VideoFanout):

            def wanted(cause: Cause) -> None:
                if not self._hold:
                    fanout.request_keyframe(cause)

            feedback = self.feedback[line.role] = Feedback(reported=self._saw_less)
            if isinstance(line.track, VideoTrack):
                line.track.feedback = feedback
                line.track.yields = self._yields
            rtcp.observe_rtcp(line.transceiver.sender, feedback, wanted)
        elif line.role.kind == "audio":
            receiving.use_jitter_buffer(line.transceiver.receiver, self._reception.slot)
            heard = Feedback(reported=self._heard_less)
            rtcp.observe_rtcp(line.transceiver.sender, heard, lambda cause: None)

    @property
    def _voices(self) -> list[AudioTrack]:
        return [line.track for line in self._agreement.lines if isinstance(line.track, AudioTrack)]

    @property
    def _says_twice(self) -> bool:
        return any(track.loss.twice for track in self._voices)

    def _heard_less(self, report: Report) -> None:
        for track in self._voices:
            track.loss.take(report, of_sound=True)

    def _saw_less(self, report: Report) -> None:
        for track in self._voices:
            track.loss.take(report, of_sound=False)

    async def _agreed(self) -> None:
        for line in self._agreement.lines:
            track = line.transceiver.receiver.track
            if line.role in self._tracks and track is not None and track not in self._known:
                self._known.add(track)
                self._tracks[line.role].put_nowait(track)
            rtcp.route_full_intra_requests(line.transceiver.sender)
            if line.role.kind == "audio":
                receiving.take_at_once(line.transceiver.receiver, self._reception.take)
            admitting.admit(line.transceiver.sender.transport)
        self._limit_setup()
        await self._use_lines()
        kept, self._candidates = self._candidates, []
        for candidate in kept:
            try:
                await self._agreement.add_candidate(candidate)
            except BadDescription as fault:
                logger.warning("a candidate was left out: %s", fault)

    # -------------------- while it lasts

    async def hold(self, *, here: bool, there: bool) -> None:
        """Put the connection on hold, or take it off: a keyframe follows."""
        self._hold = Hold(here, there)
        await self._use_lines()

    async def mute(self, *, muted: bool) -> None:
        """Send no sound, and pictures as before; or sound again."""
        self._muted = muted
        await self._use_lines()

    async def _use_lines(self) -> None:
        lines = {line.role: line for line in self._agreement.lines}
        for line in lines.values():
            line.feed(self._sources, self._hold, muted=self._muted)
        for role in (Role.CAMERA, Role.SCREEN):
            if role in lines:
                await self._watch(lines[role], lines[role].receives and not self._hold)
            if role not in self._watched:
                self._observer.dark(role is Role.SCREEN)

    async def _watch(self, line: Line, on: bool) -> None:
        """Decode what comes, or take no notice of it."""
        receiver, was_on = line.transceiver.receiver, line.role in self._watched
        (self._watched.add if on else self._watched.discard)(line.role)
        receiving.receive_video(receiver, on)
        if on and not was_on:
            await receiving.begin_anew(receiver)

    async def gather(self) -> None:
        """Ask the configured servers by which addresses it can be reached; to be cancelled at the end."""
        await self._gathering.run()

    def _asked(self, candidate: str | None) -> None:
        if not self._over and not self._connected:
            mid = self._agreement.transport_mid
            self._tell_found(None if candidate is None else as_message(candidate, mid))

    async def listen(self) -> None:
        """Pass on the other side's sound at a steady pace; to be cancelled at the end."""
        audio = self._sources.audio
        await self._reception.run(None if audio is None else audio.beats)

    async def watch(self, *, screen: bool) -> None:
        """Pass on the other side's pictures where they are wanted; to be cancelled at the end."""
        role = Role.SCREEN if screen else Role.CAMERA

        def show(picture: Rgb) -> None:
            if role in self._watched:
                self._observer.saw(screen, picture)

        while self._watch_framerate is not None:
            track = await self._tracks[role].get()
            view = View(show, self._watch_framerate)
            self._views[role] = view, Stall()
            await view.run(track)

    async def keep_seeing(self) -> None:
        """Do not wait for pictures that were lost for good; to be called twice a second."""
        for line in self._agreement.lines:
            if line.role in self._watched and line.role in self._views:
                view, stall = self._views[line.role]
                receiver = line.transceiver.receiver
                if stall.look(view.count, await _packets_of(receiver)):
                    await receiving.begin_anew(receiver)

    async def knock(self) -> None:
        """Ask, while nothing comes, whether the other side is there; to be cancelled at the end.

        Who is muted, paused or on hold may send nothing for seconds, and is no less there.
        """
        seen, answered = -1, True
        while True:
            await asyncio.sleep(KNOCK_AFTER_S if answered else 0)
            packets = await self.packets_received()
            answered = packets != seen or not self._connected or self._over
            seen = packets
            if not answered:
                answered = await ice.answers(self._pc, KNOCK_LIMIT_S)
                self._answers += answered

    def came_by(self, gone: frozenset[str]) -> bool:
        """Whether media goes by one of these addresses of this machine, or may do, through a server."""
        own = ice.own_address(self._pc)
        return own is not None and bool(gone) and (own == "" or own in gone)

    @property
    def answers_received(self) -> int:
        """How often the other side has answered that it is there."""
        return self._answers

    @property
    def expects_packets(self) -> bool:
        """Whether the other side must be heard of: it sends sound, or reports on what it gets."""
        for line in self._agreement.lines:
            is_sound = line.role.kind == "audio"
            if is_sound and (line.receives or (self._hold and line.sends)):
                return True
        return not self._hold and any(
            line.sends for line in self._agreement.lines if line.role is Role.CAMERA
        )

    async def packets_received(self) -> int:
        """How many RTP and RTCP packets have come so far."""
        for transceiver in self._pc.getTransceivers()[:1]:
            for stats in (await transceiver.sender.getStats()).values():
                if stats.type == "transport":
                    return int(stats.packetsReceived)
        return 0

    def left_out(self) -> Counter[str]:
        """How many packets that came by its ways were not let in or not received, by why."""
        return admitting.left_out(self._pc)

    # -------------------- its state

    async def close(self) -> None:
        """Close the connection and release all of it. Cannot fail; takes some 5 s at most."""
        self._end()
        for line in self._agreement.lines:
            if line.track is not None:
                line.track.stop()
        for task in self._connecting:
            task.cancel()
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                if self._connecting:
                    await asyncio.wait(self._connecting)
        except TimeoutError:
            logger.warning("aiortc still connects after %s s, though it is closed", CLOSE_LIMIT_S)
        if left_out := self.left_out():
            logger.info("of a connection's packets these were left out: %s", dict(left_out))
        for fault in await lifetime.close(self._pc, CLOSE_LIMIT_S):
            logger.warning("aiortc failed to close a part of a connection: %r", fault)
        for feedback in self.feedback.values():
            feedback.let_go()
        for part in (self._gathering, self._agreement, self._names, self._reception):
            part.let_go()

    def _cannot_connect(self, fault: Exception) -> None:
        self._fail("connection_failed", f"the connection cannot be made: {fault!r:.200}")

    def _state_changed(self) -> None:
        match self._pc.connectionState:
            case "connected" if not self._connected and not self._over:
                self._connected = True
                self._stop_setup_timer()
                self._observer.connected()
            case "failed":
                self._fail(*self._why_it_failed())
            case "closed":
                self._fail("connection_closed", "the other side closed the connection, or is gone")

    def _why_it_failed(self) -> tuple[str, str]:
        """DTLS that fails where ICE did not: whoever answers has not the key that was agreed
        (RFC 8827, section 6.5: the fingerprint binds the media to the signaling).
        """
        for transceiver in self._pc.getTransceivers():
            dtls = transceiver.sender.transport
            if dtls.state == "failed" and dtls.transport.state == "completed":
                return "untrusted", "the other side of the connection is not who was agreed with"
        return "connection_failed", "no way to the other side was found"

    def _limit_setup(self) -> None:
        """From each description on, the rest may take so long."""
        self._stop_setup_timer()
        if not self._connected and not self._over:
            self._setup_timer = asyncio.get_running_loop().call_later(
                self._setup_limit_s,
                self._fail,
                "setup_timed_out",
                f"the connection did not come about within {self._setup_limit_s:g} s",
            )

    def _stop_setup_timer(self) -> None:
        if self._setup_timer is not None:
            self._setup_timer.cancel()
            self._setup_timer = None

    def _fail(self, code: str, message: str) -> None:
        if not self._over:
            self._end()
            self._observer.failed(code, message)

    def _end(self) -> None:
        self._over = True
        self._stop_setup_timer()


async def _packets_of(receiver: RTCRtpReceiver) -> int:
    """How many RTP packets it has received so far."""
    stats = (await receiver.getStats()).values()
    return sum(one.packetsReceived for one in stats if one.type == "inbound-rtp")
