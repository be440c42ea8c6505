"""The judge of a machine whose power was cut finds each kind of fault, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.parts.promised import CUT_OFF, Promised

FILM, OTHER = "/recordings/1.mp4", "/recordings/2.mp4"
CONSOLE = f"""\
[    0.000000] Linux\r
busy door: name 3\r
busy door: call rung\r
busy door: paired hall kid-1\r
busy door: talk over\r
busy door: heard over\r
busy door: opened over\r
busy door: film {OTHER} 2\r
busy door: ended over local_hang_up\r
busy door: whole {OTHER}\r
busy door: name 4\r
busy door: talk cut\r
busy door: heard cut\r
busy door: film {FILM} 7\r
busy door: call tor"""
"""What was told until the power went."""


def entry(call_id: str, reason: str | None, **more: Any) -> dict[str, Any]:
    """Of a call log."""
    talk = {"answered_at": "2026", "answered_by": "hall", "unlocked": False, "ended_at": "2026"}
    return {"call_id": call_id, "reason": reason, **talk, **more}


def left() -> dict[str, Any]:
    """What there is after the next start, where nothing is wrong."""
    calls = [
        entry("cut", CUT_OFF, ended_at=None),
        entry("over", "local_hang_up", unlocked=True),
        entry("rung", "cancelled", answered_at=None, answered_by=None),
    ]
    return {
        "number": 4,
        "name": "Door 4",
        "faults": {},
        "errors": [],
        "failed": "",
        "empty": [],
        "at_rest": {"calls": [], "energized": [], "recording": False},
        "calls": calls,
        "all_calls": ["now", "cut", "over", "rung"],
        "rung": "now",
        "paired": {"alice": [], "hall": ["kid-1"]},
        "recordings": [OTHER, FILM],
        "films": {
            FILM: {"fault": None, "pieces": 8},
            OTHER: {"fault": None, "pieces": None},
        },
        "hall": {"calls": [entry("cut", None), entry("over", "remote_hang_up")], "faults": []},
    }


def test_what_was_told_is_kept_and_is_to_be_kept_from_then_on() -> None:
    promised = Promised().and_then(CONSOLE)
    assert promised.calls == {"rung"}, "the last word was torn"
    kept = promised.kept(left())
    assert kept.number == 4
    assert kept.calls == {"now", "cut", "over", "rung"}
    assert kept.talks == {"cut", "over"}
    assert kept.films == {FILM: 7, OTHER: None}
    assert kept.paired == {"kid-1": "hall"}
    assert kept.ended == {"over": "local_hang_up"}
    assert kept.heard == {"cut", "over"}
    # and once more, with nothing that was told since
    later = left()
    later["calls"].insert(0, entry("now", "cancelled"))
    assert kept.and_then("").kept(
        {**later, "all_calls": ["next", *later["all_calls"]], "rung": "next"}
    )


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def do(found: dict[str, Any]) -> None:
        *names, last = [int(name) if name.isdigit() else name for name in path.split(" ")]
        place: Any = found
        for name in names:
            place = place[name]
        place[last] = value

    return do


def gone(path: str) -> Callable[[dict[str, Any]], None]:
    def do(found: dict[str, Any]) -> None:
        *names, last = [int(name) if name.isdigit() else name for name in path.split(" ")]
        place: Any = found
        for name in names:
            place = place[name]
        del place[last]

    return do


def again(path: str) -> Callable[[dict[str, Any]], None]:
    def do(found: dict[str, Any]) -> None:
        place: Any = found
        for name in path.split(" "):
            place = place[name]
        place.append(copy.deepcopy(place[0]))

    return do


def error(code: str, message: str = "") -> dict[str, str]:
    return {"code": code, "message": message}


SPOILT = {
    "a configuration is gone: 3 after 4": [change("number", 3), change("name", "Door 3")],
    "'Front door' is not the name": [change("name", "Front door")],
    "the pairing of hall is gone": [gone("paired hall")],
    "the pairing of hall": [change("paired hall", ["another"])],
    "calls are gone: {'rung'}": [gone("calls 2")],
    "calls are in the log twice": [again("calls")],
    "calls have no end: ['cut']": [change("calls 0 reason", None)],
    "is not answered any more": [change("calls 0 answered_at", None)],
    "the door was opened does not say so": [change("calls 1 unlocked", False)],
    "a call has ended otherwise": [
        change("calls 1 reason", CUT_OFF),
        change("calls 1 ended_at", None),
    ],
    "nobody saw the end": [change("calls 0 ended_at", "2026")],
    "it has rung, and its call log does not say so": [gone("all_calls 0")],
    "the other station is gone": [change("hall", None)],
    "calls are gone at the other station": [gone("hall calls 1")],
    "a call came to the other station twice": [again("hall calls")],
    "not answered any more at the other": [change("hall calls 0 answered_at", None)],
    "no end at the other station": [change("hall calls 1 reason", None)],
    "the other station has lost": [change("hall faults", ["2 of its lines cannot be read"])],
    "recordings cannot be played": [change(f"films {FILM} fault", "0 bytes: Invalid data")],
    f"a recording is gone: {OTHER}": [change("recordings", [FILM]), gone(f"films {OTHER}")],
    "a recording that had 7 pieces has 6": [change(f"films {FILM} pieces", 6)],
    "a recording that was closed has 9": [change(f"films {OTHER} pieces", 9)],
    "files with nothing in them": [change("empty", ["/var/lib/appliance/memory.json"])],
    "units have failed": [change("failed", "appliance.service")],
    "something is wrong": [change("faults", {"broker": "broker_offline"})],
    "something was lost: [{'code': 'memory_lost'": [change("errors", [error("memory_lost")])],
    "something was lost: [{'code': 'call_log_failed'": [
        change("errors", [error("call_log_failed", "2 of its lines cannot be read")])
    ],
    "does not believe somebody": [change("errors", [error("replayed")])],
    "something goes on that nobody began: {'energized'": [change("at_rest energized", ["door"])],
    "something goes on that nobody began: {'calls'": [
        change("at_rest calls", [{"call_id": "cut"}])
    ],
    "something goes on that nobody began: {'recording'": [change("at_rest recording", True)],
}
"""What is spoilt, by what is then to be told."""


@pytest.mark.parametrize("sentence", SPOILT)
def test_each_fault_is_found_and_called_what_it_is(sentence: str) -> None:
    found = left()
    for spoil in SPOILT[sentence]:
        spoil(found)
    with pytest.raises(AssertionError) as told:
        Promised().and_then(CONSOLE).kept(found)
    [wrong] = told.value.args[0]
    assert sentence in wrong


def test_what_is_never_to_happen_is_told_by_the_door_itself() -> None:
    with pytest.raises(AssertionError, match="calls that nobody made"):
        Promised().and_then("busy door: wrong the other station has calls that nobody made\r\n")


def test_what_was_told_to_nobody_may_be_torn() -> None:
    found = left()
    torn = "its last line was torn by a sudden end and is dropped"
    found["errors"] = [error("call_log_failed", torn)]
    found["hall"]["faults"] = [torn]
    Promised().and_then(CONSOLE).kept(found)


def test_who_was_told_nothing_misses_nothing() -> None:
    found = left() | {"number": None, "calls": [], "paired": {}, "hall": None}
    found |= {"recordings": [], "films": {}, "all_calls": ["now"]}
    Promised().kept(found)
