"""Direct sessions: tokens that are made, shown, forged and too old, and what follows."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.calls.effects import Reply, StartCapture
from appliance.calls.inputs import MessageExpired, PeerConnected, PeerOffered
from appliance.calls.tokens import read
from appliance.commands import AcceptCall, EndCall, GenerateToken, LeaveSession, StartSession
from appliance.errors import Refused
from appliance.events import (
    CallEnded,
    Error,
    ParticipantJoined,
    SessionJoined,
    SessionLeft,
    SessionStateChanged,
    SessionTimedOut,
)
from appliance.messages import Answer, End, Join
from appliance.model import CallEndReason, CallState, CallType, Json
from tests.parts.household import (
    ALICE,
    BOB,
    DOOR,
    GATE,
    HOME,
    PATIENT,
    agreed,
    answers,
    list_of,
)
from tests.parts.play import ANSWER, OFFER, Play

SESSION = "5" * 32
GATES_TOKEN = f"gate.{SESSION}.{SESSION}.front-door.99999.{'a' * 64}"


@pytest.fixture
def play() -> Play:
    return Play(PATIENT, online=HOME)


def token_for(play: Play, uid: str, expires_s: float = 600, session_id: str = SESSION) -> str:
    play.orders(GenerateToken(session_id=session_id, uid=uid, expires_s=expires_s))
    return str(play.done(Reply)[0].result["token"])


# -------------------- tokens


def test_a_token_says_where_to_show_it(play: Play) -> None:
    play.orders(GenerateToken(session_id=SESSION, uid="alice", expires_s=60))
    result = play.done(Reply)[0].result
    token = read(result.pop("token"))
    assert result == {
        "session_id": SESSION,
        "call_id": SESSION,
        "host": "front-door",
        "expires_s": 60,
    }
    assert (token.host, token.call_id, token.session_id, token.uid) == (
        "front-door",
        SESSION,
        SESSION,
        "alice",
    )
    assert token.expires_s == 1060, "of the monotonic clock"


def test_a_token_for_the_session_of_a_running_call(play: Play) -> None:
    play.is_in_call_with(ALICE)
    play.orders(GenerateToken(session_id=play.call.session_id, uid="bob"))
    assert play.done(Reply)[0].result["call_id"] == play.call.call_id


@pytest.mark.parametrize(
    ("session_id", "uid", "expires_s", "code"),
    [
        (SESSION, "alcie", 60, "unknown_uid"),
        ("short", "alice", 60, "bad_session_id"),
        ("UPPER" * 8, "alice", 60, "bad_session_id"),
        (SESSION, "alice", 0, "bad_expiry"),
        (SESSION, "alice", 1e9, "bad_expiry"),
        (SESSION, "alice", float("nan"), "bad_expiry"),
    ],
)
def test_what_no_token_is_made_for(
    play: Play, session_id: str, uid: str, expires_s: float, code: str
) -> None:
    play.orders(GenerateToken(session_id=session_id, uid=uid, expires_s=expires_s))
    assert play.done(Reply)[0].code == code


@pytest.mark.parametrize(
    "text",
    ["", "x", "a.b.c.d.e.f", "a.b.c.d.9", "a.b.c.d.9.f.g", "a..c.d.9.f", "x" * 600, "a.b.c.d.٣.f"],
)
def test_what_is_no_token(play: Play, text: str) -> None:
    with pytest.raises(Refused, match="this is no token"):
        read(text)
    play.orders(StartSession(token=text))
    assert play.done(Reply)[0].code == "bad_token"


def test_a_forged_token_lets_nobody_in(play: Play) -> None:
    good = token_for(play, "alice")
    play.orders(StartSession(token=token_for(play, "front-door")))
    for forged, why in (
        (good.replace(".alice.", ".bob."), "not made by this device"),
        (good.replace(".1600.", ".9600."), "not made by this device"),
        (good.replace("front-door.", "back-door."), "not made by this device"),
        (good[:-1] + ("0" if good[-1] != "0" else "1"), "not made by this device"),
        (good, "bob wants to join with the token of alice"),
        (token_for(play, "bob", session_id="6" * 32), "for another session"),
    ):
        play.wait(2)
        play.hears(BOB, Join(token=forged))
        assert play.message("end").reason == "failed"
        assert why in play.event(Error).message
    assert not play.call.admitted


def test_a_token_holds_until_it_expires_and_for_one_start_of_the_host(play: Play) -> None:
    token = token_for(play, "alice", expires_s=30)
    later = Play(replace(PATIENT, token_key=b"of another run"), online=HOME)
    later.orders(StartSession(token=token_for(later, "front-door")))
    later.hears(ALICE, Join(token=token))
    assert later.event(Error).code == "bad_token"

    play.orders(StartSession(token=token_for(play, "front-door")))
    play.wait(31)
    play.hears(ALICE, Join(token=token))
    assert play.event(Error).code == "token_expired"


def test_a_guest_makes_no_tokens_for_its_hosts_session() -> None:
    play = Play(PATIENT, online=HOME)
    play.is_called(GATE, offer=None)
    play.orders(AcceptCall())
    play.orders(GenerateToken(session_id="session-1", uid="alice"))
    assert play.done(Reply)[0].code == "bad_session_id"
    play.state = replace(play.state, calls=(replace(play.call, session_id=SESSION),))
    play.orders(GenerateToken(session_id=SESSION, uid="alice"))
    assert play.done(Reply)[0].code == "not_the_host"


# -------------------- an own session


def test_an_own_session_is_entered_at_once_and_alone(play: Play) -> None:
    play.orders(StartSession(token=token_for(play, "front-door")))
    assert play.done(Reply)[0].result == {"call_id": SESSION, "session_id": SESSION}
    assert play.events == [
        "session_state_changed",
        "audio_session_toggled",
        "session_state_changed",
        "session_joined",
    ]
    assert play.done(StartCapture) == [StartCapture(video=True)]
    assert play.call.state is CallState.CONNECTED


def test_others_come_and_go_and_the_session_stays(play: Play) -> None:
    alice = token_for(play, "alice")
    play.orders(StartSession(token=token_for(play, "front-door")))
    play.wait(50)
    play.hears(ALICE, Join(token=alice))
    play.hears(ALICE, Join(offer=OFFER))
    answers(play, ALICE)
    assert play.event(ParticipantJoined).participant.uid == "alice"
    assert not play.find(SessionJoined), "that was when this device came in"
    play.wait(100)
    assert play.call.state is CallState.CONNECTED
    play.hears(ALICE, End("hang_up"))
    play.wait(59)
    assert play.call.state is CallState.CONNECTED
    play.wait(2)
    assert play.event(SessionTimedOut).idle_s == 60
    assert play.event(SessionLeft).reason is CallEndReason.IDLE
    assert play.event(CallEnded).reason is CallEndReason.IDLE


def test_the_same_session_can_be_entered_again(play: Play) -> None:
    token = token_for(play, "front-door")
    play.orders(StartSession(token=token))
    play.orders(LeaveSession())
    play.orders(StartSession(token=token))
    assert play.event(SessionJoined).session_id == SESSION
    play.orders(EndCall())
    assert play.event(CallEnded).reason is CallEndReason.LOCAL_HANG_UP


def test_the_settings_of_a_session_are_its_own(play: Play) -> None:
    settings: Json = {
        "audio_only": True,
        "start_with_audio_muted": True,
        "idle_timeout_s": 5,
        "layout": "tile",
        "main_video": "alice",
    }
    play.orders(StartSession(token=token_for(play, "front-door"), settings=settings))
    assert play.call.type is CallType.AUDIO
    assert play.state.audio_muted
    assert play.state.layout == "tile"
    play.wait(6)
    assert play.event(SessionTimedOut).idle_s == 5


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ([], "settings is to be an object"),
        ({"layuot": "tile"}, "did you mean"),
        ({"layout": "pile"}, "layout: "),
        ({"idle_timeout_s": -1}, "idle_timeout_s is to be above 0"),
        ({"idle_timeout_s": "5"}, "idle_timeout_s: "),
        ({"accept_video": "perhaps"}, "accept_video is auto or ask"),
        ({"enabled_controls": ["leave"]}, "enabled_controls is set for the whole device"),
        ({"quiet_hours": "22:00-07:00"}, "quiet_hours is set for the whole device"),
        ({"main_video_container": {"fit": "stretch"}}, "contain or cover"),
    ],
)
def test_settings_are_checked(play: Play, settings: Json, sentence: str) -> None:
    play.orders(StartSession(token=token_for(play, "front-door"), settings=settings))
    [reply] = play.done(Reply)
    assert reply.code == "bad_settings"
    assert sentence in (reply.message or "")
    assert play.state.calls == ()


def test_one_session_at_a_time(play: Play) -> None:
    token = token_for(play, "front-door")
    play.is_in_call_with(ALICE)
    play.orders(StartSession(token=token))
    assert play.done(Reply)[0].code == "busy"


# -------------------- another host's session


def test_another_hosts_session(play: Play) -> None:
    play.orders(StartSession(token=GATES_TOKEN))
    assert play.sent == [("gate", None, "join")]
    assert play.message("join").token == GATES_TOKEN
    assert play.state.calls[0].state is CallState.CONNECTING
    assert [one.reason for one in play.find(SessionStateChanged)] == ["logging_in"]

    play.hears(GATE, list_of(GATE, ALICE, DOOR))
    assert play.event(SessionJoined).session_id == "session-1"
    assert play.call.state is CallState.CONNECTED
    for one in (GATE, ALICE):
        play.happens(PeerOffered(play.peer(one), OFFER))
        assert play.sent == [(one.uid, one.endpoint, "join")]
        play.hears(one, Answer(ANSWER))
        play.happens(agreed(play.peer(one)), PeerConnected(play.peer(one)))
        assert play.event(ParticipantJoined).participant.uid == one.uid
    play.wait(100)
    assert [one.uid for one in play.call.participants] == ["gate", "alice"]


def test_a_list_without_this_device_lets_it_in_no_further(play: Play) -> None:
    play.orders(StartSession(token=GATES_TOKEN))
    play.hears(GATE, list_of(GATE, ALICE))
    assert play.call.state is CallState.CONNECTING
    assert not play.call.members


def test_a_host_that_says_no(play: Play) -> None:
    play.orders(StartSession(token=GATES_TOKEN))
    play.hears(GATE, End("failed"))
    assert [one.reason for one in play.find(SessionStateChanged)] == ["login_failed"]
    assert play.event(CallEnded).reason is CallEndReason.FAILED
    assert not play.find(SessionLeft)


def test_a_host_that_is_not_there(play: Play) -> None:
    play.orders(StartSession(token=GATES_TOKEN))
    play.happens(MessageExpired(GATE, SESSION, Join(token=GATES_TOKEN), False))
    play.wait(11)
    assert play.event(CallEnded).reason is CallEndReason.FAILED


def test_in_a_session_in_which_no_connection_comes_about_one_does_not_stay(play: Play) -> None:
    play.orders(StartSession(token=GATES_TOKEN))
    play.hears(GATE, list_of(GATE, DOOR))
    play.wait(61)
    assert play.event(CallEnded).reason is CallEndReason.IDLE


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (GATES_TOKEN.replace(".front-door.", ".back-door."), "bad_token"),
        (GATES_TOKEN.replace("gate.", "shed."), "unknown_host"),
        (GATES_TOKEN.replace("gate.", "front-door."), "bad_token"),
    ],
)
def test_a_token_that_is_of_no_use_here(play: Play, token: str, code: str) -> None:
    play.orders(StartSession(token=token))
    assert play.done(Reply)[0].code == code
    assert play.state.calls == ()
