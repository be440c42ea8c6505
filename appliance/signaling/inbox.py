"""What makes a message believable beside its form: for us, of now, not seen before, not too many.

Pure: time is a parameter. Freshness rests on the epoch and on rising numbers; clocks are asked only
where both are known to be right, since a Pi has none when it starts.

Laws of what is signed: nothing that comes unsigned (a presence, plain JSON) changes what is remembered of
it; each key has a memory of its own, so that nobody pushes out another's; and a number is forgotten
only together with its epoch, behind which nothing is believed. Where there is no room for one the
message is refused (`memory_full`), and whoever holds the connection may begin a new epoch. Keys for which
somebody vouches take the room of whoever does, and never that of the contacts' own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass
from dataclasses import field as default
from typing import Protocol

from appliance.limits import Recent, TokenBucket
from appliance.messages import Address
from appliance.signaling.rejected import Rejected

SENDER_RATE_PER_S, SENDER_BURST = 20.0, 60.0
TOTAL_RATE_PER_S, TOTAL_BURST = 100.0, 300.0
SURE_RATE_PER_S, SURE_BURST = 4.0, 12.0
"""What each sender has in any case, however much the others send."""
LAST_WORD_RATE_PER_S, LAST_WORD_BURST = 2.0, 6.0
"""What it has beyond that for what ends a call, though a flood be in its own name."""
PRESENCE_RATE_PER_S, PRESENCE_BURST = 5.0, 40.0
"""Of one uid: all its endpoints may come at once, and each a few times."""
STRANGE_PRESENCE_RATE_PER_S, STRANGE_PRESENCE_BURST = 20.0, 200.0
"""Of all whom this device does not know together: a broker that comes back is met by a whole house."""
NOBODY_KNOWN = ""
"""In whose name those have their share whom nobody knows: each could take as many names as there are."""
MAX_SENDERS = 256
MAX_COUNTERS = 64
"""Of one key: endpoints that have spoken in this epoch, and whom they meant."""
MAX_KEYS = 512
"""Of contacts, who have no more than they were paired with: half of these outlast an epoch."""
MAX_VOUCHED = 64
"""For which one contact vouches."""
MAX_IDS = 2048
"""Of one key: at `SENDER_RATE_PER_S` more than a minute's."""
MAX_PLAIN_COUNTERS = 1024
MAX_PLAIN_IDS = 8192
CLOCK_TOLERANCE_S = 5.0

_Counter = tuple[str, str | None, str | None, str | None]
_Key = tuple[str, str]
"""A uid, and the thumbprint of the key that signed."""


class Said(Protocol):
    """What is judged of whatever somebody sends: an envelope, or a signed command."""

    @property
    def id(self) -> str:
        """Acted on once."""

    @property
    def call_id(self) -> str | None:
        """The call that it is about, if it is about one."""

    @property
    def sender(self) -> Address:
        """Who sent it."""

    @property
    def to(self) -> Address:
        """For whom it is; endpoint None means all of the uid's."""

    @property
    def epoch(self) -> str | None:
        """Of the receiving endpoint's connection."""

    @property
    def seq(self) -> int:
        """Rises."""

    @property
    def sent_at_ms(self) -> int:
        """Unix time in ms, right if `synced`."""

    @property
    def ttl_s(self) -> float:
        """How old it may become."""

    @property
    def synced(self) -> bool:
        """Whether the sender's clock is known to be right."""


@dataclass(slots=True)
class _Memory:
    """What is remembered of one key of one uid, or of all that is unsigned."""

    ids: Recent[tuple[str, str], None] = default(default_factory=lambda: Recent(MAX_IDS))
    highest: dict[_Counter, int] = default(default_factory=dict)
    voucher: str | None = None
    """Who vouches for the key, and whose room it takes; None for a contact's own."""


