"""Every parser of bytes from outside: whatever comes, it is understood or refused by its own error.

What is drawn is either anything at all or something right, spoilt a little; what is right comes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aioice import stun
from aiortc.rtp import RTCP_PSFB_APP, RTCP_PSFB_FIR, RtcpPacket, RtcpPsfbPacket, RtpPacket
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.bus import Bus
from appliance.calls import tokens
from appliance.calls.inputs import Input, Started
from appliance.calls.state import DoNotDisturb
from appliance.commands import COMMANDS, parse_command
from appliance.config import Http, load
from appliance.errors import ApplianceError, ConfigError, Refused
from appliance.firewall.blocked import Blocked
from appliance.firewall.descriptions import check_description
from appliance.loading.shipped import shipped
from appliance.media.annexb import parameter_sets, picture_size
from appliance.media.feedback import Feedback, full_intra_requests
from appliance.media.opus import BadPacket, decoder, duration
from appliance.media.sections import Description
from appliance.media.shelf import Shelf
from appliance.media.voice_packets import voice_packet
from appliance.owner import card
from appliance.policy import policy_of
from appliance.reporting.asking import _read
from appliance.reporting.conversation import Conversation
from appliance.reporting.ledger import Ledger
from appliance.reporting.shares import Shares
from appliance.service.memory import Memory
from appliance.signaling import orders, presence
from appliance.signaling.rejected import Rejected
from appliance.signaling.topics import Topics, matches
from appliance.signaling.wire import decode, encode, may_be_last_word
from appliance.trust import book
from appliance.trust.jws import Untrusted, peek, seal, unseal
from appliance.trust.keys import DeviceKey, PublicKey, encoded
from appliance.web.guard import Guard
from tests.fuzz import mutations
from tests.parts.desk import Desk
from tests.parts.play import Play
from tests.parts.sdp import sdp
from tests.signaling.envelopes import MESSAGES, envelope

fast = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TOO_MUCH_TOML = (
    b"x = " + b"[" * 3000,
    b"x = " + b"1" * 5000,
    b"name = 0x" + b"1" * 5000,
    b"[device]\nid = 0x" + b"1" * 5000,
    b"[mqtt]\nport = 0x" + b"1" * 5000,
    b"x" + b".x" * 3000 + b" = 1",
)


def too_much_toml(test: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Has it tried with what Python's own reader gives up, without saying so in TOML's terms."""
    for data in TOO_MUCH_TOML:
        test = example(data)(test)
    return test


KEY = DeviceKey.make()
RIGHT = [encode(envelope(message)) for message in MESSAGES]
ORDER = {
    "v": 1, "id": "m1", "client": "app", "name": "unlock", "args": {"relay": "door"}, "from": "alice",
    "to": "door", "endpoint": "phone-1", "epoch": "e1", "seq": 7, "sent_at": 1, "ttl_s": 30,
    "clock": "synced",
}  # fmt: skip
DEEP = b'{"id": "b-1", "call_id": "c1", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}"
NOT_UTF8 = b'{"id": "\xff", "call_id": "c1", "volumes": {"\xff": 1}}'
UNICODE = [
    b"\xff",
    b'{"a":"\xff"}',
    b'"\xed\xa0\x80"',
    b'{"\xc3":1}',
    b"\x00",
    b"",
    b"null",
    b"1e999",
]


def spoilt(*right: bytes) -> st.SearchStrategy[bytes]:
    """Anything, or one of these, changed a little."""

    def of(example: bytes, seed: int) -> bytes:
        return mutations.of_bytes(example, Random(seed))

    changed = st.builds(of, st.sampled_from([*right, *UNICODE]), st.integers(0, 2**32))
    return st.one_of(st.sampled_from(UNICODE), st.binary(max_size=200), changed)


def spoilt_text(*right: str) -> st.SearchStrategy[str]:
    """The same of texts."""
    changed = spoilt(*[one.encode() for one in right]).map(lambda one: one.decode(errors="replace"))
    return st.one_of(st.text(max_size=200), changed)


