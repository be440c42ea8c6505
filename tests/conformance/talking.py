"""What happens in a call: what the others tell and ask, and what is pressed at the door."""

from __future__ import annotations

import pytest

from appliance.errors import Refused
from appliance.model import DeviceException
from tests.conformance.scenes import scene
from tests.conformance.stage import Stage
from tests.parts.guest import Guest


@scene()
async def a_participant_tells_of_itself(stage: Stage) -> None:
    alice = await stage.talk()
    for changes, event in (
        ({"audio_muted": True}, "participant_audio_muted"),
        ({"audio_muted": False}, "participant_audio_unmuted"),
        ({"video_paused": True}, "participant_video_paused"),
        ({"video_paused": False}, "participant_video_resumed"),
        ({"hand_raised": True}, "participant_hand_raised"),
        ({"hand_raised": False}, "participant_hand_lowered"),
        ({"screen_sharing": True}, "participant_started_screen_share"),
        ({"screen_sharing": False}, "participant_stopped_screen_share"),
        ({"recording": True}, "participant_started_recording"),
        ({"recording": False}, "participant_stopped_recording"),
    ):
        await alice.tell(**changes)
        await stage.event(event, participant={"uid": "alice", **changes})
        name = next(iter(changes))
        await stage.event("participant_list_changed", participants=[_with(stage, name)])


def _with(stage: Stage, name: str) -> dict[str, object]:
    """The one participant as the status has it."""
    call = stage.status()["call"]
    assert call is not None
    found: dict[str, object] = call["participants"][0]
    assert name in found
    return found


@scene()
async def a_participants_devices_fail_in_every_way(stage: Stage) -> None:
    alice = await stage.talk()
    for type_ in DeviceException:
        await alice.tell(camera_exception=type_.value)
        await stage.event("remote_camera_exception", type=type_.value)
        await alice.tell(microphone_exception=type_.value)
        await stage.event("remote_microphone_exception", type=type_.value)
    await alice.tell(camera_exception=None, microphone_exception=None)
    await stage.event("remote_camera_exception", type=None)
    await stage.event("remote_microphone_exception", type=None)


@scene()
async def a_participant_says_and_asks(stage: Stage) -> None:
    alice = await stage.talk()
    await alice.says("chat", text="Coming!")
    await stage.event("chat_message", participant={"uid": "alice"}, text="Coming!")
    await alice.says("dtmf", digits="42#")
    await stage.event("dtmf", digits="42#", participant={"uid": "alice"})
    await alice.says("custom", name="lamp", body={"on": True})
    await stage.event("custom", name="lamp", body={"on": True})
    await agreed(stage, alice, "unlock", relay="door")
    await agreed(stage, alice, "mute", uid="front-door")
    await stage.event("audio_muted")
    stage.status()
    await agreed(stage, alice, "unmute", uid="front-door")
    await stage.event("audio_unmuted")
    await agreed(stage, alice, "participants")
    await alice.hear("participants")
    await agreed(stage, alice, "start_recording")
    await stage.event("recording_started")
    stage.status()
    await agreed(stage, alice, "stop_recording")
    await stage.event("recording_stopped")


async def agreed(stage: Stage, one: Guest, action: str, **body: object) -> None:
    """Somebody asks for something, and gets it."""
    response = await one.asks(action, **body)
    assert response["body"]["accepted"], (action, response["body"])
    stage.seen.note(f"enum:request_action={action}")


@scene()
async def the_others_are_moderated_by_who_may(stage: Stage) -> None:
    alice = await stage.talk()
    bob = await stage.guest("bob")
    await agreed(stage, alice, "invite", receiver="user:bob")
    await bob.takes()
    await bob.talks()
    await stage.joined(bob)
    await alice.talks("bob")
    lists = [one["body"]["participants"] for one in alice.seen if one["type"] == "participants"]
    states = [one["state"] for listed in lists for one in listed if one["uid"] == "bob"]
    assert states[0] == "connecting", "who comes in is listed before its media flows"
    stage.seen.note("enum:participant_state=connecting")
    await agreed(stage, alice, "mute", uid="bob")
    await stage.event("participant_audio_muted", participant={"uid": "bob"}, muted_by="alice")
    assert bob.muted
    await agreed(stage, alice, "unmute", uid="bob")
    await stage.event("participant_audio_unmuted", participant={"uid": "bob"})
    refused = await bob.asks("kick", uid="alice")
    assert not refused["body"]["accepted"]
    await stage.event("error", code="not_allowed", where="bob")
    await agreed(stage, alice, "kick", uid="bob")
    stage.seen.note("enum:right=moderate")
    assert (await bob.hear("end"))["body"] == {"reason": "kicked_out", "kicked_by": "alice"}
    await stage.event("participant_left", participant={"uid": "bob"}, reason="kicked_out")


