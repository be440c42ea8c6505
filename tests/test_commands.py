"""Commands made from names and values, as the socket, the command line, MQTT and a button do."""

from __future__ import annotations

import shlex
import typing
from enum import StrEnum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from appliance.commands import (
    COMMANDS,
    Command,
    HoldCall,
    InitiateCall,
    LeaveSession,
    MuteAudio,
    SendCustomEvent,
    SetVolume,
    parse_command,
    spell_command,
)
from appliance.model import AudioMode, CallType, ReceiverType


def test_plain_values_come_from_json() -> None:
    assert parse_command("mute_audio", {"muted": False}) == MuteAudio(muted=False)
    assert parse_command("leave_session", {}) == LeaveSession()
    assert parse_command(
        "initiate_call",
        {
            "receiver": "family",
            "receiver_type": "group",
            "type": "video",
            "timeout_s": 20,
            "custom_data": {"flat": [1, 2]},
        },
    ) == InitiateCall(
        receiver="family",
        receiver_type=ReceiverType.GROUP,
        type=CallType.VIDEO,
        timeout_s=20.0,
        custom_data={"flat": [1, 2]},
    )


def test_texts_come_from_a_command_line() -> None:
    typed = {"output": "headphones", "percent": "30"}
    assert parse_command("set_volume", typed, texts=True) == SetVolume(
        output=AudioMode.HEADPHONES, percent=30
    )
    assert parse_command("hold_call", {"on_hold": "false"}, texts=True) == HoldCall(on_hold=False)
    assert parse_command("initiate_call", {"timeout_s": "2.5"}, texts=True) == InitiateCall(
        timeout_s=2.5
    )
    assert parse_command(
        "send_custom_event", {"name": "3", "body": '{"a": [true]}'}, texts=True
    ) == SendCustomEvent(name="3", body={"a": [True]})


def test_null_is_for_optional_arguments_only() -> None:
    assert parse_command("initiate_call", {"type": None, "timeout_s": None}) == InitiateCall()
    assert parse_command("initiate_call", {"type": "null"}, texts=True) == InitiateCall()
    with pytest.raises(ValueError, match="muted of mute_audio cannot be null"):
        parse_command("mute_audio", {"muted": None})
    # a person may be called null
    assert parse_command("initiate_call", {"receiver": "null"}, texts=True) == InitiateCall(
        receiver="null"
    )


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("mute_adio", {}, '"mute_adio" is no command; did you mean mute_audio?'),
        ("mute_audio", {"mutd": True}, 'no argument "mutd"; did you mean muted?'),
        ("leave_session", {"x": 1}, 'leave_session has no argument "x"'),
        ("set_volume", {}, 'set_volume needs the argument "percent"'),
        ("set_volume", {"percent": True}, "is to be a whole number, and true is not"),
        ("set_volume", {"percent": 3.0}, "is to be a whole number, and 3.0 is not"),
        ("set_volume", {"percent": "3"}, 'is to be a whole number, and "3" is not'),
        ("mute_audio", {"muted": 1}, "muted of mute_audio is to be true or false, and 1 is not"),
        ("initiate_call", {"receiver": 7}, "is to be a text, and 7 is not"),
        ("initiate_call", {"timeout_s": float("nan")}, "is to be a number"),
        ("initiate_call", {"timeout_s": float("inf")}, "is to be a number"),
        (
            "set_audio_mode",
            {"mode": "speakr"},
            'one of speaker, earpiece, bluetooth, headphones, and "speakr" is not',
        ),
        ("set_audio_mode", {"mode": ["speaker"]}, 'and ["speaker"] is not'),
    ],
)
def test_a_fault_is_a_sentence(name: str, args: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_command(name, args)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("set_volume", {"percent": "loud"}, 'a whole number, and "loud" is not'),
        ("mute_audio", {"muted": "maybe"}, 'true or false, and "maybe" is not'),
        ("send_custom_event", {"name": "x", "body": "{"}, 'is to be JSON, and "{" is not'),
        ("set_volume", {"percent": "null"}, "cannot be null"),
    ],
)
def test_a_typed_fault_is_a_sentence(name: str, args: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_command(name, args, texts=True)
    assert sentence in str(caught.value)


def test_a_long_value_is_not_repeated_at_length() -> None:
    with pytest.raises(ValueError) as caught:
        parse_command("mute_audio", {"muted": "x" * 1000})
    assert len(str(caught.value)) < 200


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def _values(hint: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Any value of a command's argument."""
    if hint is typing.Any:
        return _JSON
    if options := typing.get_args(hint):
        return st.one_of([_values(option) for option in options])
    if issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    plain: dict[type, st.SearchStrategy[typing.Any]] = {
        str: st.text(),
        bool: st.booleans(),
        int: st.integers(),
        float: st.floats(allow_nan=False, allow_infinity=False),
        type(None): st.none(),
    }
    return plain[hint]


@st.composite
def any_command(draw: st.DrawFn) -> Command:
    kind = draw(st.sampled_from(list(COMMANDS.values())))
    hints = typing.get_type_hints(kind)
    make: typing.Callable[..., Command] = kind
    return make(
        **{
            field.name: draw(_values(hints[field.name]))
            for field in structs.fields(kind)
            if field.required or draw(st.booleans())
        }
    )


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(any_command())
def test_every_command_comes_back_from_its_spelling(command: Command) -> None:
    name, *words = shlex.split(spell_command(command))
    args = dict(word.split("=", 1) for word in words)
    assert parse_command(name, args, texts=True) == command


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(any_command())
def test_every_command_comes_back_from_its_values(command: Command) -> None:
    values = {name: getattr(command, name) for name in command.arguments()}
    assert parse_command(command.NAME, values) == command
