"""A stand-in for libcamera's Python module, as thick as picamera2 needs: sensors that film the test card.

Classes and their names are libcamera's (its pybind11 bindings), so picamera2's own source runs on them.
What a test turns is on `Sensor`. Pictures are drawn into the buffers that picamera2 allocates, by a thread
for each camera that runs, as libcamera's would.
"""

from __future__ import annotations

import enum
import errno
import mmap
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from appliance.media.card import Card
from appliance.model import CameraFacing

STRIDE = 64
"""Rows of luma begin at a multiple of it, as on the Pi."""
MODES = ((640, 480), (1640, 1232), (1920, 1080))


@dataclass
class Sensor:
    """A camera, and what is wrong with it."""

    model: str
    bus: str = "i2c1"
    facing: CameraFacing = CameraFacing.FRONT
    usb: bool = False
    """A webcam: one stream, YUYV, and no say in how long a picture takes."""
    plugged: bool = True
    listed: bool = True
    busy: bool = False
    mute: bool = False
    """It streams and gives nothing."""
    hangs: threading.Event | None = None
    """Stopping it waits for this."""
    numbers: int = 0
    configured: list[tuple[int, int]] = field(default_factory=list)
    running: bool = False
    focuses: bool = False
    told: dict[str, Any] = field(default_factory=dict)
    """The controls that it was started with."""

    @property
    def id(self) -> str:
        return f"/base/{'usb@1' if self.usb else self.bus}/{self.model}@1a"


SENSORS: list[Sensor] = []
"""What is connected to this computer."""


def _raise(what: str, number: int) -> None:
    """As pybind11 does with a std::system_error."""
    raise RuntimeError(f"{what}: {os.strerror(number)}")


# -------------------- values


class Size:
    def __init__(self, width: int = 0, height: int = 0) -> None:
        self.width, self.height = width, height


class Rectangle:
    def __init__(self, x: int = 0, y: int = 0, width: int = 0, height: int = 0) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height


class Transform:
    def __init__(self, other: Any = None, *, hflip: int = 0, vflip: int = 0, transpose: int = 0):
        source = other if isinstance(other, Transform) else None
        self.hflip: bool = source.hflip if source else bool(hflip)
        self.vflip: bool = source.vflip if source else bool(vflip)
        self.transpose: bool = source.transpose if source else bool(transpose)

    def __str__(self) -> str:
        return f"{self.hflip} {self.vflip} {self.transpose}"

    def __hash__(self) -> int:
        return hash((self.hflip, self.vflip, self.transpose))


class Orientation(enum.Enum):
    Rotate0 = 1
    Rotate0Mirror = 2
    Rotate180 = 3
    Rotate180Mirror = 4
    Rotate90Mirror = 5
    Rotate270 = 6
    Rotate270Mirror = 7
    Rotate90 = 8


class ColorSpace:
    class YcbcrEncoding(enum.Enum):
        Null = 0

    class Range(enum.Enum):
        Full = 0
        Limited = 1

    def __init__(self, other: ColorSpace | str) -> None:
        name: str = other if isinstance(other, str) else other.primaries
        self.primaries: str = name
        self.transferFunction: str = name
        self.ycbcrEncoding: Any = name
        self.range = self.Range.Limited

    def __str__(self) -> str:
        return self.primaries

    def __hash__(self) -> int:
        return hash(self.primaries)

    @classmethod
    def Sycc(cls) -> ColorSpace:  # noqa: N802 - libcamera's
        return cls("sycc")

    @classmethod
    def Smpte170m(cls) -> ColorSpace:  # noqa: N802
        return cls("smpte170m")

    @classmethod
    def Rec709(cls) -> ColorSpace:  # noqa: N802
        return cls("rec709")

    @classmethod
    def Raw(cls) -> ColorSpace:  # noqa: N802
        return cls("raw")


class PixelFormat:
    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __eq__(self, other: object) -> bool:
        return str(other) == self._name


class StreamRole(enum.Enum):
    Raw = 0
    StillCapture = 1
    VideoRecording = 2
    Viewfinder = 3


class ControlType(enum.Enum):
    Null = 0
    Bool = 1
    Integer32 = 3
    Integer64 = 4
    Rectangle = 7
    Size = 8


@dataclass(frozen=True)
class ControlId:
    name: str
    type: ControlType = ControlType.Integer64


@dataclass(frozen=True)
class ControlInfo:
    min: Any
    max: Any
    default: Any


SensorTimestamp = ControlId("SensorTimestamp")
FrameDurationLimits = ControlId("FrameDurationLimits")
AfMode = ControlId("AfMode", ControlType.Integer32)
NoiseReductionMode = ControlId("NoiseReductionMode", ControlType.Integer32)
Model, Location, ColorFilterArrangement = map(
    ControlId, ("Model", "Location", "ColorFilterArrangement")
)

# -------------------- streams and requests


class FrameMetadata:
    class Status(enum.Enum):
        Success = 0
        Error = 1
        Cancelled = 2