def spoilt_json(*right: Mapping[str, Any]) -> st.SearchStrategy[bytes]:
    """One of these objects with a field changed, or its text."""

    def of(example: Mapping[str, Any], seed: int) -> bytes:
        return mutations.as_text(mutations.of_json(dict(example), Random(seed)))

    objects = st.builds(of, st.sampled_from(right), st.integers(0, 2**32))
    return st.one_of(objects, spoilt(*[mutations.as_text(one) for one in right]))


# -------------------- MQTT


@fast
@given(st.one_of(spoilt(*RIGHT), spoilt_json(*[json.loads(one) for one in RIGHT])))
def test_messages(payload: bytes) -> None:
    may_be_last_word(payload)
    try:
        found = decode("appliance/call/door/alice", payload)
    except Rejected:
        return
    assert encode(found), "what was understood can be said again"


@fast
@given(spoilt(*[seal(one, KEY) for one in RIGHT]))
def test_signed_messages(payload: bytes) -> None:
    for take in (lambda: unseal(payload, {KEY.kid: KEY.public_key}), lambda: peek(payload)):
        try:
            take()
        except Untrusted:
            continue


@fast
@given(spoilt(KEY.public.encode(), KEY.kid.encode()))
def test_keys(text: bytes) -> None:
    try:
        key = PublicKey.read(text.decode(errors="replace"))
    except ValueError:
        return
    assert encoded(key.raw) == text.decode()


@fast
@given(spoilt_json(json.loads(presence.online("e1", "Alice", None)), json.loads(presence.OFFLINE)))
def test_presence(payload: bytes) -> None:
    try:
        presence.Presence().told("alice", "phone-1", payload)
    except Rejected:
        return


@fast
@given(spoilt_json(ORDER))
def test_signed_commands(payload: bytes) -> None:
    for take in (
        lambda: orders.sender_of(payload),
        lambda: orders.decode("unlock", "door", payload),
    ):
        try:
            take()
        except Rejected:
            continue


@fast
@given(spoilt_json({"id": 1, "client": "app", "args": {"relay": "door"}}, {"relay": "door"}))
def test_plain_commands(payload: bytes) -> None:
    for name in ("unlock", "set_volume", "nothing"):
        try:
            arguments, _, _ = _read(name, payload)
            parse_command(name, arguments, texts=True)
            parse_command(name, arguments)
        except (ValueError, ApplianceError):
            continue


TOPICS = Topics("appliance")


def levels_of(*known: str) -> st.SearchStrategy[str]:
    """A topic below the root, of few or too many levels."""
    level = st.sampled_from(["", "door", "+", *known]) | st.text(max_size=4)
    return st.lists(level, max_size=4).map(lambda levels: "/".join(["appliance", *levels]))


SHARES = Shares({"set_volume"}, lambda kid: kid == KEY.kid)


@fast
@given(
    levels_of("command", "unlock", "set_volume") | st.text(max_size=40),
    st.binary(max_size=300) | spoilt(seal(b"{}", KEY), b"{}", b"eyJ", b"eyJ.eyJ."),
)
@example("appliance/device/door/command/unlock", b"eyJ\xff.\xff.")
def test_in_whose_name_a_command_comes(topic: str, payload: bytes) -> None:
    """Asked of everything, before anything is verified: what is no command's is nobody's."""
    source = SHARES.source_of(topic, payload)
    name = topic.rsplit("/", 1)[-1]
    assert source in ("", f"{name}, plain", f"{name} by {KEY.kid}")
    assert source == "" or name in COMMANDS


@fast
@given(levels_of("call", "presence") | spoilt_text(TOPICS.inbox("door", "alice")))
@example("appliance/call/door/alice")
@example("appliance/call/door/")
@example("appliance/presence/alice/phone-1/x")
def test_topics(topic: str) -> None:
    """Whoever is read out of one is whom it was made for; the broker's filter lets no other in."""
    sender, owner = TOPICS.inbox_sender(topic), TOPICS.presence_owner(topic)
    assert (sender is not None) is matches(TOPICS.inbox("+", "+"), topic)
    assert (owner is not None) is matches(TOPICS.presence("+", "+"), topic)
    if sender is not None:
        assert topic == TOPICS.inbox(topic.split("/")[2], sender)
    if owner is not None:
        assert topic == TOPICS.presence(*owner)


