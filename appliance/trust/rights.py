"""Which right a contact needs for which command, where it is given from outside and signed."""

from __future__ import annotations

from appliance.model import Right

RIGHT_OF = {"unlock": Right.UNLOCK}
"""What is said of a command here; for all others see `right_for`."""


def right_for(command: str) -> Right:
    """The right that the signed command of that name needs.

    A command acts as if somebody at the device had given it: it can open camera and microphone, have
    anybody called, let in and put out. So all but `unlock` is for who may moderate.
    """
    return RIGHT_OF.get(command, Right.MODERATE)
