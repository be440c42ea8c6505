"""Do not disturb: by command, by button, and in the quiet hours; nobody is rung."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from appliance.calls.effects import PlaySound, Sound, StartTimer, StopSound, StopTimer
from appliance.calls.inputs import Timer
from appliance.calls.state import DoNotDisturb
from appliance.calls.turn import Turn
from appliance.commands import SetDoNotDisturb
from appliance.errors import Refused
from appliance.events import DoNotDisturbChanged

HOURS, UNTIL = Timer("quiet_hours"), Timer("do_not_disturb")
LAST_YEAR = 9998
LOOK_S = 60.0
"""The clock may be set and summer time may begin, so the next change is looked for each minute."""


def set_quiet(turn: Turn, command: SetDoNotDisturb) -> None:
    """Switch by command: on until its time, or for good; off, in quiet hours, until these are over."""
    if not command.on:
        if command.until is not None:
            raise Refused("bad_until", "until is for switching on")
        _switch(turn, None)
        return
    until = None if command.until is None else _until(turn, command.until)
    _switch(turn, DoNotDisturb(until))


def _until(turn: Turn, text: str) -> datetime:
    """A time of RFC 3339, or `HH:MM` of today or tomorrow."""
    now = turn.now.at_home
    try:
        hour, minute = (int(part) for part in text.split(":")) if len(text) == 5 else (-1, -1)
        if hour >= 0:
            at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return at if at > now else at + timedelta(days=1)
        at = datetime.fromisoformat(text)
    except ValueError:
        sentence = f'until is a time like 22:30 or 2026-11-21T22:30:00Z, and "{text[:40]}" is not'
        raise Refused("bad_until", sentence) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=now.tzinfo)
    if at <= now:
        raise Refused("bad_until", f"{text} is over already")
    if at.year > LAST_YEAR:  # in another zone it may be in a year that does not exist
        raise Refused(
            "bad_until", f"{text} is later than anybody means; without until it is for good"
        )
    return at


def restored(turn: Turn) -> None:
    """The core begins to run: what was switched before the restart still holds, if its time does."""
    quiet = turn.state.do_not_disturb
    over = quiet is not None and quiet.until is not None and quiet.until <= turn.now.utc
    scheduled = quiet is not None and quiet.scheduled  # the configuration may have others by now
    if over or scheduled:
        turn.set(do_not_disturb=None)
    elif quiet is not None and quiet.until is not None:
        turn.do(StartTimer(UNTIL, _seconds_to(turn, quiet.until)))
    look_at_clock(turn)


def look_at_clock(turn: Turn) -> None:
    """Switch as the quiet hours want it, where they have begun or ended since the last look."""
    hours = turn.policy.settings.quiet_hours
    if not hours:
        return
    now = turn.now.at_home
    inside, change = _quiet_at(hours, now)
    quiet = turn.state.do_not_disturb
    if inside and quiet is None and not turn.state.quiet_overruled:
        _switch(turn, DoNotDisturb(change, scheduled=True), by_clock=True)
    elif not inside and quiet is not None and quiet.scheduled:
        _switch(turn, None, by_clock=True)
    if not inside:
        turn.set(quiet_overruled=False)
    turn.do(StartTimer(HOURS, min(LOOK_S, max(1.0, (change - now).total_seconds()))))


def _quiet_at(hours: str, now: datetime) -> tuple[bool, datetime]:
    """Whether `now` lies in the hours (`22:00-07:00`), and when that changes next."""
    begin, end = (_today(now, text) for text in hours.split("-"))
    day = timedelta(days=1)
    if begin == end:
        return False, begin + day
    inside = begin <= now < end if begin < end else now >= begin or now < end
    change = end if inside else begin
    return inside, change if change > now else change + day


def _today(now: datetime, text: str) -> datetime:
    hour, minute = text.split(":")
    return now.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)


def until_over(turn: Turn) -> None:
    """The time of a command is over."""
    quiet = turn.state.do_not_disturb
    if quiet is None or quiet.until is None:
        return
    if turn.now.utc < quiet.until:  # the clock was set back meanwhile
        turn.do(StartTimer(UNTIL, _seconds_to(turn, quiet.until)))
    elif not quiet.scheduled:
        _switch(turn, None, by_clock=True)


def _switch(turn: Turn, quiet: DoNotDisturb | None, *, by_clock: bool = False) -> None:
    before = turn.state.do_not_disturb
    if before == quiet:
        return
    turn.set(do_not_disturb=quiet)
    if not by_clock:
        turn.set(quiet_overruled=quiet is None and before is not None and before.scheduled)
    turn.do(StopTimer(UNTIL))
    if quiet is not None and quiet.until is not None and not quiet.scheduled:
        turn.do(StartTimer(UNTIL, _seconds_to(turn, quiet.until)))
    if turn.state.incoming is not None:  # who sees it may answer it all the same
        turn.do((StopSound if quiet else PlaySound)(Sound.RINGTONE))
    until = quiet.until if quiet else None
    text = until.astimezone(UTC).isoformat().replace("+00:00", "Z") if until else None
    turn.emit(DoNotDisturbChanged(quiet is not None, text))


def _seconds_to(turn: Turn, at: datetime) -> float:
    return min(LOOK_S, max(0.1, (at - turn.now.utc).total_seconds()))
