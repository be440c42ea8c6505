"""What of this device does not work: its camera and microphone, told in every call, and its other parts.

A call is never ended by any of it: it goes on with what is left.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.calls import relays
from appliance.calls.effects import LimitFramerate, RenewCapture
from appliance.calls.inputs import (
    VIEWING,
    DeviceFailed,
    FaultCleared,
    FaultReported,
    PressureChanged,
    Resumed,
)
from appliance.calls.state import State
from appliance.calls.turn import Turn
from appliance.events import LocalCameraException, LocalMicrophoneException
from appliance.messages import State as StateMessage
from appliance.model import DeviceException

PRESSED_FRAMERATE = 10
"""Pictures per second while the device is too hot: enough to see who stands there, a third of the work."""

CAMERA = "camera"
LASTING = frozenset({"pin_unavailable", "gpio_unavailable", "relay_failed", "privacy_led_failed"})
"""Faults of the panel that are so until somebody says that they are over."""
SYSTEM = "system"
"""Where the pressure is told of, on a device without a camera."""


def exceptions(state: State) -> Mapping[str, DeviceException]:
    """What is wrong with camera and microphone. One that does not work at all cannot be too hot as well."""
    if state.pressure is None:
        return state.failures
    return {CAMERA: DeviceException.BY_SYSTEM_PRESSURE, **state.failures}


def device_failed(turn: Turn, report: DeviceFailed) -> None:
    """A camera or microphone failed, failed otherwise, or works again."""
    failures = dict(turn.state.failures)
    if report.type is None:
        failures.pop(report.device, None)
    else:
        failures[report.device] = report.type
    turn.set(failures=failures)
    type_, message = report.type, report.message
    if report.device == CAMERA and type_ is None and turn.state.pressure is not None:
        type_, message = DeviceException.BY_SYSTEM_PRESSURE, turn.state.pressure
    _tell(turn, report.device, type_, message)


def pressure_changed(turn: Turn, report: PressureChanged) -> None:
    """It became too hot, or its current too low, for all that it does; or that is over."""
    pressed = report.message is not None
    if pressed is (turn.state.pressure is not None or SYSTEM in turn.state.faults):
        return
    if not turn.policy.films:
        _part(turn, SYSTEM, DeviceException.BY_SYSTEM_PRESSURE if pressed else None, report.message)
        return
    turn.set(pressure=report.message)
    turn.do(LimitFramerate(PRESSED_FRAMERATE if pressed else None))
    if CAMERA not in turn.state.failures:
        type_ = DeviceException.BY_SYSTEM_PRESSURE if pressed else None
        _tell(turn, CAMERA, type_, report.message)


def resumed(turn: Turn, report: Resumed) -> None:
    """The whole device slept: what was open was cut off, and is opened anew."""
    if turn.state.films or turn.state.listens:
        turn.do(RenewCapture(f"the device was suspended for {report.away_s:.0f} s"))


def reported(turn: Turn, report: FaultReported) -> None:
    """Something could not be done or believed; what lasts is shown while nobody calls."""
    lasts = report.lasts or report.code in LASTING
    if lasts and report.where is not None:
        turn.set(faults={**turn.state.faults, report.where: report.code})
    call_id = None if report.call_id == VIEWING else report.call_id
    turn.error(report.code, report.message, report.where, call_id)
    relays.failed(turn, report)


def cleared(turn: Turn, report: FaultCleared) -> None:
    """A part works again."""
    _part(turn, report.where, None, None)


def _part(turn: Turn, where: str, code: str | None, message: str | None) -> None:
    faults = {name: known for name, known in turn.state.faults.items() if name != where}
    if code is not None:
        faults[where] = code
        turn.error(code, message or code, where)
    turn.set(faults=faults)


def _tell(turn: Turn, device: str, type_: DeviceException | None, message: str | None) -> None:
    event = LocalCameraException if device == CAMERA else LocalMicrophoneException
    turn.emit(event(type_, message), turn.state.active)
    for call in turn.state.calls:
        turn.send_all(call, StateMessage({f"{device}_exception": type_}))
