"""What makes a message believable beside its form: for us, of now, not seen before, not too many.

Pure: time is a parameter. Freshness rests on the epoch and on rising numbers; clocks are asked only
where both are known to be right, since a Pi has none when it starts.
"""

from __future__ import annotations

from collections import Counter

from appliance.messages import Address
from appliance.signaling.limits import Recent, TokenBucket
from appliance.signaling.rejected import Rejected
from appliance.signaling.wire import Envelope

SENDER_RATE_PER_S, SENDER_BURST = 20.0, 60.0
TOTAL_RATE_PER_S, TOTAL_BURST = 100.0, 300.0
MAX_SENDERS = 256
MAX_COUNTERS = 1024
MAX_IDS = 8192
CLOCK_TOLERANCE_S = 5.0

_Counter = tuple[str, str | None, str | None, str | None]


class Inbox:
    """The memory by which one endpoint judges what it is sent."""

    def __init__(self, me: Address, *, allow_null_epoch: bool) -> None:
        """`allow_null_epoch` goes with unsigned messages: only they may come without one."""
        self.me = me
        self.ignored: Counter[str] = Counter()
        self._allow_null_epoch = allow_null_epoch
        self._epoch: str | None = None
        self._total: TokenBucket | None = None
        self._senders: Recent[str, TokenBucket] = Recent(MAX_SENDERS)
        self._seen: Recent[tuple[str, str], None] = Recent(MAX_IDS)
        self._highest: Recent[_Counter, int] = Recent(MAX_COUNTERS)

    def connected(self, epoch: str) -> None:
        """A connection has begun: only what is said to this epoch is of now."""
        self._epoch = epoch

    def restarted(self, uid: str, endpoint: str) -> None:
        """A sender has connected anew and may count from the start again."""
        for counter in [key for key in self._highest if key[:2] == (uid, endpoint)]:
            del self._highest[counter]

    def knock(self, sender: str, *, retained: bool, now_s: float) -> None:
        """Before anything is decoded: raises `Rejected` for what is retained, or too much.

        `now_s` is monotonic time.
        """
        if retained:
            raise Rejected("retained", f"a message of {sender} was retained: it is not of now")
        if self._total is None:
            self._total = TokenBucket.full(TOTAL_RATE_PER_S, TOTAL_BURST, now_s)
        bucket = self._senders.get(sender)
        if bucket is None:
            bucket = TokenBucket.full(SENDER_RATE_PER_S, SENDER_BURST, now_s)
        self._senders[sender] = bucket
        if not (bucket.take(now_s) and self._total.take(now_s)):
            raise Rejected("flooded", f"{sender} sends more than {SENDER_RATE_PER_S:g} a second")

    def admit(self, envelope: Envelope, *, wall_ms: int, synced: bool) -> bool:
        """Whether to act on the message; raises `Rejected` for what breaks a rule.

        False is for what is no fault: it is another endpoint's, or has been acted on already.
        `wall_ms` is Unix time, right if `synced`.
        """
        if envelope.to.endpoint not in (None, self.me.endpoint):
            self.ignored["for_another_endpoint"] += 1
            return False
        self._check_epoch(envelope)
        known = (envelope.sender.uid, envelope.id)
        if known in self._seen:
            self.ignored["duplicate"] += 1
            return False
        if synced and envelope.synced:
            _check_age(envelope, wall_ms)
        self._check_order(envelope)
        self._seen[known] = None
        return True

    def _check_epoch(self, envelope: Envelope) -> None:
        if envelope.epoch is None and self._allow_null_epoch:
            return
        if envelope.epoch is None or envelope.epoch != self._epoch:
            raise Rejected(
                "wrong_epoch",
                "epoch is not that of this device's present connection: the message is older",
                call_id=envelope.call_id,
            )

    def _check_order(self, envelope: Envelope) -> None:
        sender, to = envelope.sender, envelope.to
        counter = (sender.uid, sender.endpoint, envelope.epoch, to.endpoint)
        highest = self._highest.get(counter, -1)
        if envelope.seq <= highest:
            raise Rejected(
                "replayed",
                f"seq is {envelope.seq} after {highest} from {sender.uid}/{sender.endpoint}",
                call_id=envelope.call_id,
            )
        self._highest[counter] = envelope.seq


def _check_age(envelope: Envelope, wall_ms: int) -> None:
    apart_s = abs(wall_ms - envelope.sent_at_ms) / 1000
    if apart_s > envelope.ttl_s + CLOCK_TOLERANCE_S:
        raise Rejected(
            "outdated",
            f"sent_at is {apart_s:.0f} s away from now, ttl_s is {envelope.ttl_s:g}",
            call_id=envelope.call_id,
        )
