"""What any board does, whatever its pins are: a bench that has `Wires` runs these bodies.

A bench is a subclass with a fixture `wires`; see test_board.py for mock pins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from appliance import config
from appliance.calls.effects import LightPrivacy, PlaySound, PulseRelay, Sound
from appliance.calls.inputs import (
    ButtonGestured,
    ButtonPressed,
    ButtonStuck,
    InputSwitched,
    RelayChanged,
)
from appliance.model import Gesture, Situation
from appliance.panel.board import Board
from appliance.panel.buttons import Button
from tests.panel.inbox import Inbox
from tests.panel.wires import Film, Run, Wires, lit_share, until

BUTTON, LED, DOOR, GONG, SENSOR, PRIVACY = 17, 27, 22, 23, 24, 25
CALL = config.Button(pin=BUTTON, press="call", double_press="answer", bounce_ms=50)
DARK = {situation.value: "off" for situation in Situation}

FINGER_S = 0.08
"""How long a quick finger rests on a button, and longer than a contact chatters here."""
TWICE_S = 0.38
"""Whoever has touched it twice by then, and let go for a finger's time, was quick enough by far."""
TRIES = 20

LEDS = (LED, DOOR, GONG, SENSOR, PRIVACY)
SHAPES: tuple[dict[str, Sequence[Run]], ...] = (
    {
        "slow_blink": ((True, 1.0), (False, 1.0)),
        "blink": ((True, 0.5), (False, 0.5)),
        "fast_blink": ((True, 0.125), (False, 0.125)),
        "pulse": ((False, 1.0), (True, 1.0)),
    },
    {
        "double_blink": ((False, 1.05), (True, 0.15), (False, 0.15), (True, 0.15), (False, 1.05)),
        "flash": ((True, 0.1), (False, 2.9)),
        "wink": ((True, 1.9), (False, 0.1)),
        "count": ((False, 2.4), (True, 0.3), (False, 0.3), (True, 0.3), (False, 2.4)),
    },
)
"""How long an LED that is lit or dark is so, in seconds: one cycle of each pattern that changes.

Of one whose blinks are counted also how it is dark before: there is none too many.
"""

Build = Callable[..., Board]


