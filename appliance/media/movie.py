"""An MP4 that can be played whenever its writing stops: pictures as they were encoded, and sound.

It is written in fragments (ISO/IEC 14496-12, 8.8) of half a second, each on the disk before the next one
begins, so that a sudden end takes no more than the last of them. Closed properly it is turned into a
plain file with one index, which every player can seek in. Compared with Matroska, a file that was cut off
has its duration, and phones and browsers play it.
"""

from __future__ import annotations

import os
from fractions import Fraction

import av
from av.audio.frame import AudioFrame

from appliance.media.base import (
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    SILENT_FRAME,
    AccessUnit,
    PictureFormat,
)

FRAGMENT_S = 0.5
VIDEO_CLOCK = Fraction(1, 90_000)
SOUND_BIT_S = 32_000
_OPUS = {
    "frame_duration": "20",
    "compression_level": "3",  # of 10: a mix of voices sounds no better for more work
}
_CONTAINER = {
    "movflags": "+hybrid_fragmented+default_base_moof",
    "frag_duration": str(int(FRAGMENT_S * 1e6)),
    "flush_packets": "1",
    "max_interleave_delta": "1",  # packets come in order: nothing is to wait for the other stream
}


class Growing:
    """The file below, as PyAV writes to it: after a first fault it is left as it is."""

    def __init__(self, file: int, name: str) -> None:
        """An open descriptor, from now on ours."""
        self.name = name
        self.fault: OSError | None = None
        self._file = file
        self._whole = self._synced = 0
        self._turns_back = False

    @property
    def size(self) -> int:
        """In bytes."""
        return os.fstat(self._file).st_size

    def write(self, data: bytes) -> int:
        """All of it. Raises OSError."""
        if self.fault is not None:
            raise self.fault
        left = memoryview(data)
        try:
            if self._turns_back:
                # what makes it a plain file is in place of what made it a fragmented one: not before the
                # disk has the index that is then looked for, or a power cut leaves neither
                self._turns_back = False
                os.fsync(self._file)
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as fault:
            self.fault = fault
            raise
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        at = os.lseek(self._file, offset, whence)
        self._turns_back = at < self.size
        return at

    def tell(self) -> int:
        """As of any file."""
        return os.lseek(self._file, 0, os.SEEK_CUR)

    def sync(self) -> None:
        """What has been written so far is whole: bring it onto the disk. Raises OSError."""
        self._whole = self.size
        if self._whole != self._synced:
            os.fsync(self._file)
            self._synced = self._whole

    def close(self) -> int:
        """Cut off what a fault has left half written, and let go of the file; its size."""
        try:
            if self.fault is not None:
                os.ftruncate(self._file, self._whole)
            os.fsync(self._file)
        except OSError as fault:
            self.fault = self.fault or fault
        finally:
            size = self.size
            os.close(self._file)
        return size


class Movie:
    """One file; belongs to one thread. Everything raises OSError where the disk does."""

    def __init__(self, file: Growing, pictures: PictureFormat | None) -> None:
        """Without `pictures` it has sound alone."""
        self._file = file
        self._container = av.open(file, "w", format="mp4", options=_CONTAINER)
        self._video = None
        if pictures is not None:
            self._video = self._container.add_stream("h264", rate=pictures.framerate)
            self._video.width, self._video.height = pictures.width, pictures.height
            self._video.pix_fmt = "yuv420p"
            self._video.time_base = VIDEO_CLOCK
            self._video.codec_context.extradata = pictures.parameter_sets
        self._audio = self._container.add_stream("libopus", rate=SAMPLE_RATE_HZ, options=_OPUS)
        self._audio.codec_context.format, self._audio.codec_context.layout = "s16", "mono"
        self._audio.codec_context.bit_rate = SOUND_BIT_S
        self._is_empty = True
        self._container.start_encoding()

    def picture(self, unit: AccessUnit, at_us: int, duration_us: int) -> None:
        """A picture of µs from the beginning; the next is to begin where it ends.

        libavformat moves the first picture of a fragment to the end of the one before: without a hole
        there is nothing to be moved.
        """
        if self._video is None:
            return
        packet = av.Packet(unit.data)
        packet.stream, packet.time_base = self._video, VIDEO_CLOCK
        packet.pts = packet.dts = at_us * 9 // 100
        packet.duration = (at_us + duration_us) * 9 // 100 - at_us * 9 // 100
        packet.is_keyframe = unit.keyframe
        self._container.mux(packet)

    def sound(self, frame: bytes, number: int) -> None:
        """20 ms of sound, the how-manieth from 0."""
        samples = AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        samples.planes[0].update(frame)
        samples.sample_rate, samples.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
        samples.pts = number * FRAME_SAMPLES
        self._is_empty = False
        self._container.mux(self._audio.encode(samples))

    def close(self) -> None:
        """Turn it into a plain file. Where that fails it stays a fragmented one."""
        try:
            if self._file.fault is None:
                if self._is_empty:
                    self.sound(SILENT_FRAME, 0)  # libavformat crashes where it has nothing to index
                self._container.mux(self._audio.encode(None))
        finally:
            self._let_go()

    def _let_go(self) -> None:
        try:
            self._container.close()
        except av.FFmpegError:
            if self._file.fault is None:
                raise
        if self._file.fault is not None:
            raise self._file.fault
