"""What the Pi's kernel does for picamera2, at its ioctls: memory for pictures, and the H.264 encoder.

Memory is a memfd instead of a DMA buffer; the encoder's device is another, which holds the buffers that are
mapped from it, and encodes with libx264 by the controls that it was given. What it was not told it does
as the Pi's driver: profile high, level 4.0, no parameter sets but the first.
"""

from __future__ import annotations

import errno
import mmap
import os
import select
import threading
import time
from collections import deque
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, BinaryIO

import av
import numpy as np
import videodev2 as v
from av.video.frame import PictureType, VideoFrame

SLOT_BYTES = 512 << 10
OUTPUT, CAPTURE = v.V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE, v.V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE
PROFILES = {
    v.V4L2_MPEG_VIDEO_H264_PROFILE_CONSTRAINED_BASELINE: "Baseline",
    v.V4L2_MPEG_VIDEO_H264_PROFILE_HIGH: "High",
}
LEVELS = {
    getattr(v, f"V4L2_MPEG_VIDEO_H264_LEVEL_{name.replace('.', '_')}"): name
    for name in (
        "1.0",
        "1.1",
        "1.2",
        "1.3",
        "2.0",
        "2.1",
        "2.2",
        "3.0",
        "3.1",
        "3.2",
        "4.0",
        "4.1",
        "4.2",
    )
}


