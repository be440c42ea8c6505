"""Every refusal is counted; how many are told is not for who is refused to choose."""

from __future__ import annotations

from appliance.signaling import refusals as rules
from appliance.signaling.refusals import Refusals
from appliance.signaling.rejected import Rejected

FORGED = Rejected("forged", "alice did not sign this")


def test_each_is_told_as_long_as_they_are_few() -> None:
    refusals = Refusals()
    said = [refusals.sentence(FORGED, "call/door/alice", float(second)) for second in range(100)]
    assert said == ["alice did not sign this."] * 100
    assert refusals.counts == {"forged": 100}


def test_of_many_some_are_told_and_then_how_many_there_were() -> None:
    refusals = Refusals()
    said = [refusals.sentence(FORGED, "call/door/alice", 1.0) for _ in range(5000)]
    assert sum(one is not None for one in said) == rules.TOPIC_BURST
    assert refusals.counts == {"forged": 5000}
    assert refusals.sentence(FORGED, "call/door/bob", 1.0) is not None
    later = refusals.sentence(FORGED, "call/door/alice", 2.0)
    assert later == "alice did not sign this; 4980 more were refused before it."


def test_topics_without_end_are_no_way_around_it() -> None:
    refusals = Refusals()
    said = [refusals.sentence(FORGED, f"call/door/u{number}", 1.0) for number in range(5000)]
    assert sum(one is not None for one in said) == rules.TOTAL_BURST


def test_a_flood_is_told_once_a_second() -> None:
    refusals = Refusals()
    flooded = Rejected("flooded", "alice sends too much")
    said = [refusals.sentence(flooded, "t", 1.0 + tick / 100) for tick in range(300)]
    assert sum(one is not None for one in said) == 3