class FrameBuffer:
    class Plane:
        def __init__(self) -> None:
            self.fd, self.offset, self.length = -1, 0, 0

    def __init__(self, planes: list[FrameBuffer.Plane]) -> None:
        # libcamera keeps descriptors of its own
        self.planes = planes
        self.metadata = SimpleNamespace(status=FrameMetadata.Status.Success, planes=[])


class Request:
    class Status(enum.Enum):
        Pending = 0
        Complete = 1
        Cancelled = 2

    def __init__(self, camera: Camera, cookie: int) -> None:
        self.camera, self.cookie = camera, cookie
        self.status = self.Status.Pending
        self.buffers: dict[Stream, FrameBuffer] = {}
        self.metadata: dict[ControlId, Any] = {}
        self.controls: dict[ControlId, Any] = {}

    def add_buffer(self, stream: Stream, buffer: FrameBuffer) -> None:
        self.buffers[stream] = buffer

    def reuse(self) -> None:
        self.status, self.controls = self.Status.Pending, {}

    def set_control(self, control: ControlId, value: Any) -> None:
        self.controls[control] = value


class Stream:
    configuration: StreamConfiguration


class SensorConfiguration:
    def __init__(self) -> None:
        self.bit_depth, self.output_size = 0, Size()


class _RawFormats:
    pixel_formats: ClassVar = [PixelFormat("SRGGB10_CSI2P")]

    def sizes(self, _: PixelFormat) -> list[Size]:
        return [Size(*mode) for mode in MODES]


class StreamConfiguration:
    def __init__(self) -> None:
        self.stream = Stream()
        self.size, self.pixel_format = Size(640, 480), PixelFormat("XBGR8888")
        self.stride = self.frame_size = 0
        self.buffer_count = 4
        self.color_space: ColorSpace | None = None
        self.formats = _RawFormats()


