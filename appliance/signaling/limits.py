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
