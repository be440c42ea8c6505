"""The trial of what was just updated: good is what is ready, and in which nothing is worse than before.

It holds for one start. Where this program does not come to its end, or cannot even be started, systemd
restarts the machine (FailureAction=, and a timer that needs no Python); whatever restarts it, the old slot
is booted then. Why it is left is written down first, for the old slot to tell, and a call is waited for.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping

from appliance.service.journal import without_secrets
from appliance.updating import installing, quiet, rauc, slots, wellness
from appliance.whole_file import write_whole

log = logging.getLogger(__name__)

LIMIT_S = 300.0
"""A device that was without broker for minutes before it was restarted has this long to find it again."""

CALL_S = 300.0
"""So long is the end of a call waited for, where what runs is left: one that hangs has none."""

MOST = 500
"""Characters of why it was left: a line, which the handler tells."""

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


def undergo(say: Say, look: Callable[[], Mapping[str, str]] | None = None) -> bool:
    """Judge what runs, and have RAUC keep or leave it; whether it is kept. If not, nobody is in a call."""
    noted = installing.before()
    limit_s = float(os.environ.get("APPLIANCE_TRIAL_S", LIMIT_S))
    try:
        wrong = judge(
            {} if noted is None else noted.troubles, look or wellness.troubles, limit_s=limit_s
        )
        if not wrong:
            rauc.mark_good()
    except Exception as error:  # whatever is wrong with its judge: it is left as any other
        wrong = {} if _is_kept() else {"judge": str(error) or repr(error)}
    if wrong:
        _leave(wrong, say)
        return False
    say("it is good: it is booted from now on")
    return True


def _is_kept() -> bool:
    """Whether it has been marked already: who was to say so may have come to no end behind that."""
    try:
        return not slots.status().trial
    except slots.NoSlots:
        return False


def _leave(wrong: Mapping[str, str], say: Say) -> None:
    for name, why in wrong.items():
        log.warning("worse than before: %s: %s", name, why)
    text = " ".join("; ".join(f"{name}: {why}" for name, why in wrong.items()).split())
    note = f"{without_secrets(text)[:MOST]}\n"
    try:
        write_whole(installing.DATA / installing.LEFT, note.encode("utf-8", "replace"))
    except OSError as error:
        log.warning("why it is left is not noted: %s", error)
    try:
        rauc.mark_bad()
    except rauc.CannotUpdate as error:  # left it is all the same: nothing has found it good
        log.warning("%s", error)
    quiet.until_quiet(say, quiet.talking, limit_s=CALL_S)
    say("it is left: this device restarts into what it had")
