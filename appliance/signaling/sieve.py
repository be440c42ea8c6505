"""What of a flood is left out before anything else is done for it: on the connection's own thread.

It counts and looks at the topic, no more: what it leaves out costs a few microseconds, and never reaches
the loop, so that nothing waits there behind a flood. Laws: it lets through twice what the inbox does, so
that whatever it leaves out would have been refused there; it leaves out nothing of a sender because others
send; what looks like the end of a call has a share of its own; and everything that is left out is counted.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from appliance.signaling.inbox import TOTAL_BURST, TOTAL_RATE_PER_S, Allowance
from appliance.signaling.limits import Recent, TokenBucket

TIMES = 2
"""What is let through, as a multiple of what the inbox lets through."""
MAX_TOPICS = 256
STRANGERS = ""
"""Whom nobody knows have one share together: each could take as many names as there are."""


class Sieve:
    """Of one subscription. `lets` is called on the connection's thread, `left_out` on any."""

    def __init__(
        self,
        sender_of: Callable[[str], str | None],
        is_known: Callable[[str], bool],
        is_last_word: Callable[[bytes], bool],
    ) -> None:
        """`sender_of` says who wrote to a topic, None for topics that are none of this sieve's."""
        self._sender_of = sender_of
        self._is_known = is_known
        self._is_last_word = is_last_word
        self._allowances: Recent[str, Allowance] = Recent(MAX_TOPICS)
        self._total: TokenBucket | None = None
        self._lock = threading.Lock()
        self._left_out: Counter[str] = Counter()

    def lets(self, topic: str, payload: bytes, now_s: float) -> bool:
        """Whether it is to be looked at; `now_s` is monotonic."""
        sender = self._sender_of(topic)
        if sender is None:
            return True
        if self._total is None:
            self._total = TokenBucket.full(TIMES * TOTAL_RATE_PER_S, TIMES * TOTAL_BURST, now_s)
        name = sender if self._is_known(sender) else STRANGERS
        allowance = self._allowances.get(name)
        if allowance is None:
            allowance = self._allowances[name] = Allowance(now_s, TIMES)
        if allowance.take(self._total, now_s, lambda: self._is_last_word(payload)):
            return True
        with self._lock:
            self._left_out[topic if name else STRANGERS] += 1
        return False

    def left_out(self) -> Counter[str]:
        """How many were left out since this was asked last, by topic; of strangers in one sum, under ''."""
        with self._lock:
            found, self._left_out = self._left_out, Counter()
        return found
