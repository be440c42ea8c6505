"""How long packets are on their way, compared with one another: how late sound has to be played.

The transit of a packet is its arrival minus its place in the sender's time. The two clocks have nothing in
common, so a transit says nothing by itself, and neither does one that drifts; but whoever plays a place at
`transit_s` plus a little after it will find there what is on its way no longer than that.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

WINDOW_S = 10.0
"""So much of the past tells how it will go on. At 200 ppm clocks part by 2 ms in that time."""
IN_TIME = 0.95
"""The share of packets that is waited for. A later one is not lost yet: where nothing else is
there, playing waits for it a little."""
RISE_PACKETS = 4
"""So many later ones in a row are no outliers: the way has changed."""
LIMIT_S = 0.2
"""What is later than the first ones by more than this does not count: with such a delay one cannot talk."""


class Arrivals:
    """The transits of the last ten seconds. Seconds, of a clock that only rises."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._order: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []

    def __bool__(self) -> bool:
        """Something has come lately."""
        return bool(self._order)

    def add(self, transit_s: float, now_s: float) -> None:
        """A packet has come."""
        self.forget(now_s)
        self._order.append((now_s, transit_s))
        insort(self._sorted, transit_s)
        if self._sorted[-1] - self._sorted[0] > LIMIT_S:  # a backlog, or the way has become shorter
            limit_s = self._sorted[0] + LIMIT_S
            self._order = deque(one for one in self._order if one[1] <= limit_s)
            self._sorted = sorted(one[1] for one in self._order)

    def forget(self, now_s: float) -> None:
        """What came too long ago."""
        while self._order and self._order[0][0] < now_s - WINDOW_S:
            _, transit_s = self._order.popleft()
            del self._sorted[bisect_left(self._sorted, transit_s)]

    @property
    def shortest_s(self) -> float:
        """Of the transits; there must be one."""
        return self._sorted[0]

    @property
    def waited_for_s(self) -> float:
        """The transit up to which packets are to be played in time; there must be one."""
        late = self._sorted[min(int(len(self._sorted) * IN_TIME), len(self._sorted) - 1)]
        if len(self._order) >= RISE_PACKETS and self._order[-1][1] > late:
            latest = (self._order[-number][1] for number in range(1, RISE_PACKETS + 1))
            late = max(late, min(latest))
        return late
