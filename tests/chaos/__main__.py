"""`make chaos`: promises under random kills and cuts. `PRESSES=10000 SEED=1 make chaos`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.chaos.presses import Verdict, presses


def main() -> int:
    """Press the bell while everything around it dies; 0 where every promise was kept."""
    count, seed = int(os.environ.get("PRESSES", "10000")), int(os.environ.get("SEED", "1"))
    print(f"{count} presses, seed {seed}: broker, daemon and network die at random")
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        verdict = asyncio.run(presses(Path(folder), count, seed=seed, say=_say))
        _show(verdict)
        if verdict.faults:
            log = Path(folder, "door.log").read_text(errors="replace")
            Path("chaos-door.log").write_text(log)
            print("what the daemon said is in chaos-door.log")
    return bool(verdict.faults)


def _say(sentence: str) -> None:
    print(f"  {sentence}", file=sys.stderr, flush=True)


def _show(verdict: Verdict) -> None:
    print(f"\nin {verdict.took_s:.0f} s, {verdict.lives} lives of the daemon:")
    for kind, times in sorted(verdict.befell.items()):
        print(f"  {times:6} x {kind}")
    print(f"  {verdict.presses:6} presses")
    print(f"  {verdict.rung:6} rang at the phone")
    print(f"  {verdict.missed:6} did not ring, and are in the call log")
    print(f"  {verdict.cut_off:6} the daemon died before it had begun anything")
    for name in ("lost", "doubled", "late", "unended", "unknown"):
        found = getattr(verdict, name)
        print(f"  {len(found):6} {name}" + (f": {', '.join(found[:5])}" if found else ""))


if __name__ == "__main__":
    sys.exit(main())
