"""WebRTC's audio processing as the optional library (livekit) has it: stages that share their memory.

The library takes 10 ms at a time, and each of its calls is a message that is made, packed, and unpacked
again for what is the same every time: the addresses of two pieces of memory. Here it is made once, where
the library still is as it was; else it is called as its documents say.

It is large, and imported when the first stage is made. It starts a few native threads of its own, once,
which end with the process; it opens no connection unless a room of its maker's is joined, which nobody here
does.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from appliance.media.wideband import WIDE_RATE_HZ, WIDE_SAMPLES, Samples

if TYPE_CHECKING:
    from livekit.rtc import AudioFrame
    from livekit.rtc.apm import AudioProcessingModule

log = logging.getLogger(__name__)

LEAST, MOST = np.float32(-32768), np.float32(32767)
HALF = WIDE_SAMPLES // 2
"""10 ms."""
Work: TypeAlias = Literal["process_stream", "process_reverse_stream"]
"""What it does with the near side's sound, and with the far one's."""


class Tens:
    """20 ms of sound in two frames of the library: what is in them is replaced, not they."""

    def __init__(self) -> None:
        """Silence. Raises ImportError where the library is not, or does not fit this system."""
        from livekit.rtc import AudioFrame

        self.frames = [AudioFrame.create(WIDE_RATE_HZ, 1, HALF) for _ in range(2)]
        self._views: list[npt.NDArray[np.int16]] = [
            np.frombuffer(frame.data, "<i2") for frame in self.frames
        ]

    def fill(self, samples: Samples) -> None:
        """Put 320 samples there, rounded and cut to 16 bit."""
        one, other = self._views
        rounded = np.rint(samples)
        np.maximum(rounded, LEAST, out=rounded)  # np.clip does more around it than in it
        np.minimum(rounded, MOST, out=rounded)
        one[:] = rounded[:HALF]
        other[:] = rounded[HALF:]

    def samples(self) -> Samples:
        """A copy of what is there now."""
        out = np.empty(WIDE_SAMPLES, np.float32)
        out[:HALF], out[HALF:] = self._views
        return out


class Stage:
    """One of its processing modules, for the same near (and far) frames all the time."""

    def __init__(self, nears: Tens, fars: Tens | None = None, **features: bool) -> None:
        """`features` as of its AudioProcessingModule."""
        from livekit.rtc.apm import AudioProcessingModule

        self._module = AudioProcessingModule(**features)
        self._near = _calls(self._module, "process_stream", nears)
        self._far = _calls(self._module, "process_reverse_stream", fars) if fars else []

    def near(self) -> None:
        """Process the near side, where it lies. Raises RuntimeError where the library refuses."""
        for call in self._near:
            call()

    def far(self) -> None:
        """Take note of the far side. Raises RuntimeError where the library refuses."""
        for call in self._far:
            call()

    def delay(self, delay_ms: int) -> None:
        """So much later than the far side its echo comes. Raises RuntimeError where it refuses."""
        self._module.set_stream_delay_ms(delay_ms)


def _calls(module: AudioProcessingModule, work: Work, tens: Tens) -> list[Callable[[], None]]:
    try:
        return [Prepared(module, work, frame) for frame in tens.frames]
    except (ImportError, AttributeError, TypeError, ValueError) as fault:
        log.info("the library of the echo canceller is another than was seen: %r", fault)
    return [partial(getattr(module, work), frame) for frame in tens.frames]


class Prepared:
    """One of the library's calls with all that belongs to it, made once."""

    def __init__(self, module: Any, work: Work, frame: AudioFrame) -> None:
        """Raises ImportError, AttributeError, TypeError or ValueError where it has changed inside."""
        from livekit.rtc._ffi_client import INVALID_HANDLE, FfiClient
        from livekit.rtc._proto.ffi_pb2 import FfiRequest, FfiResponse
        from livekit.rtc._utils import get_address

        self._kept = module, frame  # they are to live as long as this does
        self._field = f"apm_{work}"
        request = FfiRequest()
        asked = getattr(request, self._field)
        asked.apm_handle = module._ffi_handle.handle
        asked.data_ptr, asked.size = get_address(frame._data), len(frame._data)
        asked.sample_rate, asked.num_channels = frame.sample_rate, frame.num_channels
        packed = request.SerializeToString()
        self._message = (ctypes.c_ubyte * len(packed)).from_buffer_copy(packed)
        granted = FfiResponse()
        getattr(granted, self._field).SetInParent()
        self._granted = granted.SerializeToString()
        self._response, self._nobody = FfiResponse, INVALID_HANDLE
        library = FfiClient.instance._ffi_lib
        self._ask, self._drop = library.livekit_ffi_request, library.livekit_ffi_drop_handle
        self._place = ctypes.POINTER(ctypes.c_ubyte)()
        self._length = ctypes.c_size_t()
        self._where = ctypes.byref(self._place), ctypes.byref(self._length)

    def __call__(self) -> None:
        """Let it be done. Raises RuntimeError with what the library says where it refuses."""
        handle = self._ask(self._message, len(self._message), *self._where)
        if handle == self._nobody:
            raise RuntimeError("it does not know what it was asked")
        answer = ctypes.string_at(self._place, self._length.value)
        self._drop(handle)
        if answer != self._granted:
            told = getattr(self._response.FromString(answer), self._field).error
            raise RuntimeError(told or "it answers something else")
