"""What the page says arrives, or is said again: over lost connections and answers, to a door that was away.

The page's own outbox on a broker that does as the test says: in the place of mqtt.js, what is used of it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route

from appliance.config import Device, Http, Mqtt
from appliance.web.server import WebServer
from tests.fuzz import mutations

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

BROKER = """
const clients = (window.clients = []);
class Client {
  constructor() {
    this.connected = false;
    this.said = []; this.topics = []; this.on_ = {};
    clients.push(this);
  }
  on(name, take) { this.on_[name] = take; }
  subscribe(topic) { this.topics.push(topic); }
  async subscribeAsync() {}
  end() { this.connected = false; }
  publish(topic, payload, options, acknowledge) {
    this.said.push({ topic, payload: String(payload), acknowledge });
  }
}
const asked = (window.asked = []);
export default { connect: (url, options) => { asked.push(options); return new Client(); } };
"""
START = """async () => {
  const { Signaling } = await import('/signaling.js');
  window.heard = [];
  window.faults = [];
  window.clients?.splice(0);
  let seq = 0;
  const listener = {
    onMessage: (m) => window.heard.push(m.kind),
    onLink: () => {}, onPresence: () => {}, onFault: (code) => window.faults.push(code),
  };
  const self = { uid: 'alice', endpoint: 'phone-1', name: 'Alice' };
  const broker = { url: 'ws://x', root: 'r', version: 4 };
  window.link = new Signaling(self, broker, ['front-door'], () => ++seq, listener);
  await window.link.connect();
}"""
LIB = """() => {
  const last = () => window.clients.at(-1);
  const settled = async () => { for (let i = 0; i < 20; i += 1) await null; };
  window.lib = {
    async connects() { const c = last(); c.connected = true; c.on_.connect(); await settled(); },
    async loses() {
      const c = last();
      c.connected = false;
      c.on_.close();
      window.link.retryNow();
      await settled();
    },
    async presence(epoch) {
      const text = JSON.stringify({ v: 1, state: 'online', epoch, name: null, kid: null });
      last().on_.message('r/presence/front-door/main', text, { retain: true });
      await settled();
    },
    async reads(text) {
      last().on_.message('r/presence/front-door/main', text, { retain: true });
      await settled();
    },
    async writes(text, retain = false) {
      last().on_.message('r/presence/alice/phone-1', text, { retain });
      await settled();
    },
    announced() {
      const own = window.clients.flatMap(({ said }) => said)
        .filter(({ topic }) => topic === 'r/presence/alice/phone-1');
      return own.map(({ payload }) => JSON.parse(payload).epoch);
    },
    async hears(id, type, call_id = 'c1', epoch = null) {
      window.seq = (window.seq ?? 0) + 1;
      const body = type === 'invite' ? { session_id: 's1', call_type: 'video',
        caller: { uid: 'front-door', name: null }, timeout_s: 30 } : {};
      const text = JSON.stringify({ v: 1, id, type, call_id, from: 'front-door', to: 'alice',
        endpoint: 'main', to_endpoint: 'phone-1', epoch, seq: window.seq, sent_at: 1,
        ttl_s: 30, clock: 'synced', body });
      last().on_.message('r/call/alice/front-door', text, {});
      await settled();
    },
    async says(kind, body = {}, call_id = 'c1') {
      window.link.send({ uid: 'front-door', endpoint: 'main' }, call_id, kind, body, 30);
      await settled();
    },
    async forgets(call_id = 'c1') { window.link.forget(call_id); await settled(); },
    async acknowledges() { for (const one of last().said) one.acknowledge?.(); await settled(); },
    said() {
      return last().said.filter(({ topic }) => topic.startsWith('r/call/')).map(({ payload }) => {
        const { id, type, epoch } = JSON.parse(payload);
        return { id, type, epoch };
      });
    },
  };
}"""

OFFLINE = '{"v":1,"state":"offline"}'
ONLINE = '{"v":1,"state":"online","epoch":"another","name":"Alice","kid":null}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(started: Browser) -> AsyncIterator[Page]:
    """A page whose broker is the stand-in."""

    async def brings(route: Route) -> None:
        await route.fulfill(body=BROKER, content_type="text/javascript")

    async with (
        WebServer(Device(), Mqtt(), Http(port=0), status=dict) as one,
        await started.new_page() as page,
    ):
        await page.route("**/vendor/mqtt.esm.js", brings)
        await page.goto(f"{one.url}healthz")
        await page.evaluate(LIB)
        await page.evaluate(START)  # now, so that no test is the one that opened the connection
        await page.evaluate("() => window.link.close()")
        yield page


class Phone:
    """The page's link, at work."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def does(self, step: str, *words: Any) -> None:
        script = f"(words) => window.lib.{step}(...words)"
        await self.page.evaluate(script, list(words))

    async def announced(self) -> list[str]:
        """The epochs that its own presence has told."""
        found: list[str] = await self.page.evaluate("() => window.lib.announced()")
        return found

    async def said(self, *kinds: str) -> list[dict[str, Any]]:
        """Over the present connection, in order; of these types."""
        found: list[dict[str, Any]] = await self.page.evaluate("() => window.lib.said()")
        assert [one["type"] for one in found] == list(kinds)
        return found


