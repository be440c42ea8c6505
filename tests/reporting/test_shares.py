"""How much each source may ask for: told apart by topic and key, none of another's share."""

from __future__ import annotations

from collections import Counter

import pytest

from appliance.reporting import shares as rules
from appliance.reporting.shares import NOBODY, Shares
from appliance.trust.jws import seal
from appliance.trust.keys import DeviceKey

ALICE, BOB, STRANGER = (DeviceKey.make() for _ in range(3))
KNOWN = frozenset({ALICE.kid, BOB.kid})
COMMAND = "appliance/device/front-door/command/"


def shares() -> Shares:
    return Shares(("mute_audio", "unlock"), KNOWN.__contains__)


@pytest.mark.parametrize(
    ("name", "payload", "source"),
    [
        ("mute_audio", b"true", "mute_audio, plain"),
        ("unlock", b"a.b.c", "unlock, plain"),
        ("unlock", seal(b"{}", ALICE), f"unlock by {ALICE.kid}"),
        ("pause_video", seal(b"{}", ALICE), f"pause_video by {ALICE.kid}"),
        ("unlock", seal(b"{}", STRANGER), NOBODY),
        ("pause_video", b"true", NOBODY),
        ("no_such_command", seal(b"{}", ALICE), NOBODY),
        ("unlock", b"eyJ", NOBODY),
        ("unlock", b"eyJ" * 20_000 + b".x.y", NOBODY),
        ("unlock", b"eyJ\xff.x.y", NOBODY),
    ],
    ids=[
        "plain",
        "plain-with-dots",
        "signed",
        "signed-alone",
        "by-a-stranger",
        "not-plain",
        "made-up",
        "cut-off",
        "huge",
        "no-text",
    ],
)
def test_a_source_is_a_topic_and_the_key_that_is_claimed_on_it(
    name: str, payload: bytes, source: str
) -> None:
    assert shares().source_of(COMMAND + name, payload) == source


def test_no_source_takes_of_anothers_share() -> None:
    one = shares()
    asked = [
        ("mute_audio", b"true"),
        ("unlock", b""),
        ("unlock", seal(b"{}", ALICE)),
        ("unlock", seal(b"{}", BOB)),
    ]
    for number in range(2000):
        one.lets(COMMAND + "mute_audio", b"true", 1.0)
        one.lets(f"{COMMAND}made_up_{number}", b"true", 1.0)
        one.lets(COMMAND + "unlock", seal(b"{}", BOB), 1.0) if number < 200 else None
    kept = [one.lets(COMMAND + name, payload, 1.0) for name, payload in asked]
    assert kept == [False, True, True, False]
    left_out = one.left_out()
    assert left_out[NOBODY] == 2000 - rules.TIMES * rules.BURST, "they have one share together"
    assert left_out["mute_audio, plain"] == 2001 - rules.TIMES * rules.BURST
    assert one.left_out() == {}
    assert len(one._let) <= rules.MAX_SOURCES


@pytest.mark.parametrize("pause_s", [0.001, 0.04, 0.1, 0.5])
def test_whatever_would_be_taken_is_let_through(pause_s: float) -> None:
    one, without = shares(), shares()
    taken, now_s = Counter[str](), 1.0
    for _ in range(500):
        now_s += pause_s
        taken["without"] += without.take("mute_audio, plain", now_s)
        if one.lets(COMMAND + "mute_audio", b"true", now_s):
            taken["behind"] += one.take("mute_audio, plain", now_s)
    assert taken["behind"] == taken["without"]
