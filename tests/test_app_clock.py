"""A clock that is wrong after a power cut: the broker's certificate is of tomorrow, and the bell rings."""

from __future__ import annotations

import datetime as dt
import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.config import Mqtt
from appliance.model import Gesture
from tests.parts.certificates import Authority
from tests.parts.house import config_for, house
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.need import program


@pytest.mark.broker
async def test_a_certificate_of_tomorrow_is_tried_again_and_the_bell_rings_meanwhile(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path, "house")
    tomorrow = authority.issue("127.0.0.1", begins=dt.timedelta(days=1))
    port = free_port()
    pid = tmp_path / "pid"
    broker = Mosquitto(
        program("mosquitto"),
        tmp_path,
        f"pid_file {pid}\nlistener {port} 127.0.0.1\n"
        f"certfile {tomorrow.certificate}\nkeyfile {tomorrow.key}",
    )
    broker.start()
    config = config_for(1)
    mqtt = Mqtt(host="127.0.0.1", port=port, ca_file=str(authority.file))
    try:
        async with house(replace(config, mqtt=mqtt), tmp_path, connected=False) as door:
            recent = door.appliance.bus.recent  # it may be told before anybody listens
            await door.until_true(lambda: "not yet valid" in str(recent))
            assert "broker_tls" in str(recent)
            await door.appliance.board.press("call", Gesture.PRESS)
            await door.until("outgoing_call_started")
            assert door.appliance.board.status()["leds"]["status"]["lit"] is True
            await door.appliance.session.leave_session()
            await door.until("call_ended")
            assert door.appliance.session.status()["mqtt"] != "connected"
            # tomorrow comes; to the same files, for the broker's clock was right all along
            authority.issue("127.0.0.1")
            os.kill(int(pid.read_text()), signal.SIGHUP)
            await door.until_connected()
    finally:
        broker.kill()
