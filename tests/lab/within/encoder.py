"""The way to an encoder in the kernel (V4L2, memory to memory): the adapter, picamera2's class, vicodec.

The appliance's own camera takes pictures with libcamera, and hands their buffers to an encoder that is the
kernel's. That is no H.264 encoder and knows none of its controls: a few of them are translated to what does
the same there, and the other ones are left out, by name. Formats, buffers, streaming, polling, the flags of
what comes, and the end are the kernel's.
"""

from __future__ import annotations

import contextlib
import fcntl
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import videodev2 as v

from appliance.media.base import AccessUnit
from appliance.media.camera import PiCamera
from appliance.media.filming import Plan
from appliance.media.picamera import Eye
from appliance.model import DeviceException
from appliance.video_device import ENCODER
from tests.media.videosource import UNDER_WAY, Film

pytestmark = pytest.mark.leaves(
    "descriptor", "thread", reason="libcamera's own, until it is unloaded"
)

NAMES = Path("/sys/class/video4linux")
DRIVER, DEVICE = Path("/sys/bus/platform/drivers/vicodec"), "vicodec.0"
WIDTH, HEIGHT = 640, 480
LONGEST_GOP = 16
"""Pictures from one keyframe to the next, at most, in this encoder."""
FORCED = 2
"""So many pictures after it is told that each is to be one, one is for sure."""
HEADER = struct.Struct(">6I")
MAGIC, KEYFRAME = (0x4F4F4F4F, 0xFFFFFFFF), 1 << 10
"""Fast Walsh Hadamard Transform: how each of its pictures begins; then version, width, height, flags.

That a picture is a keyframe stands in these alone: the driver tells nobody (V4L2_BUF_FLAG_KEYFRAME).
"""
GOP, QUALITIES = v.V4L2_CID_MPEG_VIDEO_GOP_SIZE, (0x00990A22, 0x00990A23)
"""Of vicodec: the last are the quantizers of keyframes and others, from 1 (fine) to 31 (coarse)."""
UNKNOWN = {
    v.V4L2_CID_MPEG_VIDEO_H264_PROFILE,
    v.V4L2_CID_MPEG_VIDEO_H264_LEVEL,
    v.V4L2_CID_MPEG_VIDEO_REPEAT_SEQ_HEADER,
    v.VIDIOC_S_PARM % 2**32,
}
"""What is H.264's alone."""

Ioctl = Callable[..., Any]


