"""What of a flood is left out before anything else is done for it: on the connection's own thread.

It counts and looks at the topic, no more: what it leaves out costs a few microseconds, and never reaches
the loop, so that nothing waits there behind a flood. Laws: it lets through twice what the inbox does, so
that whatever it leaves out would have been refused there; it leaves out nothing of a sender because others
send; what looks like the end of a call has a share of its own; and everything that is left out is counted.
Of presence, which is a state, the last word of each endpoint is kept: it is looked at a little later.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from appliance.limits import Latest, Recent, TokenBucket
from appliance.signaling.inbox import (
    NOBODY_KNOWN,
    TOTAL_BURST,
    TOTAL_RATE_PER_S,
    Allowance,
    presence_share,
)

TIMES = 2
"""What is let through, as a multiple of what the inbox lets through."""
MAX_TOPICS = 256
HELD_OF_EACH = 64
"""Endpoints of one name whose last word waits."""
HELD_BYTES = 4 * 1024
"""A presence has no more; of what is larger the beginning is kept, for it to be refused by."""


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
        name = sender if self._is_known(sender) else NOBODY_KNOWN
        allowance = self._allowances.get(name)
        if allowance is None:
            allowance = self._allowances[name] = Allowance(now_s, TIMES)
        if allowance.take(self._total, now_s, lambda: self._is_last_word(payload)):
            return True
        with self._lock:
            self._left_out[topic if name else NOBODY_KNOWN] += 1
        return False

    def left_out(self) -> Counter[str]:
        """How many were left out since this was asked last, by topic; of strangers in one sum, under ''."""
        with self._lock:
            found, self._left_out = self._left_out, Counter()
        return found


class PresenceSieve:
    """The same of who is there: of each owner of a topic, whom it may be on any thread."""

    def __init__(
        self, owner_of: Callable[[str], str | None], is_known: Callable[[str], bool]
    ) -> None:
        """`owner_of` says whose presence a topic holds, None for topics that are none of this sieve's."""
        self._owner_of = owner_of
        self._is_known = is_known
        self._shares: Recent[str, TokenBucket] = Recent(MAX_TOPICS)
        self._lock = threading.Lock()
        self._left_out: Counter[str] = Counter()
        self._held: Latest[str, tuple[bytes, float]] = Latest(MAX_TOPICS, HELD_OF_EACH)
        """And since when."""

    def lets(self, topic: str, payload: bytes, now_s: float) -> bool:
        """Whether it is to be looked at now; `now_s` is monotonic."""
        owner = self._owner_of(topic)
        if owner is None:
            return True
        name = owner if self._is_known(owner) else NOBODY_KNOWN
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = presence_share(name, now_s, TIMES)
        let = share.take(now_s)
        with self._lock:
            if let:
                self._held.drop(name, topic)
            else:
                self._left_out[name] += 1
                self._held.keep(name, topic, (payload[: HELD_BYTES + 1], now_s))
        return let

    def left_out(self) -> Counter[str]:
        """How many were left out since this was asked last, by uid; of strangers in one sum, under ''."""
        with self._lock:
            found, self._left_out = self._left_out, Counter()
        return found

    def due(self, until_s: float) -> list[tuple[str, bytes]]:
        """The last words that have waited since then or before: topics and payloads.

        What was let through before them has to be on the loop by then, so that they come behind it.
        """
        with self._lock:
            found = [one for one in self._held.items() if one[2][1] <= until_s]
            for name, topic, _ in found:
                self._held.drop(name, topic)
        return [(topic, payload) for _, topic, (payload, _) in found]

    def holds(self) -> bool:
        """Whether a last word waits."""
        with self._lock:
            return len(self._held) > 0

    def forget(self) -> None:
        """What waits is of a connection that is over: who is there is told again."""
        with self._lock:
            self._held.clear()
