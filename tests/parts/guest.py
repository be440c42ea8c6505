"""An independent participant of sessions of several: it believes the host's list, joins, answers, obeys.

Written from the documented messages, like the phone that it is; nothing of this project's code is in it.
What it does by itself is what every endpoint has to do; the rest a test tells it to do.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from tests.parts.asking import ask_again
from tests.parts.links import Film, Link, Voice, Where, only_h264
from tests.parts.pen import Pen
from tests.parts.phone import PATIENCE_S, Message, Phone, closed

ATTEMPT_S = 5.0
"""An attempt at another connection that is older has failed: its answer was to another one, or is lost."""
MUTED_BY_HOST = ("mute", "unmute")


class Host(Protocol):
    """What lets others into a session of a guest's."""

    async def admit(self, message: Message, sender: Where) -> None:
        """Somebody shows a token."""


class Guest(Phone):
    """One endpoint of one person, that takes part in sessions of several."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hertz, self.loudness = 880.0, 8000
        self.colour: tuple[int, int, int] | None = None
        """Of the pictures that it sends; None: it sends none."""
        self.offers_screen = True
        self.wrong_fingerprint = False
        """Its descriptions name the certificate of somebody else."""
        self.agrees = True
        """To video, and to be unmuted."""
        self.obliges = True
        """It replaces a connection when it is asked to."""
        self.muted = False
        self.on_hold: set[Where] = set()
        """Who holds this guest."""
        self.links: dict[Where, Link] = {}
        self.listed: list[Message] = []
        self.version = -1
        self.session_id = ""
        self.hosted: Host | None = None
        self._unheard: list[Message] = []
        self._gone = False
        self._over: set[str] = set()
        self._early: dict[Where, Message] = {}
        self._to_do: asyncio.Queue[Message | None] = asyncio.Queue()
        self._working = self._loop.create_task(self._work(), name=f"guest {self.uid}")
        self.failures: list[str] = []

    # -------------------- what it does by itself

    def _heard(self, message: Message) -> None:
        if not self._gone:
            self._to_do.put_nowait(message)

    async def _work(self) -> None:
        while (message := await self._to_do.get()) is not None and not self._gone:
            react = getattr(self, f"_on_{message['type']}", None)
            if react is None:
                continue
            try:
                await react(message, (message["from"], message["endpoint"]))
            except Exception as error:
                self.failures.append(f"{message['type']} from {message['from']}: {error!r}")

    async def _on_participants(self, message: Message, sender: Where) -> None:
        body = message["body"]
        if body["version"] <= self.version or self.hosted is not None:
            return
        if message["call_id"] in self._over:  # it was on its way when this guest left
            return
        self.version, self.session_id = body["version"], body["session_id"]
        self.listed = body["participants"]
        places = [(one["uid"], one["endpoint"]) for one in self.listed]
        for where in [where for where in self.links if where not in places]:
            await self.drop(where)
        me = (self.uid, self.endpoint)
        if me in places:
            for where in places[: places.index(me)]:
                if where not in self.links:
                    await self._join_with(where, message["call_id"])
        for where in [where for where in self._early if where in places]:
            await self._let_in(self._early.pop(where), where)

    async def _join_with(self, where: Where, call_id: str) -> None:
        link = self._open(where, call_id, offers=True)
        self._add_sections(link)
        await self.write(where, "join", call_id, {"offer": await self._offer_of(link)})

    async def _on_join(self, message: Message, sender: Where) -> None:
        if message["body"].get("token") is not None:
            if self.hosted is not None:
                await self.hosted.admit(message, sender)
        elif self.hosted is not None or sender in self._places():
            await self._let_in(message, sender)
        else:
            self._early[sender] = message

    async def _let_in(self, message: Message, sender: Where) -> None:
        await self.drop(sender)
        link = self._open(sender, message["call_id"], offers=False)
        answer = await self._answer_to(link, message["body"]["offer"])
        body = {"answer": answer, "generation": 1}
        await self.write(sender, "answer", message["call_id"], body)

    async def _on_answer(self, message: Message, sender: Where) -> None:
        link = self.links.get(sender)
        if link is not None and message["body"]["generation"] == link.generation:
            answer = message["body"]["answer"]
            if link.connection.signalingState == "have-local-offer":
                await link.connection.setRemoteDescription(RTCSessionDescription(**answer))

    async def _on_candidate(self, message: Message, sender: Where) -> None:
        link, told = self.links.get(sender), message["body"]["candidate"]
        if link is None or message["body"]["generation"] != link.generation:
            return
        if link.connection.signalingState == "have-local-offer":
            return  # of an attempt before this one: nothing has answered this
        if told is None:
            await link.connection.addIceCandidate(None)
            return
        candidate = candidate_from_sdp(told["candidate"].removeprefix("candidate:"))
        candidate.sdpMid = told["sdpMid"]
        await link.connection.addIceCandidate(candidate)

    async def _on_accept(self, message: Message, sender: Where) -> None:
        """The device takes a call: with the answer to this guest's offer, or with an offer."""
        if (offer := message["body"].get("offer")) is not None:
            await self.drop(sender)
            link = self._open(sender, message["call_id"], offers=False)
            answer = await self._answer_to(link, offer)
            body = {"answer": answer, "generation": 1}
            await self.write(sender, "answer", message["call_id"], body)
        else:
            link = self.links[sender]
            answer = message["body"]["answer"]
            await link.connection.setRemoteDescription(RTCSessionDescription(**answer))

    async def _on_offer(self, message: Message, sender: Where) -> None:
        body, link = message["body"], self.links[sender]
        old = await self._without_attempt(link)
        if body["generation"] == old.generation + 1:
            link = self._open(sender, old.call_id, offers=False, generation=body["generation"])
            link.before = old
        else:
            link = self.links[sender] = old
        if self.colour is not None and not self._films(link):
            link.connection.addTrack(Film(self.colour))
        answer = await self._answer_to(link, body["offer"], further=True)
        said = {"answer": answer, "generation": link.generation}
        await self.write(sender, "answer", message["call_id"], said)

    async def _on_end(self, message: Message, sender: Where) -> None:
        link = self.links.get(sender)
        if link is not None and link.call_id == message["call_id"]:
            self._over.add(link.call_id)
            await self.drop(sender)

    async def _on_state(self, message: Message, sender: Where) -> None:
        held = message["body"].get("on_hold")
        if held is not None:
            (self.on_hold.add if held else self.on_hold.discard)(sender)

    async def _on_request(self, message: Message, sender: Where) -> None:
        body = message["body"]
        action, accepted = body["action"], True
        if action == "mute" or (action == "unmute" and self.agrees):
            self.muted = action == "mute"
        elif action in ("unmute", "switch_to_video"):
            accepted = self.agrees
        answer = {"request_id": body["request_id"], "accepted": accepted, "error": None}
        await self.write(sender, "response", message["call_id"], answer)
        if action in MUTED_BY_HOST and accepted:
            await self.tell(audio_muted=self.muted)
        link = self.links.get(sender)
        if link is not None and link.offers and accepted:
            if action == "switch_to_video":
                await self.offer_again(sender, "switch_to_video")
            elif action == "renegotiate" and body["reason"] == "reconnect":
                if self.obliges:
                    await self.replace(sender)
            elif action == "renegotiate":
                await self.offer_again(sender, body["reason"])

    async def hear(self, type_: str) -> Message:
        """The next message of that type; others stay for later."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for message in self._unheard:
                    if message["type"] == type_:
                        self._unheard.remove(message)
                        return message
                self._unheard.append(await self.inbox.get())

    # -------------------- what a test tells it to do

    async def rings(self, call_id: str | None = None, type_: str = "video", **body: Any) -> str:
        """Call the device: as a page does, with an offer; as a device (endpoint `main`), without."""
        call_id = call_id or secrets.token_hex(16)
        await self.drop(self.door)  # of a call before this
        offer: Message | None = None
        if self.endpoint != "main":
            link = self._open(self.door, call_id, offers=True)
            self._add_sections(link, video=type_ == "video")
            offer = await self._offer_of(link)
        invitation = self.invitation(type_, offer) | body
        if offer is None:
            invitation.pop("offer")
        await self.send("invite", call_id, invitation)
        return call_id

    async def takes(self, invite: Message | None = None) -> Message:
        """Accept the device's invite, by default the next that comes."""
        invite = invite or await self.hear("invite")
        call_id = invite["call_id"]
        await self.drop(self.door)
        link = self._open(self.door, call_id, offers=True)
        self._add_sections(link, video=invite["body"]["call_type"] == "video")
        accept = {"offer": await self._offer_of(link), "custom_data": None}
        await self.send("accept", call_id, accept)
        return invite

    async def joins(self, token: str) -> None:
        """Enter a session of the device by its token."""
        host, call_id = token.split(".")[:2]
        assert host == self.device
        await self.write(self.door, "join", call_id, {"token": token})

    async def talks(self, uid: str | None = None) -> Link:
        """Wait until media flows with the device, or with somebody else."""
        wanted = uid or self.device
        async with asyncio.timeout(PATIENCE_S):
            while True:
                link = next((one for at, one in self.links.items() if at[0] == wanted), None)
                if link is not None and link.connected.is_set():
                    return link  # another may have taken its place while one waited for it
                await asyncio.sleep(0.01)

    async def says(self, type_: str, **body: Any) -> None:
        """Send the device a message about the call that they share."""
        await self.write(self.door, type_, self.links[self.door].call_id, body)

    async def tell(self, **changes: Any) -> None:
        """Tell everyone in the session what has changed about this guest."""
        for where, link in list(self.links.items()):
            await self.write(where, "state", link.call_id, changes)

    async def asks(self, action: str, **body: Any) -> Message:
        """Ask the device for something; its response."""
        request_id = body.pop("request_id", None) or secrets.token_hex(8)
        await self.says("request", request_id=request_id, action=action, **body)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                response = await self.hear("response")
                if response["body"]["request_id"] == request_id:
                    return response

    async def leaves(self, reason: str = "hang_up") -> None:
        """Leave the session."""
        for where, link in list(self.links.items()):
            self._over.add(link.call_id)
            await self.write(where, "end", link.call_id, {"reason": reason, "kicked_by": None})
            await self.drop(where)

    async def offer_again(self, where: Where, reason: str) -> None:
        """Offer anew, in the same connection; where there was no video, with video."""
        link = self.links[where]
        if not any(one.kind == "video" for one in link.connection.getTransceivers()):
            self._add_video(link)
        await self._send_offer(link, reason)

    async def replace(self, where: Where) -> None:
        """Offer a connection of the next generation in place of the present one, unless that is under way.

        A second offer would cross the answer to the first, and nothing says to which an answer is.
        """
        present = self.links[where]
        young = time.monotonic() - present.made_s < ATTEMPT_S
        if present.before is not None and not present.connected.is_set() and young:
            return
        old = await self._without_attempt(self.links[where])
        link = self._open(where, old.call_id, offers=True, generation=old.generation + 1)
        link.before = old
        self._add_sections(link)
        await self._send_offer(link, "reconnect")

    async def _without_attempt(self, link: Link) -> Link:
        """The connection that stands, without another one that was to replace it and is not connected."""
        if link.before is None or link.connected.is_set():
            return link
        await closed(link.connection)
        return link.before

    async def _send_offer(self, link: Link, reason: str) -> None:
        offer = await self._offer_of(link)
        body = {"offer": offer, "generation": link.generation, "reason": reason}
        self._keep(self._repeat_offer(link, body))

    async def _repeat_offer(self, link: Link, body: Message) -> None:
        """Every second until it is answered, always the same message."""
        id_ = secrets.token_hex(8)
        while (
            link.connection.signalingState == "have-local-offer"
            and self.links.get(link.where) is link
        ):
            await self.write(link.where, "offer", link.call_id, body, id=id_)
            await asyncio.sleep(1)

    async def _ask_again(self, connection: RTCPeerConnection) -> None:
        try:
            await ask_again(connection)
        except Exception as error:
            self.failures.append(f"asking for lost pictures: {error!r}")

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def vanishes(self) -> None:
        """Be gone without a word: close the connection with the device, and hear nothing more."""
        self._gone = True
        await self.drop(self.door)

    @property
    def to_the_door(self) -> RTCPeerConnection:
        return self.links[self.door].connection

    async def write(
        self, to: Where, type_: str, call_id: str, body: Message, **changes: Any
    ) -> None:
        """Send a message to any endpoint; who is no device is reached by the epoch in the list."""
        if to[0] == self.device:
            await self.send(type_, call_id, body, **changes)
            return
        epoch = next(
            (one["epoch"] for one in self.listed if (one["uid"], one["endpoint"]) == to), None
        )
        topic = f"appliance/call/{to[0]}/{self.uid}"
        changes |= {"to": to[0], "to_endpoint": to[1], "epoch": epoch, "topic": topic}
        await self.send(type_, call_id, body, **changes)

    @property
    def door(self) -> Where:
        """The device."""
        return (self.device, "main")

    @property
    def silent(self) -> bool:
        """Whether it sends no sound: muted, or held by somebody."""
        return self.muted or bool(self.on_hold)

    def _places(self) -> list[Where]:
        return [(one["uid"], one["endpoint"]) for one in self.listed]

    # -------------------- connections

    def _open(self, where: Where, call_id: str, *, offers: bool, generation: int = 1) -> Link:
        link = self.links[where] = Link(where, call_id, offers=offers, generation=generation)
        connection = link.connection
        self._keep(self._ask_again(connection))
        if where == self.door:
            self.connection, self.media = connection, link.media

        @connection.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            videos = [one for one in connection.getTransceivers() if one.kind == "video"]
            is_screen = len(videos) > 1 and track is videos[1].receiver.track
            media = link.screen if is_screen else link.media
            task = self._loop.create_task(media.watch(track))
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)

        @connection.on("connectionstatechange")
        def on_state() -> None:
            if connection.connectionState == "connected":
                link.connected.set()
                if link.before is not None:
                    self._keep(closed(link.before.connection))
                    link.before = None

        return link

    def _add_sections(self, link: Link, *, video: bool = True) -> None:
        link.connection.addTrack(Voice(self))
        if video:
            self._add_video(link)

    def _add_video(self, link: Link) -> None:
        """A camera, and a section for the screen that the other side may share."""
        if self.colour is None:
            camera = link.connection.addTransceiver("video", direction="recvonly")
        else:
            camera = link.connection.addTransceiver(Film(self.colour), direction="sendrecv")
        only_h264(camera)
        if self.offers_screen:
            only_h264(link.connection.addTransceiver("video", direction="recvonly"))

    def _films(self, link: Link) -> bool:
        return any(
            one.sender.track is not None and one.kind == "video"
            for one in link.connection.getTransceivers()
        )

    async def _offer_of(self, link: Link) -> Message:
        await link.connection.setLocalDescription(await link.connection.createOffer())
        return self._description(link)

    async def _answer_to(self, link: Link, offer: Message, *, further: bool = False) -> Message:
        await link.connection.setRemoteDescription(RTCSessionDescription(**offer))
        if not further:
            link.connection.addTrack(Voice(self))
            if self.colour is not None and "m=video" in offer["sdp"]:
                link.connection.addTrack(Film(self.colour))
        await link.connection.setLocalDescription(await link.connection.createAnswer())
        return self._description(link)

    def _description(self, link: Link) -> Message:
        description = link.connection.localDescription
        sdp = description.sdp
        if self.wrong_fingerprint:
            sdp = re.sub(
                r"(a=fingerprint:\S+ )([0-9A-F:]+)",
                lambda found: found[1] + ":".join(reversed(found[2].split(":"))),
                sdp,
            )
        return {"type": description.type, "sdp": sdp}

    async def drop(self, where: Where) -> None:
        """Close the connection with somebody, if there is one."""
        link = self.links.pop(where, None)
        if link is not None:
            if link.before is not None:
                await closed(link.before.connection)
            await closed(link.connection)
            self.on_hold.discard(where)

    async def hang_up(self) -> None:
        """Close everything."""
        self._gone = True
        self._to_do.put_nowait(None)
        await self._working  # not cancelled: what it opens half way, nobody would close
        for where in list(self.links):
            await self.drop(where)
        self.connection = None
        await super().hang_up()


@asynccontextmanager
async def guest(
    uid: str,
    port: int,
    *,
    device: str = "front-door",
    endpoint: str = "phone",
    version: int = 5,
    pen: Pen | None = None,
    dress: Callable[[Guest], None] = lambda one: None,
) -> AsyncIterator[Guest]:
    """A guest that is online for as long as the block lasts; `dress` prepares it.

    With a `pen` it signs, and so has everybody who writes to it.
    """
    one = Guest(uid, "127.0.0.1", port, device=device, endpoint=endpoint, version=version, pen=pen)
    dress(one)
    try:
        await one.online()
        yield one
        assert not (pen and one.unsigned), f"nobody has signed {one.unsigned}"
    finally:
        await one.hang_up()
        await asyncio.to_thread(one.close)
    assert one.failures == [], one.failures
