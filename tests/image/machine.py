"""The stand-in for a Pi with a card, which starts as a Pi's would, and loses its power when it is told.

    with CardMachine(folder, image) as door:  # on a copy of the image; waits until it answers
        door.check("systemctl start appliance")
        door.restart("0 tryboot")             # the firmware does what the guest asked for
        door.cut()                            # no goodbye: what was not written is lost
        door.power_on()

The kernel is the card's own, on a processor that qemu emulates: ten to twenty times slower than it is, for
there is no KVM where this is mostly run. Or, as in the lab, one that is a program of this host
(`user_mode=True`): the same system on the same card, in a few seconds; it has no way to other hosts,
and is for amd64 alone.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.image import firmware
from tests.image.card import Card
from tests.image.kernel import user_mode_kernel
from tests.lab.machine import NOT_LONGER, MachineError, Result
from tests.lab.machine import Machine as Lab
from tests.lab.trial import memory
from tests.parts.mosquitto import free_port
from tests.parts.need import program

MEMORY_MB = 1024
BOOT_S = 900.0
"""Until it answers. Some twenty seconds where nobody else wants the processor."""
RUN_S = 600.0
END_S = 600.0
OF_A_FIRST_START = (
    "gpio_unavailable|broker_lost|broker_unreachable|"
    "owner: has no keys yet|owner has no key:|nobody behind user:owner|"
    "^appliance-accounts@.*(time limit|result 'timeout')|may still log in at the broker"
)
"""Warnings that are right: no pins here; a broker that gets the certificate of the page; nobody paired. And
of a processor that is shared with much else: a request for an account that takes longer than it may.
"""
BY_THE_CLOCK = {
    *("appliance-journal.timer", "appliance-update-limit.timer", "appliance-update-look.timer"),
    *("fstrim.timer", "systemd-tmpfiles-clean.timer"),
}
"""All that an image does without being asked."""
_PIECE = 2_000
"""Of a file in one line to the guest, whose terminal keeps 4,096 characters for who is slow to read."""
_PLENTY = 6 << 30
"""Of memory that is free: a card has one and a half written, and an update writes as much again."""

_BOARDS: Mapping[str, Sequence[str]] = {
    "amd64": ("qemu-system-x86_64", "-machine", "q35", "-cpu", "max"),
    "arm64": ("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72"),
}
_SLOW = ("systemd.default_device_timeout_sec=900", "systemd.default_timeout_start_sec=900")
"""A card that does not come is no matter of seconds where a processor is emulated beside other work."""
_TIME = ("-smp", "1", "-icount", "shift=1,sleep=on")
"""One processor, whose time is counted: two nanoseconds for each instruction, and as on a clock while there
is nothing to do. So it is slow for who waits for it, and as quick as a small Pi by its own clock,
however busy this host is: a limit within it means what it means on a Pi.

Nor may there be two of amd64: a kernel that changes its own code ran into the breakpoint that it had set
there for the other one (qemu 7.2; `Oops: int3`).
"""
_PACKAGES = {"amd64": "qemu-system-x86", "arm64": "qemu-system-arm"}


def put(machine: Lab, path: str, text: str | bytes, mode: int) -> None:
    """Write a file by the machine's line alone: whole or not at all."""
    data = base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
    to = shlex.quote(path)
    machine.check(f"mkdir -p $(dirname {to}); : > {to}.b64")
    for begin in range(0, len(data), _PIECE):
        machine.check(f"printf %s {data[begin : begin + _PIECE]} >> {to}.b64")
    machine.check(
        f"base64 -d {to}.b64 > {to}.new && chmod {mode:o} {to}.new && sync {to}.new"
        f" && mv {to}.new {to} && rm {to}.b64"
    )