class Encoder:
    """One opened encoder device."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.file: BinaryIO = os.fdopen(os.memfd_create("video11"), "rb+", buffering=0)
        self.controls: dict[int, int] = {
            v.V4L2_CID_MPEG_VIDEO_H264_PROFILE: v.V4L2_MPEG_VIDEO_H264_PROFILE_HIGH,
            v.V4L2_CID_MPEG_VIDEO_H264_LEVEL: v.V4L2_MPEG_VIDEO_H264_LEVEL_4_0,
        }
        self.size, self.stride = (0, 0), 0
        self._rate = Fraction(30)
        self._codec: Any = None
        self._force = True
        self._changed = threading.Condition()
        self._free: deque[int] = deque()
        self._encoded: deque[tuple[int, int, bool, int]] = deque()
        self._returned: deque[int] = deque()
        self._waiting: deque[tuple[int, int, int, int]] = deque()

    # -------------------- what picamera2 asks of it

    @property
    def bitrate(self) -> int:
        """In bit/s: what it was told last."""
        return self.controls[v.V4L2_CID_MPEG_VIDEO_BITRATE]

    def ioctl(self, request: int, arg: Any) -> int:
        if self._kernel.fails_with:
            raise OSError(self._kernel.fails_with, os.strerror(self._kernel.fails_with))
        with self._changed:
            handlers: dict[int, Any] = {
                v.VIDIOC_QUERYCAP: self._querycap,
                v.VIDIOC_S_CTRL: self._set_control,
                v.VIDIOC_S_EXT_CTRLS: self._set_controls,
                v.VIDIOC_S_FMT: self._set_format,
                v.VIDIOC_S_PARM: self._set_parm,
                v.VIDIOC_REQBUFS: self._request_buffers,
                v.VIDIOC_QUERYBUF: self._query_buffer,
                v.VIDIOC_QBUF: self._queue,
                v.VIDIOC_DQBUF: self._dequeue,
                v.VIDIOC_STREAMON: lambda _: None,
                v.VIDIOC_STREAMOFF: lambda _: None,
            }
            {code % 2**32: call for code, call in handlers.items()}[request % 2**32](arg)
            self._changed.notify_all()
        return 0

    def events(self, timeout_s: float) -> int:
        """What poll would tell, waiting for something."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready, timeout_s)
            return self._ready

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    @property
    def _ready(self) -> int:
        if self._kernel.gone:
            return select.POLLERR
        ready = select.POLLOUT if self._returned else 0
        return ready | (select.POLLIN if self._encoded else 0)

    def _querycap(self, arg: Any) -> None:
        """Also as plain bytes, for who knows no videodev2."""
        cap = v.v4l2_capability.from_buffer(arg) if isinstance(arg, bytearray) else arg
        cap.capabilities = v.V4L2_CAP_VIDEO_M2M_MPLANE | v.V4L2_CAP_STREAMING

    def _set_control(self, arg: Any) -> None:
        if arg.id == v.V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME:
            self._force = True
            return
        self.controls[arg.id] = arg.value
        if arg.id == v.V4L2_CID_MPEG_VIDEO_BITRATE and self._codec is not None:
            self._codec.bit_rate = arg.value

    def _set_controls(self, arg: Any) -> None:
        for control in arg.controls[: arg.count]:
            self.controls[control.id] = control.value

    def _set_format(self, arg: Any) -> None:
        if arg.type == OUTPUT:
            if arg.fmt.pix_mp.pixelformat != v.V4L2_PIX_FMT_YUV420:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            self.size = arg.fmt.pix_mp.width, arg.fmt.pix_mp.height
            self.stride = arg.fmt.pix_mp.plane_fmt[0].bytesperline

    @property
    def framerate(self) -> float:
        """In pictures per second: what it was told last."""
        return float(self._rate)

    def _set_parm(self, arg: Any) -> None:
        per = arg.parm.output.timeperframe
        self._rate = Fraction(per.denominator, per.numerator)

    def _request_buffers(self, arg: Any) -> None:
        if arg.type == CAPTURE:
            os.ftruncate(self.file.fileno(), arg.count * SLOT_BYTES)
            self._free.clear()

    def _query_buffer(self, arg: Any) -> None:
        arg.m.planes[0].length = SLOT_BYTES
        arg.m.planes[0].m.mem_offset = arg.index * SLOT_BYTES

    def _queue(self, arg: Any) -> None:
        if arg.type == CAPTURE:
            self._free.append(arg.index)
            return
        at_us = arg.timestamp.tv_sec * 1_000_000 + arg.timestamp.tv_usec
        plane = arg.m.planes[0]
        self._waiting.append((arg.index, plane.m.fd, plane.bytesused, at_us))
        if not self._kernel.holds:
            self.work()

    def work(self) -> None:
        """Encode what waits."""
        with self._changed:
            while self._waiting:
                self._work(*self._waiting.popleft())
            self._changed.notify_all()

    def _work(self, index: int, fd: int, size: int, at_us: int) -> None:
        data, keyframe = self._encode(fd, size, at_us)
        slot = self._free.popleft()
        with mmap.mmap(self.file.fileno(), SLOT_BYTES, offset=slot * SLOT_BYTES) as memory:
            memory[: len(data)] = data
        self._encoded.append((slot, len(data), keyframe, at_us))
        self._returned.append(index)

    def _dequeue(self, arg: Any) -> None:
        if arg.type == OUTPUT:
            arg.index = self._returned.popleft()
            return
        arg.index, arg.m.planes[0].bytesused, keyframe, at_us = self._encoded.popleft()
        arg.m.planes[0].length = SLOT_BYTES
        arg.flags = v.V4L2_BUF_FLAG_KEYFRAME if keyframe else 0
        arg.timestamp.tv_sec, arg.timestamp.tv_usec = divmod(at_us, 1_000_000)

    # -------------------- libx264 in its place

    def _encode(self, fd: int, size: int, at_us: int) -> tuple[bytes, bool]:
        if self._codec is None:
            self._codec = self._open()
        height, frame = self.size[1], VideoFrame(*self.size, "yuv420p")
        with mmap.mmap(fd, size, prot=mmap.PROT_READ) as memory:
            at = 0
            for number, plane in enumerate(frame.planes):
                rows, stride = (
                    (height, self.stride) if not number else (height // 2, self.stride // 2)
                )
                source = np.frombuffer(memory, np.uint8, rows * stride, at).reshape(rows, stride)
                target = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
                target.reshape(-1, plane.line_size)[:rows, : plane.width] = source[:, : plane.width]
                at += rows * stride
                del source
        keyframe, self._force = self._force, False
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        frame.pts, frame.time_base = at_us, Fraction(1, 1_000_000)
        packets = self._codec.encode(frame)
        return b"".join(map(bytes, packets)), any(packet.is_keyframe for packet in packets)

    def _open(self) -> Any:
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height = self.size
        codec.pix_fmt, codec.time_base, codec.framerate = (
            "yuv420p",
            Fraction(1, 1_000_000),
            self._rate,
        )
        codec.bit_rate = self.bitrate
        codec.profile = PROFILES[self.controls[v.V4L2_CID_MPEG_VIDEO_H264_PROFILE]]
        codec.thread_count = 1
        period = self.controls.get(v.V4L2_CID_MPEG_VIDEO_H264_I_PERIOD, 60)
        repeat = self.controls.get(v.V4L2_CID_MPEG_VIDEO_REPEAT_SEQ_HEADER, 0)
        codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "level": LEVELS[self.controls[v.V4L2_CID_MPEG_VIDEO_H264_LEVEL]],
            "forced-idr": "1",
            "maxrate": str(self.bitrate),
            "bufsize": str(self.bitrate // 3),
            "x264-params": f"keyint={period}:scenecut=0:bframes=0:repeat-headers={repeat}",
        }
        return codec


class _Poll:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._fd = -1

    def register(self, file: BinaryIO, _: int) -> None:
        self._fd = file.fileno()

    def poll(self, timeout_ms: float) -> list[tuple[int, int]]:
        encoder = self._kernel.encoders.get(self._fd)
        if encoder is None:
            time.sleep(timeout_ms / 1000)
            return []
        events = encoder.events(timeout_ms / 1000)
        return [(self._fd, events)] if events else []


class Kernel:
    """The kernel's side of all of it."""

    def __init__(self) -> None:
        self.encoders: dict[int, Encoder] = {}
        """By descriptor; those that are open, when it is asked."""
        self.opened: list[Encoder] = []
        """All that have ever streamed."""
        self.has_encoder = True
        self.busy_encoder = False
        self.holds = False
        """The encoder takes pictures and returns nothing."""
        self.gone = False
        """The encoder's device has errors alone to tell."""
        self.fails_with = 0
        """An errno, of each ioctl on the encoder."""
        self.calls: list[int] = []
        """What it was asked, by the ioctl's number; 0 is opening the encoder."""
        self.fails_at = -1
        """Which of the calls fails."""
        self.select = SimpleNamespace(
            poll=lambda: _Poll(self), POLLIN=select.POLLIN, POLLOUT=select.POLLOUT
        )

    def lose_encoder(self) -> None:
        self.gone, self.fails_with = True, errno.ENODEV
        for encoder in self.encoders.values():
            encoder.wake()

    def let_go(self) -> None:
        self.holds = False
        for encoder in self.encoders.values():
            encoder.work()

    def repair(self) -> None:
        self.gone, self.fails_with, self.holds = False, 0, False

    def open_encoders(self) -> int:
        return sum(not encoder.file.closed for encoder in self.encoders.values())

    def open(self, path: Any, *_: Any, **__: Any) -> BinaryIO:
        """Opens the encoder."""
        self._count(0)
        number = 0 if self.has_encoder else errno.ENOENT
        number = errno.EBUSY if self.busy_encoder else number
        if number:
            raise OSError(number, os.strerror(number), str(path))
        encoder = Encoder(self)
        self.encoders[encoder.file.fileno()] = encoder
        return encoder.file

    def ioctl(self, file: Any, request: int, arg: Any = 0) -> int:
        """As `fcntl.ioctl`."""
        from picamera2 import dma_heap

        if request in (dma_heap.DMA_BUF_SET_NAME, dma_heap.DMA_BUF_IOCTL_SYNC):
            return 0
        self._count(request)
        if request == dma_heap.DMA_HEAP_IOCTL_ALLOC:
            arg.fd = os.memfd_create("picture")
            os.ftruncate(arg.fd, arg.len)
            return 0
        encoder = self.encoders[file if isinstance(file, int) else file.fileno()]
        if request == v.VIDIOC_STREAMON and encoder not in self.opened:
            self.opened.append(encoder)
        return encoder.ioctl(request, arg)

    def _count(self, request: int) -> None:
        self.calls.append(request)
        if len(self.calls) - 1 == self.fails_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
