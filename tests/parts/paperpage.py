"""Somebody's page on paper: what the document says that a page does, and nothing of the project's core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.calls.inputs import (
    Input,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerKey,
    PeerLost,
    PeerOffered,
)
from appliance.messages import (
    Accept,
    Address,
    Answer,
    Cancel,
    End,
    Invite,
    Join,
    Message,
    Offer,
    Participants,
    Request,
    Response,
    Ringing,
    SessionDescription,
    State,
)
from appliance.model import Participant, RequestAction
from appliance.signaling.outbox import Parcel
from tests.parts.meshnet import MeshNet

ADMISSION_S = 10.0


@dataclass
class Line:
    """A connection with somebody: who offers, and how it was asked for."""

    key: PeerKey
    offers: bool
    joins: bool = False
    next: PeerKey | None = None
    connected: bool = False
    offered: bool = False


class PaperPage:
    """One tab of one person, in one call at a time."""

    def __init__(self, uid: str, net: MeshNet) -> None:
        self.address = Address(uid, "phone")
        self.net = net
        self.rings: tuple[str, Address] | None = None
        self.begun = 0
        self.ends: list[str] = []
        """Why each call that it was in ended."""
        self._over: set[str] = set()
        self._is_idle()

    def _leave(self, reason: str) -> None:
        assert self.call_id is not None, f"it is in no call, and that ends: {reason}"
        for line in list(self.lines.values()):
            self._close(line)
        self._over.add(self.call_id)
        self.net.forget(self.address.uid, self.call_id)
        self.ends.append(reason)
        self._is_idle()

    def _is_idle(self) -> None:
        self.call_id: str | None = None
        self.host: Address | None = None
        self.version = 0
        self.came_s = 0.0
        self.listed: tuple[Participant, ...] = ()
        self.lines: dict[Address, Line] = {}
        self.early: dict[Address, SessionDescription] = {}
        self.flags = {"audio_muted": False, "hand_raised": False}

    # -------------------- what the person does

    def answer(self) -> None:
        """Take the call that rings."""
        assert self.rings is not None
        self.call_id, self.host = self.rings
        self.begun += 1
        self.rings = None
        self._open(self.host, None)

    def come_in(self, token: str) -> None:
        """Show a token to the host that it names."""
        host, call_id, *_ = token.split(".")
        self.call_id, self.host = call_id, Address(host, None)
        self.came_s = self.net.now_s
        self.begun += 1
        self._send(self.host, Join(token=token), ttl_s=10)

    def set_flag(self, name: str, on: bool) -> None:
        """Mute, or raise a hand."""
        self.flags[name] = on
        for address in self.lines:
            self._send(address, State({name: on}))

    def hang_up(self) -> None:
        """Leave, and tell everybody."""
        addresses = set(self.lines) | ({self.host} if self.host else set())
        for address in addresses:
            self._send(address, End("hang_up"))
        self._leave("local_hang_up")

    @property
    def busy(self) -> bool:
        return self.call_id is not None

    # -------------------- what it hears

    def hear(self, sender: Address, call_id: str, message: Message) -> None:
        match message:
            case Invite():
                self._invited(sender, call_id)
            case Cancel() if self.rings == (call_id, sender):
                self.rings = None
            case Cancel() if self.call_id == call_id and self._unanswered(sender):
                self._leave(message.reason)
            case End() if self.call_id == call_id and self._is_host(sender):
                self._leave(message.reason)
            case End() if self.rings == (call_id, sender):
                self.rings = None
            case End() if sender in self.lines and self.call_id is not None:
                self._close(self.lines.pop(sender))
            case Join(offer=SessionDescription()) if self.call_id is None:
                self.net.send(self.address, sender, call_id, End("failed"))
            case Participants() if self.call_id != call_id and self._named_in(message):
                self.net.send(self.address, sender, call_id, End("hang_up"))
            case _ if self.call_id is not None:
                self._hear_in_call(sender, message)

    def _invited(self, sender: Address, call_id: str) -> None:
        if self.busy or call_id in self._over:
            return
        self.rings = (call_id, sender)
        self.net.send(self.address, sender, call_id, Ringing())

    def _hear_in_call(self, sender: Address, message: Message) -> None:
        line = self.lines.get(sender)
        match message:
            case Participants() if self._is_host(sender):
                self._list_came(sender, message)
            case Join(offer=SessionDescription() as offer):
                self._joined(sender, offer)
            case Answer() if line is not None and line.offers:
                key = line.next or line.key
                if key.generation == message.generation:
                    self.net.accept(self.address, key, message.answer)
            case Offer() if line is not None and not line.offers:
                self._offered(sender, line, message)
            case Request(request_id, RequestAction.RENEGOTIATE) if line is not None:
                self._send(sender, Response(request_id, accepted=True))
                self._replace(sender, line)
            case Request(request_id):
                self._send(sender, Response(request_id, accepted=False, error="no"))

    def _unanswered(self, sender: Address) -> bool:
        line = self.lines.get(sender)
        return self._is_host(sender) and line is not None and not line.connected

    def _named_in(self, message: Participants) -> bool:
        return self.address in [Address(one.uid, one.endpoint) for one in message.participants]

    def _is_host(self, sender: Address) -> bool:
        return self.host is not None and sender.uid == self.host.uid

    def _list_came(self, sender: Address, message: Participants) -> None:
        self.host = sender
        if message.version < self.version:
            return
        self.version, self.listed = message.version, message.participants
        there = [Address(one.uid, one.endpoint) for one in self.listed]
        for address in [one for one in self.lines if one not in there]:
            self._close(self.lines.pop(address))
        if self.address not in there:
            return
        for address in there[: there.index(self.address)]:
            if address not in self.lines:
                self._open(address, None, joins=True)
        for address in [one for one in self.early if one in there]:
            offer = self.early.pop(address)
            if address not in self.lines:
                self._open(address, offer)
        self._correct()

    def _correct(self) -> None:
        """The host has missed what this page said of itself."""
        for one in self.listed:
            if Address(one.uid, one.endpoint) == self.address and self.host is not None:
                wrong = {name: on for name, on in self.flags.items() if getattr(one, name) != on}
                if wrong:
                    self._send(self.host, State(wrong))

    def _joined(self, sender: Address, offer: SessionDescription) -> None:
        there = [Address(one.uid, one.endpoint) for one in self.listed]
        if sender not in there:
            self.early[sender] = offer
            return
        line = self.lines.get(sender)
        if line is not None:
            before_me = there.index(sender) < there.index(self.address)
            if line.offers and before_me:
                return
            self._close(self.lines.pop(sender))
        self._open(sender, offer)

    def _offered(self, sender: Address, line: Line, message: Offer) -> None:
        if message.generation == line.key.generation:
            answer = self.net.renegotiate(self.address, line.key, message.offer)
            assert answer is not None
            self._send(sender, Answer(answer, message.generation))
        elif message.generation == line.key.generation + 1:
            if line.next is not None:
                self.net.close(self.address, line.next)
            line.next = self._key(sender, message.generation)
            self.net.open(self.address, line.next, message.offer)

    # -------------------- its connections

    def learn(self, report: Input) -> None:
        found = next(self._found(report), None)
        if found is None:
            return
        address, line = found
        match report:
            case PeerOffered(key, description):
                if key.generation > 1:
                    self._send(address, Offer(description, key.generation, "reconnect"))
                elif line.joins:
                    self._send(address, Join(offer=description))
                else:
                    self._send(address, Accept(offer=description))
            case PeerAnswered(key, description):
                self._send(address, Answer(description, key.generation))
            case PeerConnected(key):
                self._connected(address, line, key)
            case PeerLost(key) if key == line.key and line.offers:
                self._replace(address, line)
            case PeerLost(key) if key == line.key:
                asked = Request(
                    f"{self.net.now_s:.1f}", RequestAction.RENEGOTIATE, reason="reconnect"
                )
                self._send(address, asked)
            case PeerFailed(key) if key == line.next:
                self.net.close(self.address, key)
                line.next = None
            case PeerFailed():
                self._close(self.lines.pop(address))
                if self._is_host(address):
                    self._send(address, End("failed"))
                    self._leave("failed")

    def _found(self, report: Input) -> Iterator[tuple[Address, Line]]:
        peer = getattr(report, "peer", None)
        for address, line in self.lines.items():
            if peer in (line.key, line.next):
                yield address, line

    def _connected(self, address: Address, line: Line, key: PeerKey) -> None:
        if key == line.next:
            self.net.close(self.address, line.key)
            line.key, line.next = key, None
        said = {name: True for name, on in self.flags.items() if on}
        if not line.connected and said:
            self._send(address, State(said))
        line.connected = True

    def _replace(self, address: Address, line: Line) -> None:
        if line.next is None and line.offers:
            line.next = self._key(address, line.key.generation + 1)
            self.net.open(self.address, line.next, None)

    def _open(
        self, address: Address, offer: SessionDescription | None, *, joins: bool = False
    ) -> None:
        key = self._key(address, 1)
        self.lines[address] = Line(key, offers=offer is None, joins=joins)
        self.net.open(self.address, key, offer)

    def _key(self, address: Address, generation: int) -> PeerKey:
        return PeerKey(self.call_id or "", address.uid, address.endpoint or "", generation)

    def _close(self, line: Line) -> None:
        for key in (line.key, line.next):
            if key is not None:
                self.net.close(self.address, key)

    def _send(self, to: Address, message: Message, ttl_s: float = 30) -> None:
        self.net.send(self.address, to, self.call_id or "", message, ttl_s)

    def unheard(self, parcel: Parcel) -> None:
        """What it waits for it sees by the time."""

    def pass_time(self, seconds: float) -> None:
        late = self.net.now_s - self.came_s >= ADMISSION_S
        if self.host is not None and late and not (self.listed or self.lines):
            self._send(self.host, End("failed"))
            self._leave("not_let_in")
