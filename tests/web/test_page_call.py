"""The phone's calls, played: inputs in, the state and what is to be done out, in order."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.web.playing import (
    ANSWER,
    ANSWERED,
    HERE,
    ME,
    OFFER,
    SESSION,
    TALKING,
    Input,
    at_link,
    described,
    invite,
    placed,
    play,
    says,
    timer,
)

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_a_visitor_is_answered_talked_to_and_hangs_up(modules: Page) -> None:
    rings, answers, offers, answered, talks, ends, rests = await play(
        modules, *TALKING, says("end", {"reason": "hang_up"}, at=65000), timer("rest")
    )
    assert rings.phase == "incoming"
    assert rings.did == ["send ringing", "ring"]
    assert rings.timers() == {"ring": 32}
    assert answers.phase == "connecting"
    assert answers.did == ["open_media 1"]
    assert offers.sent("accept") == {"offer": OFFER, "custom_data": None}
    assert answered.did == ["settle accept join offer", "take_answer 1"]
    assert talks.phase == "in_call"
    assert talks.sent("state") == {"audio_muted": False, "video_paused": True}
    assert ends.phase == "ended: remote_hang_up"
    assert ends.did == ["close_media all"]
    assert (ends.call["answered_at"], ends.call["ended_at"]) == (5000, 65000)
    assert rests.phase == "idle"


async def test_declining_and_not_being_there_are_told_apart(modules: Page) -> None:
    _, declined = await play(modules, invite(), {"type": "decline"})
    assert declined.phase == "ended: rejected"
    assert declined.sent("reject") == {"reason": "rejected", "custom_data": None}
    assert declined.state["missed"] is None
    for reason in ("cancelled", "timed_out"):
        _, gone = await play(modules, invite(), says("cancel", {"reason": reason}, at=9000))
        assert gone.phase == f"ended: {reason}"
        assert gone.state["missed"] == {"name": "Front door", "uid": "front-door", "at": 9000}
    _, silent = await play(modules, invite(), timer("ring"))
    assert silent.phase == "ended: timed_out"


async def test_a_page_that_goes_away_hangs_up_but_does_not_decline_for_others(
    modules: Page,
) -> None:
    *_, left = await play(modules, *TALKING, {"type": "leave"})
    assert left.sent("end")["reason"] == "hang_up"
    *_, silent = await play(modules, invite(), {"type": "leave"})
    assert silent.did == ["close_media all"]


async def test_whoever_answers_first_stops_the_others(modules: Page) -> None:
    elsewhere = says("cancel", {"reason": "answered_elsewhere"})
    _, stopped = await play(modules, invite(), elsewhere)
    assert stopped.phase == "ended: answered_elsewhere"
    assert stopped.state["missed"] is None
    # who was not needed may be invited into it all the same
    *_, rung = await play(modules, invite(), elsewhere, invite(at=4000))
    assert rung.phase == "incoming"
    # too late: the accept is on its way already
    *_, late = await play(modules, invite(), {"type": "answer"}, described(), elsewhere)
    assert late.phase == "ended: answered_elsewhere"
    # ... and the one that is excepted goes on
    excepted = says("cancel", {"reason": "answered_elsewhere", "by": HERE})
    *_, mine = await play(modules, *TALKING, excepted)
    assert mine.phase == "in_call"


async def test_an_invite_rings_once_and_never_behind_its_cancel(modules: Page) -> None:
    _, again = await play(modules, invite(), invite())
    assert (again.phase, again.did) == ("incoming", ["send ringing"])
    cancel = says("cancel", {"reason": "cancelled"}, at=1000)
    _, dead, forgotten = await play(modules, cancel, invite(at=2000), invite(at=62000))
    assert (dead.phase, dead.did) == ("idle", [])
    assert forgotten.phase == "incoming"


async def test_a_second_caller_is_told_that_it_is_busy(modules: Page) -> None:
    *_, busy = await play(modules, *TALKING, invite(**{"from": "back-door"}, call_id="d" * 32))
    assert busy.phase == "in_call"
    assert busy.sent("reject") == {"reason": "busy", "custom_data": None}
    assert busy.effects[0]["to"] == {"uid": "back-door", "endpoint": "main"}


async def test_an_invite_with_an_offer_is_accepted_with_the_answer(modules: Page) -> None:
    _, answers, accepts, connected = await play(
        modules,
        invite(offer=OFFER),
        {"type": "answer"},
        described(ANSWER),
        at_link("connected"),
    )
    assert answers.effects[2]["offer"] == OFFER
    assert accepts.sent("accept") == {"answer": ANSWER, "custom_data": None}
    assert "settle accept join offer" in connected.did


async def test_the_door_is_called_and_takes_it(modules: Page) -> None:
    calls, invites, rings, taken, talks = await play(
        modules,
        placed(),
        described() | {"at": 2000},
        says("ringing"),
        says("accept", {"answer": ANSWER}),
        at_link("connected"),
    )
    assert (calls.phase, calls.did) == ("outgoing", ["open_media 1"])
    assert invites.sent("invite") == {
        "session_id": SESSION,
        "call_type": "video",
        "receiver": {"type": "user", "id": "front-door"},
        "callees": ["front-door"],
        "caller": ME,
        "timeout_s": 28,
        "custom_data": None,
        "token": None,
        "offer": OFFER,
    }
    assert rings.did == ["settle invite", "ringback"]
    assert (taken.phase, taken.did) == ("connecting", ["settle invite", "take_answer 1"])
    assert talks.phase == "in_call"


@pytest.mark.parametrize("reason", ["busy", "rejected"])
async def test_the_door_does_not_take_it(modules: Page, reason: str) -> None:
    *_, refused = await play(modules, placed(), described(), says("reject", {"reason": reason}))
    assert refused.phase == f"ended: {reason}"
    assert refused.did == ["close_media all"]


async def test_who_rings_in_vain_takes_the_call_back(modules: Page) -> None:
    *_, unanswered = await play(modules, placed(), described(), timer("ring"))
    assert unanswered.phase == "ended: timed_out"
    assert unanswered.sent("cancel") == {"reason": "timed_out", "custom_data": None}
    *_, given_up = await play(modules, placed(), described(), {"type": "hang_up"})
    assert given_up.phase == "ended: cancelled"
    assert given_up.sent("cancel")["reason"] == "cancelled"


async def test_a_door_that_comes_online_while_it_is_called_is_invited_at_once(
    modules: Page,
) -> None:
    alone = placed()
    alone["to"] = alone["to"] | {"endpoint": None}
    online = {"type": "online", "uid": "front-door", "endpoint": "main", "at": 20000}
    _, nobody, found = await play(modules, alone, described(), online)
    assert nobody.effects[0]["to"] == {"uid": "front-door", "endpoint": None}
    assert found.did == ["settle invite", "send invite"]
    assert found.effects[1]["to"] == {"uid": "front-door", "endpoint": "main"}
    assert found.sent("invite")["timeout_s"] == 10


async def test_of_two_calls_that_cross_the_smaller_lives(modules: Page) -> None:
    _, _, ours = await play(modules, placed("a" * 32), described(), invite(call_id="b" * 32))
    assert (ours.phase, ours.did) == ("outgoing", [])
    _, _, theirs = await play(modules, placed("b" * 32), described(), invite(call_id="a" * 32))
    assert theirs.phase == "connecting"
    assert theirs.call["call_id"] == "a" * 32
    assert theirs.did == ["send cancel", "close_media all", "open_media 1"]


async def test_only_the_other_side_is_believed(modules: Page) -> None:
    strangers = [
        says("end", {"reason": "hang_up"}, **{"from": "mallory"}),
        says("end", {"reason": "hang_up"}, endpoint="other"),
        says("chat", {"text": "hello"}, call_id="d" * 32),
        says("state", {"audio_muted": True}, **{"from": "mallory"}),
        says("offer", {"offer": OFFER, "generation": 2}),
        says("accept", {"answer": ANSWER}),
        says("nonsense"),
    ]
    turns = await play(modules, *TALKING, *strangers)
    before = turns[len(TALKING) - 1]
    for turn in turns[len(TALKING) :]:
        assert turn.did == []
        assert turn.call == before.call


async def test_muting_the_camera_and_their_failures_are_told(modules: Page) -> None:
    refused = {"type": "device", "device": "microphone", "exception": "permission_not_granted"}
    *_, talks, muted, filmed, failed = await play(
        modules,
        invite(),
        {"type": "answer"},
        refused,
        described(),
        at_link("connected"),
        {"type": "mute", "on": True},
        {"type": "camera", "on": True},
        {"type": "device", "device": "camera", "exception": "device_occupied"},
    )
    assert talks.sent("state")["microphone_exception"] == "permission_not_granted"
    assert muted.did == ["microphone off", "send state"]
    assert muted.sent("state") == {"audio_muted": True}
    assert filmed.did == ["camera on", "send state"]
    assert failed.call["camera_on"] is False
    assert failed.sent("state") == {"camera_exception": "device_occupied", "video_paused": True}


async def test_the_door_is_opened_within_the_call_and_its_answer_is_shown(modules: Page) -> None:
    ask = {"type": "unlock", "request_id": "r1"}
    _, early = await play(modules, invite(), ask)
    assert early.did == []
    *_, asked, twice, other, opened, locked = await play(
        modules,
        *TALKING,
        ask,
        {"type": "unlock", "request_id": "r2"},
        says("response", {"request_id": "r0", "accepted": True}),
        says("response", {"request_id": "r1", "accepted": True, "error": None}),
        timer("unlock"),
    )
    assert asked.sent("request") == {
        "request_id": "r1",
        "action": "unlock",
        "uid": None,
        "receiver": None,
        "relay": None,
        "reason": None,
    }
    assert twice.did == []
    assert other.call["unlock"]["state"] == "asked"
    assert opened.call["unlock"]["state"] == "open"
    assert locked.call["unlock"] is None
    *_, silent = await play(modules, *TALKING, ask, timer("unlock"))
    assert silent.call["unlock"] == {"state": "failed", "request_id": "r1", "error": "no_answer"}


async def test_a_lost_connection_is_replaced_by_the_one_who_offered(modules: Page) -> None:
    lost, waited, offered, answered, back = (
        await play(
            modules,
            *TALKING,
            at_link("disconnected"),
            timer("lost:host"),
            described(generation=2),
            says("answer", {"answer": ANSWER, "generation": 2}),
            at_link("connected", 2, at=9000),
        )
    )[len(TALKING) :]
    assert (lost.phase, lost.timers()) == ("reconnecting", {"lost:host": 0, "give_up:host": 30})
    assert waited.did == ["settle offer", "open_media 2"]
    assert offered.sent("offer") == {"offer": OFFER, "generation": 2, "reason": "reconnect"}
    assert answered.did == ["settle accept join offer", "take_answer 2"]
    assert back.phase == "in_call"
    assert back.did == ["settle accept join offer", "close_media 1"]
    assert (back.link()["generation"], back.link()["next"]) == (2, None)
    assert back.call["answered_at"] == 5000


async def test_another_attempt_is_another_connection_and_is_made_when_we_are_back(
    modules: Page,
) -> None:
    again = says("request", {"request_id": "r2", "action": "renegotiate", "reason": "reconnect"})
    offered, asked, retried, back, restored, calm = (
        await play(
            modules,
            *TALKING,
            at_link("disconnected"),
            timer("lost:host"),
            described(generation=2),
            again,
            timer("lost:host"),
            {"type": "reachable"},
            at_link("connected"),
            {"type": "reachable"},
        )
    )[len(TALKING) + 2 :]
    assert offered.sent("offer")["generation"] == 2
    assert asked.did == ["send response"], "a second offer would cross the answer to the first"
    assert retried.did == ["settle offer", "close_media 2", "open_media 2"]
    assert back.did == retried.did, "what was offered may name an address that we had"
    assert restored.phase == "in_call"
    assert calm.did == []


async def test_who_did_not_offer_asks_for_a_new_connection(modules: Page) -> None:
    talking = [invite(offer=OFFER), {"type": "answer"}, described(ANSWER)]
    *_, asked, offered, answered = await play(
        modules,
        *talking,
        at_link("connected"),
        at_link("failed"),
        timer("lost:host"),
        says("offer", {"offer": OFFER, "generation": 2}),
        described(ANSWER, 2),
    )
    assert asked.sent("request")["action"] == "renegotiate"
    assert offered.did == ["open_media 2"]
    assert answered.sent("answer") == {"answer": ANSWER, "generation": 2}


async def test_a_connection_that_does_not_come_back_is_given_up(modules: Page) -> None:
    *_, gone = await play(
        modules, *TALKING, at_link("failed"), timer("lost:host"), timer("give_up:host")
    )
    assert gone.phase == "ended: connection_closed"
    assert gone.sent("end") == {"reason": "failed", "kicked_by": None}
    *_, never = await play(modules, *ANSWERED, timer("connect:host"))
    assert never.phase == "ended: failed"
    assert never.sent("end")["reason"] == "failed"


async def test_what_the_door_asks_is_done_or_refused_but_always_answered(modules: Page) -> None:
    def asks(action: str) -> Input:
        return says("request", {"request_id": "r1", "action": action})

    *_, muted, renewed, refused = await play(
        modules, *TALKING, asks("mute"), asks("renegotiate"), asks("unlock")
    )
    assert muted.did == ["microphone off", "send state", "send response"]
    assert renewed.did == ["send response", "settle offer", "open_media 2"]
    assert refused.sent("response") == {
        "request_id": "r1",
        "accepted": False,
        "error": "unsupported",
    }


@pytest.mark.parametrize("type_", ["answer", "decline", "hang_up", "unlock", "mute", "camera"])
async def test_at_rest_nothing_can_be_done_by_accident(modules: Page, type_: str) -> None:
    at_rest, after = await play(
        modules, {"type": "dismiss"}, {"type": type_, "on": True, "request_id": "r"}
    )
    assert after.did == []
    assert after.state == at_rest.state
