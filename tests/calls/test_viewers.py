"""Who looks through the camera without a call: who may, what it sees and hears, and when it ends."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.calls.effects import (
    AddCandidate,
    AnswerViewer,
    ClosePeer,
    DismissViewer,
    LightPrivacy,
    MutePeer,
    OpenPeer,
    StartCapture,
    StopCapture,
)
from appliance.calls.inputs import (
    VIEWING,
    CaptureClosed,
    ContactsChanged,
    FaultReported,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerKey,
    PeerLost,
    PeerRestored,
    PictureWanted,
    PrivacyLost,
    Resumed,
    SpeakerChanged,
    StopRequested,
    ViewerLeft,
    ViewerOffered,
    ViewerTrickled,
)
from appliance.calls.policy import ContactPolicy
from appliance.commands import EndCall, InitiateCall, SetDoNotDisturb
from appliance.events import Error
from appliance.messages import Address, IceCandidate
from appliance.model import Right
from tests.parts.play import ANSWER, HOUSE, OFFER, Play

WATCHED = replace(
    HOUSE,
    privacy=True,
    contacts={**HOUSE.contacts, "looker": ContactPolicy("Looker", frozenset({Right.VIEW}))},
)
PHONE = Address("alice", "phone")


def looks(uid: str | None = "alice", viewer: str = "v1", *, sound: bool = True) -> ViewerOffered:
    return ViewerOffered(viewer, uid, OFFER, sound)


def key(uid: str | None = "alice", viewer: str = "v1") -> PeerKey:
    return PeerKey(VIEWING, uid or "", viewer)


def refusal(play: Play) -> str:
    [dismissed] = play.done(DismissViewer)
    return dismissed.code


def test_who_may_sees_by_the_light_of_the_led_and_rings_nowhere() -> None:
    play = Play(WATCHED, online={"alice": ["phone"]})
    play.happens(looks())
    assert [one for one in play.outputs if isinstance(one, LightPrivacy | StartCapture)] == [
        LightPrivacy(on=True),
        StartCapture(video=True, audio=True),
    ]
    [opened] = play.done(OpenPeer)
    assert (opened.peer, opened.offer, opened.sound) == (key(), OFFER, True)
    play.happens(PeerAnswered(key(), ANSWER), PeerConnected(key()), SpeakerChanged(key()))
    assert play.done(AnswerViewer) == [AnswerViewer("v1", ANSWER)]
    assert play.state.viewers[0].connected
    assert play.events == []
    assert play.sent == []
    assert play.state.calls == ()

    play.closes = False
    play.happens(ViewerLeft("v1"))
    assert play.done(ClosePeer) == [ClosePeer(key())]
    assert play.done(StopCapture) == [StopCapture(1)]
    assert play.done(LightPrivacy) == []
    play.happens(CaptureClosed(1))
    assert play.done(LightPrivacy) == [LightPrivacy(on=False)]


def test_nobody_looks_without_the_right() -> None:
    play = Play(WATCHED)
    for uid in ("carol", "guest", "mallory"):
        play.happens(looks(uid))
        assert refusal(play) == "not_allowed"
    assert not [one for one in play.all if isinstance(one, OpenPeer | StartCapture | LightPrivacy)]


def test_the_microphone_needs_another_right_and_somebody_who_wants_it() -> None:
    play = Play(WATCHED)
    play.happens(looks("looker"))
    assert [one.sound for one in play.done(OpenPeer)] == [False]
    assert play.done(StartCapture) == [StartCapture(video=True, audio=False)]
    play.happens(looks("alice", "v2", sound=False))
    assert [one.sound for one in play.done(OpenPeer)] == [False]
    assert play.done(StartCapture) == []
    play.happens(looks("alice", "v3"))
    assert play.done(StartCapture) == [StartCapture(video=True, audio=True)]
    play.happens(ViewerLeft("v3"))
    assert play.done(StartCapture) == [StartCapture(video=True, audio=False)]


def test_on_this_machine_nobody_is_asked_who_it_is() -> None:
    play = Play(WATCHED)
    play.happens(looks(None))
    assert [one.sound for one in play.done(OpenPeer)] == [True]


def test_there_are_no_more_than_are_allowed() -> None:
    play = Play(WATCHED)
    for number in range(WATCHED.max_viewers):
        play.happens(looks(viewer=f"v{number}"))
        assert play.done(OpenPeer)
    play.happens(looks(viewer="one-more"))
    assert refusal(play) == "too_many_viewers"
    play.happens(ViewerLeft("v0"), looks(viewer="one-more"))
    assert play.done(OpenPeer)
    play.happens(looks(viewer="one-more"))
    assert play.done(OpenPeer) == [], "one id is one viewer"


def test_without_a_camera_there_is_nothing_to_see() -> None:
    play = Play(replace(WATCHED, cameras=frozenset()))
    play.happens(looks())
    assert refusal(play) == "no_camera"
    play.happens(PictureWanted())
    assert play.outputs == []


def test_a_call_is_not_heard_by_who_only_looks() -> None:
    play = Play(WATCHED, online={"alice": ["phone"]})
    play.happens(looks("bob"), PeerConnected(key("bob")))
    play.is_in_call_with(PHONE)
    assert MutePeer(key("bob"), True) in play.all
    assert not play.done(StartCapture), "what was open stays so"
    play.orders(EndCall())
    assert play.done(MutePeer) == [MutePeer(key("bob"), False)]
    assert play.done(StopCapture) == [], "somebody still looks"
    play.happens(ViewerLeft("v1"))
    assert play.done(StopCapture)


def test_who_comes_during_a_call_sees_and_does_not_hear() -> None:
    play = Play(WATCHED, online={"alice": ["phone"]})
    play.is_in_call_with(PHONE)
    play.happens(looks("bob"))
    assert play.done(MutePeer) == [MutePeer(key("bob"), True)]
    play.happens(ViewerLeft("v1"))
    assert play.done(StopCapture) == []
    assert len(play.state.calls) == 1


def test_do_not_disturb_disturbs_no_viewer() -> None:
    play = Play(WATCHED)
    play.orders(SetDoNotDisturb())
    play.happens(looks())
    assert play.done(OpenPeer)


def test_who_is_not_heard_of_for_long_is_let_go() -> None:
    play = Play(WATCHED)
    play.happens(looks(), PeerConnected(key()), PeerLost(key()))
    play.wait(9)
    assert play.state.viewers
    play.happens(PeerRestored(key()))
    play.wait(20)
    play.happens(PeerLost(key()))
    play.wait(11)
    assert refusal(play) == "connection_lost"
    assert play.state.viewers == ()


def test_nobody_looks_for_ever() -> None:
    play = Play(replace(WATCHED, view_limit_s=600))
    play.happens(looks(), PeerConnected(key()))
    play.wait(601)
    assert refusal(play) == "timed_out"
    assert play.done(ClosePeer) == [ClosePeer(key())]


def test_a_connection_that_fails_ends_the_view_with_its_reason() -> None:
    play = Play(WATCHED)
    play.happens(looks(), PeerFailed(key(), "no_common_codec", "no H.264"))
    assert play.done(DismissViewer) == [DismissViewer("v1", "no_common_codec", "no H.264")]
    play.happens(PeerFailed(key(), "failed", "late"), PeerConnected(key()))
    assert play.outputs == []


def test_candidates_go_to_who_looks() -> None:
    play = Play(WATCHED)
    candidate = IceCandidate("candidate:1 1 udp 1 192.0.2.1 9 typ host", "0")
    play.happens(ViewerTrickled("v1", candidate))
    assert play.outputs == []
    play.happens(looks(), ViewerTrickled("v1", candidate))
    assert play.done(AddCandidate) == [AddCandidate(key(), candidate)]


def test_who_is_a_contact_no_more_or_may_look_no_more_is_let_go() -> None:
    play = Play(WATCHED)
    play.happens(looks("looker"), looks("alice", "v2"), looks("bob", "v3"), looks(None, "v4"))
    contacts = {uid: one for uid, one in WATCHED.contacts.items() if uid != "looker"}
    contacts["bob"] = ContactPolicy("Bob", frozenset({Right.CALL}))
    play.happens(ContactsChanged(contacts, frozenset()))
    assert {one.viewer: one.code for one in play.done(DismissViewer)} == {
        "v1": "not_allowed",
        "v3": "not_allowed",
    }
    assert [one.id for one in play.state.viewers] == ["v2", "v4"]


def test_all_go_when_the_appliance_stops_and_none_comes_after() -> None:
    play = Play(WATCHED)
    play.happens(looks(), looks("bob", "v2"))
    play.happens(StopRequested())
    assert {one.viewer for one in play.done(DismissViewer)} == {"v1", "v2"}
    play.happens(looks(viewer="v3"))
    assert refusal(play) == "stopping"
    play.happens(PictureWanted())
    assert play.outputs == []


def test_a_picture_opens_the_camera_for_a_moment() -> None:
    play = Play(WATCHED)
    play.happens(PictureWanted())
    assert play.done(StartCapture) == [StartCapture(video=True, audio=False)]
    play.wait(3)
    play.happens(PictureWanted())
    assert play.done(StartCapture) == []
    play.wait(3)
    assert play.done(StopCapture) == []
    play.wait(3)
    assert play.done(StopCapture)


def test_a_picture_of_an_audio_call_leaves_its_microphone_alone() -> None:
    play = Play(WATCHED, online={"alice": ["phone"]})
    play.orders(InitiateCall(receiver="alice", type="audio"))  # type: ignore[arg-type]
    play.happens(PictureWanted())
    assert play.done(StartCapture) == [StartCapture(video=True, audio=True)]
    play.wait(6)
    assert play.done(StartCapture) == [StartCapture(video=False, audio=True)]


@pytest.mark.parametrize("uid", ["looker", "alice"])
def test_what_went_dark_or_slept_is_judged_anew(uid: str) -> None:
    play = Play(WATCHED)
    play.happens(looks(uid))
    play.happens(PrivacyLost())
    assert play.done(StartCapture) == [StartCapture(video=True, audio=uid == "alice")]
    play.happens(Resumed(3.0))
    assert play.outputs, "the camera is opened anew"


def test_an_error_of_a_view_is_of_no_call() -> None:
    play = Play(WATCHED)
    play.happens(FaultReported("bad_candidate", "no", "candidate of alice", VIEWING))
    [emitted] = play.outputs[-1:]
    assert play.find(Error)
    assert getattr(emitted, "call_id", None) is None
