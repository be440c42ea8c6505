"""Several pages in one session: real Chromium tabs over a real mosquitto, and a door that is the host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, BrowserType, Page, expect

from appliance.web.server import WebServer
from tests.parts.door import Door, Leg, Message
from tests.parts.gathering import Gathering, Guest
from tests.web.conftest import WITH_CONSENT, another
from tests.web.visiting import opened, part, ready, shows

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

FRAMES = """(video) => video.getVideoPlaybackQuality().totalVideoFrames"""
SMALL = "camera=320x180@10"


async def sees(tab: Page, uid: str, more: int = 5) -> None:
    """The pictures of somebody go on."""
    video = part(tab, f"tile-{uid}").locator("video")
    await expect(part(tab, f"tile-{uid}")).to_have_attribute("data-picture", "yes")
    before = await video.evaluate(FRAMES)
    async with asyncio.timeout(90):
        while await video.evaluate(FRAMES) < before + more:
            await tab.wait_for_timeout(100)


async def answers(tab: Page, gathering: Gathering, uid: str) -> Leg:
    """Somebody is rung, takes the call, and is let in."""
    await ready(tab)
    await gathering.door.until_present(uid)
    gathering.door.ring(uid)
    await shows(tab, "incoming")
    await part(tab, "answer").click()
    leg = await gathering.admit(await gathering.door.hear("accept"))
    await shows(tab, "in_call")
    return leg


@asynccontextmanager
async def meeting(
    browser: Browser, server: WebServer, front_door: Door
) -> AsyncIterator[tuple[Page, Page, Gathering]]:
    """Alice and Bob are in one session with the door, all connected with all."""
    gathering = Gathering(front_door)
    async with (
        opened(browser, f"{server.url}?as=alice&{SMALL}") as alice,
        opened(browser, f"{server.url}?as=bob&{SMALL}") as bob,
    ):
        await answers(alice, gathering, "alice")
        await answers(bob, gathering, "bob")
        for tab, other in ((alice, "bob"), (bob, "alice")):
            await expect(part(tab, f"tile-{other}")).to_have_attribute("data-state", "connected")
        yield alice, bob, gathering


async def tells(front_door: Door, uid: str, **change: object) -> None:
    """Somebody tells a change of its state."""
    while True:
        message = await front_door.hear("state")
        if message["from"] == uid and change.items() <= message["body"].items():
            return


async def test_two_pages_and_the_door_see_and_hear_one_another(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with meeting(browser, server, front_door) as (alice, bob, gathering):
        await expect(part(alice, "line")).to_have_text("Connected · 3 people")
        await part(alice, "camera").click()
        await part(bob, "camera").click()
        await sees(bob, "alice")
        await sees(alice, "bob")
        await sees(alice, "front-door")
        for leg in front_door.legs.values():
            await leg.ears.sees()
            await leg.ears.hears()
        size = await part(alice, "tile-bob").locator("video").evaluate("(v) => v.videoWidth")
        assert size <= 320
        # the one leaves, and is gone for the other without a word between the two
        await part(bob, "hang-up").click()
        await expect(part(alice, "tile-bob")).to_have_count(0)
        await shows(alice, "in_call")
        gathering.remove("bob")
        await expect(part(alice, "line")).to_have_text("Connected")


@asynccontextmanager
async def talking(
    browser: Browser, server: WebServer, front_door: Door, query: str = ""
) -> AsyncIterator[tuple[Page, Gathering, Guest]]:
    """Alice is in a session with the door."""
    gathering = Gathering(front_door)
    async with opened(browser, f"{server.url}?as=alice{query}") as tab:
        await answers(tab, gathering, "alice")
        yield tab, gathering, gathering.guests[0]


async def test_hand_hold_keys_and_requests_arrive_as_messages(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with talking(browser, server, front_door) as (tab, gathering, alice):
        await part(tab, "hand").click()
        await tells(front_door, "alice", hand_raised=True)
        await part(tab, "show-pad").click()
        await tab.keyboard.press("5")
        await part(tab, "key-A").click()
        assert (await front_door.hear("dtmf"))["body"] == {"digits": "5"}
        assert (await front_door.hear("dtmf"))["body"] == {"digits": "A"}
        await expect(part(tab, "pad-digits")).to_have_text("5A")
        await part(tab, "hold").click()
        await tells(front_door, "alice", on_hold=True)
        await front_door.ears.hears_nothing()
        await part(tab, "hold").click()
        await tells(front_door, "alice", on_hold=False)
        await front_door.ears.hears()
        await part(tab, "show-people").click()
        await part(tab, "invite-bob").click()
        asked = await front_door.hear("request")
        request = asked["body"]
        assert (request["action"], request["receiver"]) == ("invite", "user:bob")
        granted = {"request_id": request["request_id"], "accepted": True}
        front_door.reply(asked, "response", granted)
        await expect(part(tab, "notes")).to_contain_text("bob is being invited.")
        await expect(part(tab, "notes")).not_to_contain_text("user:bob")
        gathering.guests.append(Guest("bob", "elsewhere", alice.call_id, "connected"))
        gathering.tell()
        await expect(part(tab, "invite-bob")).to_have_count(0)
        await part(tab, "kick-bob").click()
        request = await front_door.hear("request")
        assert (request["body"]["action"], request["body"]["uid"]) == ("kick", "bob")
        refused = {"accepted": False, "error": "not_allowed"}
        answer = {"request_id": request["body"]["request_id"], **refused}
        front_door.reply(request, "response", answer)
        await expect(part(tab, "notes")).to_contain_text(
            "You are not allowed to take Bob out of the call."
        )


async def test_who_may_not_ask_for_something_is_not_offered_it(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with talking(browser, server, front_door) as (tab, gathering, alice):
        gathering.guests.append(Guest("bob", "elsewhere", alice.call_id, "connected"))
        gathering.may = ["answer", "call"]
        gathering.tell()
        await part(tab, "show-people").click()
        await expect(part(tab, "member-bob")).to_be_visible()
        for action in ("kick-bob", "mute-bob", "invite-carol"):
            await expect(part(tab, action)).to_have_count(0)
        await expect(part(tab, "record")).to_be_hidden()
        gathering.may.append("moderate")
        gathering.tell()
        for action in ("kick-bob", "mute-bob"):
            await expect(part(tab, action)).to_be_visible()


OWN_CAMERA = """() => document.querySelector('#own-picture').srcObject
  ?.getVideoTracks()[0]?.getSettings().deviceId"""


async def test_a_phone_changes_its_camera_and_where_it_is_heard(
    kind: BrowserType, server: WebServer, front_door: Door
) -> None:
    two = "--use-fake-device-for-media-stream=device-count=2"
    async with (
        another(kind, *WITH_CONSENT, two) as phone,
        talking(phone, server, front_door) as (tab, _, _),
    ):
        await expect(part(tab, "switch-camera")).to_be_hidden()
        await part(tab, "camera").click()
        await expect(part(tab, "switch-camera")).to_be_visible()
        first = await tab.evaluate(OWN_CAMERA)
        await part(tab, "switch-camera").click()
        await tab.wait_for_function(
            f"(first) => ![undefined, first].includes(({OWN_CAMERA})())", arg=first
        )
        video = part(tab, "picture")
        before = await video.evaluate("(video) => video.sinkId")
        await part(tab, "output").click()
        await tab.wait_for_function(
            "(before) => document.querySelector('[data-testid=picture]').sinkId !== before",
            arg=before,
        )


async def test_what_others_do_is_shown(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with talking(browser, server, front_door) as (tab, gathering, alice):

        def tell(type_: str, body: Message) -> None:
            front_door.send("alice", alice.endpoint, type_, alice.call_id, body)

        tell("state", {"recording": True, "on_hold": True})
        await expect(part(tab, "recording")).to_have_text("Front door records this call.")
        await expect(part(tab, "notes")).to_contain_text("Front door has put you on hold.")
        await front_door.ears.hears_nothing()
        tell("state", {"recording": False, "on_hold": False})
        await expect(part(tab, "recording")).to_be_hidden()
        await front_door.ears.hears()
        tell("request", {"request_id": "q1", "action": "mute", "uid": "alice"})
        await tells(front_door, "alice", audio_muted=True)
        await expect(part(tab, "notes")).to_contain_text("You were muted by Front door.")
        tell("request", {"request_id": "q2", "action": "unmute", "uid": "alice"})
        await part(tab, "yes").click()
        await tells(front_door, "alice", audio_muted=False)
        await expect(part(tab, "question")).to_be_hidden()
        gathering.remove("alice", reason="kicked_out", kicked_by="front-door")
        await shows(tab, "ended", "kicked_out")
        await expect(part(tab, "line")).to_have_text("Front door ended your part of the call.")


async def test_a_screen_is_shared_without_a_further_description(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with meeting(browser, server, front_door) as (alice, bob, _):
        heard = len(front_door.seen)
        await part(alice, "share").click()
        await tells(front_door, "alice", screen_sharing=True)
        (leg,) = [leg for (uid, _), leg in front_door.legs.items() if uid == "alice"]
        await leg.screen.sees()
        await expect(part(bob, "screen-alice")).to_have_attribute("data-main", "yes")
        await expect(part(bob, "screen-alice")).to_have_attribute("data-picture", "yes")
        await part(alice, "share").click()
        await tells(front_door, "alice", screen_sharing=False)
        await expect(part(bob, "screen-alice")).to_have_count(0)
        assert "offer" not in [message["type"] for message in front_door.seen[heard:]]


async def test_an_audio_call_becomes_a_video_call_in_the_same_generation(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, f"{server.url}?as=alice&{SMALL}") as tab:
        await ready(tab)
        await front_door.until_present("alice")
        front_door.ring("alice", type_="audio")
        await shows(tab, "incoming")
        await part(tab, "answer").click()
        leg = await front_door.admit(await front_door.hear("accept"))
        await shows(tab, "in_call")
        await part(tab, "camera").click()
        request = await front_door.hear("request")
        assert request["body"]["action"] == "switch_to_video"
        answer = {"request_id": request["body"]["request_id"], "accepted": True, "error": None}
        front_door.reply(request, "response", answer)
        offer = await front_door.hear("offer")
        assert (offer["body"]["generation"], offer["body"]["reason"]) == (1, "switch_to_video")
        await front_door.renegotiate(offer)
        await expect(part(tab, "phone")).to_have_attribute("data-picture", "yes")
        await part(tab, "camera").click()
        await leg.ears.sees()


async def test_a_door_that_offered_first_offers_the_video_too(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with opened(browser, f"{server.url}?as=alice&{SMALL}") as tab:
        await ready(tab)
        await front_door.until_present("alice")
        leg = await front_door.ring_with_offer("alice", "audio")
        await shows(tab, "incoming")
        await part(tab, "answer").click()
        await front_door.accepted(leg, await front_door.hear("accept"))
        await shows(tab, "in_call")
        asked = {"request_id": "q1", "action": "switch_to_video"}
        front_door.reply(leg.accept, "request", asked)
        await part(tab, "yes").click()
        assert (await front_door.hear("response"))["body"]["accepted"] is True
        await front_door.widen(leg)
        await expect(part(tab, "phone")).to_have_attribute("data-picture", "yes")
        await part(tab, "camera").click()
        await leg.ears.sees()


async def test_a_link_leads_into_the_session_without_ringing(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    gathering = Gathering(front_door)
    call_id = "c" * 32
    token = f"front-door.{call_id}.{gathering.session_id}.bob.1800000000.sig"
    async with opened(browser, f"{server.url}#token={token}") as tab:
        join = await front_door.hear("join")
        assert (join["from"], join["call_id"]) == ("bob", call_id)
        assert join["body"] == {"token": token}
        await expect(part(tab, "line")).to_have_text("Joining …")
        await gathering.enter(join)
        await shows(tab, "in_call")
        await sees(tab, "front-door")
        front_door.reply(join, "end", {"reason": "hang_up", "kicked_by": None})
        await shows(tab, "ended")
        assert "#" not in tab.url
    async with opened(browser, f"{server.url}#token={token}") as tab:
        expired = await front_door.hear("join")
        front_door.reply(expired, "end", {"reason": "failed", "kicked_by": None})
        await shows(tab, "ended", "failed")
        await expect(part(tab, "line")).to_contain_text("Ask for a new one.")


async def test_the_pictures_are_laid_out_as_one_likes(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with meeting(browser, server, front_door) as (alice, _, __):
        large = alice.locator(".tile[data-main=yes]")
        await part(alice, "tile-bob").get_by_role("button").click()
        await expect(large).to_have_attribute("data-testid", "tile-bob")
        # what is dropped on the large one becomes that; elsewhere the two change places
        await part(alice, "tile-front-door").drag_to(part(alice, "tile-bob"))
        await expect(large).to_have_attribute("data-testid", "tile-front-door")
        before = [await where(alice, uid) for uid in ("bob", "me")]
        await part(alice, "tile-me").drag_to(part(alice, "tile-bob"))
        assert [await where(alice, uid) for uid in ("me", "bob")] == before
        for layout in ("tile", "single", "spotlight"):
            await alice.keyboard.press("l")
            await expect(part(alice, "stage")).to_have_attribute("data-layout", layout)
        await part(alice, "zoom").click()
        await expect(part(alice, "frame")).to_have_attribute("data-zoom", "yes")


async def where(tab: Page, uid: str) -> object:
    """The place of a tile."""
    return await part(tab, f"tile-{uid}").bounding_box()


async def test_nothing_is_cropped_or_covers_another_whatever_the_width(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with meeting(browser, server, front_door) as (alice, _, __):
        for width in (1440, 1200, 1000, 900):
            await alice.set_viewport_size({"width": width, "height": 800})
            assert await alice.evaluate(COVERED) == []
        await alice.set_viewport_size({"width": 375, "height": 812})
        assert await alice.evaluate(COVERED) == []
        await part(alice, "more").click()
        for opens in (None, "show-people", "show-pad", "show-chat"):
            if opens:
                await part(alice, opens).click()
            assert await alice.evaluate(CROPPED) == []
        await expect(part(alice, "chat-text")).to_be_focused()
        await alice.keyboard.press("Escape")
        await expect(part(alice, "show-chat")).to_be_focused()


COVERED = """() => [...document.querySelectorAll('.row .label')]
  .filter((label) => label.checkVisibility())
  .map((label) => {
    const words = document.createRange();
    words.selectNodeContents(label);
    return [label.textContent, words.getBoundingClientRect()];
  })
  .filter(([, one], at, all) =>
    all.slice(at + 1).some(([, other]) =>
      one.right > other.left && other.right > one.left && one.bottom > other.top && other.bottom > one.top))
  .map(([text]) => text)"""
"""Labels of buttons that lie over another's."""

CROPPED = """() => [...document.querySelectorAll('button, input, h2, .name')]
  .filter((part) => part.checkVisibility())
  .map((part) => [part.textContent || part.id, part.getBoundingClientRect()])
  .filter(([, { left, right, width }]) => width > 0 && (left < 0 || right > innerWidth))
  .map(([text]) => text)"""
