"""What breaks, whenever it breaks: a whole appliance, and each fault in each situation of a call.

Told with the right word, the call alive with what is left, working again when the device is back, nothing
left open. Real waits are in `tests/media/test_devices.py`; here they are short.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from appliance.calls import outage, peers
from appliance.commands import EndCall, HoldCall, Unlock
from appliance.media import capture, devices, driver, hush
from appliance.media.base import Devices, SourceFailed
from appliance.media.causes import failure
from appliance.media.studio import Studio
from appliance.media.synthetic import CardCamera, Meter, SimulatedOutputs, ToneMicrophone
from appliance.model import AudioMode, DeviceException, Gesture
from appliance.panel import indicators
from appliance.panel.indicators import Indicator
from appliance.service import pressure
from appliance.signaling.broker import EmbeddedBroker
from tests.parts.breakable import BreakableCamera, BreakableMicrophone, BreakableSpeaker
from tests.parts.house import House, config_for, house
from tests.parts.leftovers import descriptors
from tests.parts.phone import Phone, phone
from tests.parts.told import Item

Breakable: TypeAlias = BreakableCamera | BreakableMicrophone

OPEN = ("ringing_out", "connecting", "in_call", "on_hold", "reconnecting")
"""In these microphone and camera are open."""
SITUATIONS = ("idle", "ringing_in", *OPEN)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "RETRY_S", (0.05,))
    monkeypatch.setattr(devices, "LOOK_S", 0.05)
    monkeypatch.setattr(indicators, "RETRY_S", 0.05)
    monkeypatch.setitem(Studio.__init__.__kwdefaults__ or {}, "setup_limit_s", 3600.0)
    monkeypatch.setattr(peers, "SETUP_S", 3600.0)
    monkeypatch.setattr(outage, "RECONNECT_S", 3600.0)


class Place:
    """The house, with devices that can be broken, and alice's phone."""

    def __init__(self, camera: BreakableCamera, microphone: BreakableMicrophone) -> None:
        self.camera, self.microphone = camera, microphone
        self.speaker = BreakableSpeaker(Meter())
        self.house: House
        self.alice: Phone

    async def stands(self, situation: str) -> None:
        """Bring it about."""
        match situation:
            case "ringing_in":
                await self.alice.call("c" * 32)
                await self.alice.hear("ringing")
            case "ringing_out":
                await self._rings()
            case "connecting":
                await self.alice.call("c" * 32)
                await self.alice.hear("ringing")
                await self.house.appliance.board.press("answer", Gesture.PRESS)
                await self.alice.hear("accept")  # and the phone goes no further
            case "in_call" | "on_hold" | "reconnecting":
                await self.alice.answer(await self._rings())
                await self.house.until("participant_joined")
                if situation == "on_hold":
                    await self.house.appliance.session.command(HoldCall(on_hold=True))
                    await self.house.until("hold_toggled")
                elif situation == "reconnecting":
                    self.alice.falls_silent()
                    await self.house.until("connection_lost")
        state = {"in_call": "connected", "on_hold": "connected", "idle": None}
        states = {"ringing_in": "incoming", "ringing_out": "outgoing", **state}
        self.expected = states.get(situation, situation)
        await self.house.until_true(lambda: self.call_state == self.expected)
        if situation in OPEN:
            await self.house.until_true(lambda: self.opened == (1, 1))
        self.house.told.clear()

    async def _rings(self) -> dict[str, Any]:
        await self.house.until_true(lambda: "alice" in self.house.appliance.engine.state.presence)
        await self.house.appliance.board.press("bell_alice", Gesture.PRESS)
        return await self.alice.hear("invite")

    @property
    def opened(self) -> tuple[int, int]:
        return self.camera.opened, self.microphone.opened

    @property
    def call_state(self) -> str | None:
        call = self.house.appliance.session.status()["call"]
        return None if call is None else str(call["state"])

    @property
    def failures(self) -> dict[str, str]:
        status = self.house.appliance.session.status()
        return {**status["failures"], **status["faults"]}

    async def told(self, device: str, *types: DeviceException | None) -> None:
        """These exceptions are told of it, in that order."""
        name = f"local_{device}_exception"
        for type_ in types:
            item = await self.house.until(name, _of(type_))
            told = self.house.told  # what is told of another device is somebody else's to wait for
            upto = told.index(item) + 1
            told[:upto] = [one for one in told[:upto] if one["type"] != item["type"]]

    def still_stands(self) -> None:
        assert self.call_state == self.expected, "a broken device ends no call"

    async def rests(self) -> None:
        """The call ends, one that was lost after it has been restored, and nothing is left open."""
        if self.call_state == "reconnecting":
            self.alice.falls_silent(False)
            await self.house.until("connection_restored")
        if self.call_state is not None:
            await self.house.appliance.session.command(EndCall())
        await self.house.until_true(lambda: self.opened == (0, 0))


