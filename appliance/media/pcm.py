"""One end of a sound card: an ALSA PCM through pyalsaaudio, at 48 kHz, mono, in periods of 10 ms.

It is opened so that nothing ever waits inside ALSA: pyalsaaudio keeps Python's lock while it opens a
device, and ALSA waits for one that is in use, so a blocking open would stop the whole process. Who wants to
wait does so in `wait`. Whatever goes wrong is an OSError with the errno that ALSA had, if it had one.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import os
import select
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from appliance.media.alsa_names import libasound
from appliance.media.base import SAMPLE_RATE_HZ

PERIOD_SAMPLES = 480
PERIOD_S = PERIOD_SAMPLES / SAMPLE_RATE_HZ
PERIOD_BYTES = 2 * PERIOD_SAMPLES
PLAYBACK_PERIODS = 3
"""Each is heard 10 ms later: enough for a thread that has to wait its turn for Python's lock."""
CAPTURE_PERIODS = 4
"""These cost no time: what is there is taken at once."""
FASTEST = 1.005
"""By how much a sound card's clock may be fast; what takes or gives more is none."""
IN_VAIN = 3
"""So often a device is waited for by its descriptors without anything having moved, then by the clock."""
STALE_S = 1.0
"""A time stamp that is off by more than this is not of the clock that was asked for."""


class Direction(StrEnum):
    """As ALSA calls them."""

    PLAYBACK = "playback"
    CAPTURE = "capture"


class Pcm(Protocol):
    """An open device, used by one thread. The methods raise OSError."""

    def wait(self, limit_s: float) -> None:
        """Return when something can be read or written, or `limit_s` is over; never at once for ever."""

    def write(self, samples: bytes) -> int | None:
        """How many bytes of it were taken; None: it had run dry, and is ready to begin again."""

    def read(self) -> bytes | None:
        """What has been heard, as much as a period; None: something was lost, and it goes on."""

    def latency_s(self) -> float:
        """In how long what is written next will sound, or how long ago what is read next did."""

    def close(self) -> None:
        """Let the device go, without waiting for what has not sounded yet."""


OpenPcm: TypeAlias = Callable[[Direction, str], Pcm]
"""Opens a device by its ALSA name; raises OSError."""


def open_pcm(direction: Direction, device: str) -> AlsaPcm:
    """Open it. Raises OSError; without an errno where it has other sound, or pyalsaaudio is missing."""
    alsa = _alsa()
    playing = direction is Direction.PLAYBACK
    try:
        pcm = alsa.PCM(
            alsa.PCM_PLAYBACK if playing else alsa.PCM_CAPTURE,
            alsa.PCM_NONBLOCK,
            device=device,
            rate=SAMPLE_RATE_HZ,
            channels=1,
            format=alsa.PCM_FORMAT_S16_LE,
            periodsize=PERIOD_SAMPLES,
            periods=PLAYBACK_PERIODS if playing else CAPTURE_PERIODS,
        )
    except alsa.ALSAAudioError as error:
        raise _os_error(error) from error
    opened = AlsaPcm(pcm, direction, device)
    try:
        opened.check()
    except OSError:
        opened.close()
        raise
    return opened


