"""A machine of the lab: boots the guest, has it carry out what it is told, and ends it.

    with Machine(folder) as lab:
        lab.put("/etc/appliance/appliance.toml", text)
        lab.run("systemctl start appliance")
        lab.pull(17, "down")
        assert lab.line(27) == 1

The kernel is a program of this user; nothing of it needs root, and nothing is left of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from tests.lab.guest import guest
from tests.lab.kernel import kernel
from tests.lab.processors import Processor
from tests.lab.project import project
from tests.lab.trial import memory, starts

MEMORY_MB = 1536
BOOT_S = 300.0
RUN_S = 120.0
"""How long a step may take by the guest's clock. A busy machine is slow: nothing is measured by this."""
PATIENCE_S = 120.0
"""How much longer its answer may take."""

LESS_URGENT, LEAST_URGENT = 5, 8
"""By how much a machine is nicer whose time jumps, and one that shares a processor: it gets a third."""

NOT_LONGER = ("setpriv", "--pdeathsig", "KILL")
"""Begins a command that ends with whoever has started it, however that ends."""

IS_UP = "systemctl is-system-running --wait"
"""Waits until all is started, and fails where something of it was not."""

PINS = "/run/lab-pins"

_NEEDLESS = (
    *("getty@tty1", "ldconfig", "systemd-journal-catalog-update", "systemd-hwdb-update"),
    *("systemd-update-done", "systemd-binfmt", "systemd-random-seed", "systemd-pstore"),
    *("modprobe@drm", "modprobe@fuse", "modprobe@efi_pstore"),
    *("systemd-modules-load", "systemd-remount-fs", "systemd-udev-load-credentials"),
    *("systemd-update-utmp", "systemd-user-sessions", "e2scrub_reap"),
)
"""What a system does at its first start, which each of the guest's is, and for what it does not have."""


class MachineError(Exception):
    """The machine has died, does not answer, or could not do what it was told."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a command: its exit status (124 where its time was up), and all that it wrote."""

    command: str
    code: int
    out: str

    @property
    def ok(self) -> bool:
        """Whether it went well."""
        return self.code == 0


class Step:
    """Something that the guest is doing."""

    def __init__(self, machine: Machine, number: int, command: str, timeout: float) -> None:
        self._machine, self._number = machine, number
        self._command, self._timeout = command, timeout

    def result(self) -> Result:
        """Wait for its end."""
        answer = self._machine.answer(self._number, self._timeout + PATIENCE_S)
        if (out := answer.get("out")) is None:
            told = self._machine.shared / f"told-{self._number}"
            out = told.read_text(errors="replace")
            told.unlink()
        return Result(self._command, answer["code"], out)


