"""The folder of a house's broker, as mosquitto reads it: configuration, authority, accounts."""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import re
import signal
from collections.abc import Sequence
from pathlib import Path

from appliance.broker.authority import Authority
from appliance.broker.passwords import NAME, PasswordFile, check_name
from appliance.broker.places import BROKER_USER, CONFIGURATION, FOLDER, PID_FILE
from appliance.errors import ApplianceError
from appliance.loading.shipped import shipped
from appliance.whole_file import private_folder, rename, sync_folder, write_whole

log = logging.getLogger(__name__)

ACL, PASSWORDS = "acl", "passwords"
CERTIFICATES = "certificates"
"""In the folder: the certificates that were given to devices, without their keys."""
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

    def new(self, hosts: Sequence[str], *, device: str, root: str = "appliance") -> None:
        """Make everything that is not there yet; an authority and passwords that are there stay.

        `hosts` are the names and addresses under which the broker is reached. Raises NoBroker.
        """
        for host in hosts:
            if not HOST.fullmatch(host):
                raise NoBroker(f'"{host}" is no name of a host, and no address')
        if not (NAME.fullmatch(device) and ROOT.fullmatch(root)):
            raise NoBroker(f"{root}/device/{device} is no topic of a device")
        private_folder(self.folder)
        self.folder.chmod(0o700)
        self.belong()  # what is written into it follows
        authority = self._authority_or_new(hosts[0])
        private_folder(self.folder / CERTIFICATES)
        issued = authority.for_server(hosts)
        self._write("server.key", issued.key)
        self._write("server.crt", issued.certificate)
        for name in (CONFIGURATION, ACL):
            self._write(name, self._filled(name, device, root).encode())
        if not (self.folder / PASSWORDS).exists():
            self._write(PASSWORDS, b"")
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

    def reload(self, pid_file: Path = PID_FILE) -> bool:
        """Have the broker read passwords and revoked certificates anew; False where none runs.

        Who is connected by what is good no more is thrown out.
        """
        try:
            pid = int(pid_file.read_text())
            if Path(f"/proc/{pid}/comm").read_text().strip() != "mosquitto":
                return False  # it has ended, and another has its number
            os.kill(pid, signal.SIGHUP)
        except (OSError, ValueError) as error:
            log.info("no broker was told to read its accounts anew: %s", error)
            return False
        return True

    def belong(self) -> None:
        """Where root has written: what is in the folder belongs to the broker, which is to read it."""
        if os.geteuid() != 0:
            return
        with contextlib.suppress(KeyError):  # without such a user root runs the broker
            broker = pwd.getpwnam(BROKER_USER)
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, broker.pw_uid, broker.pw_gid, follow_symlinks=False)
            sync_folder(self.folder)

    def _given_to(self, name: str) -> list[Path]:
        return sorted((self.folder / CERTIFICATES).glob(f"{name}.[0-9]*.crt"))

    def _must_be_there(self) -> None:
        """Raises NoBroker."""
        if not (self.folder / PASSWORDS).exists():
            raise NoBroker(f"{self.folder} is no broker's folder: appliance broker new makes one")

    def _authority_or_new(self, name: str) -> Authority:
        if (self.folder / "ca.key").exists():
            authority = self.authority()
            if not (self.folder / "clients.crl").exists():
                authority.revoke(())
            return authority
        return Authority.make(self.folder, f"The broker of {name}")

    def _filled(self, name: str, device: str, root: str) -> str:
        """A shipped file with this folder, this root and this device in it."""
        text = shipped(f"mosquitto/{name}").read_text("utf-8")
        text = text.replace(str(FOLDER), str(self.folder))
        if name == ACL:
            text = re.sub(r"\bappliance/(?=call|presence|device)", lambda _: f"{root}/", text)
            text = text.replace("/front-door/", f"/{device}/")
        return text

    def _write(self, name: str, data: bytes) -> None:
        write_whole(self.folder / name, data)
