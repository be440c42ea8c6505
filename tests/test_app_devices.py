"""What a call's devices do at command: a whole appliance, and a phone that sees, hears and talks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.commands import (
    EndCall,
    SetAudioMode,
    SetVolume,
    StartRecording,
    StopRecording,
    SwitchCamera,
)
from appliance.errors import Refused
from appliance.media.card import read_facing
from appliance.model import AudioMode, CameraFacing, Gesture
from appliance.signaling.broker import EmbeddedBroker
from tests.media.reading import read
from tests.parts.house import House, config_for, house
from tests.parts.phone import Phone, phone


@pytest.fixture
async def broker() -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker() as embedded:
        yield embedded


@pytest.fixture
async def door(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[House]:
    async with house(config_for(broker.port), tmp_path) as one:
        yield one


@asynccontextmanager
async def bob_calls(door: House) -> AsyncIterator[Phone]:
    """He has called the door and speaks at 880 Hz."""
    port = door.appliance.config.mqtt.port
    async with phone("bob", "127.0.0.1", port, version=4) as one:
        await one.call("c" * 32)
        await one.hear("ringing")
        await door.appliance.board.press("answer", Gesture.PRESS)
        await one.connected()
        await one.media.until(lambda: len(one.media.counters) > 10)
        await door.until_true(lambda: heard(door) is not None)
        yield one


def seen(phone: Phone) -> CameraFacing | None:
    return read_facing(phone.media.latest) if phone.media.latest else None


def media(door: House) -> dict[str, Any]:
    status = door.appliance.session.status()["media"]
    assert isinstance(status, dict)
    return status


def heard(door: House) -> float | None:
    tone_hz = media(door)["speaker"]["tone_hz"]
    return tone_hz if tone_hz and abs(tone_hz - 880) < 10 else None


async def test_the_camera_is_switched_in_a_call(door: House) -> None:
    async with bob_calls(door) as bob:
        assert seen(bob) is CameraFacing.FRONT
        assert await door.appliance.session.command(SwitchCamera()) == {"facing": "rear"}
        told = await door.until("camera_facing_changed")
        assert told["data"]["facing"] == "rear"
        assert media(door)["camera_facing"] == "rear"
        await bob.media.until(lambda: seen(bob) is CameraFacing.REAR)
        shown = len(bob.media.counters)
        await bob.media.until(lambda: len(bob.media.counters) > shown + 10)
        await door.appliance.session.command(EndCall())
        await door.until_true(lambda: media(door)["camera_facing"] == "front")


async def test_the_sound_moves_to_the_headphones_and_back_when_they_are_unplugged(
    door: House, tmp_path: Path
) -> None:
    async with bob_calls(door):
        await door.appliance.session.command(SetVolume(percent=40, output=AudioMode.HEADPHONES))
        await door.appliance.session.command(SetAudioMode(mode=AudioMode.HEADPHONES))
        told = await door.until(
            "audio_mode_changed", lambda item: item["data"]["mode"] == "headphones"
        )
        assert told["data"]["available"] == ["speaker", "earpiece", "bluetooth", "headphones"]
        assert (media(door)["audio_mode"], media(door)["volume_percent"]) == ("headphones", 40)
        await door.until_true(lambda: heard(door) is not None)
        assert media(door)["speaker"]["mode"] == "headphones"

        reader, writer = await asyncio.open_unix_connection(tmp_path / "appliance.sock")
        writer.write(b'{"id": 1, "plug": "headphones", "present": false}\n')
        assert json.loads(await reader.readline())["ok"] is True
        await door.until(
            "audio_mode_changed",
            lambda item: item["data"]["available"] == ["speaker", "earpiece", "bluetooth"],
        )
        writer.close()
        await writer.wait_closed()
        assert media(door)["audio_mode"] == "speaker"
        await door.until_true(lambda: heard(door) is not None)
        with pytest.raises(Refused, match="there is no headphones"):
            await door.appliance.session.command(SetAudioMode(mode=AudioMode.HEADPHONES))


async def test_a_call_is_recorded(door: House, tmp_path: Path) -> None:
    async with bob_calls(door) as bob:
        answer = await door.appliance.session.command(StartRecording())
        assert isinstance(answer, dict)
        path = Path(str(answer["path"]))
        assert path.parent == tmp_path / "state" / "recordings"
        assert media(door)["recording"] is True
        pictures = len(bob.media.counters)
        await bob.media.until(lambda: len(bob.media.counters) > pictures + 50)
        await door.appliance.session.command(StopRecording())
        stopped = await door.until("recording_stopped")
        assert stopped["data"]["path"] == str(path)
        found = read(path)
        assert found.duration_s == pytest.approx(stopped["data"]["duration_s"], abs=0.1)
        assert -1 not in found.numbers
        middle = (0.5, found.duration_s - 0.3)
        assert found.level(880, *middle) > 1000, "who is there"
        assert found.level(440, *middle) > 1000, "and the door"


async def test_a_recording_ends_with_its_call(door: House) -> None:
    async with bob_calls(door):
        await door.appliance.session.command(StartRecording())
        await door.appliance.session.command(EndCall())
        stopped = await door.until("recording_stopped")
        assert Path(stopped["data"]["path"]).exists()
        await door.until_true(lambda: media(door)["recording"] is False)


async def test_the_picture_of_who_stands_there_can_be_had(door: House) -> None:
    async with bob_calls(door):
        picture = await door.appliance.snapshot()
        assert picture is not None
        assert picture.startswith(b"\xff\xd8")


async def test_the_screen_is_given_this_devices_own_picture(door: House) -> None:
    display = door.appliance.screen
    assert display is not None
    async with bob_calls(door):
        await door.until_true(lambda: display._own is not None)
    assert display._own is None or display._own.shape == (360, 640, 3)
