"""What may stand in a session description (RFC 8866), before a parser of a media stack is given it.

A parser of SDP may take seconds for what is large, ask the DNS for what is a name, fail in many ways over
what is no number, and read the first of two lines where another reads the last. So every line that is read
later has one form here, stands once where it has to, and is counted; lines of which nothing is known are
only measured. The rules are tables. What is refused here never becomes a call: what both sides could
agree to (codecs, sections in use) is for the media edge, whose refusal is an answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from appliance.firewall.blocked import Blocked
from appliance.firewall.candidates import MAX_CANDIDATES, check_candidate
from appliance.firewall.fingerprints import check_fingerprints

MAX_BYTES = 32 * 1024
MAX_LINE = 1024
"""Characters; the longest line of a browser has some 300."""
MAX_SECTIONS = 8
MAX_PAYLOAD_TYPES = 64
"""Of one media section."""

_NUMBER = "[0-9]{1,10}"
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}"
_ICE = "[A-Za-z0-9+/]"
_ADDRESS = r"IN IP(?:4 [0-9.]{7,15}|6 [0-9A-Fa-f:.]{2,45})"

_MEDIA = re.compile(
    r"m=(?P<kind>audio|video|application) (?P<port>[0-9]{1,5}) "
    r"(?P<protocol>[A-Z/]{1,32}) (?P<formats>[^ ]{1,32}(?: [^ ]{1,32})*)"
)
_ENCRYPTED = frozenset(
    {"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/TLS/RTP/SAVPF", "RTP/SAVPF", "RTP/SAVP"}
)
_DATA = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"})
_RTCP_LIKE = range(72, 77)
"""Payload types that would be taken for RTCP (RFC 5761, section 4)."""

_LINES = {
    "v": re.compile("v=0"),
    "c": re.compile(f"c={_ADDRESS}"),
    "t": re.compile(f"t={_NUMBER} {_NUMBER}"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """Of one attribute: how its value looks, and how often it may stand in one section."""

    form: re.Pattern[str]
    most: int = 1


def _rule(form: str, most: int = 1) -> Rule:
    return Rule(re.compile(form), most)


ATTRIBUTES = {
    "mid": _rule(_WORD),
    "group": _rule(rf"{_WORD}(?: {_WORD}){{0,{MAX_SECTIONS}}}", 4),
    "ice-ufrag": _rule(_ICE + "{4,256}"),
    "ice-pwd": _rule(_ICE + "{22,256}"),
    "ice-options": _rule(rf"{_WORD}(?: {_WORD}){{0,8}}"),
    "setup": _rule("actpass|active|passive"),
    "fingerprint": _rule(r"[A-Za-z0-9-]{1,16} [0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,63}", 3),
    "candidate": _rule(".*", MAX_CANDIDATES),
    "rtpmap": _rule(r"[0-9]{1,3} [A-Za-z0-9._-]{1,32}/[0-9]{1,6}(?:/[0-9]{1,2})?", 64),
    "fmtp": _rule(r"[0-9]{1,3} .{1,512}", 64),
    "rtcp-fb": _rule(r"(?:\*|[0-9]{1,3}) [a-z0-9-]{1,32}(?: [ -~]{1,64})?", 256),
    "extmap": _rule(r"[0-9]{1,5}(?:/[a-z]{1,8})? [!-~]{1,256}", 64),
    "ssrc": _rule(r"[0-9]{1,10} [A-Za-z-]{1,32}:.{0,256}", 64),
    "ssrc-group": _rule(r"[A-Za-z-]{1,16}(?: [0-9]{1,10}){1,8}", 16),
    "rtcp": _rule(rf"[0-9]{{1,5}}(?: {_ADDRESS})?"),
    "sctp-port": _rule("[0-9]{1,5}"),
    "sctpmap": _rule(r"[0-9]{1,5} [ -~]{1,64}", 4),
    "max-message-size": _rule("[0-9]{1,10}"),
    "msid-semantic": _rule("[ -~]{0,512}", 4),
}
"""Every attribute that aiortc, or this project, reads a value of."""

_INTEGERS_OF_FMTP = frozenset(
    (
        "apt",
        "level-asymmetry-allowed",
        "max-br",
        "max-fr",
        "max-fs",
        "max-mbps",
        "maxplaybackrate",
        "minptime",
        "packetization-mode",
        "stereo",
        "useinbandfec",
    )
)
_LEVEL = re.compile("[0-9A-Fa-f]{6}")
_CODECS = {
    "opus": re.compile("48000/2"),  # RFC 7587, section 7
    "h264": re.compile("90000"),  # RFC 6184, section 8.2.1
}


def check_description(sdp: str, kind: Literal["offer", "answer"], where: str) -> None:
    """Raise Blocked for a description that is not to be handed on; `where` names it in sentences."""
    parts = _parts(sdp, where)
    head, sections = parts[0], parts[1:]
    if not head or head[0] != "v=0":
        raise Blocked("malformed", f"{where} does not begin with v=0")
    if not sections:
        raise Blocked("malformed", f"{where} has no media section")
    if len(sections) > MAX_SECTIONS:
        raise Blocked("too_many", f"{where} has more than {MAX_SECTIONS} media sections")
    _check_candidates((line for part in parts for line in part), where)
    values = [
        _attributes(part, f"{where}, {_name(number)}") for number, part in enumerate(parts, -1)
    ]
    for number, (lines, said) in enumerate(zip(sections, values[1:], strict=True)):
        _check_section(lines, said, f"{where}, {_name(number)}")
    _check_names(values, where)
    live = [number for number, lines in enumerate(sections) if _is_live(lines)]
    for number in live:
        _check_transport(values[0], values[number + 1], kind, f"{where}, {_name(number)}")
    check_fingerprints(
        values[0].get("fingerprint", []),
        {_name(number): values[number + 1].get("fingerprint", []) for number in live},
        where,
    )


_Values = dict[str, list[str]]


def _name(number: int) -> str:
    return "before the sections" if number < 0 else f"media section {number}"


def _parts(sdp: str, where: str) -> list[list[str]]:
    """The lines before the first section, and those of each, every one of the form `x=…`."""
    if len(sdp) > MAX_BYTES or len(sdp.encode(errors="replace")) > MAX_BYTES:
        raise Blocked("oversized", f"{where} has more than {MAX_BYTES} bytes")
    parts: list[list[str]] = [[]]
    for number, ended in enumerate(sdp.split("\n"), start=1):
        line = ended.removesuffix("\r")
        if not line:
            continue
        if len(line) > MAX_LINE:
            raise Blocked("oversized", f"{where}, line {number} has over {MAX_LINE} characters")
        # what other readers take for the end of a line or a gap between words is not printable
        if not re.match("[a-z]=", line) or not line.isprintable():
            raise Blocked("malformed", f"{where}, line {number} is none of SDP: {line[:64]!r}")
        rule = _LINES.get(line[0])
        if rule is not None and not rule.fullmatch(line):
            raise Blocked(
                "malformed", f"{where}, line {number} is not as it has to be: {line[:64]!r}"
            )
        if line.startswith("m="):
            parts.append([])
        parts[-1].append(line)
    return parts


def _attributes(lines: Sequence[str], where: str) -> _Values:
    """What the attributes of one part say, each in its form and no oftener than it may be."""
    found: _Values = {}
    for line in lines:
        if not line.startswith("a="):
            continue
        name, colon, value = line[2:].partition(":")
        rule = ATTRIBUTES.get(name)
        if rule is None:
            continue
        if not colon or not rule.form.fullmatch(value):
            raise Blocked("malformed", f"{where}: a={name} cannot be {value[:64]!r}")
        values = found.setdefault(name, [])
        values.append(value)
        if len(values) > rule.most:
            raise Blocked("too_many", f"{where} has a={name} more than {rule.most} times")
    return found


def _check_candidates(lines: Iterable[str], where: str) -> None:
    count = 0
    for line in lines:
        if not line.startswith("a=candidate:"):
            continue
        count += 1
        if count > MAX_CANDIDATES:
            raise Blocked("too_many", f"{where} has more than {MAX_CANDIDATES} candidates")
        check_candidate(line, f"{where}, candidate {count}")


def _check_section(lines: Sequence[str], said: _Values, where: str) -> None:
    media = _MEDIA.fullmatch(lines[0])
    if media is None:
        raise Blocked("malformed", f"{where} is of an unknown kind or form: {lines[0][:64]!r}")
    if int(media["port"]) > 65535:
        raise Blocked("malformed", f"{where} has port {media['port']}")
    if media["protocol"] not in (_DATA if media["kind"] == "application" else _ENCRYPTED):
        raise Blocked("unencrypted", f"{where} goes over {media['protocol']}, not over DTLS")
    if media["kind"] != "application":
        _check_codecs(media["formats"].split(" "), said, where)


def _check_codecs(formats: list[str], said: _Values, where: str) -> None:
    if len(formats) > MAX_PAYLOAD_TYPES:
        raise Blocked("too_many", f"{where} has more than {MAX_PAYLOAD_TYPES} payload types")
    for word in formats:
        if not re.fullmatch("[0-9]{1,3}", word) or int(word) > 127 or int(word) in _RTCP_LIKE:
            raise Blocked("malformed", f"{where} has the payload type {word[:32]!r}")
    mapped: dict[str, str] = {}
    for value in said.get("rtpmap", []):
        number, codec = value.split(" ")
        if number in mapped or number not in formats:
            raise Blocked("malformed", f"{where} maps payload type {number} twice, or has it not")
        mapped[number] = codec
        name, _, clock = codec.partition("/")
        if (rule := _CODECS.get(name.lower())) is not None and not rule.fullmatch(clock):
            raise Blocked("malformed", f"{where} has {name} with a clock of {clock}")
    if len(set(formats)) < len(formats):
        raise Blocked("malformed", f"{where} names a payload type twice")
    _check_parameters(said, mapped, where)


def _check_parameters(said: _Values, mapped: dict[str, str], where: str) -> None:
    for value in said.get("fmtp", []):
        number, _, text = value.partition(" ")
        if number not in mapped:
            raise Blocked(
                "malformed", f"{where} has parameters of payload type {number} without it"
            )
        for parameter in text.split(";"):
            name, given, content = parameter.strip().partition("=")
            if name in _INTEGERS_OF_FMTP and not re.fullmatch(_NUMBER, content):
                raise Blocked(
                    "malformed", f"{where} has {name} {content[:32]!r}, which is no number"
                )
            if name == "profile-level-id" and (not given or not _LEVEL.fullmatch(content)):
                raise Blocked("malformed", f"{where} has profile-level-id {content[:32]!r}")
    if any(value.startswith("*") for value in said.get("rtcp-fb", [])[16:]):
        raise Blocked("too_many", f"{where} has too much feedback for all payload types")


def _check_names(values: Sequence[_Values], where: str) -> None:
    """Every section has a name of its own, or none has; the bundle names each once (RFC 9143)."""
    mids = [name for said in values[1:] for name in said.get("mid", [])]
    if len(set(mids)) < len(mids):
        raise Blocked("malformed", f"{where} has two media sections with the same name")
    bundles = [value for value in values[0].get("group", []) if value.startswith("BUNDLE")]
    if len(bundles) > 1:
        raise Blocked("malformed", f"{where} has more than one bundle")
    for value in bundles:
        members = Counter(value.split(" ")[1:])
        if any(count > 1 for count in members.values()) or not members.keys() <= set(mids):
            raise Blocked("malformed", f"{where}: its bundle has a section twice, or one it lacks")
    for number, said in enumerate(values[1:]):
        if "group" in said:
            raise Blocked("malformed", f"{where}, {_name(number)} groups sections")


def _is_live(lines: Sequence[str]) -> bool:
    """It was not rejected: port 0 is that (RFC 3264, section 6) but for `bundle-only` (RFC 9143)."""
    return lines[0].split(" ")[1] != "0" or "a=bundle-only" in lines


def _check_transport(head: _Values, said: _Values, kind: str, where: str) -> None:
    for name in ("ice-ufrag", "ice-pwd", "setup"):
        value = next(iter(said.get(name, []) or head.get(name, [])), None)
        if value is None:
            raise Blocked("malformed", f"{where} has no a={name}")
        if name == "setup" and kind == "answer" and value == "actpass":
            raise Blocked("malformed", f"{where} leaves a=setup open, which an answer must not")
