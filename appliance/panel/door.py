"""The relays: the door's strike, energized for a pulse, and what follows a situation, like a gong.

Laws: a relay is released `pulse_s` after its last pulse even if the event loop stands still, for a
thread of its own sees to it; it is released when the board closes; and none that follows a situation
stays on longer than `MAX_ON_S`. What is reported is what was read back from the pin.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Literal

from gpiozero import OutputDevice

from appliance import config
from appliance.calls.inputs import FaultCleared, FaultReported, Input, RelayChanged
from appliance.model import Situation
from appliance.panel.pins import PinFactory
from appliance.panel.situations import parse_situation

log = logging.getLogger(__name__)

MAX_ON_S = 120.0
"""The longest that a situation, or who moves, keeps a relay energized: coils grow hot, gongs a nuisance."""

MOTION = "motion"
"""As the situation of a relay: while a motion sensor sees somebody, and `pulse_s` longer."""

RelayState = Literal["released", "energized"]

_RETRY_S = 0.5
"""How soon a release that failed is tried again."""


class Relay:
    """One relay, and the thread that releases it."""

    def __init__(
        self,
        name: str,
        section: config.Relay,
        *,
        factory: PinFactory,
        post: Callable[[Input], None],
        max_on_s: float = MAX_ON_S,
    ) -> None:
        """Claim the pin, released. Raises what gpiozero raises, or ValueError for `on`."""
        self.name = name
        self._pulse_s, self._max_on_s = section.pulse_s, max_on_s
        self._on = section.on
        follows = section.on not in (None, MOTION)
        self._situations = parse_situation(section.on or "") if follows else frozenset()
        self._holds = False
        self._post = post
        self._device = OutputDevice(
            section.pin,
            active_high=section.active_high,
            initial_value=False,
            pin_factory=factory,
        )
        self._told = self.energized
        self._complained = False
        self._release_at_s: float | None = None
        self._closing = False
        self._turn = threading.Condition()
        self._thread = threading.Thread(target=self._keep_time, name=f"relay {name}", daemon=True)
        self._thread.start()

    @property
    def energized(self) -> bool:
        """What the pin says at this moment."""
        return bool(self._device.is_active)

    @property
    def state(self) -> RelayState:
        """The same in a word."""
        return "energized" if self.energized else "released"

    @property
    def follows(self) -> bool:
        """Whether it follows something, so that nobody may pulse it."""
        return self._on is not None

    def held_up_s(self) -> float:
        """For how long it has been due to be released, which its thread has not done; any thread."""
        due_s = self._release_at_s
        if self._closing:
            return 0.0
        if not self._thread.is_alive():
            return math.inf
        return 0.0 if due_s is None else max(0.0, time.monotonic() - due_s)

    def pulse(self) -> None:
        """Energize now, and until `pulse_s` from now. Each that fails is told: somebody waits for it."""
        with self._turn:
            self._energize_for(self._pulse_s, tell=True)

    def show(self, situation: Situation) -> None:
        """Follow the situation, if it is one that this relay is for."""
        if self._situations:
            self._hold(situation in self._situations, linger_s=0)

    def sense(self, *, motion: bool) -> None:
        """Follow whether somebody moves, if this relay is for that."""
        if self._on == MOTION:
            self._hold(motion, linger_s=self._pulse_s)

    def _hold(self, holds: bool, *, linger_s: float) -> None:
        if holds is self._holds:
            return
        self._holds = holds
        with self._turn:
            if holds:
                self._energize_for(self._max_on_s)
            else:
                self._release_at_s = time.monotonic() + linger_s
                self._turn.notify()

    def release(self) -> None:
        """Release the relay for good, end its thread and give the pin back."""
        with self._turn:
            self._closing = True
            self._turn.notify()
        self._thread.join()
        self._device.close()

    def _energize_for(self, length_s: float, *, tell: bool = False) -> None:
        """Set the end first, so that there is one whatever happens next."""
        self._release_at_s = time.monotonic() + length_s
        self._turn.notify()
        self._write(energized=True, tell=tell)

    def _keep_time(self) -> None:
        """The thread: wait for the end of what is energized, and release it."""
        with self._turn:
            while not self._closing:
                now_s = time.monotonic()
                if self._release_at_s is None:
                    self._turn.wait()
                elif now_s < self._release_at_s:
                    self._turn.wait(self._release_at_s - now_s)
                else:
                    if self._holds:
                        log.warning("The relay %s has been on for too long", self.name)
                    released = self._write(energized=False)
                    self._release_at_s = None if released else now_s + _RETRY_S
            self._write(energized=False)

    def _write(self, *, energized: bool, tell: bool = False) -> bool:
        """Move the relay and report what its pin then says; whether that is what was wanted.

        That it is not is told once until it works, or each time where somebody waits (`tell`).
        """
        try:
            self._device.value = energized
            follows = self.energized is energized
            fault = "the pin stays where it was"
        except Exception as error:
            # drivers raise what they like; a release is tried again
            follows, fault = False, str(error) or type(error).__name__
        if follows and self._told is not energized:
            self._told = energized
            self._post(RelayChanged(self.name, energized))
        if not follows and (tell or not self._complained):
            wish = "energized" if energized else "released"
            self._post(
                FaultReported(
                    "relay_failed",
                    f"The relay {self.name} cannot be {wish}: {fault}.",
                    where=f"relays.{self.name}",
                )
            )
        if follows and self._complained:
            self._post(FaultCleared(f"relays.{self.name}"))
        self._complained = not follows
        return follows
