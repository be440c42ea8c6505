"""Do not disturb: switched by command and by the clock, and what callers and visitors hear of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from appliance.calls.effects import (
    PlaySound,
    Reply,
    Sound,
    StartCapture,
    StartTimer,
    StopCapture,
    StopSound,
)
from appliance.calls.inputs import ButtonGestured, ButtonPressed, Started, TimerFired
from appliance.calls.machine import advance
from appliance.calls.moment import Moment
from appliance.calls.quiet import HOURS
from appliance.calls.state import DoNotDisturb, State
from appliance.calls.telling import notice_of
from appliance.commands import AcceptCall, InitiateCall, Invite, SetDoNotDisturb
from appliance.events import CallEnded, DoNotDisturbChanged, Error
from appliance.messages import Address, Reject
from appliance.model import CallEndReason, CallState, Gesture, Notice, RejectReason
from tests.parts.household import ALICE, HOME, PATIENT, session_of
from tests.parts.play import START, Play

BUTLER = Address("butler", "phone")
NIGHT = replace(PATIENT, settings=replace(PATIENT.settings, quiet_hours="22:00-07:00"))
SOON = replace(PATIENT, settings=replace(PATIENT.settings, quiet_hours="09:30-10:00"))


@pytest.fixture
def play() -> Play:
    return Play(PATIENT, online=HOME)


# -------------------- by command


def test_on_for_good_and_off_again(play: Play) -> None:
    play.orders(SetDoNotDisturb())
    assert play.event(DoNotDisturbChanged) == DoNotDisturbChanged(True, None)
    play.orders(SetDoNotDisturb())
    assert play.events == []
    play.wait(100_000)
    assert play.state.do_not_disturb is not None
    play.orders(SetDoNotDisturb(on=False))
    assert play.event(DoNotDisturbChanged) == DoNotDisturbChanged(False, None)


@pytest.mark.parametrize(
    ("until", "told", "seconds"),
    [
        ("10:00", "2026-11-21T10:00:00Z", 3600),
        ("08:00", "2026-11-22T08:00:00Z", 23 * 3600),
        ("2026-11-21T09:01:00Z", "2026-11-21T09:01:00Z", 60),
        ("2026-11-21T11:00:00+01:00", "2026-11-21T10:00:00Z", 3600),
        ("2026-11-21T09:05", "2026-11-21T09:05:00Z", 300),
    ],
)
def test_until_a_time(play: Play, until: str, told: str, seconds: float) -> None:
    play.orders(SetDoNotDisturb(until=until))
    assert play.event(DoNotDisturbChanged) == DoNotDisturbChanged(True, told)
    play.wait(seconds - 1)
    assert play.events == []
    play.wait(2)
    assert play.event(DoNotDisturbChanged) == DoNotDisturbChanged(False, None)


@pytest.mark.parametrize(
    "until", ["25:00", "ab:cd", "soon", "", "2026-11-20T09:00:00Z", "²²:00", "+1:-5", "x" * 1000]
)
def test_what_is_no_time(play: Play, until: str) -> None:
    play.orders(SetDoNotDisturb(until=until))
    [reply] = play.done(Reply)
    assert reply.code == "bad_until"
    assert len(reply.message or "") < 200


def test_until_is_for_switching_on(play: Play) -> None:
    play.orders(SetDoNotDisturb(on=False, until="10:00"))
    assert play.done(Reply)[0].code == "bad_until"


# -------------------- what it means


def test_callers_hear_busy_and_it_is_a_missed_call(play: Play) -> None:
    play.orders(SetDoNotDisturb())
    play.is_called(ALICE)
    assert play.message("reject") == Reject(RejectReason.BUSY)
    assert play.event(CallEnded).reason is CallEndReason.BUSY
    assert not play.done(PlaySound)
    assert [one.caller.uid for one in play.state.missed] == ["alice"]


def test_whoever_is_answered_without_ringing_disturbs_nobody(play: Play) -> None:
    play.orders(SetDoNotDisturb())
    play.is_called(BUTLER)
    assert play.call.state is CallState.CONNECTING


def test_a_visitor_is_told_at_once(play: Play) -> None:
    play.orders(SetDoNotDisturb())
    play.happens(ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS))
    assert play.events == ["call_button_clicked", "outgoing_call_started", "call_ended"]
    assert play.event(CallEnded).reason is CallEndReason.BUSY
    assert not play.done(PlaySound), "do not disturb is silent"
    assert notice_of(play.policy, play.state) is Notice.NOT_NOW, "and seen all the same"
    assert play.sent == []


def test_who_rings_in_vain_is_seen_and_not_heard(play: Play) -> None:
    play.orders(SetDoNotDisturb())
    play.happens(ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS))
    assert play.done(StartCapture) == [StartCapture(video=True, audio=False)]
    play.happens(ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS))
    assert not play.done(StartCapture), "it is open"
    play.wait(4)
    assert not play.done(StopCapture)
    play.wait(2)
    assert play.done(StopCapture)


def test_a_call_that_comes_about_meanwhile_keeps_the_camera(play: Play) -> None:
    play.orders(SetDoNotDisturb())
    play.happens(ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS))
    play.is_called(BUTLER)
    assert play.done(StartCapture) == [StartCapture(video=True)]
    play.wait(7)
    assert not play.done(StopCapture)


def test_nobody_is_rung_by_command_either() -> None:
    play = session_of(ALICE)
    play.orders(SetDoNotDisturb())
    play.orders(Invite(receiver="bob"))
    assert play.done(Reply)[0].code == "do_not_disturb"
    play.orders(command_end())
    play.orders(InitiateCall(receiver="bob"))
    assert play.done(Reply)[0].code == "do_not_disturb"


def command_end() -> InitiateCall:
    from appliance.commands import COMMANDS

    return COMMANDS["end_call"]()  # type: ignore[return-value]


def test_a_call_that_rings_falls_silent_and_can_still_be_answered(play: Play) -> None:
    play.is_called(ALICE)
    play.orders(SetDoNotDisturb())
    assert play.done(StopSound) == [StopSound(Sound.RINGTONE)]
    assert play.call.state is CallState.INCOMING
    play.orders(SetDoNotDisturb(on=False))
    assert play.done(PlaySound) == [PlaySound(Sound.RINGTONE)]
    play.orders(SetDoNotDisturb())
    play.orders(AcceptCall())
    assert play.done(StopSound) == [StopSound(Sound.RINGTONE)]
    assert play.call.answered


def test_a_call_that_runs_goes_on() -> None:
    play = session_of(ALICE)
    play.orders(SetDoNotDisturb())
    assert play.call.state is CallState.CONNECTED
    assert not play.find(Error)


# -------------------- by the clock


def test_quiet_hours_begin_and_end() -> None:
    play = Play(SOON, online=HOME)
    play.happens(Started())
    assert play.events == []
    play.wait(1800)
    assert play.event(DoNotDisturbChanged) == DoNotDisturbChanged(True, "2026-11-21T10:00:00Z")
    play.wait(1800)
    assert play.event(DoNotDisturbChanged) == DoNotDisturbChanged(False, None)
    play.wait(23.5 * 3600)
    assert play.event(DoNotDisturbChanged).on, "and again the next day"


def test_hours_over_midnight() -> None:
    play = Play(NIGHT, online=HOME)
    play.happens(Started())
    play.wait(13 * 3600)
    assert play.event(DoNotDisturbChanged) == DoNotDisturbChanged(True, "2026-11-22T07:00:00Z")
    play.wait(9 * 3600)
    assert play.event(DoNotDisturbChanged) == DoNotDisturbChanged(False, None)


def test_whoever_wants_to_be_rung_in_quiet_hours_is_until_they_are_over() -> None:
    play = Play(SOON, online=HOME)
    play.happens(Started())
    play.wait(1801)
    play.orders(SetDoNotDisturb(on=False))
    play.wait(1700)
    assert play.state.do_not_disturb is None
    play.is_called(ALICE)
    assert play.call.state is CallState.INCOMING
    play.wait(24 * 3600)
    assert play.state.do_not_disturb is not None


def test_what_somebody_switched_on_outlasts_the_quiet_hours() -> None:
    play = Play(SOON, online=HOME)
    play.happens(Started())
    play.orders(SetDoNotDisturb())
    play.wait(2 * 3600)
    assert play.state.do_not_disturb == DoNotDisturb()


def test_the_same_time_twice_is_no_hours_at_all() -> None:
    same = replace(PATIENT, settings=replace(PATIENT.settings, quiet_hours="09:00-09:00"))
    play = Play(same)
    play.happens(Started())
    play.wait(24 * 3600)
    assert play.state.do_not_disturb is None


SUMMER, WINTER = timezone(timedelta(hours=2)), timezone(timedelta(hours=1))


def test_summer_time_ends_in_the_night() -> None:
    """At 03:00 of 25 October the clock is put back to 02:00: the quiet hours last an hour longer."""
    state, ends_at = State(), None
    at = datetime(2026, 10, 24, 20, 30, tzinfo=UTC)
    state, outputs = advance(NIGHT, state, Started(), berlin(at))
    assert state.do_not_disturb is not None
    while state.do_not_disturb is not None:
        [delay_s] = [
            one.delay_s for one in outputs if isinstance(one, StartTimer) and one.timer == HOURS
        ]
        at += timedelta(seconds=delay_s)
        state, outputs = advance(NIGHT, state, TimerFired(HOURS), berlin(at))
        ends_at = at
    assert ends_at == datetime(2026, 10, 25, 6, tzinfo=UTC), "07:00 of winter time"


def berlin(at: datetime) -> Moment:
    zone = SUMMER if at < datetime(2026, 10, 25, 1, tzinfo=UTC) else WINTER
    return Moment(at.timestamp(), at, "0" * 64, at.astimezone(zone))


def test_a_clock_that_is_put_back_makes_it_last() -> None:
    play = Play(PATIENT)
    play.orders(SetDoNotDisturb(until="09:30"))
    play.clock_is_off_by_s = -600
    play.wait(1801)
    assert play.state.do_not_disturb is not None
    play.wait(600)
    assert play.state.do_not_disturb is None


def test_quiet_hours_follow_a_clock_that_is_set_within_a_minute() -> None:
    """A Pi starts with the time of its last stop, and learns in the night what time it is."""
    play = Play(NIGHT, online=HOME)
    play.happens(Started())
    for off_by_s, is_quiet in ((0, False), (14 * 3600, True), (0, False)):
        play.clock_is_off_by_s = off_by_s
        play.wait(61)
        assert (play.state.do_not_disturb is not None) is is_quiet


# -------------------- over a restart


def restarted(state: State, policy: object = PATIENT) -> Play:
    play = Play(policy)  # type: ignore[arg-type]
    play.state = replace(play.state, do_not_disturb=state.do_not_disturb)
    play.happens(Started())
    return play


def test_what_was_switched_on_still_holds_after_a_restart() -> None:
    play = restarted(State(do_not_disturb=DoNotDisturb()))
    assert play.state.do_not_disturb is not None
    until = START + timedelta(minutes=5)
    play = restarted(State(do_not_disturb=DoNotDisturb(until)))
    play.wait(301)
    assert play.event(DoNotDisturbChanged) == DoNotDisturbChanged(False, None)


def test_what_was_over_meanwhile_does_not() -> None:
    play = restarted(State(do_not_disturb=DoNotDisturb(START - timedelta(minutes=5))))
    assert play.state.do_not_disturb is None


def test_quiet_hours_that_are_configured_no_more() -> None:
    scheduled = State(do_not_disturb=DoNotDisturb(START + timedelta(hours=5), scheduled=True))
    assert restarted(scheduled).state.do_not_disturb is None
    assert restarted(scheduled, NIGHT).state.do_not_disturb is None
    early = replace(PATIENT, settings=replace(PATIENT.settings, quiet_hours="08:00-10:00"))
    kept = restarted(scheduled, early).state.do_not_disturb
    assert kept == DoNotDisturb(START + timedelta(hours=1), scheduled=True)
