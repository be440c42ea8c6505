"""What a page does with more than it can look at: each has a share, and what ends a call gets through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.async_api import Browser, Page, Route, expect

from appliance.config import Security
from appliance.invitation import link_of
from appliance.model import Gesture
from appliance.signaling.wire import may_be_last_word
from appliance.trust.jws import seal
from appliance.trust.keys import DeviceKey
from tests.parts.house import config_for, house
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.web.visiting import opened, part, shows

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

DOOR = "front-door"
PLAYED = """async ([steps, known]) => {
  const { Intake } = await import('/intake.js');
  const took = [], left_out = [], waits = [];
  let most = 0;
  const take = (from, text) => new Promise((done) => {
    took.push(`${from} ${JSON.parse(text).n}`);
    waits.push(done);
  });
  const intake = new Intake(take, (from) => known.includes(from), (from) => left_out.push(from));
  const settled = async () => { for (let i = 0; i < 6; i += 1) await null; };
  for (const { at = 0, from, n, type = 'chat', looks = 0 } of steps) {
    if (from) intake.offer(from, JSON.stringify({ n, type }), at);
    for (let i = 0; i < looks; i += 1) { waits.shift()?.(); await settled(); }
    most = Math.max(most, intake.size);
  }
  while (waits.length) { waits.shift()(); await settled(); }
  return { took, left_out, most, left: intake.size };
}"""


def said(sender: str, count: int, at_ms: float = 0, begin: int = 0) -> list[dict[str, Any]]:
    """So many chats at once."""
    return [{"from": sender, "n": number, "at": at_ms} for number in range(begin, begin + count)]


async def played(page: Page, *steps: dict[str, Any], known: str = "door alice bob") -> Any:
    """What was taken, in its order, what was left out, and how many waited at most."""
    found = await page.evaluate(PLAYED, [list(steps), known.split()])
    assert found["left"] == 0
    return found


async def test_nobody_waits_behind_another_and_each_keeps_its_order(modules: Page) -> None:
    found = await played(modules, *said("bob", 50), *said("door", 3))
    assert found["took"].index("door 2") < 8
    assert [one for one in found["took"] if one.startswith("bob")] == [
        f"bob {n}" for n in range(50)
    ]
    assert found["left_out"] == []


async def test_a_flood_takes_nothing_of_another_and_nothing_of_what_ends_a_call(
    modules: Page,
) -> None:
    """Though the flood is in the door's own name, and all that is waited for is full."""
    flood = [*said("bob", 900), *said("alice", 900), *said("door", 900)]
    found = await played(modules, *flood, {"from": "door", "n": 9999, "type": "end"})
    assert "door 9999" in found["took"]
    assert len([one for one in found["took"] if one.startswith("door")]) > 12
    assert found["most"] <= 3 * 64
    assert len(found["left_out"]) + len(found["took"]) == 2701
    again = await played(modules, *said("bob", 900), *said("door", 12))
    assert [one for one in again["took"] if one.startswith("door")] == [
        f"door {n}" for n in range(12)
    ]


async def test_those_who_cannot_be_believed_have_one_share_together(modules: Page) -> None:
    crowd = [{"from": f"stranger-{n}", "n": n} for n in range(2000)]
    found = await played(modules, *crowd, *said("door", 12))
    strangers = [one for one in found["took"] if one.startswith("stranger")]
    assert len(strangers) <= 64
    assert [one for one in found["took"] if one.startswith("door")] == [
        f"door {n}" for n in range(12)
    ]


async def test_a_share_comes_back_with_time(modules: Page) -> None:
    """Twenty a second, each of which is looked at before the next second."""
    steps: list[dict[str, Any]] = []
    for second in range(10):
        steps += [*said("door", 30, second * 1000, second * 100), {"looks": 200}]
    found = await played(modules, *steps)
    assert 60 + 9 * 20 <= len(found["took"]) <= 60 + 9 * 20 + 12 + 1


