"""A device asks the broker for what those say whom it knows, and for nothing else."""

from __future__ import annotations

from appliance.messages import Address
from appliance.signaling.subscriptions import Subscriptions
from appliance.signaling.topics import Topics


def lets(topic: str, payload: bytes, now_s: float) -> bool:
    """Everything."""
    return bool(topic or payload or now_s)


ONE = Subscriptions(Topics("home"), Address("door", "main"), lets, lets)


def asked(known: list[str], vouched: list[str]) -> list[str]:
    return [one.topic_filter for one in ONE.to(known, vouched)]


def test_of_whom_it_knows_it_gets_messages_and_presence_and_of_the_vouched_messages() -> None:
    assert asked(["alice", "bob"], ["carol", "bob"]) == [
        "home/call/door/alice",
        "home/call/door/bob",
        "home/call/door/carol",
        "home/presence/door/main",
        "home/presence/alice/+",
        "home/presence/bob/+",
    ]


def test_where_nobody_is_known_it_gets_its_own_presence_by_which_it_knows_that_it_has_all() -> None:
    assert asked([], []) == ["home/presence/door/main"]


def test_no_name_is_more_than_one_and_none_is_its_own() -> None:
    strange = ["+", "#", "a/b", "", "Alice", "alice\n", "x" * 65, "door"]
    assert asked(strange, strange) == asked([], [])


def test_messages_are_never_wanted_retained_and_nothing_is_kept_for_it() -> None:
    for one in ONE.to(["alice"], ["bob"]):
        assert one.retained == ("presence" in one.topic_filter)
        assert one.qos == 0
        assert one.lets is lets
