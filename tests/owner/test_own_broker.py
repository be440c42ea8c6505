"""A dead device that carried its own broker is replaced: by its backup, and the commands that are printed.

Each is a machine of its own, with systemd and mosquitto, set up as docs/install.md says. The phone is
outside, and keeps what it was given once: its key, a password at the broker, an authority that it trusts.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from tests.owner.pairing import calls, pairs
from tests.parts.booted import UNITS, Machine, booted
from tests.parts.document import blocks
from tests.parts.mosquitto import free_port
from tests.parts.need import program
from tests.parts.phone import PATIENCE_S, Phone, phone

pytestmark = [pytest.mark.broker, pytest.mark.timeout(900)]

CONFIG = """
[device]
id = "front-door"
board = "simulated"
[contacts.alice]
name = "Alice"
may = ["call", "answer"]
[call]
receiver = "user:alice"
auto_answer = ["alice"]
[buttons.call]
pin = "GPIO17"
press = "call"
[audio.speaker]
playback = "silence"
capture = "tone"
"""
SUDO = '#!/bin/sh\nexec "$@"\n'
APPLIANCE = '#!/bin/sh\nexec /opt/appliance/bin/appliance "$@"\n'
LISTENERS, SECURE_MQTT, PAGE = (1883, 8883, 8884, 8885), 8883, 8443
STATUS = "systemctl show -P StatusText appliance"
LAN_ONLY, LIMIT = (
    f"install -D -m 644 /usr/share/appliance/appliance-{name}.conf /etc/systemd/system/{place}"
    for name, place in (
        ("lan-only", "appliance.service.d/lan-only.conf"),
        ("broker", "mosquitto.service.d/connections.conf"),
    )
)
Ports = Mapping[int, int]


@contextmanager
def machine(folder: Path, host: str) -> Iterator[Machine]:
    """A new one, with what the package lays down; it is called `host`."""
    files = {"/usr/bin/sudo": SUDO, "/usr/bin/appliance": APPLIANCE}
    for kind, place in (("conf", "/usr/share/appliance"), ("socket", ""), ("path", "")):
        for file in UNITS.glob(f"*.{kind}"):
            files[f"{place or '/usr/lib/systemd/system'}/{file.name}"] = file.read_text()
    folder.mkdir()
    with booted(folder, files) as one:
        one.run(f"hostname {host}; echo '127.0.0.1 front-door.local' >> /etc/hosts")
        yield one


def some_ports() -> Ports:
    """All machines of the tests share one network."""
    return {usual: free_port() for usual in (*LISTENERS, PAGE)}


def set_up(one: Machine, ports: Ports) -> None:
    """As the document has it, but for the ports."""
    one.put("/etc/appliance/appliance.toml", CONFIG)
    broker, accounts, page = blocks("The first phone")[:3]
    restart = "sudo systemctl restart mosquitto\n"
    assert restart in broker
    edits = ";".join(f"s/^listener {usual}\\b/listener {ports[usual]}/" for usual in LISTENERS)
    file = "/etc/mosquitto/appliance/appliance.conf"
    one.run(broker.replace(restart, f"sed -i '{edits}' {file}\n{restart}"))
    one.run(accounts)
    page = page.replace('host = "localhost"', f'host = "localhost"\nport = {ports[1883]}')
    for usual in (8884, PAGE):
        page = re.sub(rf"\b{usual}\b", str(ports[usual]), page)
    one.run(page)
    one.until(STATUS, holds="broker connected, idle")


def invites(one: Machine, ports: Ports) -> Mapping[str, str]:
    """The words of an invitation."""
    pair = f"appliance pair alice --page https://front-door.local:{ports[PAGE]}/"
    one.run(f"{pair} > /root/link 2>&1 < /dev/null & :")
    told = one.until("cat /root/link", holds="#pair=")
    [packed] = set(re.findall(r"#pair=([\w-]+)", told))
    words: Mapping[str, str] = json.loads(base64.urlsafe_b64decode(packed + "=="))
    return words


def backed_up(one: Machine) -> str:
    """The file, as text."""
    one.run("echo a passphrase of many words > /root/passphrase")
    one.run("appliance backup /root/door.backup --passphrase-file /root/passphrase")
    return one.run("base64 /root/door.backup").out


def put_back(one: Machine, file: str) -> list[str]:
    """The commands that are printed, once each was typed."""
    one.put("/root/door.backup.txt", file)
    one.run("base64 -d /root/door.backup.txt > /root/door.backup")
    one.run("echo a passphrase of many words > /root/passphrase; systemctl stop appliance")
    said = one.run("appliance restore /root/door.backup --passphrase-file /root/passphrase").out
    commands = said.split("What is left to do, in this order:\n")[1].splitlines()
    for command in commands:
        # the doctor's status is that of a container, which has warnings
        one.run(command, check="appliance doctor" not in command)
    return [command.strip() for command in commands]


def faults(one: Machine) -> list[str]:
    """What the doctor says of it."""
    said = json.loads(one.run("appliance doctor --json || true").out)
    return [each["finding"] for each in said["findings"] if each["verdict"] == "fault"]


def page_is_believed(authority: str, port: int) -> bool:
    """As by a phone."""
    trusting = ssl.create_default_context(cadata=authority)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as plain,
        trusting.wrap_socket(plain, server_hostname="front-door.local") as secure,
    ):
        return secure.version() is not None


async def rings(alice: Phone, one: Machine) -> None:
    """A press at the door reaches the phone, which calls as well."""
    alice.forget()
    await alice.online_again()
    await calls(alice, "b1" * 16)
    await asyncio.to_thread(one.until, STATUS, holds=", idle")
    await asyncio.to_thread(one.run, "appliance press call")
    await alice.hear("invite")
    await asyncio.to_thread(one.run, "appliance ctl end_call")


async def test_the_same_phone_calls_and_is_rung_by_whichever_takes_its_place(
    tmp_path: Path,
) -> None:
    program("mosquitto")
    run = asyncio.to_thread
    ports = some_ports()
    async with AsyncExitStack() as stack:
        with machine(tmp_path / "first", "front-door") as first:
            await run(set_up, first, ports)
            await run(first.run, f"{LAN_ONLY}; {LIMIT}")
            authority = await run(first.read, "/etc/mosquitto/appliance/ca.crt")
            words = await run(invites, first, ports)
            at, password = ("localhost", ports[SECURE_MQTT]), words["password"]
            alice = await stack.enter_async_context(
                phone("alice", *at, password=password, trusts=authority)
            )
            await pairs(alice, words)
            await calls(alice, "a1" * 16)
            file = await run(backed_up, first)
        # its power is gone for good; the next one has another name, and no broker of anybody's yet
        with machine(tmp_path / "second", "spare") as second:
            assert [one for one in await run(put_back, second, file) if "avahi" not in one] == [
                "sudo hostnamectl set-hostname front-door",
                "sudo systemctl daemon-reload",
                "sudo systemctl enable --now appliance-accounts.socket",
                "sudo systemctl restart mosquitto",
                "sudo systemctl restart appliance && sudo appliance doctor",
            ]
            await rings(alice, second)
            assert await run(faults, second) == []
            assert await run(page_is_believed, authority, ports[PAGE])
            assert "0.0.0.0/0" in await run(second.shows, "IPAddressDeny")
            assert "connections.conf" in await run(second.shows, "DropInPaths", "mosquitto")
            assert (await run(invites, second, ports))["password"] == password
            await run(second.run, "rm /etc/mosquitto/conf.d/appliance.conf")
            [fault] = await run(faults, second)
            assert "mosquitto is not told of /etc/mosquitto/appliance/appliance.conf" in fault
        # one that was a door before, with a broker that runs, elsewhere and for other people
        with machine(tmp_path / "third", "front-door") as third:
            await run(set_up, third, some_ports())
            assert await run(put_back, third, file) == [
                "sudo systemctl daemon-reload",
                "sudo systemctl restart mosquitto",
                "sudo systemctl restart appliance && sudo appliance doctor",
            ]
            await rings(alice, third)
            await stack.aclose()
