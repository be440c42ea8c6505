"""The stand-in machine as a door station that is updated: what it says of itself, and whether it rings."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.image.machine import CardMachine
from tests.lab.machine import MachineError
from tests.parts.promised import TOLD

CONFIG = (Path(__file__).parents[2] / "config" / "simulated.toml").read_text()
PROGRAM = "cd /usr/lib/stand-in; exec /opt/appliance/bin/python -m tests.parts.{}"
"""Those of tests/parts that the image has."""
LOOK_S = 0.2
WAITED_S = 1200.0
"""For a whole update, on a machine that is emulated beside other work; only a fault waits for it."""
TOLD_S = 3600.0
"""For a call that begins and is answered by a second station, which starts: likewise."""


class Door(CardMachine):
    """A machine with a second disk of bundles. Its board is simulated, so that a finger can be."""

    def __enter__(self) -> Door:
        super().__enter__()
        return self

    def configure(self, config: str = CONFIG) -> None:
        """Make a door station of it whose bell rings three people."""
        self.check("rm -f /etc/appliance/conf.d/20-first-door.toml")
        self.put("/etc/appliance/appliance.toml", config)
        self.check("systemctl restart appliance")
        self.ready()

    def ready(self) -> None:
        """Wait until the appliance is, and it is told how the slots are."""
        self.until("systemctl is-active appliance appliance-update-settle")
        self.until("appliance status")

    def lives_busily(self) -> None:
        """Have it do what a door does, all the time, until its power goes; nobody answers."""
        self.start(PROGRAM.format("busydoor live"), 24 * 3600)

    def talks_busily(self) -> None:
        """Have it be in calls, all the time, until its power goes."""
        self.start(PROGRAM.format("busytalk") + " > /run/busytalk.log 2>&1", 24 * 3600)

    def until_told(self, kind: str) -> None:
        """Wait until it has told that since its last start, or of a fault: raises MachineError."""
        until = time.monotonic() + TOLD_S
        told: dict[str, str] = {}
        while kind not in told:
            told = dict(TOLD.findall(self.console()))
            if "wrong" in told or time.monotonic() > until or self._process.poll() is not None:
                raise MachineError(told.get("wrong", f"it never told: {kind}"))
            time.sleep(LOOK_S)

    def look(self) -> Mapping[str, Any]:
        """Wait until it is ready; then ring, and see what there is (`busydoor.look`), in one step."""
        patience = f"{WAITED_S:.0f} appliance appliance-update-settle"
        told = self.check(PROGRAM.format(f"busydoor look {patience}"), 2 * WAITED_S)
        found: Mapping[str, Any] = json.loads(told)
        return found

    def slots(self) -> dict[str, Any]:
        """What `appliance update status` says."""
        found: dict[str, Any] = json.loads(self.check("appliance update status"))
        return found

    def bundles(self) -> None:
        """Have the second disk read at /run/bundles."""
        disk = "/dev/ubdb" if self.user_mode else "/dev/vdb"
        self.check(
            f"mkdir -p /run/bundles; mountpoint -q /run/bundles || mount -o ro {disk} /run/bundles"
        )

    def rings(self) -> bool:
        """Press the bell: a call begins, at once; and it is taken back."""
        self.until("appliance status")
        self.check("appliance press call")
        began = self.until('appliance status | grep \'"state": "outgoing"\'')
        self.run("appliance ctl end_call")
        self.until("appliance status | grep '\"call\": null'")
        return bool(began)

    def install(self, bundle: str, *, older: bool = False) -> None:
        """Have it begin with an update, of the second disk or at a URL, and do not wait.

        `older`: though it is no newer than what runs.
        """
        source = f"{'--older ' * older}{self._source(bundle)}"
        self.start(f"appliance update install {source} > /run/update.log 2>&1", 3600)

    def refused(self, bundle: str) -> str:
        """An update that is not made; why."""
        done = self.run(f"appliance update install {self._source(bundle)}", WAITED_S)
        assert done.code == 1, done.out
        return done.out

    def _source(self, bundle: str) -> str:
        self.bundles()
        return bundle if "://" in bundle else f"/run/bundles/{bundle}"

    def lives(self, seconds: float) -> int:
        """Let it be for so long, and do what its firmware does when it restarts; how often it did."""
        restarts = 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._process.poll() is None:
                time.sleep(LOOK_S)
                continue
            told = self.ended()
            if told is None:
                raise MachineError(f"it was switched off\n{self.console()[-2000:]}")
            self.power_on(told, wait=False)
            restarts += 1
        return restarts

    def followed(self, times: int) -> None:
        """Go with it through so many restarts that it makes by itself."""
        for _ in range(times):
            until = time.monotonic() + WAITED_S
            while self._process.poll() is None:
                if time.monotonic() > until:
                    log = self.run("cat /run/update.log; journalctl -b -n 60 --no-pager").out
                    raise MachineError(f"it does not restart\n{log}\n{self.console()[-2000:]}")
                time.sleep(LOOK_S)
            self.follow()

    def why(self) -> str:
        """What tells why something went wrong."""
        with contextlib.suppress(MachineError, OSError):
            logs = "cat /run/update.log /run/busytalk.log; tail -n 100 /run/hall/log"
            return self.run(
                f"{logs}; appliance calls --limit 3; journalctl -b -n 200 --no-pager"
            ).out
        return self.console()[-4000:]
