"""One peer connection of aiortc, and everything of aiortc that is not public.

No other module may touch a private name of aiortc; `self_check` names those that are touched here, and
fails loudly where another aiortc no longer has them.

aiortc starts tasks that nobody awaits. Connecting is one: closed at the wrong moment, it would go on after
the end and leave a task for good; so it is taken over here (`_own_connecting`), and ended before the rest
is closed. What the others raise (it closes itself when the other side has closed) reaches the loop's
exception handler, which `app.py` sets; the connection then fails by its state or its set-up limit.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, Protocol

import aiortc
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import AnyRtcpPacket
from aiortc.sdp import candidate_from_sdp

from appliance.errors import ApplianceError
from appliance.media.base import BadDescription
from appliance.media.fanout import AudioFanout, PacketTrack, VideoFanout
from appliance.media.feedback import Feedback
from appliance.media.negotiation import (
    MAX_CANDIDATES,
    checked_candidate,
    h264_only,
    opus_only,
    sections_of,
    what_came,
    without_host_names,
)
from appliance.media.voice import frames_of
from appliance.messages import IceCandidate, SessionDescription

logger = logging.getLogger(__name__)

SETUP_LIMIT_S = 10.0
CLOSE_LIMIT_S = 5.0

CONNECT = "_RTCPeerConnection__connect"
"""What aiortc starts without an owner as soon as there is a description of each side."""

JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
"""Where a receiver keeps what reorders its packets: the slot for a playout buffer of our own."""


class UnknownAiortc(ApplianceError):
    """The installed aiortc is not the one that this module knows."""

    code = "unknown_aiortc"


def self_check() -> None:
    """See that all private names still exist and are used as they were. Raises UnknownAiortc."""
    used: dict[str, object] = {
        "_handle_rtcp_packet": RTCDtlsTransport._handle_rtcp_data,  # called on the sender itself
        "_ssrc": RTCRtpSender.__init__,
        JITTER_BUFFER: RTCRtpReceiver._handle_rtp_packet,
        CONNECT: RTCPeerConnection.setRemoteDescription,
    }
    faults = [
        f"{getattr(function, '__qualname__', function)} no longer uses {name}"
        for name, function in used.items()
        if not isinstance(function, FunctionType) or name not in function.__code__.co_names
    ]
    signatures: tuple[tuple[Callable[..., Any], list[str]], ...] = (
        (RTCRtpSender._handle_rtcp_packet, ["self", "packet"]),
        (JitterBuffer.add, ["self", "packet"]),
    )
    faults += [
        f"{function.__qualname__} takes other arguments than {names}"
        for function, names in signatures
        if list(inspect.signature(function).parameters) != names
    ]
    if not aiortc.__version__.startswith("1.16."):
        faults.append(f"version {aiortc.__version__} instead of 1.16")
    if faults:
        raise UnknownAiortc(f"this aiortc is not the one that was tested: {'; '.join(faults)}")


class PeerObserver(Protocol):
    """Who is told of a connection."""

    def connected(self) -> None:
        """Media flows. At most once."""

    def failed(self, code: str, message: str) -> None:
        """It could not be made, or is gone for good. At most once, and nothing comes after."""

    def heard(self, frame: bytes) -> None:
        """20 ms of the other side's sound."""


