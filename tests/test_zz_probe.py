"""A whole daemon lives through a story at debug level, with secrets that are recognised anywhere."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aioice import stun, turn
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from appliance.client import Client, Unreachable
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.need import program
from tests.parts.phone import Phone, phone

ROOT = Path(__file__).parents[1]
PASSWORD, TURN_SECRET = "recognise-broker/Pa55+word", "recognise-turn-5ecret"
DEBUG = (
    "import logging, sys; from functools import partial; from appliance.service import journal;"
    "journal.set_up = partial(journal.set_up, logging.DEBUG);"
    "from appliance.cli import main;"
    "asked = {'socket.getaddrinfo': 0, 'socket.gethostbyname': 0, 'socket.connect': 1};"
    "tell = lambda what, of: what in asked and print('goes to', [of[asked[what]]], file=sys.stderr);"
    "sys.addaudithook(tell); sys.exit(main(sys.argv[1:]))"
)
"""The daemon as systemd starts it, but that it tells everything, whom it asks and connects to too."""
HERE = rb"xx"
"""The broker and the TURN server of the test, and sockets of this machine."""


class Daemon:
    """A running one, what it tells, and what its command line prints."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder, self.process = folder, process
        self.printed: dict[str, str] = {}

    async def asks(self, **request: Any) -> Any:
        """What the local socket answers; kept, to be looked through."""

        def ask() -> Any:
            with Client(environ(self.folder)) as client:
                return client.ask(**request)

        answer = await asyncio.to_thread(ask)
        self.printed[str(request)] = json.dumps(answer)
        return answer

    async def until(self, true: str, **request: Any) -> None:
        """Ask until the answer has something in it."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(Unreachable):  # it is about to start
                    if re.search(true, json.dumps(await self.asks(**request))):
                        return
                await asyncio.sleep(0.1)


class Turn(asyncio.DatagramProtocol):
    """A TURN server that wants to know who one is, and then has no room."""

    def __init__(self) -> None:
        self.proven = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, where: Any) -> None:
        asked = stun.parse_message(data)
        answer = stun.Message(asked.message_method, stun.Class.ERROR, asked.transaction_id)
        if "USERNAME" in asked.attributes:
            key = turn.make_integrity_key("door", "house", TURN_SECRET)
            self.proven += asked.check_message_integrity(key)
            answer.attributes["ERROR-CODE"] = (486, "Allocation Quota Reached")
            answer.add_message_integrity(key)
        else:
            answer.attributes["ERROR-CODE"] = (401, "Unauthorized")
            answer.attributes["REALM"], answer.attributes["NONCE"] = "house", b"once"
        self._transport.sendto(bytes(answer), where)


async def doctor(folder: Path) -> str:
    said = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance", "doctor", "--json", "--config", folder / "appliance.toml",
        cwd=ROOT, env=environ(folder), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await said.communicate()
    assert '"findings"' in out.decode()
    return out.decode()


def environ(folder: Path) -> dict[str, str]:
    state = {
        "STATE_DIRECTORY": str(folder / "state"),
        "CREDENTIALS_DIRECTORY": str(folder / "cred"),
    }
    return os.environ | state | {"APPLIANCE_SOCKET": str(folder / "s.sock")}


@asynccontextmanager
async def daemon(folder: Path, log: Path) -> AsyncIterator[Daemon]:
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DEBUG, "run", "--config", str(folder / "appliance.toml"),
            cwd=ROOT, env=environ(folder), stdout=stderr, stderr=stderr,
        )  # fmt: skip
        try:
            yield Daemon(folder, process)
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(60):
                await process.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    users = tmp_path / "users"
    tool = program("mosquitto_passwd", "mosquitto")
    command: list[str | Path] = [tool, "-b", "-c", users, "front-door", PASSWORD]
    subprocess.run(command, check=True, capture_output=True)
    made = Mosquitto(program("mosquitto"), tmp_path, f"password_file {users}")
    made.start()
    yield made
    made.kill()


def configured(folder: Path, broker: Mosquitto, turn_port: int) -> int:
    """The demo's configuration with a broker and a TURN server that want secrets; the page's port."""
    for name in ("cred", "conf.d", "state"):
        (folder / name).mkdir()
    (folder / "cred" / "mqtt.password").write_text("not-yet-the-right-one\n")
    (folder / "turn.secret").write_text(f"{TURN_SECRET}\n")
    (folder / "turn.secret").chmod(0o600)
    (folder / "appliance.toml").write_text((ROOT / "config" / "simulated.toml").read_text())
    page = free_port()
    (folder / "conf.d" / "secret.toml").write_text(f"""
        [mqtt]
        host = "127.0.0.1"
        port = {broker.port}
        password_file = "$CREDENTIALS_DIRECTORY/mqtt.password"
        websocket_url = "ws://127.0.0.1:{broker.websocket_port}/"
        [http]
        port = {page}
        [[media.ice_servers]]
        urls = ["turn:127.0.0.1:{turn_port}?transport=udp"]
        username = "door"
        credential_file = "../turn.secret"
    """)
    return page


def spellings(secret: bytes) -> Mapping[str, bytes]:
    """How it might have been written down."""
    return {
        "as it is": secret,
        "hex": secret.hex().encode(),
        "base64": base64.b64encode(secret).rstrip(b"="),
        "base64url": base64.urlsafe_b64encode(secret).rstrip(b"="),
        "in an address": quote(secret, safe="").encode(),
        "repr": repr(secret)[2:-1].encode(),
        "json": json.dumps(secret.decode("latin-1"))[1:-1].encode(),
    }


async def let_in(house: Daemon) -> None:
    """First with a wrong password, which is told of; then with the right one."""
    await house.until("broker_not_authorized", recent=True)
    (house.folder / "cred" / "mqtt.password").write_text(f"{PASSWORD}\n")
    await house.until('"mqtt": "connected"', status=True)


async def story(house: Daemon, alice: Phone, page: int) -> set[bytes]:
    """Called, talked with, opened, rung, missed; what came to be secret on the way."""
    call_id = "ab" * 16
    await alice.call(call_id)
    await alice.hear("ringing")
    await house.asks(command="accept_call")
    accept = await alice.connected()
    await house.until("session_joined", recent=True)
    session_id = (await house.asks(status=True))["call"]["session_id"]
    made = await house.asks(command="generate_token", args={"uid": "bob", "session_id": session_id})
    house.printed.popitem()  # who asked for the token is to have it, and nobody else
    invited = await house.asks(pair={"name": "Dora", "may": None, "expires_s": None})
    house.printed.popitem()  # and who invites somebody is to have the invitation
    await house.asks(command="unlock")
    await alice.send("end", call_id, {"reason": "hang_up", "kicked_by": None})
    await house.until("call_ended", recent=True)
    await house.asks(press="call")
    invite = await alice.hear("invite")
    await alice.send("reject", invite["call_id"], {"reason": "busy", "custom_data": None})
    await house.asks(command="leave_session")
    await house.asks(recent=True)
    await house.asks(call_log=50)
    house.printed["doctor"] = await doctor(house.folder)
    for path in ("metrics", "client.json", "healthz", ""):
        address = f"http://127.0.0.1:{page}/{path}"
        house.printed[address] = await asyncio.to_thread(fetched, address)
    proc = Path(f"/proc/{house.process.pid}")
    house.printed["cmdline"] = (proc / "cmdline").read_text()
    house.printed["environ"] = (proc / "environ").read_text()
    ours = re.findall(r"a=ice-pwd:(\S+)", accept["body"]["answer"]["sdp"])
    assert alice.connection is not None
    theirs = re.findall(r"a=ice-pwd:(\S+)", alice.connection.localDescription.sdp)
    assert ours
    assert theirs
    return {
        made["token"].encode(),
        invited["invitation"]["secret"].encode(),
        *(text.encode() for text in (*ours, *theirs)),
    }


@pytest.mark.broker
async def test_no_secret_is_anywhere_but_where_it_belongs(
    tmp_path: Path, broker: Mosquitto
) -> None:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(Turn, ("127.0.0.1", 0))
    page = configured(tmp_path, broker, transport.get_extra_info("sockname")[1])
    log = tmp_path / "log"
    async with daemon(tmp_path, log) as house:
        await let_in(house)
        async with phone("alice", "127.0.0.1", broker.port, version=5) as alice:
            secrets = await story(house, alice, page)
    transport.close()
    assert house.process.returncode == 0
    assert server.proven
    key = load_pem_private_key((tmp_path / "state" / "device.key").read_bytes(), None)
    secrets |= {PASSWORD.encode(), TURN_SECRET.encode(), key.private_bytes_raw()}  # type: ignore[union-attr]
    secrets.add((tmp_path / "state" / "device.key").read_bytes().splitlines()[1])

    places = {name: text.encode() for name, text in house.printed.items()}
    places["log"] = log.read_bytes()
    ways = [line for line in places["log"].splitlines() if line.startswith(b"goes to ")]
    assert ways
    elsewhere = [line for line in ways if not re.match(HERE, line)]
    assert elsewhere == [], "it speaks with nobody whom the configuration does not name"
    for chatter in (b"aioice.turn", b"a=ice-ufrag", b"broker_not_authorized"):
        assert chatter in places["log"], "it was to tell everything"
    for file in (tmp_path / "state").rglob("*"):
        if file.is_file() and file.name != "device.key":
            places[str(file)] = file.read_bytes()
    assert any(name.endswith("calls.jsonl") for name in places)
    found = [
        (place, how, text)
        for place, content in places.items()
        for secret in secrets
        for how, text in spellings(secret).items()
        if text in content
    ]
    assert found == []


def test_a_secret_would_be_found_in_each_spelling() -> None:
    for secret in (PASSWORD.encode(), bytes(range(32))):
        for how, text in spellings(secret).items():
            assert text in b"a log that has " + text + b" in it", how
    assert len(set(spellings(PASSWORD.encode()).values())) >= 4


def fetched(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return str(answer.read().decode())
