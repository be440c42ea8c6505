"""A phone whose network lets out no UDP at all: it talks over the TURN server that the device tells it of.

A whole appliance here; coturn and a real Chromium each in a place of a network lab. What the page asks for
over TCP comes by sockets in the file system, since nothing but coturn is to be reached over the network.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from appliance.config import Camera, Http, IceServer, Media, Security
from appliance.invitation import link_of
from appliance.model import Gesture
from tests.parts.coturn import PORT, Coturn
from tests.parts.house import config_for, house
from tests.parts.mosquitto import Mosquitto
from tests.parts.netlab import Place, netlab
from tests.web.conftest import CHROMIUM, WITH_CONSENT, chromium
from tests.web.visiting import part, shows

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(300)]

BRIDGE = """
import asyncio, sys
async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
def to(path):
    async def come(reader, writer):
        there = await asyncio.open_unix_connection(path)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))
    return come
async def main():
    servers = [await asyncio.start_server(to(path), "127.0.0.1", int(port))
               for port, path in zip(sys.argv[1::2], sys.argv[2::2])]
    print("ready", flush=True)
    await asyncio.gather(*(one.serve_forever() for one in servers))
asyncio.run(main())
"""
ADVANCES = """async (video) => {
  const before = video.getVideoPlaybackQuality().totalVideoFrames;
  while (video.getVideoPlaybackQuality().totalVideoFrames < before + 5) {
    await new Promise((done) => { setTimeout(done, 50); });
  }
}"""


@asynccontextmanager
async def bridged(place: Place, folder: Path, *ports: int) -> AsyncIterator[None]:
    """These ports of this machine's loopback are on that of the place, too."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            """The other side is gone."""
        finally:
            writer.close()

    async with AsyncExitStack() as stack:
        words: list[str] = []
        for port in ports:

            async def come(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port
            ) -> None:
                there = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

            path = folder / f"{port}.sock"
            server = await asyncio.start_unix_server(come, path)
            stack.callback(server.close)
            words += [str(port), str(path)]
        process = await asyncio.create_subprocess_exec(
            *place.command(sys.executable, "-c", BRIDGE, *words), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()
            await process.communicate()


async def test_a_phone_that_reaches_nothing_but_a_turn_server_sees_the_door(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    with netlab("phone", "relay") as lab:
        server = Coturn(lab["relay"], tmp_path, "north")
        for way in ("iifname p1", "oifname p1"):
            lab.rule(f"{way} meta l4proto udp drop")
        url = f"turn:{server.address}:{PORT}?transport=tcp"
        config = config_for(
            mosquitto.port,
            security=Security("refuse"),
            media=Media(
                width=320,
                height=180,
                framerate=15,
                bitrate_kbps=200,
                ice_servers=(IceServer((url,), secret_file=str(server.secret_file)),),
            ),
            cameras={"front": Camera("test-card")},
        )
        assert isinstance(config.http, Http)
        websocket_url = f"ws://127.0.0.1:{mosquitto.websocket_port}/"
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(
                house(config, tmp_path, websocket_url=websocket_url)
            )
            ports = config.http.port, mosquitto.websocket_port
            await stack.enter_async_context(bridged(lab["phone"], tmp_path, *ports))
            there = lab["phone"].within(CHROMIUM, tmp_path)
            browser = await stack.enter_async_context(chromium(*WITH_CONSENT, executable=there))
            assert one.appliance.invite is not None
            assert one.appliance.page is not None
            invited = await one.appliance.invite("Alice", None, None)
            tab = await browser.new_page()
            await tab.goto(link_of(one.appliance.page, invited.told["invitation"]))
            await part(tab, "pair").click()
            await shows(tab, "idle")
            await one.until_true(lambda: "alice" in one.appliance.engine.state.presence)
            await one.appliance.board.press("bell_alice", Gesture.PRESS)
            await shows(tab, "incoming")
            await part(tab, "answer").click()
            await shows(tab, "in_call")
            await part(tab, "picture").evaluate(ADVANCES)
            assert ":page" in server.log, "it is who talks with the TURN server"
            await part(tab, "hang-up").click()
            await one.until("call_ended")
