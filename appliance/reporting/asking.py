"""What the device is asked over MQTT: plain commands and signed ones, and where the answer goes.

A command is taken plain only where the configuration names it, and signed from a contact with the
right. What is retained is a replay, and what is not believed is not answered. Each source that can be told
apart has a share (`shares.py`), and so many commands under way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from appliance.calls.inputs import FaultReported, Input
from appliance.commands import COMMANDS, Command, parse_command
from appliance.errors import ApplianceError, Refused
from appliance.limits import TokenBucket
from appliance.messages import Address
from appliance.model import Json
from appliance.nesting import MAX_DEPTH, too_deep
from appliance.reporting.shares import JSON_IN_BASE64, NOBODY, Shares
from appliance.trust.jws import is_sealed

log = logging.getLogger(__name__)

NEVER_PLAIN = ("generate_token", "start_session")
MAX_BYTES = 4096
UNDER_WAY_OF_EACH = 16
"""How many commands of one source may wait to be carried out."""
COUNTED_S = 0.5
"""So much later is counted what was left out before it reached the loop."""
TOLD_RATE_PER_S, TOLD_BURST = 2.0, 20.0
"""How many refusals are told of one command; all are counted."""


class Return(Protocol):
    """Where who asked wants the answer (MQTT 5)."""

    @property
    def topic(self) -> str:
        """The response topic."""

    @property
    def correlation(self) -> bytes | None:
        """What is to go along with it."""


OnRequest = Callable[[str, bytes, bool, Return | None], None]
"""Topic, payload, whether it was retained, and where an answer is wanted."""


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


def no_orders(name: str, payload: bytes) -> Order | None:
    """Where nothing signed can be verified; raises Refused."""
    raise Refused("unverifiable", f"{name} is signed, and there are no keys here to verify it")


class Publish(Protocol):
    """Hands an answer to the broker."""

    def __call__(self, topic: str, body: Mapping[str, Any], correlation: bytes | None) -> None:
        """On that whole topic, as JSON, with the mark of what it answers."""


class Asking:
    """Takes commands; `close` it before whoever owns `tasks` ends."""

    def __init__(
        self,
        base: str,
        plain_commands: tuple[str, ...],
        *,
        command: Callable[[Command, str], Awaitable[Json]],
        post: Callable[[Input], None],
        publish: Publish,
        tasks: asyncio.TaskGroup,
        open_order: Open = no_orders,
        may: Callable[[str, str], bool] = lambda uid, command: False,
        shares: Shares | None = None,
        refused: Counter[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`base` is the device's topic, `clock` monotonic; for the others see `DeviceTopics`."""
        self._base = base
        self._plain = frozenset(plain_commands) - frozenset(NEVER_PLAIN)
        self._command = command
        self._post = post
        self._publish = publish
        self._open_order = open_order
        self._may = may
        self._tasks = tasks
        self._shares = Shares(self._plain) if shares is None else shares
        self._refused: Counter[str] = Counter() if refused is None else refused
        self._clock = clock
        self._closing = False
        self._carrying_out: dict[asyncio.Task[None], str] = {}
        """And whose they are."""
        self._counting: asyncio.TimerHandle | None = None
        self._telling: dict[str, TokenBucket] = {}
        self._untold: Counter[str] = Counter()

    def close(self) -> None:
        """Take no command any more, and wait for none."""
        self._closing = True
        if self._counting is not None:
            self._counting.cancel()
        for task in self._carrying_out:
            task.cancel()

    def arrived(
        self, topic: str, payload: bytes, retained: bool, wanted: Return | None = None
    ) -> None:
        """Something came on a command's topic; `wanted` is where its sender wants the answer."""
        name = topic.rsplit("/", 1)[-1]
        if self._closing:
            log.info("the command %s came while the appliance stops", name)
            return
        self._count_soon()
        source = self._shares.source_of(topic, payload)
        if not self._shares.take(source, self._clock()):
            message = f"more commands come than are taken ({_of(source)})"
            self._refuse("flooded", message, topic if source else f"{self._base}/command/+")
            return
        answer_to = self._believed(wanted, topic)
        if retained:
            self._refuse("retained", f"a retained command {name} is a replay, not a request", topic)
        elif is_sealed(payload) and (name not in self._plain or payload.startswith(JSON_IN_BASE64)):
            self._signed_arrived(name, payload, topic, answer_to)
        elif name not in self._plain:
            self._refuse("not_plain", f"{name} is not taken as a plain command", topic)
        elif len(payload) > MAX_BYTES:
            self._refuse("oversized", f"a command has at most {MAX_BYTES} bytes", topic)
        else:
            self._start(source, topic, self._carry_out_plain(name, payload, topic, answer_to))

    # -------------------- how much

    def _count_soon(self) -> None:
        """Each command may be the last before others are left out."""
        if self._counting is None:
            loop = asyncio.get_running_loop()
            self._counting = loop.call_later(COUNTED_S, self._count_what_was_left_out)

    def _count_what_was_left_out(self) -> None:
        """What never came here was refused, and is told as if it had."""
        self._counting = None
        left_out = self._shares.left_out()
        for source, number in left_out.items():
            self._refused["flooded"] += number - 1
            message = f"{number} commands came too fast to be looked at ({_of(source)})"
            name = source.replace(",", " ").partition(" ")[0] or "+"
            self._refuse("flooded", message, f"{self._base}/command/{name}")
        if left_out:
            self._count_soon()

    def _believed(self, wanted: Return | None, topic: str) -> Return | None:
        """A response topic below the device's own `reply/`; any other would let others write as it."""
        if wanted is None:
            return None
        below = f"{self._base}/reply/"
        if wanted.topic.startswith(below) and _is_id(wanted.topic.removeprefix(below)):
            return wanted
        message = f"a response topic is one below {below}, not {wanted.topic[:200]!r}"
        self._refuse("bad_response_topic", message, topic)
        return None

    def _signed_arrived(
        self, name: str, payload: bytes, topic: str, answer_to: Return | None
    ) -> None:
        """Take a signed command: what is not believed is told and counted, and not answered."""
        try:
            order = self._open_order(name, payload)
        except ApplianceError as fault:  # who opens it has counted it
            self._tell(fault.code, f"{fault}.", topic)
            return
        if order is None:
            return
        if not self._may(order.sender.uid, name):
            message = f"{order.sender.uid} has no right to give the command {name}"
            self._refuse("not_allowed", message, topic)
            reply = {"id": order.id, **_failed(name, "not_allowed", message)}
            self._reply(order.client, reply, answer_to)
            return
        asked = _Asked(order.args, order.id, order.client, topic, answer_to)
        source = f"{name} of {order.sender.uid}"
        self._start(source, topic, self._carry_out(name, asked))

    def _start(self, source: str, topic: str, work: Coroutine[Any, Any, None]) -> None:
        """Beside the others; one source has only so many under way, so that it leaves room for them."""
        if list(self._carrying_out.values()).count(source) >= UNDER_WAY_OF_EACH:
            work.close()
            message = f"{UNDER_WAY_OF_EACH} commands are under way already ({source})"
            self._refuse("flooded", message, topic)
            return
        task = self._tasks.create_task(work)
        self._carrying_out[task] = source
        task.add_done_callback(self._carrying_out.pop)

    async def _carry_out_plain(
        self, name: str, payload: bytes, topic: str, answer_to: Return | None
    ) -> None:
        try:
            arguments, request_id, client = _read(name, payload)
        except ValueError as error:
            self._refuse("bad_command", str(error), topic)
            reply = {"id": None, **_failed(name, "bad_command", str(error))}
            self._reply("all", reply, answer_to)
            return
        await self._carry_out(name, _Asked(arguments, request_id, client, topic, answer_to))

    async def _carry_out(self, name: str, asked: _Asked) -> None:
        reply: dict[str, Any] = {"name": name, "ok": True, "result": None}
        try:
            texts = isinstance(asked.arguments, _Texts)
            command = parse_command(name, asked.arguments, texts=texts)
            reply["result"] = await self._command(command, "mqtt")
        except (ApplianceError, ValueError) as error:
            code = getattr(error, "code", "bad_command")
            reply = _failed(name, code, str(error))
            if code == "bad_command":
                self._refuse(code, str(error), asked.topic)
        except Exception as error:  # an edge does not take the appliance along
            log.exception("the command %s failed", name)
            reply = _failed(name, "failed", repr(error))
            self._refuse("failed", f"the command {name} failed: {error!r}", asked.topic)
        self._reply(asked.client, {"id": asked.request_id, **reply}, asked.answer_to)

    def _reply(self, client: str, reply: Mapping[str, Any], answer_to: Return | None) -> None:
        topic = f"{self._base}/reply/{client}" if answer_to is None else answer_to.topic
        correlation = None if answer_to is None else answer_to.correlation
        self._publish(topic, reply, correlation)

    def _refuse(self, code: str, message: str, topic: str) -> None:
        self._refused[code] += 1
        self._tell(code, message, topic)

    def _tell(self, code: str, message: str, topic: str) -> None:
        """Report a refusal; a flood of them is told in brief, command by command."""
        now_s = self._clock()
        name = topic.rsplit("/", 1)[-1]
        name = name if name in COMMANDS else NOBODY  # of made up ones there is no end
        bucket = self._telling.get(name)
        if bucket is None:
            bucket = TokenBucket.full(TOLD_RATE_PER_S, TOLD_BURST, now_s)
        self._telling[name] = bucket
        if not bucket.take(now_s):
            self._untold[name] += 1
            return
        untold = self._untold.pop(name, 0)
        more = f"; {untold} more were refused before it" if untold else ""
        self._post(FaultReported(code, message + more, topic))


class _Asked(NamedTuple):
    """What is known of a command beside its name."""

    arguments: Mapping[str, object]
    request_id: Json
    client: str
    topic: str
    answer_to: Return | None


def _of(source: str) -> str:
    return source or "neither taken plain, nor signed by a key that is known"


def _failed(name: str, code: str, message: str) -> dict[str, Any]:
    return {"name": name, "ok": False, "error": {"code": code, "message": message}}


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
