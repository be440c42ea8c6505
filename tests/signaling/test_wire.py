"""A message survives the wire unchanged; all else is refused with one error that says where."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.messages import (
    MESSAGES as TYPES,
)
from appliance.messages import (
    Address,
    Candidate,
    Chat,
    Custom,
    IceCandidate,
    Invite,
    Message,
    Offer,
    Participants,
    SessionDescription,
)
from appliance.model import Participant
from appliance.nesting import MAX_DEPTH
from appliance.signaling.listed import Reach
from appliance.signaling.rejected import Rejected
from appliance.signaling.wire import MAX_BYTES, MAX_BYTES_WITH_SDP, decode, encode, may_be_last_word
from tests.signaling.envelopes import MESSAGES, OFFER, SDP, as_bytes, envelope, wire

TOPIC = "appliance/call/door/alice"


def refused(payload: bytes, topic: str = TOPIC) -> Rejected:
    with pytest.raises(Rejected) as caught:
        decode(topic, payload)
    return caught.value


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.TYPE)
def test_every_message_survives_the_wire(message: Message) -> None:
    sent = envelope(message, to=Address("door", "main"), epoch="e1", synced=False)
    came = decode(TOPIC, encode(sent))
    assert dataclasses.replace(came, listed={}) == sent
    assert bool(came.listed) == (message.TYPE == "participants")


def test_a_list_tells_how_each_is_reached_and_believed() -> None:
    [listing] = [one for one in MESSAGES if one.TYPE == "participants"]
    sent = envelope(listing, to=Address("door", "main"), epoch="e1", synced=False)
    came = decode(TOPIC, encode(sent, lambda uid, endpoint: Reach(f"of-{uid}", "k")))
    assert came.listed == {Address("alice", "phone-1"): Reach("of-alice", "k")}


def test_there_is_a_sample_of_every_type() -> None:
    assert {message.TYPE for message in MESSAGES} == set(TYPES)


def test_the_envelope_has_the_names_and_the_order_of_the_interfaces() -> None:
    assert json.loads(encode(envelope())) == wire()
    assert list(json.loads(encode(envelope()))) == list(wire())


def test_w3c_objects_are_verbatim_and_what_is_not_known_is_null() -> None:
    candidate = IceCandidate("candidate:1 1 udp 1 192.0.2.1 9999 typ host", "0")
    body = json.loads(encode(envelope(MESSAGES[12])))["body"]
    assert body["candidate"].keys() == {"candidate", "sdpMid", "sdpMLineIndex", "usernameFragment"}
    body = json.loads(encode(envelope(Candidate(candidate))))["body"]
    assert body["candidate"]["sdpMLineIndex"] is None
    offer = json.loads(encode(envelope(Offer(OFFER))))["body"]
    assert offer == {"offer": {"type": "offer", "sdp": SDP}, "generation": 1, "reason": None}


def test_an_alternative_that_is_not_taken_is_left_out_rather_than_null() -> None:
    bodies = [
        json.loads(encode(envelope(message)))["body"].keys()
        for message in MESSAGES
        if message.TYPE in ("accept", "join")
    ]
    assert bodies == [{"answer", "custom_data"}, {"offer", "custom_data"}, {"token"}, {"offer"}]


def test_the_list_of_participants_tells_how_to_reach_each() -> None:
    listed = Participants(
        "s1", 1, (Participant("alice", None, "phone-1"), Participant("bob", None, "x"))
    )
    known = {"alice": Reach("e7", "key")}
    payload = encode(envelope(listed), lambda uid, _endpoint: known.get(uid, Reach()))
    entries = json.loads(payload)["body"]["participants"]
    assert [(one["epoch"], one["key"]) for one in entries] == [("e7", "key"), (None, None)]
    assert decode(TOPIC, payload).message == listed


@pytest.mark.parametrize(
    "payload",
    [
        as_bytes(wire()).replace(b'"v": 1', b'"v": 1, "v": 1'),
        as_bytes(wire()).replace(b'"from": "alice"', b'"from": "alice", "from": "bob"'),
        as_bytes(wire("chat", {"text": "hi"})).replace(b'"text"', b'"text": "yes", "\\u0074ext"'),
        as_bytes(wire("chat", {"text": "hi"})).replace(b'"hi"', b'"hi", "x": [{"a": 1, "a": 2}]'),
    ],
)
def test_a_name_that_comes_twice_means_nothing(payload: bytes) -> None:
    with pytest.raises(Rejected, match="twice") as caught:
        decode(TOPIC, payload)
    assert caught.value.code == "malformed"


def test_unknown_keys_are_ignored() -> None:
    body = {"text": "hi", "colour": "red"}
    assert decode(TOPIC, as_bytes(wire("chat", body, later=[1]))).message == Chat("hi")


NULLABLE: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "envelope": ("ringing", {}, ("to_endpoint", "epoch")),
    "end": ("end", {"reason": "idle", "kicked_by": None}, ("kicked_by",)),
    "offer": (
        "offer",
        {"offer": {"type": "offer", "sdp": SDP}, "generation": None, "reason": None},
        ("generation", "reason"),
    ),
    "candidate": (
        "candidate",
        {"candidate": None, "generation": None},
        ("candidate", "generation"),
    ),
    "custom": ("custom", {"name": "n", "body": None}, ("body",)),
}


@pytest.mark.parametrize("name", NULLABLE)
def test_where_null_is_allowed_missing_is_the_same(name: str) -> None:
    kind, body, keys = NULLABLE[name]
    whole = wire(kind, body)
    for key in keys:
        lacking = wire(kind, {k: v for k, v in body.items() if k != key})
        lacking = {k: v for k, v in lacking.items() if name != "envelope" or k != key}
        assert decode(TOPIC, as_bytes(lacking)) == decode(TOPIC, as_bytes(whole))


def test_a_field_that_cannot_be_null_is_missed_by_its_path() -> None:
    for key in (
        "v",
        "id",
        "type",
        "call_id",
        "from",
        "to",
        "endpoint",
        "seq",
        "sent_at",
        "ttl_s",
        "clock",
        "body",
    ):
        for spoil in ({key: None}, {}):
            lacking = {k: v for k, v in wire().items() if k != key} | spoil
            fault = refused(as_bytes(lacking))
            assert fault.code == "malformed", lacking
            assert key in str(fault)
    fault = refused(as_bytes(wire("offer", {"offer": {"type": "offer"}})))
    assert (fault.code, str(fault)) == ("malformed", "body.offer.sdp is missing")
    assert fault.call_id == "c1"


REFUSED: list[tuple[str, bytes, str, str]] = [
    ("nothing", b"", "malformed", "JSON"),
    ("no JSON", b"hello", "malformed", "JSON"),
    ("no object", b"[1]", "malformed", "object"),
    ("two objects", b"{}{}", "malformed", ""),
    ("no UTF-8", as_bytes(wire()).replace(b"alice", b"al\xffce"), "malformed", ""),
    (
        "deep",
        as_bytes(wire("custom", {"name": "n", "body": 0})).replace(
            b'"body": 0', b'"body": ' + b"[" * 2000
        ),
        "malformed",
        "",
    ),
    ("other version", as_bytes(wire(v=2, type="whatever")), "unsupported_version", "2"),
    ("no version", as_bytes(wire(v="1")), "malformed", "v"),
    ("unknown type", as_bytes(wire("dance")), "unknown_type", "dance"),
    ("wrong receiver", as_bytes(wire(to="window")), "misaddressed", "to is window"),
    ("wrong sender", as_bytes(wire(**{"from": "bob"})), "misaddressed", "from is bob"),
    ("id with a space", as_bytes(wire(id="a b")), "malformed", "id"),
    ("id with an end of line", as_bytes(wire(call_id="c1\n")), "malformed", "call_id"),
    ("seq below 0", as_bytes(wire(seq=-1)), "malformed", "seq"),
    ("no lifetime", as_bytes(wire(ttl_s=0)), "malformed", "ttl_s"),
    ("clock", as_bytes(wire(clock="wrong")), "malformed", "clock"),
    ("body a list", as_bytes(wire(body=[])), "malformed", "body"),
    ("wrong reason", as_bytes(wire("end", {"reason": "bored"})), "malformed", "body.reason"),
    (
        "both",
        as_bytes(
            wire(
                "accept",
                {"offer": {"type": "offer", "sdp": SDP}, "answer": {"type": "answer", "sdp": SDP}},
            )
        ),
        "malformed",
        "either",
    ),
    ("neither", as_bytes(wire("accept")), "malformed", "either"),
    ("empty join", as_bytes(wire("join")), "malformed", "token or"),
    (
        "offer is an answer",
        as_bytes(wire("offer", {"offer": {"type": "answer", "sdp": SDP}})),
        "malformed",
        "body.offer.type",
    ),
    ("state null", as_bytes(wire("state", {"audio_muted": None})), "malformed", "body.audio_muted"),
    ("dtmf", as_bytes(wire("dtmf", {"digits": "1;2"})), "malformed", "body.digits"),
    (
        "generation 0",
        as_bytes(wire("answer", {"answer": {"type": "answer", "sdp": SDP}, "generation": 0})),
        "malformed",
        "body.generation",
    ),
    (
        "participant",
        as_bytes(
            wire("participants", {"session_id": "s", "version": 1, "participants": [{"uid": "x"}]})
        ),
        "malformed",
        "body.participants[0].endpoint",
    ),
]


@pytest.mark.parametrize(
    ("payload", "code", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_breaks_a_rule_is_refused_with_a_code_and_a_place(
    payload: bytes, code: str, words: str
) -> None:
    fault = refused(payload)
    assert fault.code == code
    assert words in str(fault)


@pytest.mark.parametrize(("kind", "key"), [("reject", "custom_data"), ("custom", "body")])
def test_free_json_is_refused_before_it_is_too_deep_for_who_walks_it(kind: str, key: str) -> None:
    def nested(depth: int) -> bytes:
        body = {"name": "n", "reason": "busy", key: 0}
        payload = as_bytes(wire(kind, body))
        return payload.replace(b'"%s": 0' % key.encode(), b'"%s": %s' % (key.encode(), text(depth)))

    def text(depth: int) -> bytes:
        return b"[" * depth + b'"[[[{{{"' + b"]" * depth

    in_message = MAX_DEPTH - 2  # the envelope and the body are two
    assert kind == decode(TOPIC, nested(in_message)).message.TYPE
    for depth in (in_message + 1, 600, 1900):
        fault = refused(nested(depth))
        assert (fault.code, str(fault)) == (
            "malformed",
            f"the message is nested deeper than {MAX_DEPTH} levels",
        )


def test_size_is_judged_before_anything_is_decoded() -> None:
    assert refused(b"[" * (MAX_BYTES_WITH_SDP + 1)).code == "oversized"
    for letter in ("x", "\U0001f514"):
        text = letter * ((MAX_BYTES - 1000) // len(letter.encode()))
        written = encode(envelope(Chat(text)))
        assert len(written) <= MAX_BYTES
        assert decode(TOPIC, written).message == Chat(text)
    assert (
        refused(as_bytes(wire("custom", {"name": "n", "body": "x" * MAX_BYTES}))).code
        == "oversized"
    )
    long_sdp = SDP + "a=x\r\n" * 2000
    assert isinstance(
        decode(
            TOPIC, as_bytes(wire("offer", {"offer": {"type": "offer", "sdp": long_sdp}}))
        ).message,
        Offer,
    )
    fault = refused(as_bytes(wire("join", {"token": "x", "padding": "x" * MAX_BYTES})))
    assert (fault.code, fault.call_id) == ("oversized", "c1")


def test_what_the_receiver_would_refuse_is_not_even_written() -> None:
    for spoilt in (
        envelope(Chat("x" * MAX_BYTES)),
        envelope(Custom("n", object())),
        envelope(Custom("n", {object(): 1})),
        envelope(Custom("n", json.loads("[" * 600 + "]" * 600))),
        envelope(Chat("\U0001f514" * (MAX_BYTES // 4))),
        envelope(Chat("\ud800")),
        envelope(call_id="no id"),
        envelope(Offer(SessionDescription("answer", SDP))),
    ):
        with pytest.raises(Rejected) as caught:
            encode(spoilt)
        assert caught.value.code in ("malformed", "oversized")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


def decode_or_reject(payload: bytes, topic: str = TOPIC) -> None:
    """Either an envelope or our error: any other exception fails the test."""
    with contextlib.suppress(Rejected):
        decode(topic, payload)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail_otherwise(payload: bytes) -> None:
    decode_or_reject(payload)


@given(st.text(max_size=60))
def test_no_topic_makes_it_fail_otherwise(topic: str) -> None:
    decode_or_reject(as_bytes(wire()), topic)


@given(st.sampled_from(MESSAGES), st.data())
def test_no_value_in_any_place_makes_it_fail_otherwise(
    message: Message, data: st.DataObject
) -> None:
    whole: dict[str, Any] = json.loads(encode(envelope(message)))
    place = data.draw(st.sampled_from([whole, whole["body"]] if whole["body"] else [whole]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(json_values)
    decode_or_reject(as_bytes(whole))


def test_no_mutilation_makes_it_fail_otherwise() -> None:
    chance = random.Random(7)
    samples = [encode(envelope(message)) for message in MESSAGES]
    for _ in range(20_000):
        payload = bytearray(chance.choice(samples))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(payload))
            match chance.randrange(4):
                case 0:
                    payload[at] = chance.randrange(256)
                case 1:
                    del payload[at : at + chance.randint(1, 20)]
                case 2:
                    payload[at:at] = bytes(
                        chance.choices(b'[]{}",:0\\\xff', k=chance.randint(1, 9))
                    )
                case _:
                    payload[at:at] = chance.choice(samples)[: chance.randint(1, 60)]
            payload = payload or bytearray(b" ")
        decode_or_reject(bytes(payload))


def test_an_invite_of_a_person_has_an_offer_and_one_of_a_device_has_none() -> None:
    body = json.loads(encode(envelope(MESSAGES[0])))["body"]
    assert body["offer"] == {"type": "offer", "sdp": SDP}
    del body["offer"]
    message = decode(TOPIC, as_bytes(wire("invite", body))).message
    assert isinstance(message, Invite)
    assert message.offer is None
    assert "offer" not in json.loads(encode(envelope(message)))["body"]


@pytest.mark.parametrize("signed", [False, True])
def test_what_may_be_a_last_word_is_seen_before_it_is_believed(signed: bool) -> None:
    def sealed(payload: bytes) -> bytes:
        part = base64.urlsafe_b64encode(payload).rstrip(b"=")
        return b"eyJhIjoxfQ." + part + b".c2ln" if signed else payload

    for type_, expected in (("end", True), ("cancel", True), ("chat", False), ("invite", False)):
        assert may_be_last_word(sealed(as_bytes(wire(type_)))) is expected
    assert may_be_last_word(sealed(json.dumps(wire("end"), indent=1).encode()))
    assert not may_be_last_word(sealed(as_bytes(wire("end", {"reason": "x" * 8000}))))
    for rubbish in (b"", b"..", b"a.b.c", b"\xff.\xff.\xff", b"{"):
        assert not may_be_last_word(rubbish)
