"""The device's own topics: what it is, what it does, what happens to it; and plain commands to it.

`<root>/device/<id>/…` of the interface: `availability` and `info` and `state/<thing>` are retained,
`event/…` and `doorbell` never are. A command is taken plain only where the configuration names it, and
signed from a contact with the right.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from appliance.calls.inputs import FaultReported, Input, LinkState
from appliance.commands import Command, parse_command
from appliance.config import Device, Mqtt
from appliance.errors import ApplianceError, Refused
from appliance.messages import Address
from appliance.model import Json
from appliance.nesting import MAX_DEPTH, too_deep
from appliance.trust.jws import is_sealed

log = logging.getLogger(__name__)

FAMILIES = {
    "SessionStatusListener": "session",
    "ParticipantEventListener": "participant",
    "MediaEventsListener": "media",
    "ButtonClickListener": "button",
    "LayoutListener": "layout",
    "CallListener": "call",
}
"""The level of an event's topic, by its listener."""

NEVER_PLAIN = ("generate_token", "start_session")
MAX_BYTES = 4096
JSON_IN_BASE64 = b"eyJ"
"""With this the header of a JWS begins; a plain text may well have two dots in it."""
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

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a message over; False where there is no link."""


class Connect(Protocol):
    """Makes the link: with its Last Will on one topic, listening to one filter."""

    def __call__(
        self,
        will_topic: str,
        topic_filter: str,
        on_state: Callable[[LinkState], None],
        on_message: Callable[[str, bytes, bool], None],
    ) -> Link:
        """A link that is not connected yet; its will is `offline`, retained."""


class Order(Protocol):
    """A signed command that is believed to be its sender's."""

    @property
    def args(self) -> Mapping[str, Any]:
        """The command's arguments."""

    @property
    def id(self) -> str:
        """Of the request, for the reply."""

    @property
    def client(self) -> str:
        """Below which `reply/` the answer goes."""

    @property
    def sender(self) -> Address:
        """Who gave it."""


Open = Callable[[str, bytes], Order | None]
"""Opens what came signed as the command of that name; None if it was taken before."""


