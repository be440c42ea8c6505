"""A command from each outlet: a finger, a program on the socket, the command line, the broker, Python."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from appliance.actions import parse_action
from appliance.commands import parse_command
from appliance.config import Config
from appliance.errors import Refused
from appliance.model import Gesture
from appliance.session import CallSession
from tests.conformance.outlets import BrokerClient, Item, SocketClient

PROJECT = Path(__file__).parents[2]


class Outlets(Protocol):
    """Where commands can be given."""

    session: CallSession
    socket: SocketClient
    mqtt: BrokerClient
    folder: Path
    buttons: dict[tuple[str, str], tuple[str, str]]

    async def press(self, button: str, gesture: str = "press") -> None:
        """A finger on a button."""


async def from_button(outlets: Outlets, name: str, args: Item) -> None:
    """Press what is bound to it; nobody waits for an answer."""
    await outlets.press(*outlets.buttons[name, json.dumps(args, sort_keys=True)])


async def from_socket(outlets: Outlets, name: str, args: Item) -> Any:
    """As any program on this device."""
    return _result(await outlets.socket.ask(command=name, args=args))


async def from_ctl(outlets: Outlets, name: str, args: Item) -> Any:
    """As typed at a shell."""
    words = [
        f"{key}={one if isinstance(one, str) else json.dumps(one)}" for key, one in args.items()
    ]
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "appliance", "ctl", name, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=PROJECT,
        env={**os.environ, "APPLIANCE_SOCKET": str(outlets.folder / "appliance.sock")},
    )
    out, err = await program.communicate()
    if program.returncode:
        raise Refused("ctl", err.decode().strip())
    return json.loads(out)


async def from_mqtt(outlets: Outlets, name: str, args: Item) -> Any:
    """As a plain command."""
    return _result(await outlets.mqtt.ask(name, args))


async def from_python(outlets: Outlets, name: str, args: Item) -> Any:
    """By the method of that name, with the types that it has."""
    command = parse_command(name, args)
    arguments = {field: getattr(command, field) for field in args}
    return await getattr(outlets.session, name)(**arguments)


GIVE: dict[str, Callable[[Outlets, str, Item], Awaitable[Any]]] = {
    "button": from_button,
    "socket": from_socket,
    "ctl": from_ctl,
    "mqtt": from_mqtt,
    "python": from_python,
}


def command_buttons(config: Config) -> dict[tuple[str, str], tuple[str, str]]:
    """Which gesture on which button gives a command, by its name and its arguments as JSON."""
    found = {}
    for button, section in config.buttons.items():
        for gesture in Gesture:
            text = getattr(section, gesture.value)
            command = parse_action(text).command if text else None
            if command is not None:
                names = [field for field in command.arguments() if f"{field}=" in text]
                given = {field: getattr(command, field) for field in names}
                found[command.NAME, json.dumps(given, sort_keys=True)] = (button, gesture.value)
    return found


def _result(answer: Item) -> Any:
    if answer["ok"]:
        return answer["result"]
    raise Refused(answer["error"]["code"], answer["error"]["message"])
