"""A door that is always in a call, with somebody who answers, in a machine whose power is cut.

    python -m tests.parts.busytalk

A second station runs beside the door, with a key of its own. It was paired as a phone is, believes nobody
without a key, and takes the door's calls by itself. Each call is recorded; in it both are muted and opened
again, the camera is paused, the door's relay has its pulse, the configuration is written; one of the two
hangs up. What was promised is told on the console (`promised.py`), and so is what is never to happen.
"""

from __future__ import annotations

import os
import random
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from appliance.client import Client
from appliance.errors import ApplianceError
from appliance.trust import keys
from appliance.trust.keys import DeviceKey
from appliance.whole_file import private_folder, write_whole
from tests.image import newcomer
from tests.parts import busydoor
from tests.parts.busydoor import APPLIANCE, HALL, UP_S, configured, pieces, tell, until, until_up
from tests.parts.pen import Pen
from tests.parts.promised import DISBELIEF, LOG

SETTINGS = HALL / "hall.toml"
CONFIG = """\
[device]
id = "{uid}"
name = "Hall"
board = "simulated"
[mqtt]
root = "{root}"
username = "{username}"
password_file = "password"
[security]
unsigned = "refuse"
[contacts.{door}]
name = "Door"
keys = ["{key}"]
may = ["call", "answer"]
[call]
auto_answer = ["{door}"]
[call_log]
max_entries = 2000
[media]
encoder = "software"
width = 160
height = 96
framerate = 2
bitrate_kbps = 50
[cameras.front]
device = "test-card"
[audio.speaker]
playback = "silence"
capture = "tone"
echo = "off"
"""
ENVIRON = {
    **os.environ,
    "STATE_DIRECTORY": str(HALL),
    "RUNTIME_DIRECTORY": "/run/hall",
    "APPLIANCE_SOCKET": "/run/hall/appliance.sock",
}
OPEN = "9#"
"""The digits that open the door, as config/simulated.toml has them."""
ADDRESS = "192.168.77.1/32"
"""A machine without a network has one on loopback, by which the two reach each other."""
LOG_FILE = Path("/run/hall/log")
READY = "ready; the page"
STEPS = (3, 14)
"""How much is done in a call: three to ten seconds of it."""
STEP_S = 0.5
SYNCED_S = 3.0
"""So long after a piece of a recording was seen it is on the disk, where another has followed."""


def main() -> None:
    """Until the power goes; what keeps it from that is told."""
    try:
        talks()
    except (ApplianceError, OSError, SystemExit) as error:
        tell(f"wrong {error}")
        raise


def talks() -> None:
    """Have the other station run, and the two of them talk, again and again."""
    until_up(["appliance", "mosquitto"], time.monotonic() + newcomer.PATIENCE_S)
    private_folder(LOG_FILE.parent)
    if not SETTINGS.exists():
        is_paired()
    subprocess.run(["ip", "address", "replace", ADDRESS, "dev", "lo"], check=True)
    with LOG_FILE.open("ab") as log:
        words = [sys.executable, "-m", "appliance", "run", "--config", str(SETTINGS)]
        subprocess.Popen(words, env=ENVIRON, stdout=log, stderr=log)
    numbers = configured()
    next(numbers)
    is_ready()
    with Client(ENVIRON, busydoor.PATIENCE_S) as hall:
        known = {entry["call_id"] for entry in hall.ask(call_log=LOG)}
    while True:
        with (
            Client(patience_s=busydoor.PATIENCE_S) as door,
            Client(ENVIRON, busydoor.PATIENCE_S) as hall,
        ):
            known |= Talk(door, hall, numbers).goes(known)


def is_ready() -> None:
    """Return once the other station is; raises TimeoutError."""
    until_s = time.monotonic() + newcomer.PATIENCE_S
    while READY not in LOG_FILE.read_text(errors="replace"):
        if time.monotonic() > until_s:
            raise TimeoutError("the other station does not come up")
        time.sleep(UP_S)


