"""`CallSession`: the public face. The commands as methods, the state, the listeners, the events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from appliance import commands
from appliance.bus import Bus, CloudEvent, Dropped, Subscription, to_json
from appliance.calls.engine import Engine
from appliance.calls.faults import exceptions
from appliance.calls.moment import Moment
from appliance.commands import Command
from appliance.listeners import Listener
from appliance.model import (
    AudioMode,
    Call,
    CallState,
    CallType,
    Json,
    Layout,
    Participant,
    ReceiverType,
)

Part = Callable[[], Mapping[str, Any]]
"""What an edge contributes to the status."""


class CallSession:
    """What a program on this device works with; there is one, for all calls."""

    def __init__(
        self,
        engine: Engine,
        bus: Bus,
        *,
        now: Callable[[], Moment],
        device: Mapping[str, Any],
        parts: Mapping[str, Part],
    ) -> None:
        """Speak for the engine; `parts` adds to the status what only an edge knows."""
        self._engine = engine
        self._bus = bus
        self._now = now
        self._device = dict(device)
        self._parts = dict(parts)

    # -------------------- the state

    @property
    def state(self) -> CallState:
        """Where the active call is; idle where there is none."""
        call = self._engine.state.active
        return call.state if call else CallState.IDLE

    @property
    def call(self) -> Call | None:
        """The active call."""
        call = self._engine.state.active
        return call.public(self._now()) if call else None

    def call_of(self, call_id: str) -> Call | None:
        """The live call with that id."""
        call = self._engine.state.call(call_id)
        return call.public(self._now()) if call else None

    @property
    def participants(self) -> tuple[Participant, ...]:
        """The others in the active call's session."""
        call = self._engine.state.active
        return call.participants if call else ()

    def status(self) -> dict[str, Any]:
        """The whole state, as the command line and the local socket show it."""
        state = self._engine.state
        active = self.call
        current = None
        if active is not None:
            current = {**to_json(active), "participants": to_json(self.participants)}
        status: dict[str, Any] = {
            "device": self._device,
            "mqtt": state.link.value,
            "call": current,
            "calls": [to_json(call.public(self._now())) for call in state.calls],
            "media": {},
            "panel": {},
            "screen": {
                "layout": state.layout.value,
                "participant_list_visible": state.participant_list_visible,
                "picture_in_picture": state.picture_in_picture,
                "sharing": state.sharing_screen,
            },
            "do_not_disturb": state.do_not_disturb is not None,
            "missed_calls": len(state.missed),
            "failures": to_json(exceptions(state)),
            "faults": dict(state.faults),
            "passed_over": dict(state.passed_over),
            "viewers": [
                {"uid": one.uid, "connected": one.connected, "sound": one.sound and not one.muted}
                for one in state.viewers
            ],
        }
        for name, part in self._parts.items():
            status[name] = {**status.get(name, {}), **part()}
        return status

    # -------------------- listeners and events

    def add_listener(self, listener: Listener, listener_id: object = None) -> None:
        """Call the listener's methods from now on; one with the same id is replaced."""
        self._bus.add_listener(listener, listener_id)

    def remove_listener(self, listener: object) -> bool:
        """Call it no more (the listener itself, or its id); says whether it was there."""
        return self._bus.remove_listener(listener)

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Listen for as long as the block lasts."""
        self.add_listener(listener)
        try:
            yield
        finally:
            self.remove_listener(listener)

    def subscribe(self, patterns: tuple[str, ...] = ("*",), limit: int = 1000) -> Subscription:
        """Read events from a bounded queue: `with session.subscribe() as events:`."""
        return self._bus.subscribe(patterns, limit)

    async def events(
        self, *patterns: str, limit: int = 1000
    ) -> AsyncGenerator[CloudEvent | Dropped, None]:
        """Every event that a glob means, from now on; `Dropped` where the reader was too slow.

        It begins with the first step of the loop over it; `aclosing` ends it with its block.
        """
        with self._bus.subscribe(patterns or ("*",), limit) as subscription:
            async for item in subscription:
                yield item

    # -------------------- commands

    async def command(self, command: Command, origin: str = "python") -> Json:
        """Carry out any command; raises `errors.Refused` with the reason where it cannot be."""
        return await self._engine.command(command, origin)

    async def initiate_call(
        self,
        receiver: str | None = None,
        *,
        receiver_type: ReceiverType = ReceiverType.USER,
        type: CallType | None = None,
        timeout_s: float | None = None,
        custom_data: Json = None,
    ) -> Json:
        """Call a user or a group; without a receiver, the configured one."""
        return await self.command(
            commands.InitiateCall(
                receiver=receiver,
                receiver_type=receiver_type,
                type=type,
                timeout_s=timeout_s,
                custom_data=custom_data,
            )
        )

    async def accept_call(self, call_id: str | None = None) -> Json:
        """Answer the call that rings here; without an id, the one that does."""
        return await self.command(commands.AcceptCall(call_id=call_id))

    async def reject_call(
        self, call_id: str | None = None, *, reason: str = "rejected", custom_data: Json = None
    ) -> Json:
        """Do not take an incoming call (rejected, busy), or take an own one back (cancelled)."""
        return await self.command(
            commands.RejectCall(call_id=call_id, reason=reason, custom_data=custom_data)
        )

    async def end_call(self) -> Json:
        """End the call for everyone: the host's, or in a call of two."""
        return await self.command(commands.EndCall())

    async def leave_session(self) -> Json:
        """Leave the session; others of it stay, unless this device is the host or only one is left."""
        return await self.command(commands.LeaveSession())

    async def generate_token(self, session_id: str, *, uid: str, expires_s: float = 600) -> Json:
        """Make a capability that lets one uid into one session until it expires."""
        return await self.command(
            commands.GenerateToken(session_id=session_id, uid=uid, expires_s=expires_s)
        )

    async def start_session(self, token: str, *, settings: Json = None) -> Json:
        """Enter a session by its token, without ringing."""
        return await self.command(commands.StartSession(token=token, settings=settings))

    async def mute_audio(self, muted: bool = True) -> Json:
        """Mute this device's microphone, or open it again."""
        return await self.command(commands.MuteAudio(muted=muted))

    async def pause_video(self, paused: bool = True) -> Json:
        """Turn this device's camera off, or on again."""
        return await self.command(commands.PauseVideo(paused=paused))

    async def switch_camera(self) -> Json:
        """Change to the other camera."""
        return await self.command(commands.SwitchCamera())

    async def set_audio_mode(self, mode: AudioMode) -> Json:
        """Choose where the sound comes out."""
        return await self.command(commands.SetAudioMode(mode=mode))

    async def switch_to_video_call(self) -> Json:
        """Ask to turn the audio call into a video call."""
        return await self.command(commands.SwitchToVideoCall())

    async def start_recording(self) -> Json:
        """Begin to record the call."""
        return await self.command(commands.StartRecording())

    async def stop_recording(self) -> Json:
        """Close the recording."""
        return await self.command(commands.StopRecording())

    async def set_volume(self, percent: int, *, output: AudioMode | None = None) -> Json:
        """Set how loud an output is."""
        return await self.command(commands.SetVolume(output=output, percent=percent))

    async def enter_picture_in_picture(self) -> Json:
        """Make the call a small picture over the device's own screen."""
        return await self.command(commands.EnterPictureInPicture())

    async def exit_picture_in_picture(self) -> Json:
        """Let the call fill the screen again."""
        return await self.command(commands.ExitPictureInPicture())

    async def set_layout(self, layout: Layout) -> Json:
        """Choose how the screen arranges the participants."""
        return await self.command(commands.SetLayout(layout=layout))

    async def show_participant_list(self, visible: bool = True) -> Json:
        """Show the list of participants, or hide it."""
        return await self.command(commands.ShowParticipantList(visible=visible))

    async def raise_hand(self, raised: bool = True) -> Json:
        """Raise this device's hand, or lower it."""
        return await self.command(commands.RaiseHand(raised=raised))

    async def share_screen(self, sharing: bool = True) -> Json:
        """Share this device's screen, or stop sharing it."""
        return await self.command(commands.ShareScreen(sharing=sharing))

    async def invite(self, receiver: str | None = None) -> Json:
        """Ring a further user into the running session; without a receiver, the configured one."""
        return await self.command(commands.Invite(receiver=receiver))

    async def send_chat_message(self, text: str | None = None) -> Json:
        """Send a text to the session; without one, the next of the canned messages."""
        return await self.command(commands.SendChatMessage(text=text))

    async def hold_call(self, on_hold: bool = True) -> Json:
        """Put the call on hold, or take it off."""
        return await self.command(commands.HoldCall(on_hold=on_hold))

    async def send_dtmf(self, digits: str) -> Json:
        """Send keypad digits: 0 to 9, *, #, A to D."""
        return await self.command(commands.SendDtmf(digits=digits))

    async def call_back(self) -> Json:
        """Call who was missed last."""
        return await self.command(commands.CallBack())

    async def merge_calls(self) -> Json:
        """Make one session of the two calls."""
        return await self.command(commands.MergeCalls())

    async def split_call(self, uid: str) -> Json:
        """Take one participant out of the session into a call of its own."""
        return await self.command(commands.SplitCall(uid=uid))

    async def kick_participant(self, uid: str) -> Json:
        """Put a participant out of the session."""
        return await self.command(commands.KickParticipant(uid=uid))

    async def mute_participant(self, uid: str, *, muted: bool = True) -> Json:
        """Mute another participant's microphone, or ask it to open it."""
        return await self.command(commands.MuteParticipant(uid=uid, muted=muted))

    async def answer_request(self, request_id: str | None = None, *, accepted: bool) -> Json:
        """Say yes or no to a participant's request; without its id, to the one that waits."""
        return await self.command(commands.AnswerRequest(request_id=request_id, accepted=accepted))

    async def set_do_not_disturb(self, on: bool = True, *, until: str | None = None) -> Json:
        """Let calls ring nowhere in the house, until a time or for good."""
        return await self.command(commands.SetDoNotDisturb(on=on, until=until))

    async def send_custom_event(self, name: str, *, body: Json = None) -> Json:
        """Fire a `custom` event here and with the participants."""
        return await self.command(commands.SendCustomEvent(name=name, body=body))

    async def unlock(self, relay: str = "door") -> Json:
        """Energize a relay for its pulse; without a name, the one called door."""
        return await self.command(commands.Unlock(relay=relay))