@scene()
async def each_right_is_needed_for_what_it_is(stage: Stage) -> None:
    dora, carol = await stage.guest("dora"), await stage.guest("carol")
    await dora.rings()
    await stage.event("error", code="not_allowed", where="dora")
    stage.seen.note("enum:right=call")  # everybody else's scenario shows that it lets in
    with pytest.raises(Refused, match="right to answer"):
        await stage.do("initiate_call", receiver="dora")
    stage.seen.note("enum:right=answer")
    await stage.call(carol)
    refused = await carol.asks("unlock", relay="door")
    assert not refused["body"]["accepted"]
    await stage.event("error", code="not_allowed", where="carol")
    stage.seen.note("enum:right=unlock")


@scene()
async def the_buttons_of_a_call(stage: Stage) -> None:
    alice = await stage.talk()
    await stage.press("own")
    await stage.event("toggle_audio_button_clicked", gesture="press")
    await stage.event("audio_muted")
    assert (await alice.hear("state"))["body"] == {"audio_muted": True}
    await stage.press("own")
    await stage.event("audio_unmuted")
    await stage.press("own", "hold")
    await stage.event("toggle_video_button_clicked", gesture="hold")
    await stage.event("video_paused")
    await stage.press("own", "hold")
    await stage.event("video_resumed")
    await stage.press("more", "hold")
    await stage.event("switch_camera_button_clicked", gesture="hold")
    await stage.event("camera_facing_changed", facing="rear")
    stage.status()
    await stage.press("more", "hold")
    await stage.event("camera_facing_changed", facing="front")


@scene()
async def the_buttons_of_a_session(stage: Stage) -> None:
    alice, bob = await stage.talk(), await stage.guest("bob")
    await stage.press("session")
    await stage.event("raise_hand_button_clicked", gesture="press")
    await stage.event("participant_hand_raised", participant={"uid": "front-door"})
    await stage.press("session")
    await stage.event("participant_hand_lowered", participant={"uid": "front-door"})
    await stage.press("session", "hold")
    await stage.event("share_invite_button_clicked", gesture="hold")
    await bob.takes()
    await bob.talks()
    await stage.joined(bob)
    await stage.press("more")
    await stage.event("chat_button_clicked", gesture="press")
    await stage.event("chat_message", text="Just a moment, please.")
    assert (await alice.hear("chat"))["body"]["text"] == "Just a moment, please."


@scene()
async def the_buttons_of_the_screen(stage: Stage) -> None:
    await stage.talk()
    for layout in ("single", "tile", "spotlight"):
        await stage.press("screen")
        await stage.event("change_layout_button_clicked")
        await stage.event("call_layout_changed", layout=layout)
    for event in ("participant_list_visible", "participant_list_hidden"):
        while not stage.told(event):  # a slow machine makes two presses of one double press
            await stage.press("screen", "double_press")
            await stage.settled()
        await stage.event("participant_list_button_clicked", gesture="double_press")


@scene()
async def the_button_that_records(stage: Stage) -> None:
    await stage.talk()
    await stage.press("screen", "hold")
    await stage.event("recording_toggle_button_clicked")
    await stage.event("recording_started")
    stage.status()
    await stage.press("screen", "hold")
    stopped = await stage.event("recording_stopped")
    assert stopped["data"]["bytes"] > 0


