"""The whole panel on mock pins: the contract of every board, and what the simulated one does."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from gpiozero import Device

from appliance import config
from appliance.calls.effects import (
    LightPrivacy,
    PlaySound,
    PulseRelay,
    Sound,
    StopCapture,
    StopSound,
)
from appliance.calls.inputs import (
    ButtonGestured,
    ButtonPressed,
    FaultCleared,
    FaultReported,
    Input,
    InputSwitched,
    RelayChanged,
)
from appliance.errors import Refused
from appliance.model import Gesture, Notice, Situation
from appliance.panel import claims, pins, reaching
from appliance.panel.board import WATCH_S, Board
from appliance.panel.indicators import Indicator
from appliance.panel.patterns import patterns_for
from appliance.panel.status import PanelStatus
from tests.media.stranger import until
from tests.panel.contract import BoardContract
from tests.panel.inbox import Inbox
from tests.panel.wires import MockWires, Wires

CALL = config.Button(pin="GPIO17", press="call", double_press="unlock", hold="leave")
DOOR = config.Relay(pin=24)
LAMP = config.Led(pin="GPIO27", kind="pwm")

Simulate = Callable[..., Board]


class TestOnMockPins(BoardContract):
    @pytest.fixture
    def wires(self) -> Wires:
        return MockWires()


@pytest.fixture
async def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def simulated(inbox: Inbox) -> Simulate:
    """A simulated board with the given sections, and those alone."""

    def build(**sections: Any) -> Board:
        parts = {"buttons": {}, "leds": {}, "relays": {}, "inputs": {}} | sections
        parts.setdefault("panel", config.Panel())
        return Board("simulated", post=inbox.post, **parts)

    return build


# -------------------- a finger on the simulated board


@pytest.mark.parametrize("gesture", Gesture)
async def test_a_simulated_finger_does_what_is_asked(
    gesture: Gesture, simulated: Simulate, inbox: Inbox
) -> None:
    async with simulated(buttons={"call": CALL}) as board:
        await board.press("call", gesture)
        assert inbox.of(ButtonGestured) == [ButtonGestured("call", gesture)]
        touches = 2 if gesture is Gesture.DOUBLE_PRESS else 1
        assert inbox.of(ButtonPressed) == [ButtonPressed("call")] * touches


async def test_two_callers_press_one_after_the_other(simulated: Simulate, inbox: Inbox) -> None:
    """With one finger moving two contacts at once, this would be a double press."""
    async with simulated(buttons={"call": CALL}) as board:
        await asyncio.gather(board.press("call"), board.press("call"))
    assert inbox.of(ButtonGestured) == [ButtonGestured("call", Gesture.PRESS)] * 2


async def test_a_press_that_is_given_up_lets_go_of_the_button(
    simulated: Simulate, inbox: Inbox
) -> None:
    async with simulated(buttons={"call": CALL}) as board:
        async with asyncio.TaskGroup() as tasks:
            holding = tasks.create_task(board.press("call", Gesture.HOLD))
            await inbox.has(ButtonPressed("call"))
            holding.cancel()
        await inbox.has(ButtonGestured("call", Gesture.PRESS))


async def test_pressing_what_is_not_there_is_refused(simulated: Simulate) -> None:
    async with simulated(buttons={"call": CALL}) as board:
        with pytest.raises(Refused, match='no button "cal"; did you mean call') as caught:
            await board.press("cal")
        assert caught.value.code == "unknown_button"


async def test_a_real_board_is_pressed_by_hand(inbox: Inbox) -> None:
    wires = MockWires()
    async with Board(
        "pi",
        panel=config.Panel(),
        buttons={"call": CALL},
        leds={},
        relays={},
        inputs={},
        post=inbox.post,
        factory=wires.factory,
    ) as board:
        with pytest.raises(Refused, match="pressed by hand") as caught:
            await board.press("call")
        assert caught.value.code == "not_simulated"
    assert inbox.all == []


async def test_the_led_that_answers_is_the_buttons_own_or_the_status_led(
    simulated: Simulate, inbox: Inbox
) -> None:
    """The LED that tells of the camera is not for that: it would tell what is not so."""
    dark = {situation.value: "off" for situation in Situation}
    names = ("status", "privacy", "bell")
    leds = {name: config.Led(pin=5 + at, patterns=dark) for at, name in enumerate(names)}
    buttons = {"call": CALL, "bell": config.Button(pin=22, press="call:user:alice")}
    lit: list[list[str]] = []

    async with simulated(buttons=buttons, leds=leds) as board:

        def look(it: Input) -> None:
            if isinstance(it, ButtonPressed):
                shown = board.status()["leds"]
                lit.append([name for name in names if shown[name]["lit"]])

        inbox.listen(look)
        await board.press("call")
        await board.press("bell")
    assert lit == [["status"], ["bell"]]


# -------------------- status


async def test_before_and_after_its_time_a_board_has_nothing_to_tell(
    simulated: Simulate, inbox: Inbox
) -> None:
    board = simulated(buttons={"call": CALL}, leds={"lamp": LAMP}, relays={"door": DOOR})
    quiet: dict[str, Any] = {"chime": "silent", "sounds": [], "notice": None}
    empty: dict[str, Any] = {"leds": {}, "relays": {}, "inputs": {}, **quiet}
    assert board.status() == empty
    async with board:
        board.perform(PlaySound(Sound.RINGTONE))
    unknown = {"leds": {"lamp": {"pattern": None, "lit": None}}, "relays": {"door": None}}
    assert board.status() == empty | unknown
    board.show(Situation.IN_CALL)
    board.perform(PulseRelay("door"))
    assert [fault.message for fault in inbox.of(FaultReported)] == [
        "The relay door has no working pin."
    ]
    with pytest.raises(Refused, match="no working pin"):
        await board.press("call")


async def test_the_status_is_read_from_the_pins(simulated: Simulate) -> None:
    async with simulated(
        buttons={"call": CALL},
        leds={"status": LAMP},
        relays={"door": config.Relay(pin=22)},
        inputs={
            "front": config.InputPin(pin=24, kind="door_contact"),
            "case": config.InputPin(pin=25, kind="tamper"),
            "hall": config.InputPin(pin=5, kind="exit"),
            "porch": config.InputPin(pin=6, kind="motion"),
        },
    ) as board:
        assert board.status() == {
            "leds": {"status": {"pattern": "dim", "lit": True}},
            "relays": {"door": "released"},
            "inputs": {"front": "off", "case": "off", "hall": "off", "porch": "off"},
            "chime": "silent",
            "sounds": [],
            "notice": None,
        }
        board.show(Situation.CONNECTING)
        board.perform(PulseRelay("door"))
        board.perform(PlaySound(Sound.RINGTONE))
        status = board.status()
        assert status["leds"]["status"]["pattern"] == "fast_blink"
        assert (status["relays"]["door"], status["chime"]) == ("energized", "playing")
        assert status["sounds"] == ["ringtone"]
        board.perform(StopSound(Sound.RINGTONE))
        assert board.status()["chime"] == "silent"


async def test_a_visitor_is_told_by_the_leds_whatever_the_situation(simulated: Simulate) -> None:
    async with simulated(leds={"status": LAMP}) as board:
        board.tell(Notice.DOOR_OPEN)
        assert board.status()["notice"] == "door_open"
        assert board.status()["leds"]["status"]["pattern"] == "fast_blink"
        board.show(Situation.IN_CALL)
        assert board.status()["leds"]["status"]["pattern"] == "fast_blink"
        board.tell(None)
        assert board.status()["notice"] is None
        assert board.status()["leds"]["status"]["pattern"] == "on"


async def test_a_watcher_is_told_of_each_change_until_the_board_closes(
    simulated: Simulate,
) -> None:
    seen: list[PanelStatus] = []
    first, last = asyncio.Event(), asyncio.Event()

    async def watch(board: Board) -> None:
        async with aclosing(board.watch()) as statuses:
            async for status in statuses:
                seen.append(status)
                first.set()
                if status["relays"]["door"] == "energized":
                    last.set()

    relays = {"door": config.Relay(pin=22, pulse_s=60)}
    async with asyncio.TaskGroup() as tasks, simulated(relays=relays) as board:
        tasks.create_task(watch(board))
        await first.wait()
        board.show(Situation.IDLE)
        board.perform(PulseRelay("door"))
        await last.wait()
    doors = [status["relays"]["door"] for status in seen]
    assert doors == ["released", "energized"]


async def test_a_watcher_is_not_told_faster_than_can_be_seen(simulated: Simulate) -> None:
    loop = asyncio.get_running_loop()
    seen: list[PanelStatus] = []

    async def watch(board: Board) -> None:
        async with aclosing(board.watch()) as statuses:
            seen.extend([status async for status in statuses])

    began_s = loop.time()
    async with asyncio.TaskGroup() as tasks, simulated() as board:
        tasks.create_task(watch(board))
        for _ in range(100):
            board.perform(PlaySound(Sound.RINGTONE))
            await asyncio.sleep(0.001)
            board.perform(StopSound(Sound.RINGTONE))
            await asyncio.sleep(0.001)
    assert 1 < len(seen) <= 2 + (loop.time() - began_s) / WATCH_S


async def test_effects_of_other_edges_are_nothing_to_the_panel(
    simulated: Simulate, inbox: Inbox
) -> None:
    async with simulated() as board:
        board.perform(StopCapture())
    assert inbox.all == []


# -------------------- what fails is reported, and the others go on


async def test_a_pin_that_cannot_be_had_is_named_and_the_others_work(
    simulated: Simulate, inbox: Inbox
) -> None:
    async with simulated(
        buttons={"call": CALL, "twin": CALL, "odd": config.Button(pin="GPIO99", press="call")},
        leds={"status": config.Led(pin=27, kind="rgb"), "lamp": config.Led(pin=5)},
        relays={"door": config.Relay(pin=22, on="ringin")},
    ) as board:
        faults = inbox.of(FaultReported)
        assert [fault.where for fault in faults] == [
            "relays.door",
            "leds.status",
            "buttons.twin",
            "buttons.odd",
        ]
        assert {fault.code for fault in faults} == {"pin_unavailable"}
        assert '"ringin" is no situation; did you mean ringing' in faults[0].message
        assert "kind rgb has three pins" in faults[1].message
        assert "GPIO17 is already in use" in faults[2].message
        assert faults[3].message.startswith("buttons.odd: pin GPIO99 cannot be used: ")
        assert board.status() == {
            "leds": {
                "status": {"pattern": None, "lit": None},
                "lamp": {"pattern": "dim", "lit": False},
            },
            "relays": {"door": None},
            "inputs": {},
            "chime": "silent",
            "sounds": [],
            "notice": None,
        }
        with pytest.raises(Refused, match="no working pin"):
            await board.press("odd")
        board.show(Situation.IN_CALL)
        await board.press("call")
        assert inbox.of(ButtonGestured) == [ButtonGestured("call", Gesture.PRESS)]


async def test_a_pin_that_another_program_has_is_claimed_when_it_lets_go(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RETRY_S", 0.01)
    wires, busy, tries = busy_pins(monkeypatch)
    async with Board(
        "pi",
        panel=config.Panel(),
        buttons={"odd": config.Button(pin="GPIO17", press="call")},
        leds={"status": config.Led(pin=27, kind="rgb")},
        relays={"door": config.Relay(pin=22)},
        inputs={},
        post=inbox.post,
        factory=wires.factory,
    ) as board:
        await until(lambda: len(tries) > 6)
        faults = [(fault.where, fault.code) for fault in inbox.of(FaultReported)]
        assert faults == [
            ("relays.door", "pin_unavailable"),
            ("leds.status", "pin_unavailable"),
            ("buttons.odd", "pin_unavailable"),
        ], "once each"
        assert board.status()["relays"] == {"door": None}
        busy[0] = False
        await inbox.has(FaultCleared("relays.door"))
        await inbox.has(FaultCleared("buttons.odd"))
        board.perform(PulseRelay("door"))
        assert board.status()["relays"] == {"door": "energized"}
        assert FaultCleared("leds.status") not in inbox.all, "one pin is not three"
    assert wires.factory.pin(22).function == "input", "it was given back"


async def test_an_led_whose_driver_raises_is_told_once_and_lit_again(
    simulated: Simulate, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.panel.indicators.RETRY_S", 0.01)
    async with simulated(leds={"status": LAMP}) as board:
        tries: list[object] = []

        def broken(*light: object) -> None:
            tries.append(light)
            raise OSError(errno.EIO, "the chip does not answer")

        with monkeypatch.context() as patch:
            patch.setattr(Indicator, "_write", broken)
            board.show(Situation.IN_CALL)
            await until(lambda: len(tries) > 3)
            assert [fault.where for fault in inbox.of(FaultReported)] == ["leds.status"]
        await inbox.has(FaultCleared("leds.status"))
        assert board.status()["leds"]["status"]["lit"] is True


async def test_without_gpio_the_rest_of_the_device_goes_on(inbox: Inbox) -> None:
    async with Board(
        "pi",
        panel=config.Panel(pin_factory="lgpoi"),
        buttons={"call": CALL},
        leds={"status": LAMP},
        relays={"door": config.Relay(pin=22)},
        inputs={},
        post=inbox.post,
    ) as board:
        (fault,) = inbox.of(FaultReported)
        assert (fault.code, fault.where) == ("gpio_unavailable", "panel.pin_factory")
        assert "did you mean lgpio?" in fault.message
        board.show(Situation.RINGING_OUT)
        board.perform(PlaySound(Sound.CHIME))
        board.perform(PulseRelay("door"))
        assert inbox.of(FaultReported)[-1].message == "The relay door has no working pin."
        assert board.status()["relays"] == {"door": None}


def busy_pins(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[MockWires, list[bool], list[object]]:
    """Pins that another program holds while the first list says so; the second is what was tried."""
    wires, busy, tries = MockWires(), [True], list[object]()
    pin = wires.factory.pin

    def claimed(name: str) -> object:
        tries.append(name)
        if busy[0]:
            raise OSError(errno.EBUSY, "GPIO busy")
        return pin(name)

    monkeypatch.setattr(wires.factory, "pin", claimed)
    return wires, busy, tries


def late_pins(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> tuple[MockWires, list[int]]:
    """Pins that gpiozero cannot reach until the list holds something; it is asked often."""
    monkeypatch.setattr(reaching, "RETRY_S", 0.01)
    monkeypatch.setattr(reaching, "LONGEST_S", 0.02)
    wires, there = MockWires(), list[int]()

    def load(name: str) -> object:
        if not there:
            raise fault
        return wires.factory

    monkeypatch.setattr(pins, "_load", load)
    return wires, there


def a_door(post: Callable[[Input], None]) -> Board:
    return Board(
        "pi",
        panel=config.Panel(buzzer=12),
        buttons={"call": CALL},
        leds={"status": LAMP, "privacy": config.Led(pin=23, privacy=True)},
        relays={"door": config.Relay(pin=22), "gong": config.Relay(pin=5, on="ringing")},
        inputs={},
        post=post,
    )


async def test_pins_that_cannot_be_reached_at_the_start_are_claimed_when_they_can(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires, there = late_pins(monkeypatch, OSError(errno.ENOENT, "no gpiochip0"))
    async with a_door(inbox.post) as board:
        (fault,) = inbox.of(FaultReported)
        assert (fault.code, fault.where) == ("gpio_unavailable", "panel.pin_factory")
        board.show(Situation.RINGING_OUT)
        board.perform(LightPrivacy(on=True))
        assert board.capture_forbidden() is not None
        held_up = board.heartbeats()
        assert {name: one() for name, one in held_up.items()} == {"relay door": 0, "relay gong": 0}
        there.append(1)
        await inbox.has(FaultCleared("panel.pin_factory"))
        await until(lambda: board.status()["relays"]["door"] == "released")
        assert board.status()["relays"]["gong"] == "energized", "it rings now"
        assert board.status()["leds"]["status"]["pattern"] == "pulse"
        await inbox.has(FaultCleared("leds.privacy"))
        assert board.capture_forbidden() is None, "lit at last"
        board.perform(PlaySound(Sound.CHIME))
        wires.to_ground(17)
        await inbox.has(ButtonPressed("call"))
        wires.let_go(17)
    assert [fault.code for fault in inbox.of(FaultReported)].count("gpio_unavailable") == 1
    functions = {pin: wires.factory.pin(pin).function for pin in (5, 12, 17, 22, 23, 27)}
    assert set(functions.values()) == {"input"}, "all were given back"


async def test_a_board_that_ends_without_pins_reaches_for_none_any_more(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    late_pins(monkeypatch, OSError(errno.ENOENT, "no gpiochip0"))
    async with a_door(inbox.post):
        pass
    assert FaultCleared("panel.pin_factory") not in inbox.all


async def test_a_pin_factory_that_does_not_exist_is_not_waited_for(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    late_pins(monkeypatch, pins.UnknownFactoryError("gpiozero knows no such pin factory"))
    async with a_door(inbox.post):
        assert "reach for pins" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_an_led_that_is_claimed_late_shows_what_the_others_show(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RETRY_S", 0.01)
    wires, busy, _ = busy_pins(monkeypatch)
    sections = {"buttons": {}, "relays": {}, "inputs": {}, "leds": {"a": LAMP, "b": config.Led(5)}}
    async with Board(
        "pi",
        panel=config.Panel(),
        post=inbox.post,
        factory=wires.factory,
        **sections,  # type: ignore[arg-type]
    ) as board:
        board.show(Situation.ERROR, (3,))
        busy[0] = False
        await inbox.has(FaultCleared("leds.a"))
        assert board.status()["leds"]["a"]["pattern"] == patterns(LAMP, Situation.ERROR, (3,))
        busy[0] = True
    async with Board(
        "pi",
        panel=config.Panel(),
        post=inbox.post,
        factory=wires.factory,
        **sections,  # type: ignore[arg-type]
    ) as board:
        board.tell(Notice.DOOR_OPEN)
        inbox.all.clear()
        busy[0] = False
        await inbox.has(FaultCleared("leds.a"))
        assert board.status()["leds"]["a"]["pattern"] == "fast_blink", "the notice"


def patterns(led: config.Led, situation: Situation, counts: tuple[int, ...]) -> str:
    return patterns_for(led.kind, led.patterns)[situation].counting(counts).text


async def test_a_relay_that_may_not_be_pulsed_is_told(simulated: Simulate, inbox: Inbox) -> None:
    relays = {"door": config.Relay(pin=22), "gong": config.Relay(pin=23, on="ringing")}
    async with simulated(relays=relays) as board:
        board.perform(PulseRelay("dor"))
        board.perform(PulseRelay("gong"))
        assert board.status()["relays"] == {"door": "released", "gong": "released"}
    assert [fault.message for fault in inbox.of(FaultReported)] == [
        'There is no relay "dor"; did you mean door?',
        "The relay gong follows a situation and is not pulsed.",
    ]


# -------------------- the board leaves the process as it was


async def test_two_boards_live_side_by_side_and_leave_no_trace(
    simulated: Simulate, inbox: Inbox
) -> None:
    async with simulated(buttons={"call": CALL}) as one, simulated(buttons={"call": CALL}):
        await one.press("call")
    assert inbox.of(ButtonGestured) == [ButtonGestured("call", Gesture.PRESS)]
    assert Device.pin_factory is None, "gpiozero's global factory is not ours to set"


async def test_pins_that_the_board_opened_itself_are_closed_with_it(
    simulated: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = MockWires().factory
    monkeypatch.setattr("appliance.panel.board.open_factory", lambda *_: pins)
    async with simulated(leds={"status": LAMP}):
        assert len(pins.pins) == 1
    assert len(pins.pins) == 0


async def test_a_closed_board_gives_its_pins_back(inbox: Inbox) -> None:
    wires = MockWires()
    sections: dict[str, Any] = {
        "buttons": {"call": CALL},
        "leds": {"status": LAMP, "sky": config.Led(pin=(5, 6, 13), kind="rgb")},
        "relays": {"door": config.Relay(pin=22)},
        "inputs": {"hall": config.InputPin(pin=24, kind="exit")},
    }
    for _ in range(2):
        async with Board(
            "pi", panel=config.Panel(), post=inbox.post, factory=wires.factory, **sections
        ) as board:
            board.show(Situation.IN_CALL)
        assert {pin.function for pin in wires.factory.pins.values()} == {"input"}
        wires.to_ground(24)
        wires.let_go(24)
    assert inbox.of(FaultReported) == []
    assert inbox.of(InputSwitched) == []
    assert inbox.of(RelayChanged) == []


# -------------------- keypads, buzzer, privacy


async def test_a_key_of_a_keypad_is_pressed_by_its_name(simulated: Simulate, inbox: Inbox) -> None:
    pad = config.Keypad(rows=(5, 6), columns=(12, 16), keys=("12", "*#"))
    async with simulated(
        buttons={"call": CALL}, keypads={"front": pad}, leds={"it": LAMP}
    ) as board:
        await board.press("front.*")
        assert inbox.of(ButtonGestured) == [ButtonGestured("front.*", Gesture.PRESS)]
        with pytest.raises(Refused, match='no key "7" on front'):
            await board.press("front.7")
        with pytest.raises(Refused, match=r'no button "back\.1"'):
            await board.press("back.1")
    with pytest.raises(Refused, match="no working pin"):
        await board.press("front.1")


async def test_a_keypad_whose_pins_cannot_be_had_is_named_with_all_of_them(
    simulated: Simulate, inbox: Inbox
) -> None:
    pad = config.Keypad(rows=(5, 17), columns=(12,), keys=("1", "2"))
    async with simulated(buttons={"call": CALL}, keypads={"front": pad}) as board:
        [fault] = inbox.of(FaultReported)
        assert fault.where == "keypads.front"
        assert "pin 5, 17, 12 cannot be used: " in fault.message
        with pytest.raises(Refused, match="no working pin"):
            await board.press("front.1")
        await board.press("call")


async def test_a_sound_that_plays_at_the_end_ends_without_a_fault(
    simulated: Simulate, inbox: Inbox
) -> None:
    async with simulated(panel=config.Panel(buzzer="GPIO12")) as board:
        board.perform(PlaySound(Sound.RINGTONE))
        board.perform(PlaySound(Sound.CHIME))
        assert board.status()["chime"] == "playing"
    assert board.status()["chime"] == "silent"
    assert inbox.all == []


async def test_a_buzzer_without_a_pin_is_told_and_the_chime_is_a_state_still(
    simulated: Simulate, inbox: Inbox
) -> None:
    async with simulated(buttons={"call": CALL}, panel=config.Panel(buzzer=99)) as board:
        [fault] = inbox.of(FaultReported)
        assert (fault.code, fault.where) == ("pin_unavailable", "panel.buzzer")
        board.perform(PlaySound(Sound.CHIME))
        assert board.status()["chime"] == "playing"


async def test_a_buzzer_that_works_again_is_told() -> None:
    wires, inbox = MockWires(), Inbox()
    async with buzzing(wires, inbox) as board:
        wires.factory.pin(12).function = "input"
        board.perform(PlaySound(Sound.CHIME))
        board.perform(PlaySound(Sound.CHIME))
        assert [fault.where for fault in inbox.of(FaultReported)] == ["panel.buzzer"]
        wires.factory.pin(12).function = "output"
        board.perform(PlaySound(Sound.CHIME))
        assert inbox.all[1:] == [FaultCleared("panel.buzzer")]


async def test_a_buzzer_whose_pin_is_had_late_plays_what_plays_then_and_later(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RETRY_S", 0.01)
    wires, busy, _ = busy_pins(monkeypatch)
    async with buzzing(wires, inbox) as board:
        assert [fault.where for fault in inbox.of(FaultReported)] == ["panel.buzzer"]
        board.perform(PlaySound(Sound.RINGTONE))
        busy[0] = False
        await inbox.has(FaultCleared("panel.buzzer"))
        assert wires.factory.pin(12).state, "what played when it came"
        board.perform(StopSound(Sound.RINGTONE))
        assert not wires.factory.pin(12).state
        board.perform(PlaySound(Sound.CHIME))
        assert wires.factory.pin(12).state, "what plays since"
    assert wires.factory.pin(12).function == "input", "it was given back"


def buzzing(wires: MockWires, inbox: Inbox) -> Board:
    """A board with nothing but a buzzer."""
    return Board(
        "pi",
        panel=config.Panel(buzzer=12),
        buttons={},
        leds={},
        relays={},
        inputs={},
        post=inbox.post,
        factory=wires.factory,
    )


async def test_without_any_pins_no_device_may_open_where_an_led_is_to_tell(inbox: Inbox) -> None:
    sections: dict[str, Any] = {"buttons": {}, "relays": {}, "inputs": {}}
    async with Board(
        "pi",
        panel=config.Panel(pin_factory="lgpoi"),
        leds={"privacy": config.Led(pin=5, privacy=True)},
        post=inbox.post,
        **sections,
    ) as board:
        board.perform(LightPrivacy(on=True))
        assert "privacy LED privacy is dark" in str(board.capture_forbidden())
        assert board.status()["leds"] == {"privacy": {"pattern": None, "lit": None}}
    async with Board(
        "pi", panel=config.Panel(pin_factory="lgpoi"), leds={}, post=inbox.post, **sections
    ) as other:
        assert other.capture_forbidden() is None


async def test_an_led_that_works_again_is_told(simulated: Simulate, inbox: Inbox) -> None:
    async with simulated(leds={"status": LAMP}) as board:
        led: Any = board._leds["status"]
        led._device.pin.function = "input"
        board.show(Situation.IN_CALL)
        assert [fault.where for fault in inbox.of(FaultReported)] == ["leds.status"]
        led._device.pin.function = "output"
        board.show(Situation.RINGING_IN)
        assert inbox.all[-1] == FaultCleared("leds.status")
