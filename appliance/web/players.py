"""The endpoints of players: WHEP, go2rtc's WebSocket, and a picture of now.

A player closes its socket once it is connected, and offers its microphone even if it only looks: neither
says anything about a view but its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMsgType, web

from appliance.errors import Refused
from appliance.messages import IceCandidate
from appliance.web.access import NO_STORE, Asker
from appliance.web.views import MAX_SDP_BYTES, View, Views

log = logging.getLogger(__name__)

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
MAX_SOCKETS = 16
MAX_FRAME_BYTES = 2 * MAX_SDP_BYTES
MAX_CANDIDATES = 64
STATUS = {
    "not_allowed": 403,
    "too_many_offers": 429,
    "too_many_viewers": 503,
    "stopping": 503,
    "no_camera": 503,
    "no_picture": 503,
    "unanswered": 503,
    "no_common_codec": 406,
}
"""Of refusals; what else is wrong with an offer is 400."""


def refused(refusal: Refused) -> web.Response:
    """What a refusal is over HTTP."""
    status = STATUS.get(refusal.code, 400)
    headers = dict(NO_STORE)
    if status in (429, 503):
        headers["Retry-After"] = "5"
    return web.Response(status=status, text=f"{refusal}\n", headers=headers)


class Players:
    """Serves who may look; whether one may was asked before."""

    def __init__(self, views: Views, opened: set[web.WebSocketResponse]) -> None:
        """`opened` are the sockets that end with the server."""
        self._views, self._opened = views, opened
        self._sockets = 0

    # -------------------- a picture

    async def snapshot(self) -> web.Response:
        """A JPEG of now."""
        try:
            picture = await self._views.picture()
        except Refused as refusal:
            return refused(refusal)
        return web.Response(body=picture, content_type="image/jpeg", headers=NO_STORE)

    # -------------------- WHEP

    async def whep(self, request: web.Request, asker: Asker) -> web.Response:
        """Begin a view: an offer comes, the answer goes (draft-ietf-wish-whep, section 4)."""
        if request.content_type != SDP:
            return _plain(415, f"An offer is {SDP}.")
        try:
            sdp = (await request.read()).decode()
        except UnicodeDecodeError:
            return _plain(400, "The offer is not UTF-8.")
        try:
            view, answer = await self._views.open(asker.uid, sdp)
        except Refused as refusal:
            return refused(refusal)
        self._bind(view, asker)
        where = {"Location": f"/whep/{view.id}", "Accept-Patch": FRAGMENT}
        headers: dict[str, str] = {**NO_STORE, **where}
        return web.Response(status=201, text=answer, content_type=SDP, headers=headers)

    async def trickle(self, request: web.Request, asker: Asker) -> web.Response:
        """Candidates behind the offer (RFC 8840)."""
        view = self._views.of(request.match_info["id"], asker.uid)
        if view is None:
            return _plain(404, "There is no such view.")
        if request.content_type != FRAGMENT:
            return _plain(415, f"Candidates are {FRAGMENT}.")
        text = (await request.read()).decode(errors="replace")
        try:
            for candidate in candidates_of(text):
                self._views.trickle(view, candidate)
        except Refused as refusal:
            return refused(refusal)
        return web.Response(status=204, headers=NO_STORE)

    async def end(self, request: web.Request, asker: Asker) -> web.Response:
        """End a view."""
        view = self._views.of(request.match_info["id"], asker.uid)
        if view is None:
            return _plain(404, "There is no such view.")
        self._views.close(view)
        return web.Response(status=200, headers=NO_STORE)

    def _bind(self, view: View, asker: Asker) -> None:
        """A view ends with the session that began it."""
        session = asker.session
        if session is None:
            log.info("somebody on this machine looks through the camera")
            return
        log.info("%s looks through the camera", session.uid)

        def end() -> None:
            self._views.close(view)

        def forget(*_: str) -> None:
            if end in session.on_over:
                session.on_over.remove(end)

        session.on_over.append(end)
        view.on_over.append(forget)
        if session.over:
            end()

    # -------------------- go2rtc's socket

    async def socket(self, request: web.Request, asker: Asker) -> web.StreamResponse:
        """Talk with a player of go2rtc's until it, or the session, ends."""
        if self._sockets >= MAX_SOCKETS:
            return _plain(503, "Too many players are connected.")
        self._sockets += 1
        player = web.WebSocketResponse(heartbeat=20, max_msg_size=MAX_FRAME_BYTES)
        try:
            await player.prepare(request)
            self._opened.add(player)
            async with asyncio.TaskGroup() as tasks:
                talk = _Talk(player, asker, self._views, self._bind)
                ending = tasks.create_task(talk.end_with_session(), name="player's session")
                await talk.run()
                ending.cancel()
        finally:
            self._opened.discard(player)
            self._sockets -= 1
        return player


