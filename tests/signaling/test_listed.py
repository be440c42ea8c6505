"""Whom hosts' lists have told of: heard, and written to, as far as the core follows who has sent them."""

from __future__ import annotations

from appliance.messages import Address
from appliance.signaling.listed import MAX_CALLS, Listed, Reach
from appliance.trust.keys import DeviceKey

BOB, CAROL = Address("bob", "phone"), Address("carol", "main")
HOST, ALICE = Address("gate", "main"), Address("alice", "phone")
KEY, OTHER = DeviceKey.make(), DeviceKey.make()


def test_who_is_listed_is_heard_until_the_call_is_over() -> None:
    listed = Listed()
    assert not listed.knows("bob")
    listed.told("call-1", HOST, {BOB: Reach("e1", KEY.public), CAROL: Reach()})
    listed.follow("call-1", HOST)
    assert listed.knows("bob")
    assert listed.knows("carol")
    assert listed.keys_of("bob") == {KEY.kid: KEY.public_key}
    assert listed.keys_of("carol") == {}
    assert listed.keys() == {("bob", KEY.kid)}
    assert listed.vouched_by(BOB, KEY.kid) == {HOST}
    assert listed.vouched_by(BOB, OTHER.kid) == frozenset()
    assert listed.vouched_by(Address("bob", "tablet"), KEY.kid) == frozenset()
    assert listed.vouched_by(CAROL, None) == {HOST}
    listed.forget("call-1")
    assert not listed.knows("bob")
    assert listed.keys() == frozenset()


def test_nobody_is_heard_by_a_list_of_whom_the_core_does_not_follow() -> None:
    listed = Listed()
    listed.told("call-1", HOST, {BOB: Reach("e1", KEY.public)})
    listed.follow("call-2", HOST)
    listed.follow("call-1", ALICE)
    assert not listed.knows("bob")
    assert listed.keys_of("bob") == {}
    assert listed.keys() == frozenset()
    assert listed.vouched_by(BOB, KEY.kid) == frozenset()
    listed.follow("call-1", HOST)
    assert listed.knows("bob"), "the list that came before"
    assert listed.vouched_by(BOB, KEY.kid) == {HOST}


def test_a_host_that_has_not_spoken_is_followed_at_whichever_endpoint_it_speaks() -> None:
    listed = Listed()
    listed.follow("call-1", Address("gate"))
    listed.told("call-1", ALICE, {CAROL: Reach("e1", OTHER.public)})
    listed.told("call-1", HOST, {BOB: Reach("e1", KEY.public)})
    assert listed.keys() == {("bob", KEY.kid)}


def test_who_is_listed_is_reached_once_the_core_has_followed() -> None:
    listed = Listed()
    listed.told("call-1", HOST, {BOB: Reach("e1", KEY.public)})
    assert listed.reach_of("bob", "phone") is None
    listed.follow("call-1", HOST)
    assert listed.reach_of("bob", "phone") == Reach("e1", KEY.public)
    assert listed.reach_of("bob", "tablet") is None
    listed.told("call-1", HOST, {BOB: Reach("e2", KEY.public)})
    assert listed.reach_of("bob", "phone") == Reach("e2", KEY.public), "the latest counts"
    listed.forget("call-1")
    assert listed.reach_of("bob", "phone") is None


def test_who_is_not_the_host_changes_nothing_of_the_hosts_list() -> None:
    listed = Listed()
    listed.told("call-1", HOST, {BOB: Reach("e1", KEY.public)})
    listed.follow("call-1", HOST)
    listed.told("call-1", ALICE, {BOB: Reach("wrong", OTHER.public)})
    assert listed.reach_of("bob", "phone") == Reach("e1", KEY.public)
    assert listed.vouched_by(BOB, OTHER.kid) == frozenset()


def test_nobody_pushes_out_anothers_list() -> None:
    listed = Listed()
    listed.told("call-1", HOST, {BOB: Reach("e1", KEY.public)})
    for number in range(MAX_CALLS + 5):
        listed.told(f"nonsense-{number}", ALICE, {Address(f"u{number}", "phone"): Reach("e")})
    listed.follow("call-1", HOST)
    assert listed.knows("bob")
    listed.follow("nonsense-0", ALICE)
    assert not listed.knows("u0")
    listed.follow(f"nonsense-{MAX_CALLS + 4}", ALICE)
    assert listed.knows(f"u{MAX_CALLS + 4}")


def test_who_is_no_contact_any_more_vouches_for_nobody() -> None:
    listed = Listed()
    listed.told("call-1", HOST, {BOB: Reach("e1", KEY.public)})
    listed.follow("call-1", HOST)
    listed.drop("gate")
    assert not listed.knows("bob")
    assert listed.reach_of("bob", "phone") is None


def test_what_is_no_key_is_nobodys() -> None:
    listed = Listed()
    listed.told("call-1", HOST, {BOB: Reach("e1", "nonsense")})
    listed.follow("call-1", HOST)
    assert listed.knows("bob")
    assert listed.keys_of("bob") == {}
    assert listed.vouched_by(BOB, KEY.kid) == frozenset()


def test_whom_to_listen_to_is_said_by_the_lists_that_the_core_followed() -> None:
    listed = Listed()
    listed.told("call-1", HOST, {BOB: Reach("e1", KEY.public)})
    listed.told("call-1", ALICE, {Address("crowd", "phone"): Reach("e1")})
    assert listed.followed() == frozenset()
    listed.follow("call-1", HOST)
    assert listed.followed() == {"bob"}
    listed.told("call-1", HOST, {BOB: Reach("e1", KEY.public), ALICE: Reach("e2")})
    assert listed.followed() == {"bob", "alice"}
    listed.forget("call-1")
    assert listed.followed() == frozenset()
