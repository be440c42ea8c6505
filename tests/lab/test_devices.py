"""Pictures and sound through the kernel, beside no daemon: bodies for the guest's own pytest."""

from __future__ import annotations

import pytest

from tests.lab.inside import passes
from tests.lab.machine import Machine


@pytest.mark.thorough
def test_camera_encoder_and_card_of_the_kernel_s(lab: Machine) -> None:
    """In one process: what it imports takes longer than most of them."""
    bodies = ("camera", "encoder", "sound")
    passes(lab, " ".join(f"tests/lab/within/{body}.py" for body in bodies))
