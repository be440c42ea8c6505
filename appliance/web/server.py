"""The appliance's HTTP server: the page and its files, what a program asks for, and players' endpoints.

It decides nothing about calls: the page is a phone, and talks with the appliance over the broker.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import WSCloseCode, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest

from appliance.config import Device, Http, Mqtt
from appliance.errors import ApplianceError, ConfigError
from appliance.model import CallSettings, Json, Right
from appliance.trust.contacts import Contacts
from appliance.web.access import NO_STORE, Access, Asker, is_from_elsewhere
from appliance.web.connections import Connections
from appliance.web.demo import Demo, serve_screen, serve_socket, serve_sound
from appliance.web.files import PageFile, read_files, respond
from appliance.web.guard import Guard, is_loopback, security_headers
from appliance.web.players import Players
from appliance.web.sessions import Sessions
from appliance.web.tls import Tls
from appliance.web.views import Views

log = logging.getLogger(__name__)
requests_log = logging.getLogger(f"{__name__}.requests")
"""Of what cannot even be answered; see `_faults_of_ours`."""

SHUTDOWN_TIMEOUT_S = 2.0
SWEEP_EVERY_S = 60.0
SAID_FOR = timedelta(days=30)
KEEP_ALIVE_S = 30.0
"""How long a connection stays after an answer, and how long the next request may take to come."""
LINGER_S = 5.0
"""How long the rest of a body that was refused is read."""
BODY_S = 20.0
"""How long a body may take to come."""
MAX_BODY_BYTES = 64 * 1024
AT_THIS_MACHINE = "page"
"""Who uses TURN servers without a login."""
PREFLIGHT = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, PATCH, DELETE",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Content-Type",
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",
}
"""What pages of an origin that is let in may ask for."""


def shown(settings: CallSettings) -> dict[str, Any]:
    """What a page does as the settings of calls say: how it arranges people, and which controls it has."""
    container = settings.main_video_container
    return {
        "layout": settings.layout,
        "main_video": settings.main_video,
        "main_video_container": {
            name: getattr(container, name) for name in container.__struct_fields__
        },
        "avatar_mode": settings.avatar_mode,
        "enable_video_tile_drag": settings.enable_video_tile_drag,
        "enable_video_tile_click": settings.enable_video_tile_click,
        "enabled_controls": list(settings.enabled_controls),
    }


class WebServer:
    """Serves while inside the `async with`; entering raises ConfigError or ApplianceError."""

    def __init__(
        self,
        device: Device,
        mqtt: Mqtt,
        http: Http,
        *,
        status: Callable[[], Mapping[str, Any]],
        registry: CollectorRegistry | None = None,
        websocket_url: str | None = None,
        mqtt_version: int = 4,
        unsigned: Literal["refuse", "allow"] = "allow",
        settings: CallSettings | None = None,
        demo: Demo | None = None,
        contacts: Contacts | None = None,
        views: Views | None = None,
        tls_folder: Path | None = None,
        ice_servers: Callable[[str], list[dict[str, Json]]] = lambda uid: [],
    ) -> None:
        """Keep what to serve.

        `status` gives the `status` object; `websocket_url` is where pages reach the broker, if not
        where [mqtt] says; `mqtt_version` is what they speak to it (4 is MQTT 3.1.1, or 5); `unsigned`
        is whether a page that is not paired is of any use; of
        `settings` the page takes what is about its own screen; `demo` goes with a simulated board
        only. `contacts` may log in; without `views` nobody looks through the camera. In `tls_folder` is
        the device's own certificate authority, if it has one. `ice_servers` are those that a page of
        somebody may use; it is called in a thread.
        """
        self._device = device
        self._mqtt = mqtt
        self._http = http
        self._status = status
        self._registry = registry or CollectorRegistry()
        closed = Counter(
            "appliance_page_connections_closed",
            "Connections to the page that were too many or asked for nothing",
            ["reason"],
            registry=self._registry,
        )
        self._connections = Connections(lambda reason: closed.labels(reason).inc())
        self._websocket_url = websocket_url or mqtt.websocket_url
        self._mqtt_version = mqtt_version
        self._unsigned = unsigned
        self._settings = settings or CallSettings()
        self._demo = demo
        self._contacts = contacts or Contacts({})
        self._views = views
        self._tls_folder = tls_folder
        self._ice_servers = ice_servers
        self._tls: Tls | None = None
        self._access: Access | None = None
        self._files: dict[str, PageFile] = {}
        self._sockets: set[web.WebSocketResponse] = set()
        self._guard: Guard | None = None
        self._headers = security_headers(self._websocket_url, http.origins)
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._tls = await asyncio.to_thread(Tls.of, self._http, self._tls_folder, self._device.name)
        if self._demo and not (is_loopback(self._http.host) and self._device.board == "simulated"):
            fault = (
                "the demo presses buttons for whoever asks: for loopback and a simulated board only"
            )
            raise ConfigError([f"http.host: {fault}"])
        self._files = read_files()
        if "/vendor/mqtt.esm.js" not in self._files:
            log.warning(
                "the page lacks mqtt.js and cannot call: python -m appliance.web.vendor brings it"
            )
        requests_log.addFilter(_faults_of_ours)
        runner = web.AppRunner(
            self._application(),
            logger=requests_log,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=LINGER_S,
        )
        async with AsyncExitStack() as undo:
            try:
                listening = await self._connections.listen(self._http.host, self._http.port)
            except OSError as error:
                where = f"{self._http.host}, port {self._http.port}"
                raise ApplianceError(
                    f"The web server cannot listen on {where}: {error.strerror}."
                ) from error
            for sock in listening:
                undo.callback(sock.close)
            await runner.setup()
            undo.push_async_callback(runner.cleanup)
            context = self._tls.context if self._tls else None
            for sock in listening:
                await web.SockSite(runner, sock, ssl_context=context).start()
            self._guard = Guard.of(self._http, runner.addresses[0][1], tls=context is not None)
            sessions = Sessions(self._contacts)
            undo.callback(sessions.close)
            self._access = Access(self._http, self._guard, self._contacts, sessions)
            tasks = await undo.enter_async_context(asyncio.TaskGroup())
            keeping = [tasks.create_task(_sweep(sessions), name="web sessions")]
            if self._tls is not None:
                keeping.append(tasks.create_task(self._tls.keep_fresh(), name="web certificate"))
            for task in keeping:
                undo.callback(task.cancel)
            self._exit = undo.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection, and listen no more."""
        await self._exit.aclose()

    @property
    def url(self) -> str:
        """The page's address, as this machine's browser can open it."""
        if self._guard is None:
            raise ApplianceError("The web server does not listen yet.")
        host = "localhost" if is_loopback(self._http.host) else self._http.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - every address: then by name
            host = f"{socket.gethostname().lower().partition('.')[0]}.local"
        elif ":" in host:
            host = f"[{host}]"
        return f"{self._guard.scheme}://{host}:{self._guard.port}/"

    @property
    def authority(self) -> dict[str, str] | None:
        """What a phone has to trust for this page, where it is of this device's own: `url`, `sha256`."""
        fingerprint = self._tls.authority_fingerprint if self._tls else None
        if fingerprint is None:
            return None
        return {"url": f"{self.url}ca.crt", "sha256": fingerprint}

    def _application(self) -> web.Application:
        """The routes, and what stands around all of them."""
        application = web.Application(middlewares=[self._check], client_max_size=MAX_BODY_BYTES)
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/ca.crt", self._authority)
        if self._http.security_contact is not None:
            application.router.add_get("/.well-known/security.txt", self._security)
        application.router.add_get("/login", self._challenge)
        application.router.add_post("/login", self._login)
        application.router.add_post("/logout", self._logout)
        application.router.add_get("/client.json", self._known(self._client))
        application.router.add_get("/ice_servers.json", self._known(self._relays))
        application.router.add_get("/metrics", self._known(self._metrics))
        if self._views is not None:
            players = Players(self._views, self._sockets)
            looking = partial(self._known, right=Right.VIEW)
            application.router.add_get(
                "/snapshot.jpg", looking(lambda *_: players.snapshot()), allow_head=False
            )
            application.router.add_get("/api/ws", looking(players.socket), allow_head=False)
            application.router.add_post("/whep", looking(players.whep))
            application.router.add_patch("/whep/{id}", looking(players.trickle))
            application.router.add_delete("/whep/{id}", looking(players.end))
        if self._demo:
            application.router.add_get("/demo/socket", self._demo_socket)
            application.router.add_get("/demo/screen.jpg", self._demo_screen)
            application.router.add_get("/demo/sounds/{name}.wav", self._demo_sound)
        application.router.add_get("/{path:.*}", self._file)
        application.on_response_prepare.append(self._add_headers)
        application.on_shutdown.append(self._close_sockets)
        return application

    def _known(
        self,
        serve: Callable[[web.Request, Asker], Awaitable[web.StreamResponse]],
        right: Right | None = None,
    ) -> Handler:
        """What is only for who is known, and has the `right`."""

        async def served(request: web.Request) -> web.StreamResponse:
            assert self._access is not None
            asker = self._access.asker(request)
            refusal = self._access.refusal(asker, right)
            if refusal is not None:
                return refusal
            assert asker is not None
            return await serve(request, asker)

        return served

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in whom the guard knows."""
        self._connections.has_asked(request.transport)
        if self._guard is None:
            return web.Response(status=503, text="Not yet.\n", headers=NO_STORE)
        if not _can_be_said(request):
            return web.Response(status=400, text="A header is not UTF-8.\n", headers=NO_STORE)
        ours = request.get_extra_info("sockname")
        refusal = self._guard.refusal(
            request.headers.get(hdrs.HOST),
            request.headers.get(hdrs.ORIGIN),
            ours[0] if ours else None,
        )
        if (
            refusal is None
            and request.path not in self._files
            and is_from_elsewhere(request.headers)
        ):
            refusal = "Another page made this browser ask; http.origins can let it in."
        if refusal is not None:
            return web.Response(status=403, text=f"{refusal}\n", headers=NO_STORE)
        if hdrs.CONTENT_ENCODING in request.headers:  # little that becomes much
            sentence = "A body is to come as it is, without a Content-Encoding.\n"
            return web.Response(status=415, text=sentence, headers=NO_STORE)
        if request.method == hdrs.METH_OPTIONS and self._guard.lets_in(
            request.headers.get(hdrs.ORIGIN)
        ):
            return web.Response(status=204, headers=PREFLIGHT)
        try:
            async with asyncio.timeout(BODY_S):
                await request.read()  # it is kept for who asks again
        except TimeoutError:
            sentence = "The body does not come.\n"
            return web.Response(status=408, text=sentence, headers=NO_STORE)
        except web.RequestPayloadError:
            sentence = "The body does not come as the headers said.\n"
            return web.Response(status=400, text=sentence, headers=NO_STORE)
        try:
            return await handler(request)
        except web.RequestPayloadError:
            sentence = "The body does not come as the headers said.\n"
            return web.Response(status=400, text=sentence, headers=NO_STORE)

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(self._headers)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and self._guard is not None and self._guard.lets_in(origin):
            # its pages may read what they may ask for; cookies do not come along (SameSite)
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = "Location"
            response.headers[hdrs.VARY] = "Origin"
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    async def _close_sockets(self, application: web.Application) -> None:
        del application
        for opened in set(self._sockets):
            await opened.close(code=WSCloseCode.GOING_AWAY)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file = self._files.get(request.path)
        if file is None:
            return web.Response(status=404, text="There is nothing here.\n", headers=NO_STORE)
        return respond(request, file)

    async def _client(self, request: web.Request, asker: Asker) -> web.StreamResponse:
        """What a page has to know to be a phone; never a credential."""
        del request, asker
        known = {
            "device_id": self._device.id,
            "name": self._device.name,
            "root": self._mqtt.root,
            "websocket_url": self._websocket_url,
            "mqtt_version": self._mqtt_version,
            "unsigned": self._unsigned,
            "settings": shown(self._settings),
            **(self._demo.client_keys() if self._demo else {}),
        }
        return web.json_response(known, headers=NO_STORE)

    async def _relays(self, request: web.Request, asker: Asker) -> web.StreamResponse:
        """Which servers a phone may ask for a way, and what lets it in for a day: for who may talk."""
        del request
        assert self._access is not None
        refusal = self._access.refusal(asker, Right.ANSWER)
        if refusal is not None:
            refusal = self._access.refusal(asker, Right.CALL)
        if refusal is not None:
            return refusal
        servers = await asyncio.to_thread(self._ice_servers, asker.uid or AT_THIS_MACHINE)
        return web.json_response({"ice_servers": servers}, headers=NO_STORE)

    async def _health(self, request: web.Request) -> web.StreamResponse:
        """That the loop turns; a broker that is away is told, and is no illness of this process."""
        del request
        return web.json_response(
            {"status": "ok", "mqtt": self._status().get("mqtt")}, headers=NO_STORE
        )

    async def _security(self, request: web.Request) -> web.StreamResponse:
        """Whom to tell of a fault in this device (RFC 9116); as long as it is said here it is good."""
        del request
        expires = (datetime.now(UTC) + SAID_FOR).replace(microsecond=0)
        text = f"Contact: {self._http.security_contact}\nExpires: {expires:%Y-%m-%dT%H:%M:%SZ}\n"
        return web.Response(text=text, headers=NO_STORE)

    async def _authority(self, request: web.Request) -> web.StreamResponse:
        """The certificate of this device's own authority, for a phone to trust."""
        del request
        pem = self._tls.authority_pem if self._tls else None
        if pem is None:
            return web.Response(status=404, text="There is no such authority.\n", headers=NO_STORE)
        return web.Response(body=pem, content_type="application/x-x509-ca-cert", headers=NO_STORE)

    async def _challenge(self, request: web.Request) -> web.StreamResponse:
        del request
        assert self._access is not None
        return self._access.challenge()

    async def _login(self, request: web.Request) -> web.StreamResponse:
        assert self._access is not None
        return await self._access.login(request)

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        assert self._access is not None
        return self._access.logout(request)

    async def _metrics(self, request: web.Request, asker: Asker) -> web.StreamResponse:
        del request, asker
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={**NO_STORE, hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST})

    async def _demo_socket(self, request: web.Request) -> web.StreamResponse:
        assert self._demo is not None
        return await serve_socket(request, self._demo, self._sockets)

    async def _demo_screen(self, request: web.Request) -> web.StreamResponse:
        del request
        assert self._demo is not None
        response = await serve_screen(self._demo)
        response.headers.update(NO_STORE)
        return response

    async def _demo_sound(self, request: web.Request) -> web.StreamResponse:
        assert self._demo is not None
        response = await serve_sound(self._demo, request.match_info["name"])
        response.headers.update(NO_STORE)
        return response


def _can_be_said(request: web.Request) -> bool:
    """Whether the headers are UTF-8: other bytes come as surrogates, which no answer can hold.

    Cookies may be other programs' of the same host, and are said to nobody.
    """
    try:
        for name, value in request.headers.items():
            if name.title() != hdrs.COOKIE:
                value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _faults_of_ours(record: logging.LogRecord) -> bool:
    """Whether a log record of aiohttp's is about a fault of this program.

    A request that cannot be read has its answer, a 400; thirty lines of log for each would be a way to
    fill a disk.
    """
    error = record.exc_info[1] if record.exc_info else None
    theirs = web.RequestPayloadError | HttpProcessingError | ConnectionError
    return not isinstance(error, theirs)


async def _sweep(sessions: Sessions) -> None:
    """End sessions that have lasted for long enough, though nobody asks any more."""
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        sessions.sweep()
