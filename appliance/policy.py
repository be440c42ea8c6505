"""What the configuration means to the core: who may call, whom the door calls, what a button does."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Literal

from appliance.actions import DTMF_DIGITS, Action, parse_action
from appliance.calls.policy import ContactPolicy, GroupPolicy, Policy
from appliance.config import Button, Config, Contact, Keypad
from appliance.model import AudioMode, CallSettings, CameraFacing, Gesture, Receiver, ReceiverType


def policy_of(config: Config, contacts: Mapping[str, Contact] | None = None) -> Policy:
    """The rules of a run, from a configuration that has no faults.

    `contacts` are those of configuration and pairing together, where there was any.
    """
    call = config.call
    contacts = config.contacts if contacts is None else contacts
    return Policy(
        uid=config.device.id,
        name=config.device.name,
        contacts=contact_policies(contacts, config.security.unsigned),
        groups={
            name: GroupPolicy(group.members, first_takes_it=group.policy == "first")
            for name, group in config.groups.items()
        },
        receiver=_receiver(call.receiver, contacts),
        ring_timeout_s=call.ring_timeout_s,
        auto_answer=frozenset(call.auto_answer),
        settings=_settings(call),
        buttons=_buttons(config),
        hold_to_hang_up=call.hang_up_confirmation == "hold",
        relays=frozenset(name for name, relay in config.relays.items() if relay.on is None),
        relay_digits={relay.dtmf: name for name, relay in config.relays.items() if relay.dtmf},
        invite_receiver=_receiver(call.invite_receiver, contacts),
        chat_messages=call.chat_messages,
        cameras=frozenset(CameraFacing(facing) for facing in config.cameras),
        audio_modes=tuple(mode for mode in AudioMode if mode in config.audio)
        or (AudioMode.SPEAKER,),
        max_viewers=config.http.max_viewers,
        view_limit_s=config.http.view_limit_s,
        max_presses=config.panel.max_presses,
        privacy=any(led.privacy for led in config.leds.values()),
        exits=_exits(config),
        left_open_s={
            name: pin.left_open_s
            for name, pin in config.inputs.items()
            if pin.kind == "door_contact" and pin.left_open_s is not None
        },
        has_screen=config.screen.kind != "none",
        token_key=secrets.token_bytes(32),
    )


def contact_policies(
    contacts: Mapping[str, Contact], unsigned: Literal["refuse", "allow"]
) -> dict[str, ContactPolicy]:
    """What the core knows of contacts; one without a key may nothing where signatures are wanted."""
    return {
        uid: ContactPolicy(
            contact.name,
            frozenset(contact.may) if contact.keys or unsigned == "allow" else frozenset(),
        )
        for uid, contact in contacts.items()
    }


def _receiver(text: str | None, contacts: Mapping[str, Contact]) -> Receiver | None:
    if text is None:
        return None
    type_, _, name = text.partition(":")
    contact = contacts.get(name)
    shown = contact.name if contact and type_ == ReceiverType.USER else None
    return Receiver(ReceiverType(type_), name, shown)


def _settings(settings: CallSettings) -> CallSettings:
    names = CallSettings.__struct_fields__
    return CallSettings(**{name: getattr(settings, name) for name in names})


def _buttons(config: Config) -> dict[tuple[str, Gesture], Action]:
    bound: dict[tuple[str, Gesture], Action] = {}
    for name, button in config.buttons.items():
        for gesture, text in (
            (Gesture.PRESS, button.press),
            (Gesture.DOUBLE_PRESS, button.double_press),
            (Gesture.HOLD, hold_of(button, config)),
        ):
            if text is not None:
                bound[name, gesture] = parse_action(text)
    for name, keypad in config.keypads.items():
        for key in "".join(keypad.keys):
            text = action_of(key, keypad)
            if text is not None:
                bound[f"{name}.{key}", Gesture.PRESS] = parse_action(text)
    return bound


def action_of(key: str, keypad: Keypad) -> str | None:
    """What a key does: what its section says, else the tone of a telephone's key."""
    return keypad.actions.get(key, f"dtmf:{key}" if key in DTMF_DIGITS else None)


def _exits(config: Config) -> dict[str, str]:
    """What each exit button opens."""
    doors = [name for name, relay in config.relays.items() if relay.on is None]
    usual = "door" if "door" in doors else ""
    opened = {
        name: usual if pin.relay is None else pin.relay
        for name, pin in config.inputs.items()
        if pin.kind == "exit"
    }
    return {name: relay for name, relay in opened.items() if relay}


def hold_of(button: Button, config: Config) -> str | None:
    """What holding a button does; where leaving is to be confirmed by it, the same as its press."""
    confirms = config.call.hang_up_confirmation == "hold"
    if button.hold is None and confirms and button.press and parse_action(button.press).leaves:
        return button.press
    return button.hold
