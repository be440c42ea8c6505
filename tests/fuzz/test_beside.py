"""What other programs of this machine say and what lies on its disk: understood, or refused.

Helpers, hooks, the kernel's files, certificates and keys that somebody else wrote: none of it is this
program's own, though none of it comes over a network.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.accounts import MAX_ANSWER, SocketAccounts
from appliance.actions import parse_action
from appliance.broker.authority import Authority as BrokersAuthority
from appliance.broker.authority import NoAuthority
from appliance.broker.handing_out import HandedOut
from appliance.broker.house import House
from appliance.broker.pages import NoPage, page_certificate
from appliance.broker.passwords import PasswordFile, fits, hashed
from appliance.calls import quiet, tokens
from appliance.calls.turn import Turn
from appliance.client import Client, Unreachable
from appliance.commands import GenerateToken, SetDoNotDisturb
from appliance.config import Config, Http
from appliance.errors import Refused
from appliance.hook_files import hooks_for
from appliance.invitation import link_of, uid_of
from appliance.media.sections import Description
from appliance.panel import safe
from appliance.reporting.programs import Program, environment
from appliance.service import pressure
from appliance.service.doctor.certificates import certificates
from appliance.service.doctor.clock import clock
from appliance.service.doctor.findings import Finding
from appliance.service.doctor.heat import ZONE, heat
from appliance.service.doctor.identity import identity
from appliance.service.doctor.unit import unit
from appliance.signaling.topics import Topics, matches
from appliance.trust.authority import Authority, AuthorityUnusable
from appliance.trust.keys import DeviceKey, KeyUnusable
from tests.fuzz.offers import CHROMIUM
from tests.fuzz.test_parsers import DEEP, NOT_UTF8, spoilt, spoilt_json
from tests.parts.play import Play
from tests.service.doctor.paper import CONFIG, FIRMWARE, MONITORS, PaperMachine

fast = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def is_said(fault: Exception, about: str = "", code: str | None = None) -> None:
    """A refusal is a sentence, which can be told by every outlet."""
    assert str(fault)
    assert about in str(fault)
    str(fault).encode()
    assert code in (None, getattr(fault, "code", None))


# -------------------- who makes accounts at the broker


@settings(fast, max_examples=12)
@given(
    spoilt_json({"password": "abc"}, {"error": "the disk is full"}, {"removed": True}),
    st.booleans(),
)
@example(DEEP[:MAX_ANSWER], False)
@example(b'{"error":' + b"[" * 990 + b"]" * 990 + b"}", False)
@example(b'{"password":"\\ud800"}', False)
@example(b'{"error":"\\ud800"}', False)
@example(NOT_UTF8, True)
def test_answers_of_who_makes_accounts(answer: bytes, torn: bool) -> None:
    asyncio.run(_accounts(answer if torn else answer.replace(b"\n", b"") + b"\n"))


async def _accounts(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accounts.sock"
        async with await asyncio.start_unix_server(serve, path):
            accounts = SocketAccounts(path)
            try:
                password = await accounts.make("alice")
                assert password
                link_of("https://door/", {"password": password})
            except Refused as refusal:
                is_said(refusal)
            await accounts.remove("alice")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> HandedOut:
    house = House(tmp_path_factory.mktemp("broker") / "house")
    house.new(["localhost"], device="front-door")
    return HandedOut(house, lambda: None)


@fast
@given(request=spoilt_json({"make": "alice"}, {"remove": "alice"}))
@example(request=DEEP)
@example(request=b'{"make":"\\ud800"}')
@example(request=NOT_UTF8)
def test_requests_for_accounts(broker: HandedOut, request: bytes) -> None:
    answer = json.loads(broker.answer(request))
    assert len(answer.keys() & {"password", "removed", "error"}) == 1


@fast
@given(spoilt(f"alice:{hashed('abc')}\nbob:x\n".encode()))
def test_the_file_of_passwords(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "passwords"
        file.write_bytes(data)
        try:
            found = PasswordFile(file).accounts()
        except UnicodeDecodeError:
            return
    for kept in found.values():
        fits("abc", kept) if len(kept) < 400 else None


# -------------------- programs that are started


@settings(fast, max_examples=5)
@given(spoilt(b"the lamp does not answer\nat all\n", b"\xff" * 5000))
def test_complaints_of_hooks(said: bytes) -> None:
    """Whatever a program that fails has said, it becomes a sentence of one line."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            words, file = Path(folder) / "words", Path(folder) / "error"
            words.write_bytes(said)
            file.write_text(f"#!/bin/sh\ncat {words} >&2\nexit 3\n")
            file.chmod(0o755)
            assert [one.path for one in hooks_for(Path(folder), "error")] == [file]
            program = Program(file, "error", b"{}\n", environment("error", None, Path("/none")))
            wrong = await program.ended(30)
        assert wrong is not None
        assert wrong.startswith("ended with status 3")
        assert wrong.encode()
        assert "\n" not in wrong

    asyncio.run(run())


