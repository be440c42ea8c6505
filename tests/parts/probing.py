"""A program that tries what the unit grants and denies: `python -m tests.parts.probing FILE`.

FILE is written as JSON: for each attempt "granted", or the name of the error that it met. What it tries
stands beside what has to become of it in `tests/parts/sandbox.py`.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

PATIENCE_S = 60.0
"""A busy machine is slow, and a simulated one on it slower; only a fault waits so long."""
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET = 0x10000000, 0x00020000, 0x40000000
ADDR_NO_RANDOMIZE = 0x0040000
AF_BLUETOOTH = 31
"""Where Python was built without it."""
PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ = 39, 23
IPC_PRIVATE, IPC_RMID = 0, 0
CALL_NUMBERS = {
    "x86_64": {"init_module": 175, "perf_event_open": 298, "bpf": 321},
    "aarch64": {"init_module": 105, "perf_event_open": 241, "bpf": 280},
}
"""Of calls that C has no functions for: asm/unistd.h."""


def called(result: int) -> int:
    """The result of a call of C's; raises OSError where it has failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def system_call(name: str) -> Callable[[], object]:
    """A system call by its number, with nothing in its arguments."""
    return lambda: called(LIBC.syscall(CALL_NUMBERS[os.uname().machine][name], 0, 0, 0, 0, 0))


def write(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_text("probed")


def listing(path: str) -> Callable[[], object]:
    return lambda: list(Path(path).iterdir())


def reading(path: str) -> Callable[[], object]:
    return lambda: Path(path).read_bytes()


def opening(path: str) -> Callable[[], object]:
    """A device; that there is no driver behind it is after what is looked at here."""

    def attempt() -> None:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENODEV):
                raise

    return attempt


def connected(family: int, kind: int, protocol: int = 0) -> Callable[[], object]:
    return lambda: socket.socket(family, kind, protocol).close()


def program_in(folder: str) -> Callable[[], object]:
    """A program that lies there since a moment ago is run."""

    def attempt() -> None:
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".sh", delete=False) as file:
            file.write(b"#!/bin/sh\n")
        path = Path(file.name)
        path.chmod(0o700)
        try:
            subprocess.run([path], check=True)
        finally:
            path.unlink()

    return attempt


def run(path: str) -> Callable[[], object]:
    return lambda: subprocess.run([path], check=True)


def suid() -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).chmod(stat.S_ISUID | 0o755)


def written_and_run() -> None:
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC):
        pass


def made_executable() -> None:
    with mmap.mmap(-1, 4096) as memory:
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        try:
            called(LIBC.mprotect(ctypes.c_void_p(address), 4096, mmap.PROT_READ | mmap.PROT_EXEC))
        finally:
            import gc

            gc.collect()


def closure() -> None:
    """What ctypes makes for C to call, as libraries have it."""
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int)
    )
    numbers = (ctypes.c_int * 3)(3, 1, 2)
    LIBC.qsort(numbers, 3, 4, kind(lambda one, other: one[0] - other[0]))
    assert list(numbers) == [1, 2, 3]


def arrays() -> None:
    import numpy as np

    assert (np.ones((64, 64)) @ np.ones((64, 64)))[0, 0] == 64


def pictures() -> None:
    import av

    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    units = []
    for number in range(3):
        frame = av.VideoFrame(320, 240, "yuv420p")
        frame.pts = number
        units += encoder.encode(frame)
    assert units + encoder.encode(None)


def voices() -> None:
    """By the system's libopus, which ctypes loads."""
    from appliance.media.opus import decoder

    assert len(decoder().decode(b"\x08\xff\xfe"))  # a packet of silence (RFC 6716)


def handshake() -> None:
    """Two aiortc peers, as in a call."""
    from aiortc import RTCPeerConnection

    from appliance.media.handshakes import answer_in_c

    async def both() -> None:
        one, other, opened = RTCPeerConnection(), RTCPeerConnection(), asyncio.Event()
        one.createDataChannel("any").on("open", opened.set)
        await one.setLocalDescription(await one.createOffer())
        await other.setRemoteDescription(one.localDescription)
        await other.setLocalDescription(await other.createAnswer())
        await one.setRemoteDescription(other.localDescription)
        try:
            await asyncio.wait_for(opened.wait(), PATIENCE_S)
        finally:
            await one.close()
            await other.close()

    answer_in_c()
    asyncio.run(both())


