"""What is advised otherwise on an image of the project's own, where nothing can be installed.

Its root and the partition with the firmware's files are only read, and every update is another of both.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from appliance.service.doctor.findings import Finding
from appliance.service.doctor.machine import Machine

IMAGE = "/usr/share/appliance-image"
"""There on every image, and nowhere else."""
CONFIG = "/boot/firmware/config.txt"

_OTHERWISE = {
    r"\b(apt|pip|make) install\b": (
        "Nothing is installed on an image: what it is to have it gets when it is made, or by an update"
        " (image-build/README.md)."
    ),
    r"\btimedatectl set-ntp\b": (
        "Connect it to the internet: an image asks the time servers of Debian's pool by itself (UDP, port"
        " 123). Without: sudo date -s '2026-11-28 12:00'"
    ),
    r"\busermod\b": "sudo appliance doctor: an image's users and groups stay as they are.",
}


def advised(found: Finding, machine: Machine) -> Finding:
    """The same; on an image with advice that can be followed there."""
    if found.advice is None or not machine.exists(IMAGE):
        return found
    for words, advice in _OTHERWISE.items():
        if re.search(words, found.advice):
            return replace(found, advice=advice)
    where = (
        f"{CONFIG} (at its end, which updates take along: docs/install.md, Lines for the firmware)"
    )
    return replace(found, advice=found.advice.replace(CONFIG, where))