class BoardContract:
    """The panel at the ends of its wires."""

    late_s = 60.0
    """How much longer than it is to be a pulse may seem: nobody knows where a busy computer plays this."""

    @pytest.fixture
    async def inbox(self) -> Inbox:
        return Inbox()

    @pytest.fixture
    def board(self, wires: Wires, inbox: Inbox) -> Build:
        """A board with the given sections, and those alone."""

        def build(**sections: Any) -> Board:
            parts = {"buttons": {}, "leds": {}, "relays": {}, "inputs": {}} | sections
            parts.setdefault("panel", config.Panel())
            return Board("pi", post=inbox.post, factory=wires.factory, **parts)

        return build

    # -------------------- buttons

    async def test_a_finger_is_told_at_its_first_edge_and_when_it_is_clear_what_it_did(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        async with board(buttons={"call": CALL}):
            wires.to_ground(BUTTON)
            await inbox.has(ButtonPressed("call"))
            wires.let_go(BUTTON)
            await inbox.has(ButtonGestured("call", Gesture.PRESS))
        assert inbox.all == [ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS)]

    async def test_a_contact_that_chatters_is_pressed_once(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        """Were a bounce taken for a touch, this would be a double press."""
        async with board(buttons={"call": replace(CALL, bounce_ms=200)}):
            for _ in range(20):
                wires.to_ground(BUTTON)
                wires.let_go(BUTTON)
            wires.to_ground(BUTTON)
            await inbox.has(ButtonPressed("call"))
            for _ in range(20):
                wires.let_go(BUTTON)
                wires.to_ground(BUTTON)
            wires.let_go(BUTTON)
            await inbox.has(ButtonGestured("call", Gesture.PRESS))
        assert inbox.all == [ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS)]

    async def test_a_second_touch_at_once_makes_a_double_press(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        """A finger of a busy machine may be too slow for it; how slow it was is measured at the wire."""
        async with board(buttons={"call": CALL}):
            for _ in range(TRIES):
                inbox.all.clear()
                began_s = time.monotonic()
                for _ in range(2):
                    wires.to_ground(BUTTON)
                    await asyncio.sleep(FINGER_S)
                    wires.let_go(BUTTON)
                    await asyncio.sleep(FINGER_S)
                took_s = time.monotonic() - began_s
                await inbox.until(lambda: bool(inbox.of(ButtonGestured)))
                if took_s < TWICE_S:
                    break
            else:
                pytest.skip("this machine is too busy for a finger that touches twice")
        assert inbox.of(ButtonPressed) == [ButtonPressed("call")] * 2
        assert inbox.of(ButtonGestured) == [ButtonGestured("call", Gesture.DOUBLE_PRESS)]

    async def test_a_finger_that_stays_holds_and_is_told_while_it_does(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        section = config.Button(pin=BUTTON, press="call", hold="leave", hold_s=0.3, bounce_ms=50)
        async with board(buttons={"call": section}):
            wires.to_ground(BUTTON)
            await inbox.has(ButtonGestured("call", Gesture.HOLD))
            wires.let_go(BUTTON)
            await asyncio.sleep(2 * FINGER_S)  # until the contact is believed open
        assert inbox.all == [ButtonPressed("call"), ButtonGestured("call", Gesture.HOLD)]

    async def test_a_line_that_stays_at_ground_is_told_until_it_is_let_go(
        self, wires: Wires, inbox: Inbox
    ) -> None:
        button = Button(
            "call",
            CALL,
            factory=wires.factory,
            post=inbox.post,
            acknowledge=lambda _: None,
            stuck_s=0.3,
        )
        wires.to_ground(BUTTON)
        await inbox.has(ButtonStuck("call", stuck=True))
        wires.let_go(BUTTON)
        await inbox.has(ButtonStuck("call", stuck=False))
        button.release()
        assert inbox.of(ButtonPressed) == [ButtonPressed("call")]
        assert len(inbox.of(ButtonStuck)) == 2

    async def test_a_button_that_is_held_from_the_start_was_not_pressed(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        wires.to_ground(BUTTON)
        at_once = config.Button(pin=BUTTON, press="call", bounce_ms=1)
        async with board(buttons={"call": at_once}):
            wires.let_go(BUTTON)
            await asyncio.sleep(0.05)  # until the contact is believed open
            assert inbox.all == []
            wires.to_ground(BUTTON)
            await inbox.has(ButtonGestured("call", Gesture.PRESS))
        wires.let_go(BUTTON)

    # -------------------- LEDs

    async def test_an_led_shows_the_situation(self, wires: Wires, board: Build) -> None:
        led = config.Led(pin=LED, patterns=DARK | {"in_call": "on", "ringing_out": "fast_blink"})
        async with board(leds={"status": led}) as panel:
            panel.show(Situation.IDLE)
            assert not wires.high(LED)
            panel.show(Situation.IN_CALL)
            assert wires.high(LED)
            assert panel.status()["leds"] == {"status": {"pattern": "on", "lit": True}}
            panel.show(Situation.RINGING_OUT)
            assert wires.high(LED), "a blinking begins with light"
            await until(lambda: not wires.high(LED))
            await until(lambda: bool(wires.high(LED)))

    @pytest.mark.parametrize("shapes", SHAPES)
    async def test_an_led_shows_each_pattern(
        self, wires: Wires, board: Build, shapes: Mapping[str, Sequence[Run]]
    ) -> None:
        """Several at once, each until a whole cycle was seen of it: a busy machine shows some late."""
        leds = {
            shape: config.Led(pin=pin, patterns=DARK | {"error": shape})
            for pin, shape in zip(LEDS, shapes, strict=False)
        }
        async with board(leds=leds) as panel:
            films = {shape: Film(wires, leds[shape].pin) for shape in shapes}
            panel.show(Situation.ERROR, (2,))
            await until(
                lambda: not [name for name in shapes if not films[name].shows(shapes[name])],
                every_s=0.01,  # a fifth of what a time may differ by
            )
            told = {name: led["pattern"] for name, led in panel.status()["leds"].items()}
        assert told == {shape: "count 2" if shape == "count" else shape for shape in shapes}

    async def test_an_led_that_is_steady_does_not_change(self, wires: Wires, board: Build) -> None:
        steady = {"on": True, "off": False, "dim": False}
        leds = {
            shape: config.Led(pin=pin, patterns=DARK | {"error": shape})
            for pin, shape in zip(LEDS, steady, strict=False)
        }
        async with board(leds=leds) as panel:
            panel.show(Situation.ERROR, (2,))
            films = {shape: Film(wires, leds[shape].pin) for shape in steady}
            end_s = time.monotonic() + 2.2  # the longest that a pattern stays as it is, but for two
            while time.monotonic() < end_s:
                for film in films.values():
                    film.look()
                await asyncio.sleep(0.01)
        assert {shape: film.levels for shape, film in films.items()} == {
            shape: [lit] for shape, lit in steady.items()
        }

    async def test_an_led_answers_the_finger(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        """Before anything is posted: so what answers cannot depend on what the core makes of it."""
        led = config.Led(pin=LED, patterns=DARK)
        async with board(buttons={"call": CALL}, leds={"status": led}) as panel:
            lit: list[bool] = []
            inbox.listen(lambda _: lit.append(bool(panel.status()["leds"]["status"]["lit"])))
            wires.to_ground(BUTTON)
            await inbox.has(ButtonPressed("call"))
            assert lit == [True]
            assert wires.high(LED)
            await until(lambda: not wires.high(LED))
            wires.let_go(BUTTON)

    async def test_an_led_may_be_lit_by_a_low_level(self, wires: Wires, board: Build) -> None:
        led = config.Led(pin=LED, active_high=False, patterns=DARK | {"in_call": "on"})
        async with board(leds={"status": led}) as panel:
            assert wires.high(LED)
            panel.show(Situation.IN_CALL)
            assert wires.high(LED) is False
            assert panel.status()["leds"]["status"]["lit"] is True

    async def test_an_led_is_dimmed(self, wires: Wires, board: Build) -> None:
        led = config.Led(pin=LED, kind="pwm", patterns=DARK | {"in_call": "on", "error": "dim"})
        async with board(leds={"status": led}) as panel:
            assert await lit_share(wires, LED) == 0
            panel.show(Situation.IN_CALL)
            assert await lit_share(wires, LED) > 0.9
            panel.show(Situation.ERROR, (2,))
            assert 0 < await lit_share(wires, LED) < 0.5, "a tenth, where time is kept well"
            assert panel.status()["leds"]["status"]["lit"] is True

    async def test_an_led_has_a_colour(self, wires: Wires, board: Build) -> None:
        red, green, blue = LED, DOOR, GONG
        led = config.Led(pin=(red, green, blue), kind="rgb", patterns=DARK | {"in_call": "#ff8000"})
        async with board(leds={"status": led}) as panel:
            panel.show(Situation.IN_CALL)
            assert await lit_share(wires, red) > 0.9
            assert 0.2 < await lit_share(wires, green) < 0.8
            assert await lit_share(wires, blue) == 0

    async def test_an_led_counts_what_is_wrong(self, wires: Wires, board: Build) -> None:
        led = config.Led(pin=LED, patterns=DARK | {"error": "count"})
        async with board(leds={"status": led}) as panel:
            panel.show(Situation.ERROR, (2,))
            for _ in range(2):
                await until(lambda: bool(wires.high(LED)))
                await until(lambda: not wires.high(LED))
            assert panel.status()["leds"]["status"]["pattern"] == "count 2"

    async def test_a_privacy_led_follows_nothing_but_the_devices(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        leds = {"privacy": config.Led(pin=PRIVACY, privacy=True)}
        async with board(buttons={"call": CALL}, leds=leds) as panel:
            panel.show(Situation.IN_CALL)
            wires.to_ground(BUTTON)
            await inbox.has(ButtonPressed("call"))
            wires.let_go(BUTTON)
            assert not wires.high(PRIVACY)
            assert panel.capture_forbidden() is not None
            panel.perform(LightPrivacy(on=True))
            assert wires.high(PRIVACY)
            assert panel.capture_forbidden() is None
            panel.show(Situation.IDLE)
            assert wires.high(PRIVACY)
            panel.perform(LightPrivacy(on=False))
            assert wires.high(PRIVACY) is False
            panel.perform(LightPrivacy(on=True))
        assert not wires.high(PRIVACY)

    async def test_a_buzzer_plays_the_chime(self, wires: Wires, board: Build) -> None:
        async with board(panel=config.Panel(buzzer=LED)) as panel:
            panel.perform(PlaySound(Sound.CHIME))
            assert panel.status()["chime"] == "playing"
            await until(lambda: bool(wires.high(LED)))
            await until(lambda: panel.status()["chime"] == "silent")
            await until(lambda: not wires.high(LED))

    # -------------------- relays

    async def test_a_pulse_energizes_at_once_and_ends(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        async with board(relays={"door": config.Relay(pin=DOOR, pulse_s=0.1)}) as panel:
            assert wires.high(DOOR) is False
            began_s = time.monotonic()
            panel.perform(PulseRelay("door"))
            assert wires.high(DOOR) is True
            assert panel.status()["relays"] == {"door": "energized"}
            await inbox.has(RelayChanged("door", energized=False))
            assert 0.1 <= time.monotonic() - began_s < 0.1 + self.late_s
            assert wires.high(DOOR) is False
            assert panel.status()["relays"] == {"door": "released"}
        assert inbox.all == [
            RelayChanged("door", energized=True),
            RelayChanged("door", energized=False),
        ]

    async def test_a_relay_that_is_wired_low_active_rests_high(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        low = config.Relay(pin=DOOR, pulse_s=0.1, active_high=False)
        async with board(relays={"door": low}) as panel:
            assert wires.high(DOOR) is True
            panel.perform(PulseRelay("door"))
            assert wires.high(DOOR) is False
            await inbox.has(RelayChanged("door", energized=False))
            assert wires.high(DOOR) is True

    async def test_a_relay_is_released_while_the_loop_stands_still(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        async with board(relays={"door": config.Relay(pin=DOOR, pulse_s=0.1)}) as panel:
            panel.perform(PulseRelay("door"))
            inbox.block_until(RelayChanged("door", energized=False))
            assert wires.high(DOOR) is False

    async def test_closing_the_board_releases_the_door(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        async with board(relays={"door": config.Relay(pin=DOOR, pulse_s=60)}) as panel:
            panel.perform(PulseRelay("door"))
            assert wires.high(DOOR) is True
        assert not wires.high(DOOR)
        assert inbox.all[-1] == RelayChanged("door", energized=False)

    async def test_a_gong_sounds_while_it_rings(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        async with board(relays={"gong": config.Relay(pin=GONG, on="ringing")}) as panel:
            panel.show(Situation.RINGING_OUT)
            assert wires.high(GONG) is True
            panel.show(Situation.RINGING_IN)
            panel.show(Situation.IN_CALL)
            await inbox.has(RelayChanged("gong", energized=False))
            assert wires.high(GONG) is False
        assert len(inbox.all) == 2, "ringing the other way is ringing still"

    async def test_a_lamp_is_lit_while_somebody_moves_and_a_little_longer(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        lamp = config.Relay(pin=GONG, on="motion", pulse_s=0.05)
        eye = config.InputPin(pin=SENSOR, kind="motion", pull="up", active_high=False)
        async with board(relays={"lamp": lamp}, inputs={"porch": eye}) as panel:
            wires.to_ground(SENSOR)
            await inbox.has(InputSwitched("porch", "motion", on=True))
            assert wires.high(GONG) is True
            panel.show(Situation.IDLE)
            assert wires.high(GONG) is True
            wires.let_go(SENSOR)
            await inbox.has(InputSwitched("porch", "motion", on=False))
            await inbox.has(RelayChanged("lamp", energized=False))
            assert wires.high(GONG) is False

    # -------------------- inputs

    async def test_an_exit_button_is_on_while_it_is_pressed(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        section = config.InputPin(pin=SENSOR, kind="exit")
        async with board(inputs={"hall": section}) as panel:
            assert panel.status()["inputs"] == {"hall": "off"}
            wires.to_ground(SENSOR)
            await inbox.has(InputSwitched("hall", "exit", on=True))
            assert panel.status()["inputs"] == {"hall": "on"}
            wires.let_go(SENSOR)
            await inbox.has(InputSwitched("hall", "exit", on=False))

    async def test_a_door_contact_is_on_while_the_door_is_open(
        self, wires: Wires, inbox: Inbox, board: Build
    ) -> None:
        section = config.InputPin(pin=SENSOR, kind="door_contact")
        async with board(inputs={"front": section}) as panel:
            assert panel.status()["inputs"] == {"front": "on"}, "nothing is connected: open"
            assert inbox.all == [InputSwitched("front", "door_contact", on=True)], "told at once"
            wires.to_ground(SENSOR)
            await inbox.has(InputSwitched("front", "door_contact", on=False))
            wires.let_go(SENSOR)
            await inbox.has(InputSwitched("front", "door_contact", on=True))
