"""The first phone of a device: what is shown where, again and again until it has come."""

from __future__ import annotations

import asyncio
import datetime as dt
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.broker.handing_out import HandedOut
from appliance.broker.house import House
from appliance.bus import Bus
from appliance.config import Contact, Device, Mqtt
from appliance.events import CallButtonClicked
from appliance.inviting import Accounts, Inviting
from appliance.model import Gesture, Right
from appliance.owner.welcome import CODES, Welcome
from appliance.reporting.socket import LocalSocket
from appliance.signaling.pairing import Pairing
from appliance.signaling.rejected import Rejected
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey
from appliance.whole_file import write_whole
from tests.parts.desk import Desk
from tests.parts.leaping import leaping
from tests.test_pair import AUTHORITY, CONFIGURED, Door, own_page, words_of

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def appliance_at(
    path: Path,
    contacts: Contacts,
    shown: Callable[[str | None], None] = lambda _: None,
    *,
    is_set_up: bool = True,
    accounts: Accounts | None = None,
    desk: Callable[[Bus], Desk] = Desk,
) -> AsyncIterator[Door]:
    """One as far as its socket goes."""
    key = DeviceKey.make()
    pairing = Pairing("door", key, contacts)
    async with (
        Bus("desk") as bus,
        Inviting(
            Device(id="door", name="Front door"),
            Mqtt(),
            key,
            contacts,
            pairing,
            configured=CONFIGURED,
            page=own_page,
            websocket_url="wss://door.local:8884/" if is_set_up else None,
            screen=shown,
            accounts=accounts,
        ) as inviting,
        LocalSocket(path, desk(bus), contacts=contacts, invite=inviting.invite),
    ):
        yield Door(path, pairing, contacts)


