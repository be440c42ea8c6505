"""Records a call: what the camera sends, and both sides' sound, into one file that survives a sudden end.

Taken are the access units that the peers get, so nothing is encoded a second time but the mixed sound; the
own microphone and picture are taken as they are sent: silence while muted, and nothing while the call is on
hold. All that costs time (the disk, the muxer, one Opus encode) is in a thread of its own, ten times a
second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

from appliance.calls.inputs import (
    Input,
    RecordingFailed,
    RecordingStarted,
    RecordingStopped,
)
from appliance.media.annexb import parameter_sets, picture_size
from appliance.media.base import FRAME_S, AccessUnit, PictureFormat
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.governor import Cause
from appliance.media.handover import Handover
from appliance.media.mixing import SETTLE_S, Mix
from appliance.media.movie import Growing, Movie
from appliance.media.outputs import Loudspeaker
from appliance.media.reel import Reel, black
from appliance.media.shelf import NoRoom, Shelf

logger = logging.getLogger(__name__)

Sound: TypeAlias = tuple[str, bytes, float]
"""Whose, 20 ms, and when they ended."""

KEYFRAME_EVERY_S = 10.0
"""One can seek to a keyframe, and the picture is whole again from there."""
PASS_S = 0.1
ROOM_EVERY_S = 1.0
HEADER_WAIT_S = 3.0
"""So long a recording waits to learn what its pictures are like; a camera that is broken gives none."""
LIMIT = 2000
"""What the thread has not taken yet, in pictures and frames: some 10 s, if the disk is so slow."""
END_LIMIT_S = 4.0
OWN = "microphone"


class Recorder:
    """The recordings of this device, one at a time. On the loop."""

    def __init__(
        self,
        shelf: Shelf,
        audio: AudioFanout,
        video: VideoFanout,
        speaker: Loudspeaker,
        post: Callable[[Input], None],
    ) -> None:
        """`post` is called from any thread."""
        self.on_hold: frozenset[str] = frozenset()
        """The calls, by their ids, in which nobody hears anybody at the moment."""
        self._shelf, self._audio, self._video, self._speaker = shelf, audio, video, speaker
        self._post = post
        self._call_id = ""
        self._writing: Writing | None = None
        self._filmed: VideoFanout | None = None
        self._threads: list[threading.Thread] = []
        self._waits_for_keyframe = True
        self._keyframe_us = 0

    @property
    def is_recording(self) -> bool:
        """Whether a recording has been begun and not ended."""
        return self._writing is not None

    def clear(self) -> None:
        """Delete what a sudden end left of a recording that nobody can play. In a thread, at the start."""
        try:
            begun = self._shelf.clear()
        except OSError as fault:  # who begins the next one is told what is wrong with the folder
            logger.warning("recordings that were only begun are not deleted: %s", fault)
        else:
            for path in begun:
                logger.info("%s was only begun when power or program went, and is deleted", path)

    def start(self, call_id: str, *, video: bool) -> None:
        """Begin a recording: `RecordingStarted` or `RecordingFailed` follows."""
        if self._writing is not None:
            self._post(RecordingFailed("a recording is running already"))
            return
        self._call_id = call_id
        broken: Handover[Writing] = Handover(self._broken)
        writing = self._writing = Writing(self._shelf, call_id, self._post, broken.put, video=video)
        over: Handover[Writing] = Handover(self._over)
        thread = threading.Thread(
            target=writing.run, args=(over.put,), name="recorder", daemon=True
        )
        self._threads = [*(known for known in self._threads if known.is_alive()), thread]
        self._filmed = self._video if video else None
        self._waits_for_keyframe = True
        self._audio.tap, self._speaker.tap = self._own_sound, self._others_sound
        if self._filmed is not None:
            # else the first picture tells
            writing.pictures = None if self._filmed.changes_size else self._filmed.format
            self._filmed.watch(self)
        thread.start()

    def stop(self) -> None:
        """End the recording, if there is one: `RecordingStopped` follows."""
        if self._writing is not None:
            self._over(self._writing)

    async def close(self) -> None:
        """End it, and wait until it is on the disk, for some seconds at most."""
        self.stop()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, END_LIMIT_S)

    def _over(self, writing: Writing) -> None:
        """Nothing more is taken; what was taken is written."""
        if self._writing is not writing:
            return
        self._writing = self._audio.tap = self._speaker.tap = None
        if self._filmed is not None:
            self._filmed.unwatch(self)
        writing.end()

    def _broken(self, writing: Writing) -> None:
        """No picture came for too long, and it has become black."""
        if self._writing is writing:
            self.restart()

    # -------------------- what is taken

    def push(self, unit: AccessUnit) -> None:
        """A picture that is sent."""
        writing, video = self._writing, self._filmed
        if writing is None or video is None:
            return
        if self._waits:
            self._waits_for_keyframe = True
        elif self._waits_for_keyframe and not unit.keyframe:
            video.request_keyframe(Cause.JOIN)
        elif writing.pictures is not None and unit.keyframe and _other_size(unit, writing.pictures):
            self._waits_for_keyframe = True  # of the size that the file has
        else:
            if writing.pictures is None:
                writing.pictures = video.format
            self._waits_for_keyframe = not writing.put(unit)
            if unit.keyframe:
                self._keyframe_us = unit.pts_us
            elif unit.pts_us - self._keyframe_us >= KEYFRAME_EVERY_S * 1e6:
                video.request_keyframe(Cause.REFRESH)

    def restart(self) -> None:
        """Something is left out: go on with the next keyframe."""
        self._waits_for_keyframe = True

    def _own_sound(self, frame: bytes) -> None:
        """On the microphone's thread."""
        self._hear(OWN, frame)

    def _others_sound(self, participant: str, frame: bytes) -> None:
        self._hear(f"/{participant}", frame)  # which is nobody's name

    @property
    def _waits(self) -> bool:
        """What is seen and heard now belongs to another call, or to nobody."""
        return self._call_id in self.on_hold

    def _hear(self, voice: str, frame: bytes) -> None:
        if self._writing is not None and not self._waits:
            self._writing.put((voice, frame, time.monotonic()))


