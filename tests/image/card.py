"""A card, as an image file: its partitions, and files that a firmware reads (sfdisk, mtools)."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.parts.need import program


class NoSuchFile(Exception):
    """The partition, or the file in it, is not there or cannot be read."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Where one begins and how long it is, in bytes."""

    number: int
    name: str
    begins: int
    length: int


class Card:
    """The image, which is looked at anew with each question."""

    def __init__(self, image: Path) -> None:
        self.image = image

    def partitions(self) -> list[Partition]:
        """In the order of the table. Raises NoSuchFile where there is none."""
        words = [str(program("sfdisk", "fdisk")), "--json", str(self.image)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoSuchFile(f"{self.image} has no partitions: {done.stderr.strip()}")
        table = json.loads(done.stdout)["partitiontable"]
        sector = table.get("sectorsize", 512)
        return [
            Partition(number, one.get("name", ""), one["start"] * sector, one["size"] * sector)
            for number, one in enumerate(table["partitions"], 1)
        ]

    def partition(self, which: int | str) -> Partition:
        """By number or name. Raises NoSuchFile."""
        for one in self.partitions():
            if which in (one.number, one.name):
                return one
        raise NoSuchFile(f"there is no partition {which}")

    def read(self, partition: int | str, name: str) -> bytes:
        """A file of a FAT partition. Raises NoSuchFile."""
        return self._mtools("mtype", partition, f"::{name}")

    def copy(self, partition: int | str, name: str, to: Path) -> None:
        """Likewise, into a file of the host."""
        self._mtools("mcopy", partition, "-o", f"::{name}", str(to))

    def write(self, partition: int | str, name: str, source: Path) -> None:
        """Put a file into a FAT partition, in place of what is there."""
        self._mtools("mcopy", partition, "-o", str(source), f"::{name}")

    def _mtools(self, tool: str, partition: int | str, *words: str) -> bytes:
        where = f"{self.image}@@{self.partition(partition).begins}"
        command = [str(program(tool, "mtools")), "-i", where, *words]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise NoSuchFile(f"{words[-1]}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout
