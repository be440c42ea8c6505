"""How much is sent, where one encode is for all: as much as the weakest peer bears that counts.

Laws: never less than the floor, and never more than was configured. A peer counts while it reports. One
that is far weaker than the others, or for which the floor itself is too much, is left behind after 5 s: it
gets keyframes alone, which come seldom, and holds nobody back. Once it has been well for a while it is
taken along again, after a longer time each time that it fails.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from appliance.media.link import Link, Report

FLOOR_KBPS = 100
STEP_KBPS = 25
GROUP_FLOOR_KBPS = 300
"""Where others can have more, nobody makes them have less than this, or than half of what they can."""
SILENT_S = 5.0
"""Who has not reported for so long is gone, or cannot be reached: it is no reason to send less."""
LEFT_AFTER_S = 5.0
BACK_AFTER_S = 10.0
LONGEST_BACK_S = 60.0
STEADY_S = 60.0
"""Who has kept up for so long and fails is weak anew, not still."""


@dataclass(slots=True)
class _Member:
    link: Link
    yields: bool = False
    weak_since_s: float | None = None
    left_s: float | None = None
    back_after_s: float = BACK_AFTER_S
    back_s: float = 0.0
    well_since_s: float | None = None


class RateController:
    """For one encode; peers are whatever tells them apart. Times are of one clock, in seconds."""

    def __init__(self, ceiling_kbps: int) -> None:
        """`ceiling_kbps` is what was configured."""
        self.ceiling_kbps = ceiling_kbps
        self.floor_kbps = min(FLOOR_KBPS, ceiling_kbps)
        self.kbps = ceiling_kbps
        """What is to be sent."""
        self._members: dict[Hashable, _Member] = {}

    def join(self, peer: Hashable, now_s: float, *, yields: bool = False) -> None:
        """It is sent pictures from now on; one that `yields` counts only where nobody else does."""
        self._members[peer] = _Member(Link(self.ceiling_kbps, now_s), yields)

    def leave(self, peer: Hashable) -> None:
        """It is not, any more."""
        self._members.pop(peer, None)

    def take(self, peer: Hashable, report: Report) -> None:
        """What a peer has reported."""
        member = self._members[peer]
        member.link.take(report, self.kbps)
        if member.link.suffers:
            member.well_since_s = None
        elif member.well_since_s is None:
            member.well_since_s = report.at_s

    def estimate_kbps(self, peer: Hashable) -> int:
        """How much the way to a peer bears, as far as is known."""
        return round(self._members[peer].link.kbps)

    def is_left_behind(self, peer: Hashable) -> bool:
        """Whether it is to get keyframes alone."""
        member = self._members.get(peer)
        return member is not None and member.left_s is not None

    def decide(self, now_s: float) -> int:
        """How much is to be sent from now on, in kbit/s: a whole number of steps, or the ceiling."""
        least = self._least_kbps(now_s)
        for member in self._members.values():
            self._take_along(member, least, now_s)
        for member in self._counting(now_s):
            self._leave_behind(member, least, now_s)
        counting = self._counting(now_s)
        if counting:
            wanted = max(least, min(member.link.kbps for member in counting))
        else:
            wanted = self.floor_kbps if self._left(now_s) else self.ceiling_kbps
        steps = wanted if wanted >= self.ceiling_kbps else wanted // STEP_KBPS * STEP_KBPS
        self.kbps = round(max(self.floor_kbps, min(steps, self.ceiling_kbps)))
        for member in self._yielding(now_s):
            self._leave_behind(member, self.kbps, now_s)
        return self.kbps

    def _reporting(self, now_s: float) -> list[_Member]:
        everybody = self._members.values()
        return [member for member in everybody if now_s - member.link.heard_s <= SILENT_S]

    def _counting(self, now_s: float) -> list[_Member]:
        there = [member for member in self._reporting(now_s) if member.left_s is None]
        return [member for member in there if not (member.yields and self._in_company)]

    def _yielding(self, now_s: float) -> list[_Member]:
        there = self._reporting(now_s) if self._in_company else []
        return [member for member in there if member.yields and member.left_s is None]

    @property
    def _in_company(self) -> bool:
        """There is somebody for whose sake the others yield."""
        return not all(member.yields for member in self._members.values())

    def _left(self, now_s: float) -> list[_Member]:
        there = [member for member in self._reporting(now_s) if member.left_s is not None]
        return [member for member in there if not (member.yields and self._in_company)]

    def _least_kbps(self, now_s: float) -> float:
        """What nobody is kept below."""
        best = max((member.link.kbps for member in self._counting(now_s)), default=0.0)
        return max(self.floor_kbps, min(GROUP_FLOOR_KBPS, best / 2))

    def _leave_behind(self, member: _Member, least: float, now_s: float) -> None:
        if member.link.kbps >= least:
            member.weak_since_s = None
        elif member.weak_since_s is None:
            member.weak_since_s = now_s
        elif now_s - member.weak_since_s >= LEFT_AFTER_S:
            if now_s - member.back_s > STEADY_S:
                member.back_after_s = BACK_AFTER_S
            member.left_s, member.weak_since_s = now_s, None

    def _take_along(self, member: _Member, least: float, now_s: float) -> None:
        """Those that were left behind, and have been well since for long enough."""
        if member.left_s is None or member.well_since_s is None:
            return
        if now_s - max(member.left_s, member.well_since_s) >= member.back_after_s:
            member.left_s, member.back_s = None, now_s
            member.back_after_s = min(LONGEST_BACK_S, 2 * member.back_after_s)
            member.link.kbps = max(member.link.kbps, least)
