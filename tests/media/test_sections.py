"""A description taken apart and put together: what aiortc is given, and what the other side is told."""

from __future__ import annotations

import pytest

from appliance.media.sections import Description, Section, stand_in

SDP = "\r\n".join(
    [
        "v=0",
        "a=group:BUNDLE 0 1",
        "a=fingerprint:sha-256 AB:CD",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        "a=ice-ufrag:first",
        "a=ice-pwd:secret",
        "a=setup:actpass",
        "a=candidate:1 1 udp 1 192.0.2.1 9999 typ host",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "a=mid:1",
        "a=bundle-only",
        "m=video 0 UDP/TLS/RTP/SAVPF 96 97",
        "a=mid:2",
        "a=ice-ufrag:other",
        "",
    ]
)
SOUND, BUNDLED, REJECTED = range(3)


@pytest.fixture
def described() -> Description:
    return Description.parse(SDP)


def test_what_was_taken_apart_is_put_together(described: Description) -> None:
    assert described.text == SDP
    assert Description.parse(SDP.replace("\r\n", "\n")).text == SDP
    assert [section.kind for section in described.sections] == ["audio", "video", "video"]
    assert [section.mid for section in described.sections] == ["0", "1", "2"]


def test_of_opus_error_correction_is_wanted_and_of_nothing_else() -> None:
    codecs = (
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:109 H264/90000",
        "a=fmtp:109 packetization-mode=1",
    )
    section = Section(("m=audio 9 UDP/TLS/RTP/SAVPF 111 109", *codecs))
    assert section.wanting_correction().lines == (
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 109",
        codecs[0],
        "a=fmtp:111 minptime=10;useinbandfec=1",
        *codecs[1:],
    )


def test_port_0_is_a_rejection_unless_the_section_only_has_no_port_of_its_own(
    described: Description,
) -> None:
    assert [section.is_rejected for section in described.sections] == [False, False, True]


def test_only_what_is_in_the_bundle_can_share_a_transport(described: Description) -> None:
    assert described.together([SOUND, BUNDLED, REJECTED]) == [SOUND, BUNDLED]
    assert described.together([BUNDLED, REJECTED]) == [BUNDLED]
    assert described.together([REJECTED]) == [REJECTED], "alone it needs no bundle"
    other_way = Description.parse(SDP.replace("BUNDLE 0 1", "BUNDLE 1 0"))
    assert other_way.together([SOUND, BUNDLED]) == [BUNDLED, SOUND]
    assert other_way.first_bundled == BUNDLED
    without = Description.parse(SDP.replace("a=group:BUNDLE 0 1\r\n", ""))
    assert without.together([SOUND, BUNDLED]) == [SOUND]
    assert without.first_bundled is None


def test_a_transport_is_known_by_its_secrets_wherever_they_stand(described: Description) -> None:
    assert described.identity(SOUND) == ("first", "secret", frozenset({"sha-256 ab:cd"}))
    assert described.identity(BUNDLED) == ("", "", frozenset({"sha-256 ab:cd"}))


def test_aiortc_gets_one_transport_and_a_stand_in_for_what_is_dead(
    described: Description,
) -> None:
    def substitute(number: int) -> Section:
        return stand_in("video", described.sections[number].mid or "")

    given = Description.parse(described.for_aiortc([SOUND, BUNDLED], substitute, candidates=True))
    assert "a=group:BUNDLE 0 1 2" in given.head
    for section in given.sections:
        assert section.values("ice-ufrag") == ["first"]
        assert len(section.values("candidate")) == 1
        assert section.values("setup") == ["actpass"]
    assert "a=inactive" in given.sections[REJECTED].lines
    assert not given.sections[REJECTED].is_rejected
    later = described.for_aiortc([SOUND, BUNDLED], substitute, candidates=False)
    assert "a=candidate" not in later


def test_the_other_side_is_told_of_what_is_dead_in_its_own_words(described: Description) -> None:
    dead = {REJECTED: described.sections[REJECTED].rejected()}
    told = Description.parse(described.for_the_other_side(dead))
    assert "a=group:BUNDLE 0 1" in told.head
    assert told.sections[REJECTED].lines == (
        "m=video 0 UDP/TLS/RTP/SAVPF 96 97",
        "c=IN IP4 0.0.0.0",
        "a=inactive",
        "a=mid:2",
    )
