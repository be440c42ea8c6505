"""The listener classes: one for each family of events, one method for each event.

A program overrides the methods that it cares for, in a class of one family or of several, and adds an
instance with `session.add_listener`. A method may be a coroutine. A name that is no event fails when
the class is defined: `on_sesion_joined` would otherwise never be called, and nobody would know why. So
does a method that cannot take the event's fields, in their order.

Methods are called on the loop, so they are not to block; a listener that held it for longer than 50 ms
has its methods (those that are no coroutines) called in a thread of its own from then on, still in order.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from appliance.errors import did_you_mean
from appliance.events import EVENTS
from appliance.model import (
    AudioMode,
    Call,
    Callee,
    CallEndReason,
    CameraFacing,
    CancelReason,
    DeviceException,
    Gesture,
    Json,
    Layout,
    Participant,
    ParticipantLeftReason,
    RejectReason,
    SessionStateReason,
)

Handled = Awaitable[object] | None
"""What a method may give back: nothing, or the coroutine that goes on with it."""

DECISIONS = {
    "hang_up_confirmation": ("call",),
    "call_end_default_action": ("call", "reason", "kicked_by", "duration_s", "default_action"),
}
"""The methods of `CallListener` that decide, and what they are called with."""


class Listener:
    """What the families have in common: checking handlers, finding what is overridden."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a handler that would never be called, or not with what it expects."""
        super().__init_subclass__(**kwargs)
        families = {base.__name__ for base in cls.__mro__ if base.__module__ == __name__}
        events = {
            f"on_{event.NAME}": event for event in EVENTS.values() if event.FAMILY in families
        }
        for name in vars(cls):
            if name.startswith("on_") and name not in events:
                near = did_you_mean(name, events)
                raise TypeError(f"{cls.__name__}.{name} handles no event of its families{near}")
        for name, event in events.items():
            handler = inspect.getattr_static(cls, name)
            if getattr(handler, "__module__", None) != __name__:
                _check_parameters(
                    f"{cls.__name__}.{name}", handler, event.NAME, event.data_fields()
                )
        for name, arguments in DECISIONS.items():
            handler = inspect.getattr_static(cls, name, None)
            if handler is not None and getattr(handler, "__module__", None) != __name__:
                _check_parameters(f"{cls.__name__}.{name}", handler, name, arguments)

    def handler(self, name: str) -> Callable[..., Handled] | None:
        """The method for an event, where this class overrides it."""
        return self.overridden(f"on_{name}")

    def overridden(self, name: str) -> Callable[..., Any] | None:
        """The method of that name, where this class overrides what stands here."""
        method = getattr(type(self), name, None)
        if method is None or getattr(method, "__module__", None) == __name__:
            return None
        bound: Callable[..., Any] = getattr(self, name)
        return bound


def _check_parameters(what: str, handler: Any, name: str, fields: tuple[str, ...]) -> None:
    """Refuse what cannot be called with these fields, by position, or mixes them up."""
    wanted = ", ".join(fields) or "no fields"
    function = getattr(handler, "__func__", handler)
    if not callable(function):
        raise TypeError(f"{what} is no method; {name} calls it with {wanted}")
    myself = () if isinstance(handler, staticmethod) else (None,)
    try:
        taken = inspect.signature(function).bind(*myself, *fields)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} cannot take {wanted}: {error}") from None
    for parameter, field in taken.arguments.items():
        if parameter in fields and field in fields and parameter != field:
            raise TypeError(
                f"{what} takes {field} as {parameter}: {name} has {wanted}, in this order"
            )


class SessionStatusListener(Listener):
    """The life of the session as a whole."""

    def on_session_joined(self, session_id: str, call_id: str) -> Handled:
        """This device is in the session, once: in a call when media first flows (ICE and DTLS
        done), in a direct session when admitted, alone or not.
        """

    def on_session_left(self, session_id: str, call_id: str, reason: CallEndReason) -> Handled:
        """This device has left the session, for any reason; after session_joined only, and before
        call_ended.
        """

    def on_session_timed_out(self, session_id: str, idle_s: float) -> Handled:
        """The device was alone in the session for the idle time-out; then session_left follows."""

    def on_connection_lost(self, session_id: str) -> Handled:
        """Media from every peer stopped (consent lost or ICE disconnected); the device tries to
        reconnect.
        """

    def on_connection_restored(self, session_id: str, outage_s: float) -> Handled:
        """Media flows again after connection_lost, in the same session."""

    def on_connection_closed(self, session_id: str) -> Handled:
        """Reconnecting was given up; then session_left follows with reason connection_closed."""

    def on_session_state_changed(
        self, reason: SessionStateReason, error_code: int, extended_data: Mapping[str, Any]
    ) -> Handled:
        """Every change of the session's state, in ZEGO's words: reason is a session_state_reason;
        extended_data.room_session_id is the session's id.
        """

    def on_error(self, code: str, message: str, where: str | None, count: int) -> Handled:
        """Anything the device could not do: a rejected message, a failed command, a device that
        failed.
        """


