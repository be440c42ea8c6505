"""Situations by their names in the configuration."""

from __future__ import annotations

import pytest

from appliance.model import Situation
from appliance.panel.situations import parse_situation


def test_ringing_is_both_ways() -> None:
    assert parse_situation("ringing") == {Situation.RINGING_IN, Situation.RINGING_OUT}


@pytest.mark.parametrize("situation", Situation)
def test_every_situation_goes_by_its_own_name(situation: Situation) -> None:
    assert parse_situation(situation.value) == {situation}


def test_an_unknown_one_is_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match='"ringin" is no situation; did you mean ringing'):
        parse_situation("ringin")
    with pytest.raises(ValueError, match="is no situation: ringing, ringing_in, ringing_out"):
        parse_situation("")
