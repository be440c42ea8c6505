"""Opus (RFC 6716) at 48 kHz mono, by libopus itself, with what it can do about packets that are lost.

FFmpeg's decoders give access to neither the error correction in the next packet nor the concealment of
libopus, its encoder sends each frame through a graph of filters first, and the one binding that is kept
cannot be told where the library is; so the few functions that are needed are bound here. The system's
libopus is taken, which gets its security updates; else the one that PyAV's wheel brings along; and where
there is none, PyAV's coders with a concealment of our own.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Protocol, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext

from appliance.errors import ApplianceError
from appliance.media.base import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE_HZ, check_frame
from appliance.media.concealing import Concealment

logger = logging.getLogger(__name__)

Samples: TypeAlias = npt.NDArray[np.int16]
"""48 kHz, mono, of the shape (samples,)."""

MAX_PACKET_SAMPLES = 5760
"""120 ms, the longest that a packet may be (RFC 6716, section 3.2.5)."""
UNIT_SAMPLES = 120
"""2.5 ms: everything that Opus does lasts a multiple of it."""

LONGEST_PACKET = 1275
"""Bytes, of 20 ms (RFC 6716, section 3.2.1)."""

_OPUS_OK = 0
_VOIP = 2048
_SILENCE = b"\xf8\xff\xfe"
"""A whole packet of 20 ms in which nothing is heard."""


class BadPacket(ApplianceError):
    """What came is no Opus."""

    code = "bad_packet"


class NoLibopus(ApplianceError):
    """There is no libopus that could be used."""

    code = "no_libopus"


class VoiceDecoder(Protocol):
    """One stream's decoder. Belongs to one thread."""

    corrects: bool
    """Whether `conceal` makes use of the packet that follows."""

    def decode(self, packet: bytes) -> Samples:
        """The sound of a packet, `duration(packet)` samples. Raises BadPacket."""

    def conceal(self, samples: int, following: bytes | None = None) -> Samples:
        """What to play for that many lost samples, a multiple of 120 and at most 5760.

        `following` is the packet that comes next, where it is there: the last of the lost sound may be in
        it a second time, coarsely. Cannot fail.
        """


def duration(packet: bytes) -> int:
    """How many samples a packet lasts, by its first bytes (RFC 6716, section 3.1). Raises BadPacket."""
    if not packet:
        raise BadPacket("an empty packet")
    first = packet[0]
    configuration = first >> 3
    if configuration < 12:  # SILK
        frame = (480, 960, 1920, 2880)[configuration & 3]
    elif configuration < 16:  # both
        frame = (480, 960)[configuration & 1]
    else:  # CELT
        frame = UNIT_SAMPLES << (configuration & 3)
    match first & 3:
        case 0:
            frames = 1
        case 3:
            frames = packet[1] & 0x3F if len(packet) > 1 else 0
        case _:
            frames = 2
    if not 0 < frames * frame <= MAX_PACKET_SAMPLES:
        raise BadPacket(f"a packet of {frames} frames of {frame} samples")
    return frames * frame


# -------------------- libopus


class Libopus:
    """The library, loaded and tried."""

    def __init__(self, path: str) -> None:
        """Load it from a path, or by a name that the system's loader knows. Raises NoLibopus."""
        try:
            library = ctypes.CDLL(path)
            self.size = _bound(library.opus_decoder_get_size, ctypes.c_int)
            self.init = _bound(
                library.opus_decoder_init, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int
            )
            self.decode = _bound(
                library.opus_decode,
                ctypes.c_void_p,
                ctypes.c_char_p,
                ctypes.c_int32,
                ctypes.c_void_p,
                ctypes.c_int,
                ctypes.c_int,
            )
            self.encoder_size = _bound(library.opus_encoder_get_size, ctypes.c_int)
            self.encoder_init = _bound(
                library.opus_encoder_init,
                ctypes.c_void_p,
                ctypes.c_int32,
                ctypes.c_int,
                ctypes.c_int,
            )
            self.encode = _bound(
                library.opus_encode,
                ctypes.c_void_p,
                ctypes.c_char_p,
                ctypes.c_int,
                ctypes.c_void_p,
                ctypes.c_int32,
            )
            self.encoder_ctl = _bound(
                library.opus_encoder_ctl, ctypes.c_void_p, ctypes.c_int, ctypes.c_int32
            )
            version = _bound(library.opus_get_version_string)
            version.restype = ctypes.c_char_p
            self.version = bytes(version()).decode("ascii", "replace")
        except (OSError, AttributeError) as fault:
            raise NoLibopus(f"{path}: {fault}") from fault
        self.path = path
        self._try()

    def _try(self) -> None:
        """See that it does what is wanted, before a call depends on it. Raises NoLibopus."""
        try:
            decoder = LibopusDecoder(self)
            lengths = [
                len(decoder.decode(_SILENCE)),
                len(decoder.conceal(FRAME_SAMPLES)),
                len(decoder.conceal(FRAME_SAMPLES, _SILENCE)),
                duration(LibopusEncoder(self, {}).encode(bytes(FRAME_BYTES))),
            ]
        except BadPacket as fault:
            raise NoLibopus(f"{self.path}, {self.version}: {fault}") from fault
        if lengths != [FRAME_SAMPLES] * 4:
            raise NoLibopus(f"{self.path}, {self.version}: 20 ms become {lengths} samples")


def _bound(function: Callable[..., int], *arguments: type) -> ctypes._CFuncPtr:  # type: ignore[name-defined]
    function.argtypes = arguments  # type: ignore[attr-defined]
    function.restype = ctypes.c_int  # type: ignore[attr-defined]
    return function


