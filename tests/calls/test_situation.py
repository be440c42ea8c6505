"""One word for what the device is about."""

from __future__ import annotations

from appliance.calls.inputs import DeviceFailed, LinkChanged, LinkState, PeerLost
from appliance.calls.situation import situation
from appliance.commands import AcceptCall, EndCall, InitiateCall, MuteAudio
from appliance.messages import Address
from appliance.model import DeviceException, Situation
from tests.parts.play import Play

ALICE = Address("alice", "phone")


def test_through_a_day() -> None:
    play = Play(online={"alice": ["phone"]})

    def shown() -> Situation:
        return situation(play.state)

    assert shown() == "idle"
    play.orders(InitiateCall(receiver="alice"))
    assert shown() == "ringing_out"
    play.orders(EndCall())
    play.is_called(ALICE)
    assert shown() == "ringing_in"
    play.orders(AcceptCall())
    assert shown() == "connecting"
    play.connects(ALICE)
    assert shown() == "in_call"
    play.orders(MuteAudio())
    assert shown() == "muted"
    play.happens(PeerLost(play.peer(ALICE)))
    assert shown() == "reconnecting"
    play.orders(EndCall())
    play.is_called(ALICE, "call-2")
    play.wait(60)
    assert shown() == "missed_call"
    play.happens(LinkChanged(LinkState.OFFLINE))
    assert shown() == "broker_away"
    play.happens(DeviceFailed("camera", DeviceException.DEVICE_UNPLUGGED))
    assert shown() == "error"
