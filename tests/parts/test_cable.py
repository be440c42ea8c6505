"""A cable: pulled and plugged; and one that was left by who is gone disturbs nobody after it."""

from __future__ import annotations

import subprocess

from tests.parts.cable import cable


def networks() -> set[str]:
    told = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True)
    return {line.split()[0] for line in told.stdout.splitlines() if line.strip()}


def test_what_who_was_killed_has_left_is_removed() -> None:
    """Its near end would be one more address to which each call in each other test is tried."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    with cable():
        left = f"end-{gone.pid}-0"
        subprocess.run(["ip", "netns", "add", left], check=True)
        with cable():
            assert left not in networks()
