"""What the configuration means to the core."""

from __future__ import annotations

from appliance.actions import Verb
from appliance.calls.policy import ContactPolicy
from appliance.config import (
    Button,
    CallSection,
    Config,
    Contact,
    Device,
    Group,
    InputPin,
    Keypad,
    Led,
    Panel,
    Relay,
    Security,
)
from appliance.model import Gesture, Receiver, ReceiverType, Right
from appliance.policy import contact_policies, hold_of, policy_of
from appliance.trust.keys import DeviceKey

CONFIG = Config(
    security=Security(unsigned="allow"),
    device=Device(id="front-door", name="Front door"),
    contacts={
        "alice": Contact(name="Alice", may=(Right.CALL, Right.ANSWER)),
        "bob": Contact(),
    },
    groups={
        "all": Group(members=("alice", "bob"), policy="all"),
        "first": Group(members=("alice",)),
    },
    call=CallSection(
        receiver="user:alice", ring_timeout_s=12, auto_answer=("alice",), audio_only=True
    ),
    buttons={"bell": Button(pin=17, press="call", hold="call:group:all"), "idle": Button(pin=4)},
    relays={"door": Relay(pin=5), "gong": Relay(pin=6, on="ringing")},
)


def test_people_rights_and_groups() -> None:
    policy = policy_of(CONFIG)
    assert policy.may("alice", Right.ANSWER)
    assert not policy.may("alice", Right.UNLOCK)
    assert not policy.may("bob", Right.CALL)
    assert not policy.may("mallory", Right.CALL)
    assert policy.name_of("alice") == "Alice"
    assert policy.groups["first"].first_takes_it
    assert not policy.groups["all"].first_takes_it


def test_without_a_key_nobody_may_anything_where_signatures_are_wanted() -> None:
    contacts = {
        "alice": Contact("Alice", (DeviceKey.make().public,), (Right.CALL,)),
        "bob": Contact("Bob", (), (Right.CALL,)),
    }
    assert contact_policies(contacts, "refuse") == {
        "alice": ContactPolicy("Alice", frozenset({Right.CALL})),
        "bob": ContactPolicy("Bob", frozenset()),
    }
    assert contact_policies(contacts, "allow")["bob"].may == {Right.CALL}


def test_who_was_paired_is_known_beside_who_is_configured() -> None:
    paired = {**CONFIG.contacts, "carol": Contact("Carol", may=(Right.ANSWER,))}
    assert policy_of(CONFIG, paired).may("carol", Right.ANSWER)
    assert not policy_of(CONFIG).may("carol", Right.ANSWER)


def test_the_call_section() -> None:
    policy = policy_of(CONFIG)
    assert policy.receiver == Receiver(ReceiverType.USER, "alice", "Alice")
    assert policy.ring_timeout_s == 12
    assert policy.auto_answer == frozenset({"alice"})
    assert policy.settings.audio_only
    assert policy_of(Config()).receiver is None


def test_where_leaving_is_confirmed_by_holding_the_button_that_leaves_is_held() -> None:
    confirms = CallSection(hang_up_confirmation="hold")
    for press, hold, held in (
        ("leave", None, "leave"),
        ("command:end_call", None, "command:end_call"),
        ("answer", "decline", "decline"),
        ("chat", None, None),
    ):
        button = Button(1, press=press, hold=hold)
        assert hold_of(button, Config(call=confirms)) == held
        assert hold_of(button, Config()) == hold


def test_buttons_and_relays() -> None:
    policy = policy_of(CONFIG)
    assert {key: action.verb for key, action in policy.buttons.items()} == {
        ("bell", Gesture.PRESS): Verb.CALL,
        ("bell", Gesture.HOLD): Verb.CALL,
    }
    held = policy.buttons["bell", Gesture.HOLD]
    assert held.receiver == Receiver(ReceiverType.GROUP, "all")
    assert policy.relays == {"door"}, "a gong follows its situation and is no door"


def test_keys_are_buttons_and_exit_buttons_open() -> None:
    settings = Config(
        relays={"door": Relay(pin=5), "gong": Relay(pin=6, on="ringing"), "gate": Relay(pin=7)},
        keypads={
            "front": Keypad((8,), (9, 10, 11), ("1#x",), {"#": "call", "x": "unlock"}),
        },
        inputs={
            "hall": InputPin(12, "exit"),
            "yard": InputPin(13, "exit", relay="gate"),
            "none": InputPin(14, "exit", relay=""),
            "front": InputPin(15, "door_contact", left_open_s=60),
            "back": InputPin(16, "door_contact"),
        },
        leds={"privacy": Led(pin=17, privacy=True)},
        panel=Panel(max_presses=7),
    )
    policy = policy_of(settings)
    verbs = {key: action.verb for (key, _), action in policy.buttons.items()}
    assert verbs == {"front.1": Verb.DTMF, "front.#": Verb.CALL, "front.x": Verb.UNLOCK}
    assert policy.exits == {"hall": "door", "yard": "gate"}
    assert policy.left_open_s == {"front": 60}
    assert (policy.privacy, policy.max_presses) == (True, 7)
    assert policy_of(Config(inputs={"hall": InputPin(12, "exit")})).exits == {}
    assert not policy_of(Config(leds={"status": Led(pin=17)})).privacy
