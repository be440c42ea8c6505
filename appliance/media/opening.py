"""Cameras of libcamera, found, opened and closed by picamera2, so that nothing is left of one that fails.

The one place for what is private in picamera2.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from appliance.media.base import SourceFailed
from appliance.media.causes import errno_of, failure
from appliance.model import DeviceException

logger = logging.getLogger(__name__)

MEMORY = Path("/dev/dma_heap/system")
"""The memory for pictures that is no Pi's own: not in one piece, which a Pi's camera and encoder want."""

_DISPLAY = ("pykms", "kms")
"""Either is enough for picamera2."""

_manager = threading.Lock()
"""picamera2's camera manager is one for all cameras, and it does not like two who come and go at once."""


def opened(device: str, *, has_worked: bool) -> tuple[Any, str]:
    """A Picamera2 of the camera of this number, model or id, and its id. Raises SourceFailed.

    `has_worked`: it has been there, so that where it is not now it was unplugged.
    """
    picamera2 = load()
    with _manager:
        try:
            cameras = picamera2.Picamera2.global_camera_info()
            number = _find(device, cameras, has_worked=has_worked)
            return _make(picamera2.Picamera2, number), str(cameras[number]["Id"])
        except SourceFailed:
            forget(picamera2.Picamera2)
            raise
        except Exception as error:
            forget(picamera2.Picamera2)
            raise explained(f'the camera "{device}" cannot be opened', error) from error


def close(camera: Any) -> None:
    """Let go of a Picamera2, whatever state it is in."""
    with _manager:
        _close(camera)
        forget(type(camera))


def locate(device: str, *, has_worked: bool = False) -> None:
    """Look whether libcamera lists it, without opening it. Raises SourceFailed where it does not.

    libcamera stays loaded where it does, so that to look again costs next to nothing.
    """
    picamera2 = load()
    with _manager:
        try:
            cameras = picamera2.Picamera2.global_camera_info()
            _find(device, cameras, has_worked=has_worked)
        except SourceFailed:
            forget(picamera2.Picamera2)
            raise
        except Exception as error:
            forget(picamera2.Picamera2)
            raise explained("libcamera does not say which cameras there are", error) from error


def explained(what: str, error: BaseException, *, has_worked: bool = False) -> SourceFailed:
    """The failure that an error of picamera2 is. It wraps the one that says why, in words, into others."""
    if isinstance(error, SourceFailed):
        return error
    cause: BaseException | None = error
    said = error
    while cause is not None:
        said = cause
        if errno_of(cause) is not None:
            break
        cause = cause.__cause__ or cause.__context__
    return failure(what, said, has_worked=has_worked)


def load() -> Any:
    """The module. Raises SourceFailed where it is not installed, or not whole."""
    try:
        with without_display():
            picamera2 = importlib.import_module("picamera2")
            offer_memory(importlib.import_module("picamera2.dma_heap"))
    except ImportError as error:
        sentence = f"cameras need picamera2 (apt install python3-picamera2): {error}"
        raise SourceFailed(DeviceException.INVALID_ID, sentence) from error
    except Exception as error:  # numpy's other version, a library of the system's
        sentence = f"picamera2 cannot be loaded: {error}"
        raise SourceFailed(DeviceException.MEDIA_SERVICES_WERE_LOST, sentence) from error
    return picamera2


@contextlib.contextmanager
def without_display() -> Iterator[None]:
    """picamera2 imports what shows pictures on a display, wanted or not, and only a Pi's system has that.

    Where it is missing, something stands in for it while picamera2 is imported, and can show nothing.
    """
    missing = None
    if not any(_installed(name) for name in _DISPLAY):
        missing = ModuleType(_DISPLAY[0])
        missing.PixelFormat = _Formats()  # type: ignore[attr-defined]
        sys.modules[_DISPLAY[0]] = missing
    try:
        yield
    finally:
        if missing is not None and sys.modules.get(_DISPLAY[0]) is missing:
            del sys.modules[_DISPLAY[0]]


def offer_memory(dma_heap: Any, memory: Path = MEMORY) -> None:
    """Have picamera2 take pictures' memory where any computer has it, if this one has none as a Pi has."""
    names: list[str] = dma_heap.heapNames
    if memory.exists() and not any(Path(name).exists() for name in names):
        names.append(str(memory))


class _Formats:
    """The formats of a display that is not there: every name is one."""

    def __getattr__(self, name: str) -> str:
        return name


def _installed(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    return importlib.util.find_spec(name) is not None


def _find(device: str, cameras: Sequence[Mapping[str, Any]], *, has_worked: bool) -> int:
    """Its place in picamera2's list. Raises SourceFailed."""
    for number, camera in enumerate(cameras):
        names = (str(number), str(camera.get("Model", "")).lower(), str(camera["Id"]).lower())
        if device.lower() in names:
            return number
    if has_worked:
        sentence = f'the camera "{device}" is not there any more'
        raise SourceFailed(DeviceException.DEVICE_UNPLUGGED, sentence)
    known = ", ".join(f"{number} ({camera.get('Model')})" for number, camera in enumerate(cameras))
    sees = f"libcamera sees {known}" if known else "libcamera sees none; is its cable in place?"
    raise SourceFailed(DeviceException.INVALID_ID, f'there is no camera "{device}": {sees}')


def _make(kind: Any, number: int) -> Any:
    """A Picamera2, as its constructor would make it: what that opened is closed where it fails."""
    camera = kind.__new__(kind)
    try:
        camera.__init__(number)
    except Exception:
        _close(camera)
        raise
    return camera


def _close(camera: Any) -> None:
    """Close what is open of it, one after the other where it cannot be done in one go."""
    index = getattr(camera, "camera_idx", None)
    allocators = [camera.__dict__.get("allocator")]
    try:
        camera.close()
    except Exception as error:
        logger.warning("the camera was closed in spite of: %s", str(error))
        with contextlib.suppress(Exception):
            camera.camera.release()
    atexit.unregister(camera.close)
    camera.is_open = False
    if index in camera._cm.cameras:
        with contextlib.suppress(Exception):
            camera._cm.cleanup(index)
    pipe = getattr(camera, "notifymeread", None)
    if pipe is not None and not pipe.closed:
        pipe.close()
        os.close(camera.notifyme_w)
    allocators.append(camera.__dict__.pop("allocator", None))  # `close` makes a new one
    for allocator in allocators:
        if allocator is not None:
            _free(allocator)


def _free(allocator: Any) -> None:
    """The pictures' memory. picamera2 leaves it to the garbage collector, and an error that is kept
    somewhere keeps everything that was in use when it was raised.
    """
    if allocator.dmaHeap is None:
        return
    with contextlib.suppress(OSError):
        allocator.close()
    allocator.dmaHeap = None  # it is closed once more when it is collected
    for memory in allocator.mapped_buffers.values():
        with contextlib.suppress(BufferError):  # somebody looks into it yet
            memory.close()


def forget(kind: Any) -> None:
    """Let go of libcamera where no camera is open, so that it looks anew when one is wanted next.

    `kind` is picamera2's class.
    """
    if not kind._cm.cameras:
        kind._cm._cms = None
