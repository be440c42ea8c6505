"""The one place that decides: of a state and an input, the next state and what is told and done.

`advance` has no clock, no I/O and no tasks; the order of its list is the order of things.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance import commands
from appliance.calls import (
    buttons,
    devices,
    ending,
    faults,
    own,
    pressing,
    privacy,
    quiet,
    recordings,
    relays,
    requests,
    roster,
    screens,
    sensing,
    telling,
    tokens,
    trusting,
    viewers,
)
from appliance.calls.call import LiveCall
from appliance.calls.effects import Output, Reply, Sound
from appliance.calls.ending import REMEMBERED_S
from appliance.calls.inputs import (
    ENDPOINTS_OF_EACH,
    VIEWING,
    AudioOutputs,
    ButtonGestured,
    ButtonPressed,
    ButtonStuck,
    CameraSwitched,
    CaptureClosed,
    CommandIssued,
    ContactsChanged,
    DeviceFailed,
    FaultCleared,
    FaultReported,
    HangUpAnswered,
    HookSwitched,
    Input,
    InputSwitched,
    LinkChanged,
    LinkState,
    MessageExpired,
    MessageReceived,
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerFound,
    PeerKey,
    PeerLost,
    PeerOffered,
    PeerRestored,
    PictureWanted,
    PresenceChanged,
    PressureChanged,
    PrivacyLost,
    RecordingFailed,
    RecordingStarted,
    RecordingStopped,
    RelayChanged,
    Resumed,
    ReturnedToIdle,
    SpeakerChanged,
    Started,
    StopRequested,
    TimerFired,
    ViewerLeft,
    ViewerOffered,
    ViewerTrickled,
)
from appliance.calls.later import LATER
from appliance.calls.moment import Moment
from appliance.calls.policy import Policy
from appliance.calls.state import Presence, State
from appliance.calls.table import TABLE, Go, Happening, Ignore, Refuse, Report, message
from appliance.calls.turn import Turn
from appliance.commands import Command
from appliance.errors import Refused
from appliance.events import (
    PushRegistrationUpdated,
)
from appliance.messages import Address, Invite, Join
from appliance.model import CallState, Notice, Right

PRESENCES = 256
"""How many uids are known to be online at most."""


def advance(
    policy: Policy, state: State, arrived: Input, now: Moment
) -> tuple[State, list[Output]]:
    """Decide what one input means; of `ContactsChanged`, `policy` is that of before."""
    turn = Turn(policy, state, now)
    _RULES[type(arrived)](turn, arrived)
    roster.announce_changes(turn)
    viewers.follow_calls(turn)
    return turn.state, turn.outputs


# -------------------- asking the table


def _state_of(turn: Turn, call_id: str) -> CallState:
    call = turn.state.about(call_id)
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
    call = turn.state.about(call_id)
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
    turn.request, turn.origin = issued.request, issued.origin
    try:
        result = _carry_out(turn, issued.command)
    except Refused as refusal:
        call = turn.state.active
        where = issued.command.NAME
        turn.error(refusal.code, str(refusal), where, call.call_id if call else None)
        if issued.request is not None:
            turn.do(Reply(issued.request, code=refusal.code, message=str(refusal)))
        if turn.bell:  # the visitor has heard that the press was taken
            telling.tell(turn, Notice.NOT_NOW)
        return
    if issued.request is not None and result is not LATER:
        turn.do(Reply(issued.request, result))


_OF_THE_DEVICE: dict[type[Command], Callable[[Turn, Any], Any]] = {
    commands.Unlock: relays.unlock,
    commands.SendCustomEvent: own.custom,
    commands.GenerateToken: tokens.generate,
    commands.SwitchCamera: devices.switch_camera,
    commands.SetAudioMode: devices.set_audio_mode,
    commands.SetVolume: devices.set_volume,
    commands.SetLayout: screens.set_layout,
    commands.ShowParticipantList: screens.show_list,
    commands.SetDoNotDisturb: quiet.set_quiet,
}
"""What is about the device, in a call or not."""


def _carry_out(turn: Turn, command: Command) -> Any:
    if turn.state.stopping:
        raise Refused("stopping", "the appliance is stopping")
    rule = _OF_THE_DEVICE.get(type(command))
    if rule is not None:
        return rule(turn, command)
    calls = turn.state.calls
    call = _target(turn.state, command)
    result = (
        _begin(turn, command) if call is None else _apply(turn, call.call_id, command.NAME, command)
    )
    began = turn.state.calls and turn.state.active not in calls
    if isinstance(command, commands.InitiateCall | commands.CallBack) and began and not turn.bell:
        telling.let_hear(turn, Sound.CHIME)  # the bell was heard at its first edge
    return result


def _target(state: State, command: Command) -> LiveCall | None:
    """The call that a command is about: the one that it names, the one that rings, the active one."""
    if isinstance(command, commands.AcceptCall | commands.RejectCall):
        named = state.call(command.call_id) if command.call_id else None
        return named or state.incoming or state.active
    return state.active


def _begin(turn: Turn, command: Command) -> Any:
    """A command without a call: refused, or it makes one."""
    verdict = TABLE[CallState.IDLE, command.NAME]
    if isinstance(verdict, Refuse):
        raise Refused(verdict.code, verdict.message)
    assert isinstance(verdict, Go)
    return _attempt(turn, verdict, command)


def _button_pressed(turn: Turn, report: ButtonPressed) -> None:
    if pressing.taken(turn, report.button):
        buttons.pressed(turn, report)


def _button_gestured(turn: Turn, report: ButtonGestured) -> None:
    if pressing.is_passed_over(turn, report.button):
        return
    command = buttons.gestured(turn, report)
    if command is not None and _may_be_given(turn, command, report.button):
        origin = "bell" if buttons.chimed_at_edge(turn, report) else "button"
        _commanded(turn, CommandIssued(command, origin))


def _hook_switched(turn: Turn, report: HookSwitched) -> None:
    if report.lifted and not pressing.taken(turn, report.button):
        turn.set(handset_lifted=True)
        return
    for command in buttons.hooked(turn, report):
        if _may_be_given(turn, command, report.button):
            _commanded(turn, CommandIssued(command, "button"))


def _may_be_given(turn: Turn, command: Command, button: str) -> bool:
    """Whether the house is not rung too often already by what a button wants."""
    rings = isinstance(command, commands.InitiateCall) and turn.state.active is None
    return not rings or pressing.may_ring(turn, button)


def _hang_up_answered(turn: Turn, report: HangUpAnswered) -> None:
    call = turn.state.about(report.call_id)
    if call is None and report.request is not None:  # it is over meanwhile, which was wanted
        turn.do(Reply(report.request))
    _report(turn, call, Report.HANG_UP_ANSWERED, report)


# -------------------- messages


def _received(turn: Turn, received: MessageReceived) -> None:
    sender = received.sender
    turn.envelope = received.call_id
    call_id = _about(turn, received)
    known = turn.state.about(call_id)
    if sender.uid not in turn.policy.contacts:
        if not (known and known.knows(sender)):
            turn.error("unknown_sender", f"{sender.uid} is not a contact", sender.uid, call_id)
            return
        if received.vouched_by is not None and known.host not in received.vouched_by:
            sentence = (
                f"{sender.uid} is no contact, and not as {known.host.uid}, the host, lists it"
            )
            turn.error("unknown_sender", sentence, sender.uid, call_id)
            return
    if isinstance(received.message, Invite):
        _forget_what_others_said(turn, call_id, sender.uid)
    try:
        _apply(turn, call_id, message(received.message.TYPE), sender, received.message)
    except Refused as refusal:
        turn.error(refusal.code, str(refusal), sender.uid, call_id)


def _forget_what_others_said(turn: Turn, call_id: str, caller: str) -> None:
    """Nobody takes another's call back before it comes, though it may have learnt its id."""
    if not turn.policy.may(caller, Right.CALL):
        return
    over = turn.state.remembered.get(call_id)
    if over is not None and over.by not in (None, caller):
        rest = {known: one for known, one in turn.state.remembered.items() if known != call_id}
        turn.set(remembered=rest)