def _of(type_: DeviceException | None) -> Callable[[Item], bool]:
    return lambda item: item["data"]["type"] == type_


@asynccontextmanager
async def place(folder: Path, **changes: Any) -> AsyncIterator[Place]:
    camera = BreakableCamera(CardCamera(320, 180, 15, 200))
    one = Place(camera, BreakableMicrophone(ToneMicrophone()))
    brought = Devices(camera=camera, microphone=one.microphone, speaker=one.speaker)
    async with EmbeddedBroker() as broker:
        options = {"devices": brought, **changes.pop("options", {})}
        async with (
            house(config_for(broker.port, **changes), folder, **options) as one.house,
            phone("alice", "127.0.0.1", broker.port, version=4) as one.alice,
        ):
            yield one


# -------------------- what breaks with an errno, or in words

UNPLUGGED, OCCUPIED = DeviceException.DEVICE_UNPLUGGED, DeviceException.DEVICE_OCCUPIED
GENERIC, LOST = DeviceException.GENERIC, DeviceException.MEDIA_SERVICES_WERE_LOST
BREAKS: dict[str, tuple[DeviceException | int, tuple[DeviceException, ...]]] = {
    "unplugged": (errno.ENODEV, (UNPLUGGED,)),
    "occupied": (errno.EBUSY, (DeviceException.INTERRUPTION, OCCUPIED)),
    "forbidden": (errno.EACCES, (DeviceException.PERMISSION_NOT_GRANTED,)),
    "node gone": (errno.ENOENT, (UNPLUGGED,)),
    "input/output": (errno.EIO, (GENERIC, DeviceException.REBOOT_REQUIRED)),
    "services": (LOST, (LOST,)),
    "unknown": (DeviceException.UNKNOWN, (DeviceException.UNKNOWN,)),
}
"""How it breaks, and what is told of one that is in use and then of the attempts to open it anew."""


@pytest.mark.parametrize("situation", OPEN)
async def test_what_is_open_breaks_and_comes_back(situation: str, tmp_path: Path) -> None:
    async with place(tmp_path) as one:
        await one.stands(situation)
        held = descriptors()
        for device, it in (("camera", one.camera), ("microphone", one.microphone)):
            for how, expected in BREAKS.values():
                it.breaks(how)
                await one.told(device, *expected)
                assert one.failures == {device: expected[-1]}
                one.still_stands()
                it.works_again()
                await one.told(device, None)
                await one.house.until_true(lambda: one.opened == (1, 1))
                one.still_stands()
        assert one.failures == {}
        try:
            await one.house.until_true(lambda: descriptors().total() <= held.total())
        except TimeoutError:
            more, fewer = sorted(descriptors() - held), sorted(held - descriptors())
            pytest.fail(f"open now and not before: {more}; open before: {fewer}")
        await one.rests()


