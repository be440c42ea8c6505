"""A Pi on paper with RAUC's stand-in on its PATH, and bundles of one publisher and of another."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.updating import installing, slots, versions
from tests.updating import bundles, rauc_standin
from tests.updating.paper import Pi


@dataclass(frozen=True)
class Published:
    """What publishers have made: bundles by what is the matter with them."""

    keys: Path
    good: Path
    folder: Path


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    bundles.needed()
    folder = tmp_path_factory.mktemp("published")
    keys = bundles.keys(folder / "keys")
    return Published(keys, bundles.bundle(folder / "good.raucb", keys), folder)


@dataclass(frozen=True)
class Device:
    """A device with two slots, and what systemd was asked for."""

    pi: Pi
    restarts: Path
    systemctl: Path

    def restarted_with(self) -> list[str]:
        return self.restarts.read_text().splitlines() if self.restarts.exists() else []


@pytest.fixture
def device(tmp_path: Path, published: Published, monkeypatch: pytest.MonkeyPatch) -> Device:
    """It runs slot A, by default; `rauc` and `systemctl` are on its PATH."""
    pi = Pi(tmp_path / "pi")
    pi.has("A", "good")
    pi.program()
    bundles.system_conf(pi.folder, published.keys)
    programs = rauc_standin.put(pi.folder, bundles.needed())
    restarts = tmp_path / "restarts"
    systemctl = programs / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {restarts}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("APPLIANCE_SOCKET", str(tmp_path / "none.sock"))
    monkeypatch.setattr(slots, "PROGRAM", pi.folder / "slots")
    monkeypatch.setattr(slots, "TOLD", pi.folder / "run" / "slots")
    monkeypatch.setattr(versions, "SYSTEM", tmp_path / "version")
    monkeypatch.setattr(installing, "DATA", pi.folder / "data")
    monkeypatch.setattr(installing, "LOCK", tmp_path / "run" / "lock")
    return Device(pi, restarts, systemctl)