_OF_ITS_OWN = ("invite", "ringing", "accept", "reject", "cancel", "end")
"""What makes or ends a call is about none but the one that it names."""


def _about(turn: Turn, received: MessageReceived) -> str:
    """Which call a message is about: each writes under the id by which the two know each other.

    Who comes into a session from another call joins under the id of that one; the host's list says
    that it belongs here, or will say so.
    """
    sender, call_id, message_ = received.sender, received.call_id, received.message
    calls = turn.state.calls
    for call in calls:
        member = call.member(sender)
        if member is not None and member.peer.call_id == call_id:
            return call.call_id
    if _state_of(turn, call_id) is not CallState.IDLE or message_.TYPE in _OF_ITS_OWN:
        return call_id
    for call in calls:
        if call.answered and (call.member(sender) or call.lists(sender)):
            return call.call_id
    early = isinstance(message_, Join) and message_.offer is not None
    for call in calls:
        if call.answered and not turn.hosts(call) and (early or call.knows(sender)):
            return call.call_id
    return call_id


def _expired(turn: Turn, expired: MessageExpired) -> None:
    _report(turn, turn.state.about(expired.call_id), Report.MESSAGE_EXPIRED, expired)


def _present(turn: Turn, report: PresenceChanged) -> None:
    if report.uid == turn.policy.uid:
        return
    known = dict(turn.state.presence)
    others = tuple(one for one in known.get(report.uid, ()) if one.endpoint != report.endpoint)
    if report.online and len(others) >= ENDPOINTS_OF_EACH:
        return
    is_news = Presence(report.endpoint, report.epoch) not in known.get(report.uid, ())
    mine = (*others, Presence(report.endpoint, report.epoch)) if report.online else others
    known.pop(report.uid, None)
    if mine and len(known) < PRESENCES:
        known[report.uid] = mine
    turn.set(presence=known)
    kind = Report.ENDPOINT_ONLINE if report.online else Report.ENDPOINT_OFFLINE
    for call in turn.state.calls:
        _report(turn, call, kind, report)
        if report.online and is_news:
            address = Address(report.uid, report.endpoint)
            _report(turn, call, Report.ENDPOINT_REACHABLE, address)


