"""The command line of whoever owns a device: report, backup, restore, setup, welcome."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.loading.findings import Check

Checks = Callable[[], "Sequence[Check]"]
"""Those that only an edge can make, imported when they are wanted."""


def add_to(commands: _SubParsersAction[ArgumentParser], checks: Checks) -> None:
    """What this folder adds to the command line."""
    report = commands.add_parser(
        "report",
        help="a support bundle: what is wrong, without secrets and names",
        description="Write what the doctor finds, status, configuration, versions, log and kernel messages"
        " into one file, without passwords, keys, and people's names. README.txt in it says what was left"
        " in. As root it has most.",
    )
    report.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="else ./appliance-report-….tar.gz"
    )
    _config(report)
    report.set_defaults(run=lambda options: _report(options, checks()))


def _config(parser: ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="else /etc/appliance/…")


def _report(options: Namespace, checks: Sequence[Check]) -> int:
    from appliance.owner.places import places
    from appliance.owner.report import report

    return report(places(options.config, os.environ), checks, options.file)
