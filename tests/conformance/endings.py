"""How a call and its connection end, and what goes wrong on the way."""

from __future__ import annotations

import secrets

from tests.conformance.scenes import scene
from tests.conformance.stage import Stage
from tests.parts.hosted import Hosted


@scene()
async def media_stops_and_comes_back(stage: Stage) -> None:
    alice = await stage.talk(obliges=False)
    alice.falls_silent()
    await stage.event("connection_lost")
    await stage.event("session_state_changed", reason="reconnecting")
    await stage.event("participant_list_changed")
    stage.status()
    alice.falls_silent(False)
    await stage.event("connection_restored")
    await stage.event("session_state_changed", reason="reconnected")


@scene()
async def a_lost_connection_is_replaced(stage: Stage) -> None:
    alice = await stage.talk()
    alice.falls_silent()
    await stage.event("connection_lost")
    request = await alice.hear("request")
    assert request["body"]["action"] == "renegotiate"
    await stage.event("connection_restored")
    assert alice.links[alice.door].generation == 2


@scene()
async def a_peer_vanishes_for_good(stage: Stage) -> None:
    alice = await stage.talk()
    await alice.vanishes()
    await stage.event("connection_lost")
    await stage.event("connection_closed")
    await stage.event("session_state_changed", reason="reconnect_failed")
    await stage.event("session_left", reason="connection_closed")
    await stage.event("call_ended", reason="connection_closed")


@scene()
async def one_of_several_vanishes(stage: Stage) -> None:
    await stage.talk()
    bob = await stage.guest("bob")
    await stage.do("invite", receiver="bob")
    await bob.takes()
    await bob.talks()
    await stage.joined(bob)
    await bob.vanishes()
    await stage.event("participant_left", participant={"uid": "bob"}, reason="connection_lost")


@scene()
async def alone_in_a_session_for_too_long(stage: Stage) -> None:
    session_id = secrets.token_hex(16)
    own = await stage.do("generate_token", session_id=session_id, uid="front-door")
    await stage.do("start_session", token=own["token"], settings={"idle_timeout_s": 0.3})
    timed_out = await stage.event("session_timed_out", session_id=session_id)
    assert timed_out["data"]["idle_s"] == 0.3
    await stage.event("session_left", reason="idle")
    await stage.event("call_ended", reason="idle")
    stage.seen.note("setting:idle_timeout_s")


@scene()
async def this_device_is_put_out(stage: Stage) -> None:
    alice = await stage.guest("alice")
    there = await stage.hosted(alice)
    await there.puts_out(alice.door, by="alice")
    await stage.event("session_state_changed", reason="kicked_out")
    await stage.event("call_ended", reason="kicked_out", kicked_by="alice")


@scene()
async def a_host_does_not_let_it_in(stage: Stage) -> None:
    alice = await stage.guest("alice")
    there = Hosted(alice)
    there.admits = False
    await stage.do("start_session", token=there.token)
    await stage.event("session_state_changed", reason="login_failed")
    await stage.event("call_ended", reason="failed")


@scene()
async def a_stranger_answers_in_a_friends_name(stage: Stage) -> None:
    alice = await stage.guest("alice", wrong_fingerprint=True)
    await stage.do("initiate_call", receiver="alice")
    await alice.takes()
    await stage.event("call_ended", reason="untrusted")