@scene()
async def the_call_becomes_small_and_the_screen_is_shared(stage: Stage) -> None:
    alice = await stage.talk()
    await stage.do("enter_picture_in_picture")
    await stage.event("picture_in_picture_layout_enabled")
    await stage.do("exit_picture_in_picture")
    await stage.event("picture_in_picture_layout_disabled")
    await stage.do("share_screen", sharing=True)
    await stage.event("screen_share_started")
    link = await alice.talks()
    await link.screen.until(lambda: link.screen.pictures > 2)
    await stage.do("share_screen", sharing=False)
    await stage.event("screen_share_stopped")


@scene()
async def an_audio_call_becomes_a_video_call(stage: Stage) -> None:
    alice = await stage.talk(type_="audio")
    answering = stage.loop.create_task(alice.asks("switch_to_video"))
    asked = await stage.event("switch_to_video_requested", requested_by="alice")
    request_id = asked["data"]["request_id"]
    await stage.do("answer_request", request_id=request_id, accepted=True)
    assert (await answering)["body"]["accepted"]
    stage.seen.note("enum:request_action=switch_to_video")
    await alice.offer_again(alice.door, "switch_to_video")
    await stage.event("call_switched_to_video", requested_by="alice", accepted_by="front-door")
    await alice.media.until(lambda: len(alice.media.counters) > 2)


@scene()
async def the_call_is_held_by_either_side(stage: Stage) -> None:
    alice = await stage.talk()
    await stage.do("hold_call", on_hold=True)
    await stage.event("hold_toggled", on_hold=True)
    stage.status()
    await stage.do("hold_call", on_hold=False)
    await stage.event("hold_toggled", on_hold=False)
    await alice.tell(on_hold=True)
    await stage.event("hold_toggled", on_hold=True)
    await alice.tell(on_hold=False)
    await stage.event("hold_toggled", on_hold=False)


@scene()
async def two_calls_are_merged_and_split(stage: Stage) -> None:
    alice = await stage.talk()
    await stage.do("hold_call", on_hold=True)
    bob = await stage.guest("bob")
    await stage.do("initiate_call", receiver="bob")
    await bob.takes()
    await bob.talks()
    await stage.joined(bob)
    await stage.do("merge_calls")
    await stage.event("group_toggled", grouped=True)
    await alice.talks("bob")
    stage.status()
    await stage.do("split_call", uid="bob")
    await stage.event("group_toggled", grouped=False)
    await stage.event("hold_toggled", on_hold=True)
    await stage.until(lambda: "bob" not in {uid for uid, _ in alice.links})


@scene()
async def another_device_calls_and_wants_it_agreed_anew(stage: Stage) -> None:
    gate = await stage.talk("gate", endpoint="main")
    await agreed(stage, gate, "renegotiate", reason="screen_share")
    offer = await gate.hear("offer")
    assert offer["body"]["generation"] == 1
    await agreed(stage, gate, "renegotiate", reason="reconnect")
    offer = await gate.hear("offer")
    assert offer["body"]["generation"] == 2
    await stage.until(lambda: gate.links[gate.door].generation == 2)  # it takes it by itself
    await gate.media.until(lambda: len(gate.media.counters) > 2)


@scene()
async def the_loudest_is_the_speaker(stage: Stage) -> None:
    alice = await stage.talk()
    bob = await stage.guest("bob", muted=True)
    await stage.do("invite", receiver="bob")
    await bob.takes()
    await bob.talks()
    await stage.joined(bob)
    await stage.event("dominant_speaker_changed", participant={"uid": "alice"})
    alice.muted, bob.muted = True, False
    await stage.event("dominant_speaker_changed", participant={"uid": "bob"})


@scene()
async def the_sound_comes_out_elsewhere(stage: Stage) -> None:
    await stage.talk()
    for mode in ("earpiece", "bluetooth", "headphones", "speaker"):
        await stage.do("set_audio_mode", mode=mode)
        await stage.event("audio_mode_changed", mode=mode)
        stage.status()


@scene()
async def the_door_is_opened_and_closed(stage: Stage) -> None:
    contact = stage.house.appliance.board._inputs["door"]
    assert contact is not None
    contact.move(on=True)
    await stage.event("input_changed", input="door", kind="door_contact", on=True)
    contact.move(on=False)
    await stage.event("input_changed", input="door", kind="door_contact", on=False)
