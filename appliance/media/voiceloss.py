"""How much of a voice is lost on its way to one peer, by what it reports, and what is done about it.

A packet of Opus has the frame before it a second time, coarsely, for who has lost that: the more is lost,
the more of the bitrate goes into it. Where much is lost each packet is sent twice as well, the second time
behind the next one: a voice takes little of what a call takes. Not so behind a queue, which it would feed.
"""

from __future__ import annotations

import math

from appliance.media.link import QUEUE_S, Report

LEAST_PERCENT, MOST_PERCENT = 10, 30
"""Of loss that the encoder is told: it is right for the first packets that are lost, too. What is spent on
more than that is taken from a voice that is understood."""
TWICE_FROM, ONCE_BELOW = 0.08, 0.03
RISE, FALL = 0.4, 0.1
"""How much of a report counts that tells of more, and of less."""


class VoiceLoss:
    """Of one peer. On the loop."""

    def __init__(self) -> None:
        """Nothing is known to be lost."""
        self.fraction = 0.0
        """Of the packets, as far as they are sent once."""
        self.twice = False
        """Each packet of sound is to be sent a second time."""
        self._shortest_rtt_s = math.inf

    @property
    def percent(self) -> int:
        """What an encoder is to expect."""
        return max(LEAST_PERCENT, min(MOST_PERCENT, round(self.fraction * 100)))

    def take(self, report: Report, *, of_sound: bool) -> None:
        """What a peer tells of the sound that it gets, or of the pictures, which go the same way."""
        lost = report.fraction_lost
        if of_sound and self.twice:
            lost = math.sqrt(lost)  # what did not come was lost twice
        self.fraction += (lost - self.fraction) * (RISE if lost > self.fraction else FALL)
        if self._waits(report.rtt_s) or self.fraction < ONCE_BELOW:
            self.twice = False
        elif self.fraction >= TWICE_FROM:
            self.twice = True

    def _waits(self, rtt_s: float | None) -> bool:
        """Packets wait before a place that is too narrow, and what is lost there is too much."""
        if rtt_s is None:
            return False
        self._shortest_rtt_s = min(self._shortest_rtt_s, rtt_s)
        return rtt_s - self._shortest_rtt_s > QUEUE_S
