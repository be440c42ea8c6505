"""The LED that tells of open devices: lit before, dark after, and never for nothing."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls.effects import LightPrivacy, StartCapture, StopCapture
from appliance.calls.inputs import ButtonGestured, ButtonPressed, CaptureClosed, PrivacyLost
from appliance.commands import EndCall, InitiateCall, SetDoNotDisturb
from appliance.model import Gesture
from tests.parts.play import HOUSE, Play

WATCHED = replace(HOUSE, privacy=True)


def of_capture(play: Play) -> list[object]:
    kinds = LightPrivacy | StartCapture | StopCapture
    return [output for output in play.outputs if isinstance(output, kinds)]


def test_it_is_lit_before_and_dark_once_all_is_closed() -> None:
    play = Play(WATCHED, online={"alice": ["phone"]})
    play.closes = False
    play.orders(InitiateCall(receiver="alice"))
    assert of_capture(play) == [LightPrivacy(on=True), StartCapture(video=True)]
    play.orders(EndCall())
    assert of_capture(play) == [StopCapture(1)], "it is still lit"
    play.happens(CaptureClosed(1))
    assert of_capture(play) == [LightPrivacy(on=False)]


def test_a_call_in_between_keeps_it_lit() -> None:
    play = Play(WATCHED, online={"alice": ["phone"]})
    play.closes = False
    play.orders(InitiateCall(receiver="alice"))
    play.orders(EndCall())
    play.orders(InitiateCall(receiver="alice"))
    play.happens(CaptureClosed(1))
    assert of_capture(play) == [], "somebody is filmed again"
    play.orders(EndCall())
    play.happens(CaptureClosed(1))
    assert of_capture(play) == [], "that was of the first time"
    play.happens(CaptureClosed(2))
    assert of_capture(play) == [LightPrivacy(on=False)]


def test_where_it_went_dark_by_itself_capture_is_judged_anew() -> None:
    play = Play(WATCHED, online={"alice": ["phone"]})
    play.happens(PrivacyLost())
    assert play.outputs == []
    play.orders(InitiateCall(receiver="alice"))
    play.happens(PrivacyLost())
    assert play.outputs == [StartCapture(video=True)]


def test_it_is_lit_for_a_picture_of_who_rings_in_vain() -> None:
    play = Play(WATCHED, online={"alice": ["phone"]})
    play.orders(SetDoNotDisturb())
    play.happens(ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS))
    looks = StartCapture(video=True, audio=False)
    assert of_capture(play) == [LightPrivacy(on=True), looks]
    play.happens(PrivacyLost())
    assert of_capture(play) == [looks]
    play.closes = False
    play.wait(6)
    assert of_capture(play) == [StopCapture(1)]
    play.happens(CaptureClosed(1))
    assert of_capture(play) == [LightPrivacy(on=False)]


def test_without_such_an_led_nothing_is_lit() -> None:
    play = Play(online={"alice": ["phone"]})
    play.orders(InitiateCall(receiver="alice"))
    play.orders(EndCall())
    assert not [one for one in play.all if isinstance(one, LightPrivacy)]
