"""The table of the call: a verdict for every state that a call can be in and everything that can happen.

`Go` names the rule that acts and the states that may follow; `Ignore` and `Refuse` say why nothing does.
A refused message is an `error` event; a refused command is answered with the sentence as well. IDLE
stands for a call that this device does not know, ENDED for one that is over and still remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from appliance.calls import (
    devices,
    grouping,
    holding,
    incoming,
    inviting,
    meshing,
    moderating,
    outage,
    outgoing,
    own,
    participants,
    peers,
    recordings,
    replies,
    roster,
    screens,
    seeking,
    sessions,
    switching,
    trusting,
)
from appliance.commands import COMMANDS
from appliance.messages import MESSAGES
from appliance.model import CallState

# -------------------- what can happen


class Report(StrEnum):
    """What can happen to a call besides commands and messages."""

    PEER_OFFERED = "peer offered"
    PEER_ANSWERED = "peer answered"
    PEER_AGREED = "peer agreed"
    PEER_FOUND = "peer found"
    PEER_CONNECTED = "peer connected"
    PEER_LOST = "peer lost"
    PEER_RESTORED = "peer restored"
    PEER_FAILED = "peer failed"
    RING_TIMED_OUT = "ring timed out"
    SETUP_TIMED_OUT = "setup timed out"
    RECONNECT_TIMED_OUT = "reconnect timed out"
    FAREWELL_TIMED_OUT = "farewell timed out"
    LIST_DUE = "list due"
    IDLE_TIMED_OUT = "idle timed out"
    REQUEST_TIMED_OUT = "request timed out"
    SPEAKER_CHANGED = "speaker changed"
    HANG_UP_ANSWERED = "hang up answered"
    MESSAGE_EXPIRED = "message expired"
    ENDPOINT_ONLINE = "endpoint online"
    ENDPOINT_OFFLINE = "endpoint offline"
    TRUST_WITHDRAWN = "trust withdrawn"
    ENDPOINT_REACHABLE = "endpoint reachable"
    SEEK_DUE = "seek due"
    STOP = "stop"


Happening = str
"""A command (`accept_call`), a message (`<accept>`), or a report (`peer connected`)."""


def message(type_: str) -> Happening:
    """The happening that a message of that type is."""
    return f"<{type_}>"


HAPPENINGS: tuple[Happening, ...] = (
    *COMMANDS,
    *(message(type_) for type_ in MESSAGES),
    *Report,
)

# -------------------- what follows


class Go(Struct, frozen=True):
    """A rule acts; afterwards the call is in one of `to`."""

    rule: Callable[..., Any]
    to: frozenset[CallState]


class Ignore(Struct, frozen=True):
    """Nothing follows, and that is right: `reason` says why."""

    reason: str


class Refuse(Struct, frozen=True):
    """Nothing follows, and whoever asked did wrong: `message` says what."""

    code: str
    message: str


Verdict = Go | Ignore | Refuse

IDLE, INCOMING, OUTGOING = CallState.IDLE, CallState.INCOMING, CallState.OUTGOING
CONNECTING, CONNECTED = CallState.CONNECTING, CallState.CONNECTED
RECONNECTING, ENDED = CallState.RECONNECTING, CallState.ENDED

NO_CALL = (IDLE, ENDED)
RINGING = (INCOMING, OUTGOING)
JOINED = (CONNECTED, RECONNECTING)
ANSWERED = (CONNECTING, *JOINED)
LIVE = (*RINGING, *ANSWERED)
ALL = (*NO_CALL, *LIVE)

_TABLE: dict[tuple[CallState, Happening], Verdict] = {}


def _on(happening: Happening, *rows: tuple[Iterable[CallState], Verdict]) -> None:
    """Enter the verdicts of one happening; every state has exactly one."""
    for states, verdict in rows:
        for state in states:
            if (state, happening) in _TABLE:
                raise ValueError(f"two verdicts for {happening} in {state}")
            _TABLE[state, happening] = verdict


def _go(rule: Callable[..., Any], *to: CallState) -> Go:
    return Go(rule, frozenset(to))


def _stay(rule: Callable[..., Any], states: Iterable[CallState]) -> tuple[tuple[Any, Verdict], ...]:
    """The rule acts in each of the states and the call stays there."""
    return tuple(((state,), _go(rule, state)) for state in states)


def _stay_or_end(
    rule: Callable[..., Any], states: Iterable[CallState]
) -> tuple[tuple[Any, Verdict], ...]:
    """The rule acts in each of the states, and the call stays there or ends."""
    return tuple(((state,), _go(rule, state, CallState.ENDED)) for state in states)


# -------------------- commands

_NO_CALL = Refuse("no_call", "there is no call")
_NOT_ANSWERED = Refuse("not_connected", "the call is not connected yet")
_BUSY = Refuse("busy", "there is a call already; end it first")

_on(
    "initiate_call",
    (NO_CALL, _go(own.initiate, OUTGOING, ENDED)),
    *_stay(own.initiate_second, LIVE),
)
_on("call_back", (NO_CALL, _go(own.call_back, OUTGOING, ENDED)), *_stay(own.call_back_second, LIVE))
_on("start_session", (NO_CALL, _go(sessions.start, CONNECTING, CONNECTED)), (LIVE, _BUSY))
_on(
    "accept_call",
    (NO_CALL, Refuse("no_call", "no call rings here")),
    ((INCOMING,), _go(incoming.accept, CONNECTING)),
    ((OUTGOING,), Refuse("own_call", "this device placed the call; the other side accepts it")),
    (ANSWERED, Refuse("answered", "the call was accepted already")),
)
_on(
    "reject_call",
    (NO_CALL, Refuse("no_call", "no call rings")),
    ((INCOMING,), _go(incoming.reject, ENDED)),
    ((OUTGOING,), _go(own.cancel, ENDED)),
    (ANSWERED, Refuse("answered", "the call was accepted already; end_call ends it")),
)
_on(
    "end_call",
    (NO_CALL, _NO_CALL),
    ((INCOMING,), _go(own.end_ringing_in, ENDED)),
    ((OUTGOING,), _go(own.end_ringing_out, ENDED)),
    *_stay(own.ask_hang_up, ANSWERED),
)
_on(
    "leave_session",
    (NO_CALL, _NO_CALL),
    ((INCOMING,), Refuse("not_joined", "the call still rings; reject_call declines it")),
    ((OUTGOING,), _go(own.end_ringing_out, ENDED)),
    *_stay(own.ask_hang_up, ANSWERED),
)
_own: Callable[..., Any]
for _name, _own in (("mute_audio", devices.mute), ("pause_video", devices.pause)):
    _on(
        _name,
        (NO_CALL, _NO_CALL),
        ((INCOMING,), _NOT_ANSWERED),
        *_stay(_own, (OUTGOING, *ANSWERED)),
    )
for _name, _own in (
    ("send_chat_message", own.chat),
    ("send_dtmf", own.dtmf),
    ("raise_hand", own.raise_hand),
    ("switch_to_video_call", switching.ask),
    ("answer_request", switching.decide),
    ("start_recording", recordings.start),
    ("stop_recording", recordings.stop),
    ("share_screen", screens.share),
    ("enter_picture_in_picture", screens.enter_small),
    ("exit_picture_in_picture", screens.exit_small),
    ("hold_call", holding.hold),
    ("invite", moderating.invite),
    ("merge_calls", grouping.merge),
    ("split_call", grouping.split),
    ("mute_participant", moderating.mute),
):
    _on(_name, (NO_CALL, _NO_CALL), ((*RINGING, CONNECTING), _NOT_ANSWERED), *_stay(_own, JOINED))
_on(
    "kick_participant",
    (NO_CALL, _NO_CALL),
    ((*RINGING, CONNECTING), _NOT_ANSWERED),
    (JOINED, _go(moderating.kick, *JOINED, ENDED)),
)

OF_THE_DEVICE = (
    "unlock",
    "send_custom_event",
    "generate_token",
    "switch_camera",
    "set_audio_mode",
    "set_volume",
    "set_layout",
    "show_participant_list",
    "set_do_not_disturb",
)
"""Commands that are about the device, in a call or not: the machine carries them out itself."""

for _name in OF_THE_DEVICE:
    _on(_name, (ALL, Ignore("not about a call")))

# -------------------- messages

_UNKNOWN = Refuse("unknown_call", "no such call is known here")
_OVER = Ignore("the call is over")
_NOT_NOW = Refuse("out_of_place", "the call is not in a state for this message")

_on(
    "<invite>",
    ((IDLE,), _go(incoming.invited, INCOMING, CONNECTING, ENDED)),
    ((INCOMING,), _go(incoming.invited_again, INCOMING)),
    ((OUTGOING,), Refuse("own_call", "this is a call of this device's own")),
    *_stay(incoming.invited_while_answered, ANSWERED),
    ((ENDED,), _go(incoming.invited_after, ENDED)),
)
_on(
    "<ringing>",
    ((IDLE,), _UNKNOWN),
    ((ENDED,), _OVER),
    ((INCOMING,), _NOT_NOW),
    *_stay(replies.rang, (OUTGOING,)),
    *_stay(replies.rang_late, ANSWERED),
)
_on(
    "<accept>",
    ((IDLE,), _UNKNOWN),
    ((ENDED,), _go(replies.accepted_too_late, ENDED)),
    ((INCOMING,), _NOT_NOW),
    ((OUTGOING,), _go(replies.accepted, CONNECTING)),
    *_stay(replies.accepted_late, ANSWERED),
)
_on(
    "<reject>",
    ((IDLE,), _UNKNOWN),
    ((ENDED,), _OVER),
    ((INCOMING,), _NOT_NOW),
    *_stay_or_end(replies.rejected, (OUTGOING, *ANSWERED)),
)
_on(
    "<cancel>",
    ((IDLE,), _go(incoming.cancelled_before, ENDED)),
    ((ENDED,), _OVER),
    ((INCOMING,), _go(incoming.cancelled, INCOMING, ENDED)),
    ((OUTGOING,), _NOT_NOW),
    ((CONNECTING,), _go(incoming.cancelled, CONNECTING, ENDED)),
    (JOINED, Ignore("the call was answered here")),
)
_on(
    "<end>",
    ((IDLE,), _go(incoming.ended_before, ENDED)),
    ((ENDED,), _OVER),
    ((INCOMING,), _go(incoming.ended_while_ringing, ENDED)),
    ((OUTGOING,), Refuse("out_of_place", "an invited callee accepts or rejects first")),
    ((CONNECTING,), _go(participants.ended, CONNECTING, ENDED)),
    (JOINED, _go(participants.ended, *JOINED, ENDED)),
)
_on(
    "<offer>",
    ((IDLE,), _UNKNOWN),
    ((ENDED,), _OVER),
    (RINGING, _NOT_NOW),
    *_stay(peers.offer_came, ANSWERED),
)
_on(
    "<answer>",
    ((IDLE,), _UNKNOWN),
    ((ENDED,), _OVER),
    (RINGING, _NOT_NOW),
    *_stay(peers.answer_came, ANSWERED),
)
_on(
    "<candidate>",
    ((IDLE,), _UNKNOWN),
    ((ENDED,), _OVER),
    *_stay(peers.candidate_came, LIVE),
)
_on(
    "<join>",
    ((IDLE,), _go(meshing.joined_nothing, IDLE)),
    ((ENDED,), _go(meshing.joined_nothing, ENDED)),
    (RINGING, _NOT_NOW),
    ((CONNECTING,), _go(meshing.joined, CONNECTING)),
    (JOINED, _go(meshing.joined, *JOINED)),
)
_on(
    "<participants>",
    ((IDLE,), _go(meshing.not_there, IDLE)),
    ((ENDED,), _go(meshing.not_there, ENDED)),
    ((INCOMING,), Ignore("not taken yet; the host sends it again")),
    ((OUTGOING,), _NOT_NOW),
    ((CONNECTING,), _go(meshing.list_came, CONNECTING, CONNECTED)),
    (JOINED, _go(meshing.list_came, *JOINED)),
)
_rule: Callable[..., Any]
for _type, _rule in (
    ("state", participants.told_state),
    ("chat", participants.chatted),
    ("dtmf", participants.pressed_digits),
    ("custom", participants.sent_custom),
):
    _on(
        message(_type),
        ((IDLE,), _UNKNOWN),
        ((ENDED,), _OVER),
        (RINGING, _NOT_NOW),
        *_stay(_rule, ANSWERED),
    )
_on(
    "<request>",
    ((IDLE,), _UNKNOWN),
    ((ENDED,), _OVER),
    (RINGING, _NOT_NOW),
    ((CONNECTING,), _go(participants.requested, CONNECTING, ENDED)),
    (JOINED, _go(participants.requested, *JOINED, ENDED)),
)
_on(
    "<response>",
    ((IDLE,), _UNKNOWN),
    ((ENDED,), _OVER),
    (RINGING, Refuse("unexpected_response", "this device has not asked for anything")),
    *_stay(participants.responded, ANSWERED),
)

# -------------------- reports

_GONE = Ignore("its call is over")
_NONE_YET = Ignore("no connection is open while a call rings")

_on(
    Report.PEER_OFFERED,
    (NO_CALL, _GONE),
    (RINGING, _NONE_YET),
    *_stay(peers.offered, ANSWERED),
)
_on(
    Report.PEER_ANSWERED,
    (NO_CALL, _GONE),
    (RINGING, _NONE_YET),
    *_stay(peers.answered, ANSWERED),
)
_on(
    Report.PEER_AGREED,
    (NO_CALL, _GONE),
    (RINGING, _NONE_YET),
    *_stay(peers.agreed, ANSWERED),
)
_on(
    Report.PEER_FOUND,
    (NO_CALL, _GONE),
    (RINGING, _NONE_YET),
    *_stay(peers.found, ANSWERED),
)
_on(
    Report.PEER_CONNECTED,
    (NO_CALL, _GONE),
    (RINGING, _NONE_YET),
    ((CONNECTING,), _go(peers.connected, CONNECTED)),
    *_stay(peers.connected, (CONNECTED,)),
    ((RECONNECTING,), _go(peers.connected, RECONNECTING, CONNECTED)),
)
_on(
    Report.PEER_LOST,
    (NO_CALL, _GONE),
    (RINGING, _NONE_YET),
    ((CONNECTING,), Ignore("it was never connected: the set-up time decides")),
    ((CONNECTED,), _go(peers.lost, CONNECTED, RECONNECTING)),
    *_stay(peers.lost, (RECONNECTING,)),
)
_on(
    Report.PEER_RESTORED,
    (NO_CALL, _GONE),
    (RINGING, _NONE_YET),
    ((CONNECTING,), Ignore("it was never connected: the set-up time decides")),
    *_stay(peers.restored, (CONNECTED,)),
    ((RECONNECTING,), _go(peers.restored, RECONNECTING, CONNECTED)),
)
_on(
    Report.PEER_FAILED,
    (NO_CALL, _GONE),
    (RINGING, _NONE_YET),
    ((CONNECTING,), _go(peers.failed_to_open, CONNECTING, ENDED)),
    (JOINED, _go(peers.failed, *JOINED, ENDED)),
)
_on(
    Report.RING_TIMED_OUT,
    (NO_CALL, _GONE),
    ((INCOMING,), _go(incoming.timed_out, ENDED)),
    ((OUTGOING,), _go(outgoing.timed_out, ENDED)),
    *_stay_or_end(outgoing.stop_ringing, ANSWERED),
)
_on(
    Report.SETUP_TIMED_OUT,
    (NO_CALL, _GONE),
    (RINGING, _NONE_YET),
    ((CONNECTING,), _go(peers.setup_timed_out, ENDED)),
    (JOINED, Ignore("media flows")),
)
_on(
    Report.RECONNECT_TIMED_OUT,
    (NO_CALL, _GONE),
    (RINGING, _NONE_YET),
    ((CONNECTING, CONNECTED), Ignore("nothing is lost")),
    ((RECONNECTING,), _go(outage.timed_out, ENDED)),
)
_on(
    Report.FAREWELL_TIMED_OUT,
    (NO_CALL, _GONE),
    ((*RINGING, CONNECTING), Ignore("no connection was closed")),
    (JOINED, _go(peers.no_farewell, *JOINED, ENDED)),
)
_on(
    Report.LIST_DUE,
    (NO_CALL, _GONE),
    ((*RINGING, CONNECTING), Ignore("nobody is in the session yet")),
    *_stay(roster.send_list, JOINED),
)
_on(
    Report.IDLE_TIMED_OUT,
    (NO_CALL, _GONE),
    ((*RINGING, CONNECTING), Ignore("nobody is in the session yet")),
    ((CONNECTED,), _go(roster.idle, ENDED)),
    ((RECONNECTING,), Ignore("whoever was lost is waited for")),
)
_on(
    Report.REQUEST_TIMED_OUT,
    (NO_CALL, _GONE),
    (RINGING, Ignore("nothing was asked")),
    *_stay_or_end(participants.unanswered, ANSWERED),
)
_on(
    Report.SPEAKER_CHANGED,
    (NO_CALL, _GONE),
    ((*RINGING, CONNECTING), Ignore("nobody is in the session yet")),
    *_stay(participants.speaks, JOINED),
)
_on(
    Report.HANG_UP_ANSWERED,
    (NO_CALL, _GONE),
    (RINGING, Ignore("it was asked for another call")),
    *_stay_or_end(own.hang_up, ANSWERED),
)
_on(
    Report.MESSAGE_EXPIRED,
    (NO_CALL, _GONE),
    (RINGING, Ignore("the ring time decides about the call")),
    ((CONNECTING,), Ignore("the set-up time decides about the call")),
    (JOINED, _go(peers.not_heard, *JOINED, ENDED)),
)
_on(
    Report.ENDPOINT_ONLINE,
    (NO_CALL, _GONE),
    ((INCOMING,), Ignore("only a caller invites")),
    *_stay(inviting.callee_came, (OUTGOING, *ANSWERED)),
)
_on(
    Report.ENDPOINT_OFFLINE,
    (NO_CALL, _GONE),
    ((INCOMING,), _go(incoming.caller_went, INCOMING, ENDED)),
    *_stay(inviting.callee_went, (OUTGOING, *ANSWERED)),
)
_on(
    Report.TRUST_WITHDRAWN,
    (NO_CALL, _GONE),
    ((INCOMING,), _go(trusting.ringing_in, INCOMING, ENDED)),
    ((OUTGOING,), _go(trusting.ringing_out, OUTGOING, ENDED)),
    ((CONNECTING,), _go(trusting.answered, CONNECTING, ENDED)),
    (JOINED, _go(trusting.answered, *JOINED, ENDED)),
)
_on(
    Report.ENDPOINT_REACHABLE,
    (NO_CALL, _GONE),
    ((*RINGING, CONNECTING), Ignore("nothing is lost yet; what waits is sent by itself")),
    *_stay(seeking.reachable, JOINED),
)
_on(
    Report.SEEK_DUE,
    (NO_CALL, _GONE),
    ((*RINGING, CONNECTING), Ignore("nobody is in the session yet")),
    *_stay(seeking.again, JOINED),
)
_on(
    Report.STOP,
    (NO_CALL, _GONE),
    ((INCOMING,), _go(own.stop_ringing_in, ENDED)),
    ((OUTGOING,), _go(own.stop_ringing_out, ENDED)),
    (ANSWERED, _go(own.stop_answered, ENDED)),
)

TABLE: Mapping[tuple[CallState, Happening], Verdict] = MappingProxyType(_TABLE)
"""Every (state, happening) and its verdict."""
