"""When a turn takes place: the core's only clock, given to it with each input."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Moment(Struct, frozen=True):
    """When a turn takes place; `fresh` is 256 random bits in hexadecimal, for ids made in it.

    `local` is the same time as `utc`, with the offset of where the device hangs (for quiet hours).
    """

    monotonic_s: float
    utc: datetime
    fresh: str
    local: datetime | None = None

    @property
    def at_home(self) -> datetime:
        """The local time, or UTC where nobody said what that is."""
        return self.local or self.utc
