"""A phone whose network lets out no UDP at all: it talks over the TURN server that the device tells it of.

A whole appliance here; coturn and a real Chromium each in a place of a network lab. What the page asks for
over TCP comes by sockets in the file system, since nothing but coturn is to be reached over the network.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from appliance.config import Camera, Http, IceServer, Media, Security
from appliance.invitation import link_of
from appliance.model import Gesture
from tests.parts.bridge import bridged
from tests.parts.coturn import PORT, Coturn
from tests.parts.house import config_for, house
from tests.parts.mosquitto import Mosquitto
from tests.parts.netlab import netlab
from tests.web.conftest import CHROMIUM, WITH_CONSENT, chromium
from tests.web.visiting import part, shows

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(300)]

ADVANCES = """async (video) => {
  const before = video.getVideoPlaybackQuality().totalVideoFrames;
  while (video.getVideoPlaybackQuality().totalVideoFrames < before + 5) {
    await new Promise((done) => { setTimeout(done, 50); });
  }
}"""


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