@pytest_asyncio.fixture(loop_scope="module")
async def phone(document: Page) -> AsyncIterator[Phone]:
    await document.evaluate(START)
    one = Phone(document)
    await one.does("connects")
    await one.does("presence", "e1")
    yield one
    await document.evaluate("() => window.link.close()")


async def test_who_has_counted_and_connects_anew_is_given_an_epoch_to_count_in(
    phone: Phone,
) -> None:
    """Once for each time: another page answers likewise, and neither may have the last word for ever."""
    [first] = await phone.announced()
    await phone.does("presence", "e2")
    assert await phone.announced() == [first], "it has said nothing yet"
    await phone.does("hears", "m1", "ringing", "c1", first)
    await phone.does("presence", "e3")
    [_, second] = await phone.announced()
    assert second != first
    for answer in range(5):  # the other side has a new one as soon as it sees ours
        await phone.does("presence", f"answer-{answer}")
    assert await phone.announced() == [first, second]
    await phone.does("hears", "m2", "ringing", "c1", second)
    await phone.does("presence", "e4")
    assert len(await phone.announced()) == 3


@pytest.mark.parametrize("type_", ["reject", "cancel", "end", "ringing", "chat", "candidate"])
async def test_what_the_broker_has_not_acknowledged_is_said_again(phone: Phone, type_: str) -> None:
    """Under the same id, and for the connection that the door has then."""
    await phone.does("says", type_)
    (first,) = await phone.said(type_)
    await phone.does("loses")
    await phone.does("connects")
    await phone.said()  # as long as it is not known for which connection of the door
    await phone.does("presence", "e2")
    (again,) = await phone.said(type_)
    assert again == {"id": first["id"], "type": type_, "epoch": "e2"}


async def test_what_it_has_acknowledged_is_not(phone: Phone) -> None:
    await phone.does("says", "chat")
    await phone.does("acknowledges")
    await phone.does("loses")
    await phone.does("connects")
    await phone.does("presence", "e1")
    await phone.said()


async def test_a_last_word_outlives_its_call(phone: Phone) -> None:
    await phone.does("loses")
    await phone.does("says", "chat")
    await phone.does("forgets")
    await phone.does("says", "reject")
    await phone.does("forgets")
    await phone.does("connects")
    await phone.does("presence", "e2")
    await phone.said("reject")


async def test_a_door_that_was_away_is_told_the_last_word_once_more(phone: Phone) -> None:
    await phone.does("says", "reject")
    await phone.does("acknowledges")
    await phone.does("presence", "e1")
    (first,) = await phone.said("reject")
    await phone.does("presence", "e9")
    _, again = await phone.said("reject", "reject")
    assert again == {"id": first["id"], "type": "reject", "epoch": "e9"}


