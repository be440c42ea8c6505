"""What is done, asked and told within a call, played."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.web.playing import (
    ANSWER,
    OFFER,
    TALKING,
    Input,
    at_link,
    described,
    invite,
    play,
    says,
    timer,
)

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

AGREED = at_link("agreed", video=True, screen="agreed")


def audio() -> list[Input]:
    """A call of sound alone, which we offered."""
    rings = invite()
    rings["body"]["call_type"] = "audio"
    answers = [{"type": "answer"}, described(), says("answer", {"answer": ANSWER})]
    return [rings, *answers, at_link("agreed", video=False, screen="none"), at_link("connected")]


def asks(action: str, **more: Any) -> Input:
    """The host asks something of us."""
    return says("request", {"request_id": "q1", "action": action, **more})


async def words(page: Page, call: str, *given: Any) -> Any:
    """Something of notes.js."""
    script = f"async (given) => (await import('/notes.js')).{call}(...given)"
    return await page.evaluate(script, list(given))


async def test_a_hand_is_raised_and_lowered_once(modules: Page) -> None:
    *_, up, again, down = await play(
        modules,
        *TALKING,
        {"type": "hand", "on": True},
        {"type": "hand", "on": True},
        {"type": "hand", "on": False},
    )
    assert up.sent("state") == {"hand_raised": True}
    assert again.did == []
    assert down.sent("state") == {"hand_raised": False}


async def test_who_holds_sends_silence_and_who_is_held_hears_the_tone(modules: Page) -> None:
    *_, held, resumed = await play(
        modules, *TALKING, {"type": "hold", "on": True}, {"type": "hold", "on": False}
    )
    assert held.did == ["send state", "silence host on"]
    assert held.sent("state") == {"on_hold": True}
    assert resumed.did == ["send state", "silence host off"]
    *_, put_on, both, taken_off = await play(
        modules,
        *TALKING,
        says("state", {"on_hold": True}),
        {"type": "hold", "on": True},
        says("state", {"on_hold": False}),
    )
    assert put_on.did == ["silence host on", "hold_tone on"]
    assert both.did == ["send state"]
    assert taken_off.did == ["hold_tone off"]
    *_, ended = await play(
        modules, *TALKING, says("state", {"on_hold": True}), says("end", {"reason": "hang_up"})
    )
    assert "hold_tone off" in ended.did


async def test_a_screen_is_shared_from_when_the_browser_gives_one(modules: Page) -> None:
    *_, wished, shown, gone = await play(
        modules,
        *TALKING,
        AGREED,
        {"type": "share", "on": True},
        {"type": "shared", "on": True},
        {"type": "shared", "on": False},
    )
    assert wished.did == ["share on"]
    assert shown.did == ["send state"]
    assert shown.sent("state") == {"screen_sharing": True}
    assert gone.sent("state") == {"screen_sharing": False}


async def test_where_there_is_no_section_for_a_screen_it_is_negotiated(modules: Page) -> None:
    bare = at_link("agreed", video=True, screen="none")
    shared = {"type": "shared", "on": True}
    *_, shown, offered, answered = await play(
        modules,
        *TALKING,
        bare,
        shared,
        described(),
        says("answer", {"answer": ANSWER, "generation": 1}),
    )
    assert shown.did == ["send state", "open_media 1"]
    assert offered.sent("offer") == {"offer": OFFER, "generation": 1, "reason": "screen_share"}
    assert answered.did[-1] == "take_answer 1"
    theirs = [invite(offer=OFFER), {"type": "answer"}, described(ANSWER), at_link("connected")]
    *_, asked = await play(modules, *theirs, bare, shared)
    assert asked.sent("request")["action"] == "renegotiate"
    assert asked.sent("request")["reason"] == "screen_share"


async def test_keys_are_sent_and_heard(modules: Page) -> None:
    *_, five, nonsense, heard = await play(
        modules,
        *TALKING,
        {"type": "dtmf", "digits": "5#"},
        {"type": "dtmf", "digits": "x"},
        says("dtmf", {"digits": "1"}),
    )
    assert five.did == ["tones 5#", "send dtmf"]
    assert five.sent("dtmf") == {"digits": "5#"}
    assert nonsense.did == []
    assert heard.call["notices"][0]["kind"] == "dtmf"
    assert await words(modules, "noticeWords", heard.call["notices"][0]) == "Front door pressed 1"


@pytest.mark.parametrize("action", ["mute", "kick", "invite", "start_recording"])
async def test_what_needs_a_right_is_asked_and_a_refusal_is_plain(
    modules: Page, action: str
) -> None:
    ask = {"type": "ask", "request_id": "r1", "action": action, "uid": "bob"}
    answer = {"request_id": "r1", "accepted": False, "error": "not_allowed"}
    *_, asked, refused, faded = await play(
        modules, *TALKING, ask, says("response", answer, at=100), timer("notice", at=99_000)
    )
    assert asked.sent("request")["action"] == action
    assert asked.sent("request")["uid"] == "bob"
    (notice,) = refused.call["notices"]
    said = await words(modules, "noticeWords", notice)
    assert said.startswith("You are not allowed to ")
    assert faded.call["notices"] == []
    *_, silent = await play(modules, *TALKING, ask, timer("ask:r1"))
    said = await words(modules, "noticeWords", silent.call["notices"][0])
    assert said.endswith("there was no answer.")


async def test_who_is_muted_by_the_host_is_muted_at_once_and_told(modules: Page) -> None:
    *_, muted = await play(modules, *TALKING, asks("mute", uid="alice"))
    assert muted.did == ["microphone off", "send state", "send response"]
    assert muted.sent("response")["accepted"] is True
    said = await words(modules, "noticeWords", muted.call["notices"][0])
    assert said == "You were muted by Front door."


async def test_nobodys_microphone_is_opened_but_by_themselves(modules: Page) -> None:
    asked = [*TALKING, {"type": "mute", "on": True}, asks("unmute", uid="alice")]
    *_, question, yes = await play(
        modules, *asked, {"type": "decide", "request_id": "q1", "accepted": True}
    )
    assert question.did == []
    assert question.call["muted"] is True
    assert yes.did == ["send response", "microphone on", "send state"]
    *_, no = await play(modules, *asked, {"type": "decide", "request_id": "q1", "accepted": False})
    assert no.did == ["send response"]
    assert no.sent("response") == {"request_id": "q1", "accepted": False, "error": "rejected"}
    assert no.call["questions"] == []


async def test_an_audio_call_becomes_a_video_call_when_the_far_side_agrees(modules: Page) -> None:
    asked, agreed, offered, again = (
        await play(
            modules,
            *audio(),
            {"type": "switch_to_video", "request_id": "r1"},
            says("response", {"request_id": "r1", "accepted": True, "error": None}),
            described(),
            {"type": "switch_to_video", "request_id": "r2"},
        )
    )[len(audio()) :]
    assert asked.sent("request")["action"] == "switch_to_video"
    assert asked.call["type"] == "audio"
    assert (agreed.call["type"], agreed.did) == ("video", ["open_media 1"])
    assert offered.sent("offer")["reason"] == "switch_to_video"
    assert again.did == []
    # whoever offered first offers; the other waits for it
    theirs = invite(offer=OFFER)
    theirs["body"]["call_type"] = "audio"
    answered = [theirs, {"type": "answer"}, described(ANSWER), at_link("connected")]
    reason = {"offer": OFFER, "generation": 1, "reason": "switch_to_video"}
    *_, accepted, answers = await play(
        modules,
        *answered,
        {"type": "switch_to_video", "request_id": "r1"},
        says("response", {"request_id": "r1", "accepted": True, "error": None}),
        says("offer", reason),
    )
    assert (accepted.call["type"], accepted.did) == ("video", [])
    assert answers.did == ["open_media 1"]


async def test_to_show_oneself_one_is_asked(modules: Page) -> None:
    decide = {"type": "decide", "request_id": "q1"}
    *_, question, yes = await play(
        modules, *audio(), asks("switch_to_video"), decide | {"accepted": True}
    )
    assert question.did == []
    said = await words(modules, "questionWords", question.call, question.call["questions"][0])
    assert said == "Front door would like to turn this into a video call."
    assert yes.did == ["send response", "open_media 1"]
    assert yes.call["camera_on"] is False
    *_, no = await play(modules, *audio(), asks("switch_to_video"), decide | {"accepted": False})
    assert (no.call["type"], no.did) == ("audio", ["send response"])


async def test_renegotiations_follow_one_another(modules: Page) -> None:
    *_, queued, settled = await play(
        modules,
        *audio(),
        {"type": "switch_to_video", "request_id": "r1"},
        says("response", {"request_id": "r1", "accepted": True, "error": None}),
        asks("renegotiate", reason="screen_share"),
        says("answer", {"answer": ANSWER, "generation": 1}),
    )
    assert queued.did == ["send response"]
    assert settled.did == ["settle accept join offer", "take_answer 1", "open_media 1"]


async def test_that_somebody_records_is_said_for_as_long_as_it_does(modules: Page) -> None:
    *_, records, stopped = await play(
        modules,
        *TALKING,
        says("state", {"recording": True}),
        says("state", {"recording": False}),
    )
    assert await words(modules, "recordingWords", records.state) == "Front door records this call."
    assert await words(modules, "recordingWords", stopped.state) is None


async def test_custom_events_and_nonsense_in_a_state_change_nothing(modules: Page) -> None:
    *_, before, custom, odd = await play(
        modules,
        *TALKING,
        says("state", {"camera_exception": "device_occupied"}),
        says("custom", {"name": "x", "body": 1}),
        says("state", {"audio_muted": "yes", "toString": True}),
    )
    assert custom.state == before.state
    assert odd.call["told"]["host"] == {"camera_exception": "device_occupied"}
