"""One turn of the core: the state as it becomes, and the list of what is told and done, in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from appliance.calls.call import LiveCall, Member
from appliance.calls.effects import Effect, Emit, Output, Send, StartTimer
from appliance.calls.inputs import Timer
from appliance.calls.moment import Moment
from appliance.calls.policy import Policy
from appliance.calls.state import State
from appliance.events import Error, Event, SessionStateChanged
from appliance.messages import Address, Message
from appliance.model import Participant, ParticipantState, SessionStateReason

ERROR_WINDOW_S = 1.0
"""Equal errors within this time become one event with a count."""
ERROR_KINDS = 64
"""How many different errors are told apart within the window."""


SESSION_ERRORS = {
    SessionStateReason.LOGIN_FAILED: 1,
    SessionStateReason.RECONNECT_FAILED: 2,
    SessionStateReason.KICKED_OUT: 3,
    SessionStateReason.LOGOUT_FAILED: 4,
}
"""The `error_code` of a session's state that is a failure; 0 is none."""


class Turn:
    """What a rule works on. It lives for one input and has no other way to act than its list."""

    def __init__(self, policy: Policy, state: State, now: Moment) -> None:
        """Begin with `state`; nothing outside is touched."""
        self.policy = policy
        self.state = state
        self.now = now
        self.outputs: list[Output] = []
        self.request: int | None = None
        """Of the command that is carried out: who waits for its answer."""
        self.origin = ""
        """Where that command was given: button, socket, mqtt, python, page."""
        self.envelope: str | None = None
        """Of the message that is judged: the call_id under which it came."""

    def set(self, **changes: Any) -> None:
        """Change the device's state."""
        self.state = replace(self.state, **changes)

    def put(self, call: LiveCall, **changes: Any) -> LiveCall:
        """Change a call as it is now (a new one becomes the active call) and give it back.

        Of `call` itself only a new one is taken as it stands: what a rule did in between remains.
        """
        call = replace(self.now_of(call), **changes)
        others = self.state.calls
        if any(other.call_id == call.call_id for other in others):
            calls = tuple(call if other.call_id == call.call_id else other for other in others)
        else:
            calls = (call, *others)
        self.set(calls=calls)
        return call

    @property
    def bell(self) -> bool:
        """The command comes from the bell, which was heard at its first edge."""
        return self.origin == "bell"

    def now_of(self, call: LiveCall) -> LiveCall:
        """The call as it is now, after what other rules did to it in this turn."""
        return self.state.call(call.call_id) or call

    def put_behind(self, call: LiveCall) -> LiveCall:
        """Add a new call that is not the active one while there is another."""
        self.set(calls=(*self.state.calls, call))
        return call

    def to_front(self, call: LiveCall) -> None:
        """Make it the active call: the one that buttons and commands are about."""
        others = tuple(one for one in self.state.calls if one.call_id != call.call_id)
        self.set(calls=(call, *others))

    def remove(self, call: LiveCall) -> None:
        """Take a call out of the state."""
        self.set(calls=tuple(one for one in self.state.calls if one.call_id != call.call_id))

    def put_member(self, call: LiveCall, member: Member) -> LiveCall:
        """Change a member of a call as it is now, or add it at the end."""
        call = self.now_of(call)
        members = [other for other in call.members if other.address != member.address]
        at = next(
            (i for i, other in enumerate(call.members) if other.address == member.address),
            len(members),
        )
        members.insert(at, member)
        return self.put(call, members=tuple(members))

    def emit(self, event: Event, call: LiveCall | None = None) -> None:
        """Tell of an event, of that call or of none."""
        self.outputs.append(Emit(event, call.call_id if call else None))

    def do(self, *effects: Effect) -> None:
        """Want something done."""
        self.outputs.extend(effects)

    def send(self, to: Address, call: LiveCall | str, message: Message, ttl_s: float = 30) -> None:
        """Want a message sent about a call, under the id by which the other side knows it."""
        if isinstance(call, str):
            call_id = call
        else:
            member = call.member(to)
            call_id = member.peer.call_id if member else call.call_id
        self.do(Send(to, call_id, message, ttl_s))

    def send_all(self, call: LiveCall, message: Message, besides: Iterable[Address] = ()) -> None:
        """Want a message sent to every member of a call, besides some."""
        for member in call.members:
            if member.address not in besides:
                self.send(member.address, call, message)

    def error(
        self, code: str, message: str, where: str | None = None, call_id: str | None = None
    ) -> None:
        """Tell of an error; equal ones within a second are counted, and told once more at its end."""
        key = f"{code} {where or ''} {call_id or ''} {message}"
        errors = dict(self.state.errors)
        if key not in errors and len(errors) >= ERROR_KINDS:
            key = "*"
        if key in errors:
            errors[key] = replace(errors[key], count=errors[key].count + 1)
        else:
            errors[key] = Error(code, message, where, 0)
            self.do(StartTimer(Timer("errors", key), ERROR_WINDOW_S))
            self.outputs.append(Emit(Error(code, message, where, 1), call_id))
        self.set(errors=errors)

    def tell_errors(self, key: str) -> None:
        """End an error's window: tell how often it came again, and begin anew if it did."""
        errors = dict(self.state.errors)
        again = errors.pop(key, None)
        if again is not None and again.count:
            errors[key] = replace(again, count=0)
            self.emit(again)
            self.do(StartTimer(Timer("errors", key), ERROR_WINDOW_S))
        self.set(errors=errors)

    def myself(self, call: LiveCall) -> Participant:
        """This device as the others in the session see it."""
        return Participant(
            uid=self.policy.uid,
            name=self.policy.name,
            endpoint=self.policy.endpoint,
            joined_at=call.answered_at,
            state=ParticipantState.CONNECTED,
            audio_muted=self.state.audio_muted,
            video_paused=self.state.video_paused,
            hand_raised=call.hand_raised,
            screen_sharing=self.state.sharing_screen,
            recording=self.records(call),
            on_hold=call.on_hold,
        )

    def hosts(self, call: LiveCall) -> bool:
        """Whether this device is the host: its list counts."""
        return call.host == self.policy.address

    def records(self, call: LiveCall) -> bool:
        """Whether this device records the call."""
        recording = self.state.recording
        return (
            recording is not None
            and recording.path is not None
            and recording.call_id == call.call_id
        )

    def session_state(self, call: LiveCall, reason: SessionStateReason) -> None:
        """Tell of a step in the session's life, in ZEGO's words; an error has a code above 0."""
        code = SESSION_ERRORS.get(reason, 0)
        self.emit(SessionStateChanged(reason, code, {"room_session_id": call.session_id}), call)
