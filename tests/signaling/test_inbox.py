"""What the inbox lets through: for us, of now, once, in order, and not too fast."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.messages import Address
from appliance.signaling import inbox as rules
from appliance.signaling.inbox import Inbox
from appliance.signaling.rejected import Rejected
from tests.signaling.envelopes import envelope

ME = Address("door", "main")
NOW_MS = envelope().sent_at_ms


class Judge:
    """An inbox at a standing time."""

    def __init__(self, *, unsigned: bool = False) -> None:
        self.inbox = Inbox(ME, allow_null_epoch=unsigned)
        self.inbox.connected("e1")
        self.seq = 100

    def __call__(
        self,
        *,
        wall_ms: int = NOW_MS,
        synced: bool = True,
        kid: str | None = None,
        vouched_by: Collection[str] = (),
        **changes: Any,
    ) -> bool | str:
        """Whether it is acted on, or the code of why it is refused."""
        self.seq += 1
        values: dict[str, Any] = {"epoch": "e1", "id": f"m{self.seq}", "seq": self.seq}
        said = envelope(**values | changes)
        try:
            return self.inbox.admit(
                said, wall_ms=wall_ms, synced=synced, kid=kid, vouched_by=vouched_by
            )
        except Rejected as fault:
            return fault.code if fault.call_id == "c1" else "of no call"


def test_only_this_connections_epoch_is_of_now() -> None:
    judge = Judge()
    assert judge() is True
    assert judge(epoch="e0") == "wrong_epoch"
    assert judge(epoch=None) == "wrong_epoch"
    judge.inbox.connected("e2")
    assert judge(epoch="e1") == "wrong_epoch"
    assert judge(epoch="e2") is True


def test_a_null_epoch_goes_only_with_what_need_not_be_signed() -> None:
    judge = Judge(unsigned=True)
    assert judge(epoch=None) is True
    assert judge(epoch="e0") == "wrong_epoch"


def test_another_endpoints_message_is_ignored_without_a_word() -> None:
    judge = Judge()
    assert judge(to=Address("door", "other"), epoch="whatever") is False
    assert judge(to=Address("door", "main")) is True
    assert judge(to=Address("door")) is True
    assert judge.inbox.ignored == {"for_another_endpoint": 1}


def test_an_id_is_acted_on_once_whatever_else_has_changed() -> None:
    judge = Judge()
    assert judge(id="ring", seq=5) is True
    assert judge(id="ring", seq=5) is False  # QoS 1 delivers twice
    assert judge(id="ring", seq=9) is False  # repeated after a second
    assert judge(id="answer", seq=6) is True  # which was no step forward
    assert judge(id="ring", seq=5) is False  # nor is this one back
    assert judge.inbox.ignored == {"duplicate": 3}
    assert judge(id="ring", seq=5, sender=Address("bob", "x")) is True


def test_numbers_rise_for_each_sender_endpoint_and_addressee() -> None:
    judge = Judge()
    assert judge(seq=10) is True
    assert judge(seq=12) is True  # a gap is no fault
    assert judge(seq=11) == "replayed"
    assert judge(seq=12) == "replayed"
    assert judge(seq=1, sender=Address("alice", "phone-2")) is True
    assert judge(seq=1, sender=Address("bob", "phone-1")) is True
    assert judge(seq=1, to=ME) is True
    assert judge(seq=13) is True


def test_what_was_refused_counts_as_not_seen() -> None:
    judge = Judge()
    assert judge(id="a", seq=50, epoch="e0") == "wrong_epoch"
    assert judge(id="a", seq=2) is True


def test_a_sender_that_connects_anew_may_count_anew() -> None:
    judge = Judge()
    assert judge(seq=50) is True
    judge.inbox.restarted("alice", "phone-2")
    assert judge(seq=1) == "replayed"
    judge.inbox.restarted("alice", "phone-1")
    assert judge(seq=1) is True


@pytest.mark.parametrize("off_s", [-36, 36])
def test_age_is_judged_only_if_both_clocks_are_right(off_s: int) -> None:
    judge = Judge()
    then = NOW_MS + off_s * 1000  # ttl_s is 30, and 5 are granted
    assert judge(wall_ms=then) == "outdated"
    assert judge(wall_ms=then, synced=False) is True
    assert judge(wall_ms=0, synced=False) is True
    assert Judge()(wall_ms=NOW_MS + (34 if off_s > 0 else -34) * 1000) is True


def test_a_sender_with_an_unknown_clock_is_not_judged_by_it() -> None:
    inbox = Inbox(ME, allow_null_epoch=True)
    assert inbox.admit(envelope(synced=False), wall_ms=0, synced=True)


def test_what_was_retained_is_refused_at_the_door() -> None:
    inbox = Inbox(ME, allow_null_epoch=True)
    with pytest.raises(Rejected, match="retained") as caught:
        inbox.knock("alice", retained=True, now_s=0)
    assert caught.value.code == "retained"


def let_in(inbox: Inbox, sender: str, now_s: float) -> bool:
    try:
        inbox.knock(sender, retained=False, now_s=now_s)
    except Rejected as fault:
        return fault.code != "flooded"
    return True


def test_a_flood_of_one_is_held_back_and_does_not_hold_back_others() -> None:
    inbox = Inbox(ME, allow_null_epoch=True)
    assert sum(let_in(inbox, "mallory", 1.0) for _ in range(1000)) == rules.SENDER_BURST
    assert let_in(inbox, "alice", 1.0)
    later = sum(let_in(inbox, "mallory", 1.0 + tick / 1000) for tick in range(1000))
    assert later == pytest.approx(rules.SENDER_RATE_PER_S, abs=1)


def test_many_senders_together_are_held_back_too_and_none_is_silenced_by_them() -> None:
    inbox = Inbox(ME, allow_null_epoch=True)
    passed = sum(let_in(inbox, f"u{number % 40}", 5.0) for number in range(4000))
    assert passed == rules.TOTAL_BURST + 40 * rules.SURE_BURST
    assert let_in(inbox, "alice", 5.0)
    for second in range(6, 36):
        for _ in range(50):
            for number in range(40):
                let_in(inbox, f"u{number}", second)
        assert all(let_in(inbox, "alice", second + 0.2 * tick) for tick in range(4))


def test_a_call_can_be_ended_through_a_flood_in_ones_own_name() -> None:
    inbox = Inbox(ME, allow_null_epoch=True)
    asked = []

    def last_word() -> bool:
        asked.append(1)
        return True

    for _ in range(1000):
        let_in(inbox, "alice", 1.0)
    inbox.knock("alice", retained=False, now_s=1.0, is_last_word=last_word)
    assert asked == [1]
    inbox.knock("bob", retained=False, now_s=1.0, is_last_word=last_word)
    assert asked == [1], "nobody looks into what there is room for"
    passed = 0
    for _ in range(1000):  # but not by a flood of endings
        with contextlib.suppress(Rejected):
            inbox.knock("alice", retained=False, now_s=1.0, is_last_word=last_word)
            passed += 1
    assert passed == rules.LAST_WORD_BURST - 1


def test_strangers_cannot_fill_its_memory() -> None:
    judge = Judge()
    for number in range(rules.MAX_PLAIN_IDS + 100):
        let_in(judge.inbox, f"u{number}", number)
        judge(sender=Address(f"u{number}", f"e{number}"))
    assert len(judge.inbox._senders) == rules.MAX_SENDERS
    assert len(judge.inbox._plain.ids) == rules.MAX_PLAIN_IDS
    assert len(judge.inbox._plain.highest) == rules.MAX_PLAIN_COUNTERS


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9)), max_size=60))
def test_in_any_order_each_id_is_acted_on_at_most_once_and_numbers_rise(
    arrivals: list[tuple[str, int]],
) -> None:
    judge = Judge()
    acted = [(id_, seq) for id_, seq in arrivals if judge(id=id_, seq=seq) is True]
    assert len({id_ for id_, _ in acted}) == len(acted)
    assert [seq for _, seq in acted] == sorted({seq for _, seq in acted})


# -------------------- signed


def test_a_presence_which_anybody_can_forge_changes_nothing_of_what_is_signed() -> None:
    judge = Judge(unsigned=True)
    assert judge(kid="k", seq=50) is True
    judge.inbox.restarted("alice", "phone-1")
    assert judge(kid="k", seq=50, id="other") == "replayed"
    assert judge(kid="k", seq=1) == "replayed"


def test_what_is_unsigned_pushes_nothing_signed_out_and_counts_for_itself() -> None:
    judge = Judge(unsigned=True)
    assert judge(kid="k", seq=50, id="signed") is True
    for number in range(rules.MAX_PLAIN_IDS + 1):
        judge(sender=Address("alice", f"e{number}"), seq=number + 1)
    assert judge(kid="k", seq=50) == "replayed"
    assert judge(kid="k", seq=51, id="signed") is False
    assert judge(kid="other", seq=1, id="signed") is True, "another key has its own memory"


def test_nobody_pushes_out_anothers_numbers_or_ones_own() -> None:
    judge = Judge()
    assert judge(kid="k", seq=9, sender=Address("bob", "phone"), id="bobs") is True
    for number in range(rules.MAX_COUNTERS):
        assert judge(kid="m", sender=Address("alice", f"e{number}"), seq=5) is True
    assert judge(kid="m", sender=Address("alice", "one-more"), seq=5) == "memory_full"
    assert judge(kid="m", sender=Address("alice", "e0"), seq=5) == "replayed"
    assert judge(kid="m", sender=Address("alice", "e0"), seq=6) is True
    assert judge(kid="k", sender=Address("bob", "phone"), seq=9) == "replayed"
    judge.inbox.connected("e2")
    assert judge(kid="m", sender=Address("alice", "one-more"), seq=5, epoch="e2") is True
    assert judge(kid="m", sender=Address("alice", "e0"), seq=6, epoch="e1") == "wrong_epoch"


def test_ids_hold_over_a_new_epoch() -> None:
    judge = Judge()
    assert judge(kid="k", id="ring", seq=1) is True
    judge.inbox.connected("e2")
    assert judge(kid="k", id="ring", seq=2, epoch="e2") is False


def brings(judge: Judge, voucher: str, *, epoch: str = "e1") -> list[str]:
    """A host vouches for ever new keys until there is no room for one; those that there was room for."""
    kids: list[str] = []
    while True:
        kid = f"{voucher}-{epoch}-{len(kids)}"
        said = judge(kid=kid, sender=Address(kid, "e"), epoch=epoch, vouched_by=[voucher])
        if said is not True:
            assert said == "memory_full"
            return kids
        kids.append(kid)


def test_however_many_keys_a_host_vouches_for_it_takes_its_own_room_alone() -> None:
    judge = Judge()
    kids = brings(judge, "gate")
    assert len(kids) == rules.MAX_VOUCHED
    assert (
        judge(kid=kids[0], sender=Address(kids[0], "e"), seq=1, vouched_by=["gate"]) == "replayed"
    )
    assert judge(kid="k", sender=Address("zoe", "e"), vouched_by=["attic"]) is True, (
        "by another's word"
    )
    assert judge(kid="m", sender=Address("ann", "e"), vouched_by=["attic", "gate"]) is True
    assert judge(kid="m", sender=Address("ann", "e"), vouched_by=["gate"]) is True, (
        "it has its place"
    )
    assert len(brings(judge, "attic")) == rules.MAX_VOUCHED - 2


def test_a_contacts_key_has_room_however_many_others_there_are() -> None:
    judge = Judge()
    for voucher in ("gate", "attic"):
        brings(judge, voucher)
    for number in range(rules.MAX_KEYS + 1):
        assert judge(kid=f"own-{number}", sender=Address(f"u{number}", "e")) is True
    judge.inbox.connected("e2")
    assert len(judge.inbox._memories) <= rules.MAX_KEYS


def test_with_a_new_epoch_those_are_let_go_for_whom_nobody_vouches_any_more() -> None:
    judge = Judge()
    assert judge(kid="own", id="ring", sender=Address("alice", "e"), seq=1) is True
    kids = brings(judge, "gate")
    still = {(kids[-1], kids[-1])}
    judge.inbox.connected("e2", still)
    assert set(judge.inbox._memories) == {("alice", "own"), *still}
    assert judge(kid="own", id="ring", sender=Address("alice", "e"), seq=2, epoch="e2") is False
    assert len(brings(judge, "gate", epoch="e2")) == rules.MAX_VOUCHED - 1
    every = frozenset(judge.inbox._memories)
    judge.inbox.connected("e3", every)
    assert ("alice", "own") in judge.inbox._memories, "which the contacts' own never make room for"
    assert len(brings(judge, "gate", epoch="e3")) == rules.MAX_VOUCHED // 2, "the oldest have"


def test_who_was_vouched_for_and_is_a_contact_now_takes_nobodys_room() -> None:
    judge = Judge()
    kids = brings(judge, "gate")
    assert judge(kid=kids[0], sender=Address(kids[0], "e"), seq=1) == "replayed"
    assert judge(kid="one-more", sender=Address("zoe", "e"), vouched_by=["gate"]) is True


def test_without_an_epoch_numbers_are_kept_over_connections_and_not_for_ever() -> None:
    judge = Judge(unsigned=True)
    assert judge(kid="k", epoch=None, seq=5) is True
    judge.inbox.connected("e2")
    assert judge(kid="k", epoch=None, seq=5) == "replayed"
    for number in range(rules.MAX_COUNTERS):
        judge(kid="k", epoch=None, sender=Address("alice", f"e{number}"))
    assert judge(kid="k", epoch=None, sender=Address("alice", "one-more")) == "memory_full"
    judge.inbox.connected("e3")
    assert judge(kid="k", epoch=None, sender=Address("alice", "one-more")) is True
