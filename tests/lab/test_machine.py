"""What is left of a machine whose driver dies: nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

DRIVER = """
import os, signal, socket, sys, time
from pathlib import Path
from tests.lab.machine import Machine

class Other(Machine):
    def begin(self):
        self.folder.mkdir()
        self._begin(["sleep", "600"], socket.socketpair()[1])

machine = Other(Path(sys.argv[1]) / "machine")
machine.begin()
while Path(f"/proc/{machine.session}/comm").read_text() != "sleep\\n":
    time.sleep(0.01)  # not before it is what it is to be
print(machine.session, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_machine_ends_with_its_driver(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    left = [psutil.Process(pid) for pid in (int(said),) if psutil.pid_exists(pid)]
    assert psutil.wait_procs(left, timeout=60)[1] == []
