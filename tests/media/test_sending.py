"""Packets of what is encoded already: as aiortc reads them, and made once for all who get them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from aiortc import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket

from appliance.media.sending import Packet, Stream, once_for_all_peers

SSRC, KIND, MID = 0xDEADBEEF, 102, "1"
TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
NAME = "urn:ietf:params:rtp-hdrext:sdes:mid"


def extensions(*uris: str) -> HeaderExtensionsMap:
    made = HeaderExtensionsMap()
    made.configure(
        RTCRtpParameters(
            headerExtensions=[
                RTCRtpHeaderExtensionParameters(id=number, uri=uri)
                for number, uri in enumerate(uris, 3)
            ]
        )
    )
    return made


def stream(known: HeaderExtensionsMap, number: int = 7, timestamp: int = 1000) -> Stream:
    def empty(sent_at: int) -> bytes:
        packet = RtpPacket(payload_type=KIND, ssrc=SSRC)
        packet.extensions.abs_send_time, packet.extensions.mid = sent_at, MID
        return packet.serialize(known)

    return Stream(empty, number, timestamp)


@pytest.mark.parametrize("uris", [(), (NAME,), (TIME,), (NAME, TIME), (TIME, NAME)])
def test_they_are_what_aiortc_would_have_packed(uris: tuple[str, ...]) -> None:
    known = extensions(*uris)
    payloads = [bytes([number]) * (40 + number) for number in range(3)]
    sent_at = 0xE123_4567_89AB_CDEF
    for number, packet in enumerate(stream(known).packets(payloads, 9000, sent_at)):
        theirs = RtpPacket(
            payload_type=KIND,
            marker=int(number == 2),
            sequence_number=7 + number,
            timestamp=10_000,
            ssrc=SSRC,
            payload=payloads[number],
        )
        theirs.extensions.mid = MID
        theirs.extensions.abs_send_time = (sent_at >> 14) & 0xFFFFFF
        assert packet.data == theirs.serialize(known)
        assert packet.payload == payloads[number]
        assert packet.sequence_number == theirs.sequence_number


def test_numbers_and_times_begin_anew_when_they_are_used_up() -> None:
    made = stream(extensions(NAME), number=0xFFFF, timestamp=0xFFFF_FFFF)
    numbers = [packet.sequence_number for packet in made.packets([b"a", b"b"], 1, 0)]
    assert numbers == [0xFFFF, 0]
    assert made.timestamp == 0
    (packet,) = made.packets([b"c"], 961, 0)
    read = RtpPacket.parse(packet.data, extensions(NAME))
    assert (read.sequence_number, read.timestamp, read.marker) == (1, 960, 1)


def test_a_picture_without_payload_is_no_packet_and_takes_no_number() -> None:
    made = stream(extensions())
    assert made.packets([], 0, 0) == []
    assert made.packets([b"a"], 0, 0)[0].sequence_number == 7


def test_a_picture_is_made_into_payloads_once_for_all_who_get_it() -> None:
    packed = []

    @once_for_all_peers
    def payloads(unit: bytes) -> list[bytes]:
        packed.append(unit)
        return [unit[:1], unit[1:]]

    one, other = (Packet(data, 0, Fraction(1, 90_000)) for data in (b"picture", b"another"))
    assert payloads(one) == payloads(one) == [b"p", b"icture"]
    assert payloads(other) == [b"a", b"nother"]
    assert packed == [b"picture", b"another"]
