"""What the doctor may ask the machine: a small seam, so that a test can be a machine with any fault."""

from __future__ import annotations

import ctypes.util
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from appliance.config import Mqtt
from appliance.service.doctor import device_files
from appliance.service.doctor.knocking import Knock, knock
from appliance.video_device import VideoDevice, read_video_device

COMMAND_S = 4.0
APART_S = 8.0
"""For a driver: picamera2 alone takes 2 s to be imported on a small Pi."""


_APART = """
import json, os, sys
out, argv = os.dup(1), sys.argv
os.dup2(2, 1)
def tell(found):
    os.write(out, json.dumps(found, default=str).encode())
try:
    exec(argv.pop(1))
except Exception as error:
    os.write(out, json.dumps({"error": str(error) or type(error).__name__}).encode())
"""
"""What is run in a process of its own: drivers print what they like, hang, and take a process down."""


class DriverError(Exception):
    """What a driver said, in a process of its own."""


def _apart(code: str, *words: str) -> Any:
    """What `code` gives to `tell`; raises DriverError with what it raised, or how it ended."""
    command = [sys.executable, "-c", _APART, code, *words]
    try:
        ended = subprocess.run(  # noqa: S603 - our own code, and words that are only given to it
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=APART_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise DriverError(f"no answer within {APART_S:g} s") from None
    try:
        found = json.loads(ended.stdout)
    except ValueError:
        raise DriverError(f"it ended with status {ended.returncode}") from None
    if isinstance(found, dict) and "error" in found:
        raise DriverError(found["error"])
    return found


class Machine(Protocol):
    """Each answers within a few seconds, changes nothing, and raises nothing but OSError unless said."""

    environ: Mapping[str, str]
    status: Mapping[str, Any] | None
    """What a running appliance says of itself; None: none runs here, or it says nothing."""
    silence: str | None
    """Why one that runs here says nothing: it may not, or it hangs."""

    @property
    def runs(self) -> bool:
        """Whether an appliance runs here, which has the devices."""

    def text(self, path: str) -> str | None:
        """What a small file holds; None: it is not there, or is no text."""

    def content(self, path: str) -> bytes:
        """A file's bytes; raises OSError."""

    def exists(self, path: str) -> bool:
        """Whether a file, folder or device is there."""

    def names(self, folder: str) -> Sequence[str]:
        """What lies in a folder, sorted; nothing where there is none."""

    def may(self, path: str, *, write: bool) -> bool:
        """Whether this user may read it (and write to it)."""

    def mode(self, path: str) -> int:
        """Permission bits; raises OSError."""

    def free_mb(self, path: str) -> float:
        """Free space where the path lies, in MB."""

    def is_root(self) -> bool:
        """Whether the user may do everything."""

    def has_module(self, name: str) -> bool:
        """Whether a Python module can be found; it is not imported."""

    def has_library(self, name: str) -> bool:
        """Whether a shared library can be found, such as SDL2-2.0."""

    def output(self, *command: str) -> str | None:
        """What a program prints; None where it is missing, fails or takes too long."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""

    def gpio_chips(self) -> Sequence[device_files.Chip]:
        """The GPIO chips that can be opened, with their lines."""

    def video_device(self, path: Path) -> VideoDevice | None:
        """What V4L2 says of a device; None: it is none. Raises OSError where it cannot be opened."""

    def cameras(self) -> Sequence[Mapping[str, Any]]:
        """Those that libcamera knows (`Picamera2.global_camera_info`); raises what it raises."""

    def holder(self, path: str) -> int | None:
        """Which other process has locked a device; see `device_files.holder`."""

    def sound_cards(self) -> Sequence[str]:
        """ALSA's cards by name; raises what it raises."""

    def open_sound(self, name: str, *, capture: bool) -> None:
        """Open a PCM and close it again; raises what it raises."""

    def has_encoder(self, name: str) -> bool:
        """Whether FFmpeg's encoder of that name is there."""

    def knock(self, mqtt: Mqtt, device_id: str) -> Knock:
        """Go to the broker, as far as it goes."""


class ThisMachine:
    """The machine that the doctor runs on."""

    def __init__(self, status: Mapping[str, Any] | None = None, silence: str | None = None) -> None:
        """`status` is that of the running appliance, if one runs; `silence` why it says none."""
        self.environ: Mapping[str, str] = os.environ
        self.status, self.silence = status, silence

    @property
    def runs(self) -> bool:
        """See `Machine`."""
        return self.status is not None or self.silence is not None

    def text(self, path: str) -> str | None:
        """See `Machine`."""
        try:
            return Path(path).read_text("utf-8").strip("\x00\n")
        except (OSError, ValueError):
            return None

    def content(self, path: str) -> bytes:
        """See `Machine`."""
        return Path(path).read_bytes()

    def exists(self, path: str) -> bool:
        """See `Machine`."""
        return os.path.exists(path)  # noqa: PTH110 - false where it may not look, and no error

    def names(self, folder: str) -> Sequence[str]:
        """See `Machine`."""
        try:
            return sorted(os.listdir(folder))  # noqa: PTH208 - names
        except OSError:
            return []

    def may(self, path: str, *, write: bool) -> bool:
        """See `Machine`."""
        return os.access(path, os.R_OK | (os.W_OK if write else 0))

    def mode(self, path: str) -> int:
        """See `Machine`."""
        return Path(path).stat().st_mode & 0o777

    def free_mb(self, path: str) -> float:
        """See `Machine`."""
        return shutil.disk_usage(path).free / 1e6

    def is_root(self) -> bool:
        """See `Machine`."""
        return os.geteuid() == 0

    def has_module(self, name: str) -> bool:
        """See `Machine`."""
        try:
            return importlib.util.find_spec(name) is not None
        except (ImportError, ValueError):
            return False

    def has_library(self, name: str) -> bool:
        """See `Machine`."""
        return ctypes.util.find_library(name) is not None

    def output(self, *command: str) -> str | None:
        """See `Machine`."""
        try:
            ended = subprocess.run(  # noqa: S603 - the doctor's own words
                command, capture_output=True, timeout=COMMAND_S, check=True, text=True
            )
        except (OSError, subprocess.SubprocessError, ValueError):
            return None
        return ended.stdout.strip()

    def now(self) -> datetime:
        """See `Machine`."""
        return datetime.now(UTC)

    def gpio_chips(self) -> Sequence[device_files.Chip]:
        """See `Machine`."""
        chips = (name for name in self.names("/dev") if name.startswith("gpiochip"))
        return [chip for name in chips if (chip := device_files.read_chip(f"/dev/{name}"))]

    def video_device(self, path: Path) -> VideoDevice | None:
        """See `Machine`."""
        return read_video_device(path)

    def cameras(self) -> Sequence[Mapping[str, Any]]:
        """See `Machine`."""
        found: Sequence[Mapping[str, Any]] = _apart(
            "from picamera2 import Picamera2; tell(Picamera2.global_camera_info())"
        )
        return found

    def holder(self, path: str) -> int | None:
        """See `Machine`."""
        return device_files.holder(path)

    def sound_cards(self) -> Sequence[str]:
        """See `Machine`."""
        names: Sequence[str] = _apart("import alsaaudio; tell(alsaaudio.cards())")
        return names

    def open_sound(self, name: str, *, capture: bool) -> None:
        """See `Machine`."""
        kind = "PCM_CAPTURE" if capture else "PCM_PLAYBACK"
        _apart(
            f"import alsaaudio as a; a.PCM(type=a.{kind}, mode=a.PCM_NONBLOCK, device=argv[1]).close();"
            "tell(None)",
            name,
        )

    def has_encoder(self, name: str) -> bool:
        """See `Machine`."""
        av = importlib.import_module("av")
        return name in av.codecs_available

    def knock(self, mqtt: Mqtt, device_id: str) -> Knock:
        """See `Machine`."""
        return knock(mqtt, device_id)
