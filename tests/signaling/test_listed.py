"""Whom a host's list has told of."""

from __future__ import annotations

from appliance.messages import Address
from appliance.signaling.listed import MAX_CALLS, Listed

BOB, CAROL = Address("bob", "phone"), Address("carol", "main")


def test_who_is_listed_can_be_reached_and_heard_until_the_call_is_over() -> None:
    listed = Listed()
    assert not listed.knows("bob")
    listed.told("call-1", {BOB: "e1", CAROL: None})
    assert listed.knows("bob")
    assert listed.knows("carol")
    assert listed.epoch_of("bob", "phone") == "e1"
    assert listed.epoch_of("bob", "tablet") is None
    assert listed.epoch_of("carol", "main") is None
    listed.forget("call-1")
    assert not listed.knows("bob")
    assert listed.epoch_of("bob", "phone") is None


def test_the_latest_list_counts() -> None:
    listed = Listed()
    listed.told("call-1", {BOB: "e1"})
    listed.told("call-2", {BOB: "e2"})
    assert listed.epoch_of("bob", "phone") == "e2"
    listed.told("call-1", {CAROL: "e3"})
    assert listed.epoch_of("bob", "phone") == "e2", "the other list still names it"


def test_no_more_lists_are_kept_than_a_device_has_use_for() -> None:
    listed = Listed()
    for number in range(MAX_CALLS + 5):
        listed.told(f"call-{number}", {Address(f"u{number}", "phone"): "e"})
    assert not listed.knows("u0")
    assert listed.knows(f"u{MAX_CALLS + 4}")
