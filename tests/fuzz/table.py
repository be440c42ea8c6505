"""What a fuzz program prints, and whether it kept what it promises."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HELD_LIMIT_S = 0.05
HELD = f"the loop was never held for more than {HELD_LIMIT_S * 1000:.0f} ms"


@dataclass
class Outcome:
    """What became of everything that was sent, by its reason; `faults` are promises that were broken."""

    title: str
    seed: int
    sent: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    held_s: float = 0.0
    """The most of its own CPU time for which one step held the loop."""

    def expect(self, kept: bool, promise: str) -> None:
        """Note a promise, and whether it was kept."""
        self.figures[promise] = "kept" if kept else "BROKEN"
        if not kept:
            self.faults.append(promise)

    def expect_short(self, longest: Longest) -> None:
        """Note for how long the loop was held, and by what."""
        self.held_s = longest.worst_s
        self.figures["loop held at most, own CPU time"] = f"{longest.worst_s * 1000:.1f} ms"
        self.figures["by"] = longest.worst_at
        self.expect(longest.worst_s < HELD_LIMIT_S, HELD)

    def show(self) -> None:
        """Print it as a table."""
        print(f"\n{self.title}: {self.sent} with SEED={self.seed}")
        for reason, count in self.counts.most_common():
            print(f"  {reason:58} {count:10}")
        for name, value in self.figures.items():
            print(f"  {name:58} {value:>10}")


class Longest:
    """The most of this thread's own CPU time that one step took."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self.worst_at = ""

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Measure what is done inside."""
        before = time.thread_time()
        try:
            yield
        finally:
            took_s = time.thread_time() - before
            if took_s > self.worst_s:
                self.worst_s, self.worst_at = took_s, what
