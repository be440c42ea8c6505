"""Pins, pictures and sound through the kernel, beside no daemon: bodies for the guest's own pytest."""

from __future__ import annotations

from tests.lab.inside import passes
from tests.lab.machine import Machine


def test_pictures_come_from_libcamera_by_picamera2(lab: Machine) -> None:
    passes(lab, "tests/lab/within/camera.py")


def test_pictures_go_through_an_encoder_of_the_kernel_s(lab: Machine) -> None:
    passes(lab, "tests/lab/within/encoder.py")


def test_sound_goes_through_alsa(lab: Machine) -> None:
    passes(lab, "tests/lab/within/sound.py")


def test_the_contract_of_every_board_holds_for_lgpio_on_lines_of_the_kernel(lab: Machine) -> None:
    passes(lab, "tests/lab/within/pins.py")