class CameraConfiguration:
    class Status(enum.Enum):
        Valid = 0
        Adjusted = 1
        Invalid = 2

    def __init__(self, sensor: Sensor, count: int) -> None:
        self._sensor = sensor
        self._streams = [StreamConfiguration() for _ in range(count)]
        self.orientation = Orientation.Rotate0
        self.sensor_config: SensorConfiguration | None = None

    def at(self, index: int) -> StreamConfiguration:
        return self._streams[index]

    def __iter__(self) -> Iterator[StreamConfiguration]:
        return iter(self._streams)

    def validate(self) -> CameraConfiguration.Status:
        """Fills in what depends on size and format; a webcam does not scale and has its own format."""
        adjusted = False
        for stream in self._streams:
            if self._sensor.usb:
                adjusted = True
                stream.pixel_format = PixelFormat("YUYV")
                stream.stride = stream.size.width * 2
                stream.frame_size = stream.stride * stream.size.height
            else:
                stream.stride = -(-stream.size.width // STRIDE) * STRIDE
                stream.frame_size = stream.stride * stream.size.height * 3 // 2
            stream.stream.configuration = stream
        return self.Status.Adjusted if adjusted else self.Status.Valid


# -------------------- cameras


class Camera:
    def __init__(self, sensor: Sensor, manager: CameraManager) -> None:
        self.sensor, self._manager = sensor, manager
        self.id = sensor.id
        self.properties: dict[ControlId, Any] = {Model: sensor.model, Location: 0}
        self.controls: dict[ControlId, ControlInfo] = {
            FrameDurationLimits: ControlInfo(10_000, 1_000_000, 33_333)
        }
        if not sensor.usb:
            self.properties[ColorFilterArrangement] = 0
            self.controls[NoiseReductionMode] = ControlInfo(0, 4, 0)
        if sensor.focuses:
            self.controls[AfMode] = ControlInfo(0, 2, 0)
        self._queued: deque[Request] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._interval_s = 1 / 30

    def acquire(self) -> None:
        if not self.sensor.plugged:
            _raise("Failed to acquire camera", errno.ENODEV)
        if self.sensor.busy:
            _raise("Failed to acquire camera", errno.EBUSY)
        self.sensor.busy = True

    def release(self) -> None:
        self.sensor.busy = False

    def generate_configuration(self, roles: list[StreamRole]) -> CameraConfiguration:
        return CameraConfiguration(self.sensor, len(roles))

    def configure(self, configuration: CameraConfiguration) -> None:
        if not self.sensor.plugged:
            _raise("Failed to configure camera", errno.ENODEV)
        size = configuration.at(0).size
        self.sensor.configured.append((size.width, size.height))

    def create_request(self, cookie: int) -> Request:
        return Request(self, cookie)

    def start(self, controls: dict[ControlId, Any]) -> None:
        if not self.sensor.plugged:
            _raise("Failed to start camera", errno.ENODEV)
        self._obey(controls)
        self.sensor.told = {control.name: value for control, value in controls.items()}
        self.sensor.running = True
        self._thread = threading.Thread(target=self._film, name="libcamera", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self.sensor.hangs is not None:
            self.sensor.hangs.wait()
        with self._changed:
            self.sensor.running = False
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        while self._queued:
            request = self._queued.popleft()
            request.status = Request.Status.Cancelled
            self._manager.complete(request)

    def queue_request(self, request: Request) -> None:
        if not self.sensor.plugged:
            _raise("Failed to queue request", errno.ENODEV)
        with self._changed:
            self._queued.append(request)
            self._changed.notify_all()

    def _obey(self, controls: dict[ControlId, Any]) -> None:
        if FrameDurationLimits in controls and not self.sensor.usb:
            self._interval_s = controls[FrameDurationLimits][0] / 1e6

    def _film(self) -> None:
        """A picture each interval, numbered; one for which there is no buffer is lost, as on a sensor."""
        cards: dict[Stream, Card] = {}
        due_s = time.monotonic()
        while True:
            with self._changed:
                due_s = max(due_s + self._interval_s, time.monotonic())
                while self.sensor.running and (left_s := due_s - time.monotonic()) > 0:
                    self._changed.wait(left_s)
                if not self.sensor.running:
                    return
                self.sensor.numbers += 1
                if self.sensor.mute or not self.sensor.plugged or not self._queued:
                    continue
                request = self._queued.popleft()
            self._obey(request.controls)
            for stream, buffer in request.buffers.items():
                self._draw(cards, stream, buffer)
            request.metadata = {SensorTimestamp: time.monotonic_ns()}
            request.status = Request.Status.Complete
            self._manager.complete(request)

    def _draw(self, cards: dict[Stream, Card], stream: Stream, buffer: FrameBuffer) -> None:
        layout = stream.configuration
        width, height = layout.size.width, layout.size.height
        card = cards.get(stream)
        if card is None:
            card = cards[stream] = Card(width, height, self.sensor.facing)
        frame = card.draw(self.sensor.numbers, time.strftime("%H:%M:%S"), time.monotonic())
        if self.sensor.usb:
            frame = frame.reformat(format="yuyv422")
        with mmap.mmap(buffer.planes[0].fd, layout.frame_size) as memory:
            at = 0
            for number, plane in enumerate(frame.planes):
                rows: Any = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
                rows = rows.reshape(-1, plane.line_size)[: plane.height]
                stride = layout.stride // (2 if number and not self.sensor.usb else 1)
                target = np.frombuffer(memory, np.uint8, plane.height * stride, at)
                part = target.reshape(plane.height, stride)
                used = min(stride, plane.line_size)
                part[:, :used] = rows[:, :used]
                at += plane.height * stride
                del target, part


class CameraManager:
    """One of them is alive at most; it sees what is connected, and what is plugged out."""

    _singleton: ClassVar[Any] = None

    @classmethod
    def singleton(cls) -> CameraManager:
        import weakref

        alive: CameraManager | None = cls._singleton() if cls._singleton else None
        if alive is None:
            alive = cls()
            cls._singleton = weakref.ref(alive)
        return alive

    def __init__(self) -> None:
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._ready: list[Request] = []
        self._cameras: dict[str, Camera] = {}

    def __del__(self) -> None:
        os.close(self.event_fd)

    @property
    def cameras(self) -> list[Camera]:
        found = [sensor for sensor in SENSORS if sensor.plugged and sensor.listed]
        for sensor in found:
            if sensor.id not in self._cameras:
                self._cameras[sensor.id] = Camera(sensor, self)
        return [self._cameras[sensor.id] for sensor in found]

    def complete(self, request: Request) -> None:
        with self._lock:
            self._ready.append(request)
            os.eventfd_write(self.event_fd, 1)

    def get_ready_requests(self) -> list[Request]:
        with self._lock:
            try:
                os.eventfd_read(self.event_fd)
            except BlockingIOError:
                return []
            ready, self._ready = self._ready, []
            return ready


def module() -> ModuleType:
    """What `import libcamera` is to give."""
    libcamera = ModuleType("libcamera")
    for kind in (
        Size,
        Rectangle,
        Transform,
        Orientation,
        ColorSpace,
        PixelFormat,
        StreamRole,
        ControlType,
        FrameMetadata,
        FrameBuffer,
        Request,
        Stream,
        SensorConfiguration,
        StreamConfiguration,
        CameraConfiguration,
        Camera,
        CameraManager,
    ):
        setattr(libcamera, kind.__name__, kind)
    noise = SimpleNamespace(Minimal=3, Fast=1, HighQuality=2)
    vars(libcamera).update(
        _libcamera=libcamera,
        controls=SimpleNamespace(
            SensorTimestamp=SensorTimestamp,
            FrameDurationLimits=FrameDurationLimits,
            ExposureTime=ControlId("ExposureTime"),
            ExposureTimeMode=ControlId("ExposureTimeMode"),
            AnalogueGain=ControlId("AnalogueGain"),
            AnalogueGainMode=ControlId("AnalogueGainMode"),
            draft=SimpleNamespace(NoiseReductionModeEnum=noise),
        ),
        properties=SimpleNamespace(Model=Model),
    )
    return libcamera
