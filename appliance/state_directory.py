"""Where the appliance keeps what is to survive a restart: one rule for everything that does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """`$STATE_DIRECTORY` (systemd's `StateDirectory=`), else `$XDG_STATE_HOME/appliance`, else
    `~/.local/state/appliance`. It need not be there yet.
    """
    # systemd separates several state directories with colons
    if folder := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(folder)
    # the XDG specification: a relative path is to be ignored
    if (home := environ.get("XDG_STATE_HOME", "")).startswith("/"):
        return Path(home) / "appliance"
    return Path("~/.local/state/appliance").expanduser()
