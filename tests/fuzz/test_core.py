"""What was understood can be decided about: no command and no message is one that the core fails at.

An error in the core ends the process. So whatever the parsers let through is given to it, in every state
of a call, and what it tells and sends of that can be written down again.
"""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from appliance.bus import to_json
from appliance.calls.effects import Emit, Output, Send
from appliance.calls.inputs import CommandIssued, MessageReceived
from appliance.commands import COMMANDS, parse_command
from appliance.messages import Address
from appliance.signaling.rejected import Rejected
from appliance.signaling.wire import Envelope, decode, encode
from tests.fuzz import mutations
from tests.parts.play import RICH, Play
from tests.signaling.envelopes import MESSAGES, envelope

fast = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ALICE = Address("alice", "phone-1")
BOB = Address("bob", "phone")
GIVEN: dict[str, Any] = {
    "receiver": "alice",
    "timeout_s": 30,
    "custom_data": {"floor": 1},
    "session_id": "5" * 32,
    "uid": "alice",
    "expires_s": 60,
    "settings": {"layout": "tile", "idle_timeout_s": 10},
    "text": "hello",
    "digits": "12#",
    "request_id": "r1",
    "until": "22:30",
    "name": "lamp",
    "body": {"on": True},
    "percent": 40,
    "relay": "door",
    "mode": "speaker",
    "layout": "tile",
    "output": "speaker",
    "type": "video",
    "reason": "rejected",
}
"""A right value for an argument, by its name; what is not here is true or false."""
LATER_S = 40.0
"""Every time of a call but that of a ring that somebody wants long is over by then."""
VALUES = (
    *mutations.HOSTILE,
    float("inf"),
    float("nan"),
    -0.0,
    10**400,
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00Z",
    "\u2028",
    "a\tb",
    {"layout": None},
    {"quiet_hours": "99:99-00:00"},
    {"idle_timeout_s": 1e308},
    {"main_video_container": {"fit": []}},
)


def idle() -> Play:
    """Nobody calls anybody."""
    return Play(RICH, online={"alice": ["phone-1"], "bob": ["phone"]})


def rung() -> Play:
    play = idle()
    play.is_called(ALICE, "c1")
    return play


def ringing() -> Play:
    play = idle()
    play.orders(parse_command("initiate_call", {"receiver": "alice"}))
    return play


def connected() -> Play:
    play = idle()
    play.is_in_call_with(ALICE)
    return play


def two_calls() -> Play:
    play = connected()
    play.orders(parse_command("hold_call", {"on_hold": True}))
    play.is_called(BOB, "c2")
    return play


STATES = (idle, rung, ringing, connected, two_calls)


def written_down(outputs: list[Output]) -> None:
    """What is told and sent can be: as JSON of the outlets, and as a message."""
    for output in outputs:
        if isinstance(output, Emit):
            json.dumps(to_json(output.event), allow_nan=False, ensure_ascii=False).encode()
        elif isinstance(output, Send):
            encode(envelope(output.message, ttl_s=output.ttl_s))


def command_from(rng: Random) -> tuple[str, dict[str, Any]]:
    """A command with arguments, of which some are what they should not be."""
    name = rng.choice(list(COMMANDS))
    args: dict[str, Any] = {}
    for field in structs.fields(COMMANDS[name]):
        if field.required or rng.random() < 0.7:
            right = copy.deepcopy(GIVEN.get(field.name, rng.random() < 0.5))
            args[field.name] = rng.choice(VALUES) if rng.random() < 0.5 else right
    return name, args


@settings(fast, max_examples=30)
@given(st.sampled_from(STATES), st.integers(0, 2**32), st.booleans())
def test_commands(begin: Any, seed: int, texts: bool) -> None:
    play, rng = begin(), Random(seed)
    for number in range(4):
        name, args = command_from(rng)
        if texts:
            args = {
                key: one if isinstance(one, str) else json.dumps(one) for key, one in args.items()
            }
        try:
            command = parse_command(name, args, texts=texts)
        except ValueError:
            continue
        written_down(play.happens(CommandIssued(command, "mqtt", number)))
        written_down(play.wait(0.5))
    written_down(play.wait(LATER_S))


def message_from(rng: Random, play: Play) -> Envelope | None:
    """What the wire lets through of a message that is spoilt; None: nothing."""
    said = json.loads(encode(envelope(rng.choice(MESSAGES))))
    call = play.state.active
    said["call_id"] = call.call_id if call is not None and rng.random() < 0.9 else "c1"
    if rng.random() < 0.8:
        said["body"] = mutations.of_json({"body": said["body"]}, rng).get("body")
    try:
        return decode("appliance/call/door/alice", mutations.as_text(said))
    except Rejected:
        return None


@settings(fast, max_examples=30)
@given(st.sampled_from(STATES), st.integers(0, 2**32))
def test_messages(begin: Any, seed: int) -> None:
    play, rng = begin(), Random(seed)
    for _ in range(8):
        found = message_from(rng, play)
        if found is not None:
            arrived = MessageReceived(found.sender, found.call_id, found.message)
            written_down(play.happens(arrived))
    written_down(play.wait(LATER_S))