def _contacts_changed(turn: Turn, changed: ContactsChanged) -> None:
    lost = trusting.lost_by(turn, changed)
    for call in turn.state.calls:
        _report(turn, turn.state.call(call.call_id), Report.TRUST_WITHDRAWN, lost)
    viewers.judge_rights(turn, changed)


def _link(turn: Turn, report: LinkChanged) -> None:
    changes: dict[str, Any] = {"link": report.state}
    if report.inbox is not None and report.inbox != turn.state.inbox:
        changes["inbox"] = report.inbox
        turn.emit(PushRegistrationUpdated(report.inbox))
    if report.state is LinkState.CONNECTED:
        for call in turn.state.calls:
            turn.put(call, announced=True)
    else:
        changes["presence"] = {}
    turn.set(**changes)
    if report.state is LinkState.CONNECTED:
        for call in turn.state.calls:
            _report(turn, call, Report.ENDPOINT_REACHABLE, None)


# -------------------- media, panel, time


def _peer(report: Report) -> Callable[[Turn, Any], None]:
    def rule(turn: Turn, arrived: Any) -> None:
        peer: PeerKey = arrived.peer
        if peer.call_id == VIEWING:
            viewers.reported(turn, arrived)
            return
        for call in turn.state.calls:
            if call.member_of(peer) is not None:
                _apply(turn, call.call_id, report, arrived)
                return

    return rule


