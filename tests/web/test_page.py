"""The page in a real Chromium, over a real mosquitto, with a door written from the document."""

from __future__ import annotations

import asyncio
import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Browser, BrowserType, Route, expect

from appliance.web.server import WebServer
from tests.parts.door import Door, door
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.web.conftest import WITH_CONSENT, another, page_server
from tests.web.station import Station
from tests.web.visiting import in_call, opened, part, ready, shows

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

PICTURE = """() => {
  const video = document.querySelector('[data-testid=picture]');
  const canvas = new OffscreenCanvas(16, 9);
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 16, 9);
  return [...context.getImageData(7, 7, 1, 1).data].slice(0, 3);
}"""


async def test_a_page_of_which_a_part_did_not_come_is_loaded_anew(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    """As where the network changes meanwhile, which ends what is being loaded."""
    missed: list[str] = []

    async def twice(route: Route) -> None:
        if len(missed) < 2:
            missed.append(route.request.url)
            await route.abort("internetdisconnected")
        else:
            await route.continue_()

    tab = await browser.new_page()
    await tab.route("**/call.js", twice)
    await tab.goto(server.url)
    await ready(tab)
    assert len(missed) == 2
    assert await tab.evaluate("sessionStorage.getItem('again')") is None
    await tab.close()


async def test_the_bell_is_answered_with_picture_and_sound_both_ways(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, server.url, moves=True) as tab:
        await ready(tab)
        await front_door.until_present("alice")
        call_id = front_door.ring("alice")
        await front_door.hear("ringing")
        await shows(tab, "incoming")
        await expect(part(tab, "title")).to_have_text("Front door")
        await expect(part(tab, "answer")).to_be_focused()
        await expect(part(tab, "announce")).to_have_text("Front door. Somebody is at the door")
        assert "rings" in await tab.title()
        await part(tab, "answer").click()
        accept = await front_door.hear("accept")
        assert accept["call_id"] == call_id
        sections = re.findall(r"^m=(\w+)", accept["body"]["offer"]["sdp"], re.M)
        assert sections == ["audio", "video", "video"]
        assert "VP8" not in accept["body"]["offer"]["sdp"]
        await front_door.admit(accept)
        await shows(tab, "in_call")
        assert (await front_door.hear("state"))["body"] == {
            "audio_muted": False,
            "video_paused": True,
        }
        await expect(part(tab, "phone")).to_have_attribute("data-picture", "yes")
        red, green, blue = await tab.evaluate(PICTURE)
        assert red > green + 60, "the visitor's coat"
        assert red > blue + 60
        await front_door.ears.hears()
        await expect(part(tab, "timer")).to_have_text(re.compile(r"^0:0\d$"))
        front_door.reply(accept, "end", {"reason": "hang_up", "kicked_by": None})
        await shows(tab, "ended", "remote_hang_up")
        await expect(part(tab, "line")).to_have_text(re.compile(r"^Front door hung up after 0:0"))
        await part(tab, "dismiss").click()
        await shows(tab, "idle")


async def test_muting_filming_chatting_and_opening_the_door(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, server.url) as tab:
        await in_call(tab, front_door)
        await front_door.hear("state")
        await tab.keyboard.press("m")
        assert (await front_door.hear("state"))["body"] == {"audio_muted": True}
        await expect(part(tab, "mute")).to_have_attribute("aria-pressed", "true")
        assert front_door.ears.pictures == 0
        await part(tab, "camera").click()
        assert (await front_door.hear("state"))["body"] == {"video_paused": False}
        await front_door.ears.sees()
        await expect(part(tab, "own-picture")).to_be_visible()
        await part(tab, "show-chat").click()
        await part(tab, "chat-text").fill("Coming! <b>m</b>")
        await part(tab, "chat-text").press("Enter")
        chat = await front_door.hear("chat")
        assert chat["body"] == {"text": "Coming! <b>m</b>"}
        front_door.reply(chat, "chat", {"text": "Thanks <i>"})
        await expect(part(tab, "chat-lines").locator("li p")).to_have_text(
            ["Coming! <b>m</b>", "Thanks <i>"]
        )
        await part(tab, "open-door").click()
        await expect(part(tab, "open-door")).to_have_text("Opening …")
        request = await front_door.hear("request")
        assert request["body"]["action"] == "unlock"
        response = {"request_id": request["body"]["request_id"], "accepted": True, "error": None}
        front_door.reply(request, "response", response)
        await expect(part(tab, "open-door")).to_have_text("Door is open")
        front_door.reply(request, "state", {"video_paused": True, "on_hold": True})
        await expect(part(tab, "notes")).to_contain_text("Front door has put you on hold.")
        await part(tab, "hang-up").click()
        assert (await front_door.hear("end"))["body"] == {"reason": "hang_up", "kicked_by": None}
        await shows(tab, "ended", "local_hang_up")


async def test_the_page_calls_the_door(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, server.url) as tab:
        await ready(tab)
        await tab.keyboard.press("c")
        await shows(tab, "outgoing")
        invite = await front_door.hear("invite")
        assert invite["to_endpoint"] == "main"
        assert invite["body"]["receiver"] == {"type": "user", "id": "front-door"}
        front_door.reply(invite, "ringing", {})
        await expect(part(tab, "line")).to_have_text("It rings there …")
        await front_door.take(invite)
        await shows(tab, "in_call")
        await expect(part(tab, "phone")).to_have_attribute("data-picture", "yes")
        await tab.keyboard.press("h")
        await front_door.hear("end")


async def test_the_door_is_busy_and_the_page_says_so(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, server.url) as tab:
        await ready(tab)
        await part(tab, "call").click()
        invite = await front_door.hear("invite")
        front_door.reply(invite, "reject", {"reason": "busy", "custom_data": None})
        await shows(tab, "ended", "busy")
        await expect(part(tab, "title")).to_have_text("Busy")


async def test_two_tabs_ring_and_the_first_to_answer_stops_the_other(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, server.url) as one, opened(browser, server.url) as two:
        await ready(one)
        await ready(two)
        endpoints = await front_door.until_present("alice", 2)
        assert len(set(endpoints)) == 2
        call_id = front_door.ring("alice")
        await shows(one, "incoming")
        await shows(two, "incoming")
        await part(one, "answer").click()
        accept = await front_door.hear("accept")
        by = {"uid": "alice", "endpoint": accept["endpoint"]}
        cancel = {"reason": "answered_elsewhere", "by": by, "custom_data": None}
        front_door.send("alice", None, "cancel", call_id, cancel, epoch=None)
        await shows(two, "ended", "answered_elsewhere")
        await front_door.admit(accept)
        await shows(one, "in_call")


async def test_declining_is_told_and_a_late_or_doubled_invite_does_not_ring(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, server.url) as tab:
        await ready(tab)
        (endpoint,) = await front_door.until_present("alice")
        call_id = front_door.ring("alice")
        await shows(tab, "incoming")
        await tab.keyboard.press("d")
        assert (await front_door.hear("reject"))["body"]["reason"] == "rejected"
        await part(tab, "dismiss").click()
        front_door.send("alice", endpoint, "invite", call_id, front_door.invitation("alice"))
        gone = {"reason": "cancelled", "custom_data": None}
        front_door.send("alice", endpoint, "cancel", "f" * 32, gone)
        front_door.send("alice", endpoint, "invite", "f" * 32, front_door.invitation("alice"))
        stale = front_door.invitation("alice")
        front_door.send("alice", endpoint, "invite", "e" * 32, stale, epoch="of-before")
        # messages come in order: when this one rings, the others did not
        front_door.ring("alice", call_id="d" * 32)
        await front_door.hear("ringing")
        assert (await front_door.hear("ringing"))["call_id"] == "d" * 32


async def test_an_answer_that_is_slow_is_asked_for_again_with_the_same_id(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, server.url) as tab:
        await ready(tab)
        await front_door.until_present("alice")
        front_door.ring("alice")
        await shows(tab, "incoming")
        await part(tab, "answer").click()
        accept = await front_door.hear("accept")
        await front_door.until_repeated(accept["id"])
        await front_door.admit(accept)
        await shows(tab, "in_call")


async def test_a_refused_microphone_leaves_the_call_to_listen_to(
    kind: BrowserType, server: WebServer, front_door: Door
) -> None:
    async with (
        another(kind, "--deny-permission-prompts", *WITH_CONSENT[1:]) as refusing,
        opened(refusing, server.url) as tab,
    ):
        await in_call(tab, front_door)
        state = (await front_door.hear("state"))["body"]
        assert state["microphone_exception"] == "permission_not_granted"
        await expect(part(tab, "notes")).to_contain_text("you can listen, not talk")
        await expect(part(tab, "phone")).to_have_attribute("data-picture", "yes")


UNTIL_SILENT = """new Promise((told) => {
  const banner = document.querySelector('[data-testid=silent]');
  const look = () => banner.hidden || told();
  new MutationObserver(look).observe(banner, { attributes: true });
  look();
})"""


async def test_without_a_touch_the_page_says_that_it_is_silent_and_then_rings(
    kind: BrowserType, server: WebServer
) -> None:
    async with (
        another(kind, WITH_CONSENT[0]) as untouched,
        opened(untouched, server.url) as tab,
    ):
        # whatever Playwright itself asks a page counts as a touch of it
        devtools = await tab.context.new_cdp_session(tab)
        asked = {"expression": UNTIL_SILENT, "awaitPromise": True}
        async with asyncio.timeout(30):
            await devtools.send("Runtime.evaluate", asked)
        await part(tab, "enable-sound").click()
        await expect(part(tab, "silent")).to_be_hidden()


async def test_a_broker_that_goes_away_and_comes_back(
    browser: Browser, server: WebServer, mosquitto: Mosquitto
) -> None:
    async with opened(browser, server.url) as tab:
        await expect(part(tab, "phone")).to_have_attribute("data-link", "connected")
        mosquitto.kill()
        await expect(part(tab, "problem")).to_contain_text("The broker cannot be reached")
        await expect(part(tab, "link")).to_have_text("Offline")
        mosquitto.start()
        await part(tab, "retry").click()
        await expect(part(tab, "phone")).to_have_attribute("data-link", "connected")
        await expect(part(tab, "problem")).to_be_hidden()
        async with door(mosquitto.host, mosquitto.port) as again:
            await again.until_present("alice")
            again.ring("alice")
            await shows(tab, "incoming")


async def test_a_connection_that_breaks_in_the_call_is_replaced(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, server.url) as tab:
        await in_call(tab, front_door)
        await front_door.close_media()
        await shows(tab, "reconnecting")
        offer = await front_door.hear("offer")
        assert offer["body"]["generation"] == 2
        await front_door.replace(offer)
        await shows(tab, "in_call")
        await expect(part(tab, "phone")).to_have_attribute("data-picture", "yes")


async def test_a_reload_hangs_up_and_keeps_its_endpoint_and_a_closed_tab_is_gone(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, server.url) as tab:
        await in_call(tab, front_door)
        before = front_door.endpoints("alice")
        news = front_door.presence_of("alice")
        # as a reload begins; how much time a browser leaves between this and its end is its own affair
        await tab.evaluate("window.dispatchEvent(new Event('beforeunload'))")
        assert (await front_door.hear("end"))["body"]["reason"] == "hang_up"
        await tab.reload()
        await front_door.until_present_again("alice", news)
        # the sequence goes on where it was: a step back would be a fault
        await in_call(tab, front_door)
        assert front_door.endpoints("alice") == before
    await front_door.until_gone("alice")


async def test_the_person_is_chosen_by_the_address_or_the_list(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, f"{server.url}?as=bob") as tab:
        await front_door.until_present("bob")
        await part(tab, "person").select_option("alice")
        await front_door.until_present("alice")
        await front_door.until_gone("bob")
        assert tab.url.endswith("?as=alice")


async def test_an_unknown_person_is_told_so_and_is_nobody(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, f"{server.url}?as=zed&camera=320x180@10") as tab:
        await shows(tab, "failed")
        await expect(part(tab, "title")).to_have_text("Nobody here is called “zed”")
        await part(tab, "person").select_option("bob")
        await front_door.until_present("bob")
        assert tab.url.endswith("?as=bob&camera=320x180%4010")
        assert front_door.endpoints("zed") == front_door.endpoints("alice") == []


async def test_whoever_rang_in_vain_is_called_back(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, server.url) as tab:
        await ready(tab)
        (endpoint,) = await front_door.until_present("alice")
        call_id = front_door.ring("alice")
        await shows(tab, "incoming")
        gone = {"reason": "timed_out", "custom_data": None}
        front_door.send("alice", endpoint, "cancel", call_id, gone)
        await part(tab, "dismiss").click()
        await expect(part(tab, "missed")).to_contain_text("Missed: Front door")
        await part(tab, "call-back").click()
        invite = await front_door.hear("invite")
        assert invite["call_id"] != call_id
        await shows(tab, "outgoing")


async def test_the_stations_screen_is_shown_and_its_sound_is_plugged_in_and_out(
    browser: Browser, server: WebServer, station: Station
) -> None:
    async with opened(browser, server.url) as tab:
        await expect(part(tab, "device-screen")).to_be_hidden()
        picture = BytesIO()
        Image.new("RGB", (64, 40), "#205080").save(picture, "JPEG")
        station.screen = picture.getvalue()
        await expect(part(tab, "device-screen")).to_be_visible()
        await expect(part(tab, "screen-picture")).to_have_js_property("naturalWidth", 64)
        await part(tab, "output-bluetooth").click()
        await expect(part(tab, "output-bluetooth")).to_have_attribute("aria-pressed", "false")
        await part(tab, "output-bluetooth").click()
        assert await station.until_plugged(2) == [("bluetooth", False), ("bluetooth", True)]


async def test_the_station_is_pressed_and_shows_what_it_does(
    browser: Browser, server: WebServer, station: Station
) -> None:
    async with opened(browser, server.url) as tab:
        await expect(part(tab, "led-status")).to_have_attribute("data-pattern", "steady")
        await part(tab, "button-call").click()
        assert await station.until_pressed() == [("call", "press")]
        await expect(part(tab, "log").locator("li b")).to_have_text(["call_button_clicked"])
        await expect(part(tab, "log").locator("li span")).to_have_text(
            ["button call  ·  gesture press"]
        )
        await tab.keyboard.press("b")
        await part(tab, "button-answer-hold").click()
        await part(tab, "button-answer").click(delay=700)
        assert (await station.until_pressed(4))[1:] == [
            ("call", "press"),
            ("answer", "hold"),
            ("answer", "hold"),
        ]
        await station.change(relays={"door": "energized"}, chime="playing", loudspeaker_level=0.7)
        await expect(part(tab, "relay-door")).to_have_text("door: energized")
        await expect(part(tab, "chime")).to_have_text("playing")
        async with tab.expect_request("**/demo/sounds/door_open.wav"):
            await station.change(notice="door_open", sounds=["chime", "door_open"])
        await expect(part(tab, "notice")).to_have_text("The door is open.")
        await station.change(notice=None, sounds=[])
        await expect(part(tab, "notice")).to_have_text("")
        await expect(part(tab, "level")).to_have_attribute("value", "0.7")
        await part(tab, "log-pause").click()
        station.tell("input", "ButtonClickListener", input="door", on=True)
        await expect(part(tab, "log-count")).to_have_text("5")
        await expect(part(tab, "log").locator("li")).to_have_count(4)
        await part(tab, "log-pause").click()
        await expect(part(tab, "log").locator("li")).to_have_count(5)
        await part(tab, "log-clear").click()
        await expect(part(tab, "log").locator("li")).to_have_count(0)


async def test_outside_the_demo_one_signs_in_and_there_is_no_station(
    browser: Browser, mosquitto: Mosquitto, front_door: Door
) -> None:
    async with page_server(mosquitto) as server, opened(browser, server.url) as tab:
        await shows(tab, "signed_out")
        await expect(part(tab, "door")).to_be_hidden()
        await expect(part(tab, "call")).to_be_hidden()
        await expect(part(tab, "answer")).to_be_hidden()
        await tab.get_by_label("Your name at the broker").fill("carol")
        await tab.get_by_role("button", name="Sign in").click()
        await front_door.until_present("carol")
        await ready(tab)


async def test_whom_the_broker_refuses_is_told_and_may_sign_in_anew(
    browser: Browser, tmp_path: Path
) -> None:
    broker = Mosquitto(program("mosquitto"), tmp_path, "allow_anonymous false")
    broker.start()
    try:
        async with page_server(broker) as server, opened(browser, server.url) as tab:
            await tab.get_by_label("Your name at the broker").fill("carol")
            await tab.get_by_label("Its password").fill("wrong")
            await tab.get_by_role("button", name="Sign in").click()
            await expect(part(tab, "link")).to_have_text("Not let in")
            await expect(part(tab, "problem")).to_contain_text("the name or the password is wrong")
            await part(tab, "retry").click()
            await shows(tab, "signed_out")
    finally:
        broker.kill()
