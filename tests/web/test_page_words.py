"""Whatever happens is said in words, and every end has its own."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from appliance.model import CallEndReason, DeviceException

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ENDED = """async ([reason, direction]) => {
  const { stateWords } = await import('/words.js');
  const call = { direction, peer: { name: 'Front door' }, answered_at: 1000, ended_at: 62000 };
  const { title, line } = stateWords({ phase: 'ended', call, reason });
  return `${title}. ${line}`;
}"""


async def test_every_end_reason_of_the_vocabulary_has_words_of_its_own(modules: Page) -> None:
    for direction in ("incoming", "outgoing"):
        said = {
            reason: await modules.evaluate(ENDED, [reason, direction]) for reason in CallEndReason
        }
        assert len(set(said.values())) == len(CallEndReason)
        assert all("_" not in words and "undefined" not in words for words in said.values())
    assert await modules.evaluate(ENDED, ["remote_hang_up", "incoming"]) == (
        "Call ended. Front door hung up after 1:01."
    )


async def test_every_microphone_trouble_says_that_one_can_still_listen(modules: Page) -> None:
    for exception in DeviceException:
        words = await modules.evaluate(
            "async (e) => (await import('/words.js')).microphoneWords(e, true)", exception
        )
        assert words.count("you can listen, not talk") == 1


async def test_only_a_camera_that_sends_nothing_has_no_picture(modules: Page) -> None:
    for exception in DeviceException:
        words, blind = await modules.evaluate(
            """async (e) => {
              const { isBlind, troubleWords } = await import('/words.js');
              return [troubleWords('camera', 'Front door', e), isBlind(e)];
            }""",
            exception,
        )
        assert words.startswith(("The camera of Front door", "Nothing is heard"))
        assert blind is (exception is not DeviceException.BY_SYSTEM_PRESSURE)


async def test_the_essence_of_an_event_is_one_line_without_ids(modules: Page) -> None:
    essence = "async (data) => (await import('/doorlink.js')).essence({ data })"
    call = {"call_id": "c", "direction": "outgoing", "type": "video", "state": "ended"}
    assert await modules.evaluate(
        essence, {"call": call, "reason": "remote_hang_up", "kicked_by": None, "duration_s": 12.345}
    ) == ("outgoing video, ended  ·  reason remote_hang_up  ·  12.3 s")
    assert await modules.evaluate(
        essence, {"session_id": "s", "call_id": "c", "participant": {"uid": "bob", "name": None}}
    ) == ("bob")
    assert (
        await modules.evaluate(essence, {"input": "door", "on": False}) == "input door  ·  not on"
    )