def _relay_changed(turn: Turn, report: RelayChanged) -> None:
    relays.changed(turn, report)


_CALL_TIMERS = {
    "ring": Report.RING_TIMED_OUT,
    "setup": Report.SETUP_TIMED_OUT,
    "reconnect": Report.RECONNECT_TIMED_OUT,
    "farewell": Report.FAREWELL_TIMED_OUT,
    "participants": Report.LIST_DUE,
    "idle": Report.IDLE_TIMED_OUT,
    "seek": Report.SEEK_DUE,
}


def _timer(turn: Turn, fired: TimerFired) -> None:
    kind, key = fired.timer.kind, fired.timer.key
    if kind == "errors":
        turn.tell_errors(key)
    elif kind == "unlock":
        relays.silent(turn, key)
    elif kind == "left_open":
        sensing.left_open(turn, key)
    elif kind == "calm":
        pressing.calm(turn, key)
    elif fired.timer == telling.TIMER:
        telling.over(turn)
    elif kind in (viewers.LIMIT, viewers.LOST):
        viewers.timed_out(turn, fired.timer)
    elif fired.timer == devices.PORTRAIT:
        devices.portrayed(turn)
    elif fired.timer == quiet.HOURS:
        quiet.look_at_clock(turn)
    elif fired.timer == quiet.UNTIL:
        quiet.until_over(turn)
    elif kind == "request":
        _report(turn, requests.waiting_in(turn, key), Report.REQUEST_TIMED_OUT, key)
    else:
        _report(turn, turn.state.call(key), _CALL_TIMERS[kind])


def _stop(turn: Turn, report: StopRequested) -> None:
    turn.set(stopping=True)
    for call in turn.state.calls:
        _report(turn, turn.state.call(call.call_id), Report.STOP)
    viewers.stop(turn)


_RULES: dict[type[Input], Callable[[Turn, Any], None]] = {
    CommandIssued: _commanded,
    ButtonPressed: _button_pressed,
    ButtonGestured: _button_gestured,
    MessageReceived: _received,
    MessageExpired: _expired,
    PresenceChanged: _present,
    LinkChanged: _link,
    ContactsChanged: _contacts_changed,
    Started: lambda turn, _: quiet.restored(turn),
    HookSwitched: _hook_switched,
    HangUpAnswered: _hang_up_answered,
    ReturnedToIdle: lambda turn, report: ending.returned(turn, report.call_id),
    CameraSwitched: devices.camera_switched,
    AudioOutputs: devices.outputs_changed,
    RecordingStarted: recordings.started,
    RecordingStopped: recordings.stopped,
    RecordingFailed: recordings.failed,
    SpeakerChanged: _peer(Report.SPEAKER_CHANGED),
    PeerAgreed: _peer(Report.PEER_AGREED),
    PeerFound: _peer(Report.PEER_FOUND),
    PeerOffered: _peer(Report.PEER_OFFERED),
    PeerAnswered: _peer(Report.PEER_ANSWERED),
    PeerConnected: _peer(Report.PEER_CONNECTED),
    PeerLost: _peer(Report.PEER_LOST),
    PeerRestored: _peer(Report.PEER_RESTORED),
    PeerFailed: _peer(Report.PEER_FAILED),
    ViewerOffered: viewers.offered,
    ViewerTrickled: viewers.trickled,
    ViewerLeft: viewers.left,
    PictureWanted: devices.show,
    DeviceFailed: faults.device_failed,
    PressureChanged: faults.pressure_changed,
    Resumed: faults.resumed,
    InputSwitched: sensing.switched,
    ButtonStuck: sensing.stuck,
    CaptureClosed: privacy.closed,
    PrivacyLost: privacy.lost,
    RelayChanged: _relay_changed,
    TimerFired: _timer,
    FaultReported: faults.reported,
    FaultCleared: faults.cleared,
    StopRequested: _stop,
}
