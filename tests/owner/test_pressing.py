"""Which button is where, as it is pressed and named: the dialogue itself is test_setup's."""

from __future__ import annotations

from appliance.config import Button, Config
from appliance.owner.pressing import Buttons

CONFIG = Config(buttons={"call": Button(pin="GPIO17"), "unlock": Button(pin="GPIO27")})


def test_one_that_was_named_by_mistake_goes_home_when_it_is_pressed_there() -> None:
    """A new button, and Enter for the name that was offered."""
    buttons = Buttons(CONFIG)
    assert buttons.likely(22) == "call"
    assert buttons.put("call", 22) == "It was at GPIO17 until now."
    assert buttons.wrong(22)("light") == (
        "GPIO22 is the button call, which is to be somewhere: press it there first"
    )
    assert buttons.wrong(17)("call") is None
    assert buttons.put("call", 17) == "It was at GPIO22 until now."
    assert buttons.wrong(22)("light") is None
    buttons.put("light", 22)
    assert [*buttons.changed()] == [("light", "GPIO22")]


def test_a_name_is_not_given_to_two() -> None:
    buttons = Buttons(CONFIG)
    buttons.put("call", 17)
    told = buttons.wrong(22)("call")
    assert told == "call is a button already: you have pressed it at GPIO17"


def test_two_that_are_crossed_change_places() -> None:
    buttons = Buttons(CONFIG)
    buttons.put("call", 27)
    buttons.put("unlock", 17)
    assert sorted(buttons.changed()) == [("call", "GPIO27"), ("unlock", "GPIO17")]
