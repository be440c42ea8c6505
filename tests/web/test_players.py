"""Looking through the camera of a whole appliance, by players that know nothing of this project."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar
from msgspec.structs import replace

from appliance.config import Camera, Contact, Http, Led, Media
from appliance.model import Right
from appliance.trust.keys import DeviceKey
from tests.media.stranger import Stranger, until
from tests.parts.house import House, config_for, house
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.phone import phone
from tests.web.knowing import log_in

LOOKER, ALICE = DeviceKey.make(), DeviceKey.make()
SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
async def door(mosquitto: Mosquitto, tmp_path: Path) -> AsyncIterator[House]:
    """A door with a privacy LED, at whose page everybody has to log in."""
    config = config_for(mosquitto.port)
    config = replace(
        config,
        http=Http(port=free_port(), login="always", max_viewers=2),
        media=Media(width=320, height=180, framerate=15, bitrate_kbps=300),
        cameras={"front": Camera("test-card")},
        leds={**config.leds, "privacy": Led(pin="GPIO26", privacy=True)},
        contacts={
            **config.contacts,
            "looker": Contact(keys=(LOOKER.public,), may=(Right.VIEW,)),
            "alice": replace(config.contacts["alice"], keys=(ALICE.public,)),
        },
    )
    async with house(config, tmp_path) as one:
        yield one


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as one:
        yield one


def url_of(door: House) -> str:
    assert door.appliance.page is not None
    return door.appliance.page.replace("localhost", "127.0.0.1")


def is_lit(door: House) -> bool:
    return bool(door.appliance.board.status()["leds"]["privacy"]["lit"])


async def watches(client: ClientSession, door: House, stranger: Stranger) -> str:
    """By WHEP; gives where the view is."""
    offer = await stranger.call()
    async with client.post(f"{url_of(door)}whep", data=offer.sdp, headers=SDP) as response:
        text = await response.text()
        assert response.status == 201, text
        where = response.headers["Location"]
    await stranger.take(replace(offer, type="answer", sdp=text))
    await until(lambda: len(stranger.numbers) > 10, "the picture")
    return where


async def test_whep_shows_the_camera_by_the_light_of_the_led_and_no_call_comes_of_it(
    door: House, client: ClientSession
) -> None:
    await log_in(client, url_of(door), "looker", LOOKER)
    assert not is_lit(door)
    async with Stranger(tone_hz=700) as stranger:
        where = await watches(client, door, stranger)
        assert is_lit(door)
        numbers = [one for one in stranger.numbers if one is not None]
        assert numbers == sorted(set(numbers)), "the counter advances"
        status = door.appliance.session.status()
        assert status["viewers"] == [{"uid": "looker", "connected": True, "sound": False}]
        assert status["call"] is None
        assert status["media"]["microphone_open"] is False, "it may only look"
        assert len(stranger.sound) == 0
        async with client.delete(f"{url_of(door)}{where[1:]}") as response:
            assert response.status == 200
        await door.until_true(lambda: not is_lit(door))
    assert door.appliance.session.status()["viewers"] == []
    assert door.names() == []


async def test_a_go2rtc_player_hears_and_is_heard_and_its_socket_may_close(
    door: House, client: ClientSession
) -> None:
    await log_in(client, url_of(door), "alice", ALICE)
    async with Stranger(tone_hz=990) as stranger:
        offer = await stranger.call()
        async with client.ws_connect(f"{url_of(door)}api/ws?src=front") as socket:
            await socket.send_json({"type": "webrtc/offer", "value": offer.sdp})
            told = await socket.receive_json()
            assert told["type"] == "webrtc/answer", told
            await stranger.take(replace(offer, type="answer", sdp=told["value"]))
        await until(lambda: len(stranger.numbers) > 10, "the picture, without the socket")
        await until(lambda: len(stranger.sound) > 24_000, "the sound")
        await door.until_true(
            lambda: (
                abs((door.appliance.session.status()["media"]["speaker"]["tone_hz"] or 0) - 990)
                < 10
            )
        )
        assert "session_joined" not in door.names()
    await door.until_true(lambda: not door.appliance.engine.state.viewers)
    await door.until_true(lambda: not is_lit(door))


async def test_one_encode_serves_a_call_and_viewers_who_hear_nothing_of_it(
    door: House, client: ClientSession, mosquitto: Mosquitto
) -> None:
    await log_in(client, url_of(door), "alice", ALICE)
    async with (
        Stranger(tone_hz=990) as stranger,
        phone("bob", "127.0.0.1", mosquitto.port) as bob,
    ):
        await watches(client, door, stranger)
        await bob.call("c" * 32)
        await bob.hear("ringing")
        await door.appliance.session.accept_call()
        await bob.connected()
        await bob.media.until(lambda: len(bob.media.counters) > 10)
        status = door.appliance.session.status()
        assert status["viewers"][0]["sound"] is False
        assert status["media"]["video_listeners"] == 2
        assert status["media"]["audio_listeners"] == 1
        seen, heard = len(stranger.numbers), len(stranger.sound)
        await until(lambda: len(stranger.numbers) > seen + 10, "its picture goes on")
        assert len(stranger.sound) - heard < 24_000, "and no sound"
        await bob.send("end", "c" * 32, {"reason": "hang_up", "kicked_by": None})
        await door.until("call_ended")
        await door.until_true(lambda: door.appliance.session.status()["viewers"][0]["sound"])
        seen = len(stranger.numbers)
        await until(lambda: len(stranger.numbers) > seen + 10, "its picture goes on still")
        assert is_lit(door)


async def test_a_view_ends_when_its_key_is_revoked(door: House, client: ClientSession) -> None:
    await log_in(client, url_of(door), "looker", LOOKER)
    async with Stranger() as stranger:
        await watches(client, door, stranger)
        await door.appliance.contacts.revoke("looker", LOOKER.kid)
        await until(lambda: stranger.pc.connectionState in ("closed", "failed"), "the end")
    await door.until_true(lambda: not is_lit(door))
    async with client.get(f"{url_of(door)}snapshot.jpg") as response:
        assert response.status == 401


async def test_there_are_no_more_viewers_than_are_allowed_and_who_vanishes_makes_room(
    door: House, client: ClientSession
) -> None:
    await log_in(client, url_of(door), "looker", LOOKER)
    async with Stranger() as one, Stranger() as two:
        await watches(client, door, one)
        await watches(client, door, two)
        sdp = one.pc.localDescription.sdp
        async with client.post(f"{url_of(door)}whep", data=sdp, headers=SDP) as response:
            assert response.status == 503
            assert "2 look through the camera" in await response.text()
        await two.pc.close()
        await door.until_true(lambda: len(door.appliance.engine.state.viewers) < 2)


async def test_offers_that_cannot_be_taken_are_refused_in_a_sentence_and_no_name_is_looked_up(
    door: House, client: ClientSession
) -> None:
    await log_in(client, url_of(door), "looker", LOOKER)

    async def refused(sdp: str) -> str:
        async with client.post(f"{url_of(door)}whep", data=sdp, headers=SDP) as response:
            assert response.status in (400, 406), sdp
            return await response.text()

    for sdp in ("", "v=0\r\n", "v=0\r\nm=application 9 UDP/DTLS/SCTP x\r\n"):
        assert len(await refused(sdp)) > 10
    assert door.appliance.engine.state.viewers == ()
    await door.until_true(lambda: not is_lit(door))
    async with Stranger() as stranger:
        await watches(client, door, stranger)
        line = "a=candidate:1 1 udp 2130706431 evil.example 5000 typ host\r\n"
        sdp = stranger.pc.localDescription.sdp.replace("a=rtcp-mux", line + "a=rtcp-mux", 1)
        assert "evil.example" in await refused(sdp)


async def test_a_snapshot_opens_the_camera_for_a_moment_and_is_a_small_jpeg(
    door: House, client: ClientSession
) -> None:
    await log_in(client, url_of(door), "looker", LOOKER)
    async with client.get(f"{url_of(door)}snapshot.jpg") as response:
        assert response.status == 200, await response.text()
        assert response.headers["Cache-Control"] == "no-store"
        picture = await response.read()
    assert picture[:2] == b"\xff\xd8"
    assert len(picture) < 100_000
    assert is_lit(door)
    assert door.appliance.session.status()["media"]["microphone_open"] is False
    await door.until_true(lambda: not is_lit(door))
    again = await asyncio.gather(*(client.get(f"{url_of(door)}snapshot.jpg") for _ in range(3)))
    assert {response.status for response in again} == {200}
    bodies = [await response.read() for response in again]
    assert bodies[0] == bodies[1] == bodies[2] != picture
