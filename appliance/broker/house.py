"""The folder of a broker, as mosquitto reads it: configuration, accounts, and of a house its authority.

Laws: whatever is made here lets nobody in without an account, and speaks in plain text on loopback alone.
The folder is the broker's, which may put anything there: root follows no link of it, and keeps the
authority's key to itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import re
import signal
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import sleep as pause

from appliance.broker.authority import Authority, Issued
from appliance.broker.pages import page_certificate
from appliance.broker.passwords import NAME, PasswordFile, check_name, fits, new_password
from appliance.broker.places import (
    AUTHORITY_KEY,
    BROKER_USER,
    CONFIGURATION,
    FOLDER,
    OWN_PID_FILE,
    PID_FILE,
    SYSTEM_CONFIGURATION,
)
from appliance.errors import ApplianceError
from appliance.loading.shipped import shipped
from appliance.whole_file import private_folder, rename, write_whole

log = logging.getLogger(__name__)

ACL, PASSWORDS = "acl", "passwords"
CERTIFICATES = "certificates"
"""In the folder: the certificates that were given to devices, without their keys."""
OF_A_HOUSE, OF_ONE_COMPUTER = "new --host", "new --local"
"""How the shipped configuration names the one of its two parts that is left out of the other's."""
PAGES = "pages.pem"
"""In the folder, where pages are to meet another certificate than everybody else: it, and its key."""
FOR_PAGES = "8884"
"""The listener of a house that pages come to, as the shipped configuration has it."""
STARTS_S, LOOK_S = 3.0, 0.02
"""How long a broker that only starts is waited for until it can be told something; how often is looked."""
HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
ROOT = re.compile(r"[^+#\s/\x00]+(/[^+#\s/\x00]+)*")


class NoBroker(ApplianceError):
    """There is no broker's folder, or it is in the way."""

    code = "no_broker"