class Peer:
    """One connection, with sound both ways and pictures from here to there."""

    def __init__(
        self,
        observer: PeerObserver,
        audio: AudioFanout,
        video: VideoFanout | None,
        *,
        ice_servers: Sequence[RTCIceServer] = (),
        setup_limit_s: float = SETUP_LIMIT_S,
        jitter_buffer: Callable[[], JitterBuffer] | None = None,
    ) -> None:
        """Without `video` no picture is offered or sent, whatever the other side offers.

        `jitter_buffer` makes what is to stand in for aiortc's own, for sound.
        """
        self.feedback = Feedback()
        self._observer = observer
        self._audio, self._video = audio, video
        self._jitter_buffer = jitter_buffer
        # never None: aiortc would then ask a public STUN server, which costs 5 s without the internet
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=list(ice_servers)))
        self._pc.on("connectionstatechange", self._state_changed)
        self._connecting: set[asyncio.Task[None]] = set()
        self._own_connecting()
        self._setup_limit_s = setup_limit_s
        self._setup_timer: asyncio.TimerHandle | None = None
        self._ours: dict[str, RTCRtpTransceiver] = {}
        self._tracks: list[PacketTrack] = []
        self._described = False
        self._candidates: list[IceCandidate | None] = []
        self._candidate_count = 0
        self._remote_audio: asyncio.Future[MediaStreamTrack] = (
            asyncio.get_running_loop().create_future()
        )
        self._connected = self._over = False

    # -------------------- negotiation

    async def answer(self, offer: SessionDescription) -> SessionDescription:
        """Answer a remote offer. Raises BadDescription or NoCommonCodec."""
        # in the order of the offer, and before aiortc sees it: later preferences have no effect, and a
        # transceiver that the offer does not use would keep the connection from ever being connected
        for kind in sections_of(offer, "offer"):
            self._add(kind)
        with what_came("offer"):
            await self._set_remote(offer)
            for transceiver in self._pc.getTransceivers():
                if transceiver not in self._ours.values():
                    transceiver.direction = "inactive"  # or it would be decoded, for nobody
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        return await self._described_locally()

    async def offer(self) -> SessionDescription:
        """Make the offer: sound both ways, and video from here if there is any."""
        self._add("audio")
        self._add("video")
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return await self._described_locally()

    async def accept(self, answer: SessionDescription) -> None:
        """Take the answer to what was offered. Raises BadDescription or NoCommonCodec."""
        sections_of(answer, "answer")
        with what_came("answer"):
            await self._set_remote(answer)
        self._limit_setup()
        await self._add_kept_candidates()

    async def add_candidate(self, candidate: IceCandidate | None) -> None:
        """Add a remote candidate, or say that there are no more; kept until there is a description.

        Raises BadDescription for what is no candidate, and for the 65th.
        """
        if candidate is not None:
            self._candidate_count += 1
            if self._candidate_count > MAX_CANDIDATES:
                raise BadDescription(f"more than {MAX_CANDIDATES} candidates")
        if not self._described:
            self._candidates.append(candidate)
            return
        if candidate is None or not candidate.candidate:
            await self._pc.addIceCandidate(None)
            return
        line = checked_candidate(candidate)
        if line is None:
            return
        with what_came("candidate"):
            parsed = candidate_from_sdp(line)
            parsed.sdpMid, parsed.sdpMLineIndex = candidate.sdp_mid, candidate.sdp_m_line_index
            await self._pc.addIceCandidate(parsed)

    async def close(self) -> None:
        """Close the connection and release all of it. Cannot fail; takes 5 s at most."""
        self._end()
        for track in self._tracks:
            track.stop()
        for task in self._connecting:
            task.cancel()
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                if self._connecting:
                    await asyncio.wait(self._connecting)
                await self._pc.close()
        except TimeoutError:
            logger.warning("aiortc did not close a connection within %s s", CLOSE_LIMIT_S)
        except Exception:
            logger.exception("aiortc failed to close a connection")

    def _add(self, kind: str) -> None:
        if kind in self._ours:
            return
        track: PacketTrack
        if kind == "audio":
            track, direction, codecs = self._audio.track(), "sendrecv", opus_only()
        elif kind == "video" and self._video is not None:
            # sendonly, so that the other side sends no video: there is no screen to decode it for
            track, direction, codecs = self._video.track(), "sendonly", h264_only()
        else:
            return
        transceiver = self._pc.addTransceiver(track, direction)
        transceiver.setCodecPreferences(codecs)
        self._ours[kind] = transceiver
        self._tracks.append(track)
        if kind == "video":
            self._observe_rtcp(transceiver.sender)
        elif self._jitter_buffer is not None:
            setattr(transceiver.receiver, JITTER_BUFFER, self._jitter_buffer())

    async def _set_remote(self, description: SessionDescription) -> None:
        sdp = without_host_names(description.sdp)
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp, description.type))
        self._described = True
        audio = self._ours.get("audio")
        if audio is not None and audio.receiver.track and not self._remote_audio.done():
            self._remote_audio.set_result(audio.receiver.track)

    async def _described_locally(self) -> SessionDescription:
        self._limit_setup()
        await self._add_kept_candidates()
        local = self._pc.localDescription
        return SessionDescription(local.type, local.sdp)

    async def _add_kept_candidates(self) -> None:
        if not self._described:
            return
        kept, self._candidates = self._candidates, []
        self._candidate_count -= sum(candidate is not None for candidate in kept)
        for candidate in kept:
            try:
                await self.add_candidate(candidate)
            except BadDescription as fault:
                logger.warning("a candidate was left out: %s", fault)

    # -------------------- while it lasts

    async def listen(self) -> None:
        """Pass on the other side's sound, until there is no more; to be cancelled at the end."""
        async for frame in frames_of(await self._remote_audio):
            self._observer.heard(frame)

    @property
    def expects_packets(self) -> bool:
        """Whether the other side must be heard of each second: it sends sound, or reports on video."""
        directions = {kind: ours.currentDirection for kind, ours in self._ours.items()}
        return directions.get("audio") in ("sendrecv", "recvonly") or (
            directions.get("video") in ("sendrecv", "sendonly")
        )

    async def packets_received(self) -> int:
        """How many RTP and RTCP packets have come so far."""
        for ours in self._ours.values():
            for stats in (await ours.sender.getStats()).values():
                if stats.type == "transport":
                    return int(stats.packetsReceived)
        return 0

    def _observe_rtcp(self, sender: RTCRtpSender) -> None:
        """See the feedback on the video before aiortc does, which ignores PLI for ready-made packets."""
        handle = sender._handle_rtcp_packet

        async def observe(packet: AnyRtcpPacket) -> None:
            if self.feedback.take(packet, sender._ssrc) and self._video is not None:
                self._video.request_keyframe()
            await handle(packet)

        sender._handle_rtcp_packet = observe  # type: ignore[method-assign]

    # -------------------- its state

    def _own_connecting(self) -> None:
        connect = getattr(self._pc, CONNECT)

        async def owned() -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connecting.add(task)
            try:
                await connect()
            except Exception as fault:  # DTLS without a fingerprint, ICE without a password, ..
                self._fail("connection_failed", f"the connection cannot be made: {fault!r:.200}")
            finally:
                self._connecting.discard(task)

        setattr(self._pc, CONNECT, owned)

    def _state_changed(self) -> None:
        match self._pc.connectionState:
            case "connected" if not self._connected and not self._over:
                self._connected = True
                self._stop_setup_timer()
                self._observer.connected()
            case "failed":
                self._fail("connection_failed", "no way to the other side was found")
            case "closed":
                self._fail("connection_closed", "the other side closed the connection, or is gone")

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
