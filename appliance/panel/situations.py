"""The names of situations in the configuration: the vocabulary's, and `ringing` for both ways."""

from __future__ import annotations

from appliance.errors import did_you_mean
from appliance.model import Situation

_NAMES: dict[str, frozenset[Situation]] = {
    "ringing": frozenset({Situation.RINGING_IN, Situation.RINGING_OUT}),
    **{situation.value: frozenset({situation}) for situation in Situation},
}


def parse_situation(text: str) -> frozenset[Situation]:
    """The situations that `text` stands for; ValueError with a sentence if it is none."""
    try:
        return _NAMES[text]
    except KeyError:
        near = did_you_mean(text, _NAMES) or f": {', '.join(_NAMES)}"
        raise ValueError(f'"{text}" is no situation{near}') from None
