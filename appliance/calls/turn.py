"""One turn of the core: the state as it becomes, and the list of what is told and done, in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from appliance.calls.effects import Effect, Emit, Output, Send, StartTimer
from appliance.calls.inputs import Timer
from appliance.calls.state import LiveCall, Member, Moment, Policy, State
from appliance.events import Error, Event
from appliance.messages import Address, Message
from appliance.model import Participant, ParticipantState

ERROR_WINDOW_S = 1.0
"""Equal errors within this time become one event with a count."""
ERROR_KINDS = 64
"""How many different errors are told apart within the window."""


class Turn:
    """What a rule works on. It lives for one input and has no other way to act than its list."""

    def __init__(self, policy: Policy, state: State, now: Moment) -> None:
        """Begin with `state`; nothing outside is touched."""
        self.policy = policy
        self.state = state
        self.now = now
        self.outputs: list[Output] = []

    def set(self, **changes: Any) -> None:
        """Change the device's state."""
        self.state = replace(self.state, **changes)

    def put(self, call: LiveCall, **changes: Any) -> LiveCall:
        """Change a call (a new one becomes the active call) and give it back."""
        call = replace(call, **changes)
        others = self.state.calls
        if any(other.call_id == call.call_id for other in others):
            calls = tuple(call if other.call_id == call.call_id else other for other in others)
        else:
            calls = (call, *others)
        self.set(calls=calls)
        return call

    def put_member(self, call: LiveCall, member: Member) -> LiveCall:
        """Change a member of a call, or add it at the end."""
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
        """Want a message sent about a call."""
        call_id = call if isinstance(call, str) else call.call_id
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
        )
