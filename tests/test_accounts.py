"""Accounts for who is paired: asked for at a socket, made with the broker's rights, used, taken back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.accounts import Following, SocketAccounts
from appliance.config import Contact, Device, Mqtt, Security
from appliance.errors import Refused
from appliance.inviting import Inviting
from appliance.model import Right
from appliance.signaling.pairing import Pairing
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey
from tests.parts.brokerhouse import NOT_AUTHORIZED, PLAIN, TLS, Endpoint, ShippedBroker
from tests.parts.house import config_for, house
from tests.parts.need import program

UNITS = Path(__file__).parents[1] / "systemd"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ShippedBroker]:
    made = ShippedBroker(tmp_path, ("front-door",))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def socket(broker: ShippedBroker, tmp_path: Path) -> Iterator[Path]:
    """As systemd does: a socket, and a process for each who connects."""
    listens = tmp_path / "accounts.sock"
    activate = program("systemd-socket-activate", "systemd")
    command = [sys.executable, "-m", "appliance", "broker", "--folder", str(broker.house.folder)]
    command += ["--pid-file", str(broker.pid_file), "accounts"]
    log = tmp_path / "activate.log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            [activate, "--accept", "--inetd", "-E", "PATH", "-l", str(listens), *command],
            stderr=out,
            cwd=UNITS.parent,
            env=os.environ,
        ) as running,
    ):
        deadline = time.monotonic() + 30
        while not listens.exists():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        try:
            yield listens
        finally:
            running.terminate()


def gets_in(broker: ShippedBroker, name: str, password: str | None) -> bool:
    with Endpoint(broker.ports[PLAIN], name, password) as one:
        assert one.code in (0, NOT_AUTHORIZED)
        return one.is_in


async def until_in(broker: ShippedBroker, name: str, password: str | None, *, is_in: bool) -> None:
    """The broker reads its accounts anew when it comes to it."""
    async with asyncio.timeout(30):
        while await asyncio.to_thread(gets_in, broker, name, password) is not is_in:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.broker
async def test_who_is_paired_may_log_in_and_who_is_revoked_may_not(
    broker: ShippedBroker, socket: Path, tmp_path: Path
) -> None:
    accounts = SocketAccounts(socket)
    contacts = Contacts({}, tmp_path / "contacts.toml")
    async with Following(accounts, contacts):
        password = await accounts.make("alice")
        await until_in(broker, "alice", password, is_in=True)
        for _ in range(2):  # two phones of one person
            assert await accounts.make("alice") == password
            await contacts.add("alice", "Alice", DeviceKey.make().public, [Right.ANSWER])
        await contacts.revoke("alice", next(iter(contacts.keys_of("alice"))))
        assert await asyncio.to_thread(gets_in, broker, "alice", password)
        await contacts.revoke("alice")
        await until_in(broker, "alice", password, is_in=False)
    assert await accounts.make("alice") != password
    with pytest.raises(Refused, match="by hand"):
        await accounts.make("front-door")
    assert await asyncio.to_thread(gets_in, broker, "front-door", broker.passwords["front-door"])


async def test_who_was_configured_is_followed_too(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b'{"removed": false}\n')
        writer.close()

    async with listening(tmp_path / "s", answer) as socket:
        contacts = Contacts({"bob": Contact(keys=(DeviceKey.make().public,))})
        async with Following(SocketAccounts(socket), contacts):
            await contacts.revoke("bob")
    assert asked == [b'{"remove":"bob"}\n']


@contextlib.asynccontextmanager
async def listening(path: Path, answer: object) -> AsyncIterator[Path]:
    server = await asyncio.start_unix_server(answer, path)  # type: ignore[arg-type]
    async with server:
        yield path


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (b"", "makes no sense"),
        (b"no json\n", "makes no sense"),
        (b"[]\n", "no answer"),
        (b'{"password": 1}\n', "no answer"),
        (b'{"password": ""}\n', "no answer"),
        (b'{"error": "the house is full"}\n', "the house is full"),
        (b"x" * 10_000, "makes no sense"),
    ],
)
async def test_what_is_no_answer_is_refused_with_a_sentence(
    tmp_path: Path, says: bytes, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(says)
        writer.close()

    async with listening(tmp_path / "s", answer) as socket:
        with pytest.raises(Refused, match=told):
            await SocketAccounts(socket).make("alice")
        await SocketAccounts(socket).remove("alice")
        assert "alice may still log in" in caplog.text


async def test_nobody_there_and_nobody_who_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="No such file"):
        await SocketAccounts(tmp_path / "none").make("alice")
    await SocketAccounts(tmp_path / "none").remove("alice")  # is no reason to fail
    monkeypatch.setattr("appliance.accounts.PATIENCE_S", 0.05)
    ends = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ends.wait()
        writer.close()

    async with listening(tmp_path / "s", answer) as socket:
        with pytest.raises(Refused, match="does not answer"):
            await SocketAccounts(socket).make("alice")
        ends.set()


def test_the_units_are_some_that_systemd_understands(tmp_path: Path) -> None:
    analyze = program("systemd-analyze", "systemd")
    for name in ("appliance-accounts.socket", "appliance-accounts@.service"):
        text = (UNITS / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/appliance/bin/appliance", "/bin/true"))
    found = subprocess.run(
        [analyze, "verify", "--man=no", tmp_path / "appliance-accounts.socket",
         tmp_path / "appliance-accounts@.service"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in found.stderr.splitlines() if "appliance-accounts" in line]
    assert (found.returncode, ours) == (0, [])


@pytest.mark.broker
async def test_a_daemon_takes_back_the_account_of_whom_it_revokes(
    broker: ShippedBroker, socket: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(broker.passwords["front-door"])
    config = config_for(1, contacts={})
    mqtt = Mqtt(
        host="127.0.0.1",
        port=broker.ports[TLS],
        ca_file=str(broker.ca),
        password_file=str(secret),
        accounts_socket=str(socket),
    )
    config = replace(config, mqtt=mqtt, security=Security("refuse"))
    async with house(config, tmp_path) as door:
        accounts, contacts = door.appliance.accounts, door.appliance.contacts
        assert accounts is not None
        password = await accounts.make("alice")
        await contacts.add("alice", "Alice", DeviceKey.make().public, [Right.ANSWER])
        await until_in(broker, "alice", password, is_in=True)
        await contacts.revoke("alice")
        await until_in(broker, "alice", password, is_in=False)


@pytest.mark.broker
async def test_a_code_that_nobody_took_lets_nobody_in_at_the_broker(
    broker: ShippedBroker, socket: Path
) -> None:
    """Of a contact as the first start writes it: configured, and without a key."""
    by_hand = broker.house.make("bob")
    configured = {"owner": Contact(name="Owner"), "bob": Contact(name="Bob")}
    key, contacts = DeviceKey.make(), Contacts(configured)
    async with Inviting(
        Device(id="front-door"),
        Mqtt(),
        key,
        contacts,
        Pairing("front-door", key, contacts),
        configured=configured,
        websocket_url="wss://front-door.local:8884/",
        accounts=SocketAccounts(socket),
    ) as inviting:
        first = await inviting.invite("Owner")
        old = first.told["invitation"]["password"]
        await until_in(broker, "owner", old, is_in=True)
        first.withdraw()
        second = await inviting.invite("Owner")  # at once, as the welcome does
        new = second.told["invitation"]["password"]
        assert new != old
        await until_in(broker, "owner", new, is_in=True)
        assert not await asyncio.to_thread(gets_in, broker, "owner", old)
        second.withdraw()
        await until_in(broker, "owner", new, is_in=False)
        third = await inviting.invite("Bob")
        assert third.told["invitation"]["password"] is None
        third.withdraw()
    assert sorted(broker.house.passwords.accounts()) == ["bob", "front-door"]
    await until_in(broker, "bob", by_hand, is_in=True)


async def test_requests_are_made_in_turn(tmp_path: Path) -> None:
    """Each is a process there: what was made anew is not taken back by what was asked before."""
    asked: list[bytes] = []
    waiting = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        waiting += 1
        assert waiting == 1
        asked.append(await reader.readline())
        for _ in range(20):
            await asyncio.sleep(0)
        waiting -= 1
        writer.write(b'{"removed": true, "password": "p"}\n')
        writer.close()

    async with listening(tmp_path / "s", answer) as socket:
        accounts = SocketAccounts(socket)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(accounts.remove("alice"))
                tasks.create_task(accounts.make("alice"))
    assert asked == [b'{"remove":"alice"}\n', b'{"make":"alice"}\n'] * 3
