"""A real coturn in a place of a network lab, which lets in who knows its secret (TURN REST)."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.parts.need import program
from tests.parts.netlab import Place

PORT = 3478
START_S = 20.0


class Coturn:
    """The server; the end of the lab ends it."""

    def __init__(self, place: Place, folder: Path, secret: str) -> None:
        self.address = place.address
        self.log_file = folder / "coturn.log"
        self.secret_file = folder / "turn.secret"
        self.secret_file.write_text(secret)
        config = folder / "turnserver.conf"
        config.write_text(
            f"listening-ip={place.address}\nrelay-ip={place.address}\nlistening-port={PORT}\n"
            f"use-auth-secret\nstatic-auth-secret={secret}\nrealm=home.example\n"
            f"no-tls\nno-dtls\nno-cli\nfingerprint\nverbose\nlog-file=stdout\n"
            f"pidfile={folder}/turnserver.pid\nuserdb={folder}/turndb\n"
        )
        with self.log_file.open("ab") as log:
            place.start(
                [program("turnserver", "coturn"), "-c", config], stdout=log, stderr=log, cwd=folder
            )
        self._until_it_listens()

    @property
    def log(self) -> str:
        """What it has logged."""
        return self.log_file.read_text(errors="replace")

    def _until_it_listens(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((self.address, PORT)) == 0:
                    return
            time.sleep(0.05)
        pytest.fail(f"coturn did not start:\n{self.log}", pytrace=False)


def environ(server: Coturn) -> dict[str, str]:
    """What tells a daemon of it."""
    servers = f'[{{urls = ["turn:{server.address}:{PORT}"], secret_file = "{server.secret_file}"}}]'
    return {"APPLIANCE__MEDIA__ICE_SERVERS": servers}
