"""Bounds on what strangers can make this device remember or do."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(OrderedDict[K, V], Generic[K, V]):
    """A dictionary of the entries that were set last; the oldest makes room."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self.capacity:
            self.popitem(last=False)


class Latest(Generic[K, V]):
    """The newest word on each topic, of so many topics of each group: none pushes another's out."""

    def __init__(self, groups: int, of_each: int) -> None:
        self._of_each = of_each
        self._groups: Recent[K, Recent[str, V]] = Recent(groups)

    def keep(self, group: K, topic: str, word: V) -> None:
        """The group's oldest makes room, or the group that has been silent for longest."""
        topics = self._groups.get(group)
        if topics is None:
            topics = Recent(self._of_each)
        topics[topic] = word
        self._groups[group] = topics

    def get(self, group: K, topic: str) -> V | None:
        """The newest word there, if it is kept."""
        topics = self._groups.get(group)
        return None if topics is None else topics.get(topic)

    def drop(self, group: K, topic: str) -> None:
        """It is known by other means, or counts no more."""
        topics = self._groups.get(group)
        if topics is not None and topics.pop(topic, None) is not None and not topics:
            del self._groups[group]

    def drop_group(self, group: K) -> None:
        """Nothing of that group counts any more."""
        self._groups.pop(group, None)

    def items(self) -> list[tuple[K, str, V]]:
        """Group, topic and word of each."""
        return [
            (group, topic, word)
            for group, topics in self._groups.items()
            for topic, word in topics.items()
        ]

    def clear(self) -> None:
        """Forget them all."""
        self._groups.clear()

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))


@dataclass(slots=True)
class TokenBucket:
    """Lets `burst` through at once and `rate_per_s` in the long run; time is the caller's."""

    rate_per_s: float
    burst: float
    tokens: float
    filled_at_s: float

    @classmethod
    def full(cls, rate_per_s: float, burst: float, now_s: float) -> TokenBucket:
        """A bucket from which nothing has been taken yet."""
        return cls(rate_per_s, burst, burst, now_s)

    def take(self, now_s: float) -> bool:
        """Take one if there is one."""
        since_s = max(0.0, now_s - self.filled_at_s)
        self.tokens = min(self.burst, self.tokens + since_s * self.rate_per_s)
        self.filled_at_s = max(self.filled_at_s, now_s)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def wait_s(self) -> float:
        """How long after the last `take` there is one again."""
        return max(0.0, (1 - self.tokens) / self.rate_per_s)