@pytest.mark.parametrize("situation", ["idle", "ringing_in"])
async def test_what_is_closed_is_missed_and_found_without_being_opened(
    situation: str, tmp_path: Path
) -> None:
    async with place(tmp_path) as one:
        await one.stands(situation)
        for device, it in (("camera", one.camera), ("microphone", one.microphone)):
            for how, expected in (
                (errno.ENODEV, UNPLUGGED),
                (errno.EBUSY, OCCUPIED),
                (errno.EACCES, DeviceException.PERMISSION_NOT_GRANTED),
                (errno.ENOENT, DeviceException.INVALID_ID),
            ):
                it.breaks(how)
                await one.told(device, expected)
                one.still_stands()
                it.works_again()
                await one.told(device, None)
        assert one.opened == (0, 0), "nobody was seen or heard for that"
        await one.rests()


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (errno.EIO, (GENERIC, DeviceException.REBOOT_REQUIRED)),
        (LOST, (LOST,)),
        ("stall", (DeviceException.ZERO_CAPTURE_FPS,)),
    ],
)
async def test_what_broke_while_nobody_called_is_told_with_the_next_press(
    how: Any, expected: tuple[DeviceException, ...], tmp_path: Path
) -> None:
    async with place(tmp_path) as one:
        if how == "stall":
            one.camera.stalls()
        else:
            one.camera.locate = lambda: True  # type: ignore[method-assign]
            one.camera.breaks(how)
        await one.alice.answer(await one._rings())
        await one.house.until("participant_joined")
        await one.told("camera", *expected)
        assert one.call_state == "connected"
        await one.alice.media.until(lambda: len(one.alice.media.samples) > 20)
        one.camera.works_again()
        await one.told("camera", None)
        await one.alice.media.until(lambda: bool(one.alice.media.counters))
        await one.rests()


# -------------------- what gives nothing, or never comes back


@pytest.mark.parametrize("situation", OPEN)
async def test_what_stalls_or_hangs_holds_nobody_up(
    situation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "OPEN_LIMIT_S", 1.0)
    monkeypatch.setattr(driver, "CLOSE_LIMIT_S", 1.0)
    monkeypatch.setattr(capture, "STALL_LIMIT_S", 1.5)
    async with place(tmp_path) as one:
        await one.stands(situation)
        async with asyncio.TaskGroup() as both:
            both.create_task(
                stalls_and_hangs(one, "camera", one.camera, DeviceException.ZERO_CAPTURE_FPS)
            )
            both.create_task(stalls_and_hangs(one, "microphone", one.microphone, GENERIC))
        await one.rests()
        await one.house.until_true(
            lambda: not [one for one in threading.enumerate() if one.name.startswith("open ")]
        )


async def stalls_and_hangs(
    one: Place, device: str, it: BreakableCamera | BreakableMicrophone, nothing: DeviceException
) -> None:
    it.stalls()
    await one.told(device, nothing)
    one.still_stands()
    it.works_again()
    await one.told(device, None)

    it.hangs(start=True)
    it.breaks(errno.ENODEV)  # so that it is to be opened anew
    it.broken = None
    await one.told(device, UNPLUGGED, GENERIC, DeviceException.REBOOT_REQUIRED)
    one.still_stands()
    it.works_again()
    await one.told(device, None)

    it.hangs(stop=True)
    it.breaks(errno.ENODEV)
    await one.told(device, UNPLUGGED, GENERIC)
    one.still_stands()
    it.works_again()
    await one.told(device, None)


async def test_a_microphone_that_hears_nothing_is_told_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hush, "TOO_LONG_S", 0.3)
    async with place(tmp_path) as one:
        await one.stands("in_call")
        one.microphone.deaf = True
        await one.told("microphone", DeviceException.SOUND_LEVEL_TOO_LOW)
        assert one.microphone.opened == 1, "it stays open"
        one.microphone.deaf = False
        await one.told("microphone", None)
        one.microphone.deaf = True
        await one.told("microphone", DeviceException.SOUND_LEVEL_TOO_LOW)
        await one.rests()
        await one.told("microphone", None)


