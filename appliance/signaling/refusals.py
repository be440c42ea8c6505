"""What was not believed: counted message by message, and told so often that telling stops nobody.

Pure: time is a parameter (monotonic seconds). A flood is refused for a few microseconds a message; a
report goes through the core and out to everybody who listens, and whoever floods is not to choose how
many of those there are.
"""

from __future__ import annotations

from collections import Counter

from appliance.limits import Recent, TokenBucket
from appliance.signaling.rejected import Rejected

TOPIC_RATE_PER_S, TOPIC_BURST = 2.0, 20.0
TOTAL_RATE_PER_S, TOTAL_BURST = 10.0, 100.0
FLOOD_REPORT_S = 1.0
"""A flood is reported this often per topic."""
MAX_TOPICS = 64


class Refusals:
    """The memory by which it is decided what of the refused is told."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """How many there were, by the code of why."""
        self._topics: Recent[str, TokenBucket] = Recent(MAX_TOPICS)
        self._floods: Recent[str, float] = Recent(MAX_TOPICS)
        self._total: TokenBucket | None = None
        self._untold: Recent[str, int] = Recent(MAX_TOPICS)

    def sentence(self, fault: Rejected, topic: str, now_s: float) -> str | None:
        """Count a refusal; what is to be told of it, or None where enough was told already."""
        self.counts[fault.code] += 1
        if not self._may_tell(fault, topic, now_s):
            self._untold[topic] = self._untold.get(topic, 0) + 1
            return None
        untold = self._untold.pop(topic, 0)
        return f"{fault}." if not untold else f"{fault}; {untold} more were refused before it."

    def _may_tell(self, fault: Rejected, topic: str, now_s: float) -> bool:
        if fault.code == "flooded":
            if now_s - self._floods.get(topic, -FLOOD_REPORT_S) < FLOOD_REPORT_S:
                return False
            self._floods[topic] = now_s
        if self._total is None:
            self._total = TokenBucket.full(TOTAL_RATE_PER_S, TOTAL_BURST, now_s)
        bucket = self._topics.get(topic)
        if bucket is None:
            bucket = TokenBucket.full(TOPIC_RATE_PER_S, TOPIC_BURST, now_s)
        self._topics[topic] = bucket
        return bucket.take(now_s) and self._total.take(now_s)
