"""What this endpoint answered, kept for who asks again: the answer may have been lost on its way.

A peer repeats what is not answered, with the same id; acting on it twice would be wrong, and silence would
leave it without the answer. So the answer goes out once more, as a SIP server transaction does (RFC 3261,
section 17.2).
"""

from __future__ import annotations

from appliance.limits import Recent
from appliance.messages import Address, Message
from appliance.signaling.outbox import SETTLED_BY, Parcel

KEPT = 128


class Responses:
    """The latest message of each kind that settles what its receiver repeats."""

    def __init__(self) -> None:
        """None yet."""
        self._kept: Recent[tuple[Address, str, type[Message]], Parcel] = Recent(KEPT)

    def sent(self, parcel: Parcel) -> None:
        """Remember a message that settles something."""
        for request, answers in SETTLED_BY.items():
            if isinstance(parcel.message, answers):
                self._kept[parcel.to, parcel.call_id, request] = parcel

    def again(self, sender: Address, call_id: str, request: Message, now_s: float) -> Parcel | None:
        """What answered this request, where it is still worth sending."""
        parcel = self._kept.get((sender, call_id, type(request)))
        return parcel if parcel is not None and now_s < parcel.expires_s else None
