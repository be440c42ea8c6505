"""What is left out of a flood: what the inbox would refuse, nobody for another, each one counted."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest

from appliance.messages import Address
from appliance.signaling import inbox as rules
from appliance.signaling.inbox import Inbox
from appliance.signaling.rejected import Rejected
from appliance.signaling.sieve import HELD_OF_EACH, MAX_TOPICS, TIMES, PresenceSieve, Sieve
from appliance.signaling.topics import Topics
from appliance.signaling.wire import may_be_last_word

TOPICS = Topics("appliance")
KNOWN = frozenset({"alice", "bob"})


def inbox(sender: str) -> str:
    return TOPICS.inbox("door", sender)


def sieve() -> Sieve:
    return Sieve(TOPICS.inbox_sender, KNOWN.__contains__, may_be_last_word)


def test_twice_of_what_the_inbox_lets_through_and_no_more() -> None:
    one = sieve()
    passed = sum(one.lets(inbox("alice"), b"x", 1.0) for _ in range(1000))
    assert passed == TIMES * rules.SENDER_BURST
    assert one.left_out() == {inbox("alice"): 1000 - passed}
    assert one.left_out() == {}, "each is counted once"
    passed = sum(one.lets(inbox("alice"), b"x", 1.0 + at / 1000) for at in range(10_000))
    assert passed in range(390, 410)


def test_no_sender_is_left_out_for_what_others_and_strangers_send() -> None:
    one = sieve()
    for number in range(5000):
        one.lets(inbox("bob"), b"x", 1.0)
        one.lets(inbox(f"stranger-{number}"), b"x", 1.0)
    assert all(one.lets(inbox("alice"), b"x", 1.0) for _ in range(int(rules.SURE_BURST)))
    left_out = one.left_out()
    assert left_out.keys() == {inbox("bob"), rules.NOBODY_KNOWN}, "strangers are counted in one sum"
    assert len(one._allowances) <= MAX_TOPICS


def test_the_end_of_a_call_gets_through_a_flood_in_ones_own_name() -> None:
    one = sieve()
    for _ in range(1000):
        one.lets(inbox("alice"), b'{"type": "chat"}', 1.0)
    assert one.lets(inbox("alice"), b'{"type": "end"}', 1.0)
    assert not one.lets(inbox("alice"), b'{"type": "chat"}', 1.0)


def test_what_is_no_message_to_the_inbox_is_none_of_its_business() -> None:
    one = sieve()
    assert all(one.lets(TOPICS.presence("alice", "phone"), b"x", 1.0) for _ in range(1000))
    assert one.left_out() == {}


STORIES: list[list[tuple[str, float, int]]] = [
    [("alice", 0.0, 300), ("bob", 0.001, 300), ("alice", 0.3, 70), ("bob", 2.0, 200)],
    [("bob", 0.02, 100), ("alice", 0.0, 5), ("carol", 0.0, 400), ("alice", 2.0, 90)],
    [("alice", 1 / 30, 1)] * 300,
    [("alice", 0.001, 1), ("bob", 0.001, 2), ("carol", 0.0, 3)] * 300,
]


@pytest.mark.parametrize("story", STORIES)
def test_whatever_the_inbox_takes_gets_to_it(story: list[tuple[str, float, int]]) -> None:
    """Of known senders: an inbox behind the sieve takes as many as one without it."""
    one, behind, without = sieve(), judge(), judge()
    now_s, taken = 1.0, Counter[str]()
    for sender, pause_s, number in story:
        now_s += pause_s
        for _ in range(number if sender in KNOWN else 0):
            taken["without"] += knocks(without, sender, now_s)
            if one.lets(inbox(sender), b"x", now_s):
                taken["behind"] += knocks(behind, sender, now_s)
    assert taken["behind"] == taken["without"]


def judge() -> Inbox:
    return Inbox(Address("door", "main"), allow_null_epoch=True)


def knocks(one: Inbox, sender: str, now_s: float) -> bool:
    with contextlib.suppress(Rejected):
        one.knock(sender, retained=False, now_s=now_s)
        return True
    return False


def presences() -> PresenceSieve:
    return PresenceSieve(TOPICS.presence_uid, KNOWN.__contains__)


def test_of_presence_each_has_a_share_and_strangers_have_one_together() -> None:
    one = presences()
    lets = Counter[str]()
    for number in range(3000):
        lets["bob"] += one.lets(TOPICS.presence("bob", f"tab-{number}"), b"x", 1.0)
        lets["?"] += one.lets(TOPICS.presence(f"stranger-{number}", "x"), b"x", 1.0)
    assert lets == {
        "bob": TIMES * rules.PRESENCE_BURST,
        "?": TIMES * rules.STRANGE_PRESENCE_BURST,
    }
    assert one.lets(TOPICS.presence("alice", "phone"), b"x", 1.0)
    left_out = one.left_out()
    assert left_out[rules.NOBODY_KNOWN] == 3000 - lets["?"]
    assert left_out.total() == 6000 - lets.total()
    assert one.left_out() == {}, "each is counted once"
    assert len(one._shares) <= MAX_TOPICS
    assert len(one.due(1.0)) == 2 * HELD_OF_EACH, "what waits has an end"
    assert all(one.lets(inbox("bob"), b"x", 1.0) for _ in range(1000)), (
        "of messages it knows nothing"
    )


def test_the_last_word_of_each_that_was_left_out_comes_later_and_only_where_nothing_came_since() -> (
    None
):
    one = presences()
    tab, phone = TOPICS.presence("alice", "tab"), TOPICS.presence("alice", "phone")
    for number in range(1000):
        one.lets(tab, f"{number}".encode(), 1.0)
    assert not one.lets(phone, b"gone", 1.5 - 0.49)
    assert one.holds()
    assert one.due(0.9) == []
    assert one.due(1.0) == [(tab, b"999")]
    assert one.due(2.0) == [(phone, b"gone")]
    assert not one.holds()
    for number in range(1000):
        one.lets(tab, f"{number}".encode(), 2.0)
    assert one.lets(tab, b"newer", 3.0)
    assert one.due(9.0) == []


@pytest.mark.parametrize("pause_s", [0.001, 0.05, 0.2, 1.0])
def test_whatever_of_presence_would_be_looked_at_gets_there(pause_s: float) -> None:
    one, behind, without = presences(), judge(), judge()
    taken, now_s = Counter[str](), 1.0
    for _ in range(400):
        now_s += pause_s
        taken["without"] += without.may_be_present("bob", now_s)
        if one.lets(TOPICS.presence("bob", "tab"), b"x", now_s):
            taken["behind"] += behind.may_be_present("bob", now_s)
    assert taken["behind"] == taken["without"]