async def test_whatever_comes_what_waits_has_an_end_and_the_last_words_of_each_are_heard(
    modules: Page,
) -> None:
    """Of ever so many contacts, in any order; a last word a second is less than its share."""
    rng = Random(41)
    known = [f"c{number}" for number in range(200)]
    steps: list[dict[str, Any]] = []
    for number in range(3000):
        steps.append(
            {"from": rng.choice(known[: rng.choice([2, 200])]), "n": number, "at": number / 4}
        )
        if rng.random() < 0.05:
            steps.append({"looks": rng.randrange(20)})
    ends = [{"from": name, "n": 10_000, "type": "cancel", "at": 800} for name in known]
    found = await played(modules, *steps, *ends, known=" ".join(known))
    assert found["most"] <= 512
    assert {f"{name} 10000" for name in known} <= set(found["took"])
    for name in known:
        numbers = [int(one.split()[1]) for one in found["took"] if one.split()[0] == name]
        assert numbers == sorted(numbers)


BROKEN = """async () => {
  const { Intake } = await import('/intake.js');
  const heard = [], told = [];
  window.addEventListener('error', (event) => { told.push(event.message); event.preventDefault(); });
  const take = async (from, text) => { heard.push(text); if (text === '1') throw new Error('no'); };
  const intake = new Intake(take, () => true, () => undefined);
  for (const text of ['1', '2', '3']) intake.offer('door', text, 0);
  while (heard.length < 3) await new Promise((done) => { setTimeout(done, 1); });
  return [heard, told];
}"""


async def test_a_fault_in_one_is_told_and_keeps_no_other_from_being_looked_at(
    modules: Page,
) -> None:
    heard, told = await modules.evaluate(BROKEN)
    assert heard == ["1", "2", "3"]
    assert told == ["Uncaught Error: no"]


LAST_WORDS = """async (texts) => {
  const { mayBeLastWord } = await import('/intake.js');
  return texts.map(mayBeLastWord);
}"""


async def test_a_last_word_is_known_signed_or_not(modules: Page) -> None:
    key = DeviceKey.make()
    end, chat = ({"v": 1, "type": kind, "body": {"a": "ÿ>?" * 9}} for kind in ("end", "chat"))
    texts = [json.dumps(end), seal(json.dumps(end).encode(), key).decode()]
    texts += [json.dumps(chat), seal(json.dumps(chat).encode(), key).decode()]
    texts += ["", "a.b", "..", "{", json.dumps({"x": "!" * 9000, "type": "end"})]
    assert await modules.evaluate(LAST_WORDS, texts) == [True, True] + [False] * 7


COMINGS = """async (steps) => {
  const { Comings } = await import('/comings.js');
  const took = [], held = [];
  const comings = new Comings((uid, endpoint, text) => took.push(`${uid}/${endpoint} ${text}`),
    (uid) => held.push(uid));
  const at_once = [];
  for (const [uid, endpoint, text] of steps) comings.offer(uid, endpoint, text, 0);
  at_once.push(...took);
  while (took.length === at_once.length) await new Promise((done) => { setTimeout(done, 20); });
  const later = took.slice(at_once.length);
  for (const [uid, endpoint, text] of steps) comings.offer(uid, endpoint, text, 0);
  comings.forget();
  return { at_once: at_once.length, later, held: held.length };
}"""


async def test_of_who_comes_and_goes_the_last_word_counts_a_second_later(modules: Page) -> None:
    steps = [("door", "main", str(number)) for number in range(400)]
    steps += [("bob", f"x{number}", "on") for number in range(400)]
    found = await modules.evaluate(COMINGS, steps)
    assert found["at_once"] == 80
    door, *bob = found["later"]
    assert door == "door/main 399"
    assert bob == [f"bob/x{number} on" for number in range(400 - 64, 400)]


REFUSED = """async (count) => {
  const { Refusals } = await import('/shares.js');
  const told = [];
  const refusals = new Refusals((code, sentence) => told.push(`${code}: ${sentence}`));
  for (let i = 0; i < count; i += 1) refusals.add('flooded', 'Too many.', 0);
  refusals.add('forged', 'No.', 0);
  refusals.add('flooded', 'Too many.', 1000);
  return [told.length, told.at(-1), Object.fromEntries(refusals.counts)];
}"""


async def test_what_is_refused_is_counted_in_full_and_told_in_brief(modules: Page) -> None:
    assert await modules.evaluate(REFUSED, 500) == [
        22,
        "flooded: Too many. 480 more were refused before it.",
        {"flooded": 501, "forged": 1},
    ]


