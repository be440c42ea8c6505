"""The page's media, two of them in one document: they find each other, film, and part slowly."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

MEET = """async (video) => {
  const { Media } = await import('/media.js');
  const sides = {};
  const seen = [];
  const agreed = [];
  const side = (name, other) => new Promise((connected) => {
    sides[name] = new Media({
      onDescribed(link, generation, description) {
        seen.push(description);
        if (description.type === 'offer') sides[other].open(link, generation, video, description);
        else sides[other].takeAnswer(link, generation, description);
      },
      onAgreed: (link, generation, agreement) => agreed.push(agreement),
      onCandidate: (link, generation, candidate) =>
        sides[other].takeCandidate(link, generation, candidate),
      onState: (link, generation, state) => state === 'connected' && connected(),
      onRemote: () => undefined,
      onOwnPicture: () => undefined,
      onShared: () => undefined,
      onDevice: () => undefined,
    });
  });
  const both = Promise.all([side('one', 'two'), side('two', 'one')]);
  const made = [];
  const Real = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Real {
    constructor(...given) { super(...given); made.push(this); }
  };
  sides.one.open('host', 1, video, null);
  await both;
  window.RTCPeerConnection = Real;
  Object.assign(window, { sides, made, agreed });
  return seen.map(({ sdp }) => sdp);
}"""

EARLY = """async () => {
  const { Media } = await import('/media.js');
  let one, two;
  const nothing = () => undefined;
  const rest = { onRemote: nothing, onOwnPicture: nothing, onShared: nothing, onDevice: nothing };
  return new Promise((met) => {
    // every candidate goes ahead of its description, and the description has none
    const bare = ({ type, sdp }) => ({ type, sdp: sdp.replace(/a=(candidate|end-of).*\\r\\n/g, '') });
    const candidates = ({ sdp }) => [...sdp.matchAll(/a=(candidate.*)\\r/g)].map(([, candidate]) => ({
      candidate, sdpMid: '0', sdpMLineIndex: 0,
    }));
    const pass = (to, generation, description) => {
      for (const each of candidates(description)) to.takeCandidate('host', generation, each);
    };
    one = new Media({
      ...rest,
      onDescribed(link, generation, description) {
        pass(two, generation, description);
        two.open(link, generation, false, bare(description));
      },
      onAgreed: nothing, onCandidate: nothing,
      onState: (link, generation, state) => state === 'connected' && met(state),
    });
    two = new Media({
      ...rest,
      onDescribed(link, generation, description) {
        pass(one, generation, description);
        one.takeAnswer(link, generation, bare(description));
      },
      onAgreed: nothing, onCandidate: nothing, onState: nothing,
    });
    one.open('host', 1, false, null);
  }).finally(() => { one.close(null, null); two.close(null, null); });
}"""

SENDS = """() => made.map((pc) => pc.getSenders().map(({ track }) => track?.kind ?? 'nothing'))"""
CLOSED = """() => new Promise((done) => {
  const look = () => made[0].connectionState === 'closed' ? done() : setTimeout(look, 20);
  look();
})"""


async def test_two_sides_meet_with_sound_alone_or_with_one_kind_of_picture(modules: Page) -> None:
    for video, sections in ((False, ["audio"]), (True, ["audio", "video", "video"])):
        for sdp in await modules.evaluate(MEET, video):
            assert re.findall(r"^m=(\w+)", sdp, re.M) == sections
            codecs = set(re.findall(r"^a=rtpmap:\d+ (\w+)/90000", sdp, re.M))
            assert codecs == ({"H264", "rtx"} if video else set())
            assert sdp.count("a=sendrecv") == len(sections)


async def test_a_camera_comes_and_goes_without_another_description(modules: Page) -> None:
    await modules.evaluate(MEET, True)
    assert await modules.evaluate(SENDS) == [["audio", "nothing", "nothing"]] * 2
    await modules.evaluate("sides.one.camera(true)")
    assert await modules.evaluate(SENDS) == [
        ["audio", "video", "nothing"],
        ["audio", "nothing", "nothing"],
    ]
    await modules.evaluate("sides.one.camera(false)")
    assert await modules.evaluate(SENDS) == [["audio", "nothing", "nothing"]] * 2


async def test_candidates_that_come_before_their_connection_are_kept_for_it(modules: Page) -> None:
    assert await modules.evaluate(EARLY) == "connected"


async def test_who_is_on_hold_is_sent_silence_and_no_picture(modules: Page) -> None:
    await modules.evaluate(MEET, True)
    await modules.evaluate("sides.one.camera(true)")
    await modules.evaluate("sides.one.silence('host', true)")
    enabled = "made[0].getSenders().map(({ track }) => track && [track.kind, track.enabled])"
    assert await modules.evaluate(enabled) == [["audio", False], None, None]
    await modules.evaluate("sides.one.silence('host', false)")
    assert await modules.evaluate(enabled) == [["audio", True], ["video", True], None]


async def test_a_connection_outlives_its_call_so_that_the_goodbye_is_there_first(
    modules: Page,
) -> None:
    await modules.evaluate(MEET, False)
    tracks, states = await modules.evaluate(
        """() => {
          const tracks = made[0].getSenders().map(({ track }) => track);
          sides.one.close(null, null);
          return [tracks.map(({ readyState }) => readyState), made.map((pc) => pc.connectionState)];
        }"""
    )
    assert tracks == ["ended"], "the microphone is closed at once"
    assert states == ["connected", "connected"]
    await modules.evaluate(CLOSED)


@pytest.mark.parametrize(
    ("thrown", "exception"),
    [
        ("NotAllowedError", "permission_not_granted"),
        ("NotFoundError", "device_unplugged"),
        ("NotReadableError", "device_occupied"),
        ("SomethingNewError", "unknown"),
    ],
)
async def test_what_a_browser_throws_becomes_a_word_of_the_vocabulary(
    modules: Page, thrown: str, exception: str
) -> None:
    word: Any = await modules.evaluate(
        "async (name) => (await import('/capture.js')).exceptionOf(new DOMException('', name))",
        thrown,
    )
    assert word == exception
