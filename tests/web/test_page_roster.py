"""A session of several, played: the host's list, and a connection with each who stands in it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.web.playing import (
    ANSWER,
    CALL,
    HERE,
    OFFER,
    SESSION,
    TALKING,
    Input,
    Turn,
    at_link,
    described,
    invite,
    play,
    says,
    timer,
)

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

DOOR = {"uid": "front-door", "endpoint": "main"}
BOB = {"uid": "bob", "endpoint": "phone-2"}
CAROL = {"uid": "carol", "endpoint": "phone-3"}
BOB_ID, CAROL_ID = "bob/phone-2", "carol/phone-3"


def listed(version: int, *who: dict[str, str], **more: Any) -> Input:
    """The host's list."""
    participants = [
        {**one, "name": one["uid"].title(), "state": "connected", "epoch": f"of-{one['uid']}"}
        for one in who
    ]
    body = {"session_id": SESSION, "version": version, "participants": participants}
    return says("participants", body, **more)


def from_bob(kind: str, body: dict[str, Any] | None = None, **more: Any) -> Input:
    """A message of Bob's."""
    return says(kind, body, **{"from": "bob", "endpoint": "phone-2", **more})


def wherefrom(turn: Turn, kind: str) -> list[str]:
    """To whom messages of a kind were sent."""
    return [e["to"]["uid"] for e in turn.effects if e["do"] == "send" and e["kind"] == kind]


JOINED = [*TALKING, listed(1, DOOR, BOB, HERE)]
MET = [
    *JOINED,
    described(link=BOB_ID),
    from_bob("answer", {"answer": ANSWER, "generation": 1}),
    at_link("connected", link=BOB_ID),
]


async def test_a_newcomer_offers_to_each_that_stands_before_it_and_to_nobody_else(
    modules: Page,
) -> None:
    *_, joined, offered = await play(
        modules, *TALKING, listed(1, DOOR, BOB, HERE, CAROL), described(link=BOB_ID)
    )
    assert joined.did == ["settle join", f"open_media {BOB_ID} 1"]
    assert [e["who"] for e in joined.effects if e["do"] == "know"] == [
        [
            {**DOOR, "epoch": "of-front-door", "key": None},
            {**BOB, "epoch": "of-bob", "key": None},
            {**HERE, "epoch": "of-alice", "key": None},
            {**CAROL, "epoch": "of-carol", "key": None},
        ]
    ]
    assert offered.sent("join") == {"offer": OFFER}
    assert offered.effects[0]["to"] == BOB
    assert offered.effects[0]["call_id"] == CALL


async def test_they_meet_and_tell_each_other_how_they_are(modules: Page) -> None:
    *_, answered, connected = await play(modules, *MET)
    assert answered.did == ["settle accept join offer", f"take_answer {BOB_ID} 1"]
    assert wherefrom(connected, "state") == ["bob"]
    assert connected.link(BOB_ID)["state"] == "connected"
    *_, muted, said = await play(
        modules, *MET, {"type": "mute", "on": True}, {"type": "chat", "text": "hello"}
    )
    assert wherefrom(muted, "state") == ["front-door", "bob"]
    assert wherefrom(said, "chat") == ["front-door", "bob"]


async def test_only_a_higher_version_counts_and_only_the_hosts(modules: Page) -> None:
    *_, stale, same, foreign, other_call = await play(
        modules,
        *TALKING,
        listed(7, DOOR, HERE),
        listed(6, DOOR, BOB, HERE),
        listed(7, DOOR, BOB, HERE),
        listed(8, DOOR, BOB, HERE, **{"from": "mallory"}),
        listed(9, DOOR, BOB, HERE, call_id="d" * 32),
    )
    for turn in (stale, same, foreign, other_call):
        assert turn.did == []
        assert turn.call["roster"]["version"] == 7
    merged = listed(8, DOOR, BOB, HERE)
    merged["body"]["session_id"] = "6" * 32
    *_, counts = await play(modules, *TALKING, listed(7, DOOR, HERE), merged)
    assert counts.call["session_id"] == "6" * 32
    assert counts.did == ["settle join", f"open_media {BOB_ID} 1"]


async def test_an_offer_of_who_is_not_listed_yet_waits_with_its_candidates(modules: Page) -> None:
    join = from_bob("join", {"offer": OFFER}, call_id="b" * 32)
    candidate = from_bob("candidate", {"candidate": {"candidate": "c"}, "generation": 1})
    *_, early, kept, found, taken, answered = await play(
        modules,
        *TALKING,
        candidate,
        join,
        candidate,
        listed(1, DOOR, HERE, BOB),
        described(ANSWER, link=BOB_ID),
    )
    assert early.did == []
    assert kept.did == []
    assert found.did == [f"take_candidate {BOB_ID} 1"]
    assert taken.did == ["settle join", f"open_media {BOB_ID} 1"]
    assert taken.call["kept"] == {}
    assert answered.sent("answer") == {"answer": ANSWER, "generation": 1}
    # under the call by which the two came together, as after a merge
    assert answered.effects[0]["call_id"] == "b" * 32


