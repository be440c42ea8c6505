"""Of several connections with one endpoint the newest that is up is heard and seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from appliance.calls.inputs import Input, PeerKey, SpeakerChanged
from appliance.media.audience import Audience, voice
from appliance.media.base import SILENT_FRAME

if TYPE_CHECKING:
    from appliance.media.base import Rgb

OLD, NEW = PeerKey("call", "alice", "phone", 1), PeerKey("call", "alice", "phone", 2)
BOB = PeerKey("call", "bob", "phone")
LOUD = (8000 * np.sin(np.arange(960) / 10)).astype("<i2").tobytes()
PICTURE = np.zeros((2, 2, 3), np.uint8)


class Room:
    """A loudspeaker and a screen that write down what they are told."""

    framerate = 10

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.removed: list[str] = []
        self.shown: list[tuple[str, bool]] = []
        self.ended: list[tuple[str, bool]] = []
        self.reports: list[Input] = []

    def push(self, participant: str, frame: bytes) -> None:
        self.heard.append(participant)

    def remove(self, participant: str) -> None:
        self.removed.append(participant)

    def show(self, uid: str, endpoint: str, screen: bool, frame: Rgb, /) -> None:
        self.shown.append((uid, screen))

    def gone(self, uid: str, endpoint: str, screen: bool, /) -> None:
        self.ended.append((uid, screen))


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
async def audience(room: Room) -> Audience:
    return Audience(lambda: room, room, room.reports.append)


async def test_before_it_is_up_nothing_of_a_connection_counts(
    room: Room, audience: Audience
) -> None:
    audience.heard(OLD, LOUD)
    audience.saw(OLD, False, PICTURE)
    assert (room.heard, room.shown) == ([], [])


async def test_the_newer_counts_from_when_it_is_up_and_the_older_again_without_it(
    room: Room, audience: Audience
) -> None:
    audience.joined(OLD)
    audience.heard(OLD, LOUD)
    audience.heard(NEW, LOUD)
    audience.joined(NEW)
    assert voice(OLD) in room.removed
    audience.heard(OLD, LOUD)
    audience.heard(NEW, LOUD)
    audience.left(NEW)
    audience.heard(OLD, LOUD)
    assert room.heard == [voice(OLD), voice(NEW), voice(OLD)]


async def test_a_picture_is_gone_only_when_nobody_goes_on_showing_it(
    room: Room, audience: Audience
) -> None:
    audience.joined(OLD)
    audience.saw(OLD, False, PICTURE)
    audience.saw(OLD, True, PICTURE)
    audience.joined(NEW)
    audience.saw(OLD, False, PICTURE)
    audience.saw(NEW, False, PICTURE)
    assert len(room.shown) == 3
    audience.left(OLD)
    assert room.ended == [("alice", True)], "the newer has no screen"
    audience.dark(NEW, screen=False)
    audience.dark(NEW, screen=False)
    assert room.ended == [("alice", True), ("alice", False)]


async def test_the_speaker_is_told_for_each_call_and_not_again_for_a_replacement(
    room: Room, audience: Audience
) -> None:
    for key in (OLD, BOB, NEW):
        audience.joined(key)
        for _ in range(50):
            audience.heard(key, LOUD if key != BOB else SILENT_FRAME)
    assert room.reports == [SpeakerChanged(OLD)]
    other = PeerKey("second", "bob", "phone")
    audience.joined(other)
    for _ in range(50):
        audience.heard(other, LOUD)
    assert room.reports[1:] == [SpeakerChanged(other)]
    for key in (OLD, NEW, BOB, other):
        audience.left(key)
    assert audience._loudest == {}
