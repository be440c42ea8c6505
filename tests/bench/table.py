"""What a bench prints: a figure, and where it has a peer in the same run, the ratio and its aim."""

from __future__ import annotations

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

    def __str__(self) -> str:
        figure = (
            f"{self.value:10.3f} {self.unit}"
            if abs(self.value) < 1
            else f"{self.value:10.1f} {self.unit}"
        )
        ratio, verdict = "", ""
        if self.ratio is not None:
            ratio = f"{self.ratio:8.3f} x"
        if self.ratio is not None and self.aim is not None:
            reached = "reached" if self.ratio <= self.aim else "MISSED"
            verdict = f"aim {self.aim:g}: {reached}"
        if self.least is not None:
            reached = "reached" if self.value >= self.least else "MISSED"
            verdict = f"aim >= {self.least:g}: {reached}"
        if self.most is not None:
            reached = "reached" if self.value <= self.most else "MISSED"
            verdict = f"aim <= {self.most:g}: {reached}"
        return f"  {self.name:52} {figure:16} {ratio:11} {verdict:20} {self.note}".rstrip()


def show(title: str, rows: list[Row]) -> None:
    """Print a bench's rows."""
    print(f"\n{title}")
    for row in rows:
        print(row)
