"""A Pi without a Pi: picamera2's own source, on stand-ins for libcamera and for the kernel.

picamera2 is imported once in a process, on the stand-in, and stays; what is connected and what is broken
is set anew for each test.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from appliance import video_device
from appliance.media import encoders, opening
from appliance.media.base import SourceFailed
from appliance.media.camera import PiCamera
from appliance.media.encoders import Kind
from appliance.media.filming import Plan
from appliance.model import CameraFacing
from tests.media.videosource import Film
from tests.parts import libcamera_standin
from tests.parts.kernel_standin import Kernel
from tests.parts.libcamera_standin import SENSORS, Sensor
from tests.parts.need import skip_or_fail


class Pi:
    """What a test turns: cameras, encoder, memory."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.front, self.rear = SENSORS


def _import_picamera2() -> None:
    if getattr(sys.modules.get("libcamera"), "__file__", None):
        pytest.skip("picamera2 runs on the real libcamera in this process")
    if "picamera2" in sys.modules:
        return
    if importlib.util.find_spec("picamera2") is None:
        skip_or_fail("picamera2 is not installed (make .venv/.test-installed)")
    sys.modules["libcamera"] = libcamera_standin.module()
    # of what picamera2 imports, and nothing here uses: raw pictures, FFmpeg
    pidng = ModuleType("pidng")
    core, camdefs = ModuleType("pidng.core"), ModuleType("pidng.camdefs")
    core.PICAM2DNG = camdefs.Picamera2Camera = object  # type: ignore[attr-defined]
    sys.modules.update(
        {"pidng": pidng, "pidng.core": core, "pidng.camdefs": camdefs}
        | {"prctl": ModuleType("prctl")}
    )
    opening.load()


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pi]:
    """Two cameras, both free, and a hardware encoder."""
    SENSORS[:] = [
        Sensor("imx708", "i2c1", focuses=True),
        Sensor("ov5647", "i2c0", CameraFacing.REAR),
    ]
    _import_picamera2()
    from picamera2 import Picamera2, dma_heap
    from picamera2.allocators import dmaallocator
    from picamera2.encoders import v4l2_encoder

    from appliance.media import v4l2

    kernel = Kernel()
    heap = tmp_path / "heap"
    heap.touch()
    monkeypatch.setattr(dma_heap, "heapNames", [str(heap)])
    for module in (dma_heap, dmaallocator, v4l2_encoder, v4l2, video_device):
        monkeypatch.setattr(module, "fcntl", SimpleNamespace(ioctl=kernel.ioctl))
    monkeypatch.setattr(v4l2_encoder, "open", kernel.open, raising=False)
    monkeypatch.setattr(v4l2_encoder, "select", kernel.select)
    monkeypatch.setattr(encoders, "ENCODER", SimpleNamespace(open=kernel.open))
    yield Pi(kernel)
    SENSORS.clear()
    opening.forget(Picamera2)


KINDS: tuple[Kind, ...] = ("v4l2", "software")


def plan(device: str = "0", encoder: Kind = "auto", width: int = 320, height: int = 180) -> Plan:
    return Plan(device, encoder, width, height, framerate=30, bitrate_kbps=400)


def refused(camera: PiCamera) -> SourceFailed:
    """Why it does not start."""
    with pytest.raises(SourceFailed) as caught:
        camera.start(lambda _: None, lambda _: None)
    return caught.value


def works(camera: PiCamera) -> None:
    film = Film(camera)
    assert film.take()[0].keyframe
    camera.stop()


def wait(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