class House:
    """One broker's folder. Its methods block, and raise OSError where the disk does."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """`folder` is where `new` has put everything, or will."""
        self.folder = folder.absolute()
        self.passwords = PasswordFile(self.folder / PASSWORDS)

    def new(
        self,
        hosts: Sequence[str],
        *,
        device: str,
        root: str = "appliance",
        pages: bytes | None = None,
    ) -> None:
        """Make everything that is not there yet; an authority and passwords that are there stay.

        `hosts` are the names and addresses under which the broker is reached. `pages` (PEM) is another
        certificate, and its key, for who comes over WebSocket; one that is there stays. Raises NoBroker,
        NoPage where `pages` are not both, and belong together.
        """
        for host in hosts:
            if not HOST.fullmatch(host):
                raise NoBroker(f'"{host}" is no name of a host, and no address')
        if pages is not None:
            pages = page_certificate(pages)
        self._begin(device, root)
        issued = self._issue(self._authority_or_new(hosts), hosts)
        private_folder(self.folder / CERTIFICATES)
        self._write("server.key", issued.key)
        self._write("server.crt", issued.certificate)
        if pages is not None:
            self._write(PAGES, pages)
        self._lay_out(device, root, without=OF_ONE_COMPUTER)

    def renew_pages(self, pem: bytes, authority: bytes) -> bool:
        """Take another certificate for pages, where they have their own; False where it is the same.

        `authority` (PEM) is to have signed it. Raises NoPage, and then nothing is changed.
        """
        file = self.folder / PAGES
        if not file.exists():
            return False
        good = page_certificate(pem, authority)
        if file.read_bytes() == good:
            return False
        self._write(PAGES, good)
        self.belong()
        return True

    def new_local(
        self, names: Sequence[str], *, device: str, root: str = "appliance"
    ) -> Mapping[str, Path]:
        """The same for this computer alone: on loopback, so without TLS, and to be started by hand.

        Gives the files with the passwords of `names`; those that are good stay. Raises NoAccount, NoBroker.
        """
        for name in names:
            check_name(name)
        self._begin(device, root)
        self._lay_out(device, root, without=OF_A_HOUSE, head=self._by_hand())
        files = {name: self.folder / f"{name}.password" for name in names}
        for name, file in files.items():
            kept = self.passwords.accounts().get(name)
            if kept is None or not file.exists() or not fits(file.read_text().strip(), kept):
                password = new_password()
                self._write(file.name, f"{password}\n".encode())
                self.passwords.make(name, password)
        self.belong()
        return files

    def _begin(self, device: str, root: str) -> None:
        """The folder itself. Raises NoBroker."""
        if not (NAME.fullmatch(device) and ROOT.fullmatch(root)):
            raise NoBroker(f"{root}/device/{device} is no topic of a device")
        private_folder(self.folder)
        self.folder.chmod(0o700)
        self.belong()  # what is written into it follows

    def _lay_out(self, device: str, root: str, *, without: str, head: str = "") -> None:
        """Configuration, ACL and accounts, the last only where there are none."""
        text = _without(without, self._filled(CONFIGURATION, device, root))
        self._write(CONFIGURATION, f"{head}{text}".encode())
        self._write(ACL, self._filled(ACL, device, root).encode())
        if not (self.folder / PASSWORDS).exists():
            self._write(PASSWORDS, b"")
        self.belong()

    def _by_hand(self) -> str:
        """What the system's own configuration says of a broker that it starts."""
        # root's broker would become somebody who cannot read what is in root's home
        user = "" if os.geteuid() else "user root\n"
        return f"{user}pid_file {self.folder / OWN_PID_FILE}\nlog_dest stderr\n\n"

    def renew(self, hosts: Sequence[str], pages: bytes) -> None:
        """Certificates for other names and addresses, of pages too where they have their own.

        What has no name in it stays: configuration, ACL and accounts. Raises NoAuthority, NoBroker, NoPage.
        """
        self._must_be_there()
        pages = page_certificate(pages)
        issued = self._issue(self.authority(), hosts)
        self._write("server.key", issued.key)
        self._write("server.crt", issued.certificate)
        if (self.folder / PAGES).exists():
            self._write(PAGES, pages)
        self.belong()

    def authority(self) -> Authority:
        """Who signs for this house. Raises NoAuthority."""
        return Authority.load(self.folder)

    def make(self, name: str) -> str:
        """A password for an account, new or not. Raises NoAccount, NoBroker."""
        self._must_be_there()
        password = self.passwords.make(name)
        self.belong()
        return password

    def certify(self, name: str, to: Path) -> tuple[Path, Path]:
        """A certificate for an account, and its key, as `<name>.crt` and `<name>.key` in `to`."""
        self._must_be_there()
        check_name(name)
        issued = self.authority().for_client(name)
        kept = len(list((self.folder / CERTIFICATES).glob(f"{name}.[0-9]*")))
        self._write(f"{CERTIFICATES}/{name}.{kept}.crt", issued.certificate)
        certificate, key = to / f"{name}.crt", to / f"{name}.key"
        write_whole(key, issued.key)
        write_whole(certificate, issued.certificate)
        self.belong()
        return certificate, key

    def remove(self, name: str) -> bool:
        """Take an account's password away, and revoke its certificates; False where it had neither."""
        self._must_be_there()
        check_name(name)
        there = self.passwords.remove(name)
        given = self._given_to(name)
        if given:
            self.authority().revoke([file.read_bytes() for file in given])
            for file in given:
                rename(file, file.with_suffix(".revoked"))
        self.belong()
        return there or bool(given)

    def reload(self, pid_file: Path | None = None) -> bool:
        """Have the broker read passwords and revoked certificates anew; False where none runs.

        Without a `pid_file` it is the one that was started by hand, else the system's. Who is connected by
        what is good no more is thrown out.
        """
        if pid_file is not None:
            return _tell_by(pid_file)
        files = (self.folder / OWN_PID_FILE, PID_FILE)
        return any(_tell_by(file) for file in files) or any(_tell(pid) for pid in _started_with())

    def belong(self) -> None:
        """Where root has written: what is in the folder belongs to the broker, which is to read it, but for
        the authority's key. Nothing is done where there is no folder.
        """
        if os.geteuid() != 0 or not self.folder.is_dir():
            return
        with contextlib.suppress(KeyError):  # without such a user root runs the broker
            broker = pwd.getpwnam(BROKER_USER)
            top = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fchown(top, broker.pw_uid, broker.pw_gid)
                _keep_key(top)
                _give(top, broker.pw_uid, broker.pw_gid)
                os.fsync(top)
            finally:
                os.close(top)

    def _given_to(self, name: str) -> list[Path]:
        return sorted((self.folder / CERTIFICATES).glob(f"{name}.[0-9]*.crt"))

    def _must_be_there(self) -> None:
        """Raises NoBroker."""
        if not (self.folder / PASSWORDS).exists():
            raise NoBroker(f"{self.folder} is no broker's folder: appliance broker new makes one")

    def _issue(self, authority: Authority, hosts: Sequence[str]) -> Issued:
        """The broker's own certificate. Raises NoBroker."""
        if others := [host for host in hosts if not authority.covers(host)]:
            raise NoBroker(
                f"the authority in {self.folder} is not believed for {', '.join(others)}, only for names"
                " and addresses of a house and those that it was made with; --folder makes another"
            )
        return authority.for_server(hosts)

    def _authority_or_new(self, hosts: Sequence[str]) -> Authority:
        if (self.folder / AUTHORITY_KEY).exists():
            authority = self.authority()
            if not (self.folder / "clients.crl").exists():
                authority.revoke(())
            return authority
        return Authority.make(self.folder, f"The broker of {hosts[0]}", hosts)

    def _filled(self, name: str, device: str, root: str) -> str:
        """A shipped file with this folder, this root and this device in it."""
        text = shipped(f"mosquitto/{name}").read_text("utf-8")
        text = text.replace(str(FOLDER), str(self.folder))
        if name == CONFIGURATION and (self.folder / PAGES).exists():
            text = _with_pages(text)
        if name == ACL:
            text = re.sub(r"\bappliance/(?=call|presence|device)", lambda _: f"{root}/", text)
            text = text.replace("/front-door/", f"/{device}/")
        return text

    def _write(self, name: str, data: bytes) -> None:
        write_whole(self.folder / name, data)