class Translated:
    """The kernel's ioctl; what H.264's encoder calls one thing, and this one another, is translated."""

    def __init__(self, ioctl: Ioctl) -> None:
        self._ioctl = ioctl
        self._forced = 0
        self.left_out: set[int] = set()

    def __call__(self, fd: Any, request: int, arg: Any = 0, *more: Any) -> Any:
        number = request % 2**32
        if number == v.VIDIOC_S_CTRL % 2**32:
            return self._set(fd, arg.id, arg.value)
        if number == v.VIDIOC_S_EXT_CTRLS % 2**32:
            for one in arg.controls[: arg.count]:
                self._set(fd, one.id, one.value)
            return 0
        if number == v.VIDIOC_S_PARM % 2**32:  # this one counts no pictures
            self.left_out.add(number)
            return 0
        done = self._ioctl(fd, request, arg, *more)
        if number == v.VIDIOC_DQBUF % 2**32 and self._forced:
            self._see(fd, arg)
        return done

    def _set(self, fd: Any, control: int, value: int) -> int:
        if control in UNKNOWN:
            self.left_out.add(control)
        elif control == v.V4L2_CID_MPEG_VIDEO_BITRATE:
            for quality in QUALITIES:
                self._write(fd, quality, max(1, min(31, 8_000_000 // value)))
        elif control == v.V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME:
            self._forced = FORCED
            self._write(fd, GOP, 1)
        elif control == v.V4L2_CID_MPEG_VIDEO_H264_I_PERIOD:
            self._write(fd, GOP, min(value, LONGEST_GOP))
        else:
            self._write(fd, control, value)
        return 0

    def _see(self, fd: Any, buffer: Any) -> None:
        """The keyframe that was asked for has come."""
        if buffer.type == v.V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE:
            self._forced -= 1
            if not self._forced:
                self._write(fd, GOP, LONGEST_GOP)

    def _write(self, fd: Any, control: int, value: int) -> None:
        told = v.v4l2_control()
        told.id, told.value = control, value
        self._ioctl(fd, v.VIDIOC_S_CTRL, told)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Translated]:
    """The encoder is where a Pi has its own."""
    ENCODER.symlink_to(node("stateful-encoder"))
    translated = Translated(fcntl.ioctl)
    monkeypatch.setattr(fcntl, "ioctl", translated)
    # a Pi's encoder would not take what this camera gives; this one does
    monkeypatch.setattr(Eye, "not_for_hardware", "")
    yield translated
    ENCODER.unlink()


def node(name: str) -> Path:
    """Of which the kernel says that it is of this name."""
    found = next(one for one in NAMES.iterdir() if (one / "name").read_text().strip() == name)
    return Path("/dev") / found.name


def camera(bitrate_kbps: int = 800) -> PiCamera:
    """With an encoder that has to be the kernel's."""
    return PiCamera(Plan("0", "v4l2", WIDTH, HEIGHT, framerate=10, bitrate_kbps=bitrate_kbps))


@contextlib.contextmanager
def filming(one: PiCamera) -> Iterator[Film]:
    film = Film(one)
    try:
        yield film
    finally:
        one.stop()


def is_a_picture(unit: AccessUnit) -> bool:
    first, second, _, width, height, _ = HEADER.unpack_from(unit.data)
    return (first, second) == MAGIC and (width, height) == (WIDTH, HEIGHT)


def is_key(unit: AccessUnit) -> bool:
    return bool(HEADER.unpack_from(unit.data)[-1] & KEYFRAME)


def test_pictures_of_the_camera_s_own_buffers_come_back_encoded(
    kernel: Translated, tmp_path: Path
) -> None:
    one = camera()
    with filming(one) as film:
        units = film.take(4)
        assert one.encoder == "v4l2"
    assert [is_key(unit) for unit in units] == [True, False, False, False]
    assert all(is_a_picture(unit) for unit in units)
    assert units[0].pts_us < units[1].pts_us < units[2].pts_us < units[3].pts_us
    assert kernel.left_out == UNKNOWN
    shown = decoded(units, tmp_path)
    assert np.std(shown[-1]) > 20, "there is something to be seen"
    assert film.failures.empty()


def test_a_keyframe_comes_when_it_is_asked_for(kernel: Translated) -> None:
    one = camera()
    with filming(one) as film:
        film.until(is_key, LONGEST_GOP)
        film.take(2)
        one.request_keyframe()
        assert len(film.until(is_key, LONGEST_GOP)) <= UNDER_WAY, "by itself it comes later"
        film.until(lambda unit: not is_key(unit), UNDER_WAY)
        assert film.failures.empty()


def test_the_bitrate_is_changed_while_it_runs(kernel: Translated) -> None:
    one = camera(4000)
    with filming(one) as film:
        fine = median_size(film)
        one.set_bitrate(100)
        film.take(UNDER_WAY)
        assert median_size(film) < 0.85 * fine
        assert film.failures.empty()


def median_size(film: Film) -> float:
    """In bytes, of some that are no keyframes."""
    return float(np.median([len(unit.data) for unit in film.take(6) if not is_key(unit)]))


def test_it_starts_again_after_it_was_stopped(kernel: Translated) -> None:
    one = camera()
    for _ in range(2):
        with filming(one) as film:
            assert is_key(film.take(1)[0])
            assert is_open()
        assert not is_open()


def is_open() -> bool:
    """Whether this process has the encoder."""
    there = [one for one in Path("/proc/self/fd").iterdir() if one.exists()]
    return any(one.samefile(ENCODER) for one in there)


def test_one_that_vanishes_is_told_and_works_when_it_is_back(kernel: Translated) -> None:
    one = camera()
    film = Film(one)
    film.take(2)
    (DRIVER / "unbind").write_text(DEVICE)
    try:
        assert film.failure().type is DeviceException.MEDIA_SERVICES_WERE_LOST
        one.stop()
    finally:
        (DRIVER / "bind").write_text(DEVICE)
    ENCODER.unlink()
    ENCODER.symlink_to(node("stateful-encoder"))
    with filming(one) as film:
        assert is_key(film.take(1)[0])


def decoded(units: list[AccessUnit], folder: Path) -> np.ndarray[Any, Any]:
    """How bright it is, by vicodec's decoder: a picture each."""
    (folder / "encoded").write_bytes(b"".join(unit.data for unit in units))
    words = ["v4l2-ctl", "-d", str(node("stateful-decoder")), "--stream-mmap", "--stream-out-mmap"]
    words += [f"--stream-from={folder / 'encoded'}", f"--stream-to={folder / 'shown'}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = np.frombuffer((folder / "shown").read_bytes(), np.uint8)
    size = WIDTH * HEIGHT * 3 // 2
    assert len(shown) >= size, done.stdout + done.stderr
    return shown[: len(shown) // size * size].reshape(-1, size)[:, : WIDTH * HEIGHT]