class CardMachine(Lab):
    """One machine with a card of its own. Whoever drives it waits for it."""

    def __init__(
        self,
        folder: Path,
        image: Path | None,
        *,
        architecture: str = "amd64",
        user_mode: bool = False,
        ports: Sequence[int] = (),
        size_mb: int | None = None,
        beside: Path | None = None,
    ) -> None:
        """`folder` is made, and gets the card, a copy of `image`; None: the one that is there.

        `ports` of the guest (TCP) are reached at `self.port(..)` of this host's loopback. `size_mb` is the
        card's size, where it is larger than the image. `beside` is a file that the guest has as a second
        disk, which it only reads.
        """
        super().__init__(folder)
        self.disk = folder / "card.img"
        self.card = Card(self.disk)
        self.architecture = architecture
        self.started: firmware.Start | None = None
        """What the firmware has started last."""
        self.starts = 0
        self.user_mode = user_mode
        self._image, self._size_mb, self._beside = image, size_mb, beside
        self._aside: Path | None = None
        self._ports = {port: free_port() for port in ports}

    def __enter__(self) -> CardMachine:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._image is not None:
            self._copy(self._image)
        if self._size_mb is not None:
            os.truncate(self.disk, self._size_mb << 20)
        try:
            self.power_on()
        except BaseException:
            self._leave_its_processor()
            self._forget()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            self._forget()

    def _forget(self) -> None:
        if self._aside is not None:
            shutil.rmtree(self._aside)

    def _copy(self, image: Path) -> None:
        """In memory, where there is plenty: there a guest that syncs waits for no disk of this host's."""
        shared, place = Path("/dev/shm"), self.disk
        if shared.is_dir() and shutil.disk_usage(shared).free > _PLENTY:
            self._aside = Path(tempfile.mkdtemp(prefix="card-", dir=shared))
            place = self._aside / self.disk.name
            self.disk.symlink_to(place)
        words = ["cp", "--sparse=always", "--reflink=auto", str(image), str(place)]
        subprocess.run(words, check=True)
        place.chmod(0o600)

    def port(self, port: int) -> int:
        """Where a port of the guest's is on this host."""
        return self._ports[port]

    # -------------------- power

    def power_on(self, told: firmware.Reset = firmware.POWERED_ON, *, wait: bool = True) -> None:
        """Let the firmware read the card, start what it says, and wait until it answers."""
        self.started = firmware.start(self.disk, self.folder, told)
        self.starts += 1
        self._answers.clear()
        self._heard = b""
        self._line, theirs = socket.socketpair()
        self._line.settimeout(RUN_S)
        as_words = self._in_user_mode if self.user_mode else self._emulated
        if self.user_mode:
            user_mode_kernel()  # where it has to be built, that is not done on one processor
        with (
            theirs,
            self._console.open("wb") as said,
            self._terminal.open("wb") as shown,
            self._on_its_processor() if self.user_mode else contextlib.nullcontext(),
        ):
            self._process = subprocess.Popen(
                [*NOT_LONGER, *as_words(self.started, theirs.fileno(), shown.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno(), shown.fileno()],
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(memory([self.folder], MEMORY_MB))},
            )
        if wait:
            self.answers()

    def answers(self) -> None:
        """Wait until the guest is up far enough to be told something; it is ended where it is not."""
        try:
            self.answer(0, BOOT_S)
        except BaseException:
            self._end()
            raise

    def cut(self) -> None:
        """Take its power away."""
        self._end()

    def _end(self) -> None:
        """And wait for all that it consists of: what still ends holds the card's lock."""
        super()._end()
        until = time.monotonic() + END_S
        while time.monotonic() < until:
            try:
                os.killpg(self._process.pid, 0)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(0.01)
        raise MachineError("what the machine consists of does not end")

    def restart(self, words: str = "") -> None:
        """Have the guest reboot, with words for the firmware, and boot as they say."""
        argument = f"--reboot-argument={shlex.quote(words)}" if words else ""
        with contextlib.suppress(MachineError):  # it may be gone before it has answered
            self._ask(command=f"systemctl reboot --no-block {argument}", timeout=RUN_S)
        self.follow()

    def follow(self) -> None:
        """Wait until the guest has ended by itself, and boot as it asked the firmware to."""
        told = self.ended()
        if told is None:
            raise MachineError(f"it was switched off\n{self.console()[-2000:]}")
        self.power_on(told)

    def ended(self) -> firmware.Reset | None:
        """Wait until the guest has ended; what it asked the firmware for, None where it is off."""
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._end()
            raise MachineError(f"it does not end\n{self.console()[-2000:]}") from None
        self._line.close()
        return firmware.reset(self.console())

    def stop(self) -> None:
        """Shut it down, where it still runs; it is killed where it does not."""
        if self._process.poll() is None:
            with contextlib.suppress(MachineError):
                self._ask(command="systemctl poweroff --no-block", timeout=RUN_S)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_S)
        try:
            self._end()
        finally:
            self._leave_its_processor()

    def _in_user_mode(self, what: firmware.Start, line: int, terminal: int) -> list[str]:
        """It has no initramfs: of the slot's names the kernel itself knows that of its root's partition."""
        root = {2: "system_a", 3: "system_b"}[what.partition]
        words = [
            word
            for word in what.cmdline.split()
            if not word.startswith(("console=", "root=", "rootwait", "panic="))
        ]
        return [
            str(user_mode_kernel()),
            *(f"mem={MEMORY_MB}M", f"uml_dir={self.folder}", f"umid=uml-{self.starts}", "noreboot"),
            *("con=null", "con0=null,fd:1", f"con1=null,fd:{terminal}", "console=tty0"),
            *("ssl=null", f"ssl0=fd:{line}"),
            *((f"ubd1r={self._beside}",) if self._beside else ()),
            *(f"ubd0={self.disk}", f"root=PARTLABEL={root}", *words, "stand_in_line=ttyS0", *_SLOW),
        ]

    def _emulated(self, what: firmware.Start, line: int, _terminal: int) -> list[str]:
        """Its first terminal is shown nowhere."""
        qemu, *board = _BOARDS[self.architecture]
        forwards = "".join(
            f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for there, here in self._ports.items()
        )
        second = (
            *("-drive", f"if=none,id=beside,format=raw,readonly=on,file={self._beside}"),
            *("-device", "virtio-blk-pci,drive=beside"),
        )
        initrd = ["-initrd", str(what.initrd)] if what.initrd else []
        return [
            str(program(qemu, _PACKAGES[self.architecture])),
            *board,
            *("-accel", "tcg,thread=single", *_TIME, "-m", str(MEMORY_MB)),
            *("-nodefaults", "-display", "none", "-no-reboot"),
            *("-kernel", str(what.kernel), *initrd),
            *("-append", " ".join([what.cmdline, "stand_in_line=hvc0", *_SLOW])),
            *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
            *("-drive", f"if=none,id=card,format=raw,cache=unsafe,file={self.disk}"),
            *("-device", "virtio-blk-pci,drive=card"),
            *(second if self._beside else ()),
            *("-netdev", f"user,id=net{forwards}", "-device", "virtio-net-pci,netdev=net"),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=line,fd={line}", "-device", "virtconsole,chardev=line"),
        ]

    # -------------------- files, and what it tells

    def put(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Write a file, and the folders that it stands in: whole or not at all."""
        put(self, path, text, mode)

    def get(self, path: str) -> bytes:
        """Read a file. Raises MachineError."""
        return base64.b64decode(self.check(f"base64 -w0 {shlex.quote(path)}"))

    def run(self, command: str, timeout: float = RUN_S) -> Result:
        """Have bash carry out a command, as root, and wait for its end."""
        return self.start(command, timeout).result()

    @property
    def _console(self) -> Path:
        return self.folder / f"console-{self.starts}"

    def console(self) -> str:
        """What the kernel and the firmware's stand-in say of the last start."""
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    @property
    def _terminal(self) -> Path:
        return self.folder / f"terminal-{self.starts}"

    def warned(self) -> list[str]:
        """What the own units and the broker's have warned of in this start, and systemd of them."""
        said: list[str] = []
        for line in self.check("journalctl -b -p warning -o json --no-pager").splitlines():
            entry = json.loads(line)
            units = [str(entry.get(key)) for key in ("UNIT", "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER")]
            if any(one.startswith(("appliance", "mosquitto")) for one in units):
                said.append(str(entry["MESSAGE"]))
        return said

    def terminal(self) -> str:
        """What was shown on its first terminal in the last start, in user mode."""
        return self._terminal.read_text(errors="replace")

    def consoles(self, target: Path) -> None:
        """Bring back those of all starts."""
        target.mkdir(parents=True, exist_ok=True)
        for one in self.folder.glob("console-*"):
            shutil.copy(one, target)