class _Talk:
    """One socket: one view at a time."""

    def __init__(
        self,
        player: web.WebSocketResponse,
        asker: Asker,
        views: Views,
        bind: Callable[[View, Asker], None],
    ) -> None:
        self._player, self._asker, self._views, self._bind = player, asker, views, bind
        self._view: View | None = None
        self._over = asyncio.Event()
        self._ended: tuple[View, str] | None = None

    async def run(self) -> None:
        async for frame in self._player:
            if frame.type is not WSMsgType.TEXT:
                await self._player.close(code=WSCloseCode.UNSUPPORTED_DATA)
                break
            try:
                await self._take(frame.data)
            except Refused as refusal:
                # players give up a connection whose error names the offer
                await self._tell("error", f"webrtc/offer: {refusal}")

    async def _take(self, text: str) -> None:
        try:
            message = json.loads(text)
            kind, value = message["type"], message.get("value")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Refused("malformed", "this is no message of a player") from None
        match kind, value:
            case "webrtc/offer", str(sdp):
                await self._tell("webrtc/answer", await self._look(sdp))
            case "webrtc", {"type": "offer", "sdp": str(sdp)}:
                await self._tell("webrtc", {"type": "answer", "sdp": await self._look(sdp)})
            case "webrtc/candidate", str(candidate):
                self._trickle(candidate)
            case (("webrtc/offer" | "webrtc" | "webrtc/candidate"), _):
                raise Refused("malformed", "this is no offer, and no candidate")
            case _:
                await self._tell("error", f"{str(kind)[:40]}: only webrtc is spoken here")

    async def _look(self, sdp: str) -> str:
        if self._view is not None:  # one that tries anew
            self._views.close(self._view)
            self._view = None
        view, answer = await self._views.open(self._asker.uid, sdp)
        self._view = view
        view.on_over.append(lambda _, message: self._end(view, message))
        self._bind(view, self._asker)
        return answer

    def _trickle(self, candidate: str) -> None:
        if self._view is None:
            return
        # no player says for which section, since all are bundled
        one = IceCandidate(candidate, sdp_m_line_index=0) if candidate else None
        self._views.trickle(self._view, one)

    def _end(self, view: View, message: str) -> None:
        self._ended = (view, message)
        self._over.set()

    async def end_with_session(self) -> None:
        """Tell of a view's end; with its session the socket ends, too."""
        session = self._asker.session
        if session is not None:
            session.on_over.append(self._over.set)
        try:
            while session is None or not session.over:
                await self._over.wait()
                self._over.clear()
                if self._ended is not None and self._ended[0] is self._view:
                    self._view = None
                    await self._tell("error", f"webrtc/offer: {self._ended[1]}")
            await self._player.close(code=WSCloseCode.POLICY_VIOLATION)
        finally:
            if session is not None and self._over.set in session.on_over:
                session.on_over.remove(self._over.set)

    async def _tell(self, kind: str, value: Any) -> None:
        # expected: the player went away; the reader ends
        with contextlib.suppress(ClientConnectionResetError, ConnectionError):
            await self._player.send_json({"type": kind, "value": value})


def candidates_of(fragment: str) -> list[IceCandidate | None]:
    """The candidates of an SDP fragment. Raises Refused for more than anybody has."""
    found: list[IceCandidate | None] = []
    mid: str | None = None
    for line in fragment.splitlines():
        if line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:").strip()
        elif line.startswith("a=candidate:"):
            index = 0 if mid is None else None
            found.append(IceCandidate(line.removeprefix("a="), mid, index))
        elif line.startswith("a=end-of-candidates"):
            found.append(None)
        if len(found) > MAX_CANDIDATES:
            raise Refused("malformed", f"more than {MAX_CANDIDATES} candidates")
    return found


def _plain(status: int, sentence: str) -> web.Response:
    return web.Response(status=status, text=f"{sentence}\n", headers=NO_STORE)