class ParticipantEventListener(Listener):
    """The others in the session."""

    def on_participant_joined(self, participant: Participant) -> Handled:
        """Another participant's media connected."""

    def on_participant_left(
        self, participant: Participant, reason: ParticipantLeftReason
    ) -> Handled:
        """Another participant left, was lost, or was kicked out: a participant_left_reason."""

    def on_participant_list_changed(self, participants: tuple[Participant, ...]) -> Handled:
        """After every join, leave or change of a participant's state; the whole list."""

    def on_participant_audio_muted(self, participant: Participant, muted_by: str | None) -> Handled:
        """Another participant's microphone was muted."""

    def on_participant_audio_unmuted(self, participant: Participant) -> Handled:
        """Another participant's microphone was unmuted."""

    def on_participant_video_paused(self, participant: Participant) -> Handled:
        """Another participant's camera was turned off."""

    def on_participant_video_resumed(self, participant: Participant) -> Handled:
        """Another participant's camera was turned on."""

    def on_participant_hand_raised(self, participant: Participant) -> Handled:
        """A participant, this device included, raised its hand."""

    def on_participant_hand_lowered(self, participant: Participant) -> Handled:
        """A participant, this device included, lowered its hand."""

    def on_participant_started_screen_share(self, participant: Participant) -> Handled:
        """Another participant started to share a screen."""

    def on_participant_stopped_screen_share(self, participant: Participant) -> Handled:
        """Another participant stopped sharing a screen."""

    def on_participant_started_recording(self, participant: Participant) -> Handled:
        """Another participant said that it records."""

    def on_participant_stopped_recording(self, participant: Participant) -> Handled:
        """Another participant said that it stopped recording."""

    def on_dominant_speaker_changed(self, participant: Participant) -> Handled:
        """The loudest speaker, by measured audio level with hysteresis, is another participant
        than before.
        """


class MediaEventsListener(Listener):
    """This device's own microphone, camera, sound and recording."""

    def on_audio_muted(self) -> Handled:
        """This device's microphone was muted: from then on it sends silence."""

    def on_audio_unmuted(self) -> Handled:
        """This device's microphone was unmuted."""

    def on_video_paused(self) -> Handled:
        """This device's camera was turned off: no frame of it leaves the device from then on."""

    def on_video_resumed(self) -> Handled:
        """This device's camera was turned on again."""

    def on_recording_started(self, path: str) -> Handled:
        """This device began to record the call to a file."""

    def on_recording_stopped(self, path: str, duration_s: float, bytes: int) -> Handled:
        """The recording was closed and is playable."""

    def on_screen_share_started(self) -> Handled:
        """This device began to share its screen (the composed picture of its layout) in the
        session.
        """

    def on_screen_share_stopped(self) -> Handled:
        """This device stopped sharing its screen."""

    def on_audio_mode_changed(self, mode: AudioMode, available: tuple[AudioMode, ...]) -> Handled:
        """The audio output changed, or one came or went: mode is speaker, earpiece (the handset),
        bluetooth or headphones.
        """

    def on_camera_facing_changed(self, facing: CameraFacing) -> Handled:
        """The device switched camera: facing is front (towards the visitor) or rear (the second
        camera).
        """

    def on_audio_session_toggled(self, active: bool) -> Handled:
        """The sound devices were opened for a call, or released after it."""

    def on_local_camera_exception(
        self, type: DeviceException | None, message: str | None
    ) -> Handled:
        """This device's camera failed: type is a device_exception, null where it works again."""

    def on_local_microphone_exception(
        self, type: DeviceException | None, message: str | None
    ) -> Handled:
        """This device's microphone failed; null where it works again."""

    def on_remote_camera_exception(
        self, participant: Participant, type: DeviceException | None, message: str | None
    ) -> Handled:
        """Another participant reported that its camera failed; null where it works again."""

    def on_remote_microphone_exception(
        self, participant: Participant, type: DeviceException | None, message: str | None
    ) -> Handled:
        """Another participant reported that its microphone failed; null where it works again."""


class ButtonClickListener(Listener):
    """Fingers and sensors of this device; called before the default action runs."""

    def on_leave_session_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The leave (end call) button."""

    def on_toggle_audio_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The mute/unmute button."""

    def on_toggle_video_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The video on/off button."""

    def on_switch_camera_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The camera switch button."""

    def on_raise_hand_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The raise hand button."""

    def on_share_invite_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The invite button: default action rings the configured further user into the running
        session.
        """

    def on_change_layout_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The layout button."""

    def on_participant_list_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The participant list button."""

    def on_chat_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The chat button: default action sends the next of the configured canned messages."""

    def on_recording_toggle_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The recording button."""

    def on_incoming_call_accept_button_pressed(self, button: str, gesture: Gesture) -> Handled:
        """The answer button (or the handset was lifted) while a call rings."""

    def on_incoming_call_decline_button_pressed(self, button: str, gesture: Gesture) -> Handled:
        """The decline button while a call rings."""

    def on_outgoing_call_cancel_button_pressed(self, button: str, gesture: Gesture) -> Handled:
        """The leave button while this device's own call still rings."""

    def on_call_button_clicked(self, button: str, gesture: Gesture) -> Handled:
        """The call (doorbell) button: default action calls the configured user or group."""

    def on_input_changed(self, input: str, kind: str, on: bool) -> Handled:
        """A door contact, exit button, tamper switch or motion sensor changed."""


