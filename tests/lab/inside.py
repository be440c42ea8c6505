"""Has the guest's own pytest run the bodies that are in tests/lab/within."""

from __future__ import annotations

from tests.lab.machine import Machine

PYTHON = "/opt/appliance/bin/python"
PACE = "[/]lab/pace.py"
LONG_S = 1e6
"""By a clock that jumps; poll(2) knows no more than twice that."""


def passes(lab: Machine, what: str, environ: str = "") -> None:
    """They pass, none skipped; on a machine whose clock jumps it does for as long as they run."""
    run = f"cd /opt/source && {environ} {PYTHON} -m pytest -p no:cacheprovider -q {what}"
    if lab.virtual:
        run = f"pkill -STOP -f {PACE}; ({run}); code=$?; pkill -CONT -f {PACE}; exit $code"
    done = lab.run(run, LONG_S if lab.virtual else 600)
    assert done.ok, done.out
    assert " passed" in done.out, done.out
    assert "skipped" not in done.out, done.out
