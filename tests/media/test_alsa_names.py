"""Which names ALSA knows, with the real libasound and a configuration of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from appliance.media import alsa_names
from appliance.media.alsa_names import is_known
from appliance.media.pcm import Direction, open_pcm
from tests.media.soundlab import SoundLab, lab

__all__ = ["lab"]

ASKS_FOR_A_CARD = """
pcm.front { type hw card { @func card_inum strings [ "NoSuchCard" ] } }
"""

PATIENCE_S = 60.0

NAMES_WHILE_OTHERS_OPEN = """
import threading
from appliance.media.alsa_names import is_known
from appliance.media.pcm import Direction, open_pcm

def opens():
    while looks.is_alive():
        try:
            open_pcm(Direction.CAPTURE, "bogus")
        except OSError:
            pass

looks = threading.Thread(target=lambda: print({is_known("front") for _ in range(2000)}))
looks.start()
opens()
"""


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("microphone", True),
        ("pair", True),
        ("default", False),
        ("bogus", False),
        ("bluealsa:DEV=00:11:22:33:44:55", False),
        ("front", False),
        ("", False),
    ],
)
def test_a_name_is_known_by_its_definition_and_the_cards_that_it_asks_for(
    lab: SoundLab, name: str, known: bool
) -> None:
    lab.configuration.write_text(lab.configuration.read_text() + ASKS_FOR_A_CARD)
    assert is_known(name) is known


def test_what_is_not_known_cannot_be_opened_either(lab: SoundLab) -> None:
    for name in ("default", "bogus"):
        with pytest.raises(FileNotFoundError):
            open_pcm(Direction.CAPTURE, name)


def test_a_name_is_looked_up_while_another_thread_opens_and_nothing_is_remarked(
    lab: SoundLab,
) -> None:
    """Each has a lock that the other wants: in a process of its own, which stands still where they meet."""
    lab.configuration.write_text(ASKS_FOR_A_CARD)
    program = [sys.executable, "-c", NAMES_WHILE_OTHERS_OPEN]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert (done.stdout, done.stderr, done.returncode) == ("{False}\n", "", 0)


def test_it_is_looked_up_anew_each_time(lab: SoundLab) -> None:
    assert is_known("door") is False
    lab.configuration.write_text(lab.configuration.read_text() + "pcm.door { type null }\n")
    os.utime(lab.configuration, (2e9, 2e9))  # ALSA looks at whole seconds
    assert is_known("door") is True


def test_a_configuration_with_a_fault_says_nothing(lab: SoundLab) -> None:
    lab.configuration.write_text("pcm.microphone { type")
    assert is_known("microphone") is None


def test_without_alsa_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alsa_names, "libasound", lambda: None)
    assert is_known("bogus") is None