async def test_a_driver_that_never_lets_go_does_not_keep_the_daemon_from_ending(
    tmp_path: Path,
) -> None:
    async with place(tmp_path) as one:
        await one.stands("in_call")
        one.camera.hangs(stop=True)
        one.microphone.hangs(stop=True)
        one.house.privacy.left_behind = True
    assert one.opened == (1, 1), "they hang still"
    assert one.house.privacy.lit, "and may see and hear still"
    one.camera.works_again()
    await one.house.until_true(lambda: one.opened == (0, 1))
    assert one.house.privacy.lit
    one.microphone.works_again()
    await one.house.until_true(lambda: one.opened == (0, 0))
    await one.house.until_true(lambda: not one.house.privacy.lit)
    await one.house.until_true(
        lambda: "privacy LED" not in {it.name for it in threading.enumerate()}
    )
    one.house.privacy.left_behind = False
    one.house.privacy.check()


async def test_while_a_driver_hangs_in_closing_the_privacy_led_stays_lit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "CLOSE_LIMIT_S", 0.1)
    async with place(tmp_path) as one:
        await one.stands("in_call")
        one.camera.hangs(stop=True)
        await one.house.appliance.session.command(EndCall())
        await one.told("camera", GENERIC)
        await one.house.until_true(lambda: one.opened == (1, 0))
        watch = one.house.privacy
        assert watch.open, "the watch sees what hangs"
        assert watch.lit
        one.camera.works_again()
        await one.house.until_true(lambda: not watch.lit)
        assert (one.opened, watch.open) == ((0, 0), set())


# -------------------- loudspeaker and pins


