"""The trial of what was just updated: good is what is ready, and in which nothing is worse than before.

It holds for one start. Where this program does not come to its end, or cannot even be started, systemd
restarts the machine (FailureAction=, and a timer that needs no Python); whatever restarts it, the old slot
is booted then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from appliance.updating import installing, rauc, wellness

LIMIT_S = 300.0
"""A device that was without broker for minutes before it was restarted has this long to find it again."""

LOOK_S = 5.0
GOOD_LOOKS = 2
"""So often in a row: who is well once may be about to fall over."""

Say = Callable[[str], None]


def worse(now: Mapping[str, str], before: Mapping[str, str]) -> Mapping[str, str]:
    """What does not work now and did before; that nothing runs is always worse."""
    return {
        name: why for name, why in now.items() if name not in before or name == wellness.NOT_READY
    }


def judge(
    before: Mapping[str, str],
    look: Callable[[], Mapping[str, str]] = wellness.troubles,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    limit_s: float | None = None,
) -> Mapping[str, str]:
    """Look until nothing is worse, twice in a row, or the time is over; what was worse at last."""
    until = clock() + (LIMIT_S if limit_s is None else limit_s)
    good = 0
    while True:
        wrong = worse(look(), before)
        good = 0 if wrong else good + 1
        if good == GOOD_LOOKS or clock() >= until:
            return wrong
        sleep(LOOK_S)


def undergo(say: Say, look: Callable[[], Mapping[str, str]] = wellness.troubles) -> bool:
    """Judge what runs, and have RAUC keep it or leave it; whether it is kept. Raises CannotUpdate."""
    noted = installing.before()
    limit_s = float(os.environ.get("APPLIANCE_TRIAL_S", LIMIT_S))
    wrong = judge({} if noted is None else noted.troubles, look, limit_s=limit_s)
    if not wrong:
        rauc.mark_good()
        say("it is good: it is booted from now on")
        return True
    for name, why in wrong.items():
        say(f"worse than before: {name}: {why}")
    rauc.mark_bad()
    say("it is left: this device restarts into what it had")
    return False