class LayoutListener(Listener):
    """What the device's screen shows."""

    def on_call_layout_changed(self, layout: Layout) -> Handled:
        """The layout changed: tile, spotlight or single."""

    def on_participant_list_visible(self) -> Handled:
        """The list of participants was shown."""

    def on_participant_list_hidden(self) -> Handled:
        """The list of participants was hidden."""

    def on_picture_in_picture_layout_enabled(self) -> Handled:
        """The call went into a small picture over the device's own screen."""

    def on_picture_in_picture_layout_disabled(self) -> Handled:
        """The call filled the screen again."""


class CallListener(Listener):
    """Ringing, answering and ending; and the two decisions about an end.

    The decisions are no events, so their names have no `on_`, and one that is spelled wrong cannot be
    told from a method of your own: it is never asked.
    """

    # -------------------- decisions

    async def hang_up_confirmation(self, call: Call) -> bool | None:
        """Asked before a local hang-up by button, screen, page, socket or Python, never for a remote
        end, a time-out, a kick or a stop: only True ends the call, False and None keep it; no listener,
        one that raises, or one that takes over 10 s counts as True. Of several, one that keeps it does.
        """

    def call_end_default_action(
        self,
        call: Call,
        reason: CallEndReason,
        kicked_by: str | None,
        duration_s: float,
        default_action: Callable[[], None],
    ) -> Handled:
        """call_ended hands its listener the default action (return to idle: LEDs, screen, sound); a
        listener that overrides it runs it itself: now, later, from any thread, or never. One that
        raises counts as not overriding.
        """
        default_action()
        return None

    # -------------------- events

    def on_incoming_call_received(self, call: Call) -> Handled:
        """An invitation arrived over MQTT and the device began to ring."""

    def on_incoming_call_accepted(self, call: Call) -> Handled:
        """This device accepted the call."""

    def on_incoming_call_declined(self, call: Call, reason: RejectReason) -> Handled:
        """This device rejected the call: reason is rejected or busy."""

    def on_incoming_call_cancelled(
        self, call: Call, reason: CancelReason, custom_data: Json
    ) -> Handled:
        """The caller cancelled before this device answered, or another endpoint answered or
        rejected: a cancel_reason.
        """

    def on_incoming_call_timeout(self, call: Call) -> Handled:
        """Nobody answered here in time: a missed call, kept in the call log."""

    def on_outgoing_call_started(self, call: Call) -> Handled:
        """This device called a user or a group."""

    def on_outgoing_call_accepted(self, call: Call, callee: Callee) -> Handled:
        """A callee accepted."""

    def on_outgoing_call_rejected(
        self, call: Call, callee: Callee, reason: RejectReason, custom_data: Json
    ) -> Handled:
        """A callee rejected: reason is rejected (ZEGO's declined) or busy (ZEGO's rejected cause
        busy).
        """

    def on_outgoing_call_timeout(self, call: Call, callees: tuple[Callee, ...]) -> Handled:
        """No callee answered in time."""

    def on_invitation_user_state_changed(self, call: Call, callees: tuple[Callee, ...]) -> Handled:
        """The state of any callee of this device's call changed, each a callee_state."""

    def on_call_ended(
        self, call: Call, reason: CallEndReason, kicked_by: str | None, duration_s: float
    ) -> Handled:
        """The call is over, answered or not, the last event of every call; reason is a
        call_end_reason, with kicked_by where kicked_out.
        """

    def on_call_back_requested(self, call: Call) -> Handled:
        """The call-back button (or command) was used after a missed call: the device calls the
        caller.
        """

    def on_hold_toggled(self, call: Call, on_hold: bool) -> Handled:
        """The call was put on hold, or taken off it, by either side."""

    def on_dtmf(self, digits: str, participant: Participant | None) -> Handled:
        """A keypad key of this device was pressed in a call, or another participant sent
        digits.
        """

    def on_group_toggled(self, call: Call, grouped: bool) -> Handled:
        """A second call was merged into the session, or split off."""

    def on_call_switched_to_video(self, requested_by: str, accepted_by: str) -> Handled:
        """An audio call became a video call."""

    def on_switch_to_video_requested(self, requested_by: str, request_id: str) -> Handled:
        """A participant asks to turn the audio call into a video call, and [call] accept_video is
        ask.
        """

    def on_do_not_disturb_changed(self, on: bool, until: str | None) -> Handled:
        """Do not disturb was switched, by command, button or quiet hours: calls ring nowhere in
        the house, visitors are told.
        """

    def on_push_registration_updated(self, token: str) -> Handled:
        """The address at which calls are pushed to this device changed: token is its inbox topic
        and endpoint, never a secret.
        """

    def on_custom(self, name: str, body: Json) -> Handled:
        """A custom event was sent by a plug-in, a hook, or a participant."""

    def on_chat_message(self, participant: Participant | None, text: str) -> Handled:
        """A text message was sent or received in the session."""
