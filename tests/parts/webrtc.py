"""WebRTC's audio processing for a test: skipped with a reason where the extra is not installed."""

from __future__ import annotations

from appliance.media.echo import installed
from tests.parts.need import skip_or_fail


def wake() -> None:
    """Let the library start what it keeps for the process's whole life: native threads, descriptors.

    For a fixture of a wider scope than a test's own, whose leftovers are looked for.
    """
    if installed():
        from appliance.media.aec3 import Aec3

        Aec3().close()


def need() -> None:
    """Skip the running test without it."""
    if not installed():
        skip_or_fail("WebRTC's echo canceller is not installed (pip install '.[echo]')")
