"""`aligned.py FOLDER [PAGE]`: whether a kernel can map the libraries in a folder, whatever its pages are.

A Raspberry Pi 5's own kernel has pages of 16 KiB. A library whose parts (PT_LOAD) are aligned to less can
not be mapped there: it is named, and the exit status is 1. Nothing but the heads of files is read (elf(5),
64 bit, little endian), so what is foreign to this machine can be asked about.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = 16384
"""The largest page of a Pi's kernels."""
HEAD = struct.Struct("<16sHHIQQQIHHHHHH")
PART = struct.Struct("<IIQQQQQQ")
LOADED = 1


def alignment(file: Path) -> int | None:
    """The least to which what is loaded of it is aligned, in bytes; None: it is no such library."""
    data = file.read_bytes()
    if len(data) < HEAD.size or data[:6] != b"\x7fELF\x02\x01":
        return None
    head = HEAD.unpack_from(data)
    begins, size, count = head[5], head[9], head[10]
    parts = (PART.unpack_from(data, begins + size * number) for number in range(count))
    return min((part[7] for part in parts if part[0] == LOADED), default=None)


def too_little(folder: Path, page: int = PAGE) -> Iterator[tuple[Path, int]]:
    """Each library that is aligned to less, and to what."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and ".so" in file.name and not file.is_symlink():
            found = alignment(file)
            if found is not None and found < page:
                yield file, found


def main() -> int:
    """Name them."""
    folder = Path(sys.argv[1])
    page = int(sys.argv[2]) if len(sys.argv) > 2 else PAGE
    found = list(too_little(folder, page))
    for file, aligned_to in found:
        name = file.relative_to(folder)
        sys.stderr.write(f"{name} is aligned to {aligned_to}, and a page has {page}\n")
    libraries = sum(alignment(file) is not None for file in folder.rglob("*.so*") if file.is_file())
    print(f"{libraries} libraries, {len(found)} of them aligned to less than {page}")
    return 1 if found or not libraries else 0


if __name__ == "__main__":
    sys.exit(main())