@pytest.mark.parametrize("answer", ["ringing", "accept", "reject"])
async def test_who_asks_again_is_answered_again(phone: Phone, answer: str) -> None:
    """And what is asked is acted on once."""
    await phone.does("hears", "m1", "invite")
    await phone.does("says", answer)
    await phone.does("acknowledges")
    (first,) = await phone.said(answer)
    await phone.does("hears", "m1", "invite")
    _, again = await phone.said(answer, answer)
    assert again["id"] == first["id"]
    assert await phone.page.evaluate("() => window.heard") == ["invite"]


async def test_who_asks_something_else_again_is_not_told_that(phone: Phone) -> None:
    await phone.does("hears", "m1", "invite")
    await phone.does("hears", "m2", "invite", "c2")
    await phone.does("says", "ringing")
    await phone.does("hears", "m2", "invite", "c2")
    await phone.said("ringing")


async def test_who_writes_in_its_place_is_written_over_and_what_was_there_before_is_not(
    phone: Phone,
) -> None:
    """The lost phone of the same person has the same account."""
    [epoch] = await phone.announced()
    topics = await phone.page.evaluate("() => window.clients.at(-1).topics")
    assert "r/presence/alice/phone-1" in topics
    await phone.does("writes", ONLINE)
    await phone.page.wait_for_function("() => window.lib.announced().length >= 2")
    assert await phone.announced() == [epoch, epoch]
    await phone.does("writes", OFFLINE)
    await phone.does("loses")
    await phone.does("connects")
    await phone.does("writes", OFFLINE, True)
    [*_, now] = await phone.announced()
    assert now != epoch
    # nothing is under way: the broker's copy is of before, and the rest of a connection that is over
    pending = await phone.page.evaluate("() => window.link.own_presence.isMending")
    assert not pending


async def test_a_presence_that_is_spoilt_is_understood_or_refused(phone: Phone) -> None:
    """And what is signed for the door is for an epoch that is one, or for none."""
    rng = Random(51)
    whole = {"v": 1, "state": "online", "epoch": "e1", "name": None, "kid": None}
    texts = [mutations.as_text(mutations.of_json(whole, rng)).decode() for _ in range(60)]
    odd = [f'{{"state": "online", "epoch": {one}}}' for one in ("7", "{}", "[]", "true")]
    for text in [*texts, *odd, "", "7", "null", "[]", "{", '"online"', '{"state": 1}']:
        await phone.does("reads", text)
    faults = await phone.page.evaluate("() => window.faults")
    assert set(faults) <= {"malformed", "flooded"}
    assert faults.count("malformed") > 3
    await phone.does("says", "chat")
    (said,) = await phone.said("chat")
    assert said["epoch"] is None or isinstance(said["epoch"], str)


async def test_a_presence_whose_epoch_is_none_is_refused(phone: Phone) -> None:
    await phone.does("reads", '{"v": 1, "state": "online", "epoch": {"a": 1}}')
    await phone.does("says", "chat")
    (said,) = await phone.said("chat")
    assert said["epoch"] is None
    assert await phone.page.evaluate("() => window.faults") == ["malformed"]


async def test_a_client_id_is_always_the_same_and_nobody_can_guess_it(phone: Phone) -> None:
    """By the name and the endpoint, which presence tells: any account could throw the page out."""
    await phone.does("loses")
    await phone.does("connects")
    ids = await phone.page.evaluate("() => window.asked.slice(-2).map((o) => o.clientId)")
    assert ids[0] == ids[1]
    mark = ids[0].removeprefix("alice-phone-1-")
    assert re.fullmatch("[0-9a-f]{32}", mark)
    told = await phone.page.evaluate("() => window.clients.flatMap(({ said }) => said)")
    assert told
    assert mark not in str(told)
