"""The composition root: what the appliance is made of, in the order in which it comes alive.

Buttons, LEDs and the core first: a press is answered before anything of the network is even imported.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from appliance import __version__
from appliance.bus import Bus
from appliance.calls.engine import Engine
from appliance.calls.inputs import FaultReported, LinkState
from appliance.calls.situation import situation
from appliance.calls.state import Moment, State
from appliance.config import Config
from appliance.deciding import Deciding
from appliance.errors import ApplianceError
from appliance.panel.board import Board
from appliance.policy import hold_of, policy_of
from appliance.reporting.log import write as write_log
from appliance.service import journal, systemd
from appliance.session import CallSession
from appliance.socket_path import listening_path, only_one

if TYPE_CHECKING:
    from appliance.media.studio import Studio
    from appliance.reporting.conversation import Conversation
    from appliance.reporting.socket import LocalSocket
    from appliance.web.demo import Demo
    from appliance.web.server import WebServer

    Converse = Callable[[Callable[[Mapping[str, Any]], None]], Conversation]
    MakeDemo = Callable[["Appliance", Converse], Demo]

log = logging.getLogger(__name__)


class Appliance:
    """One running appliance; made by `running`, which owns everything in it."""

    def __init__(self, config: Config) -> None:
        """Put the parts together; nothing runs and nothing is claimed yet."""
        if config.mqtt.username is None:  # the broker knows a device by its id
            config = replace(config, mqtt=replace(config.mqtt, username=config.device.id))
        self.config = config
        self.bus = Bus(config.device.id, on_failure=self._listener_failed)
        self.engine = Engine(policy_of(config), self.bus, context=journal.call_context)
        self.board = Board(
            config.device.board,
            panel=config.panel,
            buttons={
                name: replace(button, hold=hold_of(button, config))
                for name, button in config.buttons.items()
            },
            leds=config.leds,
            relays=config.relays,
            inputs=config.inputs,
            post=self.engine.post,
        )
        self.session = CallSession(
            self.engine,
            self.bus,
            now=_now,
            device={
                "id": config.device.id,
                "name": config.device.name,
                "version": __version__,
                "board": config.device.board,
            },
            parts={"panel": self.board.status, "media": self._media_status},
        )
        self.studio: Studio | None = None
        self.page: str | None = None
        self.rejected: Mapping[str, int] = {}

    def _media_status(self) -> Mapping[str, Any]:
        return self.studio.status() if self.studio else {}

    def _listener_failed(self, where: str, message: str) -> None:
        self.engine.post(FaultReported("listener_failed", message, where))

    def show(self, state: State) -> None:
        """Let the panel and systemd show what the device is about."""
        self.board.show(situation(state))
        call = state.active
        doing = "no media yet" if self.studio is None else call.state if call else "idle"
        systemd.show(f"broker {state.link}, {doing}")


def _now() -> Moment:
    from datetime import UTC, datetime

    return Moment(asyncio.get_running_loop().time(), datetime.now(UTC), "")


# -------------------- coming alive


@asynccontextmanager
async def running(
    config: Config,
    *,
    socket_path: Path | None = None,
    websocket_url: str | None = None,
    demo: MakeDemo | None = None,
    on_alive: Callable[[], None] = lambda: None,
) -> AsyncIterator[Appliance]:
    """A whole appliance for as long as the block lasts; its end ends calls first.

    `websocket_url` is where pages reach the broker, if not where [mqtt] says; `demo` makes the door
    pane of the page, for a simulated board. `on_alive` is called when buttons and LEDs are; the block
    begins when it can take calls too.
    """
    appliance = Appliance(config)
    engine, bus, board = appliance.engine, appliance.bus, appliance.board
    engine.bind()
    loop = asyncio.get_running_loop()
    path = socket_path or listening_path()
    async with AsyncExitStack() as stack:
        stack.enter_context(only_one(path))  # before anything of a running one is touched
        stack.callback(loop.set_exception_handler, loop.get_exception_handler())
        loop.set_exception_handler(_orphans(engine))
        await stack.enter_async_context(bus)
        bus.sinks.append(write_log)
        deciding = Deciding(bus, appliance.session.call_of, engine.post)
        engine.attach(await stack.enter_async_context(deciding))
        await stack.enter_async_context(board)
        engine.attach(board)
        engine.observers.append(appliance.show)
        appliance.show(engine.state)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        core = tasks.create_task(engine.run())
        on_alive()

        await _signaling(appliance, stack)  # it connects in a thread, while media is imported
        await _media(appliance, stack)
        await _device_topics(appliance, stack)
        local = await _local_socket(appliance, stack, path)
        await _page(appliance, stack, local, websocket_url, demo)
        stack.push_async_callback(_end, engine, core)
        yield appliance


async def _media(appliance: Appliance, stack: AsyncExitStack) -> None:
    from appliance.media.studio import Studio

    config = appliance.config
    studio = Studio(config.media, config.cameras, config.audio, appliance.engine.post)
    await studio.load()
    appliance.studio = await stack.enter_async_context(studio)
    appliance.engine.attach(studio)
    appliance.show(appliance.engine.state)


async def _signaling(appliance: Appliance, stack: AsyncExitStack) -> None:
    from appliance.signaling.link import MqttSignaling

    config = appliance.config
    signaling = MqttSignaling(
        config.device, config.mqtt, config.security, config.contacts, appliance.engine.post
    )
    await stack.enter_async_context(signaling)
    appliance.engine.attach(signaling)
    appliance.rejected = signaling.rejected


async def _device_topics(appliance: Appliance, stack: AsyncExitStack) -> None:
    from appliance.reporting.mqtt import DeviceTopics
    from appliance.signaling.base import Publication, Subscription
    from appliance.signaling.mqtt import MqttLink

    config = appliance.config

    def connect(
        will_topic: str,
        topic_filter: str,
        on_state: Callable[[LinkState], None],
        on_message: Callable[[str, bytes, bool], None],
    ) -> MqttLink:
        return MqttLink(
            config.mqtt,
            f"{config.device.id}-device",
            on_state=on_state,
            on_message=on_message,
            # the signaling link goes to the same broker, and has told of it already
            on_fault=lambda code, message: log.debug("%s: %s", code, message),
            will=Publication(will_topic, b"offline", retain=True),
            subscriptions=[Subscription(topic_filter, retained=False)],
        )

    topics = DeviceTopics(
        config.device,
        config.mqtt,
        version=__version__,
        capabilities=_capabilities(config),
        status=appliance.session.status,
        command=appliance.session.command,
        post=appliance.engine.post,
        connect=connect,
    )
    await stack.enter_async_context(topics)
    appliance.bus.sinks.append(topics.see)
    appliance.engine.observers.append(lambda _: topics.changed())


def _capabilities(config: Config) -> list[str]:
    video = ["video"] if config.cameras else []
    return ["audio", *video, *(f"relay:{name}" for name in config.relays)]


async def _local_socket(appliance: Appliance, stack: AsyncExitStack, path: Path) -> LocalSocket:
    from appliance.reporting.socket import LocalSocket

    press = appliance.board.press if appliance.config.device.board == "simulated" else None
    local = LocalSocket(path, appliance.session, press, recent=appliance.bus.recent, locked=True)
    return await stack.enter_async_context(local)


async def _page(
    appliance: Appliance,
    stack: AsyncExitStack,
    local: LocalSocket,
    websocket_url: str | None,
    demo: MakeDemo | None,
) -> None:
    # 0.1 s of imports, for which no call has to wait
    web = await asyncio.to_thread(importlib.import_module, "appliance.web.server")
    from appliance.reporting.metrics import Metrics

    config = appliance.config
    engine = appliance.engine
    metrics = Metrics(
        appliance.session.status,
        inbox_dropped=lambda: engine.dropped,
        rejected=appliance.rejected,
    )
    appliance.bus.sinks.append(metrics.see)
    server: WebServer = web.WebServer(
        config.device,
        config.mqtt,
        config.http,
        status=appliance.session.status,
        registry=metrics.registry,
        websocket_url=websocket_url,
        demo=demo(appliance, local.converse) if demo else None,
    )
    try:
        await stack.enter_async_context(server)
    except ApplianceError as error:
        if demo is not None:
            raise
        # a door that rings without its page is better than none
        log.warning("the page is not served: %s", error)
        appliance.engine.post(FaultReported("page_not_served", str(error), "http"))
    else:
        appliance.page = server.url


async def _end(engine: Engine, core: asyncio.Task[None]) -> None:
    """End every call, then the core; the edges close behind it."""
    engine.stop()
    await core


def _orphans(engine: Engine) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Errors of tasks that nobody owns (aiortc starts some) are told, not lost."""

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.error("on the loop: %s", context.get("message"), exc_info=error)
        engine.post(FaultReported("loop", f"{context.get('message')}: {error!r}"))

    return handler


# -------------------- the entry points


def run(config: Config) -> int:
    """The daemon, until SIGTERM or SIGINT; the exit status."""
    return asyncio.run(_serve(config))


async def _serve(config: Config) -> int:
    stop = stopped_by_signal()
    async with (
        running(config, on_alive=_tell_alive) as appliance,
        asyncio.TaskGroup() as tasks,
    ):
        log.info("ready; the page: %s", appliance.page or "not served")
        feeding = tasks.create_task(_feed_watchdog())
        await stop.wait()
        log.info("stopping")
        systemd.stopping()
        feeding.cancel()
    return 0


def _tell_alive() -> None:
    systemd.ready("buttons and LEDs are alive")


async def _feed_watchdog() -> None:
    interval_s = systemd.watchdog_interval_s()
    while interval_s is not None:
        systemd.alive()
        await asyncio.sleep(interval_s)


def stopped_by_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