async def test_not_more_than_eight_wait(modules: Page) -> None:
    joins = [
        says("join", {"offer": OFFER}, **{"from": f"stranger-{number}"}) for number in range(20)
    ]
    *_, last = await play(modules, *TALKING, *joins)
    assert len(last.call["kept"]) == 8


async def test_who_vanishes_from_the_list_is_disconnected(modules: Page) -> None:
    *_, gone = await play(modules, *MET, listed(2, DOOR, HERE))
    assert gone.did == ["settle join", "settle join offer", f"close_media {BOB_ID} all"]
    assert list(gone.call["links"]) == ["host"]
    assert [(one["kind"], one["name"]) for one in gone.call["notices"]] == [("left", "Bob")]
    *_, said_so = await play(modules, *MET, from_bob("end", {"reason": "hang_up"}))
    assert said_so.phase == "in_call"
    assert list(said_so.call["links"]) == ["host"]
    assert [one["uid"] for one in said_so.call["roster"]["members"]] == ["front-door", "alice"]


async def test_of_the_host_alone_the_end_is_the_end(modules: Page) -> None:
    kicked = says("end", {"reason": "kicked_out", "kicked_by": "bob"})
    *_, ended = await play(modules, *MET, kicked)
    assert ended.phase == "ended: kicked_out"
    assert ended.call["kicked_by"] == "bob"
    *_, left = await play(modules, *MET, {"type": "hang_up"})
    assert wherefrom(left, "end") == ["front-door", "bob"]


async def test_a_connection_that_never_came_about_is_offered_anew(modules: Page) -> None:
    *_, lost, again, described_again = await play(
        modules,
        *JOINED,
        described(link=BOB_ID),
        timer(f"connect:{BOB_ID}"),
        timer(f"lost:{BOB_ID}"),
        described(link=BOB_ID),
    )
    assert lost.phase == "in_call"
    assert lost.timers() == {f"lost:{BOB_ID}": 0}
    assert again.did == [
        "settle join offer",
        f"close_media {BOB_ID} all",
        f"open_media {BOB_ID} 1",
    ]
    assert described_again.sent("join") == {"offer": OFFER}


async def test_a_connection_that_was_lost_is_replaced_and_the_call_goes_on(modules: Page) -> None:
    lost, sought, offered, answered, back = (
        await play(
            modules,
            *MET,
            at_link("disconnected", link=BOB_ID),
            timer(f"lost:{BOB_ID}"),
            described(generation=2, link=BOB_ID),
            from_bob("answer", {"answer": ANSWER, "generation": 2}),
            at_link("connected", 2, link=BOB_ID),
        )
    )[len(MET) :]
    assert lost.phase == "in_call"
    assert sought.did == ["settle offer", f"open_media {BOB_ID} 2"]
    assert offered.sent("offer")["reason"] == "reconnect"
    assert answered.did[-1] == f"take_answer {BOB_ID} 2"
    assert back.did == ["settle accept join offer", f"close_media {BOB_ID} 1"]
    # the host is what the session hangs on
    *_, host_lost = await play(modules, *MET, at_link("failed"))
    assert host_lost.phase == "in_call"
    assert "give_up:host" in host_lost.timers()


async def test_a_link_leads_into_a_session_without_ringing(modules: Page) -> None:
    to = {**DOOR, "endpoint": None, "name": "Front door"}
    ids = {"call_id": CALL, "session_id": SESSION}
    me = {"uid": "alice", "name": "Alice"}
    joining = {"type": "join", "token": "t", "me": me, "to": to, **ids}
    asked, seen, let_in, offered, answered, talks = await play(
        modules,
        joining,
        {"type": "online", **DOOR},
        listed(3, DOOR, BOB, HERE),
        described(),
        says("answer", {"answer": ANSWER, "generation": 1}),
        at_link("connected"),
    )
    assert (asked.phase, asked.sent("join")) == ("connecting", {"token": "t"})
    assert seen.did == ["settle join", "send join"]
    assert let_in.did == ["settle join", "open_media 1", f"open_media {BOB_ID} 1"]
    assert offered.sent("join") == {"offer": OFFER}
    assert answered.did[-1] == "take_answer 1"
    assert talks.phase == "in_call"
    _, refused = await play(modules, joining, says("end", {"reason": "failed"}))
    assert refused.phase == "ended: failed"


async def test_candidates_that_come_while_it_rings_are_kept(modules: Page) -> None:
    _, ringing = await play(
        modules,
        invite(offer=OFFER),
        says("candidate", {"candidate": {"candidate": "c"}, "generation": 1}),
    )
    assert ringing.did == ["take_candidate 1"]


async def test_strangers_are_heard_in_nothing(modules: Page) -> None:
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("state", {"audio_muted": True}),
        ("chat", {"text": "hello"}),
        ("dtmf", {"digits": "1"}),
        ("request", {"request_id": "r", "action": "mute"}),
        ("answer", {"answer": ANSWER}),
        ("offer", {"offer": OFFER}),
        ("end", {"reason": "hang_up"}),
    ]
    strangers = [says(kind, body, **{"from": "mallory"}) for kind, body in kinds]
    turns = await play(modules, *MET, *strangers)
    for turn in turns[len(MET) :]:
        assert turn.did == []
        assert turn.call == turns[len(MET) - 1].call