def outputs_of(door: House) -> SimulatedOutputs:
    assert door.appliance.studio is not None
    equipment = door.appliance.studio._equipment
    assert equipment is not None
    assert isinstance(equipment.outputs, SimulatedOutputs)
    return equipment.outputs


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_a_loudspeaker_and_a_pin_break_in_any_situation(
    situation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place(tmp_path) as one:
        await one.stands(situation)
        for number, expected in (
            (errno.ENODEV, UNPLUGGED),
            (errno.EBUSY, OCCUPIED),
            (errno.EACCES, DeviceException.PERMISSION_NOT_GRANTED),
            (errno.ECONNREFUSED, LOST),
            (errno.EIO, GENERIC),
        ):
            fault = failure("the speaker stopped", OSError(number, os.strerror(number)))
            outputs_of(one.house).fail(AudioMode.SPEAKER, fault)
            error = await one.house.until(
                "error", lambda it: it["data"]["where"] == "audio.speaker"
            )
            assert error["data"]["code"] == expected
            moved = await one.house.until("audio_mode_changed")
            assert moved["data"]["mode"] == "earpiece"
            assert one.failures == {"audio.speaker": expected}
            one.still_stands()
            one.house.told.clear()
            outputs_of(one.house).fail(AudioMode.SPEAKER, None)
            back = await one.house.until("audio_mode_changed")
            assert back["data"]["mode"] == "speaker"
            one.house.told.clear()
        assert one.failures == {}

        def broken(*_: object) -> None:
            raise OSError(errno.EIO, "the chip does not answer")

        with monkeypatch.context() as patch:
            patch.setattr(Indicator, "_write", broken)
            led = one.house.appliance.board._leds["status"]
            assert led is not None
            led.acknowledge()
            error = await one.house.until("error", lambda it: it["data"]["where"] == "leds.status")
            assert error["data"]["code"] == "pin_unavailable"
            assert one.failures["leds.status"] == "pin_unavailable"
            one.still_stands()
        await one.house.until_true(lambda: not one.failures)
        one.still_stands()
        await one.rests()


async def test_a_loudspeaker_whose_driver_raises_is_left_and_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.media.outputs.RETRY_S", 0.1)
    async with place(tmp_path) as one:
        await one.stands("in_call")
        one.speaker.broken = errno.ENODEV
        error = await one.house.until("error")
        assert (error["data"]["code"], error["data"]["where"]) == (UNPLUGGED, "audio.speaker")
        await one.house.until("audio_mode_changed", lambda it: it["data"]["mode"] == "earpiece")
        one.still_stands()
        one.speaker.broken = None
        await one.house.until(
            "audio_mode_changed", lambda it: it["data"]["available"][0] == "speaker"
        )
        await one.house.until_true(
            lambda: one.house.appliance.session.status()["media"]["audio_mode"] == "speaker"
        )
        await one.rests()


# -------------------- audio only, button only


async def test_all_breaks_and_the_call_is_made_and_kept(tmp_path: Path) -> None:
    async with place(tmp_path) as one:
        one.camera.breaks(errno.ENODEV)
        one.microphone.breaks(errno.ENODEV)
        for mode in AudioMode:
            gone = SourceFailed(UNPLUGGED, "it is gone")
            outputs_of(one.house).fail(mode, gone)
        await one.house.until_true(lambda: len(one.failures) == 6)
        assert one.house.appliance.session.status()["screen"]["showing"] == "error"
        invite = await one._rings()
        await one.alice.answer(invite)
        await one.house.until("participant_joined")
        told = await one.alice.hear("state")
        assert told["body"] == {
            "camera_exception": "device_unplugged",
            "microphone_exception": "device_unplugged",
        }
        await asyncio.sleep(3)  # longer than a connection may be silent
        assert one.call_state == "connected"
        assert "connection_lost" not in one.house.names()
        await one.house.appliance.session.command(Unlock(relay="door"))
        await one.house.until_true(
            lambda: one.house.appliance.board.status()["relays"]["door"] == "energized"
        )
        one.camera.works_again()
        await one.alice.media.until(lambda: bool(one.alice.media.counters))
        await one.rests()


async def test_without_aiortc_the_house_is_rung_and_the_door_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name == "appliance.media.equipment":
            raise ImportError("No module named 'aiortc'")
        return real(name, package)

    monkeypatch.setattr("appliance.media.studio.importlib.import_module", missing)
    async with place(tmp_path) as one:
        await one.house.until_true(lambda: bool(one.failures))
        assert one.failures == {"media": "media_services_were_lost"}
        invite = await one._rings()
        await one.house.until("local_microphone_exception", _of(LOST))
        assert one.call_state == "outgoing"
        await one.house.appliance.session.command(Unlock(relay="door"))
        await one.house.until_true(
            lambda: one.house.appliance.board.status()["relays"]["door"] == "energized"
        )
        connection = one.alice._connect(880)
        await connection.setLocalDescription(await connection.createOffer())
        offer = {"type": "offer", "sdp": connection.localDescription.sdp}
        await one.alice.send("accept", invite["call_id"], {"offer": offer, "custom_data": None})
        ended = await one.house.until("call_ended")
        assert ended["data"]["reason"] == "failed", "she is told at once, and does not wait"


# -------------------- heat and sleep


async def test_heat_is_told_in_a_call_and_over_when_it_is_cooler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressure, "watch", partial(pressure.watch, interval_s=0.05))
    temperature = tmp_path / "sys" / pressure.THERMAL / "thermal_zone0" / "temp"
    temperature.parent.mkdir(parents=True)
    temperature.write_text("50000\n")
    async with place(tmp_path, options={"sys_root": tmp_path / "sys"}) as one:
        await one.stands("in_call")
        temperature.write_text("85000\n")
        await one.told("camera", DeviceException.BY_SYSTEM_PRESSURE)
        told = await one.alice.hear("state")
        assert told["body"] == {"camera_exception": "by_system_pressure"}
        one.still_stands()
        assert one.opened == (1, 1)
        sent = one.house.appliance.session.status
        await one.house.until_true(lambda: sent()["media"]["sent"]["camera"]["framerate"] == 10)
        temperature.write_text("60000\n")
        await one.told("camera", None)
        await one.house.until_true(lambda: sent()["media"]["sent"]["camera"]["framerate"] == 15)
        await one.rests()


async def test_after_a_sleep_camera_and_microphone_are_opened_anew(tmp_path: Path) -> None:
    from appliance.calls.inputs import Resumed

    async with place(tmp_path) as one:
        await one.stands("in_call")
        one.house.appliance.engine.post(Resumed(60.0))
        await one.house.until("local_microphone_exception", _of(None))
        told = [item for item in one.house.told if "local" in item["type"]]
        assert [item["data"]["type"] for item in told].count("interruption") == 2
        one.still_stands()
        await one.house.until_true(lambda: one.opened == (1, 1))
        await one.rests()
