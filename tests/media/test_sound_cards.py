"""Which cards there are, in a folder that looks as the kernel's does."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.media.pcm import Direction
from appliance.media.sound_cards import SoundCards

PLAYBACK, CAPTURE = Direction


class Kernel:
    """What the kernel shows of its cards."""

    def __init__(self, folder: Path) -> None:
        self.nodes, self.about = folder / "dev", folder / "proc"
        self.cards = SoundCards(self.nodes, self.about)

    def plug(self, number: int, name: str, *nodes: str) -> None:
        for folder in (self.nodes, self.about / f"card{number}"):
            folder.mkdir(parents=True, exist_ok=True)
        (self.about / f"card{number}" / "id").write_text(f"{name}\n")
        for node in (f"controlC{number}", *(f"pcmC{number}{node}" for node in nodes)):
            (self.nodes / node).touch()

    def unplug(self, number: int) -> None:
        (self.about / f"card{number}" / "id").unlink()
        (self.about / f"card{number}").rmdir()
        for node in self.nodes.glob(f"*C{number}*"):
            node.unlink()


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hw:1,0", True),
        ("hw:1", True),
        ("hw:1,1", False),
        ("plughw:CARD=Box,DEV=0", True),
        ("plughw:Box", True),
        ("hw:CARD=Box,DEV=3", False),
        ("hw:0,0", False),
        ("plughw:CARD=Other,DEV=0", False),
        ("sysdefault:CARD=Box", True),
        ("default:CARD=Other", False),
        ("dmix:CARD=Box,DEV=0,RATE=48000", True),
        ("default", None),
        ("intercom", None),
        ("bluealsa:DEV=00:11:22:33:44:55,PROFILE=sco", None),
        ("plug:hw", None),
    ],
)
def test_a_card_is_found_by_its_number_and_by_its_id(
    kernel: Kernel, name: str, expected: bool | None
) -> None:
    kernel.plug(1, "Box", "D0p", "D0c")
    assert kernel.cards.has(name, PLAYBACK) is expected


def test_a_card_may_have_one_end_only(kernel: Kernel) -> None:
    kernel.plug(2, "Headphones", "D0p")
    assert kernel.cards.has("hw:Headphones", PLAYBACK) is True
    assert kernel.cards.has("hw:Headphones", CAPTURE) is False


def test_coming_and_going_is_seen(kernel: Kernel) -> None:
    seen = [kernel.cards.seen()]
    assert not kernel.cards.any()
    kernel.plug(0, "Box", "D0p")
    seen.append(kernel.cards.seen())
    assert kernel.cards.any()
    kernel.unplug(0)
    seen.append(kernel.cards.seen())
    assert seen[0] == seen[2] != seen[1]


def test_what_is_no_card_has_no_effect(kernel: Kernel) -> None:
    kernel.plug(0, "Box", "D0p")
    (kernel.about / "cards").touch()
    (kernel.about / "card9").mkdir()
    assert kernel.cards.has("hw:CARD=Box", PLAYBACK) is True
    assert kernel.cards.has("hw:CARD=cards", PLAYBACK) is False