class Allowance:
    """How much one sender may still say."""

    __slots__ = ("_last", "_own", "_sure")

    def __init__(self, now_s: float, times: float = 1) -> None:
        """`times` as much as is let through here."""

        def full(rate_per_s: float, burst: float) -> TokenBucket:
            return TokenBucket.full(times * rate_per_s, times * burst, now_s)

        self._own = full(SENDER_RATE_PER_S, SENDER_BURST)
        self._sure = full(SURE_RATE_PER_S, SURE_BURST)
        self._last = full(LAST_WORD_RATE_PER_S, LAST_WORD_BURST)

    def take(self, total: TokenBucket, now_s: float, is_last_word: Callable[[], bool]) -> bool:
        """Take one where there is one for this."""
        if self._own.take(now_s) and (total.take(now_s) or self._sure.take(now_s)):
            return True
        return is_last_word() and self._last.take(now_s)


def presence_share(uid: str, now_s: float, times: float = 1) -> TokenBucket:
    """How often one may say that it comes or goes, `times` as much as is looked at here."""
    rate_per_s, burst = PRESENCE_RATE_PER_S, PRESENCE_BURST
    if uid == NOBODY_KNOWN:
        rate_per_s, burst = STRANGE_PRESENCE_RATE_PER_S, STRANGE_PRESENCE_BURST
    return TokenBucket.full(times * rate_per_s, times * burst, now_s)


