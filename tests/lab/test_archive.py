"""A mirror is found without fetching anything, and one that does not answer is asked again, and told of."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.lab import archive
from tests.lab.archive import TRIES, NotThere, NotToBeHad, download, mirror
from tests.lab.stock import CannotBuildHere
from tests.parts.need import program, skip_or_fail


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose apt has fetched no index yet; its list of sources."""
    program("apt-get", "apt")
    monkeypatch.delenv("LAB_MIRROR", raising=False)
    sources, lists = tmp_path / "sources.list", tmp_path / "lists"
    lists.mkdir()
    told = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": lists,
        "Dir::Etc::trustedparts": "/usr/share/keyrings",
    }
    config = tmp_path / "apt.conf"
    config.write_text("".join(f'{key} "{value}";\n' for key, value in told.items()))
    monkeypatch.setenv("APT_CONFIG", str(config))
    return sources


def test_a_mirror_is_known_before_any_index_was_fetched(apt: Path) -> None:
    apt.write_text(
        "deb http://example.org/other stable main\n"
        "deb http://example.org/debian-security trixie-security main\n"
        "deb http://example.org/debian trixie contrib\n"
        "deb http://mirror.example.org/debian trixie contrib main\n"
    )
    assert mirror() == "http://mirror.example.org/debian/"


def test_a_machine_of_another_kind_is_told_what_to_name(apt: Path) -> None:
    apt.write_text("deb http://example.org/other stable main\n")
    with pytest.raises(CannotBuildHere, match="LAB_MIRROR="):
        mirror()


@contextmanager
def mirror_that_says(status: int) -> Iterator[str]:
    """One that has nothing for anybody, and tells why by a status of HTTP's; its address."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/debian"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [(503, NotToBeHad, "503"), (404, NotThere, "does not have a Release file")],
)
def test_who_does_not_answer_is_asked_again_and_told_of(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    kind: type[NotToBeHad],
    says: str,
) -> None:
    """What is busy, or is just being renewed, and what has no such suite."""
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists() or not shutil.which(
        "apt-get"
    ):
        skip_or_fail("Debian's keys are missing (apt install debian-archive-keyring)")
    monkeypatch.setattr(archive, "PAUSE_S", 0.01)
    monkeypatch.setattr(archive, "PATIENT", ())
    with mirror_that_says(status) as address:
        monkeypatch.setenv("LAB_MIRROR", address)
        with pytest.raises(NotToBeHad, match=says) as refused:
            download("linux-source-7.2", tmp_path)
    assert refused.type is kind
    assert capsys.readouterr().err.count("once more") == TRIES - 1
