"""The firmware's flags, in words."""

from __future__ import annotations

from appliance.service.throttling import HEAT, LIMITED, SINCE_START, THROTTLED, WEAK, words


def test_each_flag_has_words_of_its_own() -> None:
    said = [words(1 << bit) for bit in range(4)]
    assert all(said)
    assert len(set(said)) == 4
    assert words(WEAK | THROTTLED) == "its supply is too weak, the processor is throttled"
    assert HEAT & LIMITED


def test_what_was_is_not_what_is() -> None:
    assert words(0xF << SINCE_START) == ""
    assert words(0) == ""
