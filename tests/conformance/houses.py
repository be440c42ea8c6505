"""The houses of the conformance test: how each differs from the one in `house.toml`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from appliance.config import Button, Camera, Config, Contact, Http, load
from appliance.media.base import Devices
from appliance.media.synthetic import CardCamera, ToneMicrophone
from appliance.model import AudioMode, Right
from appliance.trust.keys import DeviceKey
from tests.conformance.outlets import STEWARD
from tests.parts.breakable import BreakableCamera, BreakableMicrophone
from tests.parts.mosquitto import free_port
from tests.parts.steward import UID

ERIN, FRED = DeviceKey.make(), DeviceKey.make()
"""Keys of somebody who may look, and of somebody who may call."""

HOUSE = Path(__file__).parent / "house.toml"

WRONG = (
    "unlock relay=attic",
    "set_volume percent=140",
    "set_audio_mode mode=bluetooth",
    "send_custom_event name=a/b",
    "generate_token session_id=0123456789abcdef0123456789abcdef uid=nobody",
    "set_do_not_disturb on=true until=2001-01-01",
    "start_session token=no-token",
    "initiate_call receiver=nobody",
)
"""What is refused whenever it is asked for."""


def bare(config: Config) -> Config:
    """One camera, one loudspeaker, a screen that nobody may touch, calls that wait, and buttons that
    ask for what there is not.
    """
    buttons = {name: one for name, one in config.buttons.items() if name.startswith("commands")}
    for at, (press, hold) in enumerate(zip(WRONG[::2], WRONG[1::2], strict=True), 3):
        buttons[f"wrong_{at}"] = Button(
            f"GPIO{at}", press=f"command:{press}", hold=f"command:{hold}", hold_s=0.6
        )
    return replace(
        config,
        buttons=buttons,
        cameras={"front": config.cameras["front"]},
        audio={AudioMode.SPEAKER: config.audio[AudioMode.SPEAKER]},
        contacts={
            **config.contacts,
            "erin": Contact(keys=(ERIN.public,), may=(Right.VIEW,)),
            "fred": Contact(keys=(FRED.public,), may=(Right.CALL,)),
        },
        http=replace(config.http, login="always"),
        call=replace(
            config.call,
            call_waiting=True,
            enable_video_tile_click=False,
            enable_video_tile_drag=False,
        ),
    )


def quiet(config: Config) -> Config:
    """The quiet hours are now."""
    now = datetime.now().astimezone()
    begin, end = now - timedelta(hours=1), now + timedelta(hours=1)
    hours = f"{begin:%H:%M}-{end:%H:%M}"
    return replace(
        config, call=replace(config.call, quiet_hours=hours, enabled_controls=("leave",))
    )


def broken(config: Config) -> Config:
    """Its rear camera has a name that there is not."""
    return replace(config, cameras={**config.cameras, "rear": Camera("attic")})


def same(config: Config) -> Config:
    """As it stands there."""
    return config


HOUSES: dict[str, Callable[[Config], Config]] = {
    "house": same,
    "commanded": same,
    "bare": bare,
    "quiet": quiet,
    "broken": broken,
    "offline": same,
    "stopping": same,
}


def standins(name: str) -> dict[str, Any]:
    """What stands in for the devices of a house."""
    if name != "broken":
        return {}
    camera = BreakableCamera(CardCamera(160, 90, 10, 150))
    return {"devices": Devices(camera=camera, microphone=BreakableMicrophone(ToneMicrophone()))}


def config_of(house: str, port: int) -> Config:
    """The configuration of a house, with its broker, and its page on a free port."""
    config = load(HOUSE, {})
    mqtt = replace(config.mqtt, host="127.0.0.1", port=port)
    contacts = {**config.contacts, UID: STEWARD.contact}
    whole = replace(config, mqtt=mqtt, contacts=contacts, http=Http(port=free_port()))
    return HOUSES[house](whole)


def is_awake(name: str) -> bool:
    """Whether its broker runs when it begins."""
    return name != "offline"
