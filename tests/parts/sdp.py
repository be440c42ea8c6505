"""A session description as browsers write it, with values that are nobody's; a test spoils one."""

from __future__ import annotations

SHA256 = "sha-256 " + ":".join(["AB"] * 32)
SHA384 = "sha-384 " + ":".join(["CD"] * 48)
SHA512 = "sha-512 " + ":".join(["EF"] * 64)
CANDIDATE = "candidate:1 1 udp 2122260223 192.0.2.1 54321 typ host"

_TRANSPORT = (
    "a=ice-ufrag:Oxwa\r\na=ice-pwd:EHHLu44c4FmkVKQdUCNVQK\r\na=ice-options:trickle\r\n"
    "a=fingerprint:{fingerprint}\r\na=setup:{setup}\r\n"
)


def sdp(kind: str = "offer", fingerprint: str = SHA256) -> str:
    """Sound and pictures in one bundle; `kind` is offer or answer."""
    transport = _TRANSPORT.format(
        fingerprint=fingerprint, setup="actpass" if kind == "offer" else "active"
    )
    return (
        "v=0\r\no=- 4962303333179871722 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
        "a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
        f"a={CANDIDATE}\r\n{transport}"
        "a=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=sendrecv\r\na=rtcp-mux\r\n"
        "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n"
        "a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=ssrc:1459359826 cname:Q8lqzzlR3kOOVHrd\r\n"
        f"m=video 9 UDP/TLS/RTP/SAVPF 109 114\r\nc=IN IP4 0.0.0.0\r\n{transport}"
        "a=mid:1\r\na=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:109 H264/90000\r\n"
        "a=rtcp-fb:109 ccm fir\r\na=rtcp-fb:109 nack pli\r\n"
        "a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
        "a=rtpmap:114 rtx/90000\r\na=fmtp:114 apt=109\r\n"
    )