def _no_orders(name: str, payload: bytes) -> Order | None:
    raise Refused("unverifiable", f"{name} is signed, and there are no keys here to verify it")


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
        open_order: Open = _no_orders,
        may: Callable[[str, str], bool] = lambda uid, command: False,
    ) -> None:
        """`status` gives the status object, `command` carries one out, `connect` makes the link.

        `public_key` is told for display; `open_order` verifies signed commands, of which `may` says
        whether that uid may give one of that name.
        """
        self._base = f"{mqtt.root}/device/{device.id}"
        self._plain = frozenset(mqtt.plain_commands) - frozenset(NEVER_PLAIN)
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
        self._command = command
        self._post = post
        self._open_order = open_order
        self._may = may
        self._link = connect(
            f"{self._base}/availability", f"{self._base}/command/+", self._state, self._arrived
        )
        self._told: dict[str, str] = {}
        self._connected = False
        self._leaving = False
        self._button: str | None = None
        self._due: asyncio.TimerHandle | None = None
        self._tasks = asyncio.TaskGroup()
        self._carrying_out: set[asyncio.Task[None]] = set()

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
        self._leaving = True
        for task in self._carrying_out:
            task.cancel()
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
        payload = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        self._link.publish(f"{self._base}/{topic}", payload, retain=retain)

    # -------------------- what is asked

    def _arrived(self, topic: str, payload: bytes, retained: bool) -> None:
        name = topic.rsplit("/", 1)[-1]
        if self._leaving:
            log.info("the command %s came while the appliance stops", name)
        elif retained:
            self._refuse("retained", f"a retained command {name} is a replay, not a request", topic)
        elif is_sealed(payload) and (name not in self._plain or payload.startswith(JSON_IN_BASE64)):
            self._signed_arrived(name, payload, topic)
        elif name not in self._plain:
            self._refuse("not_plain", f"{name} is not taken as a plain command", topic)
        elif len(payload) > MAX_BYTES:
            self._refuse("oversized", f"a command has at most {MAX_BYTES} bytes", topic)
        else:
            self._start(self._carry_out_plain(name, payload, topic))

    def _signed_arrived(self, name: str, payload: bytes, topic: str) -> None:
        """Take a signed command: what is not believed is told and counted, and not answered."""
        try:
            order = self._open_order(name, payload)
        except ApplianceError as fault:
            self._refuse(fault.code, f"{fault}.", topic)
            return
        if order is None:
            return
        if not self._may(order.sender.uid, name):
            message = f"{order.sender.uid} has no right to give the command {name}"
            self._refuse("not_allowed", message, topic)
            self._reply(order.client, order.id, _failed(name, "not_allowed", message))
            return
        self._start(self._carry_out(name, order.args, order.id, order.client, topic))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks.create_task(work)
        self._carrying_out.add(task)
        task.add_done_callback(self._carrying_out.discard)

    async def _carry_out_plain(self, name: str, payload: bytes, topic: str) -> None:
        try:
            arguments, request_id, client = _read(name, payload)
        except ValueError as error:
            self._refuse("bad_command", str(error), topic)
            self._reply("all", None, _failed(name, "bad_command", str(error)))
            return
        await self._carry_out(name, arguments, request_id, client, topic)

    async def _carry_out(
        self, name: str, arguments: Mapping[str, object], request_id: Json, client: str, topic: str
    ) -> None:
        reply: dict[str, Any] = {"name": name, "ok": True, "result": None}
        try:
            command = parse_command(name, arguments, texts=isinstance(arguments, _Texts))
            reply["result"] = await self._command(command, "mqtt")
        except (ApplianceError, ValueError) as error:
            code = getattr(error, "code", "bad_command")
            reply = _failed(name, code, str(error))
            if code == "bad_command":
                self._refuse(code, str(error), topic)
        except Exception as error:  # an edge does not take the appliance along
            log.exception("the command %s failed", name)
            reply = _failed(name, "failed", repr(error))
            self._refuse("failed", f"the command {name} failed: {error!r}", topic)
        self._reply(client, request_id, reply)

    def _reply(self, client: str, request_id: Json, reply: Mapping[str, Any]) -> None:
        self._publish(f"reply/{client}", {"id": request_id, **reply})

    def _refuse(self, code: str, message: str, topic: str) -> None:
        self._post(FaultReported(code, message, topic))


def _failed(name: str, code: str, message: str) -> dict[str, Any]:
    return {"name": name, "ok": False, "error": {"code": code, "message": message}}


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


class _Texts(dict[str, object]):
    """Arguments that came as one plain text."""


def _read(name: str, payload: bytes) -> tuple[dict[str, object], Json, str]:
    """Arguments, id and client of a command; raises ValueError with a sentence."""
    if not payload.strip():
        raise ValueError("an empty payload is no command; {} gives one without arguments")
    if too_deep(payload):
        raise ValueError(f"this is nested more than {MAX_DEPTH} deep")
    try:
        body = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = payload.decode("utf-8", "replace").strip()
        if body[:1] in ("", "{", "[", '"'):
            raise ValueError("this is neither JSON nor one plain value") from None
    if isinstance(body, dict):
        if not body.keys() & {"id", "client", "args"}:
            return body, None, "all"
        arguments = body.get("args") or {}
        client = body.get("client") or "all"
        if not isinstance(arguments, dict):
            raise ValueError("args is to be an object")
        if not isinstance(client, str) or not _is_id(client):
            raise ValueError("client is to be an id: up to 64 of a-z, 0-9, _ and -")
        request_id = body.get("id")
        if isinstance(request_id, bool) or not isinstance(request_id, str | int | float | None):
            raise ValueError("id is to be a text or a number")
        return arguments, request_id, client
    return _one_value(name, body), None, "all"


def _one_value(name: str, value: Json) -> dict[str, object]:
    """One plain value, for the command's first argument."""
    from appliance.commands import COMMANDS

    command = COMMANDS.get(name)
    arguments = command.arguments() if command else ()
    if not arguments:
        return {}
    if isinstance(value, str):
        return _Texts({arguments[0]: value})
    return {arguments[0]: value}


def _is_id(text: str) -> bool:
    return 0 < len(text) <= 64 and all(
        one.isascii() and (one.isalnum() or one in "_-") for one in text
    )
