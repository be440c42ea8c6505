"""What a bench prints: a figure, and where it has a peer in the same run, the ratio and its aim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure; `reference` is the peer's in the same unit, `aim` the highest ratio wanted.

    `least` and `most` are aims for the figure itself.
    """

    name: str
    value: float
    unit: str
    reference: float | None = None
    aim: float | None = None
    note: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def ratio(self) -> float | None:
        """The figure as a multiple of its peer's."""
        return None if not self.reference else self.value / self.reference

    @property
    def missed(self) -> bool:
        """Whether one of its aims is not reached."""
        return not all(reached for _, reached in self._aims())

    def _aims(self) -> Iterator[tuple[str, bool]]:
        """Each aim, and whether it is reached."""
        if self.ratio is not None and self.aim is not None:
            yield f"{self.aim:g}", self.ratio <= self.aim
        if self.least is not None:
            yield f">= {self.least:g}", self.value >= self.least
        if self.most is not None:
            yield f"<= {self.most:g}", self.value <= self.most

    def __str__(self) -> str:
        figure = (
            f"{self.value:10.3f} {self.unit}"
            if abs(self.value) < 1
            else f"{self.value:10.1f} {self.unit}"
        )
        ratio = "" if self.ratio is None else f"{self.ratio:8.3f} x"
        verdict = ", ".join(
            f"aim {aim}: {'reached' if reached else 'MISSED'}" for aim, reached in self._aims()
        )
        return f"  {self.name:52} {figure:16} {ratio:11} {verdict:20} {self.note}".rstrip()


def show(title: str, rows: list[Row]) -> None:
    """Print a bench's rows."""
    print(f"\n{title}")
    for row in rows:
        print(row)
