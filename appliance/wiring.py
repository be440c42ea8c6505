"""How each edge is joined to the core: one function for each, in the order in which they come alive.

Each takes the appliance and a stack that owns what it opens. What is slow to import is imported here,
when it is wanted, so that buttons and LEDs have long been alive.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from appliance import __version__, relaying
from appliance.accounts import Following, SocketAccounts
from appliance.calls.effects import Sound
from appliance.calls.inputs import ContactsChanged, FaultReported, LinkState
from appliance.calls.state import DoNotDisturb, State
from appliance.calls.viewing import view_of
from appliance.config import Config, Prompts
from appliance.deciding import Deciding
from appliance.errors import ApplianceError, Refused
from appliance.messages import Message
from appliance.plugins import Plugins
from appliance.policy import contact_policies
from appliance.reporting.calllog import CallLog
from appliance.service import addresses, heap, pressure, suspend
from appliance.service.memory import Kept, Memory

if TYPE_CHECKING:
    from appliance.app import Appliance
    from appliance.inviting import Page
    from appliance.media.feeding import FrameEncoder
    from appliance.media.studio import Studio
    from appliance.reporting.conversation import Conversation
    from appliance.reporting.socket import LocalSocket
    from appliance.screen.screen import Screen
    from appliance.trust.contacts import Contacts
    from appliance.web.demo import Demo
    from appliance.web.server import WebServer

    Converse = Callable[[Callable[[Mapping[str, Any]], None]], Conversation]
    MakeDemo = Callable[["Appliance", Converse], Demo]

log = logging.getLogger(__name__)

OWN_FRAMES_HZ = 5
"""How often a screen is given this device's own picture, which stands in its corner."""


async def deciding(appliance: Appliance, stack: AsyncExitStack) -> None:
    """Whoever decides about a hang-up, and about the return to idle."""
    edge = Deciding(appliance.bus, appliance.session.call_of, appliance.engine.post)
    appliance.engine.attach(await stack.enter_async_context(edge))


async def remembered(appliance: Appliance, stack: AsyncExitStack) -> None:
    """What the run before has left: its calls, and what was switched; before the core begins."""
    engine, config = appliance.engine, appliance.config
    calls = CallLog(
        config.call_log,
        appliance.snapshot,
        engine.post,
        doors=[name for name, relay in config.relays.items() if relay.on is None],
    )
    memory = Memory(appliance.folder / "memory.json", engine.post)
    await stack.enter_async_context(memory)
    appliance.calls = await stack.enter_async_context(calls)
    appliance.bus.sinks.append(calls.see)
    kept = memory.kept
    quiet = DoNotDisturb(kept.until, kept.scheduled) if kept.do_not_disturb else None
    engine.state = replace(
        engine.state,
        missed=calls.missed(),
        do_not_disturb=quiet,
        quiet_overruled=kept.quiet_overruled,
        volumes=kept.volumes,
    )
    engine.observers.append(lambda state: memory.keep(_kept(state)))
    engine.observers.append(lambda state: calls.watch(state.relays, state.missed))


def _kept(state: State) -> Kept:
    quiet = state.do_not_disturb
    return Kept(
        do_not_disturb=quiet is not None,
        until=quiet.until if quiet else None,
        scheduled=quiet is not None and quiet.scheduled,
        quiet_overruled=state.quiet_overruled,
        volumes=dict(state.volumes),
    )


async def screen(appliance: Appliance, stack: AsyncExitStack) -> None:
    """The display, if there is one: it follows the state."""
    from appliance.screen.screen import Screen

    config, engine = appliance.config, appliance.engine
    language = config.prompts.language
    display = Screen(config.screen, config.device.name, engine.post, language=language)
    appliance.screen = await stack.enter_async_context(display)
    if config.screen.kind != "none":
        engine.observers.append(lambda state: _show(appliance, state))
        _show(appliance, engine.state)


def _show(appliance: Appliance, state: State) -> None:
    assert appliance.screen is not None
    appliance.screen.show_view(view_of(appliance.engine.policy, state, appliance.now()))


async def hooks(appliance: Appliance, stack: AsyncExitStack, path: Path) -> None:
    """Programs that are started for events."""
    if appliance.config.hooks.directory is None:
        return
    from appliance.reporting.hooks import Hooks

    folder = Path(appliance.config.hooks.directory)
    started = Hooks(folder, path, appliance.engine.post)
    appliance.bus.sinks.append((await stack.enter_async_context(started)).see)