class AlsaPcm:
    """A `Pcm` of pyalsaaudio's."""

    def __init__(self, pcm: Any, direction: Direction, device: str) -> None:
        """`pcm` is an `alsaaudio.PCM`."""
        self._pcm, self._device = pcm, device
        self._playing = direction is Direction.PLAYBACK
        self._error = _alsa().ALSAAudioError
        info = pcm.info()
        self._format = (info["rate"], info["channels"], info["format_name"])
        self._buffer_samples: int = info["buffer_size"]
        self._governor = Governor((self._buffer_samples + info["period_size"]) / SAMPLE_RATE_HZ)
        self._in_vain = 0
        self._poll = select.poll()
        self._asked: list[tuple[int, int]] = pcm.polldescriptors()
        for descriptor, events in self._asked:
            self._poll.register(descriptor, events)
        with contextlib.suppress(
            self._error
        ):  # an old kernel; its times are then found out to be others
            pcm.set_tstamp_type(_alsa().PCM_TSTAMP_TYPE_MONOTONIC)
            pcm.set_tstamp_mode(_alsa().PCM_TSTAMP_ENABLE)

    def check(self) -> None:
        """Raise OSError where ALSA gave something else than was asked for, which it does without a word."""
        rate, channels, form = self._format
        if self._format != (SAMPLE_RATE_HZ, 1, "S16_LE"):
            raise OSError(
                f"it has {rate} Hz, {channels} channels and {form} where 48000 Hz, mono and S16_LE are "
                f'needed, which a name that converts ("plughw:…" instead of "hw:…") would give'
            )

    def wait(self, limit_s: float) -> None:
        """Poll, where the device is not ahead of time, and does not say in vain that it is ready."""
        held_s = self._governor.hold_s(time.monotonic())
        self._in_vain += 1
        if held_s > 0 or self._in_vain > IN_VAIN:
            time.sleep(min(max(held_s, PERIOD_S / 4), limit_s))
        elif ready := dict(self._poll.poll(limit_s * 1000)):
            # some (dmix) want to be told which of their descriptors were ready
            with contextlib.suppress(self._error):
                self._pcm.polldescriptors_revents(
                    [(descriptor, ready.get(descriptor, 0)) for descriptor, _ in self._asked]
                )

    def write(self, samples: bytes) -> int | None:
        """As much of it as there is room for, none while the device is ahead of time."""
        if self._governor.hold_s(time.monotonic()) > 0:
            return 0
        try:
            taken: int = self._pcm.write(samples)
        except self._error as error:
            raise _os_error(error) from error
        if taken < 0:
            return None
        self._moved(taken)
        return 2 * taken

    def read(self) -> bytes | None:
        """As much as there is, nothing while the device is ahead of time."""
        if self._governor.hold_s(time.monotonic()) > 0:
            return b""
        try:
            got, samples = self._pcm.read()
        except self._error as error:
            raise _os_error(error) from error
        if got < 0:
            return None
        self._moved(got)
        return bytes(samples)

    def _moved(self, samples: int) -> None:
        if samples:
            self._in_vain = 0
            self._governor.moved(samples, time.monotonic())

    def latency_s(self) -> float:
        """By what stands in ALSA's buffer, and the time at which ALSA looked."""
        stamp: tuple[int, int, int] = self._pcm.htimestamp()
        seconds, nanoseconds, available = stamp
        age_s = time.monotonic() - (seconds + nanoseconds / 1e9)
        if not 0 <= age_s < STALE_S:
            age_s = 0.0
        available = min(max(available, 0), self._buffer_samples)
        if self._playing:
            return max(0.0, (self._buffer_samples - available) / SAMPLE_RATE_HZ - age_s)
        return available / SAMPLE_RATE_HZ + age_s

    def close(self) -> None:
        """Drop and close."""
        with contextlib.suppress(self._error):  # it may have gone
            self._pcm.drop()
        self._pcm.close()


class Governor:
    """Holds back what takes or gives sound faster than time passes: `null`, a file, a broken driver.

    A real card is never held back: it cannot be further ahead than its buffer is long, and its clock is not
    off by half a per cent.
    """

    def __init__(self, ahead_s: float) -> None:
        """How far ahead of time it may be."""
        self._ahead_s = ahead_s
        self._supplied_until_s = 0.0

    def moved(self, samples: int, now_s: float) -> None:
        """So many were taken or given."""
        begin_s = max(self._supplied_until_s, now_s)
        self._supplied_until_s = begin_s + samples / SAMPLE_RATE_HZ / FASTEST

    def hold_s(self, now_s: float) -> float:
        """For how long nothing more is to be moved; 0 or less: it may."""
        return self._supplied_until_s - now_s - self._ahead_s


def errno_in(words: str) -> int | None:
    """The errno of an ALSA error, of which pyalsaaudio has the words: "Device or resource busy [hw:0]"."""
    return _numbers().get(words.rpartition(" [")[0] or words)


@functools.cache
def _numbers() -> dict[str, int]:
    return {os.strerror(number): number for number in errno.errorcode}


def _os_error(error: Exception) -> OSError:
    words = str(error)
    number = errno_in(words)
    return OSError(words) if number is None else OSError(number, os.strerror(number))


@functools.cache
def _alsa() -> Any:
    """pyalsaaudio, whose ALSA says nothing by itself."""
    try:
        alsa = importlib.import_module("alsaaudio")
    except ImportError as error:
        raise OSError(
            f"pyalsaaudio is not installed ({error}): pip install 'appliance[pi]'"
        ) from error
    libasound()
    return alsa