class Machine:
    """One guest. Whoever drives it waits for it."""

    def __init__(
        self,
        folder: Path,
        *,
        virtual: bool = False,
        shares: bool = False,
        words: Sequence[str] = (),
    ) -> None:
        """`folder` is made, and gets its console and what is shared. `words` are more for its kernel.

        `virtual` time passes only while a step is being done, and jumps whenever all of the guest waits.
        Who `shares` has a processor of its own only where no other machine wants it.
        """
        self.folder, self.virtual, self.words = folder, virtual, words
        self._shares = shares
        self._processor: Processor | None = None
        self.shared = folder / "shared"
        """What the guest has as /host: each sees what the other writes."""
        self._numbers = iter(range(1, 1 << 31))
        self._answers: dict[int, dict[str, Any]] = {}
        self._doing: set[int] = set()
        """The steps that nobody has seen the end of."""
        self._heard = b""

    def __enter__(self) -> Self:
        """Boot. Raises CannotStartHere, and MachineError."""
        starts(kernel())
        self.shared.mkdir(parents=True)
        self._boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def session(self) -> int:
        """Of its kernel and all processes that this runs (setsid(2))."""
        return self._process.pid

    # -------------------- steps

    def run(self, command: str, timeout: float = RUN_S) -> Result:
        """Have bash carry out a command, as root, and wait for its end."""
        return self.start(command, timeout).result()

    def check(self, command: str, timeout: float = RUN_S) -> str:
        """Likewise; what it wrote. Raises MachineError where it failed."""
        done = self.run(command, timeout)
        if not done.ok:
            raise MachineError(f"{command}: exit status {done.code}\n{done.out}")
        return done.out

    def start(self, command: str, timeout: float = RUN_S) -> Step:
        """Have it carried out, while other steps go on."""
        number = self._ask(command=command, timeout=timeout)
        return Step(self, number, command, timeout)

    def until(self, command: str, timeout: float = RUN_S, *, holds: str = "") -> str:
        """Wait within the guest until a command goes well and writes `holds`, among all that it wrote.

        Raises MachineError.
        """
        seen = f"out=$({command}) && [[ $out == *{shlex.quote(holds)}* ]]"
        # by a clock that jumps a look costs more than the wait for it: long waits have few of them
        growing = "tenths=$(( ++looks * looks * looks / 16 + 1 ))"
        longer = growing if self.virtual else "tenths=1"
        pause = "sleep $(( tenths / 10 )).$(( tenths % 10 ))"
        return self.check(f'until {seen}; do {longer}; {pause}; done; printf %s "$out"', timeout)

    def until_logged(self, words: str, unit: str = "appliance", timeout: float = RUN_S) -> None:
        """Wait until the unit, as it was started last, has logged that. Nobody looks again and again."""
        run = f"_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID {unit})"
        follow = f"exec 3< <(exec journalctl --follow --lines=all --output=cat {run})"
        self.check(f"{follow}; grep -q {shlex.quote(words)} <&3 && kill $!", timeout)

    def put(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Write a file, and the folders that it stands in."""
        data = text.encode() if isinstance(text, str) else text
        with self._passing() as file:
            file.write_bytes(data)
            self.check(f"install -D -m {mode:o} /host/{file.name} {shlex.quote(path)}")

    def get(self, path: str) -> bytes:
        """Read a file. Raises MachineError."""
        with self._passing() as file:
            self.check(f"cat {shlex.quote(path)} > /host/{file.name}")
            return file.read_bytes()

    @contextlib.contextmanager
    def _passing(self) -> Iterator[Path]:
        """A file on its way: the line is for short words."""
        file = self.shared / f"passing-{next(self._numbers)}"
        yield file
        file.unlink()

    # -------------------- pins

    def pull(self, pin: int, level: Literal["up", "down"]) -> None:
        """What a finger or a contact does to an input: it is pulled to 3.3 V, or to ground."""
        self.check(f"echo pull-{level} > {PINS}/sim_gpio{pin}/pull")

    def line(self, pin: int) -> int:
        """What is measured at a pin: 1 is 3.3 V."""
        return int(self.check(f"cat {PINS}/sim_gpio{pin}/value"))

    # -------------------- what it tells

    def journal(self, unit: str | None = None) -> str:
        """What the journal has of this boot, of one unit or of all."""
        which = f"-u {unit}" if unit else ""
        return self.check(f"journalctl -b --no-pager -o short-precise {which}")

    def console(self) -> str:
        """What the kernel, and who has no journal, wrote."""
        return (self.folder / "console").read_text(errors="replace")

    def save(self, target: Path) -> None:
        """Bring back what tells why something went wrong."""
        target.mkdir(parents=True, exist_ok=True)
        (target / "console").write_text(self.console())
        with contextlib.suppress(MachineError):
            (target / "journal").write_text(self.journal())
            units = "systemctl --no-pager status; systemctl --failed --no-pager; ps axf"
            (target / "state").write_text(self.run(units).out)

    # -------------------- its life

    def _boot(self) -> None:
        """Switch it on, and wait until it is up."""
        self._switch_on()
        try:
            self.answer(0, BOOT_S)
            self.run(IS_UP, BOOT_S)
        except BaseException:
            self.stop()
            raise

    def _switch_on(self) -> None:
        """Start its kernel. It gives the answer 0 when it can be told something."""
        ours, theirs = socket.socketpair()
        images = f"ubd0r={guest()}", f"ubd1r={project()}"
        words = [
            str(kernel()),
            f"mem={MEMORY_MB}M",
            f"uml_dir={self.folder}",
            "umid=uml",
            *images,
            *("root=/dev/ubda", "ro", "rootfstype=squashfs", "init=/lab/start"),
            *("con=null", "con0=null,fd:1", "console=tty0", "quiet"),
            *("ssl=null", f"ssl0=fd:{theirs.fileno()}"),
            f"hostfs={self.shared}",
            "pty.legacy_count=0",
            *("snd_dummy.enable=0", "vivid.n_devs=1", "nbd.nbds_max=0", "vicodec.multiplanar=1"),
            "seccomp=auto",
            "systemd.getty_auto=no",
            *(f"systemd.mask={unit}.service" for unit in _NEEDLESS),
            *(["time-travel=inf-cpu"] if self.virtual else []),
            *self.words,
        ]
        try:
            self._begin(words, theirs)
        except BaseException:
            ours.close()
            self._leave_its_processor()
            raise
        ours.settimeout(PATIENCE_S)
        self._line = ours
        self._answers.clear()
        self._doing.clear()
        self._heard = b""

    def _begin(self, words: Sequence[str], line: socket.socket) -> None:
        """Start its kernel, which answers at the other end of that line."""
        with (
            line,
            (self.folder / "console").open("wb") as console,
            self._on_its_processor(first=not self.virtual, shares=self._shares),
        ):
            self._process = subprocess.Popen(
                [*NOT_LONGER, *words],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                pass_fds=[line.fileno()],
                start_new_session=True,
                env={"PATH": os.defpath, "TMPDIR": str(memory([self.folder], MEMORY_MB))},
            )
        if self.virtual:
            self._yield_to_others()

    @contextlib.contextmanager
    def _on_its_processor(self, *, first: bool = False, shares: bool = False) -> Iterator[None]:
        """What is started meanwhile runs on the one that this machine has, from its first start on."""
        if self._processor is None:
            self._processor = Processor(first=first, shares=shares)
        with self._processor.here():
            yield

    def _leave_its_processor(self) -> None:
        if self._processor is not None:
            self._processor.leave()
            self._processor = None

    def _yield_to_others(self) -> None:
        """Who has all the time in the world leaves the processors to a machine that goes by the clock."""
        nice = min(os.nice(0) + (LEAST_URGENT if self._shares else LESS_URGENT), 19)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, nice)
        # where each session has its own share, niceness is one's within that (sched(7), autogroup)
        with contextlib.suppress(OSError):
            Path(f"/proc/{self._process.pid}/autogroup").write_text(str(nice))

    def stop(self) -> None:
        """End it as when its power is cut: all that it has is in memory, and of no use any more."""
        self._end()
        self._leave_its_processor()

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._line.close()

    # -------------------- the line

    def _ask(self, **what: Any) -> int:
        number = next(self._numbers)
        if self._processor is not None:
            self._processor.move(self.session)
        self._doing.add(number)
        self._process.send_signal(signal.SIGCONT)
        try:
            self._line.sendall(json.dumps({"id": number, **what}).encode() + b"\n")
        except OSError as error:
            raise MachineError(f"the machine has gone ({error})") from error
        return number

    def answer(self, number: int, patience_s: float) -> dict[str, Any]:
        """What the guest says to a question. Raises MachineError."""
        deadline_s = time.monotonic() + patience_s
        while number not in self._answers:
            self._hear(deadline_s)
        answer = self._answers.pop(number)
        self._doing.discard(number)
        if self.virtual and not self._doing:
            # no time passes now, which the guest sees to by a program that is busy (rootfs/lab/agent.py)
            self._process.send_signal(signal.SIGSTOP)
        if "error" in answer:
            raise MachineError(answer["error"])
        return answer

    def _hear(self, deadline_s: float) -> None:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not self._listen(left_s):
            raise MachineError(f"the machine does not answer\n{self.console()[-2000:]}")

    def _listen(self, wait_s: float) -> bool:
        """Whether it says something in that time, which is noted. Raises MachineError where it is gone."""
        if not select.select([self._line], [], [], wait_s)[0]:
            return False
        try:
            heard = self._line.recv(1 << 16)
        except OSError:
            heard = b""
        if not heard:
            raise MachineError(f"the machine has died\n{self.console()[-2000:]}")
        *whole, self._heard = (self._heard + heard).split(b"\n")
        for line in whole:
            answer = json.loads(line)
            self._answers[answer["id"]] = answer
        return True
