"""What a busy door has told that it is kept, and a judge of what is left of it after its power was cut.

`busydoor.py` and `busytalk.py` tell it on the machine's console, a line for each thing, and `busydoor.look`
brings what there is after the next start:

    busy door: name 12            a configuration was written, as the appliance's own programs write one
    busy door: call ID            the daemon says that the disk has this call,
    busy door: talk ID            .. that it was answered,
    busy door: opened ID          .. that the door was opened in it,
    busy door: ended ID REASON    .. and that it has ended, and why
    busy door: heard ID           the other station says so of the same call
    busy door: film PATH N        a recording had so many whole pieces three seconds ago
    busy door: whole PATH         it was closed
    busy door: paired UID KID     somebody was paired with that key
    busy door: wrong SENTENCE     something happened that is never to happen
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TOLD = re.compile(r"busy door: (\w+) (.*?)[\r ]*\n")
CALL = re.compile(r"busy door: call (\S+)[\r ]*\n")
LOG = 2000
"""As many calls as are kept, which those of whoever calls many times in a second are to be told."""
CUT_OFF = "device_restart"
"""How a call ends of which nobody saw the end."""
DISBELIEF = frozenset(
    (
        "unsigned",
        "malformed",
        "bad_header",
        "unverifiable",
        "forged",
        "revoked",
        "replayed",
        "memory_full",
    )
)
"""Errors that tell that somebody was not believed."""

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Promised:
    """All that holds from now on."""

    number: int = 0
    """In its configuration."""
    calls: frozenset[str] = frozenset()
    talks: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()
    ended: Mapping[str, str] = field(default_factory=dict)
    """Calls by their ids, and why."""
    heard: frozenset[str] = frozenset()
    films: Mapping[str, int | None] = field(default_factory=dict)
    """Recordings by their paths: how many pieces, None for one that was closed."""
    paired: Mapping[str, str] = field(default_factory=dict)
    """Keys, and whose they are."""

    def and_then(self, console: str) -> Promised:
        """With what has been told on a console since; raises AssertionError where it told a fault."""
        told: dict[str, list[list[str]]] = {}
        for kind, words in TOLD.findall(console):
            told.setdefault(kind, []).append(words.split())
        wrong = [" ".join(words) for words in told.get("wrong", ())]
        assert not wrong, wrong
        return Promised(
            max([self.number, *(int(words[0]) for words in told.get("name", ()))]),
            self.calls | _firsts(told.get("call", ())[-LOG // 2 :]),
            self.talks | _firsts(told.get("talk", ())),
            self.opened | _firsts(told.get("opened", ())),
            {**self.ended, **{words[0]: words[1] for words in told.get("ended", ())}},
            self.heard | _firsts(told.get("heard", ())),
            {
                **self.films,
                **{words[0]: int(words[1]) for words in told.get("film", ())},
                **{words[0]: None for words in told.get("whole", ())},
            },
            {**self.paired, **{words[1]: words[0] for words in told.get("paired", ())}},
        )

    def kept(self, found: Found) -> Promised:
        """What is to hold from now on; raises AssertionError with all that is wrong about what is there."""
        wrong = [
            *self._configuration(found),
            *self._calls(found),
            *self._other_station(found),
            *self._recordings(found),
            *now(found),
        ]
        assert not wrong, wrong
        latest = frozenset(found["all_calls"][: LOG // 2])
        return Promised(
            found["number"] or 0,
            latest,
            self.talks & latest,
            self.opened & latest,
            {one: why for one, why in self.ended.items() if one in latest},
            self.heard & _latest(found["hall"]),
            {path: pieces for path, pieces in self.films.items() if path in found["films"]},
            self.paired,
        )

    def _configuration(self, found: Found) -> Iterator[str]:
        number = found["number"] or 0
        if number < self.number:
            yield f"a configuration is gone: {number} after {self.number}"
        if number and found["name"] != f"Door {number}":
            yield f"{found['name']!r} is not the name of number {number}"
        for kid, uid in self.paired.items():
            if kid not in found["paired"].get(uid, ()):
                yield f"the pairing of {uid} is gone: {found['paired']}"

    def _calls(self, found: Found) -> Iterator[str]:
        log = {entry["call_id"]: entry for entry in found["calls"]}
        if gone := self.calls - log.keys():
            yield f"calls are gone: {gone}"
        if twice := _twice(entry["call_id"] for entry in found["calls"]):
            yield f"calls are in the log twice: {twice}"
        if endless := [one for one, entry in log.items() if entry["reason"] is None]:
            yield f"calls have no end: {endless}"
        for entry in log.values():
            if entry["reason"] == CUT_OFF and entry["ended_at"] is not None:
                yield f"nobody saw the end of a call, and it has a time: {entry}"
        for one in (self.talks | self.opened | self.ended.keys()) & log.keys():
            entry = log[one]
            if one in self.talks and not (entry["answered_at"] and entry["answered_by"]):
                yield f"a call is not answered any more: {entry}"
            if one in self.opened and not entry["unlocked"]:
                yield f"a call in which the door was opened does not say so: {entry}"
            if entry["reason"] != self.ended.get(one, entry["reason"]):
                yield f"a call has ended otherwise, {self.ended[one]}: {entry}"
        if found["rung"] not in found["all_calls"]:
            yield "it has rung, and its call log does not say so"

    def _other_station(self, found: Found) -> Iterator[str]:
        """What lies on its disk; it does not run."""
        station = found["hall"]
        if station is None:
            if self.heard:
                yield "the other station is gone"
            return
        log = {entry["call_id"]: entry for entry in station["calls"]}
        if gone := self.heard - log.keys():
            yield f"calls are gone at the other station: {gone}"
        if twice := _twice(entry["call_id"] for entry in station["calls"]):
            yield f"a call came to the other station twice: {twice}"
        if deaf := [one for one in self.heard & log.keys() if not log[one]["answered_at"]]:
            yield f"calls are not answered any more at the other station: {deaf}"
        endless = [one for one, entry in log.items() if entry["reason"] is None]
        if len(endless) > 1:  # all but the one that was cut off just now
            yield f"calls have no end at the other station: {endless}"
        if lost := [one for one in station["faults"] if not may_be_torn(one)]:
            yield f"the other station has lost something: {lost}"

    def _recordings(self, found: Found) -> Iterator[str]:
        films: Mapping[str, Found] = found["films"]
        if broken := {path: film["fault"] for path, film in films.items() if film["fault"]}:
            yield f"recordings cannot be played: {broken}"
        for path, pieces in self.films.items():
            film = films.get(path)
            if path not in found["recordings"]:
                yield f"a recording is gone: {path}"
            elif (
                film is not None
                and film["pieces"] is not None
                and (pieces is None or film["pieces"] < pieces)
            ):
                had = "was closed" if pieces is None else f"had {pieces} pieces"
                yield f"a recording that {had} has {film['pieces']}: {path}"


def now(found: Found) -> Iterator[str]:
    """What is wrong about a door that has just started, whatever it was before."""
    if found["empty"]:
        yield f"files with nothing in them: {found['empty']}"
    if found["failed"]:
        yield f"units have failed: {found['failed']}"
    if found["faults"]:
        yield f"the door says that something is wrong: {found['faults']}"
    if any(map(loses, found["errors"])):
        yield f"the door says that something was lost: {found['errors']}"
    if any(error["code"] in DISBELIEF for error in found["errors"]):
        yield f"the door does not believe somebody: {found['errors']}"
    goes_on = {name: state for name, state in found["at_rest"].items() if state}
    if goes_on:
        yield f"something goes on that nobody began: {goes_on}"


def loses(error: Found) -> bool:
    """Whether an event tells of something that was there; a line of the call log that nobody was told of
    may be torn.
    """
    return error["code"] == "memory_lost" or (
        error["code"] == "call_log_failed" and not may_be_torn(error["message"])
    )


def may_be_torn(sentence: str) -> bool:
    """Whether it tells of the last line alone, which nobody was told of."""
    return "torn by a sudden end" in sentence and "cannot be read" not in sentence


def _firsts(told: Iterable[list[str]]) -> frozenset[str]:
    return frozenset(words[0] for words in told)


def _latest(station: Found | None) -> frozenset[str]:
    """Calls that will be in its log after the next life, too."""
    calls = [] if station is None else station["calls"][: LOG // 2]
    return frozenset(entry["call_id"] for entry in calls)


def _twice(ids: Iterable[str]) -> list[str]:
    return [one for one, often in Counter(ids).items() if often > 1]
