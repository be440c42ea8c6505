"""The media edge: opens devices and connections as the core wants, and reports what becomes of them.

av, numpy and aiortc take half a second to load on a small board, so nothing here imports them: `load()`
does, in a thread, and whatever is wanted before that waits for it.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from appliance.calls.effects import (
    AcceptAnswer,
    AddCandidate,
    ClosePeer,
    Effect,
    HoldPeer,
    MutePeer,
    OpenPeer,
    Renegotiate,
    ShareScreen,
    StartRecording,
)
from appliance.calls.inputs import FaultReported, Input, PeerFailed, PeerKey, RecordingFailed
from appliance.config import Audio, Camera, Media, Prompts, Recording
from appliance.media.base import Devices, PictureSink, SourceFailed, VideoSource
from appliance.media.desk import Desk
from appliance.media.leg import Leg, Step
from appliance.media.sharing import Sharing
from appliance.model import AudioMode, CameraFacing, DeviceException, Json

if TYPE_CHECKING:
    from appliance.media.audience import Audience
    from appliance.media.base import Rgb
    from appliance.media.equipment import Equipment
    from appliance.media.fanout import VideoFanout
    from appliance.media.sounding import Sounding

logger = logging.getLogger(__name__)

EARLY_CANDIDATES = 64
"""How many candidates are kept for a connection that is not open yet,"""
EARLY_PEERS = 16
"""and for how many of them."""
SETUP_LIMIT_S = 10.0
WATCH_INTERVAL_S = 0.25
"""Between two looks at whether the connections live; at how they do, each second time."""
END_LIMIT_S = 6.0


class Studio:
    """Microphone, camera, loudspeaker and the connections that use them."""

    EFFECTS: ClassVar[tuple[type[Effect], ...]] = (
        OpenPeer,
        AcceptAnswer,
        AddCandidate,
        ClosePeer,
        Renegotiate,
        HoldPeer,
        MutePeer,
        ShareScreen,
        *Desk.EFFECTS,
    )

    def __init__(
        self,
        media: Media,
        cameras: Mapping[Literal["front", "rear"], Camera],
        audio: Mapping[AudioMode, Audio],
        post: Callable[[Input], None],
        *,
        devices: Devices | None = None,
        recording: Recording | None = None,
        volumes: Mapping[AudioMode, int] | None = None,
        pictures: PictureSink | None = None,
        screen_source: VideoSource | None = None,
        setup_limit_s: float = SETUP_LIMIT_S,
        forbidden: Callable[[], str | None] = lambda: None,
        board: Literal["pi", "simulated"] = "simulated",
        prompts: Prompts | None = None,
        uid: str = "door",
    ) -> None:
        """`devices` win over the configured ones; `volumes` are in percent, 100 where there is none. The
        others' pictures are received where `pictures` can show them; `screen_source` is what can be shared
        as a second video. `forbidden` says why neither microphone nor camera may be open now. Only a `pi`
        has sound cards. `prompts` is what visitors are told. `uid` is this device for a TURN server.
        """
        self._media = media
        self._cameras = {CameraFacing(facing): camera for facing, camera in cameras.items()}
        self._audio = audio or {AudioMode.SPEAKER: Audio()}
        self._recording = recording or Recording()
        self._volumes = volumes or {}
        self._post = post
        self._devices = devices or Devices()
        self._setup_limit_s = setup_limit_s
        self._board, self._prompts, self._uid = board, prompts, uid
        self._equipment: Equipment | None = None
        self._loading = asyncio.Lock()
        self._lost: SourceFailed | None = None
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._ending = False
        self._desk = Desk(self._loaded, post, forbidden)
        self._pictures = pictures
        self._shares_screen = screen_source is not None
        self._sharing = Sharing(screen_source, self._screen, post)
        self._audience: Audience | None = None
        self._legs: dict[PeerKey, Leg] = {}
        self._early: dict[PeerKey, list[AddCandidate]] = {}

    # -------------------- its life

    async def load(self) -> None:
        """Import what media needs, in a thread, and check it; once is enough. Raises UnknownAiortc."""
        async with self._loading:
            if self._equipment is None:
                self._equipment = await self._make_equipment()
                self._desk.equip(self._equipment)

    def do_without(self, error: Exception) -> None:
        """`load` has raised: there is no media in this run, and who asks for any is told so at once."""
        sentence = f"there is no sound and no picture: {str(error) or type(error).__name__}"
        self._lost = SourceFailed(DeviceException.MEDIA_SERVICES_WERE_LOST, sentence)
        self._post(FaultReported(self._lost.type.value, sentence, "media", lasts=True))

    async def _make_equipment(self) -> Equipment:
        equipment = await asyncio.to_thread(importlib.import_module, "appliance.media.equipment")
        await asyncio.to_thread(equipment.self_check)
        try:
            servers = await asyncio.to_thread(
                equipment.ice_servers, self._media.ice_servers, self._uid
            )
        except (OSError, ValueError) as fault:
            servers = ()
            self._post(
                FaultReported("ice_servers", f"no ICE server is used: {fault}", "media.ice_servers")
            )
        made: Equipment = equipment.Equipment(
            self._media,
            self._cameras,
            self._audio,
            servers,
            self._devices,
            self._volumes,
            self._recording,
            self._post,
            simulated=self._board == "simulated",
            prompts=self._prompts,
        )
        await asyncio.to_thread(made.recorder.clear)
        self._audience = equipment.Audience(lambda: made.speaker, self._pictures, self._post)
        return made

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._start(self._desk.run(), "media devices")
        self._start(self._sharing.run(), "media screen")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = True
        for leg in self._legs.values():
            leg.close()
        self._desk.end()
        self._sharing.end()
        if self._watching is not None:
            self._watching.cancel()
        # a TaskGroup that is left with an exception cancels its tasks, and aiortc does not like being
        # cancelled half way; so they are given the time to end by themselves
        if self._running:
            await asyncio.wait(self._running, timeout=END_LIMIT_S)
        await self._tasks.__aexit__(kind, error, trace)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._tasks.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    # -------------------- what the core wants

    def perform(self, effect: Effect) -> None:
        """Carry out an effect of `EFFECTS`: at once or soon, in order for each connection."""
        match effect:
            case ShareScreen() | OpenPeer() | StartRecording() if self._lost is not None:
                self._deny(effect, self._lost)
            case ShareScreen(on=on):
                self._sharing.want(on)
            case OpenPeer():
                self._open(effect)
            case AddCandidate(peer=key) if key not in self._legs:
                self._keep_early(effect)
            case AcceptAnswer() | AddCandidate() | Renegotiate() | HoldPeer() | MutePeer():
                self._step(effect)
            case ClosePeer(peer=key):
                self._early.pop(key, None)
                if key in self._legs:
                    self._legs.pop(key).close()
                    self._tell_desk()
            case _:
                self._desk.perform(effect)
        if self._watching is None and self._is_in_use and not self._ending:
            self._watching = self._start(self._watch(), "media liveness")

    def plug(self, mode: AudioMode, present: bool, /) -> None:
        """Let an output of a simulated board come or go.

        Raises ValueError where it is not configured, or not simulated.
        """
        self._desk.plug(mode, present)

    @property
    def sounding(self) -> Sounding | None:
        """What plays the device's own sounds, once media is loaded, on a board with sound cards."""
        if self._equipment is None or self._board == "simulated":
            return None
        return self._equipment.sounding

    def may_see_or_hear(self) -> bool:
        """Whether microphone or camera may be open, also after the end, in a driver that hangs."""
        return not self._desk.released

    async def snapshot(self) -> bytes | None:
        """What the camera sees, as JPEG; None while it is closed or paused."""
        return await self._desk.snapshot()

    def own_frames(self, rate_hz: float) -> AsyncIterator[Rgb | None]:
        """What the camera sees, for a screen, so often at most; None where it is closed or paused."""
        return self._desk.own_frames(rate_hz)

    def _deny(self, effect: Effect, lost: SourceFailed) -> None:
        match effect:
            case OpenPeer(peer=peer):
                self._post(PeerFailed(peer, lost.type.value, str(lost)))
            case StartRecording():
                self._post(RecordingFailed(str(lost)))
            case ShareScreen(on=True):
                self._post(FaultReported(lost.type.value, str(lost), "screen"))

    def _open(self, opening: OpenPeer) -> None:
        if opening.peer in self._legs:
            self._post(
                FaultReported("already_open", "this connection is open already", str(opening.peer))
            )
            return
        leg = self._legs[opening.peer] = Leg(opening, self._post)
        for candidate in self._early.pop(opening.peer, ()):
            leg.do(candidate)
        self._start(self._run(leg), f"peer {opening.peer.uid}")
        self._tell_desk()

    def _step(self, step: Step) -> None:
        leg = self._legs.get(step.peer)
        if leg is not None:
            leg.do(step)
            self._tell_desk()
        elif not isinstance(
            step, HoldPeer | MutePeer
        ):  # nobody waits for the end of a connection to be told
            self._post(FaultReported("not_open", "this connection is not open", str(step.peer)))

    def _tell_desk(self) -> None:
        talking = {key.call_id for key, leg in self._legs.items() if not leg.waits}
        self._desk.hold(frozenset(key.call_id for key in self._legs) - talking)

    async def _run(self, leg: Leg) -> None:
        equipment = await self._loaded()
        assert self._audience is not None
        peer = equipment.peer(
            leg,
            self._setup_limit_s,
            # who only looks sees the camera, and shows nothing
            shares_screen=self._shares_screen and not leg.looks,
            pictures=None if leg.looks else self._pictures,
            sound=leg.sound,
            yields=leg.looks,
            found=leg.found,
        )
        await leg.run(peer, self._audience, equipment.hold)

    def _keep_early(self, step: AddCandidate) -> None:
        kept = self._early.setdefault(step.peer, [])
        if len(kept) < EARLY_CANDIDATES:
            kept.append(step)
        if len(self._early) > EARLY_PEERS:
            self._early.pop(next(iter(self._early)))

    async def _loaded(self) -> Equipment:
        if self._lost is not None:
            raise self._lost
        await self.load()
        assert self._equipment is not None
        return self._equipment

    async def _screen(self) -> VideoFanout:
        return (await self._loaded()).screen

    # -------------------- connections that have gone silent

    def moved(self, gone: frozenset[str]) -> None:
        """These addresses of this machine are gone."""
        for leg in list(self._legs.values()):
            self._start(leg.moved(gone), f"address of {leg.key.uid}")

    @property
    def _is_in_use(self) -> bool:
        sends = self._equipment is not None and self._equipment.sends
        return bool(self._legs) or sends or not self._desk.rests

    async def _watch(self) -> None:
        """While anything is in use, and once more after it: where nothing happens, nothing wakes."""
        loop = asyncio.get_running_loop()
        for look in itertools.count():
            await asyncio.sleep(WATCH_INTERVAL_S)
            for leg in list(self._legs.values()):
                await leg.watch(loop.time())
            if look % 2:
                continue
            for leg in list(self._legs.values()):
                await leg.keep_seeing()
            if self._equipment is not None:
                self._equipment.steer(time.monotonic())
            if not self._is_in_use:
                break
        self._watching = None

    # -------------------- for `status`

    def status(self) -> dict[str, Json]:
        """The `media` object of the status, and what the loudspeaker hears."""
        equipment = self._equipment
        return {
            **self._desk.status(),
            "on_hold": any(leg.held_here for leg in self._legs.values()),
            "screen_shared": self._sharing.is_on,
            "peers": len(self._legs),
            "connections": dict(Counter(f"{key.uid}/{key.endpoint}" for key in self._legs)),
            "audio_listeners": equipment.audio.listeners if equipment else 0,
            "video_listeners": equipment.video.listeners if equipment else 0,
            "screen_listeners": equipment.screen.listeners if equipment else 0,
            "sent": {
                "camera": equipment.steering.sent() if equipment else None,
                "screen": equipment.screen_steering.sent() if equipment else None,
            },
            "links": [] if equipment is None else self._links(equipment),
        }

    def _links(self, equipment: Equipment) -> list[Json]:
        """The way to each peer that gets the camera's pictures."""
        return [
            {"uid": key.uid, "endpoint": key.endpoint, **equipment.steering.link(track)}
            for key, leg in self._legs.items()
            if (track := leg.camera_track) is not None
        ]
