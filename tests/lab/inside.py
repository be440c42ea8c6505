"""Has the guest's own pytest run the bodies that are in tests/lab/within."""

from __future__ import annotations

from tests.lab.extent import EXTENT
from tests.lab.machine import Machine

LONG_S = 1e6
"""By a clock that jumps; poll(2) knows no more than twice that."""
RUN = "import os, sys, pytest; code = pytest.main(sys.argv[1:]); sys.stdout.flush(); os._exit(code)"
"""The interpreter is not let end: with lgpio loaded it may do so by a fault."""


def passes(lab: Machine, what: str) -> None:
    """They pass, none skipped. Nobody looks after coroutines there (asyncio's debug mode): that is dear."""
    python = f"LAB={EXTENT} /opt/appliance/bin/python -c '{RUN}'"
    options = (
        "-p no:cacheprovider -o asyncio_debug=false -q --tb=short --durations=20 --durations-min=1"
    )
    run = f"cd /opt/source && {python} {options} {what}"
    done = lab.run(run, LONG_S if lab.virtual else 900)
    print(done.out)  # noqa: T201 - what it took is shown by -s
    assert done.ok, done.out
    assert " passed" in done.out, done.out
    assert "skipped" not in done.out, done.out
