"""What is left out of a flood: what the inbox would refuse, nobody for another, each one counted."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest

from appliance.messages import Address
from appliance.signaling import inbox as rules
from appliance.signaling.inbox import Inbox
from appliance.signaling.rejected import Rejected
from appliance.signaling.sieve import MAX_TOPICS, STRANGERS, TIMES, Sieve
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
    assert left_out.keys() == {inbox("bob"), STRANGERS}, "strangers are counted in one sum"
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
