"""The LED that tells of open devices: lit before they open, dark only once they are closed.

Law: with such an LED, `StartCapture` comes only while it is lit, and it goes dark only after the studio
said that microphone and camera are closed. That it really is lit is the panel's to see to, and the
studio asks it before it opens anything.
"""

from __future__ import annotations

from appliance.calls.effects import LightPrivacy, StartCapture
from appliance.calls.inputs import CaptureClosed, PrivacyLost
from appliance.calls.turn import Turn


def light(turn: Turn) -> None:
    """Devices are about to be opened."""
    if turn.policy.privacy:
        turn.do(LightPrivacy(on=True))


def closed(turn: Turn, report: CaptureClosed) -> None:
    """Nothing is open any more, unless somebody has wanted it again since."""
    is_latest = report.number == turn.state.closings
    wanted = turn.state.films or turn.state.listens
    if turn.policy.privacy and is_latest and not wanted:
        turn.do(LightPrivacy(on=False))


def lost(turn: Turn, _: PrivacyLost) -> None:
    """It is dark: what is open closes, and is tried again as what has failed."""
    films, listens = turn.state.films, turn.state.listens
    if films or listens:
        turn.do(StartCapture(video=films, audio=listens))
