"""What the page reads of others, spoilt: links, messages, presence; it is understood or it is refused."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from playwright.async_api import Page

from appliance.invitation import link_of
from appliance.signaling.wire import encode
from appliance.trust.keys import DeviceKey, encoded
from tests.fuzz import mutations
from tests.signaling.envelopes import MESSAGES
from tests.signaling.envelopes import envelope as envelope_of
from tests.web.playing import TALKING, Input, invite, placed

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

LINKS, SPOILT = 400, 1200
INVITATION: dict[str, Any] = {
    "v": 1,
    "root": "appliance",
    "device_id": "front-door",
    "public_key": DeviceKey.make().public,
    "websocket_url": "wss://door.local:8884/",
    "username": "zoe",
    "password": None,
    "uid": "zoe",
    "name": "Zoë",
    "secret": encoded(bytes(16)),
}

PARSED = """async (hashes) => {
  const { parsePairing } = await import('/pairing.js');
  return hashes.map((hash) => parsePairing(hash));
}"""


async def test_links_of_invitations(modules: Page) -> None:
    rng = Random(31)
    hashes = []
    for _ in range(LINKS):
        if rng.random() < 0.5:
            hashes.append(link_of("", mutations.of_json(INVITATION, rng)))
        else:
            link = mutations.of_bytes(link_of("", INVITATION).encode(), rng)
            hashes.append(link.decode(errors="replace"))
    found = await modules.evaluate(PARSED, hashes)
    whole = [one for one in found if isinstance(one, dict)]
    assert 0 < len(whole) < len(found), "some are whole: what was changed was no part of it"
    for one in whole:
        assert one["v"] == 1
        assert all(
            isinstance(one[name], str) and one[name]
            for name in INVITATION
            if name not in ("v", "password")
        )
        assert one["password"] is None or isinstance(one["password"], str)


# every state of a call, entered by what is played first; a message that is believed is then given to it
TAKEN = """async ([begins, texts]) => {
  const { advance, IDLE } = await import('/call.js');
  const { Gatekeeper } = await import('/envelope.js');
  const me = { uid: 'alice', endpoint: 'phone-1' };
  const found = { believed: 0, refused: 0, failed: [] };
  for (const [number, text] of texts.entries()) {
    let verdict;
    try {
      const gatekeeper = new Gatekeeper(me);
      let envelope = null;
      try { envelope = JSON.parse(text); } catch { /* as the trust refuses it */ }
      verdict = gatekeeper.judge('front-door', envelope);
      if (!('envelope' in verdict)) { found.refused += 1; continue; }
      found.believed += 1;
      const { endpoint, call_id, type, body } = verdict.envelope;
      let state = IDLE;
      const begin = begins[number % begins.length];
      for (const { at = 0, ...input } of begin) [state] = advance(state, input, at);
      const heard = { type: 'message', kind: type, body, from: 'front-door', endpoint, call_id, me };
      [state] = advance(state, heard, 6000);
      [state] = advance(state, heard, 6001);
      [state] = advance(state, { type: 'timer', name: 'notice' }, 60000);
      [state] = advance(state, { type: 'hang_up' }, 60001);
      JSON.stringify(state);
    } catch (error) {
      found.failed.push(`${text.slice(0, 400)}: ${error}`);
    }
  }
  return found;
}"""
BEGINS: list[list[Input]] = [
    [],
    [invite()],
    [placed()],
    [invite(), {"type": "answer"}],
    TALKING,
]


async def test_messages(modules: Page) -> None:
    """What the page believes of them, it can go on with, in every state of a call."""
    rng = Random(32)
    said = []
    for _ in range(SPOILT):
        one = json.loads(encode(envelope_of(rng.choice(MESSAGES))))
        one |= {"call_id": "c" * 32, "from": "front-door", "to": "alice", "endpoint": "main"}
        spoilt = dict(one)
        if rng.random() < 0.7:
            spoilt["body"] = mutations.of_json({"body": one["body"]}, rng).get("body")
        elif rng.random() < 0.7:
            spoilt = mutations.of_json(one, rng)
        said.append(mutations.as_text(spoilt).decode())
    said += ["", "null", "[]", "7", '"a"', "{}", '{"__proto__": {"v": 1}}']
    found = await modules.evaluate(TAKEN, [BEGINS, said])
    assert found["failed"] == []
    assert found["believed"] > SPOILT / 10
    assert found["refused"] > SPOILT / 10
