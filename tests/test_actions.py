"""The actions of a button, read from the configuration's spelling."""

from __future__ import annotations

import pytest

from appliance.actions import Action, Verb, parse_action
from appliance.commands import SendChatMessage, SendCustomEvent, SetVolume
from appliance.model import AudioMode, Receiver, ReceiverType


def test_words_stand_alone() -> None:
    assert parse_action("call") == Action(Verb.CALL)
    assert parse_action(" unlock ") == Action(Verb.UNLOCK)


def test_a_bell_for_each_flat() -> None:
    assert parse_action("call:user:alice") == Action(
        Verb.CALL, receiver=Receiver(ReceiverType.USER, "alice")
    )
    assert parse_action("call:group:flat_3") == Action(
        Verb.CALL, receiver=Receiver(ReceiverType.GROUP, "flat_3")
    )


def test_keypad_digits() -> None:
    assert parse_action("dtmf:#") == Action(Verb.DTMF, digit="#")
    assert parse_action("dtmf:a") == Action(Verb.DTMF, digit="A")


def test_any_command_with_its_arguments() -> None:
    assert parse_action("command:set_volume output=speaker percent=30") == Action(
        Verb.COMMAND, command=SetVolume(output=AudioMode.SPEAKER, percent=30)
    )
    assert parse_action('command:send_chat_message text="One moment, please"') == Action(
        Verb.COMMAND, command=SendChatMessage(text="One moment, please")
    )
    assert parse_action("""command:send_custom_event name=lamp body='{"on": true}'""") == Action(
        Verb.COMMAND, command=SendCustomEvent(name="lamp", body={"on": True})
    )


@pytest.mark.parametrize(
    "spelling",
    [verb.value for verb in Verb if verb not in (Verb.DTMF, Verb.COMMAND)]
    + [f"dtmf:{digit}" for digit in "0123456789*#ABCD"]
    + ["call:user:alice", "call:group:family", "command:mute_audio muted=false", "command:unlock"]
    + ["command:send_chat_message 'text=One moment'"],
)
def test_an_action_is_written_as_it_was_read(spelling: str) -> None:
    assert str(parse_action(spelling)) == spelling


@pytest.mark.parametrize(
    ("spelling", "sentence"),
    [
        ("cal", '"cal" is no action; did you mean call?'),
        ("", '"" is no action: call, answer, decline'),
        ("toggle_adio", "did you mean toggle_audio?"),
        ("call:", "is to be call:user:<uid> or call:group:<id>"),
        ("call:alice", '"call:alice" is to be call:user:<uid> or call:group:<id>'),
        ("call:user:", '"" is no id'),
        ("call:user:Alice Smith", '"Alice Smith" is no id: up to 64 of a-z'),
        ("dtmf:12", "needs one digit"),
        ("dtmf", "needs one digit"),
        ("dtmf:E", "needs one digit"),
        ("unlock:door", '"unlock" takes nothing behind a colon, and here is "door"'),
        ("command", '"" is no command'),
        ("command:mute_adio", "is no command; did you mean"),
        ("command:mute_audio muted", '"muted" behind the command mute_audio is to be ARG=VALUE'),
        ("command:mute_audio muted=1 muted=0", '"muted" of the command mute_audio is given twice'),
        ("command:mute_audio on=true", 'mute_audio has no argument "on"'),
        ("command:send_chat_message text='hm", "cannot be split into words"),
    ],
)
def test_a_fault_is_a_sentence(spelling: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_action(spelling)
    assert sentence in str(caught.value)