@fast
@given(spoilt_json({"id": 1, "ok": True, "result": {}}, {"id": 1, "ok": False, "error": {}}))
@example(DEEP)
@example(b"null")
def test_answers_to_the_command_line(line: bytes) -> None:
    """What answers at the socket may be another program: that is told, too."""
    import socket
    import threading

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "appliance.sock"
        with socket.socket(socket.AF_UNIX) as listens:
            listens.bind(str(path))
            listens.listen()

            def serve() -> None:
                connection, _ = listens.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(line.replace(b"\n", b"") + b"\n")

            answering = threading.Thread(target=serve)
            answering.start()
            try:
                with Client({"APPLIANCE_SOCKET": str(path)}) as client:
                    client.ask(status=True)
            except (Refused, Unreachable):
                pass
            finally:
                answering.join()


# -------------------- the kernel's and systemd's


@fast
@given(spoilt(b"48312\n", b"--5", b"0x50005"), spoilt(b"0x50005\n", b"throttled=0x0\n"))
@example(b"--5", b"throttled=-")
def test_what_the_kernel_says_of_heat(degrees: bytes, flags: bytes) -> None:
    machine = PaperMachine()
    machine.files[ZONE] = degrees.decode(errors="replace")
    told = f"{FIRMWARE}/soc:firmware/get_throttled"
    alarm = f"{MONITORS}/hwmon1/in0_lcrit_alarm"
    machine.files |= dict.fromkeys((told, alarm), flags.decode(errors="replace"))
    assert all(isinstance(one, Finding) for one in heat(CONFIG, machine))
    del machine.files[told]
    machine.outputs["vcgencmd"] = flags.decode(errors="replace")
    assert all(isinstance(one, Finding) for one in heat(CONFIG, machine))
    with tempfile.TemporaryDirectory() as folder:
        zone = Path(folder) / "class/thermal/thermal_zone0"
        zone.mkdir(parents=True)
        (zone / "temp").write_bytes(degrees)
        (zone / "trip_point_0_type").write_bytes(b"passive")
        (zone / "trip_point_0_temp").write_bytes(degrees)
        pressure.judge(pressure.read(Path(folder)), False)


@fast
@given(spoilt(b"LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNRestarts=0\n"))
def test_what_systemd_says(said: bytes) -> None:
    machine = PaperMachine(outputs={"systemctl": said.decode(errors="replace")})
    machine.outputs["timedatectl"] = said.decode(errors="replace")
    assert [*unit(CONFIG, machine), *clock(CONFIG, machine)]


# -------------------- certificates and keys


def _self_signed() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "door")])
    begin = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("door")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(pem), private


CERTIFICATE, PRIVATE = _self_signed()
DER = x509.load_pem_x509_certificate(CERTIFICATE).public_bytes(serialization.Encoding.DER)


def _pem(der: bytes, kind: str = "CERTIFICATE") -> bytes:
    import base64

    return (
        f"-----BEGIN {kind}-----\n".encode()
        + base64.encodebytes(der)
        + (f"-----END {kind}-----\n".encode())
    )


@settings(fast, max_examples=60)
@given(spoilt(CERTIFICATE), spoilt(DER), spoilt(PRIVATE))
def test_certificates_that_the_doctor_looks_at(pem: bytes, der: bytes, key: bytes) -> None:
    http = Http(host="door", cert_file="/c.pem", key_file="/k.pem")
    for certificate, private in ((pem, key), (_pem(der), PRIVATE)):
        machine = PaperMachine()
        machine.files |= {"/c.pem": certificate, "/k.pem": private}
        assert [*certificates(replace(Config(), http=http), machine)]


