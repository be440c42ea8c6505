"""A plug-in that fails in all that it is told of calls: what others do is not to suffer from it."""

from __future__ import annotations

from typing import Any

from appliance.listeners import CallListener
from appliance.session import CallSession


class Clumsy(CallListener):
    def on_outgoing_call_started(self, call: Any) -> None:
        raise RuntimeError("this plug-in fails when somebody rings")

    async def on_call_ended(self, *_: Any) -> None:
        raise RuntimeError("and when it is over")


def setup(session: CallSession) -> None:
    """As every plug-in is set up."""
    session.add_listener(Clumsy())
