"""Every command from every outlet: where it works, and where it is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from appliance.commands import COMMANDS
from appliance.errors import Refused
from tests.conformance.rows import NEVER_PLAIN, NEVER_WRONG, OUTLETS
from tests.conformance.scenes import SCENES
from tests.conformance.stage import Item, Stage
from tests.parts.hosted import Hosted

SESSION = "0123456789abcdef0123456789abcdef"
TOKEN = f"alice.{'a' * 32}.{'b' * 32}.front-door.9.0"

ARGUMENTS: dict[str, Item] = {
    "initiate_call": {"receiver": "alice"},
    "reject_call": {"reason": "busy"},
    "generate_token": {"session_id": SESSION, "uid": "alice"},
    "start_session": {"token": TOKEN},
    "mute_audio": {"muted": True},
    "pause_video": {"paused": True},
    "set_audio_mode": {"mode": "headphones"},
    "set_layout": {"layout": "tile"},
    "show_participant_list": {"visible": True},
    "raise_hand": {"raised": True},
    "share_screen": {"sharing": True},
    "invite": {"receiver": "bob"},
    "send_chat_message": {"text": "Hello"},
    "hold_call": {"on_hold": True},
    "send_dtmf": {"digits": "1"},
    "split_call": {"uid": "bob"},
    "kick_participant": {"uid": "bob"},
    "mute_participant": {"uid": "bob"},
    "answer_request": {"accepted": True},
    "set_volume": {"percent": 40},
    "set_do_not_disturb": {"on": True},
    "send_custom_event": {"name": "light"},
}
"""As the buttons of the house have them."""

WITH_EVENT: tuple[tuple[str, str, Item, tuple[str, Item] | None], ...] = (
    ("mute_audio", "audio_muted", {}, ("mute_audio", {"muted": False})),
    ("pause_video", "video_paused", {}, ("pause_video", {"paused": False})),
    ("switch_camera", "camera_facing_changed", {}, None),
    (
        "set_audio_mode",
        "audio_mode_changed",
        {"mode": "headphones"},
        ("set_audio_mode", {"mode": "speaker"}),
    ),
    ("start_recording", "recording_started", {}, None),
    ("stop_recording", "recording_stopped", {}, None),
    ("enter_picture_in_picture", "picture_in_picture_layout_enabled", {}, None),
    ("exit_picture_in_picture", "picture_in_picture_layout_disabled", {}, None),
    (
        "set_layout",
        "call_layout_changed",
        {"layout": "tile"},
        ("set_layout", {"layout": "spotlight"}),
    ),
    (
        "show_participant_list",
        "participant_list_visible",
        {},
        ("show_participant_list", {"visible": False}),
    ),
    ("raise_hand", "participant_hand_raised", {}, ("raise_hand", {"raised": False})),
    ("share_screen", "screen_share_started", {}, ("share_screen", {"sharing": False})),
    ("send_chat_message", "chat_message", {"text": "Hello"}, None),
    ("hold_call", "hold_toggled", {"on_hold": True}, ("hold_call", {"on_hold": False})),
    ("send_dtmf", "dtmf", {"digits": "1", "participant": None}, None),
    (
        "set_do_not_disturb",
        "do_not_disturb_changed",
        {"on": True},
        ("set_do_not_disturb", {"on": False}),
    ),
    ("send_custom_event", "custom", {"name": "light"}, None),
)
"""Commands of a call, the event by which each is seen to work, and what undoes it."""


async def works(stage: Stage, outlet: str, name: str) -> Any:
    """Give a command of which the scenario sees that it works; its result."""
    result = await stage.give(outlet, name, **ARGUMENTS.get(name, {}))
    stage.seen.note(f"command:{name}@{outlet}")
    return result


async def in_a_call(stage: Stage, outlet: str) -> None:
    await stage.talk()
    for name, event, data, undo in WITH_EVENT:
        await works(stage, outlet, name)
        await stage.event(event, **data)
        if undo is not None:
            await stage.do(undo[0], **undo[1])
    await works(stage, outlet, "set_volume")
    await stage.until(lambda: stage.status()["media"]["volume_percent"] == 40)
    await stage.do("set_volume", percent=100)
    await works(stage, outlet, "unlock")
    await stage.until(lambda: stage.status()["panel"]["relays"]["door"] == "energized")
    await stage.until(lambda: stage.status()["panel"]["notice"] == "door_open")
    await stage.until(lambda: stage.status()["panel"]["relays"]["door"] == "released")


async def with_several(stage: Stage, outlet: str) -> None:
    await stage.talk()
    bob = await stage.guest("bob")
    await works(stage, outlet, "invite")
    await bob.takes()
    await bob.talks()
    await stage.joined(bob)
    await works(stage, outlet, "mute_participant")
    await stage.event("participant_audio_muted", participant={"uid": "bob"})
    await works(stage, outlet, "split_call")
    await stage.event("group_toggled", grouped=False)
    await works(stage, outlet, "merge_calls")
    await stage.event("group_toggled", grouped=True)
    await works(stage, outlet, "kick_participant")
    await stage.event("participant_left", participant={"uid": "bob"}, reason="kicked_out")


async def calls_begin_and_end(stage: Stage, outlet: str) -> None:
    alice = await stage.guest("alice")
    await alice.rings()
    await alice.hear("ringing")
    await works(stage, outlet, "accept_call")
    await alice.talks()
    await stage.joined(alice)
    await works(stage, outlet, "end_call")
    await stage.event("call_ended", reason="local_hang_up")
    await alice.hear("end")

    await alice.rings()
    await alice.hear("ringing")
    await works(stage, outlet, "reject_call")
    await stage.event("incoming_call_declined", reason="busy")
    await stage.event("call_ended", reason="busy")
    await alice.hear("reject")

    await works(stage, outlet, "initiate_call")
    await alice.takes()
    await alice.talks()
    await stage.joined(alice)
    await works(stage, outlet, "leave_session")
    await stage.event("call_ended", reason="local_hang_up")
    await alice.hear("end")

    missed = await alice.rings()
    await alice.hear("ringing")
    await alice.send("cancel", missed, {"reason": "cancelled", "by": None})
    await stage.event("call_ended", reason="cancelled")
    await works(stage, outlet, "call_back")
    await stage.event("call_back_requested", call={"call_id": missed})
    invite = await alice.hear("invite")
    await alice.send("reject", invite["call_id"], {"reason": "rejected", "custom_data": None})
    await stage.event("call_ended", reason="rejected")


async def sessions_by_token(stage: Stage, outlet: str) -> None:
    alice = await stage.guest("alice")
    there = Hosted(alice, call_id="a" * 32, token=TOKEN)
    if outlet == "mqtt":  # the topic names no sender: only a signature does
        for name in NEVER_PLAIN:
            stage.mqtt.command(name, ARGUMENTS[name])
            fault = await stage.event("error", code="not_plain")
            assert name in fault["data"]["message"]
            stage.seen.note(f"refusal:{name}@mqtt")
    result = await works(stage, outlet, "generate_token")
    assert outlet == "button" or result["session_id"] == SESSION
    await works(stage, outlet, "start_session")
    await alice.talks()
    await stage.joined(alice)
    await stage.do("leave_session")
    await stage.event("call_ended", reason="local_hang_up")
    assert there.there == [alice.door]
    plain = len(NEVER_PLAIN) if outlet == "mqtt" else 0
    assert len(stage.told("error")) == plain


async def audio_becomes_video(stage: Stage, outlet: str) -> None:
    alice = await stage.guest("alice")
    await stage.call(alice, "audio")
    await works(stage, outlet, "switch_to_video_call")
    await stage.event("call_switched_to_video", requested_by="front-door", accepted_by="alice")
    await stage.do("leave_session")
    await stage.event("call_ended")
    await alice.hear("end")

    await stage.call(alice, "audio")
    asking = stage.loop.create_task(alice.asks("switch_to_video"))
    await stage.event("switch_to_video_requested", requested_by="alice")
    await works(stage, outlet, "answer_request")
    assert (await asking)["body"]["accepted"]
    await alice.offer_again(alice.door, "switch_to_video")
    await stage.event("call_switched_to_video", requested_by="alice", accepted_by="front-door")


# -------------------- at the wrong time

WRONG: dict[str, Item] = {
    **ARGUMENTS,
    "unlock": {"relay": "attic"},
    "set_volume": {"percent": 140},
    "set_audio_mode": {"mode": "bluetooth"},
    "send_custom_event": {"name": "a/b"},
    "generate_token": {"session_id": SESSION, "uid": "nobody"},
    "start_session": {"token": "no-token"},
    "set_do_not_disturb": {"on": True, "until": "2001-01-01"},
    "initiate_call": {"receiver": "nobody"},
}
"""Without a call, and what is refused there too."""

NO_VALUE: dict[str, Item] = {
    "set_layout": {"layout": "round"},
    "show_participant_list": {"visible": "perhaps"},
}


async def refused(stage: Stage, outlet: str) -> None:
    """Each command where it cannot be: a code, a sentence that says why, and an error event."""
    for name in COMMANDS:
        if name in NEVER_WRONG or (outlet == "mqtt" and name in NEVER_PLAIN):
            continue
        await _is_refused(stage, outlet, name, WRONG.get(name, {}))
        told = await stage.event("error", where=name)
        assert " " in told["data"]["message"]
        stage.seen.note(f"refusal:{name}@{outlet}")
    if outlet in ("button", "python"):  # `check-config` and mypy find such a value
        return
    for name, args in NO_VALUE.items():
        await _is_refused(stage, outlet, name, args)
        stage.seen.note(f"refusal:{name}@{outlet}")


async def _is_refused(stage: Stage, outlet: str, name: str, args: Item) -> None:
    if outlet == "button":  # nobody waits for an answer
        await stage.give(outlet, name, **args)
        return
    with pytest.raises(Refused, match=r"\w \w") as refusal:
        await stage.give(outlet, name, **args)
    assert refusal.value.code


Play = Callable[[Stage, str], Awaitable[None]]
PLAYS: tuple[Play, ...] = (
    in_a_call,
    with_several,
    calls_begin_and_end,
    sessions_by_token,
    audio_becomes_video,
    refused,
)


async def _from(play: Play, outlet: str, stage: Stage) -> None:
    await play(stage, outlet)


for _outlet in OUTLETS:
    for _play in PLAYS:
        _scene = partial(_from, _play, _outlet)
        _house = "bare" if _play is refused else "commanded"
        SCENES.setdefault(_house, {})[f"{_play.__name__}_from_{_outlet}"] = _scene