TOKEN = f"front-door.c1.{'s' * 32}.alice.1060.{'0' * 64}"
NO_NUMBERS = ("", "٣", "-1", "1e9", "0x9", "inf", " 9", "9_9")


def token_with(part: int, said: str) -> str:
    """A token of which one part is another."""
    parts = TOKEN.split(".")
    return ".".join([*parts[:part], said, *parts[part + 1 :]])


@fast
@given(
    spoilt_text(TOKEN)
    | st.builds(token_with, st.integers(0, 6), st.sampled_from(NO_NUMBERS) | st.text(max_size=9))
)
@example(TOKEN)
@example(token_with(4, "9" * 400))
@example(token_with(4, "1e9"))
@example(token_with(4, "٣"))
@example(token_with(2, ""))
def test_tokens(text: str) -> None:
    """Six parts, none empty, the fifth a number: then it is read as it was written, or it is none."""
    parts = text.split(".")
    try:
        found = tokens.read(text)
    except Refused:
        assert text != TOKEN
        return
    assert [found.host, found.call_id, found.session_id, found.uid] == parts[:4]
    assert len(parts) == 6
    assert all(parts)
    assert parts[4] not in NO_NUMBERS
    assert found.text == text
    assert math.isfinite(found.expires_s)
    assert found.expires_s >= 0


# -------------------- the local socket, and the page's own

REQUESTS: tuple[dict[str, Any], ...] = (
    {"id": 1, "subscribe": ["*"]},
    {"id": 2, "command": "mute_audio", "args": {"muted": True}},
    {"id": "3", "status": True},
    {"id": 4, "press": "call", "gesture": "press"},
    {"id": 5, "call_log": 3},
    {"id": 6, "plug": "headphones", "present": True},
    {"id": 7, "contacts": True},
    {"id": 8, "revoke": "alice", "key": "k"},
)


@fast
@given(spoilt_json(*REQUESTS))
@example(NOT_UTF8)
def test_lines_of_the_local_socket_and_of_the_demo_page(line: bytes) -> None:
    asyncio.run(_converse(line))


async def _converse(line: bytes) -> None:
    said: list[Any] = []
    async with Bus("desk") as bus, asyncio.TaskGroup() as tasks:
        desk = Desk(bus)
        talk = Conversation(desk, desk.press, said.append, start=tasks.create_task)
        await talk.handle(line)
        await talk.handle(line.decode(errors="replace"))
        talk.close()
    assert all("ok" in one or "type" in one for one in said)
    assert said


NAMES = st.one_of(
    st.none(),
    st.text(max_size=40),
    st.sampled_from(["localhost:8080", "[::1]", "http://a", "//[", "a:b:c"]),
)


@fast
@given(NAMES, NAMES, NAMES)
def test_who_asks_the_web_server(host: str | None, origin: str | None, address: str | None) -> None:
    guard = Guard.of(Http(origins=("https://home.example",)), 8080, tls=False)
    why = guard.refusal(host, origin, address)
    assert why is None or isinstance(why, str)
    if host not in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080") and address is None:
        assert why is not None


# -------------------- media

SDP = (sdp(), sdp("answer"))


@fast
@given(
    st.one_of(
        st.builds(
            lambda right, seed: mutations.of_sdp(right, Random(seed)),
            st.sampled_from(SDP),
            st.integers(0, 2**32),
        ),
        spoilt_text(*SDP),
        st.lists(st.sampled_from(["m=", "m=audio", "a=mid:", "a=group:BUNDLE", ""])).map("\n".join),
    )
)
@example(SDP[0])
@example("a=x\n \nm=\x0ba=mid:0\r\r\n\x85m=\r")
def test_sections(text: str) -> None:
    """Any text is taken apart, and put together again; what the firewall lets through can be rejected."""
    found = Description.parse(text)
    lines = [line for section in found.sections for line in section.lines]
    assert [*found.head, *lines] == [one for one in text.replace("\r\n", "\n").split("\n") if one]
    assert not any(line.startswith("m=") for line in found.head)
    assert sum(line.startswith("m=") for line in lines) == len(found.sections)
    assert Description.parse(found.text) == found
    numbers = range(len(found.sections))
    assert set(found.together(numbers)) <= set(numbers)
    assert found.first_bundled is None or found.first_bundled in numbers
    for number, section in enumerate(found.sections):
        assert section.kind in section.lines[0]
        assert section.is_rejected in (True, False)
        assert all(isinstance(one, str | frozenset) for one in found.identity(number))
    told = Description.parse(found.for_the_other_side({}))
    assert [one.mid for one in told.sections] == [one.mid for one in found.sections]
    try:
        check_description(text, "offer", "the offer")
    except Blocked:
        assert text != SDP[0]
        return
    for section in found.sections:
        assert section.rejected().is_rejected


