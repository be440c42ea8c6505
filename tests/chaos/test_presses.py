"""The short form of `make chaos`: every kind of trouble once, and no press lost, doubled or late."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.__main__ import rounds_of
from tests.chaos.door import CONFIG
from tests.chaos.phone import UID, RingingPhone, Rung
from tests.chaos.presses import MOST, RECOVERY_S, Seen, Verdict, judge, presses
from tests.parts.netlab import netlab
from tests.parts.pen import Pen


@pytest.mark.timeout(600)
async def test_no_press_is_lost_doubled_or_late_whatever_dies(tmp_path: Path) -> None:
    with netlab("trial"):
        pass  # skips where the machine makes no networks
    verdict = await presses(tmp_path, 30, seed=7, each_first=True, ring_timeout_s=1.0)
    assert verdict.faults == []
    assert verdict.rung > 0
    assert verdict.calm > 0
    assert verdict.lives > 1


async def test_no_house_is_pressed_at_more_often_than_its_call_log_keeps(tmp_path: Path) -> None:
    kept = tomllib.loads(CONFIG.format(ring_timeout_s=1, unsigned="refuse", keys="[]"))
    assert kept["call_log"]["max_entries"] >= 2 * MOST
    assert list(rounds_of(2 * MOST + 3)) == [MOST, MOST, 3]
    assert list(rounds_of(0)) == []
    with pytest.raises(ValueError, match="room for 5000"):
        await presses(tmp_path, MOST + 1)


# -------------------- what the judge sees, with calls of 4 s and a press at 100

ENTRY = {"reason": "rejected", "started_at": "1970-01-01T00:01:40Z"}


def faults(*rung: Rung, **other: Any) -> list[str]:
    """Of one press, and what became of it."""
    given: dict[str, Any] = {
        "pressed": ["it"],
        "began": {"it": 100.0},
        "over": {"it": 100.2},
        "rung": dict.fromkeys(["it"], rung[0]) if rung else {},
        "log": {"it": ENTRY},
    }
    verdict = Verdict()
    judge(verdict, Seen(4.0, **{**given, **other}))
    return verdict.faults


def rings(began_s: float = 100.0, **other: Any) -> Rung:
    """It rings for a tenth of a second, and says no."""
    return Rung(began_s, **{"over_s": began_s + 0.1, "rejected": True, **other})


def test_a_press_that_rang_and_was_rejected_is_none() -> None:
    assert faults(rings(invited_s=[100.0])) == []


def test_a_late_ring_is_late_however_soon_it_is_rejected() -> None:
    assert faults(rings(160.0)) == ["it was late"]
    assert faults(rings(160.0, over_s=168.0)) == ["it was late"]
    assert faults(rings(160.0, over_s=None, rejected=False)) == ["it was late"]
    assert faults(rings(160.0, ended_s=161.0)) == ["it was late"]


def test_a_ring_with_the_doors_end_right_behind_it_is_none_for_anybody() -> None:
    assert faults(rings(160.0, rejected=False, ended_s=160.1)) == []
    assert faults(rings(160.0, ended_s=160.1)) == []


def test_a_late_ring_of_a_call_that_only_the_log_knows_is_late() -> None:
    assert faults(rings(160.0), began={}, pressed=[], cut_off=[(99.0, 101.0)]) == ["it was late"]


def test_an_invite_for_what_the_door_knows_is_over_is_doubled() -> None:
    assert faults(rings(times=2)) == ["it was doubled"]
    assert faults(rings(invited_s=[100.0, 103.0])) == ["it was doubled"]
    again = rings(invited_s=[100.0, 103.0])
    assert faults(again, over={"it": 104.0}) == [], "it cannot have heard that it was rejected"


def test_a_second_call_of_one_press_is_unknown() -> None:
    both = {"it": 100.0, "other": 100.1}
    assert faults(rings(), began=both) == ["other was unknown"]
    assert faults(rings(), log={"it": ENTRY, "other": ENTRY}) == ["other was unknown"]
    died = [(99.9, 100.2)]
    assert faults(rings(), log={"it": ENTRY, "other": ENTRY}, cut_off=died) == []
    at_once = [(100.0004, 100.2)]  # begun in the same millisecond, which is told as 100.000
    assert faults(rings(), log={"it": ENTRY, "other": ENTRY}, cut_off=at_once) == []
    three = {"it": ENTRY, "other": ENTRY, "third": ENTRY}
    assert faults(rings(), log=three, cut_off=died) == ["third was unknown"]


def test_a_press_that_did_not_ring_needs_trouble_around_it() -> None:
    assert faults() == ["it was unrung"]
    assert faults(troubles=[(50.0, 99.0 - RECOVERY_S)]) == ["it was unrung"]
    assert faults(troubles=[(50.0, 99.0)]) == []
    assert faults(troubles=[(103.0, 110.0)], over={"it": 104.0}) == []
    assert faults(troubles=[(103.0, 110.0)]) == ["it was unrung"], "it was over before"


def test_what_one_has_not_believed_of_the_other_is_a_fault() -> None:
    assert Verdict(distrusted=["number 6 came behind 7"]).faults == ["number 6 came behind 7"]


async def test_a_door_that_counts_lower_or_signs_otherwise_after_a_restart_is_seen() -> None:
    phone = RingingPhone("front-door", "127.0.0.1", 1, lambda: 0.0, Pen())
    door, other = Pen(), Pen()

    def hears(pen: Pen | None, id_: str, seq: int) -> list[str]:
        said = {"id": id_, "seq": seq, "type": "state", "call_id": "it", "sent_at": 0}
        payload = json.dumps({**said, "epoch": None, "to_endpoint": None}).encode()
        phone._take(f"appliance/call/{UID}/front-door", pen.sign(payload) if pen else payload)
        return phone.distrusts()

    assert hears(door, "a", 6) == hears(door, "b", 7) == []
    assert hears(door, "b", 7) == [], "it was said twice"
    assert hears(door, "c", 7) == ["number 7 came behind 7"]
    phone.stepped_back.clear()
    assert len(hears(other, "d", 8)) == 1
    phone.signers.clear()
    assert hears(None, "e", 9) == ["the door has not signed"]


def test_what_is_not_in_the_log_or_has_no_end_there_is_told() -> None:
    assert faults(rings(), log={}) == ["it was lost"]
    assert faults(rings(), log={"it": {**ENTRY, "reason": None}}) == ["it was unended"]
