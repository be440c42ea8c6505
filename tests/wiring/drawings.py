"""The drawings of docs/wiring.md, a function for each; pins are those of the documented configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from schemdraw import elements as elm

from tests.wiring.pins import pin, pins
from tests.wiring.sheet import HEAD, Place, Sheet

V5, V33 = ("5V", 2), ("3V3", 1)
MINUS = "\N{MINUS SIGN}"


def button() -> Sheet:
    """A button between a pin and ground."""
    sheet = Sheet()
    signal, ground = sheet.pi([pin("buttons.call"), ("GND", 9)], pitch=2)
    at = 7.2
    sheet.wire(signal, (at, signal[1]))
    sheet.wire(ground, (at, ground[1]))
    sheet.part(elm.Button, (at, signal[1]), (at, ground[1]))
    sheet.words(
        (at + 0.9, (signal[1] + ground[1]) / 2), "bell button\n(closes when pressed)", "left"
    )
    return sheet


def led() -> Sheet:
    """An LED with its resistor, and one that tells of microphone and camera."""
    sheet = Sheet()
    rows = sheet.pi([pin("leds.status"), ("GND", 14), pin("leds.privacy"), ("GND", 20)], pitch=1.7)
    for (signal, ground), name in ((rows[:2], "status"), (rows[2:], "privacy")):
        x, y = signal
        sheet.part(elm.ResistorIEC, signal, (x + 2.4, y))
        sheet.words((x + 1.2, y + 0.55), "330 Ω")
        sheet.wire((x + 2.4, y), (x + 4, y))
        sheet.part(elm.LED, (x + 4, y), (x + 4, ground[1]))
        sheet.wire((x + 4, ground[1]), ground)
        sheet.words((x + 5.1, (y + ground[1]) / 2), f"{name}\nlong leg: to the resistor", "left")
    return sheet


def lamp() -> Sheet:
    """A ring of LEDs in a bought bell button, at 12 V, switched by a transistor."""
    sheet = Sheet()
    signal, ground = sheet.pi([pin("leds.status"), ("GND", 14)], pitch=3.2)
    x, y = signal
    sheet.part(elm.ResistorIEC, signal, (x + 2.6, y))
    sheet.words((x + 1.3, y + 0.55), "1 kΩ")
    collector, emitter = sheet.transistor((x + 2.6, y))
    sheet.words((x + 4.2, y), "BC337", "left")
    (plus, minus), _ = sheet.board(
        (13, 1.9), "12 V supply", ("+", MINUS), pitch=1.9 - HEAD - ground[1]
    )
    sheet.wire(collector, (collector[0], plus[1]), (8.2, plus[1]))
    sheet.part(elm.Lamp, (8.2, plus[1]), (10.6, plus[1]))
    sheet.words((9.4, plus[1] + 0.75), "12 V ring of the button")
    sheet.wire((10.6, plus[1]), plus)
    sheet.wire(emitter, (emitter[0], ground[1]))
    sheet.wire(ground, minus)
    sheet.dot((emitter[0], ground[1]))
    return sheet


def relay_board() -> Sheet:
    """A relay board with an optocoupler, and a strike that opens with current (fail-secure)."""
    sheet = Sheet()
    rows = sheet.pi([V33, pin("relays.door"), ("GND", 14), V5])
    left, right = sheet.board(
        (6.4, 0), "relay board", ("VCC", "IN", "GND", "JD-VCC"), ("NO", "COM", "NC"), 4.2
    )
    for one, other in zip(rows, left, strict=True):
        sheet.wire(one, other)
    _lock(sheet, right[0], right[1], "door strike 12 V\n(fail-secure:\nopens with current)")
    return sheet


def magnet() -> Sheet:
    """The same board, and a magnet that holds while there is current (fail-safe)."""
    sheet = Sheet()
    _, right = sheet.board((0, 0), "relay board", (), ("NO", "COM", "NC"), 3.6)
    _lock(sheet, right[1], right[2], "magnet lock 12 V\n(fail-safe:\nholds with current)")
    return sheet


def _lock(sheet: Sheet, upper: Place, lower: Place, name: str) -> None:
    """From two contacts of a relay through a coil with its diode to a supply of its own, and back."""
    x, top = upper
    end = top - 2.9
    (minus, plus), _ = sheet.board(
        (x + 2, end - 1.4), "12 V supply", (MINUS, "+"), wide=3.2, pitch=1
    )
    coil, diode = x + 5.4, x + 3.9
    sheet.wire(upper, (coil, top))
    sheet.wire(lower, (x + 0.3, lower[1]), (x + 0.3, plus[1]), plus)
    sheet.part(elm.Inductor2, (coil, top), (coil, end))
    sheet.part(elm.Diode, (diode, end), (diode, top))
    back = end - 0.6
    sheet.wire((diode, end), (coil, end), (coil, back), (x + 0.9, back), (x + 0.9, minus[1]), minus)
    sheet.dot((diode, top))
    sheet.dot((coil, end))
    sheet.words((diode - 0.5, (top + end) / 2), "1N4007", "right")
    sheet.words((coil + 0.6, (top + end) / 2), name, "left")


def relay_transistor() -> Sheet:
    """A bare relay for 5 V: transistor, diode, and a resistor that keeps it off while the Pi starts."""
    sheet = Sheet()
    rows = sheet.pi([V5, pin("relays.door"), ("GND", 6)], pitch=2.6)
    five, signal, ground = rows
    x, y = signal
    sheet.part(elm.ResistorIEC, signal, (x + 2.6, y))
    sheet.words((x + 1.3, y + 0.55), "1 kΩ")
    collector, emitter = sheet.transistor((x + 4.4, y))
    sheet.wire((x + 2.6, y), (x + 4.4, y))
    sheet.dot((x + 2.6, y))
    sheet.part(elm.ResistorIEC, (x + 2.6, y), (x + 2.6, ground[1]))
    sheet.words((x + 2.1, (y + ground[1]) / 2), "10 kΩ", "right")
    sheet.dot((x + 2.6, ground[1]))
    sheet.words((x + 6, y), "BC337", "left")
    sheet.wire(emitter, (emitter[0], ground[1]), ground)
    coil = emitter[0]
    sheet.part(elm.Inductor2, (coil, five[1]), (coil, collector[1]))
    sheet.wire(five, (coil, five[1]))
    diode = coil - 1.5
    sheet.part(elm.Diode, (diode, collector[1] + 0.1), (diode, five[1]))
    sheet.wire((diode, collector[1] + 0.1), (coil, collector[1] + 0.1))
    sheet.dot((diode, five[1]))
    sheet.dot((coil, collector[1] + 0.1))
    sheet.words((diode - 0.5, (five[1] + collector[1]) / 2), "1N4148", "right")
    sheet.words(
        (coil + 0.7, (five[1] + collector[1]) / 2), "coil of a 5 V relay\n(70 Ω or more)", "left"
    )
    return sheet


def handset() -> Sheet:
    """A handset: its switch at the Pi, its microphone and earpiece at a USB sound card."""
    sheet = Sheet()
    signal, ground = sheet.pi([pin("buttons.handset"), ("GND", 34)], pitch=1.8)
    x = 7
    sheet.wire(signal, (x, signal[1]))
    sheet.wire(ground, (x, ground[1]))
    sheet.part(elm.Switch, (x, ground[1]), (x, signal[1]))
    sheet.words(
        (x + 0.8, (signal[1] + ground[1]) / 2), "hook switch\n(closed while lifted)", "left"
    )
    top = -4.9
    _, right = sheet.board((0, top), "USB sound card", (), ("MIC", "GND", "OUT", "GND"), pitch=1.1)
    sheet.wire(right[0], (x, right[0][1]))
    sheet.wire(right[1], (x, right[1][1]))

    sheet.part(elm.Source, (x, right[0][1]), (x, right[1][1]))
    sheet.words(
        (x + 1.0, (right[0][1] + right[1][1]) / 2), "electret capsule of the handset", "left"
    )
    sheet.wire(right[2], (x, right[2][1]))
    sheet.wire(right[3], (x, right[3][1]))
    sheet.part(elm.Source, (x, right[2][1]), (x, right[3][1]))
    sheet.words((x + 1.0, (right[2][1] + right[3][1]) / 2), "earpiece of the handset", "left")
    return sheet


def keypad() -> Sheet:
    """A matrix of twelve keys."""
    sheet = Sheet()
    rows, columns = pins("keypads.front.rows"), pins("keypads.front.columns")
    ends = sheet.pi([*rows, *columns], pitch=1.25)
    keys = ("123", "456", "789", "*0#")
    left, step = 8.2, 2.3
    lines = [left + step * at for at in range(len(columns))]
    for (x, y), texts in zip(ends, keys, strict=False):
        sheet.wire((x, y), (lines[-1] + 0.9, y))
        for line, text in zip(lines, texts, strict=True):
            sheet.words((line + 0.28, y + 0.3), text, "left", bold=True)
            sheet.key((line, y))
    for at, (x, y) in enumerate(ends[len(rows) :]):
        line = lines[at]
        sheet.wire((x, y), (line, y), (line, ends[0][1] + 0.7))
        sheet.dot((line, y))
    sheet.words((lines[-1] + 0.6, ends[-2][1]), "a key joins\nits row and its column", "left")
    return sheet


def buzzer() -> Sheet:
    """A passive piezo buzzer, which plays notes."""
    sheet = Sheet()
    signal, ground = sheet.pi([pin("panel.buzzer"), ("GND", 34)], pitch=2)
    x, y = signal
    sheet.part(elm.ResistorIEC, signal, (x + 2.4, y))
    sheet.words((x + 1.2, y + 0.55), "220 Ω")
    sheet.wire((x + 2.4, y), (x + 3.8, y))
    sheet.part(elm.Crystal, (x + 3.8, y), (x + 3.8, ground[1]))
    sheet.wire((x + 3.8, ground[1]), ground)
    sheet.words((x + 4.8, (y + ground[1]) / 2), "passive piezo disc\n(without electronics)", "left")
    return sheet


def contacts() -> Sheet:
    """The door's contact, the case's and the exit button: all between a pin and ground."""
    sheet = Sheet()
    rows = sheet.pi(
        [pin("inputs.door"), pin("inputs.case"), pin("inputs.exit"), ("GND", 30)], pitch=1.7
    )
    ground = rows[3]
    texts = (
        (elm.SwitchReed, "door contact: reed,\nclosed while the door is shut"),
        (elm.Switch, "tamper: micro switch,\nclosed while the lid is on"),
        (elm.Button, "exit button,\nwithin the house"),
    )
    end = 8.4
    for (x, y), (kind, text) in zip(rows, texts, strict=False):
        sheet.wire((x, y), (x + 1.2, y))
        sheet.part(kind, (x + 1.2, y), (x + 3.2, y))
        sheet.wire((x + 3.2, y), (end, y))
        sheet.words((end + 0.6, y), text, "left")
    sheet.wire((end, rows[0][1]), (end, ground[1]), ground)
    sheet.dot((end, rows[1][1]))
    sheet.dot((end, rows[2][1]))
    return sheet


def motion() -> Sheet:
    """A motion sensor (PIR), which drives its pin."""
    sheet = Sheet()
    rows = sheet.pi([V5, ("GND", 25), pin("inputs.visitor")])
    left, _ = sheet.board((6.6, 0), "PIR sensor", ("VCC", "GND", "OUT"), (), 3.6)
    for one, other in zip(rows, left, strict=True):
        sheet.wire(one, other)
    sheet.words((5.3, rows[2][1] - 0.55), "3.3 V at most", small=True)
    return sheet


def cable() -> Sheet:
    """A button at the end of a long cable: what protects the pin, beside the Pi."""
    sheet = Sheet()
    power, signal, ground = sheet.pi([V33, pin("buttons.call"), ("GND", 9)], pitch=2.4)
    x, y = signal
    join = x + 1.2
    sheet.wire(power, (join, power[1]))
    sheet.part(elm.ResistorIEC, (join, power[1]), (join, y))
    sheet.words((join + 0.45, (power[1] + y) / 2), "4.7 kΩ", "left")
    sheet.wire(signal, (join, y), (join + 0.8, y))
    sheet.dot((join, y))
    sheet.part(elm.Capacitor, (join, y), (join, ground[1]))
    sheet.words((join + 0.55, (y + ground[1]) / 2), "100 nF", "left")
    sheet.dot((join, ground[1]))
    sheet.part(elm.ResistorIEC, (join + 0.8, y), (join + 3.2, y))
    sheet.words((join + 2, y + 0.55), "1 kΩ")
    guard = join + 4.4
    sheet.wire((join + 3.2, y), (guard, y), (guard + 4.6, y))
    sheet.part(elm.Zener, (guard, ground[1]), (guard, y))
    sheet.words((guard + 0.7, (y + ground[1]) / 2), "TVS\n5 V", "left")
    sheet.dot((guard, y))
    sheet.dot((guard, ground[1]))
    sheet.wire(ground, (guard + 4.6, ground[1]))
    sheet.part(elm.Button, (guard + 4.6, y), (guard + 4.6, ground[1]))
    sheet.words((guard + 3.2, y + 0.45), "twisted pair", small=True)
    sheet.words((guard + 5.5, (y + ground[1]) / 2), "bell\nbutton", "left")
    return sheet


DRAWINGS: Mapping[str, Callable[[], Sheet]] = {
    "button": button,
    "led": led,
    "lamp": lamp,
    "relay-board": relay_board,
    "magnet": magnet,
    "relay-transistor": relay_transistor,
    "handset": handset,
    "keypad": keypad,
    "buzzer": buzzer,
    "contacts": contacts,
    "motion": motion,
    "cable": cable,
}
"""By the name of its file."""