def shared_memory() -> None:
    """As ALSA's dmix shares a card."""
    number = called(LIBC.shmget(IPC_PRIVATE, 4096, 0o600 | 0o1000))
    called(LIBC.shmctl(number, IPC_RMID, None))


def thread() -> None:
    one = threading.Thread(target=time.sleep, args=(0,))
    one.start()
    one.join()


def multicast() -> None:
    """As names of .local are asked for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        group = socket.inet_aton("224.0.0.251") + socket.inet_aton("127.0.0.1")
        asking.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)


def own_addresses() -> None:
    """By netlink."""
    import ifaddr

    assert list(ifaddr.get_adapters())


def no_capability() -> None:
    status = Path("/proc/self/status").read_text()
    held = {line.split()[1] for line in status.splitlines() if line.startswith("Cap")}
    assert held == {"0" * 16}, held


def no_new_privileges() -> None:
    assert LIBC.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1


def no_core() -> None:
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


def credential(name: str) -> Callable[[], object]:
    return lambda: (Path(os.environ["CREDENTIALS_DIRECTORY"]) / name).read_bytes()


def own_folder(name: str) -> Callable[[], object]:
    def attempt() -> None:
        folder = Path(os.environ[name])
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
        assert folder.stat().st_uid == os.getuid()

    return attempt


def here() -> None:
    """lgpio makes a pipe where it is started."""
    os.mkfifo("probed-pipe")
    Path("probed-pipe").unlink()


def its_alone() -> None:
    """What it writes without a thought."""
    path = Path(os.environ["STATE_DIRECTORY"]) / "probed-file"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    assert mode == 0o600, oct(mode)


def other_users() -> None:
    """A namespace in which there are two users maps no more than two."""
    ranges = Path("/proc/self/uid_map").read_text().splitlines()
    mapped = sum(int(line.split()[2]) for line in ranges)
    if mapped <= 2:
        raise PermissionError(errno.EPERM, "there are root and itself")


def as_root() -> None:
    assert os.getuid() != 0
    called(LIBC.setuid(0))


def given_away() -> None:
    with tempfile.NamedTemporaryFile() as file:
        os.chown(file.name, 0, 0)


def realtime() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def set_clock() -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def mounts_call() -> None:
    """Opens a folder by a call of those for mounts: it needs no privilege, so only the filter minds."""
    at_cwd = -100
    number = 428  # open_tree(2), on every kind of machine
    os.close(called(LIBC.syscall(number, at_cwd, b"/", 0)))


def traced() -> None:
    called(LIBC.ptrace(16, 1, None, None))  # PTRACE_ATTACH


ATTEMPTS: dict[str, Callable[[], object]] = {
    # what it is to do
    "keep its state": own_folder("STATE_DIRECTORY"),
    "make its socket": own_folder("RUNTIME_DIRECTORY"),
    "make a pipe where it is started": here,
    "write a passing file": lambda: tempfile.TemporaryFile().close(),
    "read its configuration": reading("/etc/appliance/appliance.toml"),
    "read which board it is": reading("/proc/cpuinfo"),
    "read how hot it is": listing("/sys/class"),
    "read a credential": credential("mqtt.password"),
    "run an installed program": run("/bin/true"),
    "run a hook": run("/etc/appliance/hooks.d/call_ended"),
    "start a thread": thread,
    "speak UDP": connected(socket.AF_INET, socket.SOCK_DGRAM),
    "speak UDP over IPv6": connected(socket.AF_INET6, socket.SOCK_DGRAM),
    "speak TCP": connected(socket.AF_INET, socket.SOCK_STREAM),
    "speak with this machine": connected(socket.AF_UNIX, socket.SOCK_STREAM),
    "ask for names of .local": multicast,
    "know its addresses": own_addresses,
    "be called by C": closure,
    "reckon": arrays,
    "encode pictures": pictures,
    "decode voices": voices,
    "connect with a peer": handshake,
    "share memory with a mixer": shared_memory,
    # and what it is not
    "write configuration": write("/etc/appliance/probed"),
    "write the system's": write("/etc/theirs/probed"),
    "write programs": write("/usr/theirs/probed"),
    "write its own program": write("/opt/appliance/theirs/probed"),
    "write another's state": write("/var/lib/theirs/probed"),
    "write the kernel's settings": write("/proc/sys/kernel/core_pattern"),
    "write control groups": write("/sys/fs/cgroup/probed"),
    "look into root's home": listing("/root"),
    "look into homes": listing("/home"),
    "look into the boot partition": listing("/boot"),
    "see another's passing file": reading("/tmp/theirs"),
    "be another user": other_users,
    "see other processes": listing("/proc/1"),
    "signal another process": lambda: os.kill(1, signal.SIGTERM),
    "trace another process": traced,
    "call what services do not call": mounts_call,
    "run what it has written": program_in(os.environ.get("STATE_DIRECTORY", "/var/lib/appliance")),
    "run a passing file": program_in("/tmp"),
    "run a file in memory that is shared": program_in("/dev/shm"),
    "write memory that is run": written_and_run,
    "run memory that was written": made_executable,
    "make a file that is root's when run": suid,
    "become root": as_root,
    "give a file away": given_away,
    "raise its priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -1),
    "run in real time": realtime,
    "set the clock": set_clock,
    "rename the machine": lambda: socket.sethostname("probed"),
    "make a namespace of users": lambda: called(LIBC.unshare(CLONE_NEWUSER)),
    "make a namespace of mounts": lambda: called(LIBC.unshare(CLONE_NEWNS)),
    "make a namespace of the network": lambda: called(LIBC.unshare(CLONE_NEWNET)),
    "mount": lambda: called(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
    "change its root": lambda: os.chroot("/tmp"),
    "be another kind of machine": lambda: called(LIBC.personality(ADDR_NO_RANDOMIZE)),
    "load a module": system_call("init_module"),
    "load a program into the kernel": system_call("bpf"),
    "watch the machine's counters": system_call("perf_event_open"),
    "speak raw packets": connected(socket.AF_PACKET, socket.SOCK_RAW),
    "speak raw IP": connected(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "speak Bluetooth": connected(AF_BLUETOOTH, socket.SOCK_RAW, 1),
    "speak with a hypervisor": connected(socket.AF_VSOCK, socket.SOCK_STREAM),
    "read the kernel's log": reading("/dev/kmsg"),
    "open memory": opening("/dev/test/memory"),
    "open the watchdog": opening("/dev/test/watchdog"),
    "open a loop device": opening("/dev/test/loop-control"),
    "open a terminal": opening("/dev/test/a-terminal"),
    "open a keyboard": opening("/dev/test/an-input"),
    # and how it is
    "write what is its alone": its_alone,
    "hold no capability": no_capability,
    "get none by a program": no_new_privileges,
    "leave no core": no_core,
}


def tried(attempt: Callable[[], object]) -> str:
    """What became of it."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "granted"


def threads() -> None:
    """All of them at once."""
    enough = threading.Event()
    started = []
    try:
        for _ in range(200):
            one = threading.Thread(target=enough.wait)
            one.start()
            started.append(one)
    finally:
        enough.set()
        for one in started:
            one.join()


ON_DEMAND: dict[str, Callable[[], object]] = {
    "start two hundred threads": threads,
    "open a GPIO chip": opening("/dev/gpiochip0"),
    "open a camera": opening("/dev/video0"),
    "open what a camera is made of": opening("/dev/media0"),
    "open memory for pictures": opening("/dev/dma_heap/system"),
    "open a sound card": opening("/dev/snd/controlC0"),
    "open its loudspeaker": opening("/dev/snd/pcmC0D0p"),
    "open a disk": opening("/dev/test/disk"),
    "open the screen": opening("/dev/test/screen"),
}
"""Only where the unit's limits are others, or where there are such devices."""

if __name__ == "__main__":
    names = sys.argv[2:] or list(ATTEMPTS)
    found = {name: tried((ATTEMPTS | ON_DEMAND)[name]) for name in names}
    Path(sys.argv[1]).write_text(json.dumps(found))
