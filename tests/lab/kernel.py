"""The kernel: Debian's source, built as a program (User Mode Linux), with simulated devices in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

from tests.lab.archive import SUITE, NotThere, download
from tests.lab.stock import PLACE, CannotBuildHere, Item, digest, enough, run, say

CONFIG = PLACE / "kernel.config"
SOURCE = "linux-source-6.12"
SOURCES = (("trixie-backports", "linux-source-7.2"), (SUITE, SOURCE))
"""By suite of Debian, the first that is there. The first need not trace its processes (seccomp=), at
half the costs of the second; backports come and go, and what is in the release itself stays.
"""
AGAIN_S = 86400
"""How often who has the slower one looks for the other."""
_RECIPE = "2"
"""To be raised where what is below makes another kernel of the same configuration."""

_DISK, _IDLE = "arch/um/drivers/ubd_kern.c", "arch/um/kernel/process.c"
_PINS = "drivers/gpio/gpio-sim.c"
_VERITY = "drivers/md/dm-verity-target.c"
_CAMERA = "drivers/media/test-drivers/vimc/vimc-common.h"
_CAMERA_RATE = "drivers/media/test-drivers/vimc/vimc-streamer.c"
_EDITS = (
    (_IDLE, "void um_idle_sleep(void)\n{\n", "atomic_t lab_reads;\n\n{old}{guard}"),
    (
        _DISK,
        "static void ubd_end_request(struct io_thread_req *io_req)\n{\n",
        "{extern}{old}{ended}",
    ),
    (_DISK, "\tret = os_write_file(thread_fd, &io_req, sizeof(io_req));\n", "{begun}{old}{failed}"),
    (_PINS, "\t\t__assign_bit(offset, chip->value_map,\n", "{unless_driven}{old}"),
    (_PINS, "\t\t__set_bit(offset, chip->direction_map);\n", "\t{{\n{old}{pulled}\t}}\n"),
    (_VERITY, "\t\tDMEMIT(\"%c\", v->hash_failed ? 'C' : 'V');\n", "{old}{no_more}"),
    (_CAMERA, "#define VIMC_FRAME_MAX_WIDTH 4096\n", "#define VIMC_FRAME_MAX_WIDTH 640\n"),
    (_CAMERA, "#define VIMC_FRAME_MAX_HEIGHT 2160\n", "#define VIMC_FRAME_MAX_HEIGHT 480\n"),
    (_CAMERA_RATE, "\t\tset_current_state(TASK_UNINTERRUPTIBLE);\n", "{old}{rests}{old}"),
)
"""What is put into its source. Its time does not jump while its disk is read; a line that was driven keeps
its level when it is let go, until it is driven or read anew, as a Pi's do; of a device of dm-verity it says
no more than whether it is right: RAUC 1.13 does not understand what Linux 7 adds to that, and installs
nothing; its camera has no pictures larger than 640x480: whatever is asked for, libcamera has it make
1920x1080 and scales them, each of which is a tenth of a second's work; and it rests between two of them,
which it makes whether anybody takes them or not: a dozen a second in place of thirty.

