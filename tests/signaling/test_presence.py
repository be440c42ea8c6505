"""Who is there, by what the broker had retained and by what it tells afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.calls.inputs import ENDPOINTS_OF_EACH, PresenceChanged
from appliance.signaling import presence
from appliance.signaling.presence import OFFLINE, Presence, Standing
from appliance.signaling.rejected import Rejected


def online(epoch: str = "e1", **more: Any) -> bytes:
    return json.dumps(
        {"v": 1, "state": "online", "epoch": epoch, "name": "Alice", "kid": None} | more
    ).encode()


def came(epoch: str = "e1", endpoint: str = "phone-1") -> PresenceChanged:
    return PresenceChanged("alice", endpoint, online=True, epoch=epoch, name="Alice")


def went(endpoint: str = "phone-1") -> PresenceChanged:
    return PresenceChanged("alice", endpoint, online=False)


def test_an_endpoint_comes_connects_anew_and_goes() -> None:
    known = Presence()
    assert known.epoch_of("alice", "phone-1") is None
    assert known.told("alice", "phone-1", online()) == [came()]
    assert known.told("alice", "phone-1", online()) == []
    assert known.epoch_of("alice", "phone-1") == "e1"
    assert known.told("alice", "phone-1", online("e2")) == [came("e2")]
    assert known.epoch_of("alice", "phone-1") == "e2"
    assert known.told("alice", "phone-1", OFFLINE) == [went()]
    assert known.told("alice", "phone-1", OFFLINE) == []
    assert known.epoch_of("alice", "phone-1") is None


def test_a_deleted_presence_is_one_that_is_offline() -> None:
    known = Presence()
    known.told("alice", "phone-1", online())
    assert known.told("alice", "phone-1", b"") == [went()]


def test_all_endpoints_together_have_no_epoch() -> None:
    known = Presence()
    known.told("alice", "phone-1", online())
    assert known.epoch_of("alice", None) is None


def test_whose_key_does_not_count_is_not_there_however_often_it_says_so() -> None:
    keys = {"lost", "good"}
    known = Presence(lambda uid, kid: uid == "bob" or kid in keys)
    known.told("alice", "phone-1", online(kid="lost"))
    known.told("alice", "tablet", online("e2", kid="good"))
    known.told("bob", "phone", online("e3"))
    assert known.recount() == []
    keys.remove("lost")
    assert known.recount() == [went()]
    assert known.epoch_of("alice", "phone-1") == "e1", "it can be told so"
    for kid in ("lost", None, "made-up"):
        assert known.told("alice", "phone-1", online("e4", kid=kid)) == []
    assert known.told("alice", "phone-1", online("e5", kid="good")) == [came("e5")]
    assert known.told("alice", "phone-1", online("e6", kid="lost")) == [went()]
    assert known.epoch_of("alice", "phone-1") == "e5", "it is not reached by what another says"
    assert known.epoch_of("alice", "tablet") == "e2"


def test_who_said_it_before_its_key_was_taken_in_is_there_from_then_on() -> None:
    keys = {"old"}
    known = Presence(lambda uid, kid: kid in keys)
    assert known.told("alice", "phone-1", online(kid="new")) == []
    assert known.told("alice", "tablet", online(kid="new")) == []
    assert known.told("alice", "tablet", OFFLINE) == []
    assert known.recount() == []
    keys.add("new")
    assert known.recount() == [came()]
    assert known.recount() == []
    known.told("alice", "tablet", online(kid="newer"))
    known.drop("alice")  # no contact any more: what was kept of it is not news of one
    keys.add("newer")
    assert known.recount() == []


def test_who_was_there_before_anybody_was_paired_is_there_again_with_its_key() -> None:
    keys: set[str | None] = set()
    known = Presence(lambda uid, kid: not keys or kid in keys)
    known.told("alice", "phone-1", online(kid="first"))
    known.told("alice", "tablet", online(kid="second"))
    keys.add("first")
    assert known.recount() == [went("tablet")]
    keys.add("second")
    assert known.recount() == [came(endpoint="tablet")]


def test_who_is_not_told_of_again_after_a_reconnect_is_gone() -> None:
    known = Presence()
    known.told("alice", "phone-1", online())
    known.told("alice", "tablet", online())
    assert known.complete() == []
    known.disconnected()
    assert known.epoch_of("alice", "tablet") == "e1"  # until it is known better
    known.told("alice", "phone-1", online())
    assert known.complete() == [went("tablet")]
    assert known.complete() == []


def test_who_stayed_while_our_own_link_was_away_is_told_of_again_once() -> None:
    known = Presence()
    known.told("alice", "phone-1", online())
    known.disconnected()
    assert known.told("alice", "phone-1", online()) == [came()]
    assert known.told("alice", "phone-1", online()) == []
    assert known.complete() == []


def test_what_we_say_of_ourselves_is_understood() -> None:
    known = Presence()
    assert known.told("door", "main", presence.online("e9", "Front door", None)) == [
        PresenceChanged("door", "main", online=True, epoch="e9", name="Front door")
    ]
    assert json.loads(presence.online("e9", "Front door", None)) == {
        "v": 1,
        "state": "online",
        "epoch": "e9",
        "name": "Front door",
        "kid": None,
    }
    assert json.loads(OFFLINE) == {"v": 1, "state": "offline"}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"online", "malformed"),
        (b"{}", "malformed"),
        (b'{"v": 1, "state": "away"}', "malformed"),
        (b'{"v": 1, "state": "online"}', "malformed"),
        (online(epoch="an epoch"), "malformed"),
        (online(name=5), "malformed"),
        (online(v=2), "unsupported_version"),
        (online(name="\u00e4").replace(b"\\u00e4", b"\xff"), "malformed"),
        (online(more="x" * presence.MAX_BYTES), "oversized"),
    ],
)
def test_what_is_not_a_presence_is_refused_and_changes_nothing(payload: bytes, code: str) -> None:
    known = Presence()
    known.told("alice", "phone-1", online())
    with pytest.raises(Rejected) as caught:
        known.told("alice", "phone-1", payload)
    assert caught.value.code == code
    assert known.epoch_of("alice", "phone-1") == "e1"


def test_an_endpoint_must_have_the_name_of_one() -> None:
    for name in ("", "Phone 1", "x" * 65, "a\n"):
        with pytest.raises(Rejected, match="endpoint"):
            Presence().told("alice", name, online())


def test_one_uid_cannot_fill_the_memory() -> None:
    known = Presence()
    for number in range(ENDPOINTS_OF_EACH):
        known.told("alice", f"tab-{number}", online())
    with pytest.raises(Rejected) as caught:
        known.told("alice", "one-more", online())
    assert caught.value.code == "flooded"
    assert known.told("alice", "tab-0", online("e2")) == [came("e2", "tab-0")]


def test_made_up_ones_neither_keep_a_good_one_out_nor_push_it_out() -> None:
    signed = {"phone-1"}

    def standing(_uid: str, endpoint: str, kid: str | None) -> Standing:
        if endpoint in signed:
            return Standing.HAS_SIGNED
        return Standing.NAMES_A_KEY if kid == "good" else Standing.NOTHING

    known = Presence(standing=standing)
    for number in range(ENDPOINTS_OF_EACH):
        known.told("alice", f"made-up-{number}", online())
    assert known.told("alice", "phone-1", online(kid="good")) == [went("made-up-0"), came()]
    for number in range(1, ENDPOINTS_OF_EACH):  # its key's name can be copied
        told = known.told("alice", f"copy-{number}", online(kid="good"))
        assert told == [went(f"made-up-{number}"), came("e1", f"copy-{number}")]
    for kid in (None, "good"):
        with pytest.raises(Rejected) as caught:
            known.told("alice", "one-more", online(kid=kid))
        assert caught.value.code == "flooded"
    with pytest.raises(Rejected):
        known.told("alice", "tablet", online(kid="good"))
    signed.add("tablet")  # and its signature cannot
    assert known.heard("alice", "tablet") == [went("copy-1"), came("e1", "tablet")]
    assert known.heard("alice", "tablet") == []
    assert known.epoch_of("alice", "phone-1") == "e1"


def test_who_was_there_before_the_link_was_lost_keeps_nobody_out_who_is_there_now() -> None:
    known = Presence()
    for number in range(ENDPOINTS_OF_EACH):
        known.told("alice", f"tab-{number}", online())
    known.disconnected()
    assert known.told("alice", "phone-1", online()) == [went("tab-0"), came()]


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise(payload: bytes) -> None:
    try:
        changes = Presence().told("alice", "phone-1", payload)
    except Rejected:
        return
    assert all(isinstance(change, PresenceChanged) for change in changes)


def test_who_is_no_contact_any_more_is_not_there_and_can_be_told_so() -> None:
    known = Presence()
    known.told("alice", "phone-1", presence.online("e1", "Alice", "kid"))
    assert known.uids() == ["alice"]
    assert known.drop("alice") == [PresenceChanged("alice", "phone-1", online=False)]
    assert known.drop("alice") == []
    assert known.uids() == []
    assert known.epoch_of("alice", "phone-1") == "e1", "for the last word"
    known.disconnected()
    assert known.epoch_of("alice", "phone-1") is None
