"""The bounds: a memory of the latest, and a bucket of tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.limits import Latest, Recent, TokenBucket


def test_the_oldest_entry_makes_room_and_a_new_value_makes_it_young() -> None:
    recent: Recent[str, int] = Recent(2)
    recent["a"] = 1
    recent["b"] = 2
    recent["a"] = 3
    recent["c"] = 4
    assert dict(recent) == {"a": 3, "c": 4}


@given(st.lists(st.floats(0, 5), max_size=200), st.floats(0.5, 50), st.integers(1, 60))
def test_no_more_gets_through_than_burst_and_rate(
    pauses: list[float], rate_per_s: float, burst: int
) -> None:
    bucket, now_s, passed = TokenBucket.full(rate_per_s, burst, 0.0), 0.0, 0
    for pause_s in pauses:
        now_s += pause_s
        passed += bucket.take(now_s)
        assert passed <= burst + rate_per_s * now_s + 1e-6


def test_it_fills_again_and_a_clock_that_goes_back_does_no_harm() -> None:
    bucket = TokenBucket.full(1, 2, 10.0)
    assert [bucket.take(10.0) for _ in range(3)] == [True, True, False]
    assert not bucket.take(5.0)
    assert not bucket.take(10.5)
    assert bucket.take(11.0)


def test_the_newest_word_on_each_topic_is_kept_and_no_group_pushes_anothers_out() -> None:
    latest: Latest[str, int] = Latest(groups=2, of_each=2)
    latest.keep("alice", "phone", 1)
    for number in range(100):
        latest.keep("bob", f"tab-{number}", number)
    latest.keep("alice", "phone", 2)
    assert latest.items() == [("bob", "tab-98", 98), ("bob", "tab-99", 99), ("alice", "phone", 2)]
    assert len(latest) == 3
    latest.drop("bob", "tab-98")
    latest.drop("bob", "tab-99")
    latest.drop("bob", "never there")
    assert latest.items() == [("alice", "phone", 2)]
    latest.keep("carol", "x", 3)
    latest.keep("dora", "x", 4)
    assert [group for group, _, _ in latest.items()] == ["carol", "dora"]
    assert (latest.get("carol", "x"), latest.get("carol", "y"), latest.get("eve", "x")) == (
        3,
        None,
        None,
    )
    latest.drop_group("carol")
    latest.drop_group("carol")
    assert latest.items() == [("dora", "x", 4)]
    latest.clear()
    assert len(latest) == 0


def test_a_bucket_says_how_long_to_wait_for_the_next() -> None:
    bucket = TokenBucket.full(4.0, 1.0, 10.0)
    assert bucket.wait_s() == 0.0
    assert bucket.take(10.0)
    assert not bucket.take(10.125)
    assert bucket.wait_s() == 0.125
    assert bucket.take(10.125 + bucket.wait_s())
