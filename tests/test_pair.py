"""`appliance pair` as somebody sees it: a real process, a real socket, a pseudo-terminal."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.bus import Bus
from appliance.config import Contact, Device, Mqtt
from appliance.inviting import Inviting, Page
from appliance.messages import Address
from appliance.model import Right
from appliance.reporting.socket import LocalSocket
from appliance.signaling.pairing import Invitation, PairBody, Pairing, proof_of
from appliance.signaling.wire import Letter
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey, decoded
from tests.parts.desk import Desk

ROOT = Path(__file__).parents[1]
CONFIGURED = {"alice": Contact(name="Alice", may=(Right.CALL, Right.ANSWER, Right.UNLOCK))}


@dataclass
class Door:
    """An appliance that pairs, as far as its socket goes."""

    path: Path
    pairing: Pairing
    contacts: Contacts

    async def takes(self, link: str) -> str:
        """A phone opens the link: its key's thumbprint."""
        words = words_of(link)
        key = DeviceKey.make()
        proof = proof_of(decoded(words["secret"]), "door", words["uid"], key.public)
        sender = Address(words["uid"], "phone")
        letter = Letter("pair", "m", "c", sender, Address("door"), PairBody(key.public, proof))
        found = self.pairing.judge(letter, asyncio.get_running_loop().time())
        assert isinstance(found, Invitation)
        await self.pairing.conclude(letter, found)
        return key.kid

    async def until_none_is_open(self) -> None:
        async with asyncio.timeout(30):
            while len(self.pairing.invitations):  # noqa: ASYNC110 - it tells its owner, not a test
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def typed(self, *words: str, terminal: int | None = None) -> AsyncIterator[Process]:
        """`appliance pair …`, into a pipe or onto a terminal."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "appliance", "pair", *words),
            stdout=PIPE if terminal is None else terminal,
            stderr=PIPE,
            env=os.environ | {"APPLIANCE_SOCKET": str(self.path)},
            cwd=ROOT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


def words_of(link: str) -> dict[str, Any]:
    packed = link.split("#pair=")[1]
    words: dict[str, Any] = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    return words


AUTHORITY = {"url": "https://door.local/ca.crt", "sha256": "3F:A0:77"}


async def the_page() -> Page:
    """One that others vouch for."""
    return Page("https://door.local/")


async def own_page() -> Page:
    """One for which the device itself vouches."""
    return Page("https://door.local/", AUTHORITY)


async def page_here() -> Page:
    return Page("http://localhost:8080/")


async def broken_page() -> Page:
    return Page(None, why="its authority: No space left on device")


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with door_with(tmp_path, the_page) as one:
        yield one


@asynccontextmanager
async def door_with(tmp_path: Path, page: Callable[[], Awaitable[Page]]) -> AsyncIterator[Door]:
    key, contacts = DeviceKey.make(), Contacts(CONFIGURED)
    pairing = Pairing("door", key, contacts)
    device = Device(id="door", name="Front door")
    path = tmp_path / "socket"
    async with (
        Bus("desk") as bus,
        Inviting(
            device,
            Mqtt(),
            key,
            contacts,
            pairing,
            configured=CONFIGURED,
            page=page,
            websocket_url="wss://door.local:8884/",
        ) as inviting,
        LocalSocket(path, Desk(bus), invite=inviting.invite),
    ):
        yield Door(path, pairing, contacts)


async def until_link(process: Process) -> tuple[str, str]:
    """What it says up to the link, and the link."""
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(30):
        while line := (await process.stdout.readline()).decode():
            if "#pair=" in line:
                return said, line.strip()
            said += line
    raise AssertionError(said)


async def test_a_phone_pairs_while_it_waits(door: Door) -> None:
    async with door.typed("Zoe", "--may", "answer,call,unlock", "--expires", "90s") as process:
        said, link = await until_link(process)
        assert said == "Front door invites Zoe (may: call, answer, unlock).\n\n"
        assert link.startswith("https://door.local/#pair=")
        kid = await door.takes(link)
        rest, _ = await process.communicate()
        assert process.returncode == 0
        assert "It is good once, for 90 seconds" in rest.decode()
        assert "Paired: Zoe's phone and Front door know one another." in rest.decode()
        assert f"appliance contacts revoke zoe/{kid[:8]}" in rest.decode()
        assert words_of(link)["secret"] not in rest.decode()


async def test_ctrl_c_takes_it_back(door: Door) -> None:
    async with door.typed("Alice") as process:
        said, _ = await until_link(process)
        assert said.startswith("Front door invites one more phone of Alice (may: call, answer, unl")
        assert len(door.pairing.invitations) == 1
        assert process.stdout is not None
        while b"Waiting" not in await process.stdout.readline():
            pass
        process.send_signal(2)
        rest, _ = await process.communicate()
        assert (process.returncode, "good no more" in rest.decode()) == (130, True)
        await door.until_none_is_open()


async def test_a_terminal_that_is_closed_takes_it_back_too(door: Door) -> None:
    async with door.typed("Zoe") as process:
        await until_link(process)
        process.kill()
        await door.until_none_is_open()


async def test_a_password_of_the_brokers_and_another_address_go_into_the_link(
    door: Door, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("geheim\n")
    words = ("--password-file", str(tmp_path / "password"), "--page", "http://10.0.0.7/")
    async with door.typed("Zoe", *words) as process:
        _, link = await until_link(process)
        assert link.startswith("http://10.0.0.7/#pair=")
        assert words_of(link)["password"] == "geheim"
        assert process.stdout is not None
        await process.stdout.readline()
        note = (await process.stdout.readline()).decode()
        assert note.startswith("note: ")
        assert "https" in note


async def test_what_a_phone_has_to_trust_first_is_said_with_its_fingerprint(tmp_path: Path) -> None:
    async with door_with(tmp_path, own_page) as door:
        async with door.typed("Zoe", "--expires", "1s") as process:
            said, _ = await until_link(process)
            assert f"\n  {AUTHORITY['url']}\n" in said
            assert f"\n  {AUTHORITY['sha256']}\n" in said
            rest, _ = await process.communicate()
            assert b"trust the broker's certificate at wss://door.local:8884/ as well" in rest
        async with door.typed("Zoe", "--page", "https://proxy.lan/", "--expires", "1s") as process:
            said, _ = await until_link(process)
            assert "fingerprint" not in said, "the proxy has a certificate of its own"


async def test_of_a_page_that_no_phone_reaches_it_says_what_to_do(tmp_path: Path) -> None:
    async with (
        door_with(tmp_path, page_here) as door,
        door.typed("Zoe", "--expires", "1s") as process,
    ):
        await until_link(process)
        rest, _ = await process.communicate()
        assert b"http://localhost:8080/ works on this machine only" in rest
        assert b'[http] host = "0.0.0.0", port = 8443, a restart, and pair again' in rest


async def test_of_a_page_that_is_not_served_it_says_why(tmp_path: Path) -> None:
    async with door_with(tmp_path, broken_page) as door, door.typed("Zoe") as process:
        out, err = await process.communicate()
        assert (process.returncode, out) == (1, b"")
        assert b"the page is not served (its authority: No space left on device)" in err
        await door.until_none_is_open()


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["Zoe", "--may", "unlok"], 1, "there is no right unlok; did you mean unlock?"),
        (["Zoe", "--expires", "soon"], 2, "soon is no time such as 90s, 10m or 1h"),
        (["Zoe", "--password-file", "/nowhere"], 1, "the password cannot be read from /nowhere"),
    ],
)
async def test_what_cannot_be_is_one_sentence(
    door: Door, words: list[str], status: int, sentence: str
) -> None:
    async with door.typed(*words) as process:
        out, err = await process.communicate()
        assert (process.returncode, out) == (status, b"")
        assert sentence in err.decode()


async def test_a_terminal_is_shown_a_code_and_in_the_end_that_nobody_came(door: Door) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        async with door.typed("Zoe", "--expires", "1s", terminal=theirs) as process:
            os.close(theirs)
            said = await asyncio.to_thread(read_all, ours)
            assert await process.wait() == 1
    finally:
        os.close(ours)
    lines = [re.sub(r"\x1b\[\d+m", "", line) for line in said.splitlines()]
    code = [line for line in lines if "▀" in line]
    assert len(code) > 20
    assert max(map(len, code)) <= 80
    assert "#pair=" in said
    assert "Nobody came in time" in lines[-1]


def read_all(terminal: int) -> str:
    """All that a terminal is told until the last program has closed it."""
    said = b""
    while True:
        try:
            said += os.read(terminal, 65536)
        except OSError:  # EIO: nobody is there any more
            return said.decode()
