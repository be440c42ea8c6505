"""Pictures and sound through the kernel: bodies that the guest's own pytest runs, beside no daemon."""

from __future__ import annotations

from tests.lab.machine import Machine


def test_pictures_come_from_libcamera_by_picamera2(lab: Machine) -> None:
    _within(lab, "tests/lab/within/camera.py")


def test_sound_goes_through_alsa(lab: Machine) -> None:
    _within(lab, "tests/lab/within/sound.py")


def _within(lab: Machine, what: str) -> None:
    """The guest's own pytest runs these bodies."""
    done = lab.run(f"cd /opt/source && python -m pytest -p no:cacheprovider -q {what}", 600)
    assert done.ok, done.out
    assert " passed" in done.out, done.out
    assert "skipped" not in done.out, done.out
