"""What was answered is kept for who asks again, as long as it is worth sending."""

from __future__ import annotations

from appliance.messages import Accept, Address, Answer, Chat, Reject, Ringing
from appliance.model import RejectReason
from appliance.signaling.outbox import Parcel
from appliance.signaling.responses import KEPT, Responses
from tests.signaling.envelopes import ANSWER, INVITE, OFFER

PHONE, TABLET = Address("alice", "phone"), Address("alice", "tablet")


def parcel(message: Ringing | Accept | Answer | Chat | Reject, call_id: str = "c1") -> Parcel:
    return Parcel("id", PHONE, call_id, message, 30, 100.0, 0, 100.0)


def test_the_latest_answer_to_a_request_is_given_again() -> None:
    responses = Responses()
    assert responses.again(PHONE, "c1", INVITE, 101) is None
    ringing, accept = parcel(Ringing()), parcel(Accept(answer=ANSWER))
    responses.sent(ringing)
    assert responses.again(PHONE, "c1", INVITE, 101) is ringing
    responses.sent(accept)
    assert responses.again(PHONE, "c1", INVITE, 101) is accept
    responses.sent(parcel(Chat("hello")))
    assert responses.again(PHONE, "c1", INVITE, 101) is accept, "a chat answers nothing"


def test_it_is_for_who_asked_about_that_call_and_in_time() -> None:
    responses = Responses()
    responses.sent(parcel(Answer(ANSWER)))
    request = Accept(offer=OFFER)
    assert responses.again(PHONE, "c1", request, 129.9) is not None
    assert responses.again(PHONE, "c1", request, 130) is None, "too old"
    assert responses.again(TABLET, "c1", request, 101) is None
    assert responses.again(PHONE, "c2", request, 101) is None
    assert responses.again(PHONE, "c1", Chat("hello"), 101) is None


def test_a_last_word_answers_everything_and_the_oldest_make_room() -> None:
    responses = Responses()
    for number in range(KEPT):
        responses.sent(parcel(Reject(RejectReason.BUSY), f"c{number}"))
    assert responses.again(PHONE, "c0", INVITE, 101) is None
    last = responses.again(PHONE, f"c{KEPT - 1}", INVITE, 101)
    assert last is not None
    assert last.message == Reject(RejectReason.BUSY)