def is_paired() -> None:
    """Give the other station a key, and have the door know it, as a phone is paired."""
    private_folder(HALL)
    key = DeviceKey.load_or_make(HALL, {})
    private = load_pem_private_key((HALL / keys.FILE).read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    with Client(patience_s=newcomer.PATIENCE_S) as door:
        words = door.ask(pair={"name": "hall", "may": None, "expires_s": 3600})["invitation"]
        newcomer.found_by_name(str(urlsplit(words["websocket_url"]).hostname), {})
        trusting = ssl.create_default_context(cafile=str(APPLIANCE / "tls" / "ca.crt"))
        told = newcomer.asked(words, trusting, Pen(private.private_bytes_raw()))
    if told["error"]:
        raise SystemExit(told["error"])
    tell(f"paired {words['uid']} {key.kid}")
    write_whole(HALL / "password", str(words["password"]).encode())
    text = CONFIG.format(**words, door=words["device_id"], key=words["public_key"])
    write_whole(SETTINGS, text.encode())


class Talk:
    """One call, from the bell to the end."""

    def __init__(self, door: Client, hall: Client, numbers: Iterator[int]) -> None:
        """Of both sockets; `numbers` write the configuration."""
        self._door, self._hall, self._numbers = door, hall, numbers
        self._dice = random.Random()
        self._seen: list[tuple[float, int]] = []

    def goes(self, known: Set[str]) -> set[str]:
        """Ring, talk, hang up; the calls that this made. The other station has had the `known` ones."""
        made: set[str] = set()
        call_id = self._answered(made)
        for _ in range(self._dice.randint(*STEPS)):
            self._dice.choice(self._things)()
            self._films()
            time.sleep(STEP_S)
        self._ends(call_id)
        came = [entry["call_id"] for entry in self._hall.ask(call_log=LOG)]
        if strange := {one for one in came if one not in made | known or came.count(one) > 1}:
            tell(f"wrong the other station has calls that nobody made, or twice: {strange}")
        for name, one in (("door", self._door), ("other station", self._hall)):
            errors = [
                each["data"] for each in one.ask(recent=True) if each["type"].endswith(".error")
            ]
            if refused := [each for each in errors if each["code"] in DISBELIEF]:
                tell(f"wrong the {name} does not believe: {refused}")
        return made

    def _answered(self, made: set[str]) -> str:
        """Ring until both talk: who is busy may be too slow for a connection. Its id; all are `made`."""
        until_s = time.monotonic() + newcomer.PATIENCE_S
        talking = False
        while not talking:
            if time.monotonic() > until_s:
                raise TimeoutError(f"no talk comes about: {self._door.ask(call_log=3)}")
            until(self._door, lambda status: not status["calls"])
            before = latest(self._door)
            self._door.ask(press="call", gesture="press")
            while (call_id := latest(self._door)) == before:
                time.sleep(busydoor.LOOK_S)
            made.add(call_id)
            until(self._door, lambda status: in_talk(status) or not status["calls"])
            status = until(self._hall, lambda status: in_talk(status) or not status["calls"])
            talking = in_talk(status) and in_talk(self._door.ask(status=True))
        self._logged(self._door, call_id, lambda entry: entry["answered_by"])
        tell(f"talk {call_id}")
        self._logged(self._hall, call_id, lambda entry: entry["answered_at"])
        tell(f"heard {call_id}")
        entry = self._logged(self._door, call_id, lambda entry: entry["recording"])
        self._film = Path(entry["recording"])
        return call_id

    def _logged(
        self, one: Client, call_id: str, holds: Callable[[Mapping[str, Any]], Any]
    ) -> Mapping[str, Any]:
        """What the disk of that one has of the call, once that holds of it. Raises TimeoutError."""
        until_s = time.monotonic() + busydoor.PATIENCE_S
        while time.monotonic() < until_s:
            for entry in one.ask(call_log=3):
                if entry["call_id"] == call_id and holds(entry):
                    return dict(entry)
            time.sleep(UP_S)
        raise TimeoutError(f"the call log lacks something: {one.ask(call_log=3)}")

    @property
    def _things(self) -> list[Callable[[], object]]:
        """What may be done in a call."""
        on = self._dice.random() < 0.5
        return [
            lambda: self._door.ask(command="mute_audio", args={"muted": on}),
            lambda: self._hall.ask(command="mute_audio", args={"muted": on}),
            lambda: self._door.ask(command="pause_video", args={"paused": on}),
            lambda: self._door.ask(
                command="set_volume", args={"percent": self._dice.randint(0, 100)}
            ),
            lambda: next(self._numbers),
            self._opens,
        ]

    def _opens(self) -> None:
        """By the other station's keypad; its pulse goes on."""
        self._hall.ask(command="send_dtmf", args={"digits": OPEN})
        status = until(self._door, lambda status: "energized" in status["panel"]["relays"].values())
        call_id = status["call"]["call_id"]
        self._logged(self._door, call_id, lambda entry: entry["unlocked"])
        tell(f"opened {call_id}")

    def _films(self) -> None:
        """Tell what is on the disk of the recording, by its promise to be there piece after piece."""
        now_s, there = time.monotonic(), pieces(self._film) or 0
        synced = [n for at_s, n in self._seen if now_s - at_s > SYNCED_S and n < there]
        self._seen.append((now_s, there))
        if synced and synced[-1]:
            tell(f"film {self._film} {synced[-1]}")

    def _ends(self, call_id: str) -> None:
        self._dice.choice((self._door, self._hall)).ask(command="end_call", args={})
        for one in (self._door, self._hall):
            until(one, lambda status: not status["calls"])
        reason = self._logged(self._door, call_id, lambda entry: entry["reason"])["reason"]
        tell(f"ended {call_id} {reason}")
        until(self._door, lambda status: not status["media"]["recording"])
        told = [one["data"]["path"] for one in self._door.ask(recent=True) if is_stop(one)]
        if str(self._film) in told:
            tell(f"whole {self._film}")


def latest(one: Client) -> str:
    """The id of the call that has begun last; empty where there never was one."""
    return "".join(entry["call_id"] for entry in one.ask(call_log=1))


def in_talk(status: Mapping[str, Any]) -> bool:
    """Whether sound and pictures go to and fro."""
    call = status["call"]
    there = call["participants"] if call and call["state"] == "connected" else []
    return [one["state"] for one in there] == ["connected"]


def is_stop(event: Mapping[str, Any]) -> bool:
    """Whether a recording was closed."""
    return str(event["type"]).endswith(".recording_stopped")


if __name__ == "__main__":
    main()
