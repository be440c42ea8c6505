"""Every fault that the doctor knows: found, in the right words, with one piece of advice that helps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.config import (
    Audio,
    Button,
    Camera,
    Config,
    Keypad,
    Led,
    Media,
    Panel,
    Recording,
    Screen,
)
from appliance.media import echo
from appliance.model import AudioMode
from appliance.service.doctor.device_files import Chip
from appliance.service.doctor.examination import CHECKS, examine
from appliance.service.doctor.findings import Finding, Verdict
from appliance.service.doctor.knocking import Knock, Step
from appliance.service.pressure import Reading, judge
from appliance.video_device import VideoDevice
from tests.service.doctor.paper import CONFIG, FIRMWARE, MONITORS, NOON, PaperMachine

RUNNING = {"mqtt": "connected", "device": {"id": "front-door", "version": "1.0"}, "failures": {}}
FAULT, WARNING, OK = Verdict.FAULT, Verdict.WARNING, Verdict.OK


def look(machine: PaperMachine, config: Config = CONFIG, check: str | None = None) -> list[Finding]:
    checks = CHECKS if check is None else {check: CHECKS[check]}
    return examine(config, machine, checks)


def ill(findings: list[Finding]) -> list[Finding]:
    return [one for one in findings if one.verdict is not Verdict.OK]


def test_a_pi_on_which_all_is_well() -> None:
    assert ill(look(PaperMachine())) == []


def test_and_beside_a_running_appliance_that_has_all_of_it_in_use() -> None:
    machine = PaperMachine(status=RUNNING)
    machine.chips = [Chip("/dev/gpiochip0", "pinctrl-rp1", 54, {17: "lg", 18: "lg", 27: "lg"})]
    machine.video = OSError(16, "Device or resource busy")
    machine.sounds = {
        name: OSError(f"Device or resource busy [{name}]") for name in ("default", "plughw:1")
    }
    findings = look(machine)
    assert ill(findings) == []
    in_use = [one.component for one in findings if "in use by the running" in one.finding]
    assert in_use == ["pins", "encoder", "speaker playback", "speaker capture"]


Break = Callable[[PaperMachine], Any]


def both(*breaks: Break) -> Break:
    def broken(machine: PaperMachine) -> None:
        for one in breaks:
            one(machine)

    return broken


def without(machine: PaperMachine, module: str) -> None:
    machine.modules.discard(module)


TWO = [{"Model": "imx708", "Id": "/base/soc/i2c0/imx708@1a"}, {"Model": "ov5647"}]


def laptop(machine: PaperMachine) -> None:
    machine.files.pop("/proc/device-tree/model")


def held(machine: PaperMachine, by: str) -> None:
    """A program has the camera; others only have its devices open."""
    machine.holders["/dev/media1"] = 4711
    machine.files |= {"/proc/4711/comm": by.split("\0")[0], "/proc/4711/cmdline": by}


MACHINES: list[tuple[str, Break, str, Verdict, str, str]] = [
    # what is looked at, what breaks it, the component, how bad, in the finding, in the advice
    ("pins", lambda m: without(m, "lgpio"), "pins", FAULT, "no pin factory", "python3-lgpio"),
    ("pins", both(lambda m: without(m, "lgpio"), lambda m: m.modules.add("RPi")), "pins", WARNING,
     "rpigpio stands in", "python3-lgpio"),
    ("pins", lambda m: m.chips[0].users.update({17: "w1"}), "pins", FAULT,
     "GPIO17 of buttons.call is in use by w1", "GPIO17"),
    ("pins", lambda m: m.chips.clear(), "pins", FAULT, "/dev/gpiochip0 may not", "usermod -aG gpio"),
    ("pins", both(lambda m: m.chips.clear(), lambda m: m.folders.update({"/dev": []})), "pins", FAULT,
     "no GPIO pins", "simulated"),
    ("permissions", lambda m: m.closed.add("/dev/gpiochip0"), "permissions", FAULT,
     "/dev/gpiochip0", "usermod -aG gpio"),
    ("permissions", lambda m: m.read_only.add("/dev/gpiochip0"), "permissions", FAULT,
     "/dev/gpiochip0", "usermod -aG gpio"),
    ("permissions", lambda m: m.closed.add("/dev/video0"), "permissions", FAULT,
     "/dev/video0", "usermod -aG video"),
    ("permissions", lambda m: m.closed.add("/dev/snd/pcmC0D0p"), "permissions", FAULT,
     "/dev/snd/pcmC0D0p", "usermod -aG audio"),
    ("permissions", lambda m: m.closed.add("/dev/input/event0"), "permissions", FAULT,
     "/dev/input/event0", "usermod -aG input"),
    ("camera", lambda m: without(m, "picamera2"), "camera", FAULT,
     "picamera2 is not installed", "python3-picamera2"),
    ("camera", lambda m: setattr(m, "libcamera", RuntimeError("no pipeline")), "camera", FAULT,
     "no pipeline", "rpicam-hello"),
    ("camera", lambda m: setattr(m, "libcamera", ValueError(
        "numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C")),
     "camera", FAULT, "wants numpy 1: numpy.dtype size changed", "'numpy<2'"),
    ("camera", lambda m: setattr(m, "libcamera", ImportError("numpy.core.multiarray failed to import")),
     "camera", FAULT, "wants numpy 1", "'numpy<2'"),
    ("camera", lambda m: setattr(m, "libcamera", []), "camera front", FAULT,
     "no camera is found", "ribbon cable"),
    ("camera", lambda m: setattr(m, "libcamera", ImportError("No module named 'libcamera'")),
     "camera", FAULT, "No module named 'libcamera'", "apt install python3-libcamera"),
    ("camera", both(laptop, lambda m: setattr(m, "libcamera", ImportError("No module named 'libcamera'"))),
     "camera", FAULT, "No module named 'libcamera'", 'device = "test-card"'),
    ("camera", both(laptop, lambda m: without(m, "picamera2")), "camera", FAULT,
     "picamera2 is not installed", 'device = "test-card"'),
    ("camera", both(laptop, lambda m: setattr(m, "libcamera", [])), "camera front", FAULT,
     "no camera is found", 'device = "test-card"'),
    ("camera", lambda m: held(m, "rpicam-vid\0-t\0000"), "camera front", FAULT,
     "imx708 is in use by rpicam-vid (process 4711)", "Stop that program"),
    ("camera", lambda m: m.holders.update({"/dev/media1": 0}), "camera front", FAULT,
     "in use by another program", "Stop that program"),
    ("camera", both(lambda m: held(m, "rpicam-vid"), lambda m: setattr(m, "status", RUNNING)),
     "camera front", FAULT, "in use by rpicam-vid", "Stop that program"),
    ("camera", both(lambda m: held(m, "rpicam-vid"), lambda m: setattr(m, "libcamera", TWO)),
     "camera", WARNING, "one of the 2 cameras is in use by rpicam-vid", "Stop that program"),
    ("encoder", lambda m: setattr(m, "video", None), "encoder", WARNING,
     "not loaded", "bcm2835-codec"),
    ("encoder", lambda m: setattr(m, "video", OSError(13, "Permission denied")), "encoder", FAULT,
     "Permission denied", "usermod -aG video"),
    ("encoder", both(lambda m: setattr(m, "video", None),
         lambda m: m.files.pop("/proc/device-tree/model"),
         lambda m: m.encoders.clear()), "encoder", FAULT, "no libx264", "pip install"),
    ("sound", lambda m: without(m, "alsaaudio"), "sound", FAULT, "alsaaudio", "pip install"),
    ("sound", both(lambda m: m.cards.clear(),
                   lambda m: m.sounds.update(default=OSError("none"))), "sound",
     FAULT, "no sound card", "config.txt"),
    ("sound", lambda m: m.sounds.update(default=OSError("No such device [default]")),
     "speaker playback", FAULT, "default cannot be opened", "aplay -L"),
    ("sound", lambda m: m.sounds.update({"plughw:1": OSError("No such device")}),
     "speaker capture", FAULT, "plughw:1 cannot be opened", "arecord -L"),
    ("sound", lambda m: m.sounds.update(default=OSError("Device or resource busy")),
     "speaker playback", FAULT, "busy", "fuser"),
    ("sound", lambda m: m.sounds.update(default=OSError("Permission denied")),
     "speaker playback", FAULT, "Permission", "usermod -aG audio"),
    ("sound", lambda m: without(m, "livekit.rtc"), "echo", WARNING, "half duplex", "echo"),
    ("screen", lambda m: without(m, "sdl2"), "screen", FAULT, "pysdl2", "appliance[screen]"),
    ("screen", lambda m: m.libraries.clear(), "screen", FAULT, "SDL 2", "libsdl2-2.0-0"),
    ("screen", lambda m: m.libraries.remove("EGL"), "screen", FAULT, "missing: EGL", "libegl1"),
    ("screen", lambda m: m.libraries.remove("GLESv2"), "screen", FAULT, "missing: GLESv2", "libgles2"),
    ("screen", lambda m: m.folders.pop("/dev/dri"), "screen", FAULT, "no display", "vc4-kms-v3d"),
    ("clock", lambda m: setattr(m, "clock", NOON.replace(year=1970)), "clock", FAULT,
     "never set", "set-ntp"),
    ("clock", lambda m: setattr(m, "clock", NOON.replace(year=2099)), "clock", FAULT,
     "far ahead", "timedatectl"),
    ("clock", lambda m: m.files.pop("/run/systemd/timesync/synchronized"), "clock", WARNING,
     "nobody says", "set-ntp"),
    ("state", lambda m: m.closed.add("/var/lib/appliance"), "state", FAULT,
     "/var/lib/appliance cannot be written", "chown"),
    ("state", lambda m: setattr(m, "free", 20), "state", FAULT, "20 MB", "Delete"),
    ("state", lambda m: setattr(m, "free", 150), "state", WARNING, "150 MB", "max_mb"),
    ("temperature", lambda m: m.files.update({"/sys/class/thermal/thermal_zone0/temp": "81000"}),
     "temperature", FAULT, "81 °C", "heat sink"),
    ("temperature", lambda m: m.files.update({"/sys/class/thermal/thermal_zone0/temp": "76000"}),
     "temperature", WARNING, "76 °C", "heat sink"),
    ("temperature", lambda m: flags(m, "0x2"), "temperature", FAULT, "48 °C: the processor's clock is",
     "heat sink"),
    ("update", lambda m: slots(m, other="bad"), "update", WARNING, "nothing whole", "update install"),
    ("update", lambda m: slots(m, other="tried"), "update", WARNING, "about to be tried", "update status"),
    ("update", lambda m: slots(m, other="new"), "update", WARNING, "not yet tried", "update resume"),
    ("update", lambda m: slots(m, other="failed"), "update", WARNING, "left again",
     "/var/lib/appliance-journal"),
    ("update", lambda m: slots(m, other="failed", more="why=camera: gone\n"), "update", WARNING,
     "left again: camera: gone", "update install"),
    ("update", lambda m: slots(m, trial="yes"), "update", WARNING, "is being tried", "twenty minutes"),
    ("update", lambda m: m.files.update({"/run/appliance-update/slots": "?"}), "update", WARNING,
     "nothing is told", "systemctl restart"),
    ("temperature", lambda m: flags(m, "0x4"), "temperature", FAULT, "is throttled", "heat sink"),
    ("temperature", lambda m: flags(m, "0x8"), "temperature", WARNING, "close to its limit", "heat sink"),
    ("temperature", lambda m: flags(m, "0x80000"), "supply", WARNING, "too hot at some time", "heat sink"),
    ("temperature", lambda m: flags(m, "0x1"), "supply", FAULT, "too low now", "supply"),
    ("temperature", lambda m: flags(m, "0x50000"), "supply", WARNING, "since the start", "supply"),
    ("memory", lambda m: m.files.update({"/proc/meminfo": "MemAvailable: 20000 kB"}), "memory", WARNING,
     "20 MB free", "rss"),
    ("memory", lambda m: m.files.update({"/proc/meminfo": "MemAvailable: 900000 kB",
     "/proc/pressure/memory": "some avg10=0.00 avg60=50.00\nfull avg10=0.00 avg60=31.00 avg300=0"}),
     "memory", WARNING, "31 % of a minute", "rss"),
    ("memory", lambda m: m.folders.update({"/var/log/journal": ["abc"]}), "journal", WARNING,
     "written to the card", "journald.conf.d"),
    ("memory", lambda m: unit_says(m, "RuntimeWatchdogUSec=15s", "RuntimeWatchdogUSec=0"), "watchdog",
     WARNING, "not started anew", "system.conf.d"),
    ("service", lambda m: m.outputs.clear(), "service", WARNING,
     "not installed", "systemd/appliance.service"),
    ("service", lambda m: unit_says(m, "ActiveState=active", "ActiveState=failed"), "service",
     FAULT, "has failed", "journalctl"),
    ("service", lambda m: unit_says(m, "=enabled", "=disabled"), "service", WARNING,
     "not started at boot", "systemctl enable"),
    ("service", lambda m: unit_says(m, "=30s", "=0"), "service", WARNING, "no watchdog", "WatchdogSec"),
    ("service", lambda m: unit_says(m, "NRestarts=0", "NRestarts=41"), "service", WARNING,
     "41 times", "journalctl"),
    ("appliance", lambda m: setattr(m, "status", {**RUNNING, "mqtt": "offline"}), "appliance",
     WARNING, "broker is offline", "broker"),
    ("appliance", lambda m: setattr(m, "status", {**RUNNING, "failures": {"camera": "occupied"}}),
     "appliance", WARNING, "its camera fails: occupied", "appliance events"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("silence", "verdict", "advice"),
    [
        ("x is for the group appliance only", WARNING, "usermod -aG appliance"),
        ("the appliance does not answer", FAULT, "restart"),
    ],
)
def test_one_that_runs_and_says_nothing_has_the_devices_all_the_same(
    silence: str, verdict: Verdict, advice: str
) -> None:
    machine = PaperMachine(silence=silence)
    machine.chips[0].users.update({17: "lg"})
    machine.sounds = {"default": OSError("Device or resource busy")}
    [found] = ill(look(machine))
    assert (found.component, found.verdict) == ("appliance", verdict)
    assert advice in (found.advice or "")


@pytest.mark.parametrize("words", ["/usr/bin/python3\0/opt/appliance/bin/appliance\0run", ""])
def test_a_camera_that_the_running_appliance_has_is_well(words: str) -> None:
    machine = PaperMachine(status=RUNNING)
    held(machine, words)
    assert ill(look(machine, check="camera")) == []


def test_the_clock_is_told_as_people_here_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    try:
        time.tzset()
        [found] = look(PaperMachine(), check="clock")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found.finding == "synchronized, 2026-11-28 12:00 UTC, here 17:30 IST"


@pytest.mark.parametrize("flag", range(4))
def test_the_doctor_and_the_daemon_know_the_same_flags(flag: int) -> None:
    machine = PaperMachine()
    flags(machine, hex(1 << flag))
    assert judge(Reading(throttled=1 << flag), False)
    assert ill(look(machine, check="temperature"))


def test_a_machine_that_tells_flags_alone_is_heard() -> None:
    machine = PaperMachine()
    machine.files.pop("/sys/class/thermal/thermal_zone0/temp")
    flags(machine, "0x2")
    [found] = ill(look(machine, check="temperature"))
    assert "the processor's clock is limited" in found.finding


def flags(machine: PaperMachine, value: str) -> None:
    machine.files[f"{FIRMWARE}/soc:firmware/get_throttled"] = value


def on_a_pi_5(machine: PaperMachine, flags: str | None = None, alarm: str | None = None) -> None:
    """Its device tree has another name for the firmware; not every kernel has the file and the alarm."""
    machine.files["/proc/device-tree/model"] = "Raspberry Pi 5 Model B Rev 1.0"
    machine.folders[FIRMWARE] = ["bind", "soc@107c000000:firmware", "uevent", "unbind"]
    for name in [one for one in machine.files if one.startswith((FIRMWARE, MONITORS))]:
        del machine.files[name]
    if flags is not None:
        machine.files[f"{FIRMWARE}/soc@107c000000:firmware/get_throttled"] = flags
    names = ["cpu_thermal", "rp1_adc", "pwmfan", *(["rpi_volt"] if alarm is not None else [])]
    machine.folders[MONITORS] = [f"hwmon{number}" for number in range(len(names))]
    for number, name in enumerate(names):
        machine.files[f"{MONITORS}/hwmon{number}/name"] = f"{name}\n"
    if alarm is not None:
        machine.files[f"{MONITORS}/hwmon3/in0_lcrit_alarm"] = alarm


@pytest.mark.parametrize(
    ("told", "alarm", "asked", "supply"),
    [
        ("0", "0", None, (OK, "strong enough since the start")),
        ("1", "0", None, (FAULT, "the voltage is too low now")),
        ("0", "1", None, (FAULT, "the voltage is too low now")),
        (None, "1", None, (FAULT, "the voltage is too low now")),
        (None, "0", None, (OK, "the firmware's other flags cannot be read")),
        (None, "0", "throttled=0x50000", (WARNING, "too weak, or too hot, at some time")),
        ("0", "0", "throttled=0x50000", (WARNING, "too weak, or too hot, at some time")),
        (None, "1", "throttled=0x0", (FAULT, "the voltage is too low now")),
        (None, None, "throttled=0x0", (OK, "strong enough since the start")),
        (None, None, None, (WARNING, "the firmware's flags cannot be read")),
        ("nonsense", "?", "no", (WARNING, "the firmware's flags cannot be read")),
    ],
)
def test_a_pi_5_is_asked_wherever_its_kernel_tells(
    told: str | None, alarm: str | None, asked: str | None, supply: tuple[Verdict, str]
) -> None:
    machine = PaperMachine()
    on_a_pi_5(machine, told, alarm)
    if asked:
        machine.outputs["vcgencmd"] = asked
    found = {one.component: one for one in look(machine, check="temperature")}
    assert found["temperature"].verdict is OK
    assert found["supply"].verdict is supply[0]
    assert supply[1] in found["supply"].finding


def test_where_there_is_no_firmware_none_is_missed() -> None:
    machine = PaperMachine()
    on_a_pi_5(machine)
    machine.files["/proc/device-tree/model"] = "Another board"
    assert [one.component for one in look(machine, check="temperature")] == ["temperature"]


def slots(machine: PaperMachine, *, other: str = "good", trial: str = "no", more: str = "") -> None:
    machine.files["/run/appliance-update/slots"] = (
        f"current=A\ndefault=A\nother={other}\ntrial={trial}\nfell_back=no\n{more}"
    )


def test_two_slots_that_are_good() -> None:
    machine = PaperMachine()
    slots(machine)
    (found,) = look(machine, check="update")
    assert (found.verdict, "the other one is good" in found.finding) == (Verdict.OK, True)


@pytest.mark.parametrize(
    ("kernel", "rauc", "fits"),
    [
        ("6.12.47+rpt-rpi-v8", "rauc 1.13", True),
        ("6.18.3-v8", "rauc 1.13", True),
        ("6.19.0-rc1", "rauc 1.13", False),
        ("7.2.12", "rauc 1.15", False),
        ("7.2.12", "rauc 1.15.1", True),
        ("7.2.12", "rauc 2.0", True),
        ("7.2.12", "?", True),
        ("?", "rauc 1.13", True),
    ],
)
@pytest.mark.parametrize("trial", ["yes", "no"])
def test_a_kernel_that_rauc_does_not_understand(
    kernel: str, rauc: str, fits: bool, trial: str
) -> None:
    """It is told beside how the slots are, in a trial too: an update that is the last is none."""
    machine = PaperMachine()
    slots(machine, trial=trial)
    machine.files["/proc/sys/kernel/osrelease"] = f"{kernel}\n"
    machine.outputs["rauc"] = f"{rauc}\n"
    *faults, last = look(machine, check="update")
    assert "slot A runs" in last.finding
    assert [one.verdict for one in faults] == ([] if fits else [Verdict.FAULT])
    assert all("does not understand Linux" in one.finding for one in faults)


def unit_says(machine: PaperMachine, before: str, after: str) -> None:
    machine.outputs["systemctl"] = machine.outputs["systemctl"].replace(before, after)


@pytest.mark.parametrize(
    ("check", "break_", "component", "verdict", "finding", "advice"),
    MACHINES,
    ids=[f"{row[2]}: {row[4]}" for row in MACHINES],
)
def test_a_machine_with_a_fault(
    check: str, break_: Break, component: str, verdict: Verdict, finding: str, advice: str
) -> None:
    machine = PaperMachine()
    break_(machine)
    [found] = ill(look(machine, check=check))
    assert (found.component, found.verdict) == (component, verdict)
    assert finding in found.finding
    assert advice in (found.advice or "")


KNOCKS = [
    (Knock(Step.NAME, "Name or service not known"), "broker.example is not found", "spelling"),
    (Knock(Step.CONNECTION, "Connection refused"), "Connection refused", "Start the broker"),
    (Knock(Step.CONNECTION, "no answer within 3 s"), "no answer", "firewall"),
    (Knock(Step.TLS, "certificate has expired"), "expired", "Renew"),
    (Knock(Step.TLS, "unable to get local issuer certificate"), "issuer", "ca_file"),
    (Knock(Step.TLS, "Hostname mismatch, certificate is not valid for 'x'"), "mismatch", "a name"),
    (Knock(Step.TLS, "wrong version number"), "wrong version", "speaks TLS"),
    (Knock(Step.LOGIN, "Not authorized"), "does not let this device in", "password"),
    (Knock(Step.MESSAGE, "x does not come back"), "come back", "appliance/device/%u/#"),
]


@pytest.mark.parametrize(("answer", "finding", "advice"), KNOCKS, ids=lambda one: str(one)[:40])
def test_a_broker_with_a_fault(answer: Knock, finding: str, advice: str) -> None:
    [found] = look(PaperMachine(answer=answer), check="broker")
    assert found.verdict is FAULT
    assert finding in found.finding
    assert advice in (found.advice or "")


LAID_OUT, LINKS = "/etc/mosquitto/appliance/appliance.conf", "/etc/mosquitto/conf.d"


def with_own_broker(host: str = "localhost", *told: str) -> tuple[PaperMachine, Config]:
    """`appliance broker new` was there; `told` is what mosquitto reads beside its own configuration."""
    machine = PaperMachine(answer=Knock(Step.LOGIN, "Not authorized"))
    machine.files[LAID_OUT] = "listener 8883"
    machine.folders[LINKS] = ["README", *told]
    machine.outputs["hostname"] = "Front-Door"
    return machine, replace(CONFIG, mqtt=replace(CONFIG.mqtt, host=host))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "front-door.local", "front-door"])
def test_a_broker_that_mosquitto_is_not_told_of_reaches_no_phone(host: str) -> None:
    [found] = look(*with_own_broker(host), check="own broker")
    assert (found.verdict, found.component) == (FAULT, "own broker")
    assert f"mosquitto is not told of {LAID_OUT}" in found.finding
    assert found.advice == f"sudo ln -s {LAID_OUT} {LINKS}/ && sudo systemctl restart mosquitto"
    [found] = look(*with_own_broker(host, "appliance.conf"), check="own broker")
    assert found.verdict is OK


def test_whose_broker_is_another_may_have_left_his_own_behind() -> None:
    assert look(*with_own_broker("broker.lan"), check="own broker") == []
    machine, config = with_own_broker("localhost", "by-hand.conf")
    assert look(machine, config, "own broker") == [], "mosquitto was told of something else"
    by_hand = f"pid_file {LAID_OUT.replace('appliance.conf', 'mosquitto.pid')}\nlistener 1883"
    machine, config = with_own_broker()
    machine.files[LAID_OUT] = by_hand
    assert look(machine, config, "own broker") == [], "its owner starts it"


def test_an_own_broker_may_know_other_accounts_than_were_put_back() -> None:
    [found] = look(*with_own_broker("localhost", "appliance.conf"), check="broker")
    assert "sudo systemctl restart mosquitto" in (found.advice or "")
    machine, config = with_own_broker("broker.lan")
    [found] = look(machine, config, "broker")
    assert "mosquitto" not in (found.advice or "")


def test_phones_that_would_be_given_no_accounts_are_told() -> None:
    machine, config = with_own_broker("localhost", "appliance.conf")
    socket = "/run/appliance-accounts.sock"
    config = replace(config, mqtt=replace(config.mqtt, accounts_socket=socket))
    [found] = ill(look(machine, config, "own broker"))
    assert (found.verdict, found.finding.endswith(f"{socket} is not there")) == (WARNING, True)
    assert found.advice == "sudo systemctl enable --now appliance-accounts.socket"
    machine.files[socket] = ""
    assert ill(look(machine, config, "own broker")) == []


CONFIGS = [
    ("encoder", replace(CONFIG, media=Media(encoder="v4l2")), FAULT, 'encoder = "auto"'),
    ("pins", replace(CONFIG, panel=Panel(pin_factory="pigpio")), FAULT, "pigpio"),
    ("screen", replace(CONFIG, screen=Screen(kind="window")), FAULT, "desktop"),
    ("broker", replace(CONFIG, mqtt=replace(CONFIG.mqtt, password_file="$CREDENTIALS_DIRECTORY/p")),
     FAULT, "CREDENTIALS_DIRECTORY"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "config", "verdict", "advice"), CONFIGS)
def test_what_is_configured_and_is_not_there(
    check: str, config: Config, verdict: Verdict, advice: str
) -> None:
    [found] = ill(look(PaperMachine(video=None), config, check))
    assert found.verdict is verdict
    assert advice in (found.advice or "")


def test_secrets_that_only_the_service_sees_are_no_fault_beside_it() -> None:
    config = replace(CONFIG, mqtt=replace(CONFIG.mqtt, password_file="$CREDENTIALS_DIRECTORY/p"))
    assert ill(look(PaperMachine(status=RUNNING), config, "broker")) == []


def test_a_laptop_says_what_is_simulated() -> None:
    from appliance.config import load
    from appliance.loading.shipped import shipped

    laptop = PaperMachine(
        files={},
        folders={},
        chips=[],
        video=None,
        libcamera=[],
        cards=[],
        modules=set(),
        outputs={},
    )
    findings = look(laptop, load(shipped("simulated.toml"), {}))
    assert [one.component for one in ill(findings)] == ["clock"]
    simulated = {one.component for one in findings if "simulated" in one.finding}
    assert {"pins", "camera front", "sound", "screen", "permissions"} <= simulated


def test_little_is_configured() -> None:
    findings = look(PaperMachine(), Config())
    assert ill(findings) == []
    assert Finding("camera", "none is configured: calls have sound alone") in findings


@pytest.mark.parametrize("device", ["0", "imx708", "IMX708", "/base/soc/i2c0/imx708@1a"])
def test_a_camera_by_number_model_and_id(device: str) -> None:
    config = replace(CONFIG, cameras={"front": Camera(device)})
    assert ill(look(PaperMachine(), config, "camera")) == []


def test_a_camera_s_number_is_its_place_as_for_the_driver() -> None:
    machine = PaperMachine()
    machine.libcamera = [
        {"Num": 1, "Model": "imx708", "Id": "/base/i2c1"},
        {"Num": 0, "Model": "ov5647", "Id": "/base/i2c0"},
    ]
    config = replace(CONFIG, cameras={"front": Camera("0"), "rear": Camera("1"), "x": Camera("2")})
    front, rear, absent = look(machine, config, "camera")
    assert front.finding.startswith("imx708")
    assert rear.finding.startswith("ov5647")
    assert absent.finding == 'there is no camera "2"'
    assert "0 (imx708), 1 (ov5647)" in (absent.advice or "")


def test_a_pi_5_has_no_encoder_and_lacks_none() -> None:
    machine = PaperMachine(video=None)
    machine.files["/proc/device-tree/model"] = "Raspberry Pi 5 Model B Rev 1.0"
    [found] = look(machine, check="encoder")
    assert found.finding == "no hardware encoder here; software: libx264"


def test_a_video_device_that_encodes_nothing_is_no_encoder() -> None:
    machine = PaperMachine(video=VideoDevice("uvcvideo", "a webcam", False))
    assert ill(look(machine, check="encoder"))


def test_folders_of_their_own_are_looked_at_too() -> None:
    config = replace(CONFIG, recording=Recording(directory="/mnt/disk/recordings"))
    machine = PaperMachine()
    machine.files["/mnt/disk"] = ""
    machine.closed.add("/mnt/disk")
    [found] = ill(look(machine, config, "state"))
    assert found.component == "recordings"
    assert found.finding == "/mnt/disk cannot be written"


@pytest.mark.parametrize(
    ("kind", "verdicts"), [("aec3", [FAULT]), ("auto", [WARNING]), ("duck", []), ("off", [])]
)
def test_the_canceller_is_missed_where_it_is_wanted(kind: Any, verdicts: list[Verdict]) -> None:
    config = replace(
        CONFIG, audio={AudioMode.SPEAKER: Audio(echo=kind), AudioMode.HEADPHONES: Audio()}
    )
    machine = PaperMachine()
    machine.modules.discard("livekit.rtc")
    assert [one.verdict for one in ill(look(machine, config, "sound"))] == verdicts


def test_the_pins_of_a_keypad_and_a_buzzer_are_looked_at_too() -> None:
    config = replace(
        CONFIG,
        panel=Panel(buzzer="GPIO12"),
        keypads={"pad": Keypad(rows=(5,), columns=(6,), keys=("1",))},
    )
    machine = PaperMachine()
    machine.chips[0].users.update({12: "pwm", 6: "spi"})
    told = [one.finding for one in ill(look(machine, config, "pins"))]
    assert told == [
        "GPIO12 of panel.buzzer is in use by pwm",
        "GPIO6 of keypads.pad is in use by spi",
    ]


def test_a_microphone_is_not_opened_where_there_is_a_privacy_led() -> None:
    class Machine(PaperMachine):
        def open_sound(self, name: str, *, capture: bool) -> None:
            assert not capture, "nobody has lit it"

    config = replace(CONFIG, leds={"status": Led(pin=18), "eye": Led(pin=19, privacy=True)})
    findings = look(Machine(), config, "sound")
    assert ill(findings) == []
    [microphone] = [one for one in findings if one.component == "speaker capture"]
    assert microphone.finding == "plughw:1 is not opened: the privacy LED is not lit for this"


@pytest.mark.parametrize(
    ("kinds", "verdict", "words"),
    [
        ({AudioMode.EARPIECE: "auto"}, Verdict.OK, "earpiece leaks little"),
        ({AudioMode.EARPIECE: "aec3"}, FAULT, "not installed"),
        ({AudioMode.HEADPHONES: "auto"}, Verdict.OK, "not wanted"),
        ({AudioMode.HEADPHONES: "aec3"}, FAULT, "not installed"),
        (
            {AudioMode.SPEAKER: "auto", AudioMode.EARPIECE: "auto"},
            WARNING,
            "speaker is half duplex",
        ),
        ({}, WARNING, "speaker is half duplex"),
    ],
)
def test_half_duplex_is_said_of_what_is_ducked(
    kinds: dict[AudioMode, Any], verdict: Verdict, words: str
) -> None:
    config = replace(CONFIG, audio={mode: Audio(echo=kind) for mode, kind in kinds.items()})
    machine = PaperMachine()
    machine.modules.discard("livekit.rtc")
    *_, told = look(machine, config, "sound")
    assert (told.component, told.verdict) == ("echo", verdict)
    assert words in told.finding


def test_the_doctor_knows_what_an_output_without_the_extra_gets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(echo, "installed", lambda: False)
    machine = PaperMachine()
    machine.modules.discard("livekit.rtc")
    for mode in AudioMode:
        *_, told = look(machine, replace(CONFIG, audio={mode: Audio()}), "sound")
        assert ("half duplex" in told.finding) == (echo.choice("auto", mode) == "duck")


def test_an_output_without_a_card_may_work() -> None:
    assert ill(look(PaperMachine(cards=[]), check="sound")) == []


def test_several_faults_of_one_kind_are_told_one_by_one() -> None:
    config = replace(
        CONFIG,
        buttons={"call": Button(pin=17), "mute": Button(pin=5)},
        audio={AudioMode.SPEAKER: Audio(), AudioMode.EARPIECE: Audio("x", "y")},
    )
    machine = PaperMachine(sounds={"x": OSError("none"), "y": OSError("none")})
    machine.chips[0].users.update({17: "w1", 5: "spi"})
    assert len(ill(look(machine, config, "pins"))) == 2
    assert [one.component for one in ill(look(machine, config, "sound"))] == [
        "earpiece playback",
        "earpiece capture",
    ]