def _other_size(unit: AccessUnit, looks: PictureFormat) -> bool:
    """Whether a keyframe begins pictures that the file has no room for: it has one size."""
    size = picture_size(parameter_sets(unit.data))
    return size is not None and size != (looks.width, looks.height)


class Writing:
    """One recording's thread."""

    def __init__(
        self,
        shelf: Shelf,
        call_id: str,
        post: Callable[[Input], None],
        broken: Callable[[Writing], None],
        *,
        video: bool,
    ) -> None:
        """`run` is the thread; the time line begins now. `broken`: from here only a keyframe goes on."""
        self.pictures: PictureFormat | None = None
        """What they are like, as soon as it is known."""
        self._shelf, self._call_id, self._post, self._video = shelf, call_id, post, video
        self._broken = broken
        self._start_s = self._end_s = time.monotonic()
        self._inbox: deque[AccessUnit | Sound] = deque()
        self._ended = threading.Event()
        self._mix = Mix(self._start_s)
        self._early: list[AccessUnit] = []
        self._reel: Reel | None = None
        self._movie: Movie | None = None
        self._room_at_s = self._start_s + ROOM_EVERY_S

    # -------------------- from the other threads

    def put(self, item: AccessUnit | Sound) -> bool:
        """Take it; False where the disk is so slow that there is no room for it."""
        if len(self._inbox) >= LIMIT:
            return False
        self._inbox.append(item)
        return True

    def end(self) -> None:
        """Write what has been taken, and close."""
        self._end_s = time.monotonic()
        self._ended.set()

    # -------------------- on its own

    def run(self, over: Callable[[Writing], None]) -> None:
        """All of it; `over` is called at the end."""
        try:
            path, descriptor = self._shelf.open(self._call_id, datetime.now(UTC))
        except NoRoom as fault:
            over(self)
            self._post(RecordingFailed(str(fault)))
            return
        self._post(RecordingStarted(str(path)))
        file = Growing(descriptor, str(path))
        error = self._why_it_ends(path, lambda: self._write(path, file))
        error = error or self._why_it_ends(path, lambda: self._close())
        with contextlib.suppress(Exception):  # after an error it holds on to nothing any more
            self._close()
        size = file.close()
        over(self)
        duration_s = round(self._mix.frames * FRAME_S, 3)
        self._post(RecordingStopped(str(path), duration_s, size, error))

    def _why_it_ends(self, path: Path, work: Callable[[], None]) -> str | None:
        """Do it. Gives a sentence where it could not be done."""
        try:
            work()
        except NoRoom as fault:
            return str(fault)
        except OSError as fault:
            return f"{path} cannot be written: {fault.strerror or fault}"
        except Exception as fault:
            logger.exception("the recording %s stopped", path)
            return f"{path} cannot be written: {fault}"
        return None

    def _write(self, path: Path, file: Growing) -> None:
        while not self._ended.wait(PASS_S):
            now_s = time.monotonic()
            self._pass(file, now_s - SETTLE_S, at_last=False)
            if now_s >= self._room_at_s:
                self._room_at_s = now_s + ROOM_EVERY_S
                try:
                    self._shelf.make_room(path)
                except NoRoom:  # what is here already is small
                    self._pass(file, now_s, at_last=True)
                    raise
        self._pass(file, self._end_s, at_last=True)

    def _close(self) -> None:
        movie, self._movie = self._movie, None
        if movie is not None:
            movie.close()

    def _pass(self, file: Growing, until_s: float, *, at_last: bool) -> None:
        """Write what is complete by now."""
        self._sort_inbox()
        if self._movie is None:
            if not self._knows_enough(at_last):
                return
            self._movie = self._begin(file)
        for frame in self._mix.take(until_s):
            if self._reel is not None:
                for shot in self._reel.take(round(self._mix.frames * FRAME_S * 1e6)):
                    self._movie.picture(*shot)
            self._movie.sound(frame, self._mix.frames - 1)
        if at_last and self._reel is not None:
            for shot in self._reel.finish(round(self._mix.frames * FRAME_S * 1e6)):
                self._movie.picture(*shot)
        file.sync()

    def _sort_inbox(self) -> None:
        while self._inbox:
            item = self._inbox.popleft()
            if not isinstance(item, AccessUnit):
                self._mix.put(*item)
            elif self._reel is None:
                self._early.append(item)
            else:
                self._reel.put(item, self._at_us(item))

    def _at_us(self, unit: AccessUnit) -> int:
        return max(0, unit.pts_us - round(self._start_s * 1e6))

    def _knows_enough(self, at_last: bool) -> bool:
        waited_s = time.monotonic() - self._start_s
        return not self._video or self.pictures is not None or at_last or waited_s > HEADER_WAIT_S

    def _begin(self, file: Growing) -> Movie:
        looks = self.pictures if self._video else None
        if looks is not None:
            self._reel = Reel(looks.framerate, black(looks), partial(self._broken, self))
            for unit in self._early:
                self._reel.put(unit, self._at_us(unit))
        return Movie(file, looks)
