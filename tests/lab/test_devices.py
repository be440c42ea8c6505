"""Pins, pictures and sound through the kernel, beside no daemon: bodies for the guest's own pytest."""

from __future__ import annotations

from tests.lab.machine import Machine


def test_pictures_come_from_libcamera_by_picamera2(lab: Machine) -> None:
    _within(lab, "tests/lab/within/camera.py")


def test_sound_goes_through_alsa(lab: Machine) -> None:
    _within(lab, "tests/lab/within/sound.py")


def test_the_contract_of_every_board_holds_for_lgpio_on_lines_of_the_kernel(lab: Machine) -> None:
    """Once the interpreter ends, lgpio ends it by a fault: so it is not let end."""
    words = ["-p", "no:cacheprovider", "-q", "tests/lab/within/pins.py"]
    program = f"import os, pytest; code = pytest.main({words}); os._exit(code)"
    done = lab.run(f'cd /opt/source && python -u -c "{program}"', 600)
    assert done.ok, done.out
    assert " passed" in done.out, done.out


def _within(lab: Machine, what: str) -> None:
    """The guest's own pytest runs these bodies."""
    done = lab.run(f"cd /opt/source && python -m pytest -p no:cacheprovider -q {what}", 600)
    assert done.ok, done.out
    assert " passed" in done.out, done.out
    assert "skipped" not in done.out, done.out
