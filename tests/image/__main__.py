"""`python -m tests.image [amd64|arm64]`: the stand-in machine's card, its SBOM, its first start."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.image.build import ARCHITECTURES, image
from tests.image.machine import CardMachine
from tests.lab import stock
from tests.lab.stock import ROOT, CannotBuildHere, say

NOT_HERE = 3
START_S = 1800.0


def main(architecture: str) -> int:
    """Build, list, start; the exit status, 3 where this machine does not allow it."""
    stock.WHO = "image"
    try:
        card = image(architecture)
    except CannotBuildHere as error:
        say(str(error))
        return NOT_HERE
    link = ROOT / "dist" / f"appliance-vm-{architecture}.img"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(card)
    subprocess.run([ROOT / "image-build" / "sbom", card, link.with_suffix(".cdx.json")], check=True)
    say(f"{link.relative_to(ROOT)} is the card. Its first start, in qemu: minutes, emulated")
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        began = time.monotonic()
        with CardMachine(
            Path(folder) / "machine", card, architecture=architecture, size_mb=4096
        ) as machine:
            machine.until("systemctl is-active multi-user.target appliance", START_S)
            said = machine.check("uname -srm; systemctl show -P StatusText appliance")
            after_s = time.monotonic() - began
            say(f"READY after {after_s:.0f} s: {', '.join(said.split(chr(10))[:2])}")
            failed = machine.check("systemctl list-units --state=failed --plain --no-legend")
    if failed.strip():
        say(f"but not all of it: {failed}")
    return 1 if failed.strip() else 0


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else ARCHITECTURES[0]
    sys.exit(main(asked) if asked in ARCHITECTURES else f"{asked}: it is for {ARCHITECTURES}")