# -------------------- a whole page, paired, at a real broker


INBOX = f"appliance/call/alice/{DOOR}"


class Mallory(paho.Client):
    """Who may write and read anything, and waits for no acknowledgement before it goes on."""

    def __init__(self, broker: Mosquitto) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, "mallory")
        self.last_words = 0
        self.on_message = self._hears
        self.max_inflight_messages_set(10_000)
        self.connect(broker.host, broker.port)
        self.subscribe(INBOX)

    def _hears(self, _client: Any, _data: Any, packet: paho.MQTTMessage) -> None:
        self.last_words += may_be_last_word(bytes(packet.payload))


@contextmanager
def mallory(broker: Mosquitto) -> Iterator[Mallory]:
    client = Mallory(broker)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def chat(sender: str, number: int) -> bytes:
    """What somebody says to alice, as if it were of now."""
    return json.dumps({
        "v": 1, "id": f"f{number}", "type": "chat", "call_id": "f" * 32, "from": sender, "to": "alice",
        "endpoint": "main", "to_endpoint": None, "epoch": None, "seq": number, "sent_at": 0, "ttl_s": 30,
        "clock": "unknown", "body": {"text": "!" * 200},
    }).encode()  # fmt: skip


STANDS_STILL = """() => {
  const request = new XMLHttpRequest();
  request.open('GET', '/standstill', false);
  request.send();
}"""


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Mosquitto]:
    """It keeps little for a reader that is slow, so that a small flood does."""
    limits = "max_inflight_messages 20\nmax_queued_messages 50"
    broker = Mosquitto(program("mosquitto"), tmp_path, limits)
    broker.start()
    yield broker
    broker.kill()


async def patiently(route: Route) -> None:
    """A page whose broker takes it for gone after a minute and a half of silence, and not after 7.5 s."""
    response = await route.fetch()
    text = await response.text()
    assert "const KEEPALIVE_S = 5;" in text
    text = text.replace("const KEEPALIVE_S = 5;", "const KEEPALIVE_S = 60;")
    await route.fulfill(response=response, body=text)


@pytest.mark.broker
@pytest.mark.timeout(300)
async def test_a_ring_is_taken_back_through_a_flood_of_a_page_that_is_slow(
    browser: Browser, narrow: Mosquitto, tmp_path: Path
) -> None:
    """In another's name, of which a broker keeps so much and drops what comes then; and in the door's."""
    go_on = asyncio.Event()
    held = asyncio.Event()

    async def holds(route: Route) -> None:
        held.set()
        await go_on.wait()
        await route.fulfill(body="")

    config = config_for(narrow.port, security=Security("refuse"))
    url = f"ws://127.0.0.1:{narrow.websocket_port}/"
    async with house(config, tmp_path, websocket_url=url) as one:
        board = one.appliance.board
        assert board is not None
        assert one.appliance.page is not None
        assert one.appliance.invite is not None
        invited = await one.appliance.invite("Alice", None, None)
        context = await browser.new_context()
        await context.route("**/signaling.js", patiently)
        await context.route("**/standstill", holds)
        async with opened(context, link_of(one.appliance.page, invited.told["invitation"])) as tab:
            await part(tab, "pair").click()
            await expect(part(tab, "phone")).to_have_attribute("data-door", "online")
            await one.until_true(lambda: "alice" in one.appliance.engine.state.presence)
            await board.press("bell_alice", Gesture.PRESS)
            await shows(tab, "incoming")

            standing = asyncio.get_running_loop().create_task(tab.evaluate(STANDS_STILL))
            await held.wait()
            with mallory(narrow) as flooder:
                for number in range(300):
                    flooder.publish("appliance/call/alice/bob", chat("bob", number), 1)
                forged = seal(chat(DOOR, 2**52), DeviceKey.make())
                for _ in range(100):
                    last = flooder.publish(INBOX, forged, 1)
                await asyncio.to_thread(last.wait_for_publish, 30)
                await one.appliance.session.end_call()
                await one.until_true(lambda: flooder.last_words > 0)
            go_on.set()
            await standing
            await shows(tab, "ended", "cancelled")
        await context.close()
