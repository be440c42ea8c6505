"""Topics are built and read back, and filters match as the standard says."""

from __future__ import annotations

import pytest
from paho.mqtt.client import topic_matches_sub

from appliance.signaling.topics import Filters, Topics, matches

TOPICS = Topics("home/bell")


def test_topics_are_read_as_they_were_built() -> None:
    assert TOPICS.inbox("door", "alice") == "home/bell/call/door/alice"
    assert TOPICS.inbox_sender("home/bell/call/door/alice") == "alice"
    assert TOPICS.presence("alice", "phone-1") == "home/bell/presence/alice/phone-1"
    assert TOPICS.presence_owner("home/bell/presence/alice/phone-1") == ("alice", "phone-1")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "home/bell",
        "home/bell/call/door",
        "home/bell/call/door/alice/x",
        "x/call/door/alice",
        "call/door/alice",
    ],
)
def test_other_topics_are_nobodys(topic: str) -> None:
    assert TOPICS.inbox_sender(topic) is None
    assert TOPICS.presence_owner(topic.replace("call", "presence")) is None


FILTERS = [
    "#",
    "+",
    "a",
    "a/#",
    "a/+",
    "+/b",
    "a/+/c",
    "+/+",
    "a/b/#",
    "/+",
    "+/",
    "$SYS/#",
    "a/b/c",
    "#/a",
]
NAMES = ["a", "a/b", "a/b/c", "/a", "a/", "$SYS/x", "b", "/", "a//c"]


def test_it_matches_what_paho_matches() -> None:
    for one in FILTERS[:-1]:
        for name in NAMES:
            assert matches(one, name) == topic_matches_sub(one, name), (one, name)


def test_many_filters_together_match_what_one_of_them_does() -> None:
    for first in FILTERS[:-1]:
        for second in FILTERS[:-1]:
            filters = Filters((first, second))
            for name in NAMES:
                expected = matches(first, name) or matches(second, name)
                assert filters.cover(name) is expected, (first, second, name)
    assert not Filters(()).cover("a")
