"""Who looks through the camera without a call: let in by the right `view`, and let go.

Laws: a viewer rings nowhere and answers nothing, whatever it offers. While there is a call it sees and
neither hears nor is heard. Whoever looks is in the state, and the devices are open for it as for a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from appliance.calls import devices
from appliance.calls.effects import (
    AddCandidate,
    AnswerViewer,
    ClosePeer,
    DismissViewer,
    MutePeer,
    OpenPeer,
    StartTimer,
    StopTimer,
)
from appliance.calls.inputs import (
    ContactsChanged,
    Input,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerKey,
    PeerLost,
    PeerRestored,
    Timer,
    ViewerLeft,
    ViewerOffered,
    ViewerTrickled,
)
from appliance.calls.state import Viewer
from appliance.calls.turn import Turn
from appliance.model import CallType, Right

LOST_S = 10.0
"""How long a viewer of whom nothing is heard may take to come back."""
LIMIT = "viewer"
LOST = "viewer_lost"
"""Kinds of timers; their key is the viewer."""

# -------------------- coming


def offered(turn: Turn, report: ViewerOffered) -> None:
    """Somebody wants to look: its offer is answered, or it is told why not."""
    refusal = _refusal(turn, report)
    if refusal is not None:
        turn.do(DismissViewer(report.viewer, *refusal))
        return
    before = turn.state
    sound = report.sound and _may_talk(turn, report.uid)
    viewer = Viewer(report.viewer, report.uid, sound)
    turn.set(viewers=(*before.viewers, viewer))
    devices.follow(turn, before)
    turn.do(OpenPeer(viewer.peer, CallType.VIDEO, report.offer, sound=sound))
    if turn.policy.view_limit_s:
        turn.do(StartTimer(Timer(LIMIT, viewer.id), turn.policy.view_limit_s))


def _refusal(turn: Turn, report: ViewerOffered) -> tuple[str, str] | None:
    """Why it may not look: a code and a sentence."""
    policy, state = turn.policy, turn.state
    if state.stopping:
        return "stopping", "the appliance is stopping"
    if report.uid is not None and not policy.may(report.uid, Right.VIEW):
        return "not_allowed", f"{report.uid} may not look through the camera"
    if not policy.cameras:
        return "no_camera", "this device has no camera"
    if state.viewer(report.viewer) is not None:
        return "already_open", "this viewer looks already"
    if len(state.viewers) >= policy.max_viewers:
        return "too_many_viewers", f"{policy.max_viewers} look through the camera already"
    return None


def _may_talk(turn: Turn, uid: str | None) -> bool:
    """Whether it may hear the microphone, and be heard: who may be in a call may."""
    return uid is None or any(turn.policy.may(uid, one) for one in (Right.ANSWER, Right.CALL))


def trickled(turn: Turn, report: ViewerTrickled) -> None:
    """A candidate of one who looks; of another it is of no use any more."""
    viewer = turn.state.viewer(report.viewer)
    if viewer is not None:
        turn.do(AddCandidate(viewer.peer, report.candidate))


# -------------------- while it looks


def reported(turn: Turn, report: Any) -> None:
    """What became of a viewer's connection, of which `report` is."""
    peer: PeerKey = report.peer
    viewer = turn.state.viewer(peer.endpoint)
    rule = _RULES.get(type(report))
    if viewer is not None and viewer.peer == peer and rule is not None:
        rule(turn, viewer, report)


def _answered(turn: Turn, viewer: Viewer, report: PeerAnswered) -> None:
    turn.do(AnswerViewer(viewer.id, report.description))


def _connected(turn: Turn, viewer: Viewer, _: PeerConnected) -> None:
    _put(turn, replace(viewer, connected=True))


def _lost(turn: Turn, viewer: Viewer, _: PeerLost) -> None:
    _put(turn, replace(viewer, connected=False))
    turn.do(StartTimer(Timer(LOST, viewer.id), LOST_S))


def _restored(turn: Turn, viewer: Viewer, _: PeerRestored) -> None:
    _put(turn, replace(viewer, connected=True))
    turn.do(StopTimer(Timer(LOST, viewer.id)))


def _failed(turn: Turn, viewer: Viewer, report: PeerFailed) -> None:
    _let_go(turn, viewer, report.code, report.message)


_RULES: dict[type[Input], Callable[[Turn, Viewer, Any], None]] = {
    PeerAnswered: _answered,
    PeerConnected: _connected,
    PeerLost: _lost,
    PeerRestored: _restored,
    PeerFailed: _failed,
}


def follow_calls(turn: Turn) -> None:
    """A call is nobody's business but of those who are in it: viewers hear nothing while there is one."""
    muted = bool(turn.state.calls)
    for viewer in turn.state.viewers:
        if viewer.sound and viewer.muted is not muted:
            _put(turn, replace(viewer, muted=muted))
            turn.do(MutePeer(viewer.peer, muted))


# -------------------- going


def left(turn: Turn, report: ViewerLeft) -> None:
    """It has seen enough, or may look no more."""
    viewer = turn.state.viewer(report.viewer)
    if viewer is not None:
        _let_go(turn, viewer, "left", "the view was ended")


def timed_out(turn: Turn, timer: Timer) -> None:
    """It has looked for as long as one may, or has not come back."""
    viewer = turn.state.viewer(timer.key)
    if viewer is None:
        return
    if timer.kind == LIMIT:
        _let_go(turn, viewer, "timed_out", "the time for one view is over; it can be begun anew")
    else:
        _let_go(turn, viewer, "connection_lost", f"nothing was heard of it for {LOST_S:.0f} s")


def judge_rights(turn: Turn, changed: ContactsChanged) -> None:
    """Contacts have changed: who may look no more is let go."""
    for viewer in turn.state.viewers:
        contact = changed.contacts.get(viewer.uid) if viewer.uid is not None else None
        if viewer.uid is not None and (contact is None or Right.VIEW not in contact.may):
            _let_go(turn, viewer, "not_allowed", f"{viewer.uid} may look no more")


def stop(turn: Turn) -> None:
    """The appliance stops."""
    for viewer in turn.state.viewers:
        _let_go(turn, viewer, "stopping", "the appliance is stopping")


def _let_go(turn: Turn, viewer: Viewer, code: str, message: str) -> None:
    before = turn.state
    turn.set(viewers=tuple(one for one in before.viewers if one.id != viewer.id))
    for kind in (LIMIT, LOST):
        turn.do(StopTimer(Timer(kind, viewer.id)))
    turn.do(ClosePeer(viewer.peer), DismissViewer(viewer.id, code, message))
    devices.follow(turn, before)


def _put(turn: Turn, viewer: Viewer) -> None:
    viewers = (viewer if one.id == viewer.id else one for one in turn.state.viewers)
    turn.set(viewers=tuple(viewers))
