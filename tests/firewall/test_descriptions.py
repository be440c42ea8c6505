"""Which descriptions are let through, and by which rule the others are not."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection
from aiortc.sdp import SessionDescription as Aiortcs
from hypothesis import given
from hypothesis import strategies as st

from appliance.firewall.blocked import Blocked
from appliance.firewall.candidates import MAX_CANDIDATES
from appliance.firewall.descriptions import ATTRIBUTES, check_description
from tests.parts.sdp import CANDIDATE, SHA256, SHA384, SHA512, sdp

OFFER = sdp()
CHROMIUM = (Path(__file__).parents[1] / "fuzz" / "chromium.sdp").read_bytes().decode()


def verdict(text: str, kind: str = "offer") -> str:
    """`taken`, or the code of why not."""
    try:
        check_description(text, "offer" if kind == "offer" else "answer", "the SDP")
    except Blocked as fault:
        return fault.code
    return "taken"


def with_(old: str, new: str, count: int = -1) -> str:
    assert old in OFFER
    return OFFER.replace(old, new, count)


def test_what_browsers_write_is_let_through() -> None:
    assert verdict(OFFER) == "taken"
    assert verdict(CHROMIUM) == "taken"
    assert verdict(OFFER.replace("\r\n", "\n")) == "taken"
    assert verdict(sdp("answer"), "answer") == "taken"


@pytest.mark.parametrize("policy", list(RTCBundlePolicy))
async def test_what_aiortc_writes_is_let_through(policy: RTCBundlePolicy) -> None:
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=policy)
    here, there = RTCPeerConnection(configuration), RTCPeerConnection(configuration)
    here.addTransceiver("audio")
    here.addTransceiver("video")
    here.createDataChannel("it")
    offer = await here.createOffer()
    await here.setLocalDescription(offer)
    await there.setRemoteDescription(here.localDescription)
    await there.setLocalDescription(await there.createAnswer())
    assert verdict(here.localDescription.sdp) == "taken"
    assert verdict(there.localDescription.sdp, "answer") == "taken"
    assert here.localDescription.sdp.count("a=fingerprint:") == 9, "three in each section"
    await here.close()
    await there.close()


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "malformed", "does not begin"),
        ("hello", "malformed", "line 1"),
        ("v=0\r\ns=-\r\n", "malformed", "no media section"),
        (with_("v=0", "v=1"), "malformed", "line 1"),
        (OFFER + "a=x:" + "x" * 32_768 + "\r\n", "oversized", "bytes"),
        (OFFER + "a=x:" + "x" * 1024 + "\r\n", "oversized", "line"),
        (OFFER + "a=x:ü\r\n" * 6000, "oversized", "bytes"),
        (OFFER + "A=x\r\n", "malformed", "line"),
        (OFFER + " a=x\r\n", "malformed", "line"),
        (OFFER + "a=x\x0ba=candidate:1 1 udp 1 example.com 9 typ host\r\n", "malformed", "line"),
        (OFFER + "a=x\x85a=mid:3\r\n", "malformed", "line"),
        (OFFER + "a=x\u2028a=mid:3\r\n", "malformed", "line"),
        (OFFER + "a=x\ra=mid:3\r\n", "malformed", "line"),
        (OFFER + "a=x\x00\r\n", "malformed", "line"),
        (with_("c=IN IP4 0.0.0.0", "c=IN IP4 example.com"), "malformed", "line"),
        (with_("t=0 0", "t=x 0"), "malformed", "line"),
        (with_("a=rtcp:9 IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 a.example"), "malformed", "a=rtcp"),
        (OFFER + "m=text 9 RTP/AVP 98\r\n", "malformed", "section 2 is of an unknown kind"),
        (OFFER + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 7, "too_many", "8 media sections"),
        (with_("m=audio 9", "m=audio 99999"), "malformed", "section 0 has port"),
        (with_("m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 RTP/AVP"), "unencrypted", "section 0"),
        (with_("SAVPF 111 0", "SAVPF 111 0 " + "1 " * 64 + "2"), "too_many", "payload types"),
        (with_("SAVPF 111 0", "SAVPF 111 0 128"), "malformed", "128"),
        (with_("SAVPF 111 0", "SAVPF 111 0 73"), "malformed", "73"),
        (with_("SAVPF 111 0", "SAVPF 111 0 0"), "malformed", "twice"),
        (with_("a=rtpmap:0 PCMU/8000", "a=rtpmap:7 PCMU/8000"), "malformed", "type 7"),
        (with_("a=rtpmap:0 PCMU/8000", "a=rtpmap:111 PCMU/8000"), "malformed", "type 111"),
        (with_("PCMU/8000", "PCMU/x"), "malformed", "a=rtpmap"),
        (with_("opus/48000/2", "opus/8000/1"), "malformed", "opus with a clock"),
        (with_("H264/90000", "h264/8000"), "malformed", "h264 with a clock"),
        (with_("a=fmtp:109 ", "a=fmtp:110 "), "malformed", "type 110"),
        (with_("packetization-mode=1", "packetization-mode=x"), "malformed", "packetization-mode"),
        (with_("42e01f", "42e0"), "malformed", "profile-level-id"),
        (with_("a=fmtp:114 apt=109", "a=fmtp:114 apt=" + "9" * 11), "malformed", "apt"),
        (with_("a=rtcp-mux\r\n", "a=rtcp-fb:* nack\r\n" * 40, 1), "too_many", "feedback"),
        (with_("a=rtcp-mux\r\n", "a=rtcp-fb:0 nack\r\n" * 257, 1), "too_many", "a=rtcp-fb"),
        (with_("a=mid:1", "a=mid:0"), "malformed", "same name"),
        (with_("a=mid:1", "a=mid:1\r\na=mid:1"), "too_many", "a=mid"),
        (with_("a=mid:1", "a=mid:a b"), "malformed", "a=mid"),
        (with_("BUNDLE 0 1", "BUNDLE 0 0"), "malformed", "bundle"),
        (with_("BUNDLE 0 1", "BUNDLE 0 7"), "malformed", "bundle"),
        (with_("a=group:BUNDLE 0 1", "a=group:BUNDLE 0\r\na=group:BUNDLE 1"), "malformed", "bundle"),
        (with_("a=mid:1", "a=mid:1\r\na=group:BUNDLE 1"), "malformed", "groups sections"),
        (with_("a=ice-ufrag:Oxwa\r\n", "", 1), "malformed", "section 0 has no a=ice-ufrag"),
        (with_("a=ice-ufrag:Oxwa", "a=ice-ufrag:Oxw"), "malformed", "a=ice-ufrag"),
        (with_("a=ice-ufrag:Oxwa", "a=ice-ufrag:Ox:a"), "malformed", "a=ice-ufrag"),
        (with_("a=ice-ufrag:Oxwa", "a=ice-ufrag:Oxwa\r\na=ice-ufrag:b"), "malformed", "ice-ufrag"),
        (with_("a=ice-ufrag:Oxwa", "a=ice-ufrag:Oxwa\r\na=ice-ufrag:bbbb"), "too_many", "ufrag"),
        (with_("a=ice-pwd:EHHLu", "a=ice-pwd:"), "malformed", "a=ice-pwd"),
        (with_("a=ice-pwd:EHHLu44c4FmkVKQdUCNVQK\r\n", ""), "malformed", "no a=ice-pwd"),
        (with_("a=setup:actpass\r\n", ""), "malformed", "no a=setup"),
        (with_("a=setup:actpass", "a=setup:holdconn"), "malformed", "a=setup"),
        (with_(f"a=fingerprint:{SHA256}\r\n", ""), "no_fingerprint", "section 0"),
        (with_(f"a=fingerprint:{SHA256}\r\n", "", 1), "no_fingerprint", "section 0"),
        (with_("sha-256", "sha-1"), "weak_fingerprint", "sha-1"),
        (with_("sha-256", "md5"), "weak_fingerprint", "md5"),
        (with_("sha-256", "sha-512"), "malformed", "another length"),
        (with_("sha-256 AB:", "sha-256 "), "malformed", "another length"),
        (with_(SHA256, f"{SHA256}\r\na=fingerprint:sha-1 " + ":".join(["00"] * 20)),
         "weak_fingerprint", "sha-1"),
        (with_("sha-256 AB", "sha-256 00", 1), "mixed_fingerprints", "section 1"),
        (with_(SHA256, f"{SHA256}\r\na=fingerprint:{SHA384}", 1), "mixed_fingerprints", "section 1"),
        (with_(SHA256, f"{SHA256}\r\na=fingerprint:{SHA256.replace('AB', '00')}"),
         "mixed_fingerprints", "two fingerprints"),
        (with_("t=0 0", f"t=0 0\r\na=fingerprint:{SHA512}"), "mixed_fingerprints", "section 0"),
        (with_(f"a={CANDIDATE}\r\n", f"a={CANDIDATE}\r\n" * (MAX_CANDIDATES + 1)),
         "too_many", "32 candidates"),
        (with_("192.0.2.1", "example.com"), "host_name", "candidate 1 names the host"),
        (with_("192.0.2.1", "127.0.0.1"), "forbidden_address", "loopback"),
        (with_("192.0.2.1", "224.0.0.251"), "forbidden_address", "multicast"),
        (with_(CANDIDATE, "candidate"), "malformed", "a=candidate"),
        (OFFER + "a=" + CANDIDATE.replace("192.0.2.1", "a.example") + "\r\n", "host_name", "2"),
        (with_("a=mid:1", "a=mid:1\r\na=sctp-port:x"), "malformed", "a=sctp-port"),
        (with_("a=mid:1", "a=mid:1\r\na=ssrc:x cname:y"), "malformed", "a=ssrc"),
        (with_("a=mid:1", "a=mid:1\r\na=ssrc:1 cname"), "malformed", "a=ssrc"),
        (with_("a=mid:1", "a=mid:1\r\n" + "a=ssrc:1 cname:y\r\n" * 65), "too_many", "a=ssrc"),
        (with_("a=mid:1", "a=mid:1\r\na=extmap:x y"), "malformed", "a=extmap"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where_it_was(text: str, code: str, says: str) -> None:
    with pytest.raises(Blocked) as caught:
        check_description(text, "offer", "the SDP")
    assert (caught.value.code, says in str(caught.value)) == (code, True), str(caught.value)


def test_an_answer_says_who_begins_the_handshake() -> None:
    assert verdict(OFFER, "answer") == "malformed"


@pytest.mark.parametrize("fingerprint", [SHA256, SHA384, SHA512, SHA256.replace("sha", "SHA")])
def test_each_algorithm_that_is_strong_will_do(fingerprint: str) -> None:
    assert verdict(sdp(fingerprint=fingerprint)) == "taken"


def test_the_set_may_stand_before_all_sections_or_in_each_in_any_order() -> None:
    both = with_(f"a=fingerprint:{SHA256}\r\n", "").replace(
        "t=0 0\r\n", f"t=0 0\r\na=fingerprint:{SHA256}\r\n"
    )
    assert verdict(both) == "taken"
    lines = f"a=fingerprint:{SHA256}\r\na=fingerprint:{SHA384}\r\n"
    turned = f"a=fingerprint:{SHA384}\r\na=fingerprint:{SHA256}\r\n"
    text = with_(f"a=fingerprint:{SHA256}\r\n", lines, 1)
    assert verdict(turned.join(text.rsplit(f"a=fingerprint:{SHA256}\r\n", 1))) == "taken"


def test_a_section_that_was_rejected_needs_no_transport() -> None:
    rejected = "m=video 0 UDP/TLS/RTP/SAVPF 109\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:2\r\n"
    assert verdict(OFFER + rejected) == "taken"
    assert verdict(OFFER + rejected + "a=bundle-only\r\n") == "malformed"


def mutated(text: str, rng: random.Random) -> str:
    lines = text.split("\r\n")
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        line = lines[at]
        cut = rng.randrange(len(line) + 1)
        match rng.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, rng.choice(lines))
            case 2:
                lines[at] = line[:cut]
            case 3:
                lines[at] = (
                    line[:cut] + rng.choice(["9" * 14, " ", ":", "-1", "٣", "="]) + line[cut:]
                )
            case _:
                words = line.split(" ")
                words[rng.randrange(len(words))] = rng.choice(["", "x", "-1", "1e9", "::", "0"])
                lines[at] = " ".join(words)
        if not lines:
            lines = ["v=0"]
    return "\r\n".join(lines)


def test_aiortc_can_read_whatever_is_let_through() -> None:
    """Its parser raises seven kinds of errors for mutated offers, and none for those of them that pass."""
    rng = random.Random(5)
    verdicts: Counter[str] = Counter()
    for number in range(1500):
        text = mutated((OFFER, CHROMIUM)[number % 2], rng)
        found = verdict(text)
        verdicts[found] += 1
        if found == "taken":
            Aiortcs.parse(text)
    assert verdicts["taken"] > 100
    assert verdicts["malformed"] > 300, verdicts


@given(st.text(max_size=300))
def test_any_text_at_all_is_taken_or_blocked(text: str) -> None:
    assert verdict(text) != "taken"


LINES = st.lists(
    st.one_of(
        st.sampled_from(OFFER.split("\r\n")),
        st.builds("a={}:{}".format, st.sampled_from(sorted(ATTRIBUTES)), st.text(max_size=40)),
    ),
    max_size=60,
)


@given(LINES.map("\r\n".join))
def test_any_lines_are_taken_or_blocked_and_read_by_aiortc(text: str) -> None:
    whole = OFFER + text
    if verdict(whole) == "taken":
        Aiortcs.parse(whole)
