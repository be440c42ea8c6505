"""An update up to the restart: real bundles, the real handler, RAUC's stand-in for the writing."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from pathlib import Path

import pytest

from appliance import __version__
from appliance.updating import installing, quiet, slots, versions, wellness
from appliance.updating.rauc import CannotUpdate
from tests.updating import bundles
from tests.updating.conftest import Device, Published


@pytest.fixture(autouse=True)
def _well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wellness, "troubles", lambda: {"camera": "is unplugged"})
    monkeypatch.setattr(quiet, "until_quiet", lambda say: say("nobody is disturbed"))


def test_it_is_looked_at_waited_for_written_waited_for_and_tried(
    device: Device, published: Published
) -> None:
    said: list[str] = []
    installing.install(str(published.good), said.append)
    assert [one.partition(" ")[2] for one in said if " % " in one] == [
        "% Installing", "% Copying image to system", "% Installing done",
    ]  # fmt: skip
    waited = [place for place, one in enumerate(said) if one == "nobody is disturbed"]
    assert len(waited) == 2
    assert "signed by who may" in said[waited[0] - 1]
    assert "restarts into it" in said[waited[1] - 1]
    assert device.restarted_with() == ["reboot --reboot-argument=0 tryboot"]
    assert device.pi.status()["other"] == "tried"
    assert device.pi.boots(tryboot=True) == "B"
    noted = installing.before()
    assert noted is not None
    assert (noted.version, dict(noted.troubles)) == ("9.0", {"camera": "is unplugged"})


def untouched(device: Device, file: Path) -> str:
    """It is refused, and not a byte of the other slot was to be written."""
    before = device.pi.autoboot.read_bytes()
    with pytest.raises(CannotUpdate) as refusal:
        installing.install(str(file), lambda _: None)
    assert device.pi.autoboot.read_bytes() == before
    assert device.restarted_with() == []
    return str(refusal.value)


def test_of_another_publisher(device: Device, tmp_path: Path) -> None:
    other = bundles.bundle(tmp_path / "other.raucb", bundles.keys(tmp_path / "other"))
    assert "does not know" in untouched(device, other)


def test_for_another_device(device: Device, published: Published, tmp_path: Path) -> None:
    other = bundles.bundle(tmp_path / "other.raucb", published.keys, device="pi5")
    assert "is for appliance-pi5, and this is appliance-paper" in untouched(device, other)


def test_older_than_what_runs_is_only_for_who_says_so(
    device: Device, published: Published, tmp_path: Path
) -> None:
    old = bundles.bundle(tmp_path / "old.raucb", published.keys, version="0.0.9")
    assert "which is no older" in untouched(device, old)
    assert installing.newest(str(old)) is None
    installing.install(str(old), lambda _: None, older=True)
    assert device.pi.status()["other"] == "tried"


def test_a_fix_of_the_system_alone_is_made_once(
    device: Device, published: Published, tmp_path: Path
) -> None:
    """Around the same appliance, by a version before its next; by night it would be made for ever."""
    major, minor, patch = __version__.split(".")
    fix, other, of_before = (f"{major}.{minor}.{int(patch) + 1}-{each}" for each in (2, 3, 1))
    files = [
        str(bundles.bundle(tmp_path / f"{each}.raucb", published.keys, version=each))
        for each in (fix, other, of_before, __version__)
    ]
    assert installing.newest(files[0]) is not None
    versions.SYSTEM.write_text(
        f"{fix}\n"
    )  # what is in it, as it runs then, or as its card was written
    assert [installing.newest(file) is not None for file in files] == [False, True, False, False]
    for file in (files[0], files[2], files[3]):
        assert f"; {fix} runs, which is no older" in untouched(device, Path(file))


@pytest.mark.parametrize("said", [b"", b"\n", b"\xff"])
def test_a_system_that_says_no_version_is_its_appliance_s(device: Device, said: bytes) -> None:
    assert versions.running() == __version__
    versions.SYSTEM.write_bytes(said)
    assert versions.running() == __version__


def test_while_another_is_under_way(device: Device, published: Published) -> None:
    installing.LOCK.parent.mkdir()
    with installing.LOCK.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "under way already" in untouched(device, published.good)


def test_while_what_runs_is_itself_tried(device: Device, published: Published) -> None:
    device.pi.has("A", "tried")
    device.pi.runs("B")
    assert "being tried itself" in untouched(device, published.good)


def test_a_write_that_fails_leaves_what_runs(device: Device, published: Published) -> None:
    (device.pi.folder / "fails").write_text(
        "Failed updating slot system.1: No space left on device"
    )
    with pytest.raises(CannotUpdate, match="No space left"):
        installing.install(str(published.good), lambda _: None)
    assert device.restarted_with() == []
    assert device.pi.boots(tryboot=True) == "A"
    assert device.pi.status()["other"] == "bad"


def test_what_was_written_before_power_was_lost_can_be_tried(
    device: Device, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_say: object) -> Mapping[str, str]:
        raise CannotUpdate("power is lost here")

    monkeypatch.setattr(wellness, "troubles", lambda: lost(None))
    with pytest.raises(CannotUpdate):
        installing.install(str(published.good), lambda _: None)
    monkeypatch.setattr(wellness, "troubles", dict)
    assert device.pi.boots() == "A"
    installing.resume(lambda _: None)
    assert device.restarted_with() == ["reboot --reboot-argument=0 tryboot"]
    with pytest.raises(slots.NoSlots, match="no slot to be tried"):
        installing.resume(lambda _: None)


def test_a_restart_that_cannot_be_had_is_no_trial_that_failed(
    device: Device, published: Published
) -> None:
    """What was written stays to be tried, and the next start is not one after a trial."""
    works = device.systemctl.read_text()
    device.systemctl.write_text("#!/bin/sh\necho Failed to talk to init daemon. >&2\nexit 1\n")
    with pytest.raises(CannotUpdate, match=r"Failed to talk to init daemon\.; .* resume` tries it"):
        installing.install(str(published.good), lambda _: None)
    assert device.pi.boots() == "A"
    assert (device.pi.status()["other"], device.pi.status()["fell_back"]) == ("new", "no")
    device.systemctl.write_text(works)
    installing.resume(lambda _: None)
    assert device.restarted_with() == ["reboot --reboot-argument=0 tryboot"]
    assert device.pi.boots(tryboot=True) == "B"


def test_without_a_systemctl_no_restart_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotUpdate, match="systemctl"):
        installing.restart()


def test_what_was_tried_and_left_is_known_by_its_version(
    device: Device, published: Published
) -> None:
    bundle = installing.candidate(str(published.good))
    assert not installing.given_up(bundle, slots.status())
    installing.install(str(published.good), lambda _: None)
    device.pi.boots(tryboot=True)
    device.pi.boots()
    assert installing.given_up(bundle, slots.status())
    device.pi.has("A", "good")
    assert not installing.given_up(bundle, slots.status())


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"version": 3, "troubles": {}}', "\xff", "[" * 9000]
)
def test_a_note_that_makes_no_sense_is_none(device: Device, text: str) -> None:
    assert installing.before() is None
    (installing.DATA / installing.BEFORE).write_bytes(text.encode("latin-1"))
    assert installing.before() is None
