"""What breaks: cameras and microphones, the broker, and the appliance itself."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from appliance.errors import Refused
from appliance.listeners import CallListener
from appliance.model import DeviceException
from appliance.service import pressure
from tests.conformance.scenes import scene
from tests.conformance.stage import Stage
from tests.parts.breakable import BreakableCamera, BreakableMicrophone


@scene("broken")
async def the_camera_breaks_and_works_again(stage: Stage) -> None:
    camera = stage.house.appliance.devices.camera  # type: ignore[union-attr]
    assert isinstance(camera, BreakableCamera)
    alice = await stage.talk()
    await alice.media.until(lambda: len(alice.media.counters) > 2)
    camera.breaks(DeviceException.DEVICE_UNPLUGGED)
    await stage.event("local_camera_exception", type="device_unplugged")
    told = await alice.hear("state")
    assert told["body"] == {"camera_exception": "device_unplugged"}
    camera.works_again()
    await stage.event("local_camera_exception", type=None)
    count = len(alice.media.counters)
    await alice.media.until(lambda: len(alice.media.counters) > count + 2)


@scene("broken")
async def the_microphone_breaks_and_works_again(stage: Stage) -> None:
    microphone = stage.house.appliance.devices.microphone  # type: ignore[union-attr]
    assert isinstance(microphone, BreakableMicrophone)
    alice = await stage.talk()
    microphone.breaks(DeviceException.DEVICE_OCCUPIED)
    await stage.event("local_microphone_exception", type="device_occupied")
    assert (await alice.hear("state"))["body"] == {"microphone_exception": "device_occupied"}
    microphone.works_again()
    await stage.event("local_microphone_exception", type=None)


@scene("broken")
async def a_broken_device_is_shown_while_nobody_calls(stage: Stage) -> None:
    camera = stage.house.appliance.devices.camera  # type: ignore[union-attr]
    assert isinstance(camera, BreakableCamera)
    await stage.talk()
    camera.breaks(DeviceException.MEDIA_SERVICES_WERE_LOST)
    await stage.event("local_camera_exception", type="media_services_were_lost")
    await stage.do("leave_session")
    await stage.until(lambda: stage.status()["screen"]["showing"] == "error")


CAUSES: tuple[tuple[int | str, str], ...] = (
    (errno.EACCES, "permission_not_granted"),
    (errno.ENODEV, "device_unplugged"),
    (errno.ECONNRESET, "media_services_were_lost"),
    (errno.EINVAL, "generic"),
    ("the flux is out of phase", "unknown"),
)
"""What a driver says, and how that is told."""


@scene("broken")
async def a_camera_fails_in_every_way(stage: Stage) -> None:
    camera = stage.house.appliance.devices.camera  # type: ignore[union-attr]
    assert isinstance(camera, BreakableCamera)
    await stage.talk()
    for said, exception in CAUSES:
        camera.breaks(said)
        await stage.event("local_camera_exception", type=exception)
        camera.works_again()
        await stage.event("local_camera_exception", type=None)
    camera.breaks(errno.EBUSY)
    await stage.event("local_camera_exception", type="interruption")
    await stage.event("local_camera_exception", type="device_occupied")
    camera.works_again()
    await stage.event("local_camera_exception", type=None)
    camera.stalls()
    await stage.event("local_camera_exception", type="zero_capture_fps")
    camera.works_again()
    await stage.event("local_camera_exception", type=None)
    camera.breaks(errno.EIO)
    await stage.event("local_camera_exception", type="reboot_required")
    camera.works_again()
    await stage.event("local_camera_exception", type=None)
    await stage.do("switch_camera")
    await stage.event("local_camera_exception", type="invalid_id")


@scene("broken")
async def a_microphone_hears_nothing(stage: Stage) -> None:
    microphone = stage.house.appliance.devices.microphone  # type: ignore[union-attr]
    assert isinstance(microphone, BreakableMicrophone)
    await stage.talk()
    microphone.deaf = True
    await stage.event("local_microphone_exception", type="sound_level_too_low")
    microphone.deaf = False
    await stage.event("local_microphone_exception", type=None)


@scene("broken")
async def the_device_is_too_hot(stage: Stage) -> None:
    await stage.talk()
    temperature = stage.folder / "sys" / pressure.THERMAL / "thermal_zone0" / "temp"
    temperature.write_text("91000\n")
    await stage.event("local_camera_exception", type="by_system_pressure")
    temperature.write_text("40000\n")
    await stage.event("local_camera_exception", type=None)


@scene("offline")
async def the_broker_comes_late_and_goes_in_a_call(stage: Stage) -> None:
    await stage.until(lambda: stage.status()["screen"]["showing"] == "broker_away")
    await asyncio.to_thread(stage.broker.start)
    pushed = await stage.event("push_registration_updated")
    assert pushed["data"]["token"] == "appliance/call/front-door/+;endpoint=main"
    alice = await stage.talk()
    await asyncio.to_thread(stage.broker.kill)
    await stage.until(lambda: stage.status()["mqtt"] != "connected")
    await alice.media.until(lambda: len(alice.media.counters) > 5)
    await stage.do("leave_session")
    await stage.event("session_state_changed", reason="logout_failed")
    await stage.event("call_ended", reason="local_hang_up")
    await asyncio.to_thread(stage.broker.start)
    await stage.until(alice.is_online)


@scene("bare")
async def who_listens_decides(stage: Stage) -> None:
    await stage.talk()
    decider = Decider()
    with stage.session.listening(decider):
        with pytest.raises(Refused, match="hang_up_confirmation"):
            await stage.do("leave_session")
        await stage.event("error", code="hang_up_declined")
        assert stage.status()["call"] is not None
        stage.seen.note("decision:hang_up_confirmation")
        decider.confirms = True
        await stage.do("leave_session")
        await stage.event("call_ended", reason="local_hang_up")
        await stage.until(lambda: decider.default_actions)
        assert stage.status()["screen"]["showing"] == "in_call", "the listener has not returned yet"
        decider.default_actions[0]()
        await stage.until(lambda: stage.status()["screen"]["showing"] != "in_call")
        stage.seen.note("decision:call_end_default_action")


class Decider(CallListener):
    """Keeps the call at first, and returns to idle when it is told to."""

    def __init__(self) -> None:
        self.confirms = False
        self.default_actions: list[Any] = []

    async def hang_up_confirmation(self, call: Any) -> bool:
        return self.confirms

    def call_end_default_action(
        self, call: Any, reason: Any, kicked_by: Any, duration_s: Any, default_action: Any
    ) -> None:
        self.default_actions.append(default_action)


@scene("stopping")
async def the_appliance_stops_in_a_call(stage: Stage) -> None:
    alice = await stage.talk()
    stage.house.appliance.engine.stop()
    await stage.event("session_left", reason="device_restart")
    await stage.event("call_ended", reason="device_restart")
    assert (await alice.hear("end"))["body"]["reason"] == "hang_up"
