"""Where the state lies: systemd's word first, then the desktop's."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.state_directory import state_directory

HOME = Path("~/.local/state/appliance").expanduser()


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/a", "XDG_STATE_HOME": "/x"}, Path("/var/lib/a")),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, Path("/var/lib/a")),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/x"}, Path("/x/appliance")),
        ({"XDG_STATE_HOME": "relative"}, HOME),
        ({}, HOME),
    ],
)
def test_the_first_that_is_set_counts(environ: dict[str, str], folder: Path) -> None:
    assert state_directory(environ) == folder