async def plugins(appliance: Appliance, stack: AsyncExitStack) -> None:
    """Python modules that are given the session."""
    modules = appliance.config.plugins.modules
    loaded = Plugins(modules, appliance.session, appliance.bus, appliance.engine.post)
    await stack.enter_async_context(loaded)


async def media(appliance: Appliance, stack: AsyncExitStack) -> None:
    """Microphone, camera, loudspeaker and connections."""
    from appliance.media.studio import Studio

    config, display = appliance.config, appliance.screen
    shown = None if config.screen.kind == "none" else display
    studio = Studio(
        config.media,
        config.cameras,
        config.audio,
        appliance.engine.post,
        recording=config.recording,
        volumes=appliance.engine.state.volumes,
        pictures=shown,
        screen_source=None if shown is None else await _shared(shown, config, stack),
        devices=appliance.devices,
        forbidden=appliance.board.capture_forbidden,
        board=config.device.board,
        prompts=config.prompts,
        uid=config.device.id,
    )
    try:
        await studio.load()
    except Exception as error:  # a door that rings and opens is better than none
        log.exception("there is no media in this run")
        studio.do_without(error)
    appliance.board.capturing = studio.may_see_or_hear
    appliance.studio = await stack.enter_async_context(studio)
    if studio.sounding is not None:
        appliance.sound.attach(studio.sounding)
    appliance.engine.attach(studio)
    appliance.moved.append(studio.moved)
    appliance.show(appliance.engine.state)
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    tasks.create_task(_make_sounds(appliance), name="sounds")
    if shown is not None:
        showing = tasks.create_task(_show_own(shown, studio), name="own picture")
        stack.callback(showing.cancel)


async def _make_sounds(appliance: Appliance) -> None:
    """Before the first is heard, and without anybody waiting for it."""
    try:
        lasts_s = await asyncio.to_thread(_lengths, appliance.config.prompts)
    except Exception:  # where media is missing there are no sounds, and everything else goes on
        log.exception("how long the sounds are is not known")
    else:
        appliance.board.sounds_last(lasts_s)


def _lengths(prompts: Prompts) -> dict[Sound, float]:
    from appliance.media.sounds import lengths

    return lengths(prompts.language, spoken=prompts.spoken, directory=prompts.directory)


async def senses(appliance: Appliance, stack: AsyncExitStack, root: Path | None) -> None:
    """Heat, supply, sleep, memory and addresses; `root` is /sys, None where that is another's."""
    tasks = await stack.enter_async_context(asyncio.TaskGroup())

    def moved(gone: frozenset[str]) -> None:
        for tell in appliance.moved:
            tell(gone)

    watches = [
        ("sleep", suspend.watch(appliance.engine.post)),
        ("addresses", addresses.watch(moved)),
    ]
    if root is not None:
        watches.append(
            ("pressure", pressure.watch(appliance.engine.post, root, seen=appliance.vitals.note))
        )
    if trim := heap.trimmer():
        needed = heap.Heap()
        appliance.engine.observers.append(lambda state: needed.observe(bool(state.calls)))
        watches.append(("heap", needed.watch(trim)))
    for name, watch in watches:
        stack.callback(tasks.create_task(watch, name=name).cancel)


async def _show_own(display: Screen, studio: Studio) -> None:
    async for frame in studio.own_frames(OWN_FRAMES_HZ):
        if frame is not None:
            display.own(frame)


async def _shared(display: Screen, config: Config, stack: AsyncExitStack) -> FrameEncoder:
    """What the screen shows, as something that can be shared."""
    feeding = await asyncio.to_thread(importlib.import_module, "appliance.media.feeding")
    size = (config.screen.width, config.screen.height)
    encoder: FrameEncoder = feeding.FrameEncoder(
        *size, config.screen.framerate, config.media.bitrate_kbps
    )
    stack.callback(display.subscribe(encoder.feed))
    return encoder


