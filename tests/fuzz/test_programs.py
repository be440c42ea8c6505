"""The programs of `make fuzz` in their short forms: the same code, with less of everything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import floods, guided, messages, offers, replay
from tests.fuzz.__main__ import PROGRAMS, main
from tests.fuzz.guided import targets
from tests.fuzz.mutations import of_sdp
from tests.fuzz.table import HELD, Outcome
from tests.parts import need
from tests.parts.urgency import urgent

HELD_S = 1.0
"""Of own CPU time. The long forms ask for 50 ms; here the collector goes through all that the tests have
loaded, on any machine. An offer that is not kept out holds aiortc's parser for 16 s."""


def faults(outcome: Outcome) -> list[str]:
    """The broken promises, with the loop's by the limit above."""
    assert outcome.held_s < HELD_S, outcome.figures["by"]
    return [promise for promise in outcome.faults if promise != HELD]


def test_messages_that_are_not_to_be_believed() -> None:
    """The long form has a million."""
    outcome = messages.run(2600, seed=11)
    assert faults(outcome) == []
    assert outcome.counts["honest, and served"] == 3
    for code in ("forged", "unverifiable", "unsigned", "wrong_epoch", "replayed", "misaddressed"):
        assert outcome.counts[f"refused: {code}"] > 10, code


@pytest.mark.broker
def test_messages_that_come_by_a_real_broker() -> None:
    outcome = messages.over_a_broker(400, seed=15)
    assert outcome.faults == []
    assert outcome.counts["honest, and served"] == 8
    assert outcome.counts["refused: flooded"] > 10


def test_offers_that_are_spoilt() -> None:
    outcome = offers.run(90, seed=12)
    assert outcome.sent == 90
    assert faults(outcome) == []
    assert outcome.counts["answered"] > 5
    assert outcome.counts["kept out: malformed"] > 20


def test_an_offer_that_was_left_as_it_is_does_not_count() -> None:
    """One draw in some dozens leaves it so."""
    draws, rng = Random(5), Random(5)
    assert any(of_sdp("v=0\r\n", draws) == "v=0\r\n" for _ in range(500))
    assert all(offers.mutated("v=0\r\n", rng) != "v=0\r\n" for _ in range(500))


@pytest.mark.broker
def test_a_call_in_a_flood() -> None:
    """How soon is measured in the long form, where nothing else keeps the machine busy."""
    with urgent():  # what holds its loop for long makes a recording black
        outcome = floods.run(300, seed=13, lasts_s=0.5)
    outcome.show()  # who reads it does so because it has failed
    assert [promise for promise in outcome.faults if "within" not in promise] == []


@pytest.mark.broker
@pytest.mark.timeout(300)
def test_all_that_was_said_is_said_again() -> None:
    """At once, and after a reboot and a year; in the long form after a minute, too."""
    outcome = replay.run(1, seed=14, whole=False)
    assert outcome.faults == []
    assert outcome.counts["honest calls, and served"] == 2
    why_not = outcome.figures.get(replay.NO_REBOOT)
    assert outcome.counts[f"after {replay.BACK[bool(why_not)]} and a year: wrong_epoch"] > 3
    if why_not:  # by then all else has been seen
        need.skip_where_forbidden("it was a restart, and no reboot", why_not)


def test_whether_a_program_has_begun_its_clocks_anew_is_known(tmp_path: Path) -> None:
    here = replay.Here(tmp_path, replay.faketime())
    asleep = ["sh", "-c", "echo && exec sleep infinity"]
    with here.rebooted() as why_not:
        if why_not:
            need.skip_where_forbidden("no program begins its clocks anew", why_not)
        inside = here.start(asleep, env={**os.environ}, stdout=subprocess.PIPE)
        outside = subprocess.Popen(asleep, stdout=subprocess.DEVNULL)
        try:
            assert inside.stdout is not None
            assert inside.stdout.readline(), "it has begun"
            assert here.begun_anew(inside)
            assert not here.begun_anew(outside)
        finally:
            for one in (inside, outside):
                one.kill()
                one.communicate()


def test_each_program_is_known_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["message"]) == 2
    assert ", ".join(PROGRAMS) in capsys.readouterr().out


def test_what_is_guided_says_what_it_lacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guided, "is_there", lambda: False)
    assert main(["guided"]) == 2
    assert "FUZZ=guided make fuzz" in capsys.readouterr().out
    assert guided.run(1, 1).faults == [], "beside the others it is left out, and says so"


def test_what_is_guided_takes_what_it_begins_with() -> None:
    known = targets()
    for name, begun in guided.seeds().items():
        assert begun
        for data in begun:
            known[name](data)


def test_what_is_guided_takes_anything() -> None:
    """Where atheris is, it looks for more; here each target is asked once."""
    for take in targets().values():
        for data in (b"", b"\xff\x00", b"{}", b"[[[", b"v=0\r\nm=audio 9 x 0\r\n"):
            take(data)
