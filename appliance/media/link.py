"""How much the way to one peer bears, judged by what it reports (RTCP).

No single sign is trusted but heavy loss: a tenth, or half of that soon after the rate has changed, for
then it is likely to be of our making. Of the others it takes two: some loss, a queue (the way there and
back takes longer than it can), a restless arrival (jitter), and the receiver's own estimate (REMB), which
Chromium begins with far too low, and gives four times too high after what was sent again. On one sign alone
nothing grows. What is reported right after a silence tells of the silence, not of a way too narrow.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

HEAVY_LOSS = 0.10
SOME_LOSS = 0.02
"""Below it the rate grows; a radio loses as much at any rate."""
GROWTH_PER_S = 1.08
UNTRIED = 1.5
"""What nobody has tried is believed up to so many times of what is being sent."""
NOTICED = 1.1
"""Who is given so much more than is sent to all does not notice that it is given more."""
MOST_AT_RANDOM, SURE_KBPS = 0.35, 100.0
"""So much is lost on a bad radio at any rate, too. Without a sign of a queue nothing is won then by sending
even less than this, which is a picture still."""
CUT = 0.85
DEEPEST_CUT = 0.5
CALM_AFTER_S = 5.0
SETTLE_S = 0.5
"""So long, and there and back, the reports after a cut are still about the time before it."""
QUEUE_S = 0.15
BASE_WINDOW_S = 30.0
"""The shortest time there and back within it is that of an empty way."""
RESTLESS_S = 0.1
SILENCE_S = 0.6, 1.6
"""No report for three times as long as usual is one, within these limits: Chromium reports every 0.2 s, the
standard's default is every 0.5 to 1.5 s (RFC 3550, section 6.2)."""
USUAL_S = 0.5
AFTERMATH_S = 1.0
"""The first report may have left before the loss was seen."""
LEAST_KBPS = 25.0
LONGEST_GROWTH_S = 1.5


@dataclass(frozen=True, slots=True)
class Report:
    """What a peer told at one time; None: it is not known."""

    at_s: float
    fraction_lost: float
    """Of the packets since the report before."""
    rtt_s: float | None = None
    jitter_s: float | None = None
    remb_kbps: float | None = None


class Link:
    """The estimate for one peer."""

    def __init__(self, ceiling_kbps: float, now_s: float) -> None:
        """It begins with all that was configured: the first picture is to be a good one."""
        self.kbps = ceiling_kbps
        self.heard_s = now_s
        self.suffers = False
        """Whether the last report told of a way that is too narrow."""
        self._ceiling_kbps = ceiling_kbps
        self._settled_s = now_s
        self._changed_s = self._silence_ends_s = now_s - CALM_AFTER_S
        self._usual_s = USUAL_S
        self._loss = 0.0
        self._rtts: deque[tuple[float, float]] = deque()

    def take(self, report: Report, sent_kbps: float) -> None:
        """Judge a report, given what is being sent to all."""
        passed_s, self.heard_s = report.at_s - self.heard_s, report.at_s
        queue_s = self._queue_s(report)
        if self._tells_of_silence(report.at_s, passed_s):
            return
        self._loss += (report.fraction_lost - self._loss) / 8  # few packets make odd fractions
        doubts = (
            report.fraction_lost >= SOME_LOSS,
            queue_s > QUEUE_S,
            report.remb_kbps is not None and report.remb_kbps < min(self.kbps, sent_kbps),
        )
        restless = report.jitter_s is not None and report.jitter_s > RESTLESS_S
        calm = report.at_s - self._changed_s > CALM_AFTER_S
        heavy = report.fraction_lost > (HEAVY_LOSS if calm else HEAVY_LOSS / 2)
        self.suffers = heavy or sum(doubts) + restless >= 2
        if self.suffers:
            waits = queue_s > QUEUE_S or restless
            at_random = not waits and self._loss <= MOST_AT_RANDOM
            self._cut(report, sent_kbps, SURE_KBPS if at_random else LEAST_KBPS)
        elif not any(doubts):
            self._grow(report, min(passed_s, LONGEST_GROWTH_S), sent_kbps)

    def _tells_of_silence(self, at_s: float, passed_s: float) -> bool:
        shortest_s, longest_s = SILENCE_S
        if passed_s > min(longest_s, max(shortest_s, 3 * self._usual_s)):
            self._silence_ends_s = at_s + AFTERMATH_S
        else:
            self._usual_s += (passed_s - self._usual_s) / 8
        return at_s < self._silence_ends_s

    def _grow(self, report: Report, passed_s: float, sent_kbps: float) -> None:
        limit_kbps = min(self._ceiling_kbps, max(self.kbps, UNTRIED * sent_kbps))
        if self.kbps < limit_kbps:
            if self.kbps < NOTICED * sent_kbps:
                self._changed_s = report.at_s
            self.kbps = min(limit_kbps, self.kbps * GROWTH_PER_S**passed_s)

    def _cut(self, report: Report, sent_kbps: float, least_kbps: float) -> None:
        if report.at_s < self._settled_s:
            return
        self._settled_s = report.at_s + SETTLE_S + (report.rtt_s or 0.0)
        self._changed_s = report.at_s
        factor = max(DEEPEST_CUT, min(CUT, 1 - report.fraction_lost / 2))
        self.kbps = max(min(self._ceiling_kbps, least_kbps), factor * min(self.kbps, sent_kbps))

    def _queue_s(self, report: Report) -> float:
        """How much longer than on an empty way it takes now."""
        while self._rtts and self._rtts[0][0] < report.at_s - BASE_WINDOW_S:
            self._rtts.popleft()
        if report.rtt_s is None:
            return 0.0
        self._rtts.append((report.at_s, report.rtt_s))
        return report.rtt_s - min(rtt_s for _, rtt_s in self._rtts)
