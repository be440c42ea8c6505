"""Calls that ring: out and in, taken, declined, taken back, missed."""

from __future__ import annotations

from tests.conformance.scenes import scene
from tests.conformance.stage import Stage


@scene()
async def the_bell_rings_at_all_and_one_takes_it(stage: Stage) -> None:
    alice, bob = await stage.guest("alice"), await stage.guest("bob")
    await stage.press("call")
    await stage.event("call_button_clicked", button="call", gesture="press")
    await stage.event("outgoing_call_started")
    invite = await bob.hear("invite")
    await bob.send("ringing", invite["call_id"], {})
    await stage.event("invitation_user_state_changed")
    await stage.until(lambda: stage.status()["panel"]["notice"] == "it_is_ringing")
    await alice.hear("invite")
    no = {"reason": "rejected", "custom_data": {"why": "in the bath"}}
    await alice.send("reject", invite["call_id"], no)
    await stage.event("outgoing_call_rejected", reason="rejected", custom_data=no["custom_data"])
    stage.status()
    await bob.takes(invite)
    await stage.event("outgoing_call_accepted", callee={"uid": "bob", "state": "accepted"})
    await stage.event("session_state_changed", reason="logging_in")
    await bob.talks()
    await stage.event("session_state_changed", reason="logged_in")
    await stage.event("session_joined")
    await stage.event("participant_joined", participant={"uid": "bob"})
    stage.status()
    await bob.leaves()
    await stage.event("participant_left", reason="left")
    await stage.event("session_state_changed", reason="logged_out")
    await stage.event("session_left", reason="remote_hang_up")
    await stage.event("call_ended", reason="remote_hang_up")


@scene()
async def the_visitor_goes_away(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.press("call")
    await alice.hear("invite")
    await stage.press("leave")
    await stage.event("outgoing_call_cancel_button_pressed", button="leave")
    assert (await alice.hear("cancel"))["body"]["reason"] == "cancelled"
    await stage.event("call_ended", reason="cancelled")


@scene()
async def nobody_answers(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.do("initiate_call", receiver="residents", receiver_type="group", timeout_s=0.5)
    assert (await alice.hear("cancel"))["body"]["reason"] == "timed_out"
    await stage.event("outgoing_call_timeout")
    await stage.event("call_ended", reason="timed_out")
    await stage.until(lambda: stage.status()["panel"]["notice"] == "no_answer")


@scene()
async def the_called_is_busy(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.do("initiate_call", receiver="alice")
    invite = await alice.hear("invite")
    await alice.send("reject", invite["call_id"], {"reason": "busy", "custom_data": None})
    await stage.event("outgoing_call_rejected", reason="busy")
    await stage.event("call_ended", reason="busy")
    await stage.until(lambda: stage.status()["panel"]["notice"] == "not_now")


@scene()
async def the_called_says_no(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.do("initiate_call", receiver="alice", type="audio")
    invite = await alice.hear("invite")
    await alice.send("reject", invite["call_id"], {"reason": "rejected", "custom_data": None})
    await stage.event("call_ended", reason="rejected")


@scene()
async def a_call_comes_in_and_the_button_takes_it(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await alice.rings()
    await stage.event("incoming_call_received", call={"direction": "incoming"})
    stage.status()
    await alice.hear("ringing")
    await stage.press("answer")
    await stage.event("incoming_call_accept_button_pressed", button="answer")
    await stage.event("incoming_call_accepted")
    await stage.event("audio_session_toggled", active=True)
    await alice.talks()
    await stage.joined(alice)
    await stage.press("leave")
    await stage.event("leave_session_button_clicked", gesture="press")
    await stage.event("session_left", reason="local_hang_up")
    await stage.event("audio_session_toggled", active=False)
    await stage.event("call_ended", reason="local_hang_up")
    assert (await alice.hear("end"))["body"]["reason"] == "hang_up"


@scene()
async def a_call_comes_in_and_is_declined(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await alice.rings()
    await alice.hear("ringing")
    await stage.press("answer", "hold")
    await stage.event("incoming_call_decline_button_pressed", gesture="hold")
    await stage.event("incoming_call_declined", reason="rejected")
    await stage.event("call_ended", reason="rejected")
    assert (await alice.hear("reject"))["body"]["reason"] == "rejected"


@scene()
async def a_second_caller_hears_busy(stage: Stage) -> None:
    alice, bob = await stage.guest("alice"), await stage.guest("bob")
    await alice.rings()
    await alice.hear("ringing")
    await bob.rings()
    assert (await bob.hear("reject"))["body"]["reason"] == "busy"
    await stage.event("incoming_call_declined", reason="busy")
    await stage.event("call_ended", reason="busy")


@scene()
async def a_caller_takes_it_back_for_each_reason(stage: Stage) -> None:
    alice = await stage.guest("alice")
    for reason in ("cancelled", "timed_out", "answered_elsewhere", "rejected_elsewhere"):
        call_id = await alice.rings()
        await stage.event("incoming_call_received", call={"call_id": call_id})
        body = {"reason": reason, "by": None, "custom_data": {"n": 1}}
        await alice.send("cancel", call_id, body)
        await stage.event("incoming_call_cancelled", reason=reason, custom_data={"n": 1})
        await stage.event("call_ended", reason=reason)


@scene()
async def a_missed_call_is_called_back(stage: Stage) -> None:
    alice = await stage.guest("alice")
    call_id = await alice.rings(timeout_s=0.2)
    await stage.event("incoming_call_timeout", call={"call_id": call_id})
    await stage.event("call_ended", reason="timed_out")
    await stage.until(lambda: stage.status()["screen"]["showing"] == "missed_call")
    await stage.press("call", "hold")
    await stage.event("call_back_requested", call={"call_id": call_id})
    await alice.takes()
    await alice.talks()
    await stage.joined(alice)


@scene()
async def nobody_is_disturbed(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.do("set_do_not_disturb", on=True)
    await stage.event("do_not_disturb_changed", on=True)
    await alice.rings()
    assert (await alice.hear("reject"))["body"]["reason"] == "busy"
    await stage.press("call")
    await stage.event("call_ended", reason="busy", call={"direction": "outgoing"})
    await stage.do("set_do_not_disturb", on=False)
    await stage.event("do_not_disturb_changed", on=False)


@scene()
async def one_who_comes_online_while_it_rings_is_invited(stage: Stage) -> None:
    await stage.do("initiate_call", receiver="alice")
    await stage.event("outgoing_call_started", call={"callees": [_callee("alice", "offline")]})
    alice = await stage.guest("alice")
    await alice.takes()
    await alice.talks()
    await stage.joined(alice)


def _callee(uid: str, state: str) -> dict[str, object]:
    return {"uid": uid, "name": uid.title(), "state": state, "custom_data": None}