def _without(part: str, text: str) -> str:
    """The shipped configuration without one of its two parts, each of which goes up to the next heading."""
    found = re.search(rf"(?ms)^# -+ [^\n]*\(`{part}`\)\n.*?(?=^# -{{20}} )", text)
    assert found is not None, f"the shipped configuration has no part of {part}"
    return text.replace(found[0], "")


def _with_pages(text: str) -> str:
    """The configuration with pages' own certificate at the listener that they come to."""
    before, listener, rest = text.partition(f"\nlistener {FOR_PAGES}\n")
    of_pages, blank, after = rest.partition("\n\n")
    changed = re.sub(r"(?m)^(certfile|keyfile) (.*)/server\.\w+$", rf"\1 \2/{PAGES}", of_pages)
    assert changed.count(PAGES) == 2, "the shipped configuration has no listener for pages"
    return f"{before}{listener}{changed}{blank}{after}"


def _keep_key(top: int) -> None:
    """The authority's key in the folder that is open as `top`: root's, whosever it was before."""
    try:
        key = os.open(AUTHORITY_KEY, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=top)
    except OSError:  # none; or a link, which is nobody's key
        return
    try:
        if stat.S_ISREG(os.fstat(key).st_mode):
            os.fchown(key, 0, 0)
            os.fchmod(key, 0o600)
    finally:
        os.close(key)


def _give(top: int, user: int, group: int) -> None:
    """Give all that is below an open folder to a user, who may be changing it: by open folders, not by
    paths. A hard link to what is another's the kernel lets nobody make (`fs.protected_hardlinks`).
    """
    for at, folders, files, folder in os.fwalk(".", dir_fd=top, follow_symlinks=False):
        for name in (*folders, *files):
            if (at, name) != (".", AUTHORITY_KEY):
                with contextlib.suppress(FileNotFoundError):  # it has another name by now
                    os.chown(name, user, group, dir_fd=folder, follow_symlinks=False)


def _tell_by(pid_file: Path) -> bool:
    """Tell the one whose number is in a file; False where nobody was told."""
    try:
        return _tell(int(pid_file.read_text()))
    except (OSError, ValueError) as error:
        log.info("no broker was told to read its accounts anew: %s", error)
        return False


def _tell(pid: int) -> bool:
    """That something has changed; False where that is no broker, or none that may be told."""
    until = time.monotonic() + STARTS_S
    try:
        while True:
            if Path(f"/proc/{pid}/comm").read_text().strip() != "mosquitto":
                return False  # it has ended, and another has its number
            if _hears(pid):
                os.kill(pid, signal.SIGHUP)
                return True
            if time.monotonic() > until:
                log.warning("the broker starts, and does not become ready: it was told nothing")
                return False
            pause(LOOK_S)
    except OSError as error:
        log.info("no broker was told to read its accounts anew: %s", error)
        return False


def _hears(pid: int) -> bool:
    """Whether a process has a handler for what it is told by. One that only starts has none yet: it would
    end of it.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.search(r"(?m)^SigCgt:\s*([0-9a-f]+)$", status)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGHUP - 1) & 1)


def _started_with() -> Iterator[int]:
    """The numbers of those who were started with the system's configuration."""
    wanted = os.fsencode(SYSTEM_CONFIGURATION)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if wanted in (process / "cmdline").read_bytes().split(b"\0"):
                yield int(process.name)
