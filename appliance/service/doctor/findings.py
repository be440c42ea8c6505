"""What the doctor finds: one line for each, a verdict, and one piece of advice for what is not well."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from enum import StrEnum
from typing import TypedDict

from msgspec import Struct

WIDTH = 80
_MARKS = {"ok": "ok", "warning": "warn", "fault": "FAULT"}


class Verdict(StrEnum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, or may, and not as it should."""
    FAULT = "fault"
    """Something that is configured does not work."""


class Finding(Struct, frozen=True):
    """A sentence about one component; `advice` is what to do, and stands with all that is not ok."""

    component: str
    finding: str
    verdict: Verdict = Verdict.OK
    advice: str | None = None

    def __post_init__(self) -> None:
        """Hold the law: who is told of a fault is told what to do."""
        if (self.advice is None) is not (self.verdict is Verdict.OK):
            raise ValueError(
                f"{self.component}: advice belongs to what is not ok, and to nothing else"
            )


def ok(component: str, finding: str) -> Finding:
    """It works."""
    return Finding(component, finding)


def warning(component: str, finding: str, advice: str) -> Finding:
    """It works, and not as it should."""
    return Finding(component, finding, Verdict.WARNING, advice)


def fault(component: str, finding: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(component, finding, Verdict.FAULT, advice)


class Report(TypedDict):
    """All of it for a program."""

    ok: bool
    faults: int
    warnings: int
    findings: list[dict[str, str | None]]


def report(findings: Sequence[Finding]) -> Report:
    """As `--json` prints it; `ok` is false where there is a fault."""
    faults = sum(one.verdict is Verdict.FAULT for one in findings)
    return {
        "ok": not faults,
        "faults": faults,
        "warnings": sum(one.verdict is Verdict.WARNING for one in findings),
        "findings": [
            {
                "component": one.component,
                "finding": one.finding,
                "verdict": one.verdict.value,
                "advice": one.advice,
            }
            for one in findings
        ],
    }


def table(findings: Sequence[Finding], width: int = WIDTH) -> str:
    """Verdict, component and finding in columns; the advice below, behind an arrow; and a sum."""
    wide = max(len(one.component) for one in findings)
    lines = [line for one in findings for line in _lines(one, wide, width)]
    return "\n".join([*lines, "", _sum(findings)])


def _lines(one: Finding, wide: int, width: int) -> list[str]:
    begin = f"{_MARKS[one.verdict]:<5}  {one.component:<{wide}}  "
    indent = " " * len(begin)
    lines = _wrapped(one.finding, begin, indent, width)
    if one.advice is not None:
        lines += _wrapped(one.advice, f"{indent}-> ", f"{indent}   ", width)
    return lines


def _wrapped(text: str, first: str, others: str, width: int) -> list[str]:
    # a path or a command is copied: it is not to be cut in two
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _sum(findings: Sequence[Finding]) -> str:
    counts = report(findings)
    faults, warnings = counts["faults"], counts["warnings"]
    if not faults and not warnings:
        return "All is well."
    said = [
        f"{number} {noun}{'' if number == 1 else 's'}"
        for number, noun in ((faults, "fault"), (warnings, "warning"))
        if number
    ]
    return f"{' and '.join(said)}. The lines behind an arrow say what to do."