class LibopusDecoder:
    """libopus itself: its state is memory of ours, so there is nothing to release."""

    corrects = True

    def __init__(self, library: Libopus) -> None:
        """Begin a stream. Raises BadPacket where the library refuses."""
        self._decode = library.decode
        self._state = ctypes.create_string_buffer(library.size(1))
        if library.init(self._state, SAMPLE_RATE_HZ, 1) != _OPUS_OK:
            raise BadPacket("libopus refuses to decode 48 kHz mono")
        self._samples: Samples = np.zeros(MAX_PACKET_SAMPLES, np.int16)
        self._place = self._samples.ctypes.data

    def decode(self, packet: bytes) -> Samples:
        """The sound of a packet. Raises BadPacket."""
        return self._run(packet, MAX_PACKET_SAMPLES, correct=False)

    def conceal(self, samples: int, following: bytes | None = None) -> Samples:
        """From the packet that follows, where it has anything; or a continuation of what was."""
        if following is not None:
            try:
                return self._run(following, samples, correct=True)
            except BadPacket:
                pass  # it is told when its own turn comes
        return self._run(None, samples, correct=False)

    def _run(self, packet: bytes | None, samples: int, *, correct: bool) -> Samples:
        length = 0 if packet is None else len(packet)
        count = self._decode(self._state, packet, length, self._place, samples, correct)
        if count < 0:
            raise BadPacket(f"libopus says {count} to {length} bytes")
        return self._samples[:count].copy()


class Setting(IntEnum):
    """What an encoder can be told (opus_defines.h)."""

    BITRATE = 4002
    VBR = 4006
    COMPLEXITY = 4010
    INBAND_FEC = 4012
    PACKET_LOSS_PERCENT = 4014
    VBR_CONSTRAINT = 4020


class LibopusEncoder:
    """20 ms of a voice at a time, 48 kHz mono. Belongs to one thread; there is nothing to release."""

    def __init__(self, library: Libopus, settings: Mapping[Setting, int]) -> None:
        """Begin a stream. Raises BadPacket where the library refuses."""
        self._encode = library.encode
        self._state = ctypes.create_string_buffer(library.encoder_size(1))
        if library.encoder_init(self._state, SAMPLE_RATE_HZ, 1, _VOIP) != _OPUS_OK:
            raise BadPacket("libopus refuses to encode 48 kHz mono")
        self._ctl = library.encoder_ctl
        for setting, value in settings.items():
            self.set(setting, value)
        self._packet = ctypes.create_string_buffer(LONGEST_PACKET)

    def set(self, setting: Setting, value: int) -> None:
        """From the next frame on. Raises BadPacket where the library refuses."""
        if self._ctl(self._state, setting, value) != _OPUS_OK:
            raise BadPacket(f"libopus refuses a {setting.name} of {value}")

    def encode(self, frame: bytes) -> bytes:
        """One frame of 960 samples in, one packet out. Raises BadPacket where the library refuses."""
        check_frame(frame)
        count = self._encode(self._state, frame, FRAME_SAMPLES, self._packet, LONGEST_PACKET)
        if count < 0:
            raise BadPacket(f"libopus says {count} to a frame")
        return self._packet.raw[:count]


# -------------------- without it


class PlainDecoder:
    """PyAV's decoder, which knows nothing of lost packets, and a concealment of our own."""

    corrects = False

    def __init__(self) -> None:
        """Begin a stream."""
        name = "libopus" if "libopus" in av.codecs_available else "opus"
        codec = av.CodecContext.create(name, "r")
        assert isinstance(codec, AudioCodecContext)
        self._codec = codec
        self._codec.sample_rate = SAMPLE_RATE_HZ
        self._codec.layout = "mono"
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
        self._concealment = Concealment()

    def decode(self, packet: bytes) -> Samples:
        """The sound of a packet. Raises BadPacket."""
        wanted = duration(packet)
        try:
            frames = [
                mono
                for frame in self._codec.decode(av.Packet(packet))
                for mono in self._resampler.resample(frame)
            ]
        except av.FFmpegError as fault:
            raise BadPacket(f"{fault}") from fault
        parts = [frame.to_ndarray()[0] for frame in frames]
        sound: Samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        if len(sound) != wanted:  # a decoder may swallow what it takes for lead-in
            sound = np.concatenate([np.zeros(max(0, wanted - len(sound)), np.int16), sound])
        return self._concealment.heard(sound[-wanted:])

    def conceal(self, samples: int, following: bytes | None = None) -> Samples:
        """A continuation of what was."""
        return self._concealment.conceal(samples)


# -------------------- which one


def names(av_folder: Path) -> Iterator[str]:
    """Where libopus may be: the system's first, and then what PyAV's wheel has brought along."""
    yield "libopus.so.0"
    yield from map(str, sorted(av_folder.with_name("av.libs").glob("libopus*.so*")))


def load(candidates: Iterator[str]) -> Libopus | None:
    """The first that can be used, or None; what could not is told."""
    faults = []
    for name in candidates:
        try:
            library = Libopus(name)
        except NoLibopus as fault:
            faults.append(str(fault))
        else:
            logger.info("sound is decoded by %s (%s)", library.version, library.path)
            return library
    logger.warning(
        "no libopus could be loaded, so lost packets of sound are concealed but not corrected "
        "(apt install libopus0): %s",
        "; ".join(faults),
    )
    return None


@cache
def installed() -> Libopus | None:
    """This machine's libopus, or None."""
    return load(names(Path(av.__file__).parent))


def decoder() -> VoiceDecoder:
    """The best decoder that there is on this machine, for one stream."""
    library = installed()
    return PlainDecoder() if library is None else LibopusDecoder(library)