@fast
@given(
    spoilt(
        b"\x80\xce\x00\x02" + b"\x00" * 8,
        b"\x8f\xce\x00\x05" + b"\x00" * 8 + b"REMB\x01" + b"\x00" * 7,
    )
)
def test_feedback(data: bytes) -> None:
    feedback = Feedback()
    full_intra_requests(data)
    for packet in (
        RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=data),
        RtcpPsfbPacket(fmt=RTCP_PSFB_FIR, ssrc=1, media_ssrc=0, fci=data),
    ):
        feedback.take(packet, 1, 1.0)
    try:
        packets = RtcpPacket.parse(data)
    except ValueError:
        return
    for one in packets:
        feedback.take(one, 1, 2.0)


@fast
@given(
    spoilt(
        b"\x00\x00\x01\x67\x42\xe0\x1f\xda\x02\x80\xf6\x80",
        b"\x00\x00\x01\x68\xce\x06\xe2\x00\x00\x01\x65",
    )
)
def test_streams_of_h264(data: bytes) -> None:
    picture_size(parameter_sets(data))
    picture_size(data)


@fast
@given(spoilt(b"\xf8\xff\xfe", b"\x78" + b"\x01" * 60, b"\xfb\x03" + b"\x00" * 20))
def test_packets_of_opus(packet: bytes) -> None:
    voice = decoder()
    try:
        samples = duration(packet)
        assert len(voice.decode(packet)) == samples
    except BadPacket:
        pass
    assert len(voice.conceal(960, packet)) == 960


@fast
@given(spoilt(bytes.fromhex("000100002112a442") + b"\x01" * 12))
def test_packets_of_stun(data: bytes) -> None:
    """aioice's own, since anybody can send one: what it raises is caught in `seams/guarding.py`."""
    try:
        stun.parse_message(data)
    except Exception:
        return


SOUND = (
    bytes.fromhex("b16f1234000003c00000004d00000005bede000131aabbcc") + b"sound\x00\x02",
    bytes.fromhex("806f1234000003c00000004d") + b"sound",
)


@fast
@given(spoilt(*SOUND))
def test_packets_of_sound(data: bytes) -> None:
    """Read as aiortc reads them; what it takes for a fault of an extension is none of the sound's."""
    read = voice_packet(data)
    try:
        theirs = RtpPacket.parse(data)
    except ValueError:
        return
    assert read == (theirs.ssrc, theirs.sequence_number, theirs.timestamp, theirs.payload)


# -------------------- files


