"""The command line as a stranger and as a script meet it: real processes, and a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance import __version__
from appliance.bus import Bus
from appliance.commands import MuteAudio, SendCustomEvent
from appliance.config import Contact
from appliance.model import Gesture, Right
from appliance.reporting.socket import LocalSocket
from appliance.socket_path import (
    SYSTEM_FILE,
    connecting_path,
    listening_path,
    only_one,
    prepare_folder,
)
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey
from tests.parts.desk import Desk

ROOT = Path(__file__).parents[1]
KEY = DeviceKey.make()


@dataclass
class Said:
    """What a run of the command line gave back."""

    status: int | None
    out: str
    err: str


@dataclass
class Shell:
    """Somebody at a prompt, with an appliance that listens at `socket` or not."""

    socket: Path

    @asynccontextmanager
    async def started(self, *words: str, **variables: str) -> AsyncIterator[Process]:
        environ = os.environ | {"APPLIANCE_SOCKET": str(self.socket)} | variables
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "appliance",
            *words,
            stdout=PIPE,
            stderr=PIPE,
            env=environ,
            cwd=ROOT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def types(self, *words: str, **variables: str) -> Said:
        async with self.started(*words, **variables) as process, asyncio.timeout(60):
            out, err = await process.communicate()
            return Said(process.returncode, out.decode(), err.decode())


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "appliance.sock")


@pytest.fixture
async def desk(shell: Shell) -> AsyncIterator[Desk]:
    async with Bus("desk") as bus:
        desk = Desk(bus)
        desk.contacts = Contacts({"alice": Contact("Alice", (KEY.public,), (Right.UNLOCK,))})
        async with LocalSocket(
            shell.socket,
            desk,
            desk.press,
            recent=bus.recent,
            contacts=desk.contacts,
            call_log=calls,
        ):
            yield desk


async def calls(limit: int) -> list[dict[str, object]]:
    return [{"call_id": f"c{number}", "é": 1} for number in range(limit)]


# -------------------- without an appliance


async def test_without_words_it_explains_itself(shell: Shell) -> None:
    said = await shell.types()
    assert said.status == 2
    for word in ("demo", "run", "check-config", "status", "events", "ctl", "press", "version"):
        assert f"\n    {word}" in said.out


def test_who_types_a_command_waits_for_what_it_needs_alone() -> None:
    """The parser knows all of them, and loads none."""
    said = "import sys; from appliance.cli import main; main(['version']); print(*{*SLOW} & {*sys.modules})"
    slow = ("asyncio", "cryptography", "dataclasses", "logging", "msgspec")
    words = [sys.executable, "-c", said.replace("SLOW", repr(slow))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == [""]


async def test_the_version_is_one_word(shell: Shell) -> None:
    said = await shell.types("version")
    assert (said.status, said.out) == (0, f"{__version__}\n")


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["events"],
        ["events", "--follow"],
        ["calls"],
        ["ctl", "mute_audio"],
        ["press", "call"],
    ],
)
async def test_without_an_appliance_a_client_says_so_in_one_sentence(
    shell: Shell, words: list[str]
) -> None:
    said = await shell.types(*words)
    assert said == Said(
        1,
        "",
        f"appliance: no appliance is running here (nothing listens at {shell.socket});"
        " `appliance demo` starts one\n",
    )


async def test_the_catalog_needs_no_appliance(shell: Shell) -> None:
    said = await shell.types("events", "--catalog")
    assert said.status == 0
    catalog = json.loads(said.out)
    assert [*catalog] == ["events", "commands", "settings", "enums"]
    assert len(catalog["events"]) == 78


async def test_ctl_lists_the_commands(shell: Shell) -> None:
    said = await shell.types("ctl")
    assert said.status == 0
    lines = said.out.splitlines()
    assert len(lines) == 2 * 34
    assert "set_audio_mode mode=…" in lines
    assert "unlock [relay=…]" in lines
    assert "    Energize a relay for its pulse; without a name, the one called door." in lines


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["unlok"], "there is no command unlok; did you mean unlock?"),
        (["zzz"], "there is no command zzz; `appliance ctl` lists them"),
        (["unlock", "door"], "door is not ARG=VALUE: unlock relay=…"),
        (["unlock", "rely=door"], 'unlock has no argument "rely"; did you mean relay?'),
        (["set_audio_mode"], 'set_audio_mode needs the argument "mode"'),
        (
            ["mute_audio", "muted=maybe"],
            'muted of mute_audio is to be true or false, and "maybe" is not',
        ),
    ],
)
async def test_a_slip_is_told_before_anybody_is_asked(
    shell: Shell, words: list[str], sentence: str
) -> None:
    assert await shell.types("ctl", *words) == Said(1, "", f"appliance: {sentence}\n")


# -------------------- with one


@pytest.mark.usefixtures("desk")
async def test_the_status_is_json(shell: Shell) -> None:
    said = await shell.types("status")
    assert said.status == 0
    assert json.loads(said.out) == {"device": {"id": "desk"}, "call": None}


async def test_a_command_with_typed_arguments(shell: Shell, desk: Desk) -> None:
    said = await shell.types("ctl", "mute_audio", "muted=false")
    assert (said.status, json.loads(said.out)) == (0, {"done": "mute_audio"})
    said = await shell.types("ctl", "send_custom_event", "name=a=b", 'body={"x": [1, null]}')
    assert said.status == 0
    assert desk.taken == [
        (MuteAudio(muted=False), "socket"),
        (SendCustomEvent(name="a=b", body={"x": [1, None]}), "socket"),
    ]


@pytest.mark.usefixtures("desk")
async def test_what_the_appliance_refuses_is_one_sentence(shell: Shell) -> None:
    said = await shell.types("ctl", "leave_session")
    assert said == Said(1, "", "appliance: there is no call to leave\n")


async def test_a_button_is_pressed(shell: Shell, desk: Desk) -> None:
    assert await shell.types("press", "call") == Said(0, "", "")
    assert (await shell.types("press", "call", "--gesture", "double_press")).status == 0
    assert desk.pressed == [("call", Gesture.PRESS), ("call", Gesture.DOUBLE_PRESS)]
    said = await shell.types("press", "cal")
    assert said == Said(1, "", "appliance: there is no button cal\n")


async def test_the_latest_events_are_printed_and_that_is_all(shell: Shell, desk: Desk) -> None:
    desk.tells("one", "Grüße")
    desk.tells("two")
    said = await shell.types("events")
    assert said.status == 0
    assert [json.loads(line)["data"]["name"] for line in said.out.splitlines()] == ["one", "two"]
    assert "Grüße" in said.out
    assert (await shell.types("events", "--type", "call_*")).out == ""
    said = await shell.types("events", "--type", "cal_ended")
    assert said == Said(
        1, "", 'appliance: no event is called "cal_ended"; did you mean call_ended?\n'
    )


async def test_the_calls_are_printed_as_json_lines(shell: Shell, desk: Desk) -> None:
    said = await shell.types("calls", "--limit", "2")
    assert said == Said(0, '{"call_id": "c0", "é": 1}\n{"call_id": "c1", "é": 1}\n', "")
    said = await shell.types("calls")
    assert len(said.out.splitlines()) == 50
    said = await shell.types("calls", "--limit", "0")
    assert said.status == 2
    assert "0 is no number of calls: 1 to 10000" in said.err


async def test_following_prints_events_as_they_happen_until_ctrl_c(
    shell: Shell, desk: Desk
) -> None:
    desk.tells("before")
    async with shell.started("events", "--follow", "--type", "custom") as process:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            await desk.subscribed.wait()
            desk.tells("one")
            assert json.loads(await process.stdout.readline())["data"]["name"] == "one"
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
        assert (process.returncode, out, err) == (130, b"", b"")


async def test_following_ends_with_the_appliance(shell: Shell) -> None:
    async with Bus("desk") as bus, AsyncExitStack() as appliance:
        desk = Desk(bus)
        await appliance.enter_async_context(LocalSocket(shell.socket, desk))
        async with shell.started("events", "--follow") as process, asyncio.timeout(60):
            await desk.subscribed.wait()
            await appliance.aclose()
            out, err = await process.communicate()
        assert (process.returncode, out, err) == (1, b"", b"appliance: the appliance has ended\n")


async def test_whoever_reads_may_have_enough(shell: Shell, desk: Desk) -> None:
    for number in range(150):
        desk.tells(str(number), "x" * 2000)
    command = f"{sys.executable} -m appliance events | head -n 1"
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f'set -o pipefail; {command}; echo "${{PIPESTATUS[0]}}"',
        stdout=PIPE,
        stderr=PIPE,
        env=os.environ | {"APPLIANCE_SOCKET": str(shell.socket)},
        cwd=ROOT,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert err == b""
    assert out.splitlines()[-1] == b"0"


# -------------------- the configuration


async def test_check_config_prints_every_fault_and_warning(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('[mqtt]\nport = 0\nplain_commands = ["unlock"]\n[cal]\n')
    assert await shell.types("check-config", str(file)) == Said(
        78,
        f"warning: {file}: mqtt.plain_commands[0]: unlock: whoever controls the broker can open"
        " the door\n"
        f"{file}: mqtt.port: 0 is not a whole number from 1 to 65535\n"
        f"{file}: cal: there is no such key; did you mean call?\n"
        "2 faults: the appliance would not start with this\n",
        "",
    )


async def test_check_config_is_content_with_what_is_shipped(shell: Shell) -> None:
    said = await shell.types("check-config", "config/simulated.toml")
    assert said == Said(0, "config/simulated.toml: no faults\n", "")


async def test_run_does_not_start_with_a_fault(shell: Shell, tmp_path: Path) -> None:
    said = await shell.types("run", "--config", str(tmp_path / "none.toml"))
    assert said == Said(78, "", f"{tmp_path}/none.toml: there is no such file\n")


@pytest.mark.usefixtures("desk")
async def test_a_second_appliance_is_told_of_the_first(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "one.toml"
    file.write_text('[device]\nboard = "simulated"\n[mqtt]\nport = 1\n')
    said = await shell.types("run", "--config", str(file), APPLIANCE__HTTP__PORT=str(free_port()))
    assert said.status == 1
    sentence = (
        f"appliance: another appliance is running already: it has {shell.socket}; stop it, or "
        "give this one another path in APPLIANCE_SOCKET"
    )
    assert said.err.splitlines()[-1] == sentence


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def test_the_environment_is_checked_as_well(shell: Shell) -> None:
    said = await shell.types("check-config", "config/simulated.toml", APPLIANCE__HTTP__PORT="x")
    assert said.status == 78
    assert said.out.startswith('APPLIANCE__HTTP__PORT: http.port: "x" is not a whole number')


# -------------------- where the socket lies


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"APPLIANCE_SOCKET": "/a/s", "RUNTIME_DIRECTORY": "/b"}, "/a/s"),
        ({"RUNTIME_DIRECTORY": "/b", "XDG_RUNTIME_DIR": "/c"}, "/b/appliance.sock"),
        ({"RUNTIME_DIRECTORY": "/b:/d"}, "/b/appliance.sock"),
        ({"XDG_RUNTIME_DIR": "/c"}, "/c/appliance.sock"),
        ({}, f"/tmp/appliance-{os.getuid()}/appliance.sock"),
    ],
)
def test_daemon_and_client_agree_on_the_path(environ: Mapping[str, str], path: str) -> None:
    assert listening_path(environ) == Path(path)
    if not SYSTEM_FILE.exists():
        assert connecting_path(environ) == Path(path)


def test_a_client_finds_the_daemon_that_systemd_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, systems = tmp_path / "user" / "appliance.sock", tmp_path / "system.sock"
    monkeypatch.setattr("appliance.socket_path.SYSTEM_FILE", systems)
    environ = {"XDG_RUNTIME_DIR": str(ours.parent)}
    assert connecting_path(environ) == ours
    systems.touch()
    assert connecting_path(environ) == systems
    assert connecting_path(environ | {"APPLIANCE_SOCKET": str(ours)}) == ours
    prepare_folder(ours)
    ours.touch()
    assert connecting_path(environ) == ours


def test_nobody_else_makes_our_folder_in_tmp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "appliance-0"
    monkeypatch.setattr("appliance.socket_path._private_folder", lambda: private)
    path = listening_path({})
    assert path.parent == private
    prepare_folder(path)
    assert private.stat().st_mode & 0o777 == 0o700
    private.chmod(0o777)
    prepare_folder(path)
    assert private.stat().st_mode & 0o777 == 0o700
    private.rmdir()
    private.symlink_to(tmp_path)
    for use in (prepare_folder, lambda _: connecting_path({})):
        with pytest.raises(PermissionError, match="belongs to somebody else"):
            use(path)


# -------------------- contacts


async def test_contacts_are_listed_and_revoked_at_the_running_appliance(
    shell: Shell, desk: Desk
) -> None:
    for words in (("contacts",), ("contacts", "list")):
        said = await shell.types(*words)
        assert (said.status, said.err) == (0, "")
        assert json.loads(said.out) == {
            "uid": "alice",
            "name": "Alice",
            "may": ["unlock"],
            "keys": [{"kid": KEY.kid, "key": KEY.public, "last_seen": None}],
        }
    said = await shell.types("contacts", "revoke", f"alice/{KEY.kid[:10]}")
    assert said == Said(0, f"{KEY.kid} of alice is refused from now on\n", "")
    assert not desk.contacts.keys_of("alice")
    said = await shell.types("contacts", "revoke", "alice")
    assert "until it is paired anew" in said.out
    assert "alice" not in desk.contacts
    said = await shell.types("contacts", "revoke", "alice")
    assert said == Said(1, "", "appliance: there is no contact alice\n")
    said = await shell.types("contacts", "revoke")
    assert (said.status, "revoke whom?" in said.err) == (1, True)
    said = await shell.types("contacts", "list", "alice")
    assert said.status == 1


async def test_without_an_appliance_contacts_are_those_of_the_file(
    shell: Shell, tmp_path: Path
) -> None:
    config = tmp_path / "appliance.toml"
    config.write_text(f'[contacts.alice]\nname = "Alice"\nkeys = ["{KEY.public}"]\n')
    words = ("--config", str(config))
    state = {"STATE_DIRECTORY": str(tmp_path / "state")}
    said = await shell.types("contacts", *words, **state)
    assert json.loads(said.out)["uid"] == "alice"
    said = await shell.types("contacts", "revoke", f"alice/{KEY.kid}", *words, **state)
    assert said == Said(0, f"{KEY.kid} of alice is refused from now on\n", "")
    file = tmp_path / "state" / "contacts.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert KEY.kid in file.read_text()
    said = await shell.types("contacts", *words, **state)
    assert json.loads(said.out)["keys"] == []
    with only_one(shell.socket):  # one that starts, or hangs
        said = await shell.types("contacts", "revoke", "alice", *words, **state)
    assert said.status == 1
    assert "running already" in said.err
    assert "barred" not in file.read_text()


async def test_a_file_that_cannot_be_understood_is_told_and_not_replaced(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "contacts.toml").write_text("[contacts.alice")
    (tmp_path / "appliance.toml").write_text("")
    words = ("contacts", "revoke", "alice", "--config", str(tmp_path / "appliance.toml"))
    said = await shell.types(*words, STATE_DIRECTORY=str(tmp_path))
    assert said.status == 78
    assert said.err.startswith(f"{tmp_path}/contacts.toml: ")
    said = await shell.types(
        "check-config", str(tmp_path / "appliance.toml"), STATE_DIRECTORY=str(tmp_path)
    )
    assert said.status == 78
    assert "contacts.toml" in said.out
