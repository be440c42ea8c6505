"""Programs of the house's owner are started for events: real ones, in order, and none does harm."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from appliance.bus import Bus
from appliance.calls.inputs import FaultReported
from appliance.events import AudioMuted, AudioUnmuted, Custom, Error
from appliance.reporting import hooks as module
from appliance.reporting.hooks import Hooks
from tests.panel.inbox import Inbox
from tests.parts.processes import in_order_of_start

PATIENCE_S = 30.0
SOCKET = Path("/run/appliance/appliance.sock")


class Owner:
    """Puts programs into the folder, and looks at what they did."""

    def __init__(self, folder: Path) -> None:
        self.hooks = folder / "hooks.d"
        self.hooks.mkdir(mode=0o755)
        self.desk = folder / "desk"
        self.desk.mkdir()
        self.inbox = Inbox()
        self.bus = Bus("front-door")

    def puts(self, name: str, script: str, mode: int = 0o755) -> Path:
        file = self.hooks / name
        file.write_text(f"#!/bin/sh\ncd {self.desk}\n{script}\n")
        file.chmod(mode)
        return file

    @asynccontextmanager
    async def listening(self, **options: Any) -> AsyncIterator[Hooks]:
        async with Hooks(self.hooks, SOCKET, self.inbox.post, **options) as hooks:
            self.bus.sinks.append(hooks.see)
            yield hooks
        self.bus.sinks.clear()

    def tells(self, name: str, call_id: str | None = None) -> dict[str, Any]:
        return dict(self.bus.publish(Custom(name, None), call_id))

    def says(self, name: str) -> str:
        file = self.desk / name
        return file.read_text() if file.exists() else ""

    def there(self, name: str) -> bool:
        return (self.desk / name).exists()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():  # noqa: ASYNC110 - a program tells nobody what it has written
                await asyncio.sleep(0.01)

    def faults(self, code: str = "hook_failed") -> list[str]:
        return [fault.message for fault in self.inbox.of(FaultReported) if fault.code == code]

    async def complained(self, count: int = 1) -> list[str]:
        await self.inbox.until(lambda: len(self.faults()) >= count)
        return self.faults()


@pytest.fixture
async def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


# -------------------- what a hook is given


async def test_a_hook_reads_the_event_and_is_told_its_name(owner: Owner) -> None:
    owner.puts("custom.sh", 'cat > event; echo "$# $1" > words; touch done')
    async with owner.listening():
        item = owner.tells("hello", "c1")
        await owner.until(lambda: owner.there("done"))
    assert json.loads(owner.says("event")) == item
    assert owner.says("event").endswith("}\n")
    assert owner.says("words") == "1 custom\n"


async def test_its_environment_has_what_it_needs_and_no_secret(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPLIANCE__MQTT__PASSWORD_FILE", "/secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    monkeypatch.setenv("HOME", "/home/door")
    monkeypatch.setenv("PATH", "/somewhere/else")
    owner.puts("custom", "env > environment; touch done")
    async with owner.listening():
        owner.tells("hello", "c1")
        await owner.until(lambda: owner.there("done"))
    found = dict(line.split("=", 1) for line in owner.says("environment").splitlines())
    assert found["APPLIANCE_EVENT"] == "custom"
    assert found["APPLIANCE_CALL_ID"] == "c1"
    assert found["APPLIANCE_SOCKET"] == str(SOCKET)
    assert found["HOME"] == "/home/door"
    assert found["PATH"].startswith("/usr/local/sbin:/usr/local/bin:")
    assert found["PATH"].endswith(f":{Path(sys.executable).parent}")  # where `appliance` is
    assert "/somewhere/else" not in found["PATH"]
    ours = {"PATH", "HOME", "USER", "LOGNAME", "TZ", "PWD", "OLDPWD", "SHLVL", "_"}
    assert {name for name in found.keys() - ours if not name.startswith(("LANG", "LC_"))} == {
        "APPLIANCE_EVENT",
        "APPLIANCE_CALL_ID",
        "APPLIANCE_SOCKET",
    }


async def test_without_a_call_there_is_no_call_id_and_our_descriptors_are_not_passed_on(
    owner: Owner,
) -> None:
    owner.puts("custom", 'echo "[$APPLIANCE_CALL_ID]" > call; ls /proc/self/fd > open; touch done')
    async with owner.listening():
        owner.tells("hello")
        await owner.until(lambda: owner.there("done"))
    assert owner.says("call") == "[]\n"
    assert len(owner.says("open").split()) == 4  # 0, 1, 2, and that of ls itself


# -------------------- which, and in which order


async def test_those_for_the_event_come_before_those_for_all_and_others_not_at_all(
    owner: Owner,
) -> None:
    for name in ("custom.b", "custom.a.sh", "custom", "all", "all.z"):
        owner.puts(name, f'echo "$$ {name}" >> order')
    for name in ("customs", "audio_muted", ".custom", "custom~", "custom.bak", "custom.md"):
        owner.puts(name, "touch wrong")
    async with owner.listening():
        owner.tells("hello")
        await owner.until(lambda: owner.says("order").count("\n") == 5)
    assert started(owner) == ["custom", "custom.a.sh", "custom.b", "all", "all.z"]
    assert not owner.there("wrong")


def started(owner: Owner) -> list[str]:
    """What the programs wrote behind the number of their process, in the order of their starts."""
    words = (line.split() for line in lines(owner, "order"))
    return in_order_of_start((int(pid), said) for pid, said in words)


def lines(owner: Owner, name: str) -> list[str]:
    return owner.says(name).splitlines()


async def test_programs_are_started_in_the_order_of_the_events(owner: Owner) -> None:
    owner.puts("custom", 'echo "$$ $APPLIANCE_CALL_ID" >> order; sleep 0.02')
    async with owner.listening():
        for number in range(40):
            owner.tells("hello", str(number))
        await owner.until(lambda: owner.says("order").count("\n") == 40)
    assert started(owner) == [str(number) for number in range(40)]


async def test_four_run_at_once_and_the_fifth_waits_for_one_of_them(owner: Owner) -> None:
    owner.puts("custom", 'touch "began.$APPLIANCE_CALL_ID"; while [ ! -e go ]; do sleep 0.02; done')
    async with owner.listening() as hooks:
        for number in range(7):
            owner.tells("hello", str(number))
        await owner.until(lambda: began(owner) == 4)
        await owner.until(lambda: len(hooks._waiting) == 2)  # the fifth is at the door
        assert began(owner) == 4
        (owner.desk / "go").touch()
        await owner.until(lambda: began(owner) == 7)


def began(owner: Owner) -> int:
    return len([*owner.desk.glob("began.*")])


# -------------------- what goes wrong


async def test_a_hook_that_fails_is_reported_with_its_first_complaint(owner: Owner) -> None:
    file = owner.puts("custom", "echo first >&2; echo second >&2; exit 3")
    async with owner.listening():
        owner.tells("hello")
        assert await owner.complained() == [f"{file} ended with status 3: first"]
    (fault,) = owner.inbox.of(FaultReported)
    assert fault.where == str(file)


async def test_a_hook_that_dies_of_a_signal_is_reported(owner: Owner) -> None:
    file = owner.puts("custom", "kill -SEGV $$")
    async with owner.listening():
        owner.tells("hello")
        assert await owner.complained() == [f"{file} ended with signal 11"]


async def test_one_that_fails_ever_again_is_told_of_once_and_then_with_a_count(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = owner.puts("custom", "exit 1")
    async with owner.listening() as hooks:
        for _ in range(5):
            owner.tells("hello")
        await owner.until(lambda: hooks._untold.get(file) == 4)
        assert len(owner.faults()) == 1
        monkeypatch.setattr(module, "AGAIN_S", 0.0)
        owner.tells("hello")
        assert (await owner.complained(2))[1] == (
            f"{file} ended with status 1 (and failed 4 times since this was told last)"
        )


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (0o644, "{file} is not executable: chmod +x {file}"),
        (0o775, "{file} can be changed by others: chmod go-w {file}"),
        (0o757, "{file} can be changed by others: chmod go-w {file}"),
    ],
)
async def test_a_file_that_may_not_be_started_is_not(
    owner: Owner, mode: int, sentence: str
) -> None:
    file = owner.puts("custom", "touch started", mode)
    async with owner.listening():
        owner.tells("hello")
        assert await owner.complained() == [sentence.format(file=file)]
    assert not owner.there("started")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_a_file_of_somebody_else_is_not_started(owner: Owner) -> None:
    file = owner.puts("custom", "touch started")
    os.chown(file, 12345, -1)
    async with owner.listening():
        owner.tells("hello")
        assert await owner.complained() == [
            f"{file} belongs to somebody else (user 12345), who could change it"
        ]
    assert not owner.there("started")


async def test_nothing_is_started_from_a_folder_that_others_can_write(owner: Owner) -> None:
    owner.puts("custom", "touch started")
    owner.hooks.chmod(0o1777)
    async with owner.listening():
        owner.tells("hello")
        (sentence,) = await owner.complained()
    assert sentence == f"{owner.hooks} can be changed by others: chmod go-w {owner.hooks}"
    assert not owner.there("started")


async def test_what_is_no_program_is_reported(owner: Owner) -> None:
    (owner.hooks / "custom.d").mkdir()
    file = owner.hooks / "custom.x"
    file.write_text("#!/no/such/interpreter\n")
    file.chmod(0o755)
    async with owner.listening():
        owner.tells("hello")
        assert await owner.complained(2) == [
            f"{owner.hooks}/custom.d is no file",
            f"{file} cannot be started: No such file or directory",
        ]


async def test_a_folder_that_is_gone_is_reported_and_may_come_back(owner: Owner) -> None:
    owner.hooks.rmdir()
    async with owner.listening():
        owner.tells("hello")
        assert await owner.complained() == [
            f"{owner.hooks} cannot be read: No such file or directory"
        ]
        owner.hooks.mkdir()
        owner.puts("custom", "touch started")
        owner.tells("hello")
        await owner.until(lambda: owner.there("started"))


async def test_a_hook_that_fails_over_an_error_makes_no_further_error(owner: Owner) -> None:
    owner.puts("error", "touch started; exit 1")
    file = owner.puts("custom", "exit 2")
    async with owner.listening():
        owner.bus.publish(Error("x", "y", None, 1))
        await owner.until(lambda: owner.there("started"))
        owner.tells("hello")
        assert await owner.complained() == [f"{file} ended with status 2"]


async def test_events_that_find_no_room_are_counted(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 3)
    owner.puts("custom", 'echo "$APPLIANCE_CALL_ID" >> order')
    async with owner.listening():
        for number in range(10):
            owner.tells("hello", str(number))
        await owner.until(lambda: owner.says("order").count("\n") == 3)
    assert sorted(lines(owner, "order")) == ["7", "8", "9"]
    assert owner.faults("hooks_behind") == [
        "7 events were not given to hooks, which are too slow for so many"
    ]


async def test_one_that_floods_its_complaints_and_reads_nothing_is_not_held_up(
    owner: Owner,
) -> None:
    owner.puts("custom", "head -c 3000000 /dev/zero | tr '\\0' x >&2; touch done; exit 1")
    async with owner.listening():
        owner.bus.publish(Custom("hello", "x" * 200_000))
        (sentence,) = await owner.complained()
    assert owner.there("done")
    assert sentence.endswith("x" * 4096)
    assert len(sentence) < 5000


# -------------------- how they end


async def test_one_that_takes_too_long_is_killed_with_all_that_it_started(owner: Owner) -> None:
    file = owner.puts("custom", "sleep 1000 & echo $! > child; wait")
    async with owner.listening(limit_s=1):
        owner.tells("hello")
        assert await owner.complained() == [f"{file} took over 1 s and was killed"]
        await owner.until(lambda: is_gone(int(owner.says("child"))))


async def test_what_it_leaves_in_the_background_ends_with_it(owner: Owner) -> None:
    owner.puts("custom", "sleep 1000 & echo $! > child; exit 0")
    async with owner.listening():
        owner.tells("hello")
        await owner.until(lambda: bool(owner.says("child")))
        await owner.until(lambda: is_gone(int(owner.says("child"))))
    assert owner.faults() == []


async def test_the_last_event_is_still_heard_at_the_stop(owner: Owner) -> None:
    owner.puts("custom", "sleep 0.1; touch done")
    async with owner.listening(stop_s=PATIENCE_S):
        owner.tells("hello")
    assert owner.there("done")


async def test_all_have_ended_at_the_stop(owner: Owner) -> None:
    owner.puts("custom", "echo $$ >> running; exec sleep 1000")
    async with owner.listening(stop_s=0.05):
        for _ in range(20):
            owner.tells("hello")
        await owner.until(lambda: owner.says("running").count("\n") == 4)
    assert all(is_gone(int(pid)) for pid in lines(owner, "running"))
    assert len(lines(owner, "running")) == 4


async def test_what_comes_while_it_stops_is_not_taken(owner: Owner) -> None:
    owner.puts("all", "touch started")
    async with owner.listening() as hooks:
        pass
    hooks.see(owner.bus.publish(AudioMuted()))
    assert not owner.there("started")


async def test_the_bus_does_not_wait_for_a_hook(owner: Owner) -> None:
    owner.puts("all", "while [ ! -e go ]; do sleep 0.02; done; echo x >> done")
    heard: list[str] = []
    async with owner.listening():
        owner.bus.sinks.append(lambda item: heard.append(item["type"]))
        owner.bus.publish(AudioMuted())
        owner.bus.publish(AudioUnmuted())
        assert heard == ["appliance.audio_muted", "appliance.audio_unmuted"]
        (owner.desk / "go").touch()
        await owner.until(lambda: owner.says("done").count("\n") == 2)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; who inherits it may not have looked at it yet."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def test_a_folder_that_is_made_here_is_nobody_elses(tmp_path: Path) -> None:
    """What the other tests rest on."""
    assert not tmp_path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
