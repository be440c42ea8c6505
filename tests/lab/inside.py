"""Has the guest's own Python run what it has of tests: the bodies in tests/lab/within, and a busy door."""

from __future__ import annotations

import json

from tests.lab.extent import EXTENT
from tests.lab.machine import Machine
from tests.parts.promised import Found

LONG_S = 1e6
"""By a clock that jumps; poll(2) knows no more than twice that."""
RUN = "import os, sys, pytest; code = pytest.main(sys.argv[1:]); sys.stdout.flush(); os._exit(code)"
"""The interpreter is not let end: with lgpio loaded it may do so by a fault."""
PLUGINS = "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTEST_PLUGINS=pytest_asyncio.plugin,pytest_timeout"
"""Whatever comes with a plugin of pytest's, all of hypothesis too, would be compiled anew at each start."""

BUSY = "cd /opt/source; exec /opt/appliance/bin/python -m tests.parts.busydoor"
UP_S = 600
"""Only a fault, and a computer that is very busy, waits so long for a door."""


def found(lab: Machine, *units: str) -> Found:
    """Wait until the door and these units are up; then ring, and see what there is (`busydoor.look`)."""
    look = f"{BUSY} look {UP_S} {' '.join(units)}"
    seen: Found = json.loads(lab.check(look, 2 * UP_S))
    return seen


def passes(lab: Machine, what: str, limit_s: float = 900) -> None:
    """They pass, none skipped. Nobody looks after coroutines there (asyncio's debug mode): that is dear."""
    python = f"LAB={EXTENT} {PLUGINS} /opt/appliance/bin/python -c '{RUN}'"
    options = (
        "-p no:cacheprovider -o asyncio_debug=false -q --tb=short --durations=20 --durations-min=1"
    )
    run = f"cd /opt/source && {python} {options} {what}"
    done = lab.run(run, LONG_S if lab.virtual else limit_s)
    print(done.out)  # noqa: T201 - what it took is shown by -s
    assert done.ok, done.out
    assert " passed" in done.out, done.out
    assert "skipped" not in done.out, done.out
