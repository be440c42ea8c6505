"""Rights for commands from outside."""

from __future__ import annotations

from appliance.commands import COMMANDS
from appliance.model import Right
from appliance.trust.rights import RIGHT_OF, right_for


def test_the_door_is_for_who_may_open_it_and_all_else_for_who_may_moderate() -> None:
    assert right_for("unlock") is Right.UNLOCK
    others = {right_for(name) for name in COMMANDS if name != "unlock"}
    assert others == {Right.MODERATE}
    assert RIGHT_OF.keys() <= COMMANDS.keys()
