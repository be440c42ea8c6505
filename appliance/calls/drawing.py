"""The state diagram of a call, drawn from the table: `python -m appliance.calls.drawing docs/calls.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.calls.table import HAPPENINGS, TABLE, Go, Ignore, Refuse
from appliance.model import CallState

BEGIN = "<!-- drawn from appliance/calls/table.py; do not edit by hand -->"
END = "<!-- end of the drawing -->"


def arrows() -> dict[tuple[CallState, CallState], list[str]]:
    """What leads from one state to another, in the order of the table."""
    found: dict[tuple[CallState, CallState], list[str]] = {}
    for happening in HAPPENINGS:
        for state in CallState:
            verdict = TABLE[state, happening]
            if isinstance(verdict, Go) and state is not CallState.ENDED:
                for to in sorted(verdict.to - {state}):
                    found.setdefault((state, to), []).append(happening)
    return found


def drawing() -> str:
    """A Mermaid state diagram (https://mermaid.js.org), and a list of what each arrow stands for."""
    lines = ["```mermaid", "stateDiagram-v2"]
    for number, (source, target) in enumerate(arrows(), 1):
        lines.append(f"    {_name(source)} --> {_name(target)}: {number}")
    lines += ["```", "", "| arrow | from | to | what leads there |", "| --- | --- | --- | --- |"]
    for number, ((source, target), happenings) in enumerate(arrows().items(), 1):
        named = " · ".join(f"`{happening}`" for happening in happenings)
        lines.append(f"| {number} | {source} | {target} | {named} |")
    lines += ["", _counts()]
    return "\n".join(lines)


def _name(state: CallState) -> str:
    return "[*]" if state in (CallState.IDLE, CallState.ENDED) else state.value


def _counts() -> str:
    verdicts = list(TABLE.values())
    go, ignore, refuse = (
        sum(isinstance(verdict, kind) for verdict in verdicts) for kind in (Go, Ignore, Refuse)
    )
    return (
        f"{len(TABLE)} pairs of a state and a happening: {go} act, {ignore} are rightly ignored, "
        f"{refuse} are refused with a sentence."
    )


def mended(text: str) -> str:
    """The text with the drawing between its two marks replaced by today's."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{drawing()}\n\n{END}{after}"


def main(paths: list[str]) -> None:
    """Mend the files."""
    for path in map(Path, paths):
        path.write_text(mended(path.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