class Listener:
    """What is said to the log, from a thread, for whoever waits for it on the loop."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, text: str) -> None:
        with self._changed:
            self.said.append(text)
            self._changed.notify_all()

    async def until(self, number: int) -> str:
        """That many have been said; the last of them."""

        def wait() -> str:
            with self._changed:
                assert self._changed.wait_for(lambda: len(self.said) >= number, 30), self.said
                return self.said[number - 1]

        return await asyncio.to_thread(wait)


def welcome(
    path: Path, log: Listener, terminal: Path | None = None, lasts_s: float = 60
) -> Welcome:
    terminals = () if terminal is None else (terminal,)
    return Welcome("Zoe", lasts_s, terminals, 0.05, log, {"APPLIANCE_SOCKET": str(path)})


def started(one: Welcome) -> asyncio.Future[int]:
    """It runs, in a thread of its own; for a minute at most, whatever becomes of the test."""
    return asyncio.get_running_loop().run_in_executor(None, one.run)


def link_in(text: str) -> str:
    return next(word for word in text.split() if "#pair=" in word)


async def test_the_first_phone_comes_by_what_the_log_and_the_console_show(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 120, 0, 0))
    log, path = Listener(), tmp_path / "s"
    shown: list[str | None] = []
    async with appliance_at(path, Contacts({}), shown.append) as door:
        one = welcome(path, log, Path(os.ttyname(theirs)))
        running = started(one)
        said = await log.until(1)
        assert said.startswith("Front door waits for its first phone")
        assert AUTHORITY["sha256"] in said, "which it has to trust"
        assert "may: call, answer." in said, "and no more: who sees it may be anybody"
        assert "\x1b" not in said, "the journal shows no such line"
        assert len([line for line in said.split("\n") if re.search("[▀▄█]", line)]) > 20
        assert (await asyncio.to_thread(select.select, [ours], [], [], 30))[0]
        console = b""
        while b"It is good once" not in console:
            console += await asyncio.to_thread(os.read, ours, 65536)
        assert link_in(console.decode()) == link_in(said)
        assert "▀" in console.decode()
        assert shown == [link_in(said)]
        await door.takes(link_in(said))
        assert await log.until(2) == "The first phone is paired: Zoe."
        assert await running == 0
        assert shown == [link_in(said), None]
        assert len(door.pairing.invitations) == 0
        # at the next start there is nothing to say
        assert await asyncio.to_thread(welcome(path, log).run) == 0
        assert len(log.said) == 2
    os.close(ours)
    os.close(theirs)


async def test_what_a_phone_has_to_trust_is_told_before_it_scans(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 67, 240, 0, 0))
    log, path = Listener(), tmp_path / "s"
    async with appliance_at(path, Contacts({})) as door:
        running = started(welcome(path, log, Path(os.ttyname(theirs))))
        said = await log.until(1)
        console = b""
        while b"It is good once" not in console:
            console += await asyncio.to_thread(os.read, ours, 65536)
        for shown in (said, console.decode()):
            before, _, after = shown.partition("Scan this")
            assert "https://door.local/ca.crt" in before
            assert AUTHORITY["sha256"] in before
            assert link_in(shown) in after
        await door.takes(link_in(said))
        assert await running == 0
    os.close(ours)
    os.close(theirs)


async def test_what_is_missing_is_on_the_terminal_too_with_what_to_do(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    log, path = Listener(), tmp_path / "s"
    async with appliance_at(path, Contacts({}), is_set_up=False):
        one = welcome(path, log, Path(os.ttyname(theirs)), lasts_s=0.5)
        assert await asyncio.to_thread(one.run) == 0
    console = await asyncio.to_thread(os.read, ours, 65536)
    assert b"set [mqtt] websocket_url" in console
    assert b"sudo appliance doctor" in console
    assert len([text for text in log.said if "websocket_url" in text]) == 1
    os.close(ours)
    os.close(theirs)


async def test_there_is_another_one_after_each_and_the_old_one_is_worth_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.inviting.USUAL_S", 0.3)
    monkeypatch.setattr("appliance.owner.welcome.CODES", 1000)  # for a slow machine
    log, path = Listener(), tmp_path / "s"
    async with appliance_at(path, Contacts({})) as door:
        running = started(welcome(path, log))
        first, second = link_in(await log.until(1)), link_in(await log.until(2))
        monkeypatch.setattr("appliance.inviting.USUAL_S", 600.0)
        with pytest.raises(Rejected, match="does not prove it"):
            await door.takes(first)
        third = link_in(await log.until(3))
        assert len({words_of(link)["secret"] for link in (first, second, third)}) == 3
        while True:  # the one that is shown now: on a slow machine the third is over as well
            number = len(log.said)
            try:
                await door.takes(link_in(log.said[-1]))
                break
            except Rejected:
                await log.until(number + 1)
        assert await running == 0


async def test_one_that_ends_with_the_daemon_is_none_of_the_three(tmp_path: Path) -> None:
    """Who wires the bell restarts it again and again, and has no bell to press yet."""
    log, path = Listener(), tmp_path / "s"
    contacts: Contacts = Contacts({})
    running: asyncio.Future[int] | None = None
    for number in range(1, CODES + 2):
        async with appliance_at(path, contacts) as door:
            running = running or started(welcome(path, log))
            while not (shown := [text for text in log.said if "#pair=" in text])[number - 1 :]:
                await log.until(len(log.said) + 1)
            if number > CODES:
                await door.takes(link_in(shown[-1]))
                assert await running == 0


class HandedOutHere:
    """Accounts as `appliance broker accounts` makes them, in a real folder; counts its files."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        house = House(folder)
        house.new_local(["door"], device="door")
        self._handed_out = HandedOut(house, lambda: None)
        self.written = 0

        def counted(file: Path, data: bytes, mode: int = 0o600) -> None:
            self.written += 1
            write_whole(file, data, mode)

        for module in ("handing_out", "passwords"):
            monkeypatch.setattr(f"appliance.broker.{module}.write_whole", counted)

    async def make(self, uid: str) -> str | None:
        return self._handed_out.make(uid)

    async def remove(self, uid: str) -> None:
        self._handed_out.remove(uid)


async def test_a_day_without_anybody_writes_little_and_a_press_of_the_bell_shows_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker's files are on the card: with a code every ten minutes they were 576 in that day."""
    log, path = Listener(), tmp_path / "s"
    accounts = HandedOutHere(tmp_path / "broker", monkeypatch)
    desks: list[Desk] = []

    def desk(bus: Bus) -> Desk:
        desks.append(Desk(bus))
        return desks[-1]

    with leaping(dt.datetime(2026, 3, 1, tzinfo=dt.UTC), "UTC") as clock:
        async with appliance_at(path, Contacts({}), accounts=accounts, desk=desk) as door:

            def waits() -> bool:
                """For a phone or the bell, rather than for the next code; or it has ended."""
                quiet = log.said and log.said[-1].startswith("No phone came")
                return bool(quiet or len(door.pairing.invitations))

            running = started(welcome(path, log, lasts_s=24 * 3600))
            await log.until(1)
            await clock.passes(6 * 3600, 60, stays=lambda: not waits())
            assert [text[:13] for text in log.said] == [*["Front door wa"] * 3, "No phone came"]
            links = [link_in(text) for text in log.said[:3]]
            assert len({words_of(link)["password"] for link in links}) == 3
            assert len(door.pairing.invitations) == 0, "the last is worth nothing either"
            key = 1
            assert accounts.written == key + 3 * 4, "a book and passwords, made and taken back"

            desks[0].bus.publish(CallButtonClicked("call", Gesture.PRESS))
            assert link_in(await log.until(5)) not in links
            await clock.passes(17 * 3600, 60, stays=lambda: not waits())
            assert len(log.said) == 8
            assert accounts.written == key + 6 * 4
            await clock.passes(2 * 3600, 60)
            assert (await log.until(9)).startswith("No phone came, and the invitation is not shown")
            assert await running == 0