@fast
@given(
    spoilt(
        shipped("simulated.toml").read_bytes(),
        b'[device]\nid = "door"\n[contacts.alice]\nname = "A"\nmay = ["call"]\n',
        b'[mqtt]\nwebsocket_url = "ws://[::1]:80/"\n[http]\norigins = ["https://a"]\n',
        b'[call]\nquiet_hours = "22:00-07:00"\nreceiver = "user:a"\n[contacts.a]\n',
    )
)
@example(b"[mqtt]\nwebsocket_url = 'ws://['\n[http]\norigins = ['http://[', 'http://a:b']\n")
@too_much_toml
def test_configurations(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.toml"
        file.write_bytes(data)
        with contextlib.suppress(ConfigError):
            policy_of(load(file, {"STATE_DIRECTORY": folder}))


@fast
@given(
    spoilt(
        b'name = "front-door"\nzone = "Etc/UTC"\n'
        b'[wifi]\nname = "x"\npassword = "12345678"\ncountry = "DE"\n',
        b'[wifi]\nname = "\xc3\xbc; ="\npassword = " \\\\ "\ncountry = "DE"\n',
    )
)
@too_much_toml
def test_what_is_on_the_card(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "door.txt"
        file.write_bytes(data)
        with contextlib.suppress(ConfigError):
            said = card.read(file)
            if said.wifi is not None:  # no line of it is of anybody else
                lines = card.keyfile(said.wifi).splitlines()
                assert len([line for line in lines if line.startswith("[")]) in (4, 5)
                assert all(re.match(r"\[[a-z0-9-]+\]$|[a-z-]+=|$", line) for line in lines)


@fast
@given(
    st.dictionaries(
        st.sampled_from(["APPLIANCE__DEVICE__ID", "APPLIANCE__CALL", "APPLIANCE__X"]), st.text()
    )
)
@example({"APPLIANCE__CALL": "[" * 3000})
@example({"APPLIANCE__CALL": "1" * 5000})
@example({"APPLIANCE__MQTT__PORT": "0x" + "1" * 5000})
def test_configurations_from_the_environment(environ: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ConfigError):
        load(shipped("simulated.toml"), environ | {"STATE_DIRECTORY": folder})


BOOK = f'[contacts.alice]\nname = "Alice"\nmay = ["call"]\nkeys = ["{KEY.public}"]\nrevoked = []\n'


@fast
@given(spoilt(BOOK.encode()))
def test_the_book_of_contacts(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / book.FILE
        file.write_bytes(data)
        try:
            found = book.read(file)
        except ConfigError:
            return
        again = book.to_toml(found)
        tomllib.loads(again)


ENTRY = {
    "id": "b-1", "call_id": "c1", "direction": "incoming", "type": "video", "missed": True,
    "caller": {"uid": "alice", "name": "Alice"}, "started_at": "2026-11-28T10:00:00Z",
}  # fmt: skip


@fast
@given(spoilt_json(ENTRY))
@example(DEEP)
@example(NOT_UTF8)
def test_the_call_log(line: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        ledger.file.write_bytes(line + b"\n" + line)
        entries, faults = ledger.load()
        assert entries or faults


@fast
@given(
    spoilt_json(
        {"do_not_disturb": True, "until": "2026-11-28T10:00:00Z", "volumes": {"speaker": 40}}
    )
)
@example(DEEP)
@example(NOT_UTF8)
@example(b'{"do_not_disturb":true,"until":"2026-11-28T10:00:00"}')
@example(b'{"do_not_disturb":true,"until":"9999-12-31T23:59:59-23:59"}')
@example(b'{"volumes":{"speaker":100000}}')
def test_what_is_remembered(data: bytes) -> None:
    """And what is remembered is such that the core can begin with it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "memory.json"
        file.write_bytes(data)
        told: list[Input] = []
        kept = Memory(file, told.append).kept
        play = Play()
        quiet = DoNotDisturb(kept.until, kept.scheduled) if kept.do_not_disturb else None
        play.state = replace(play.state, do_not_disturb=quiet, volumes=kept.volumes)
        play.happens(Started())


@fast
@given(st.text(min_size=1, max_size=80))
def test_names_of_recordings(call_id: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder) / "recordings", 100)
        path, file = shelf.open(call_id, datetime(2026, 11, 28, tzinfo=UTC))
        os.close(file)
        assert path.parent == shelf.folder
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", path.name)
        assert shelf.recordings() == [path]


Parser = Callable[[bytes], object]


@pytest.mark.parametrize("payload", UNICODE)
def test_what_is_no_utf8_is_refused_everywhere(payload: bytes) -> None:
    parsers: list[Parser] = [
        lambda data: decode("appliance/call/door/alice", data),
        lambda data: presence.Presence().told("alice", "phone-1", data or b"x"),
        lambda data: orders.decode("unlock", "door", data),
    ]
    for parse in parsers:
        with pytest.raises(ApplianceError):
            parse(payload)
