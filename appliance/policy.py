"""What the configuration means to the core: who may call, whom the door calls, what a button does."""

from __future__ import annotations

from appliance.actions import Action, parse_action
from appliance.calls.state import ContactPolicy, GroupPolicy, Policy
from appliance.config import Config
from appliance.model import CallSettings, Gesture, Receiver, ReceiverType


def policy_of(config: Config) -> Policy:
    """The rules of a run, from a configuration that has no faults."""
    call = config.call
    return Policy(
        uid=config.device.id,
        name=config.device.name,
        contacts={
            uid: ContactPolicy(contact.name, frozenset(contact.may))
            for uid, contact in config.contacts.items()
        },
        groups={
            name: GroupPolicy(group.members, first_takes_it=group.policy == "first")
            for name, group in config.groups.items()
        },
        receiver=_receiver(call.receiver, config),
        ring_timeout_s=call.ring_timeout_s,
        auto_answer=frozenset(call.auto_answer),
        settings=_settings(call),
        buttons=_buttons(config),
        relays=frozenset(name for name, relay in config.relays.items() if relay.on is None),
    )


def _receiver(text: str | None, config: Config) -> Receiver | None:
    if text is None:
        return None
    type_, _, name = text.partition(":")
    contact = config.contacts.get(name)
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
            (Gesture.HOLD, button.hold),
        ):
            if text is not None:
                bound[name, gesture] = parse_action(text)
    return bound