@settings(fast, max_examples=60)
@given(spoilt(CERTIFICATE), spoilt(DER), spoilt(PRIVATE), spoilt(DeviceKey.make().pem()))
def test_the_keys_and_the_authority_of_the_device(
    pem: bytes, der: bytes, key: bytes, own: bytes
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for certificate, private in ((pem, PRIVATE), (_pem(der), PRIVATE), (CERTIFICATE, key)):
            (folder / "ca.crt").write_bytes(certificate)
            (folder / "ca.key").write_bytes(private)
            try:
                Authority.load(folder)
            except AuthorityUnusable as fault:
                is_said(fault)
        (folder / "device.key").write_bytes(own)
        machine = PaperMachine(environ={"STATE_DIRECTORY": name})
        for file in ("ca.crt", "ca.key", "device.key"):
            machine.files[f"{name}/{'' if file == 'device.key' else 'tls/'}{file}"] = (
                folder / file
            ).read_bytes()
        machine.files[f"{name}/tls/page.pem"] = _pem(der)
        assert [*identity(CONFIG, machine)]
        try:
            DeviceKey.load_or_make(folder, {})
        except KeyUnusable as fault:
            is_said(fault, "device.key")
        assert (folder / "device.key").read_bytes() == own, "what phones have pinned is never lost"


REVOKED = (
    x509.CertificateRevocationListBuilder()
    .issuer_name(x509.load_pem_x509_certificate(CERTIFICATE).issuer)
    .last_update(datetime.now(UTC))
    .next_update(datetime.now(UTC) + timedelta(days=1))
    .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    .public_bytes(serialization.Encoding.DER)
)


@settings(fast, max_examples=30)
@given(spoilt(DER), spoilt(PRIVATE), spoilt(REVOKED))
def test_the_authority_of_a_broker(der: bytes, key: bytes, revoked: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for certificate, private in (
            (_pem(der), PRIVATE),
            (CERTIFICATE, key),
            (CERTIFICATE, PRIVATE),
        ):
            (folder / "ca.crt").write_bytes(certificate)
            (folder / "ca.key").write_bytes(private)
            (folder / "clients.crl").write_bytes(_pem(revoked, "X509 CRL"))
            try:
                BrokersAuthority.load(folder).revoked()
            except NoAuthority as fault:
                is_said(fault)


@settings(fast, max_examples=60)
@given(spoilt(CERTIFICATE), spoilt(DER), spoilt(PRIVATE))
def test_the_certificate_that_a_broker_is_given_for_pages(
    pem: bytes, der: bytes, key: bytes
) -> None:
    for certificate, private in ((pem, PRIVATE), (_pem(der), PRIVATE), (CERTIFICATE, key)):
        for authority in (CERTIFICATE, certificate, None):
            try:
                assert page_certificate(certificate + private, authority).endswith(b"KEY-----\n")
            except NoPage as fault:
                is_said(fault)


# -------------------- words with a form


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


@fast
@given(
    st.one_of(st.text(max_size=80), spoilt(b"call:user:alice", b"!unlock relay=door").map(_text))
)
def test_actions_of_buttons(text: str) -> None:
    try:
        parse_action(text)
    except ValueError as fault:
        is_said(fault)


@fast
@given(st.one_of(st.text(max_size=60), st.sampled_from(["22:3", "٢٢:٣٠", "-1:00", "24:00"])))
@example("2026-11-21T22:30:00+23:59")
@example("9999-12-31T23:59:59-23:59")
@example("0001-01-01T00:00:00+23:59")
def test_until_when_nobody_is_disturbed(text: str) -> None:
    play = Play()
    try:
        quiet.set_quiet(
            Turn(play.policy, play.state, play.moment()), SetDoNotDisturb(on=True, until=text)
        )
    except Refused as fault:
        is_said(fault, code="bad_until")


def _token(play: Play) -> str:
    turn = Turn(play.policy, play.state, play.moment())
    made: Any = tokens.generate(turn, GenerateToken(session_id="5" * 32, uid="alice", expires_s=60))
    return str(made["token"])


TOKEN = _token(Play())


@fast
@given(st.one_of(st.text(max_size=200), spoilt(TOKEN.encode()).map(_text)))
def test_tokens(text: str) -> None:
    play = Play()
    turn = Turn(play.policy, play.state, play.moment())
    try:
        assert tokens.verify(turn, text).text == TOKEN
    except Refused as fault:
        is_said(fault, code="bad_token")


@fast
@given(spoilt(CHROMIUM.read_bytes()))
def test_descriptions_are_taken_apart_and_put_together(data: bytes) -> None:
    """Behind the firewall, which lets less through than this takes."""
    found = Description.parse(data.decode(errors="replace"))
    usable = range(len(found.sections))
    _ = found.first_bundled, found.together(usable), found.text
    for section in found.sections:
        _ = section.mid, section.is_rejected, section.rejected()
    assert Description.parse(found.text).text == found.text


@fast
@given(st.text(max_size=60), st.text(max_size=60))
def test_topics(topic_filter: str, topic: str) -> None:
    topics = Topics("appliance")
    for one in (topic, f"appliance/call/{topic}", f"appliance/presence/{topic}"):
        topics.inbox_sender(one)
        topics.presence_owner(one)
        matches(topic_filter, one)
        matches(one, topic_filter)


@fast
@given(st.text(max_size=100), st.lists(st.text(max_size=10)))
def test_names_of_people(name: str, taken: list[str]) -> None:
    import re

    uid = uid_of(name, taken)
    assert re.fullmatch(r"[a-z0-9_-]{1,64}", uid)
    assert uid not in taken


# -------------------- what was kept


@fast
@given(spoilt_json({"factory": "lgpio", "outputs": [{"where": "relays.door", "pin": 5}]}))
@example(DEEP)
@example(NOT_UTF8)
def test_the_note_of_what_is_driven(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / safe.NOTED).write_bytes(data)
        found = safe.noted(Path(folder))
        assert found is None or isinstance(found, safe.Driven)
        file = Path(folder) / "appliance.toml"
        file.write_bytes(data)
        safe.configured(file, {})