async def test_a_phone_comes_by_a_code_that_the_bell_has_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.owner.welcome.CODES", 0)
    log, path = Listener(), tmp_path / "s"
    desks: list[Desk] = []

    def desk(bus: Bus) -> Desk:
        desks.append(Desk(bus))
        return desks[-1]

    async with appliance_at(path, Contacts({}), desk=desk) as door:
        running = started(welcome(path, log))
        assert "Press the bell" in await log.until(1)
        monkeypatch.setattr("appliance.owner.welcome.CODES", 3)
        desks[0].bus.publish(CallButtonClicked("call", Gesture.PRESS))
        await door.takes(link_in(await log.until(2)))
        assert await running == 0
        assert log.said[-1] == "The first phone is paired: Zoe."


async def test_a_phone_that_is_paired_otherwise_ends_it_and_its_invitation(tmp_path: Path) -> None:
    log, path = Listener(), tmp_path / "s"
    contacts = Contacts({"alice": Contact(name="Alice")})
    async with appliance_at(path, contacts) as door:
        running = started(welcome(path, log))
        await log.until(1)
        await contacts.add("alice", None, DeviceKey.make().public, ())
        assert await running == 0
        await door.until_none_is_open()
        assert len(log.said) == 1


async def test_what_is_missing_is_said_once_and_it_goes_on_when_it_is_there(tmp_path: Path) -> None:
    log, path = Listener(), tmp_path / "s"
    running = started(welcome(path, log))
    assert "no appliance is running here" in await log.until(1)
    async with appliance_at(path, Contacts({}), is_set_up=False):
        assert "set [mqtt] websocket_url" in await log.until(2)
    contacts = Contacts({})
    async with appliance_at(path, contacts):
        while not (found := [text for text in log.said if "#pair=" in text]):
            await log.until(len(log.said) + 1)
        assert len(found) == 1
        await contacts.add("zoe", "Zoe", DeviceKey.make().public, ())
        assert await running == 0
    assert len([text for text in log.said if "no appliance" in text]) <= 2


async def test_a_contact_who_may_open_the_door_is_not_invited_by_what_anybody_can_read(
    tmp_path: Path,
) -> None:
    ours, theirs = pty.openpty()
    log, path = Listener(), tmp_path / "s"
    contacts = Contacts(CONFIGURED)
    assert Right.UNLOCK in contacts.may("alice")
    async with appliance_at(path, contacts) as door:
        terminal = Path(os.ttyname(theirs))
        one = Welcome("Alice", 60, (terminal,), 0.05, log, {"APPLIANCE_SOCKET": str(path)})
        running = started(one)
        said = await log.until(1)
        assert "Alice may unlock too" in said
        assert "`appliance pair Alice`" in said
        assert b"`appliance pair Alice`" in await asyncio.to_thread(os.read, ours, 65536)
        assert len(door.pairing.invitations) == 0
        await contacts.add("alice", None, DeviceKey.make().public, ())
        assert await running == 0
        assert len(log.said) == 1
    os.close(ours)
    os.close(theirs)


async def test_after_its_time_it_ends_and_takes_the_invitation_back(tmp_path: Path) -> None:
    log, path = Listener(), tmp_path / "s"
    async with appliance_at(path, Contacts({})) as door:
        assert await asyncio.to_thread(welcome(path, log, lasts_s=0.2).run) == 0
        await door.until_none_is_open()
        assert log.said[-1].startswith("No phone came")


async def test_the_command_takes_it_back_when_it_is_ended(tmp_path: Path) -> None:
    async with appliance_at(tmp_path / "s", Contacts({})) as door:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "appliance", "welcome", "--terminal", str(tmp_path / "no-tty")),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"APPLIANCE_SOCKET": str(door.path)},
            cwd=ROOT,
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b"#pair=" not in await process.stdout.readline():
                pass
        assert len(door.pairing.invitations) == 1
        process.terminate()
        await process.communicate()
        await door.until_none_is_open()
