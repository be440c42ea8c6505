"""Stands in for RAUC where the kernel has neither loop devices nor dm-verity, for a machine on paper.

What a bundle is, and whether it is believed, the real one says; only `install`, `status` and its marks are
done here, as its manual has it: the handler is asked in the same order, and the version is kept in place
of what would be written. What the real one does is seen in the machine of tests/image.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(os.environ.get("RAUC_STANDIN", "/nowhere"))


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def handler(*words: str) -> str:
    done = subprocess.run([FOLDER / "slots", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr or "the handler has failed")
    return done.stdout.strip()


def real(*words: str) -> subprocess.CompletedProcess[str]:
    rauc = (FOLDER / "real").read_text()
    command = [rauc, f"--conf={FOLDER / 'system.conf'}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def fails() -> None:
    """Where it is to fail, with these words."""
    file = FOLDER / "fails"
    if file.exists():
        sys.exit(f"LastError: {file.read_text()}")


def install(source: str) -> None:
    done = real("info", "--output-format=json", source)
    if done.returncode:
        sys.exit(f"LastError: {done.stderr}")
    target = "B" if handler("get-current") == "A" else "A"
    handler("set-state", target, "bad")
    say("  0% Installing\n 40% Copying image to system")
    fails()
    version = json.loads(done.stdout)["version"]
    (FOLDER / f"version-{target}").write_text(version)
    handler("set-primary", target)
    say("100% Installing done.")


def status() -> None:
    def slot(bootname: str) -> dict[str, object]:
        file = FOLDER / f"version-{bootname}"
        bundle = {"bundle": {"version": file.read_text()}} if file.exists() else {}
        return {"bootname": bootname, "slot_status": bundle}

    compatible = re.search(r"compatible=(.*)", (FOLDER / "system.conf").read_text())
    slots = [{"system.0": slot("A")}, {"system.1": slot("B")}, {"boot.0": {"bootname": None}}]
    say(json.dumps({"compatible": compatible and compatible[1], "slots": slots}))


def main(words: list[str]) -> None:
    match words:
        case ["install", *_, source]:
            install(source)
        case ["status", "mark-good", "booted"]:
            fails()
            handler("set-state", handler("get-current"), "good")
        case ["status", "mark-bad", "booted"]:
            handler("set-state", handler("get-current"), "bad")
        case ["status", "--detailed", "--output-format=json"]:
            status()
        case _:
            done = real(*words)
            sys.stdout.write(done.stdout)
            sys.stderr.write(done.stderr)
            sys.exit(done.returncode)


def put(folder: Path, rauc: Path) -> Path:
    """Lay it out in `folder`, where `slots` and `system.conf` are; the folder for the PATH."""
    (folder / "real").write_text(str(rauc))
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "rauc"
    program.write_text(
        f'#!/bin/sh\nRAUC_STANDIN={folder} exec {sys.executable} -S {Path(__file__).resolve()} "$@"\n'
    )
    program.chmod(0o755)
    return programs


if __name__ == "__main__":
    main(sys.argv[1:])
