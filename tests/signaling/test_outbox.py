"""What the outbox sends, how often, and until when."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.messages import (
    Accept,
    Address,
    Answer,
    Cancel,
    Candidate,
    End,
    Join,
    Message,
    Offer,
    Participants,
    Reject,
    Ringing,
    State,
)
from appliance.model import CancelReason, RejectReason
from appliance.signaling import outbox as rules
from appliance.signaling.outbox import Outbox
from tests.signaling.envelopes import ANSWER, INVITE, MESSAGES, OFFER

ALICE = Address("alice")
PHONE = Address("alice", "phone-1")
TABLET = Address("alice", "tablet")
BOB = Address("bob", "phone-1")

CANCEL = Cancel(CancelReason.CANCELLED)
REJECT = Reject(RejectReason.REJECTED)
END = End("hang_up")
ANSWERED = Answer(ANSWER)
LIST = Participants("s1", 1, ())


class Box(Outbox):
    """An outbox with short ids, and a clock that is set by hand."""

    def __init__(self, *, connected: bool = True) -> None:
        super().__init__((f"m{number}" for number in itertools.count(1)).__next__)
        self.now_s = 1000.0
        if connected:
            self.connected(self.now_s)

    def put(
        self, message: Message, to: Address = PHONE, call: str = "c1", ttl_s: float = 30
    ) -> str:
        parcel = self.post(to, call, message, ttl_s=ttl_s, now_s=self.now_s)
        assert parcel is not None
        return parcel.id

    def sent(self, after_s: float = 0) -> list[str]:
        """The ids of what is sent when so much time has gone by."""
        self.now_s += after_s
        return [parcel.id for parcel in self.due(self.now_s)]

    def lapsed(self, after_s: float = 0) -> list[tuple[str, bool]]:
        """What got too old, and whether the broker had it."""
        self.now_s += after_s
        return [(one.id, one.acknowledged) for one in self.expired(self.now_s)]


REPEATED: list[Message] = [INVITE, Accept(offer=OFFER), Join(token="t"), Offer(OFFER)]
ONCE = [
    message for message in MESSAGES if message.TYPE not in ("invite", "accept", "join", "offer")
]


@pytest.mark.parametrize("message", REPEATED, ids=lambda message: message.TYPE)
def test_what_must_be_answered_is_sent_every_second_with_the_same_id(message: Message) -> None:
    box = Box()
    id_ = box.put(message)
    assert box.sent() == [id_]
    assert box.sent(after_s=0.9) == []
    assert box.next_deadline_s() == 1001.0
    assert box.sent(after_s=0.1) == [id_]
    box.acknowledged(id_)  # the broker has it; who is meant may not
    assert box.sent(after_s=1) == [id_]


@pytest.mark.parametrize("message", ONCE, ids=lambda message: message.TYPE)
def test_nothing_else_is_repeated(message: Message) -> None:
    box = Box()
    id_ = box.put(message)
    assert box.sent() == [id_]
    assert box.sent(after_s=5) == []
    box.acknowledged(id_)
    assert len(box) == 0
    assert box.next_deadline_s() is None


SETTLES: dict[str, set[str]] = {
    "invite": {"ringing", "accept", "reject", "cancel", "end"},
    "accept": {"answer", "reject", "cancel", "end"},
    "join": {"participants", "answer", "reject", "cancel", "end"},
    "offer": {"answer", "reject", "cancel", "end"},
}


@pytest.mark.parametrize("heard", MESSAGES, ids=lambda message: message.TYPE)
@pytest.mark.parametrize("posted", REPEATED, ids=lambda message: message.TYPE)
def test_each_is_settled_by_its_answers_and_by_nothing_else(
    posted: Message, heard: Message
) -> None:
    box = Box()
    box.put(posted)
    box.sent()
    box.heard(PHONE, "c1", heard)
    assert (len(box) == 0) == (heard.TYPE in SETTLES[posted.TYPE])


def test_only_who_was_asked_settles_it_and_only_in_that_call() -> None:
    box = Box()
    id_ = box.put(INVITE)
    for sender, call in ((TABLET, "c1"), (BOB, "c1"), (PHONE, "c2")):
        box.heard(sender, call, REJECT)
        assert box.sent(after_s=1) == [id_]
    box.heard(PHONE, "c1", REJECT)
    assert box.sent(after_s=1) == []


def test_what_went_to_all_is_settled_by_any() -> None:
    box = Box()
    box.put(INVITE, to=ALICE)
    box.heard(TABLET, "c1", Ringing())
    assert len(box) == 0


def test_an_accept_with_the_answer_in_it_is_settled_by_the_connection() -> None:
    box = Box()
    accept, invite = box.put(Accept(answer=ANSWER)), box.put(INVITE)
    box.settle(PHONE, "c1", "accept")
    assert [one.id for one in box] == [invite]
    box.settle(PHONE, "c2", "invite")
    box.settle(TABLET, "c1", "invite")
    assert [one.id for one in box] == [invite]
    assert accept not in box.sent(after_s=1)


@pytest.mark.parametrize("last", [CANCEL, REJECT, END], ids=lambda message: message.TYPE)
def test_our_own_last_word_takes_back_what_waits(last: Message) -> None:
    box = Box(connected=False)
    box.put(INVITE)
    box.put(Candidate(None))
    elsewhere = [box.put(INVITE, to=TABLET), box.put(INVITE, to=BOB), box.put(INVITE, call="c2")]
    word = box.put(last)
    box.connected(box.now_s)
    assert box.sent() == [*elsewhere, word]


def test_a_last_word_to_all_takes_back_what_waits_for_each() -> None:
    box = Box()
    box.put(INVITE)
    box.put(INVITE, to=TABLET)
    word = box.put(CANCEL, to=ALICE)
    assert box.sent() == [word]


def test_after_the_call_only_last_words_are_sent() -> None:
    box = Box(connected=False)
    box.put(Accept(offer=OFFER))
    box.put(State({"audio_muted": True}))
    end, other = box.put(END, to=TABLET), box.put(INVITE, call="c2")
    box.forget("c1")
    box.connected(box.now_s)
    assert box.sent() == [end, other]


def test_without_a_link_things_wait_and_go_in_the_order_of_their_posting() -> None:
    box = Box(connected=False)
    ids = [box.put(message) for message in (INVITE, Candidate(None), Ringing(), Offer(OFFER))]
    assert box.sent(after_s=3) == []
    assert box.next_deadline_s() == 1030.0
    box.connected(box.now_s)
    assert box.sent() == ids


def test_what_the_broker_had_not_acknowledged_is_sent_again_over_the_next_link() -> None:
    box = Box()
    first, second = box.put(Candidate(None)), box.put(Ringing())
    assert box.sent() == [first, second]
    box.acknowledged(first)
    box.disconnected()
    assert box.sent(after_s=2) == []
    box.connected(box.now_s)
    assert box.sent() == [second]


def test_who_comes_back_gets_at_once_what_waits_for_an_answer() -> None:
    box = Box()
    offer, _, other = box.put(Offer(OFFER)), box.put(Ringing()), box.put(INVITE, to=TABLET)
    to_all = box.put(INVITE, to=ALICE)
    box.sent()
    box.reachable(PHONE, box.now_s)
    assert box.sent() == [offer], "not what was for others, and nothing that is sent once"
    assert box.sent(after_s=1) == [offer, other, to_all]


def test_what_is_too_old_is_never_sent_and_told_of_once() -> None:
    box = Box(connected=False)
    unsent = box.put(INVITE, ttl_s=5)
    assert box.lapsed(after_s=4.9) == []
    assert box.lapsed(after_s=0.1) == [(unsent, False)]
    box.connected(box.now_s)
    assert box.sent() == []
    assert box.lapsed(after_s=10) == []


def test_whether_it_ever_left_is_the_brokers_word() -> None:
    box = Box()
    known, lost = box.put(INVITE, ttl_s=2), box.put(INVITE, to=BOB, ttl_s=2)
    box.sent()
    box.acknowledged(known)
    assert box.lapsed(after_s=2) == [(known, True), (lost, False)]


def test_at_the_moment_of_its_age_it_is_told_of_and_not_sent() -> None:
    box = Box()
    id_ = box.put(INVITE, ttl_s=1)
    box.sent()
    box.now_s += 1
    assert box.due(box.now_s) == []
    assert box.lapsed() == [(id_, False)]


def test_it_is_bounded() -> None:
    box = Box(connected=False)
    for _ in range(rules.CAPACITY):
        box.put(Ringing())
    assert box.post(PHONE, "c1", INVITE, ttl_s=30, now_s=box.now_s) is None
    assert box.dropped == {"full": 1}
    assert len(box) == rules.CAPACITY


class AnyHistory(RuleBasedStateMachine):
    """Whatever is posted, heard, lost and waited for, the laws hold."""

    def __init__(self) -> None:
        super().__init__()
        self.box = Box(connected=False)
        self.online = False
        self.expiry: dict[str, float] = {}
        self.last_sent: dict[str, float] = {}
        self.gone: set[str] = set()
        self.told: set[str] = set()
        self.once: dict[str, bool] = {}

    addresses = st.sampled_from([ALICE, PHONE, TABLET, BOB])
    calls = st.sampled_from(["c1", "c2"])

    @rule(message=st.sampled_from(MESSAGES), to=addresses, call=calls, ttl_s=st.floats(0.5, 8))
    def post(self, message: Message, to: Address, call: str, ttl_s: float) -> None:
        before = {one.id for one in self.box}
        id_ = self.box.put(message, to=to, call=call, ttl_s=ttl_s)
        self.expiry[id_] = self.box.now_s + ttl_s
        self.once[id_] = message.TYPE not in SETTLES
        self.gone |= before - {one.id for one in self.box}

    @rule(
        message=st.sampled_from(MESSAGES), sender=st.sampled_from([PHONE, TABLET, BOB]), call=calls
    )
    def hear(self, message: Message, sender: Address, call: str) -> None:
        before = {one.id for one in self.box}
        self.box.heard(sender, call, message)
        self.gone |= before - {one.id for one in self.box}

    @rule(call=calls)
    def forget(self, call: str) -> None:
        before = {one.id for one in self.box}
        self.box.forget(call)
        self.gone |= before - {one.id for one in self.box}

    @rule(data=st.data())
    @precondition(lambda self: self.last_sent)
    def acknowledge(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.last_sent)))
        self.box.acknowledged(id_)
        if self.once[id_]:
            self.gone.add(id_)

    @rule()
    def toggle_link(self) -> None:
        self.online = not self.online
        if self.online:
            self.box.connected(self.box.now_s)
            self.last_sent.clear()  # a new link may send at once what the old one lost
        else:
            self.box.disconnected()

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        self.box.now_s += seconds
        for id_, _ in self.box.lapsed():
            assert id_ not in self.told
            assert id_ not in self.gone
            assert self.expiry[id_] <= self.box.now_s
            self.told.add(id_)
        for id_ in self.box.sent():
            assert self.online
            assert id_ not in self.gone | self.told
            assert self.box.now_s < self.expiry[id_]
            if id_ in self.last_sent:
                assert not self.once[id_]
                assert self.box.now_s - self.last_sent[id_] >= rules.REPEAT_S
            self.last_sent[id_] = self.box.now_s

    @invariant()
    def nothing_is_forgotten_in_silence(self) -> None:
        assert self.expiry.keys() == {one.id for one in self.box} | self.gone | self.told


AnyHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyHistory = AnyHistory.TestCase
