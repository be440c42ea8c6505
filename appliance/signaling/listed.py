"""Whom a host's list has told of: how to reach those whose presence is not seen, and to hear them."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.messages import Address
from appliance.signaling.limits import Recent

MAX_CALLS = 16
"""More lists than a device can be in sessions at once are somebody's nonsense."""


class Listed:
    """The epochs of the participants of each call, as the latest list has them."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._calls: Recent[str, Mapping[Address, str | None]] = Recent(MAX_CALLS)

    def told(self, call_id: str, epochs: Mapping[Address, str | None]) -> None:
        """A list came under this call_id; the core judges whether its sender is the host."""
        self._calls[call_id] = epochs

    def forget(self, call_id: str) -> None:
        """The call is over."""
        self._calls.pop(call_id, None)

    def knows(self, uid: str) -> bool:
        """Whether some list names an endpoint of that uid."""
        return any(one.uid == uid for epochs in self._calls.values() for one in epochs)

    def epoch_of(self, uid: str, endpoint: str | None) -> str | None:
        """The epoch under which an endpoint is written to, as the latest list that has one says."""
        for epochs in reversed(self._calls.values()):
            epoch = epochs.get(Address(uid, endpoint))
            if epoch is not None:
                return epoch
        return None
