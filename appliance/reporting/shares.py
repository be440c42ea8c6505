"""How much each source may ask for over the broker, which names no sender.

Told apart is what can be: the topic, on which the broker lets write whom it lets, and on it the key that
a signed command names, if it is a contact's, or that it is plain. Laws: no source takes of another's share;
what nobody may want has one share together; what is far beyond a share is left out on the connection's own
thread, unread; and all of it is counted. Whoever may write to a topic can claim another's key there, and
use up its share of that one topic: only a signature tells the two apart, and to verify each costs too much.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Container

from appliance.commands import COMMANDS
from appliance.limits import Recent, TokenBucket
from appliance.trust.jws import kid_of

RATE_PER_S, BURST = 10.0, 40.0
TIMES = 2
"""What is let through unread, as a multiple of what is taken."""
MAX_SOURCES = 512
JSON_IN_BASE64 = b"eyJ"
"""With this the header of a JWS begins; a plain text may well have two dots in it."""
NOBODY = ""
"""What is neither named to be taken plain, nor signed by a key that is known."""


class Shares:
    """Of one device's commands. `lets` is called on the connection's thread, all else on the loop."""

    def __init__(
        self, plain: Container[str], is_known: Callable[[str], bool] = lambda kid: False
    ) -> None:
        """`plain` are the commands that need no signature; `is_known(kid)` is asked on any thread."""
        self._plain = plain
        self._is_known = is_known
        self._taken: Recent[str, TokenBucket] = Recent(MAX_SOURCES)
        self._let: Recent[str, TokenBucket] = Recent(MAX_SOURCES)
        self._lock = threading.Lock()
        self._left_out: Counter[str] = Counter()

    def source_of(self, topic: str, payload: bytes) -> str:
        """In whose name a command is counted, in words for people."""
        name = topic.rsplit("/", 1)[-1]
        if name not in COMMANDS:
            return NOBODY
        if name in self._plain and not payload.startswith(JSON_IN_BASE64):
            return f"{name}, plain"
        kid = kid_of(payload)
        return f"{name} by {kid}" if kid is not None and self._is_known(kid) else NOBODY

    def take(self, source: str, now_s: float) -> bool:
        """Whether one more of that source is looked at; `now_s` is monotonic."""
        return _take(self._taken, source, 1, now_s)

    def lets(self, topic: str, payload: bytes, now_s: float) -> bool:
        """Whether it is worth reading at all."""
        source = self.source_of(topic, payload)
        if _take(self._let, source, TIMES, now_s):
            return True
        with self._lock:
            self._left_out[source] += 1
        return False

    def left_out(self) -> Counter[str]:
        """How many were left out since this was asked last, by source."""
        with self._lock:
            found, self._left_out = self._left_out, Counter()
        return found


def _take(buckets: Recent[str, TokenBucket], source: str, times: int, now_s: float) -> bool:
    bucket = buckets.get(source)
    if bucket is None:
        bucket = TokenBucket.full(times * RATE_PER_S, times * BURST, now_s)
    buckets[source] = bucket
    return bucket.take(now_s)