By itself a kernel whose time jumps (time-travel=) takes waiting for its disk for having nothing to do, and
goes on to what comes next: to systemd's limits, all within the first second.
"""
_WORDS = {
    "extern": "extern atomic_t lab_reads;\n\n",
    "guard": "\tif (atomic_read(&lab_reads) && time_travel_mode != TT_MODE_OFF)\n\t\treturn;\n",
    "begun": "\tatomic_inc(&lab_reads);\n",
    "failed": "\tif (ret != sizeof(io_req))\n\t\tatomic_dec(&lab_reads);\n",
    "unless_driven": "\t\tif (test_bit(offset, chip->direction_map))\n",
    "pulled": "\t\t__assign_bit(offset, chip->value_map, !!test_bit(offset, chip->pull_map));\n",
    "no_more": "\t\tbreak;\n",
    "rests": "\t\tschedule_timeout(HZ / 20);\n",
    "ended": "\tatomic_dec(&lab_reads);\n",
}


class OtherSource(Exception):
    """This source is not as the edits know it."""


class _Either(Item):
    """One of two is as good."""

    @property
    def is_there(self) -> bool:
        return super().is_there or SLOWER.is_there


def _item(kind: type[Item], what: str, sources: tuple[tuple[str, str], ...]) -> Item:
    made_of = digest(CONFIG.read_bytes(), repr((sources, _EDITS, _WORDS)), _RECIPE)
    return kind("kernel", what, "160 MB to fetch, three to ten minutes", made_of)


KERNEL = _item(_Either, "the kernel (Linux as a program)", SOURCES)
SLOWER = _item(Item, "the slower kernel (Linux as a program)", SOURCES[1:])


def kernel(*, anew: bool = False) -> Path:
    """The program. Raises CannotBuildHere, and RuntimeError with what the compiler said.

    Where the faster one was not there the slower is kept, and once a day the other is looked for `anew`;
    whatever comes of that, there is a kernel.
    """
    quick, slow = (partial(_ours, *one) for one in SOURCES)
    has_slow = SLOWER.is_there and not KERNEL.path.exists()
    if has_slow and not (anew and time.time() - _looked_s() > AGAIN_S):
        return SLOWER.get(slow)
    try:
        return KERNEL.get(quick)
    except (RuntimeError, OtherSource, CannotBuildHere) as reason:
        if not has_slow and not isinstance(reason, NotThere | OtherSource):
            raise
        say(f"another kernel is taken, that is slower: {reason}")
        return SLOWER.get(slow)


def _looked_s() -> float:
    """When it was tried last to build one (by the log of that)."""
    return KERNEL.log.stat().st_mtime if KERNEL.log.exists() else 0.0


def build(made: Path, room: Path, config: Path, log: Path) -> None:
    """Build one with what `config` adds to Linux's own configuration for user mode."""
    enough(room)
    _build(made, room, config, _unpacked(room, SOURCE, download(SOURCE, room)), log)


def _ours(suite: str, source: str, made: Path, room: Path) -> None:
    enough(room)
    tree = _unpacked(room, source, download(source, room / suite, suite))
    _edit(tree)
    _build(made, room, CONFIG, tree, KERNEL.log)


def _unpacked(room: Path, source: str, package: Path) -> Path:
    archive = f"./usr/src/{source}.tar.xz"
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=pipe) as unpacked,
        subprocess.Popen(["tar", "-xO", archive], stdin=unpacked.stdout, stdout=pipe) as inner,
    ):
        done = subprocess.run(["tar", "-xJ", "-C", room], stdin=inner.stdout, check=False)
    if done.returncode:
        raise RuntimeError(f"{package} could not be unpacked in {room} (a full disk?)")
    return room / source


def _build(made: Path, room: Path, config: Path, tree: Path, log: Path) -> None:
    out = room / "out"
    make = ["make", "-C", str(tree), "ARCH=um", f"O={out}"]
    run([*make, "defconfig"], log)
    merge = [str(tree / "scripts/kconfig/merge_config.sh"), "-m", "-O", str(out)]
    run([*merge, str(out / ".config"), str(config)], log, cwd=tree)
    run([*make, "olddefconfig"], log)
    _check((out / ".config").read_text(), config)
    run([*make, f"-j{os.cpu_count() or 1}", "linux"], log)
    run(["strip", "-o", str(made), str(out / "linux")], log)
    shutil.rmtree(tree)


def _edit(tree: Path) -> None:
    for name, old, new in _EDITS:
        file = tree / name
        text = file.read_text() if file.exists() else ""
        if text.count(old) != 1:
            raise OtherSource(f"{file} is not as it was: {old!r}")
        file.write_text(text.replace(old, new.format(old=old, **_WORDS)))


def _check(got: str, config: Path) -> None:
    """What was asked for is in it: a symbol that the source no longer has is dropped without a word."""
    lines = set(got.splitlines())
    wanted = [line for line in config.read_text().splitlines() if line.startswith("CONFIG_")]
    missing = [line for line in wanted if line not in lines]
    if missing:
        raise RuntimeError(f"this kernel does not have {', '.join(missing)}")
