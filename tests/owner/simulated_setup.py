"""`appliance setup` in a process of its own, on mock pins that whoever started it moves."""

from __future__ import annotations

import os
import sys
import threading

from gpiozero.pins.mock import MockFactory, MockPWMPin

from appliance.cli import main
from appliance.owner import hearing, setup, trying
from appliance.service.doctor.machine import ThisMachine
from tests.media.softcard import SoftCard

FACTORY = MockFactory(pin_class=MockPWMPin)
CARD = SoftCard()


def move(orders: int) -> None:
    """`GPIO17 low` and `GPIO17 high`, a line each."""
    with os.fdopen(orders) as lines:
        for line in lines:
            pin, level = line.split()
            mock = FACTORY.pin(pin)
            (mock.drive_low if level == "low" else mock.drive_high)()


if __name__ == "__main__":
    for where, name, instead in (
        (trying, "TONE_S", 0.1),
        (hearing, "LISTENS_S", 0.3),
        (hearing, "open_pcm", CARD.opens),
        (setup, "open_factory", lambda board, name: FACTORY),
        (ThisMachine, "cameras", lambda _: [{"Model": "imx708"}]),
        (ThisMachine, "sound_cards", lambda _: ["Device"]),
        (ThisMachine, "gpio_chips", lambda _: []),
    ):
        setattr(where, name, instead)
    threading.Thread(target=move, args=(int(sys.argv[1]),), daemon=True).start()
    sys.exit(main(["setup", *sys.argv[2:]]))
