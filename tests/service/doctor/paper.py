"""A machine on paper: a Raspberry Pi on which all is well, until a test breaks something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.config import (
    Audio,
    Button,
    Camera,
    Config,
    Device,
    Led,
    Mqtt,
    Relay,
    Screen,
)
from appliance.model import AudioMode
from appliance.service import throttling
from appliance.service.doctor.device_files import Chip
from appliance.service.doctor.knocking import Knock, Step
from appliance.video_device import VideoDevice

FIRMWARE, MONITORS = f"/sys/{throttling.FIRMWARE}", f"/sys/{throttling.MONITORS}"
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)

CONFIG = Config(
    device=Device(id="front-door"),
    mqtt=Mqtt(host="broker.example"),
    cameras={"front": Camera("0")},
    audio={AudioMode.SPEAKER: Audio("default", "plughw:1")},
    screen=Screen(kind="kms"),
    buttons={"call": Button(pin="GPIO17", press="call")},
    leds={"status": Led(pin=18)},
    relays={"door": Relay(pin="BOARD13")},
)


@dataclass
class PaperMachine:
    """Everything that the doctor may ask, as data; an exception in place of a value is raised."""

    environ: Mapping[str, str] = field(
        default_factory=lambda: {"STATE_DIRECTORY": "/var/lib/appliance"}
    )
    status: Mapping[str, Any] | None = None
    silence: str | None = None
    files: dict[str, str | bytes | OSError] = field(
        default_factory=lambda: {
            "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4",
            "/sys/class/thermal/thermal_zone0/temp": "48312",
            f"{FIRMWARE}/soc:firmware/get_throttled": "0",
            f"{MONITORS}/hwmon0/name": "cpu_thermal",
            f"{MONITORS}/hwmon1/name": "rpi_volt",
            f"{MONITORS}/hwmon1/in0_lcrit_alarm": "0",
            "/run/systemd/timesync/synchronized": "",
            "/var/lib/appliance": "",
        }
    )
    folders: dict[str, list[str]] = field(
        default_factory=lambda: {
            "/dev": ["gpiochip0", "media0", "media1", "video0", "video11"],
            "/dev/snd": ["pcmC0D0p"],
            "/dev/dri": ["card1", "renderD128"],
            "/dev/input": ["event0"],
            FIRMWARE: ["bind", "soc:firmware", "uevent", "unbind"],
            MONITORS: ["hwmon0", "hwmon1"],
        }
    )
    closed: set[str] = field(default_factory=set)
    read_only: set[str] = field(default_factory=lambda: {"/dev/input/event0"})
    modes: dict[str, int] = field(default_factory=dict)
    free: float = 12_000
    root: bool = False
    modules: set[str] = field(
        default_factory=lambda: {"lgpio", "picamera2", "alsaaudio", "livekit.rtc", "sdl2"}
    )
    libraries: set[str] = field(default_factory=lambda: {"SDL2-2.0", "EGL", "GLESv2"})
    outputs: dict[str, str] = field(
        default_factory=lambda: {
            "systemctl": "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
            "WatchdogUSec=30s\nNRestarts=0\nRuntimeWatchdogUSec=15s"
        }
    )
    clock: datetime = NOON
    chips: list[Chip] = field(
        default_factory=lambda: [Chip("/dev/gpiochip0", "pinctrl-bcm2711", 58, {2: "the kernel"})]
    )
    video: VideoDevice | OSError | None = field(
        default_factory=lambda: VideoDevice("bcm2835-codec", "bcm2835-codec-encode", True)
    )
    libcamera: list[dict[str, Any]] | Exception = field(
        default_factory=lambda: [{"Num": 0, "Model": "imx708", "Id": "/base/soc/i2c0/imx708@1a"}]
    )
    holders: dict[str, int] = field(default_factory=dict)
    cards: list[str] = field(default_factory=lambda: ["Headphones", "USB"])
    sounds: dict[str, Exception] = field(default_factory=dict)
    encoders: set[str] = field(default_factory=lambda: {"libx264"})
    answer: Knock | Exception = field(
        default_factory=lambda: Knock(Step.DONE, round_trip_ms=3.2, tls=True)
    )

    @property
    def runs(self) -> bool:
        return self.status is not None or self.silence is not None

    def text(self, path: str) -> str | None:
        found = self.files.get(path)
        return found if isinstance(found, str) else None

    def content(self, path: str) -> bytes:
        found = self.files.get(path, FileNotFoundError(2, "No such file or directory"))
        if isinstance(found, OSError):
            raise found
        return found if isinstance(found, bytes) else found.encode()

    def exists(self, path: str) -> bool:
        return path in self.files or path in self.folders or path == "/"

    def names(self, folder: str) -> Sequence[str]:
        return self.folders.get(folder, [])

    def may(self, path: str, *, write: bool) -> bool:
        return path not in self.closed and not (write and path in self.read_only)

    def mode(self, path: str) -> int:
        return self.modes.get(path, 0o640)

    def free_mb(self, path: str) -> float:
        return self.free

    def is_root(self) -> bool:
        return self.root

    def has_module(self, name: str) -> bool:
        return name in self.modules

    def has_library(self, name: str) -> bool:
        return name in self.libraries

    def output(self, *command: str) -> str | None:
        return self.outputs.get(command[0])

    def now(self) -> datetime:
        return self.clock

    def gpio_chips(self) -> Sequence[Chip]:
        return self.chips

    def video_device(self, path: Path) -> VideoDevice | None:
        if isinstance(self.video, OSError):
            raise self.video
        return self.video

    def cameras(self) -> Sequence[Mapping[str, Any]]:
        if isinstance(self.libcamera, Exception):
            raise self.libcamera
        return self.libcamera

    def holder(self, path: str) -> int | None:
        return self.holders.get(path)

    def sound_cards(self) -> Sequence[str]:
        return self.cards

    def open_sound(self, name: str, *, capture: bool) -> None:
        if name in self.sounds:
            raise self.sounds[name]

    def has_encoder(self, name: str) -> bool:
        return name in self.encoders

    def knock(self, mqtt: Mqtt, device_id: str) -> Knock:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
