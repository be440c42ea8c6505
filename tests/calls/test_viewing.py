"""What the screen is to show: tiles, which is large, layouts, the small picture, a shared screen."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.actions import parse_action
from appliance.calls.effects import Reply, ShareScreen
from appliance.calls.inputs import (
    ButtonGestured,
    LinkChanged,
    LinkState,
    PeerAgreed,
    ReturnedToIdle,
    SpeakerChanged,
)
from appliance.calls.viewing import view_of
from appliance.commands import (
    Command,
    EndCall,
    EnterPictureInPicture,
    ExitPictureInPicture,
    PauseVideo,
    SetDoNotDisturb,
    SetLayout,
    ShowParticipantList,
)
from appliance.commands import ShareScreen as ShareCommand
from appliance.events import DominantSpeakerChanged
from appliance.messages import State
from appliance.model import Gesture, Layout, Situation, View
from tests.parts.household import (
    ALICE,
    BOB,
    CAROL,
    HOME,
    PATIENT,
    audio_call_with,
    joins,
    second_call_with,
    session_of,
)
from tests.parts.play import HOUSE, Play, command_of


@pytest.fixture
def play() -> Play:
    return session_of(ALICE, BOB)


def view(play: Play) -> View:
    return view_of(play.policy, play.state, play.moment())


def tiles(play: Play) -> list[str]:
    """Each tile: whose, and what is to be seen of it."""
    return [
        one.participant.uid + (" screen" if one.screen else "") + ("" if one.video else " avatar")
        for one in view(play).tiles
    ]


# -------------------- tiles, and the large one


def test_nothing_to_be_seen() -> None:
    idle = view(Play(PATIENT))
    assert (idle.tiles, idle.main, idle.call, idle.situation) == ((), None, None, Situation.IDLE)


def test_the_others_in_order_and_this_device_last(play: Play) -> None:
    assert tiles(play) == ["alice", "bob", "front-door"]
    assert view(play).tiles[-1].own
    assert view(play).main == 0
    assert view(play).layout is Layout.SPOTLIGHT


def test_whoever_speaks_is_large_until_it_leaves(play: Play) -> None:
    play.happens(SpeakerChanged(play.peer(BOB)))
    assert play.event(DominantSpeakerChanged).participant.uid == "bob"
    assert view(play).main == 1
    play.orders(command_of("kick_participant", uid="bob"))
    assert view(play).main == 0


def test_whom_the_settings_want_is_large_whoever_speaks() -> None:
    wants_bob = replace(PATIENT, settings=replace(PATIENT.settings, main_video="bob"))
    play = session_of(ALICE, BOB, play=Play(wants_bob, online=HOME))
    play.happens(SpeakerChanged(play.peer(ALICE)))
    assert view(play).main == 1


def test_a_shared_screen_is_larger_than_all(play: Play) -> None:
    play.happens(SpeakerChanged(play.peer(ALICE)))
    play.hears(BOB, State({"screen_sharing": True}))
    assert play.events == ["participant_started_screen_share", "participant_list_changed"]
    assert tiles(play) == ["alice", "bob screen", "bob", "front-door"]
    assert view(play).main == 1


def test_where_there_is_no_picture_an_avatar_stands(play: Play) -> None:
    play.hears(ALICE, State({"video_paused": True}))
    play.hears(BOB, State({"on_hold": True}))
    play.orders(PauseVideo())
    assert tiles(play) == ["alice avatar", "bob avatar", "front-door avatar"]
    sound = Play(PATIENT, online=HOME)
    audio_call_with(sound, ALICE)
    assert tiles(sound) == ["alice avatar", "front-door avatar"]


def test_of_two_calls_the_one_that_is_talked_in() -> None:
    play = session_of(ALICE)
    second_call_with(play, BOB)
    assert tiles(play) == ["bob", "front-door"]
    play.orders(command_of("hold_call"))
    assert tiles(play) == ["alice", "front-door"]


# -------------------- what is about the screen


@pytest.mark.parametrize(
    ("command", "event", "result"),
    [
        (SetLayout(layout=Layout.TILE), "call_layout_changed", {"layout": "tile"}),
        (ShowParticipantList(), "participant_list_visible", {"visible": True}),
        (
            EnterPictureInPicture(),
            "picture_in_picture_layout_enabled",
            {"picture_in_picture": True},
        ),
    ],
)
def test_commands_about_the_screen(
    play: Play, command: Command, event: str, result: object
) -> None:
    play.orders(command)
    assert play.events == [event]
    assert play.done(Reply) == [Reply(1, result)]
    play.orders(command)
    assert play.events == [], "it is so already"
    none = session_of(ALICE, play=Play(replace(PATIENT, has_screen=False), online=HOME))
    none.orders(command)
    assert "no screen" in none.done(Reply)[0].result["note"]


def test_after_the_call_the_screen_is_as_before(play: Play) -> None:
    play.orders(EnterPictureInPicture())
    play.orders(ShowParticipantList())
    play.orders(EndCall())
    assert {"picture_in_picture_layout_disabled", "participant_list_hidden"} <= set(play.events)
    assert not view(play).picture_in_picture
    play.orders(EnterPictureInPicture())
    assert play.done(Reply)[0].code == "no_call"
    play.orders(ShowParticipantList())
    assert play.done(Reply)[0].code is None


def test_the_small_picture_and_back(play: Play) -> None:
    play.orders(ExitPictureInPicture())
    assert play.events == []
    play.orders(EnterPictureInPicture())
    play.orders(ExitPictureInPicture())
    assert play.events == ["picture_in_picture_layout_disabled"]


# -------------------- sharing the own screen


def test_the_screen_is_shared_with_all_and_no_longer(play: Play) -> None:
    for one in (ALICE, BOB):
        play.happens(PeerAgreed(play.peer(one), video=True, screen=True))
    play.orders(ShareCommand())
    assert play.events == ["screen_share_started"]
    assert play.done(ShareScreen) == [ShareScreen(on=True)]
    assert {one[2] for one in play.sent} == {"state", "participants"}, "all have a section for it"
    play.orders(ShareCommand())
    assert play.outputs == [Reply(1)]
    play.orders(ShareCommand(sharing=False))
    assert play.events == ["screen_share_stopped"]


def test_who_comes_later_is_shown_it_too() -> None:
    play = session_of(ALICE)
    play.orders(ShareCommand())
    play.orders(command_of("invite", receiver="bob"))
    joins(play, BOB)
    assert play.message_of(BOB, State).changes == {"screen_sharing": True}
    assert ("bob", "phone", "request") in play.sent, "for a section to send it in"
    assert ("alice", "phone", "request") not in play.sent


def test_it_is_over_with_the_call(play: Play) -> None:
    play.orders(ShareCommand())
    play.orders(EndCall())
    assert "screen_share_stopped" in play.events
    assert {one[2] for one in play.sent} == {"end"}


def test_it_is_over_with_the_call_though_another_rings(play: Play) -> None:
    play.orders(ShareCommand())
    play.is_called(CAROL, "second")
    play.orders(EndCall())
    assert play.done(ShareScreen) == [ShareScreen(on=False)]


@pytest.mark.parametrize("code", ["no_screen", "no_video", "not_connected", "no_call"])
def test_what_cannot_be_shared(code: str) -> None:
    play = Play(HOUSE if code == "no_screen" else PATIENT, online=HOME)
    match code:
        case "no_screen":
            play.is_in_call_with(ALICE)
        case "no_video":
            audio_call_with(play, ALICE)
        case "not_connected":
            play.is_called(ALICE)
    play.orders(ShareCommand())
    assert play.done(Reply)[0].code == code


# -------------------- buttons, and how it ends


def test_the_layout_button_goes_round() -> None:
    buttons = {("l", Gesture.PRESS): parse_action("change_layout")}
    play = Play(replace(PATIENT, buttons=buttons))
    seen = []
    for _ in Layout:
        play.happens(ButtonGestured("l", Gesture.PRESS))
        assert play.events == ["change_layout_button_clicked", "call_layout_changed"]
        seen.append(play.state.layout)
    assert sorted(seen) == sorted(Layout)


def test_until_the_default_action_has_run_the_screen_stays(play: Play) -> None:
    play.returns = False
    call_id = play.call.call_id
    play.orders(EndCall())
    assert view(play).situation is Situation.IN_CALL
    play.happens(ReturnedToIdle("another"))
    assert view(play).situation is Situation.IN_CALL
    play.is_called(ALICE)
    assert view(play).situation is Situation.RINGING_IN, "what begins is shown at once"
    play.happens(ReturnedToIdle(call_id))
    play.orders(command_of("reject_call"))
    play.happens(ReturnedToIdle("call-1"))
    assert view(play).situation is Situation.IDLE


def test_what_else_is_shown() -> None:
    play = Play(PATIENT, online=HOME)
    play.orders(SetDoNotDisturb())
    play.is_called(ALICE)
    assert view(play).do_not_disturb
    assert view(play).missed_calls == 1
    assert view(play).situation is Situation.MISSED_CALL
    play.happens(LinkChanged(LinkState.OFFLINE))
    assert view(play).situation is Situation.BROKER_AWAY
