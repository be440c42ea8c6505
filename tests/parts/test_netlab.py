"""The lab does what it says: what is cut gets no packet, what loses loses so much, and nothing remains."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.need import program, skip_where_forbidden
from tests.parts.netlab import Netlab, netlab

PATIENCE_S = 30.0
ECHO = """
import socket, sys
kind, port = sys.argv[1], int(sys.argv[2])
if kind == "udp":
    one = socket.socket(type=socket.SOCK_DGRAM); one.bind(("0.0.0.0", port)); print("ready", flush=True)
    while True:
        data, where = one.recvfrom(2048); one.sendto(data, where)
server = socket.create_server(("0.0.0.0", port)); print("ready", flush=True)
one, _ = server.accept()
while data := one.recv(2048):
    one.sendall(data)
"""


@pytest.fixture
def lab() -> Iterator[Netlab]:
    with netlab("door", "phone") as one:
        yield one


def echo(lab: Netlab, place: str, kind: str, port: int) -> None:
    """Somebody at that place says everything back."""
    words = [sys.executable, "-c", ECHO, kind, str(port)]
    process = lab[place].start(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as told:
        assert told.readline() == b"ready\n"


def asks(lab: Netlab, place: str, port: int, count: int = 1) -> int:
    """How many of so many packets come back; what does not within a quarter of a second is lost."""
    came = 0
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.settimeout(0.25)
        for number in range(count):
            one.sendto(str(number).encode(), (lab[place].address, port))
            with contextlib.suppress(TimeoutError):
                one.recv(2048)
                came += 1
    return came


def test_places_reach_one_another_until_they_are_cut_off(lab: Netlab) -> None:
    echo(lab, "door", "udp", 5000)
    assert asks(lab, "door", 5000) == 1
    lab["door"].cut_off()
    assert asks(lab, "door", 5000) == 0
    lab.heal()
    assert asks(lab, "door", 5000) == 1
    lab["door"].block(5000, "udp")
    assert asks(lab, "door", 5000) == 1, "that was the port of others"
    lab["door"].cut(lab.host)
    assert asks(lab, "door", 5000) == 0
    there = lab["phone"].command(sys.executable, "-c", _ASK, lab["door"].address)
    assert subprocess.run(there, check=False).returncode == 0, "between the two it goes on"
    lab.heal()
    lab["door"].unplug()
    assert asks(lab, "door", 5000) == 0
    lab["door"].plug()
    assert asks(lab, "door", 5000, 20) > 0


_ASK = """
import socket, sys
one = socket.socket(type=socket.SOCK_DGRAM); one.settimeout(30)
one.sendto(b"?", (sys.argv[1], 5000)); one.recv(10)
"""


def test_another_address_is_reached_and_the_old_one_no_more(lab: Netlab) -> None:
    echo(lab, "door", "udp", 5000)
    old = lab["door"].address
    for _ in range(3):
        assert lab["door"].readdress() != old
        assert asks(lab, "door", 5000) == 1
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.settimeout(0.25)
        one.sendto(b"?", (old, 5000))
        with pytest.raises(OSError):
            one.recv(10)


def test_as_many_are_lost_as_was_said(lab: Netlab) -> None:
    echo(lab, "door", "udp", 5000)
    sender = socket.socket(type=socket.SOCK_DGRAM)
    sender.settimeout(0.5)
    lab["door"].lose(20)
    came = 0

    def count() -> None:
        nonlocal came
        with contextlib.suppress(TimeoutError):
            while sender.recv(2048):
                came += 1

    with sender:
        counting = threading.Thread(target=count)
        counting.start()
        for number in range(1000):
            sender.sendto(str(number).encode(), (lab["door"].address, 5000))
            if number % 20 == 0:
                threading.Event().wait(0.001)
        counting.join()
    assert 500 < came < 780, "640 of 1000 get through twice a fifth of loss"


def test_a_reset_is_told_at_once(lab: Netlab) -> None:
    server = socket.create_server((lab.host, 0))
    with server:
        port = server.getsockname()[1]
        lab["door"].reset(port)
        words = [sys.executable, "-c", _CONNECT, lab.host, str(port)]
        assert subprocess.run(lab["door"].command(*words), check=False).returncode == 7


_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)
except ConnectionRefusedError:
    sys.exit(7)
"""


def test_nothing_remains_of_it(tmp_path: Path) -> None:
    with netlab("door") as lab:
        echo(lab, "door", "udp", 5000)
        names = [lab.names("door"), lab.router]
        script = lab["door"].within(Path(sys.executable), tmp_path)
        said = subprocess.run([script, "-c", "print(1)"], capture_output=True, check=True)
        assert said.stdout == b"1\n"
    left = subprocess.run(
        [program("ip"), "netns", "list"], capture_output=True, text=True, check=True
    )
    assert not any(name in left.stdout for name in names)


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", _DIES], capture_output=True, text=True, check=False
    )
    if "Skipped" in killed.stderr:
        skip_where_forbidden(
            "no network is made by a program either", killed.stderr.splitlines()[-1]
        )
    pid = killed.stdout.split()[0]
    before = subprocess.run(
        [program("ip"), "netns", "list"], capture_output=True, text=True, check=True
    )
    assert f"lab-{pid}-" in before.stdout
    with netlab():
        after = subprocess.run(
            [program("ip"), "netns", "list"], capture_output=True, text=True, check=True
        )
    assert f"lab-{pid}-" not in after.stdout


_DIES = """
import os, signal
from tests.parts.netlab import netlab
with netlab("door"):
    print(os.getpid(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