async def signaling(appliance: Appliance, stack: AsyncExitStack) -> None:
    """Messages between endpoints, over the broker, signed and believed as the contacts have it."""
    from appliance.inviting import Inviting
    from appliance.signaling.link import MqttSignaling
    from appliance.signaling.marks import mark_of
    from appliance.signaling.mqtt import MqttLink
    from appliance.signaling.pairing import Pairing
    from appliance.signaling.trust import KeyTrust

    config, contacts, engine = appliance.config, appliance.contacts, appliance.engine
    first_seq = await asyncio.to_thread(_prepare_to_sign, appliance)
    appliance.mark = await asyncio.to_thread(mark_of, appliance.key, appliance.folder)
    unsigned = config.security.unsigned
    seen = await _keeping(contacts, stack)
    key = appliance.key
    pairing = None if key is None else Pairing(config.device.id, key, contacts)
    signaling = MqttSignaling(
        config.device,
        config.mqtt,
        config.security,
        contacts,
        engine.post,
        connect=partial(MqttLink, config.mqtt, mark=appliance.mark),
        trust=KeyTrust(appliance.key, contacts, unsigned),
        first_seq=first_seq,
        believed=seen,
        pairing=pairing,
    )
    await stack.enter_async_context(signaling)
    stack.callback(appliance.heartbeats.watch("broker", signaling.held_up_s))
    engine.attach(signaling)
    appliance.rejected = signaling.rejected
    appliance.open_order = signaling.take_order
    appliance.moved.append(signaling.moved)

    def changed(revoked: frozenset[str]) -> None:
        known = contact_policies(contacts.all(), unsigned)
        engine.post(ContactsChanged(known, signaling.signed_by(revoked)))
        signaling.follow_contacts()
        signaling.revoked(revoked)

    stack.callback(contacts.watch(changed))
    if (socket := config.mqtt.accounts_socket) is not None:
        appliance.accounts = SocketAccounts(Path(socket))
        await stack.enter_async_context(Following(appliance.accounts, contacts))
    if key is not None and pairing is not None:
        inviting = Inviting(
            config.device,
            config.mqtt,
            key,
            contacts,
            pairing,
            configured=config.contacts,
            groups=config.groups,
            page=lambda: _page_of(appliance),
            websocket_url=appliance.websocket_url,
            accounts=appliance.accounts,
            screen=lambda link: appliance.screen.show_code(link) if appliance.screen else None,
        )
        appliance.invite = (await stack.enter_async_context(inviting)).invite


async def _page_of(appliance: Appliance) -> Page:
    """Where it is served, or can be."""
    from appliance.inviting import Page

    return Page(None) if appliance.find_page is None else await appliance.find_page()