class Inbox:
    """The memory by which one endpoint judges what it is sent."""

    def __init__(self, me: Address, *, allow_null_epoch: bool) -> None:
        """`allow_null_epoch` goes with unsigned messages: only they may come without one."""
        self.me = me
        self.ignored: Counter[str] = Counter()
        self._allow_null_epoch = allow_null_epoch
        self._epoch: str | None = None
        self._total: TokenBucket | None = None
        self._senders: Recent[str, Allowance] = Recent(MAX_SENDERS)
        self._present: Recent[str, TokenBucket] = Recent(MAX_SENDERS)
        self._memories: dict[_Key, _Memory] = {}
        # what is plain makes room for itself, since anybody can write it
        self._plain = _Memory(Recent(MAX_PLAIN_IDS), Recent(MAX_PLAIN_COUNTERS))

    def connected(self, epoch: str, vouched: Container[_Key] = ()) -> None:
        """A connection has begun, or a new epoch in it: only what is said to this one is of now.

        Of the keys for which somebody has vouched, those are let go whose call is over since: `vouched`
        are those (a uid, and a thumbprint) for which somebody's word still counts.
        """
        self._epoch = epoch
        for key, memory in list(self._memories.items()):
            if memory.voucher is not None and key not in vouched:
                del self._memories[key]
        for memory in self._memories.values():
            timeless = {key: seq for key, seq in memory.highest.items() if key[2] is None}
            memory.highest = timeless if len(timeless) < MAX_COUNTERS else {}
        # ids are kept: what is repeated over a reconnect is acted on once
        for voucher in {memory.voucher for memory in self._memories.values()}:
            self._halve(voucher)

    def _halve(self, voucher: str | None) -> None:
        """Let go of the oldest of these, so that there is room in the new epoch."""
        of_voucher = [key for key, one in self._memories.items() if one.voucher == voucher]
        kept = (MAX_KEYS if voucher is None else MAX_VOUCHED) // 2
        for key in of_voucher[:-kept]:
            del self._memories[key]

    def restarted(self, uid: str, endpoint: str) -> None:
        """A sender says, unsigned, that it has connected anew: so what it says unsigned may count anew."""
        numbers = self._plain.highest
        for counter in [key for key in numbers if key[:2] == (uid, endpoint)]:
            del numbers[counter]

    def knock(
        self,
        sender: str,
        *,
        retained: bool,
        now_s: float,
        is_last_word: Callable[[], bool] = lambda: False,
    ) -> None:
        """Before anything is decoded: raises `Rejected` for what is retained, or too much.

        No sender is silenced by what others send, and none keeps a call from being ended by what comes in
        its own name: `is_last_word` is asked where that matters. `now_s` is monotonic time.
        """
        if retained:
            raise Rejected("retained", f"a message of {sender} was retained: it is not of now")
        if self._total is None:
            self._total = TokenBucket.full(TOTAL_RATE_PER_S, TOTAL_BURST, now_s)
        allowance = self._senders.get(sender)
        if allowance is None:
            allowance = Allowance(now_s)
        self._senders[sender] = allowance
        if not allowance.take(self._total, now_s, is_last_word):
            raise Rejected("flooded", f"{sender} sends more than {SENDER_RATE_PER_S:g} a second")

    def may_be_present(self, uid: str, now_s: float) -> bool:
        """Whether what an endpoint of `uid` says of its presence is looked at now, or a little later.

        Those whom nobody knows are `NOBODY_KNOWN` together.
        """
        bucket = self._present.get(uid)
        if bucket is None:
            bucket = presence_share(uid, now_s)
        self._present[uid] = bucket
        return bucket.take(now_s)

    def admit(
        self,
        said: Said,
        *,
        wall_ms: int,
        synced: bool,
        kid: str | None = None,
        vouched_by: Collection[str] = (),
    ) -> bool:
        """Whether to act on it; raises `Rejected` for what breaks a rule.

        False is for what is no fault: it is another endpoint's, or has been acted on already.
        `wall_ms` is Unix time, right if `synced`; `kid` is the key that signed, None for none, and
        `vouched_by` are the uids by whose word it counts, none for a contact's own key.
        """
        if said.to.endpoint not in (None, self.me.endpoint):
            self.ignored["for_another_endpoint"] += 1
            return False
        self._check_epoch(said)
        memory = self._plain
        if kid is not None:
            memory = self._memory((said.sender.uid, kid), said, vouched_by)
        known = (said.sender.uid, said.id)
        if known in memory.ids:
            self.ignored["duplicate"] += 1
            return False
        if synced and said.synced:
            _check_age(said, wall_ms)
        self._check_order(memory, said)
        memory.ids[known] = None
        return True

    def _check_epoch(self, said: Said) -> None:
        if said.epoch is None and self._allow_null_epoch:
            return
        if said.epoch is None or said.epoch != self._epoch:
            raise Rejected(
                "wrong_epoch",
                "epoch is not that of this device's present connection: the message is older",
                call_id=said.call_id,
            )

    def _memory(self, key: _Key, said: Said, vouched_by: Collection[str]) -> _Memory:
        memory = self._memories.get(key)
        if memory is None:
            memory = self._memories[key] = _Memory(voucher=self._room_for(said, vouched_by))
        elif not vouched_by:
            memory.voucher = None  # a contact's by now: nobody else's room is taken
        return memory

    def _room_for(self, said: Said, vouched_by: Collection[str]) -> str | None:
        """In whose room another key is remembered: of those who vouch for it the one with the most left."""
        if not vouched_by:
            return None  # a contact has few keys, and there is always room for them
        taken = Counter(memory.voucher for memory in self._memories.values())
        voucher = min(sorted(vouched_by), key=lambda uid: taken[uid])
        if taken[voucher] >= MAX_VOUCHED:
            raise _full(said)
        return voucher

    def _check_order(self, memory: _Memory, said: Said) -> None:
        sender, to = said.sender, said.to
        counter = (sender.uid, sender.endpoint, said.epoch, to.endpoint)
        highest = memory.highest.get(counter)
        if highest is not None and said.seq <= highest:
            raise Rejected(
                "replayed",
                f"seq is {said.seq} after {highest} from {sender.uid}/{sender.endpoint}",
                call_id=said.call_id,
            )
        is_new = highest is None and memory is not self._plain
        if is_new and len(memory.highest) >= MAX_COUNTERS:
            raise _full(said)
        memory.highest[counter] = said.seq


def _full(said: Said) -> Rejected:
    return Rejected(
        "memory_full",
        f"so many endpoints have spoken in this epoch that {said.sender.uid}/{said.sender.endpoint} "
        "cannot be told from a replay",
        call_id=said.call_id,
    )


def _check_age(said: Said, wall_ms: int) -> None:
    apart_s = abs(wall_ms - said.sent_at_ms) / 1000
    if apart_s > said.ttl_s + CLOCK_TOLERANCE_S:
        raise Rejected(
            "outdated",
            f"sent_at is {apart_s:.0f} s away from now, ttl_s is {said.ttl_s:g}",
            call_id=said.call_id,
        )
