"""The device's own topics: what it is, what it does, what happens to it; and plain commands to it.

`<root>/device/<id>/…` of the interface: `availability` and `info` and `state/<thing>` are retained,
`event/…` and `doorbell` never are. A command is taken plain only where the configuration names it, and
signed from a contact with the right.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from appliance.calls.inputs import Input, LinkState
from appliance.commands import Command
from appliance.config import Device, Mqtt
from appliance.model import Json
from appliance.reporting.asking import Asking, OnRequest, Open, no_orders
from appliance.reporting.shares import Shares

FAMILIES = {
    "SessionStatusListener": "session",
    "ParticipantEventListener": "participant",
    "MediaEventsListener": "media",
    "ButtonClickListener": "button",
    "LayoutListener": "layout",
    "CallListener": "call",
}
"""The level of an event's topic, by its listener."""

SOON_S = 0.05


class Link(Protocol):
    """What is needed of a connection to the broker."""

    async def __aenter__(self) -> Self:
        """Begin to connect."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish the will, disconnect."""

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        correlation: bytes | None = None,
    ) -> bool:
        """Hand a message over; False where there is no link."""


class Connect(Protocol):
    """Makes the link: with its Last Will on one topic, listening to one filter."""

    def __call__(
        self,
        will_topic: str,
        topic_filter: str,
        on_state: Callable[[LinkState], None],
        on_request: OnRequest,
    ) -> Link:
        """A link that is not connected yet; its will is `offline`, retained."""


class DeviceTopics:
    """Publishes the device's topics and takes its commands; an async context manager."""

    def __init__(
        self,
        device: Device,
        mqtt: Mqtt,
        *,
        version: str,
        capabilities: Sequence[str],
        status: Callable[[], Mapping[str, Any]],
        command: Callable[[Command, str], Awaitable[Json]],
        post: Callable[[Input], None],
        connect: Connect,
        public_key: str | None = None,
        open_order: Open = no_orders,
        may: Callable[[str, str], bool] = lambda uid, command: False,
        shares: Shares | None = None,
        refused: Counter[str] | None = None,
    ) -> None:
        """`status` gives the status object, `command` carries one out, `connect` makes the link.

        `public_key` is told for display; `open_order` verifies signed commands, of which `may` says
        whether that uid may give one of that name. `shares` says how much is taken of whom, `refused`
        counts what is not, by its code.
        """
        self._base = f"{mqtt.root}/device/{device.id}"
        self._info = {
            "v": 1,
            "name": device.name,
            "version": version,
            "board": device.board,
            "uid": device.id,
            "public_key": public_key,
            "capabilities": list(capabilities),
        }
        self._status = status
        self._tasks = asyncio.TaskGroup()
        self._asking = Asking(
            self._base,
            mqtt.plain_commands,
            command=command,
            post=post,
            publish=self._answer,
            tasks=self._tasks,
            open_order=open_order,
            may=may,
            shares=shares,
            refused=refused,
        )
        self._link = connect(
            f"{self._base}/availability",
            f"{self._base}/command/+",
            self._state,
            self._asking.arrived,
        )
        self._told: dict[str, str] = {}
        self._connected = False
        self._button: str | None = None
        self._due: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        await self._tasks.__aenter__()
        await self._link.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say that the device is offline, and disconnect."""
        self._asking.close()
        self.refresh()
        await self._link.__aexit__(kind, error, trace)
        self._forget_due()
        await self._tasks.__aexit__(kind, error, trace)

    # -------------------- what is told

    def see(self, item: Mapping[str, Any]) -> None:
        """Publish one event, as a sink of the bus; one that finds no link is not kept."""
        name = item["type"].removeprefix("appliance.")
        self._publish(f"event/{FAMILIES[item['family']]}/{name}", item)
        button, self._button = self._button, None
        if name == "call_button_clicked":
            self._button = item["data"]["button"]  # of the call that follows at once, if one does
        elif name == "outgoing_call_started":
            ring = {
                "event_type": "ring",
                "button": button,
                "call_id": item["subject"],
                "time": item["time"],
            }
            self._publish("doorbell", ring)

    def changed(self) -> None:
        """Publish soon what of the state has changed: behind the call that changed it, not before."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(SOON_S, self.refresh)

    def refresh(self) -> None:
        """Publish what of the state has changed."""
        self._forget_due()
        if not self._connected:
            return
        for thing, value in states(self._status()).items():
            if self._told.get(thing) != value:
                self._told[thing] = value
                self._link.publish(f"{self._base}/state/{thing}", value.encode(), retain=True)

    def _forget_due(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _state(self, state: LinkState) -> None:
        self._connected = state is LinkState.CONNECTED
        self._told.clear()
        if self._connected:
            self._publish("info", self._info, retain=True)
            self._link.publish(f"{self._base}/availability", b"online", retain=True)
            self.refresh()

    def _publish(self, topic: str, body: Mapping[str, Any], *, retain: bool = False) -> None:
        self._link.publish(f"{self._base}/{topic}", _json(body), retain=retain)

    def _answer(self, topic: str, body: Mapping[str, Any], correlation: bytes | None) -> None:
        self._link.publish(topic, _json(body), correlation=correlation)


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def states(status: Mapping[str, Any]) -> dict[str, str]:
    """The `state/<thing>` topics that a status means."""
    media, panel = status["media"], status["panel"]
    failures = status["failures"]
    call = status["call"]
    camera = "paused" if media.get("video_paused") else "on"
    found = {
        "call": call["state"] if call else "idle",
        "microphone": "muted" if media.get("audio_muted") else "on",
        "camera": "failed" if "camera" in failures else camera,
        "audio_mode": str(media.get("audio_mode", "speaker")),
        "do_not_disturb": "on" if status["do_not_disturb"] else "off",
        "health": json.dumps(
            {"failures": failures, "faults": status["faults"]}, separators=(",", ":")
        ),
    }
    for kind in ("relay", "input"):
        for name, value in panel.get(f"{kind}s", {}).items():
            if value is not None:  # its pin has failed: nothing is known about it
                found[f"{kind}_{name}"] = str(value)
    return found