def _prepare_to_sign(appliance: Appliance) -> int:
    """Have this device's key, if it can be had, and the number of its first message. Blocks."""
    from appliance.signaling.sequence import first_number
    from appliance.trust.keys import DeviceKey, KeyUnusable

    try:
        appliance.key = DeviceKey.load_or_make(appliance.folder)
    except KeyUnusable as fault:  # a door that rings and opens is better than none
        log.error("nothing is signed in this run: %s", fault)  # noqa: TRY400 - it says all
        appliance.engine.post(FaultReported(fault.code, f"{fault}.", "device.key"))
    return first_number(appliance.folder, time.time_ns() // 1_000_000)


def warn_of_keyless(appliance: Appliance) -> None:
    """Whoever was never paired is a mistake of the owner's, or one that is still to come."""
    if appliance.config.security.unsigned == "refuse":
        for uid, contact in appliance.contacts.all().items():
            if not contact.keys:
                log.warning("%s has no key: neither rung nor believed until it is paired", uid)


async def _keeping(contacts: Contacts, stack: AsyncExitStack) -> Callable[[str], None]:
    """Whom to tell that a key was believed: when each was last seen is kept, seldom and at the end."""
    due = asyncio.Event()
    tasks = await stack.enter_async_context(asyncio.TaskGroup())

    async def keep() -> None:
        try:
            await contacts.keep()
        except OSError as error:
            log.warning("when contacts were last seen cannot be kept: %s", error)

    async def keep_when_due() -> None:
        while True:
            await due.wait()
            due.clear()
            await keep()

    keeper = tasks.create_task(keep_when_due(), name="last seen")
    stack.push_async_callback(keep)
    stack.callback(keeper.cancel)

    def believed(kid: str) -> None:
        if contacts.seen(kid):
            due.set()

    return believed


async def device_topics(appliance: Appliance, stack: AsyncExitStack) -> None:
    """What the house is told over MQTT, and may ask plainly."""
    from appliance.reporting.asking import OnRequest
    from appliance.reporting.mqtt import DeviceTopics
    from appliance.reporting.shares import Shares
    from appliance.signaling.base import Publication, Subscription
    from appliance.signaling.mqtt import MqttLink
    from appliance.trust.rights import right_for

    config = appliance.config
    shares = Shares(config.mqtt.plain_commands, appliance.contacts.has_key)

    def connect(
        will_topic: str,
        topic_filter: str,
        on_state: Callable[[LinkState], None],
        on_request: OnRequest,
    ) -> MqttLink:
        link = MqttLink(
            config.mqtt,
            f"{config.device.id}-device",
            mark=appliance.mark,
            on_state=on_state,
            on_message=lambda topic, payload, retained: on_request(topic, payload, retained, None),
            on_request=on_request,
            # the signaling link goes to the same broker, and has told of it already
            on_fault=lambda code, message: log.debug("%s: %s", code, message),
            will=Publication(will_topic, b"offline", retain=True),
            # with QoS 1 a flood would fill the broker's queue, which then drops what others ask
            subscriptions=[Subscription(topic_filter, retained=False, qos=0, lets=shares.lets)],
        )
        appliance.moved.append(link.moved)
        stack.callback(appliance.heartbeats.watch("device topics", link.held_up_s))
        return link

    topics = DeviceTopics(
        config.device,
        config.mqtt,
        version=__version__,
        capabilities=_capabilities(config),
        status=appliance.session.status,
        command=appliance.session.command,
        post=appliance.engine.post,
        connect=connect,
        public_key=appliance.key.public if appliance.key else None,
        open_order=appliance.open_order,
        may=lambda uid, name: right_for(name) in appliance.contacts.may(uid),
        shares=shares,
        refused=appliance.rejected,
    )
    await stack.enter_async_context(topics)
    appliance.bus.sinks.append(topics.see)
    appliance.engine.observers.append(lambda _: topics.changed())


def _capabilities(config: Config) -> list[str]:
    video = ["video"] if config.cameras else []
    return ["audio", *video, *(f"relay:{name}" for name in config.relays)]


async def local_socket(appliance: Appliance, stack: AsyncExitStack, path: Path) -> LocalSocket:
    """What programs on this device work with."""
    from appliance.reporting.socket import LocalSocket

    simulated = appliance.config.device.board == "simulated"
    assert appliance.calls is not None
    local = LocalSocket(
        path,
        appliance.session,
        appliance.board.press if simulated else None,
        plug=appliance.plug if simulated else None,
        recent=appliance.bus.recent,
        call_log=appliance.calls.kept,
        contacts=appliance.contacts,
        invite=appliance.invite,
        locked=True,
    )
    return await stack.enter_async_context(local)


async def page(
    appliance: Appliance,
    stack: AsyncExitStack,
    local: LocalSocket,
    demo: MakeDemo | None,
) -> None:
    """The page and its endpoints; without them the device rings all the same."""
    # 0.1 s of imports, for which no call has to wait
    web = await asyncio.to_thread(importlib.import_module, "appliance.web.server")
    from appliance.opening import Opening
    from appliance.reporting.metrics import Metrics
    from appliance.trust.authority import FOLDER, lacks_authority
    from appliance.web.views import Views

    config, folder = appliance.config, appliance.folder / FOLDER
    waits = lacks_authority(config.http, folder)
    engine = appliance.engine
    metrics = Metrics(
        appliance.session.status,
        inbox_dropped=lambda: engine.dropped,
        rejected=appliance.rejected,
    )
    appliance.bus.sinks.append(metrics.see)
    views = Views(engine.post, appliance.snapshot, _check_message)
    engine.attach(views)
    server: WebServer = web.WebServer(
        config.device,
        config.mqtt,
        replace(config.http, local_ca=config.http.local_ca or waits),
        status=appliance.session.status,
        registry=metrics.registry,
        websocket_url=appliance.websocket_url,
        unsigned=config.security.unsigned,
        settings=config.call,
        demo=demo(appliance, local.converse) if demo else None,
        contacts=appliance.contacts,
        views=views,
        tls_folder=folder,
        ice_servers=lambda uid: relaying.told(config.media.ice_servers, uid, time.time()),
    )

    def opened(url: str) -> None:
        appliance.page = url

    def failed(error: ApplianceError) -> None:
        # a door that rings without its page is better than none
        log.warning("the page is not served: %s", error)
        engine.post(FaultReported("page_not_served", str(error), "http"))

    opening = await stack.enter_async_context(Opening(server, opened, failed))
    appliance.find_page = opening.place
    if waits:
        log.info(
            "the page is opened when a phone is invited: `appliance pair` makes this device's own"
            " certificate authority then"
        )
        return
    try:
        await opening.open()
    except ApplianceError as error:
        if demo is not None:
            raise
        failed(error)


def _check_message(message: Message) -> None:
    """What comes over HTTP is looked at as what comes over the broker. Raises Refused."""
    from appliance.signaling.descriptions import check_descriptions
    from appliance.signaling.rejected import Rejected

    try:
        check_descriptions(message)
    except Rejected as fault:
        raise Refused(fault.code, str(fault)) from None
