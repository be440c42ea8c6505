"""The one place that decides: of a state and an input, the next state and what is told and done.

`advance` has no clock, no I/O and no tasks; the order of its list is the order of things.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.calls import buttons, own, relays
from appliance.calls.effects import Output, PlaySound, Reply, Sound
from appliance.calls.ending import REMEMBERED_S
from appliance.calls.inputs import (
    ButtonGestured,
    ButtonPressed,
    CommandIssued,
    DeviceFailed,
    FaultReported,
    Input,
    InputSwitched,
    LinkChanged,
    LinkState,
    MessageExpired,
    MessageReceived,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerKey,
    PeerLost,
    PeerOffered,
    PeerRestored,
    PresenceChanged,
    RelayChanged,
    StopRequested,
    TimerFired,
)
from appliance.calls.state import LiveCall, Moment, Policy, Presence, State
from appliance.calls.table import TABLE, Go, Happening, Ignore, Refuse, Report, message
from appliance.calls.turn import Turn
from appliance.commands import Command, SendCustomEvent, Unlock
from appliance.errors import Refused
from appliance.events import InputChanged, LocalCameraException, LocalMicrophoneException
from appliance.messages import State as StateMessage
from appliance.model import CallState

PRESENCES = 256
"""How many uids are known to be online at most, and how many endpoints of each (16)."""
ENDPOINTS = 16


def advance(
    policy: Policy, state: State, arrived: Input, now: Moment
) -> tuple[State, list[Output]]:
    """Decide what one input means."""
    turn = Turn(policy, state, now)
    _RULES[type(arrived)](turn, arrived)
    return turn.state, turn.outputs


# -------------------- asking the table


def _state_of(turn: Turn, call_id: str) -> CallState:
    call = turn.state.call(call_id)
    if call is not None:
        return call.state
    over = turn.state.remembered.get(call_id)
    known = over is not None and turn.now.monotonic_s - over.at_s < REMEMBERED_S
    return CallState.ENDED if known else CallState.IDLE


def _apply(turn: Turn, call_id: str, happening: Happening, *arguments: Any) -> Any:
    """Carry out the verdict for a call; raises Refused, with nothing done, where it is a no."""
    verdict = TABLE[_state_of(turn, call_id), happening]
    if isinstance(verdict, Refuse):
        raise Refused(verdict.code, verdict.message)
    if isinstance(verdict, Ignore):
        return None
    call = turn.state.call(call_id)
    result = _attempt(turn, verdict, call if call is not None else call_id, *arguments)
    after = _state_of(turn, call_id)
    assert after in verdict.to, f"{happening} led to {after}, which the table does not know"
    return result


def _attempt(turn: Turn, verdict: Go, *arguments: Any) -> Any:
    """Let a rule act; where it refuses, nothing of what it did so far remains."""
    state, told = turn.state, len(turn.outputs)
    try:
        return verdict.rule(turn, *arguments)
    except Refused:
        turn.state = state
        del turn.outputs[told:]
        raise


def _report(turn: Turn, call: LiveCall | None, report: Report, *arguments: Any) -> None:
    if call is not None:
        _apply(turn, call.call_id, report, *arguments)


# -------------------- commands and buttons


def _commanded(turn: Turn, issued: CommandIssued) -> None:
    try:
        result = _carry_out(turn, issued)
    except Refused as refusal:
        call = turn.state.active
        where = issued.command.NAME
        turn.error(refusal.code, str(refusal), where, call.call_id if call else None)
        if issued.request is not None:
            turn.do(Reply(issued.request, code=refusal.code, message=str(refusal)))
        return
    if issued.request is not None and result is not relays.LATER:
        turn.do(Reply(issued.request, result))


def _carry_out(turn: Turn, issued: CommandIssued) -> Any:
    command = issued.command
    call = turn.state.active
    if turn.state.stopping:
        raise Refused("stopping", "the appliance is stopping")
    match command:
        case Unlock():
            return relays.unlock(turn, command, issued)
        case SendCustomEvent():
            return own.custom(turn, command, call)
    if call is not None:
        return _apply(turn, call.call_id, command.NAME, command)
    return _begin(turn, command, issued)


def _begin(turn: Turn, command: Command, issued: CommandIssued) -> Any:
    """A command without a call: refused, or it makes one."""
    verdict = TABLE[CallState.IDLE, command.NAME]
    if isinstance(verdict, Refuse):
        raise Refused(verdict.code, verdict.message)
    assert isinstance(verdict, Go)
    result = _attempt(turn, verdict, command)
    if issued.origin != "bell":  # the bell was heard at its first edge
        turn.do(PlaySound(Sound.CHIME))
    return result


def _button_pressed(turn: Turn, report: ButtonPressed) -> None:
    buttons.pressed(turn, report)


def _button_gestured(turn: Turn, report: ButtonGestured) -> None:
    command = buttons.gestured(turn, report)
    if command is not None:
        origin = "bell" if buttons.chimed_at_edge(turn, report) else "button"
        _commanded(turn, CommandIssued(command, origin))


# -------------------- messages


def _received(turn: Turn, received: MessageReceived) -> None:
    sender, call_id = received.sender, received.call_id
    if sender.uid not in turn.policy.contacts:
        turn.error("unknown_sender", f"{sender.uid} is not a contact", sender.uid, call_id)
        return
    try:
        _apply(turn, call_id, message(received.message.TYPE), sender, received.message)
    except Refused as refusal:
        turn.error(refusal.code, str(refusal), sender.uid, call_id)


def _expired(turn: Turn, expired: MessageExpired) -> None:
    _report(turn, turn.state.call(expired.call_id), Report.MESSAGE_EXPIRED, expired)


def _present(turn: Turn, report: PresenceChanged) -> None:
    if report.uid == turn.policy.uid:
        return
    known = dict(turn.state.presence)
    others = tuple(one for one in known.get(report.uid, ()) if one.endpoint != report.endpoint)
    mine = (*others, Presence(report.endpoint, report.epoch)) if report.online else others
    known.pop(report.uid, None)
    if mine and len(known) < PRESENCES:
        known[report.uid] = mine[-ENDPOINTS:]
    turn.set(presence=known)
    kind = Report.ENDPOINT_ONLINE if report.online else Report.ENDPOINT_OFFLINE
    for call in turn.state.calls:
        _report(turn, call, kind, report)


def _link(turn: Turn, report: LinkChanged) -> None:
    changes: dict[str, Any] = {"link": report.state}
    if report.state is LinkState.CONNECTED:
        for call in turn.state.calls:
            turn.put(call, announced=True)
    else:
        changes["presence"] = {}
    turn.set(**changes)


# -------------------- media, panel, time


def _peer(report: Report) -> Callable[[Turn, Any], None]:
    def rule(turn: Turn, arrived: Any) -> None:
        peer: PeerKey = arrived.peer
        for call in turn.state.calls:
            if call.member_of(peer) is not None:
                _apply(turn, call.call_id, report, arrived)

    return rule


def _device_failed(turn: Turn, report: DeviceFailed) -> None:
    failures = dict(turn.state.failures)
    if report.type is None:
        failures.pop(report.device, None)
    else:
        failures[report.device] = report.type
    turn.set(failures=failures)
    camera = report.device == "camera"
    event = LocalCameraException if camera else LocalMicrophoneException
    call = turn.state.active
    turn.emit(event(report.type, report.message), call)
    if call is not None:
        turn.send_all(call, StateMessage({f"{report.device}_exception": report.type}))


def _input_switched(turn: Turn, report: InputSwitched) -> None:
    turn.set(inputs={**turn.state.inputs, report.input: report.on})
    turn.emit(InputChanged(report.input, report.kind, report.on), turn.state.active)


def _relay_changed(turn: Turn, report: RelayChanged) -> None:
    relays.changed(turn, report)


_CALL_TIMERS = {
    "ring": Report.RING_TIMED_OUT,
    "setup": Report.SETUP_TIMED_OUT,
    "reconnect": Report.RECONNECT_TIMED_OUT,
    "farewell": Report.FAREWELL_TIMED_OUT,
    "participants": Report.LIST_DUE,
}


def _timer(turn: Turn, fired: TimerFired) -> None:
    kind, key = fired.timer.kind, fired.timer.key
    if kind == "errors":
        turn.tell_errors(key)
    elif kind == "unlock":
        relays.silent(turn, key)
    else:
        _report(turn, turn.state.call(key), _CALL_TIMERS[kind])


def _fault(turn: Turn, report: FaultReported) -> None:
    turn.error(report.code, report.message, report.where, report.call_id)


def _stop(turn: Turn, report: StopRequested) -> None:
    for call in turn.state.calls:
        _report(turn, call, Report.STOP)
    turn.set(stopping=True)


_RULES: dict[type[Input], Callable[[Turn, Any], None]] = {
    CommandIssued: _commanded,
    ButtonPressed: _button_pressed,
    ButtonGestured: _button_gestured,
    MessageReceived: _received,
    MessageExpired: _expired,
    PresenceChanged: _present,
    LinkChanged: _link,
    PeerOffered: _peer(Report.PEER_OFFERED),
    PeerAnswered: _peer(Report.PEER_ANSWERED),
    PeerConnected: _peer(Report.PEER_CONNECTED),
    PeerLost: _peer(Report.PEER_LOST),
    PeerRestored: _peer(Report.PEER_RESTORED),
    PeerFailed: _peer(Report.PEER_FAILED),
    DeviceFailed: _device_failed,
    InputSwitched: _input_switched,
    RelayChanged: _relay_changed,
    TimerFired: _timer,
    FaultReported: _fault,
    StopRequested: _stop,
}
