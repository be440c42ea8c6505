"""A way through a narrow place with a queue before it, without time: what a peer behind it reports."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from appliance.media.link import Report

STEP_S = 0.05
OVERUSED = 0.85


@dataclass
class Bottleneck:
    """Passes on so many kbit/s, keeps `queue_s` of them at most, and loses the rest; and some at random."""

    kbps: float
    base_rtt_s: float = 0.04
    queue_s: float = 0.3
    random_loss: float = 0.0
    remb: float | None = None
    """The receiver estimates so many times what comes through; while there is a queue, less than that."""
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    delivered: float = 0.0
    _queued: float = 0.0
    _reported_s: float = 0.0
    _sent: float = 0.0
    _lost: float = 0.0

    def carry(self, kbps: float) -> None:
        """Send at this rate for a step; in kbit."""
        arriving = kbps * STEP_S
        strewn = sum(self.rng.random() < self.random_loss for _ in range(8)) / 8 * arriving
        self._queued += arriving - strewn
        passed = min(self._queued, self.kbps * STEP_S)
        self._queued -= passed
        overflow = max(0.0, self._queued - self.kbps * self.queue_s)
        self._queued -= overflow
        self.delivered += passed
        self._sent += arriving
        self._lost += overflow + strewn

    def report(self, now_s: float) -> Report:
        """Once a second or so."""
        lost = self._lost / self._sent if self._sent else 0.0
        through_kbps = (self._sent - self._lost) / max(STEP_S, now_s - self._reported_s)
        self._sent = self._lost = 0.0
        self._reported_s = now_s
        waits_s = self._queued / self.kbps
        factor = OVERUSED if self.remb and waits_s > 0.05 else self.remb
        return Report(
            at_s=now_s,
            fraction_lost=min(255, round(lost * 256)) / 256,
            rtt_s=self.base_rtt_s + waits_s,
            jitter_s=0.005 + waits_s / 10,
            remb_kbps=None if factor is None else factor * through_kbps,
        )
