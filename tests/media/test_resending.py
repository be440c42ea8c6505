"""What is sent again of what a peer has not got, and when a keyframe takes its place."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from aiortc.codecs.h264 import H264Encoder as Packer
from av import Packet

from appliance.media.card import Card
from appliance.media.encoding import H264Encoder
from appliance.media.resending import Resending, begins_keyframe, judge

SIZE = 128
KEYFRAME, OTHER = b"\x78\x00\x10\x67rest", b"\x7c\x41rest"


@dataclass
class Sent:
    sequence_number: int
    payload: bytes


def history(first: int, count: int, *keyframes: int) -> dict[int, Sent]:
    """`count` packets from number `first` on, as aiortc keeps them; keyframes begin at these."""
    kept: dict[int, Sent] = {}
    for number in range(first, first + count):
        payload = KEYFRAME if number in keyframes else OTHER
        kept[number % 65_536 % SIZE] = Sent(number % 65_536, payload)
    return kept


def test_what_is_kept_is_sent_again() -> None:
    assert judge([210, 255, 300], history(200, 128), SIZE) == Resending([210, 255, 300], False)


def test_what_is_lost_for_good_wants_a_keyframe_and_nothing_else_is_sent_again() -> None:
    assert judge([100, 250, 251], history(200, 128), SIZE) == Resending([], True)
    assert judge([100], {}, SIZE) == Resending([], True)


def test_where_a_keyframe_has_been_sent_since_only_what_belongs_to_it_is() -> None:
    sent = history(200, 128, 230, 290)
    assert judge([100, 250, 289, 290, 300], sent, SIZE) == Resending([290, 300], False)


def test_so_many_that_a_keyframe_is_less_are_not_sent_again() -> None:
    sent = history(200, 128, 290)
    few, many = list(range(200, 248)), list(range(200, 249))
    assert judge(few, history(200, 128), SIZE) == Resending(few, False)
    assert judge(many, history(200, 128), SIZE) == Resending([], True)
    assert judge([*many, 300], sent, SIZE) == Resending([300], False)
    assert judge(many, history(200, 128, 200), SIZE) == Resending([], True)


def test_a_keyframe_of_before_the_loss_is_of_no_help() -> None:
    sent = history(200, 128, 210)
    assert judge([150, 400], sent, SIZE) == Resending([], True)


def test_the_numbers_begin_anew_after_65535() -> None:
    sent = history(65_500, 128, 65_540)  # 65,500 to 91
    assert judge([65_510, 3], sent, SIZE) == Resending([65_510, 3], False)
    assert judge([65_400, 65_530, 3, 4, 90], sent, SIZE) == Resending([4, 90], False)
    assert judge([65_400, 92], sent, SIZE) == Resending([], True), "92 was never sent"


@pytest.mark.parametrize("size", [(320, 180), (1280, 720)])
def test_the_first_packet_of_a_keyframe_is_known_by_its_bytes(size: tuple[int, int]) -> None:
    """As aiortc packs what our encoder makes."""
    encoder, card = H264Encoder(*size, 30, 1500), Card(*size)
    for number in range(12):
        if number == 7:
            encoder.request_keyframe()
        unit = encoder.encode(card.draw(number, "12:00:00", number / 30), number * 33_333)
        packet = Packet(unit.data)
        packet.pts, packet.time_base = number * 3000, Fraction(1, 90_000)
        payloads, _ = Packer().pack(packet)
        begins = [begins_keyframe(payload) for payload in payloads]
        assert begins == [unit.keyframe] + [False] * (len(payloads) - 1)


@pytest.mark.parametrize(
    "payload", [b"", b"\x18", b"\x18\x00", b"\x18\x00\x04", b"\x1c", b"\x1c\x87"]
)
def test_what_is_cut_off_is_read_as_far_as_it_goes(payload: bytes) -> None:
    assert begins_keyframe(payload) is (payload == b"\x1c\x87")
