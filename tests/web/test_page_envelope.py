"""What the page believes of what comes out of the broker."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

JUDGE = """async (envelopes) => {
  const { Gatekeeper } = await import('/envelope.js');
  const gatekeeper = new Gatekeeper({ uid: 'alice', endpoint: 'page-1' });
  gatekeeper.epoch = 'now';
  return envelopes.map((envelope) => {
    const { fault, ignored } = gatekeeper.judge('front-door', envelope);
    return fault ?? ignored ?? 'believed';
  });
}"""


def envelope(seq: int = 1, **changes: Any) -> dict[str, Any]:
    """A chat message from the door to this endpoint."""
    return {
        "v": 1,
        "id": f"m{seq}",
        "type": "chat",
        "call_id": "c" * 32,
        "from": "front-door",
        "to": "alice",
        "endpoint": "main",
        "to_endpoint": "page-1",
        "epoch": "now",
        "seq": seq,
        "sent_at": 1795252800123,
        "ttl_s": 30,
        "clock": "synced",
        "body": {"text": "hello"},
    } | changes


async def judge(page: Page, *envelopes: Any) -> list[str]:
    """The verdicts, one after the other."""
    verdicts: list[str] = await page.evaluate(JUDGE, list(envelopes))
    return verdicts


async def test_each_message_is_acted_on_once_and_none_that_steps_back(modules: Page) -> None:
    assert await judge(
        modules,
        envelope(5),
        envelope(5),
        envelope(9),
        envelope(7),
        envelope(5),
        envelope(1, id="x1", to_endpoint=None, epoch=None),
        envelope(2, id="x2", endpoint="other"),
    ) == ["believed", "duplicate", "believed", "replayed", "duplicate", "believed", "believed"]


async def test_what_is_for_somebody_else_or_an_earlier_connection_is_not_taken(
    modules: Page,
) -> None:
    assert await judge(
        modules,
        envelope(1, to_endpoint="page-2"),
        envelope(2, epoch="before"),
        envelope(3, to="bob"),
        envelope(4, **{"from": "mallory"}),
        envelope(5),
    ) == ["other_endpoint", "stale", "misaddressed", "misaddressed", "believed"]


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        "text",
        envelope(v=2),
        envelope(type="constructor"),
        envelope(type="unheard_of"),
        envelope(call_id="Not An Id"),
        envelope(call_id=7),
        envelope(seq=-1),
        envelope() | {"seq": "1"},
        envelope(endpoint=None),
        envelope(body=None),
        envelope(body={"text": 7}),
        envelope(type="invite", body={"session_id": "s"}),
        envelope(type="accept", body={}),
        envelope(type="accept", body={"answer": {"type": "offer", "sdp": ""}}),
        envelope(type="reject", body={"reason": "bored"}),
        envelope(type="cancel", body={"reason": "hang_up"}),
        envelope(type="end", body={"reason": "bored"}),
        envelope(type="offer", body={"offer": {"type": "offer", "sdp": ""}, "generation": 0}),
        envelope(type="candidate", body={"candidate": "a=candidate"}),
        envelope(type="response", body={"request_id": "r", "accepted": "yes"}),
    ],
    ids=lambda broken: str(broken)[:60],
)
async def test_what_is_malformed_is_refused_and_leaves_no_trace(modules: Page, broken: Any) -> None:
    assert await judge(modules, broken, envelope()) == ["malformed", "believed"]


STRICT = """async (said) => {
  const { Gatekeeper } = await import('/envelope.js');
  const gatekeeper = new Gatekeeper({ uid: 'alice', endpoint: 'page-1' }, true);
  gatekeeper.begin();
  const epochs = { null: null };
  return said.map(([step, envelope]) => {
    if (step === 'begin' || step === 'renew') {
      gatekeeper[step]();
      return step;
    }
    if (!(step in epochs)) epochs[step] = gatekeeper.epoch;
    const { fault, ignored } = gatekeeper.judge('front-door', { ...envelope, epoch: epochs[step] });
    return fault ?? ignored ?? 'believed';
  });
}"""


async def test_a_paired_page_wants_to_be_meant_in_this_very_connection(modules: Page) -> None:
    """A door that restarts with a clock that is behind counts from lower; it is believed, the old not."""
    verdicts = await modules.evaluate(
        STRICT,
        [
            ("first", envelope(900)),
            ("null", envelope(901, id="unmarked")),
            ("null", envelope(902, type="paired", body={"kid": "k", "may": [], "error": None})),
            ("renew", None),  # the door has restarted
            ("second", envelope(5)),
            ("first", envelope(950, id="on-its-way")),
            ("first", envelope(900, id="again")),  # recorded before
            ("first", envelope(899, id="older")),
            ("second", envelope(5)),
            ("second", envelope(4, id="behind")),
            ("begin", None),  # another connection
            ("second", envelope(6, id="late")),
            ("first", envelope(990, id="late")),
            ("third", envelope(1, id="now")),
        ],
    )
    assert verdicts == [
        "believed",
        "stale",
        "believed",
        "renew",
        "believed",
        "believed",
        "replayed",
        "replayed",
        "duplicate",
        "replayed",
        "begin",
        "stale",
        "stale",
        "believed",
    ]


FLOOD = """async ([said, many, strict]) => {
  const { Gatekeeper } = await import('/envelope.js');
  const gatekeeper = new Gatekeeper({ uid: 'alice', endpoint: 'page-1' }, strict);
  gatekeeper.epoch = 'now';
  const verdict = (from, envelope) => {
    const { fault, ignored } = gatekeeper.judge(from, { ...envelope, from });
    return fault ?? ignored ?? 'believed';
  };
  const first = verdict('front-door', said);
  const counts = {};
  for (let number = 0; number < many; number++) {
    const change = { seq: number, id: `f${number}`, endpoint: `tab-${number % 500}` };
    const found = verdict('mallory', { ...said, ...change });
    counts[found] = (counts[found] ?? 0) + 1;
  }
  const again = verdict('front-door', said);
  const older = verdict('front-door', { ...said, id: 'other' });
  const next = verdict('front-door', { ...said, id: 'next', seq: said.seq + 1 });
  gatekeeper.renew();
  for (let number = 0; number < 9; number++) gatekeeper.renew();
  const anew = verdict('mallory', { ...said, id: 'anew', epoch: gatekeeper.epoch });
  return { verdicts: [first, again, older, next, anew], counts };
}"""


@pytest.mark.parametrize("strict", [True, False])
async def test_a_flood_of_one_has_nothing_forgotten_that_another_has_said(
    modules: Page, strict: bool
) -> None:
    """Signed, nothing of the flooder's own either: what there is no room for is refused."""
    found = await modules.evaluate(FLOOD, [envelope(5), 5000, strict])
    assert found["verdicts"] == ["believed", "duplicate", "replayed", "believed", "believed"]
    if strict:
        assert found["counts"] == {"believed": 64 * 10, "flooded": 5000 - 64 * 10}
    else:
        assert found["counts"] == {"believed": 5000}
