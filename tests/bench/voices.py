"""What is understood of a voice while a fifth of all packets is lost, and what is seen beside it.

Two connections of ours at the ends of a network of namespaces, between which nftables takes packets away;
voices and pictures go both ways. The worse of the two directions counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest

from appliance.media.base import FRAME_S
from tests.bench.losses import ahead_of_others
from tests.bench.table import Row
from tests.media.talking import FRAMERATE
from tests.parts.netlab import Netlab, netlab

LOSSES_PERCENT = 20, 30
CALM_S, ADAPT_S, LOSSY_S, AFTER_S = 5.0, 12.0, 30.0, 45.0
FRAME_MS = FRAME_S * 1000


@dataclass
class End:
    """A program at one end of the network."""

    process: subprocess.Popen[str]

    def ask(self, question: dict[str, str | None]) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def run() -> list[Row]:
    """All figures; none where the machine makes no networks."""
    try:
        with ahead_of_others(), netlab("here", "there") as lab:
            return _measure(lab)
    except pytest.skip.Exception as why:
        return [Row(f"not measured: {why}", 0, "")]


def _measure(lab: Netlab) -> list[Row]:
    ends = [_end(lab, name) for name in ("here", "there")]
    offer = ends[0].ask({"offer": None})
    ends[0].ask({"answer": ends[1].ask({"offer": offer})})
    while not all(end.ask({"figures": None})["connected"] for end in ends):
        time.sleep(0.1)
    _told_of(ends, CALM_S)
    rows = _rows("without loss", _told_of(ends, CALM_S), None)
    for percent in LOSSES_PERCENT:
        lab["here"].lose(percent)
        _told_of(ends, ADAPT_S)
        told = _told_of(ends, LOSSY_S)
        lab.heal()
        _told_of(ends, AFTER_S)
        rows += _rows(f"{percent} % loss", told, 1.0 if percent == LOSSES_PERCENT[0] else None)
        after = _told_of(ends, CALM_S)
        failures = [failure for end in ends for failure in end.ask({"figures": None})["failures"]]
        rows += [
            Row(
                f"{percent} % loss: delay kept, {AFTER_S:g} s later",
                max(one["delay_s"] for one in after) * 1000,
                "ms",
                most=60,
            ),
            Row(
                f"{percent} % loss: ends whose connection failed",
                len(failures),
                "",
                most=0 if percent == LOSSES_PERCENT[0] else None,
                note=", ".join(failures),
            ),
        ]
    for end in ends:
        assert end.process.stdin is not None
        end.process.stdin.close()
        end.process.wait(30)
    return rows


def _end(lab: Netlab, name: str) -> End:
    words = [sys.executable, "-m", "tests.media.talking"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return End(lab[name].start(words, **pipes))  # type: ignore[arg-type]


def _told_of(ends: list[End], seconds: float) -> list[dict[str, Any]]:
    """What the next seconds bring."""
    for end in ends:
        end.ask({"figures": None})
    time.sleep(seconds)
    return [end.ask({"figures": None}) for end in ends]


def _rows(name: str, told: list[dict[str, Any]], concealed_percent: float | None) -> list[Row]:
    def share(what: str) -> float:
        return float(max(100 * one[what] / one["frames"] for one in told))

    seconds = told[0]["frames"] * FRAME_S
    says = " and ".join(
        f"{one['loss_percent']} %, {'twice' if one['twice'] else 'once'}" for one in told
    )
    return [
        Row(f"{name}: frames repaired", share("corrected"), "%", note=f"told: {says}"),
        Row(f"{name}: frames made up", share("concealed"), "%", most=concealed_percent),
        Row(
            f"{name}: longest gap",
            max(one["longest_gap"] for one in told) * FRAME_MS,
            "ms",
            most=None if concealed_percent is None else 100,
        ),
        Row(f"{name}: delay kept", max(one["delay_s"] for one in told) * 1000, "ms"),
        Row(
            f"{name}: pictures of {FRAMERATE} a second",
            min(one["pictures"] / seconds for one in told),
            "/s",
        ),
        Row(f"{name}: longest without", max(one["longest_dark_s"] for one in told), "s"),
    ]
