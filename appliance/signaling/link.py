"""The signaling edge: messages between endpoints over a broker, with what makes them reliable.

It joins the link, the wire format, trust, inbox, outbox and presence, and decides nothing itself.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from types import TracebackType
from typing import ClassVar, Self

from appliance.calls.effects import Effect, ForgetCall, Send, SettleMessage
from appliance.calls.inputs import (
    FaultReported,
    Input,
    LinkChanged,
    LinkState,
    MessageExpired,
    MessageReceived,
    PresenceChanged,
)
from appliance.config import Device, Mqtt, Security
from appliance.messages import Address
from appliance.signaling import presence
from appliance.signaling.base import Connect, Publication, Subscription
from appliance.signaling.clock import Clock
from appliance.signaling.inbox import Inbox
from appliance.signaling.limits import Recent
from appliance.signaling.listed import Listed
from appliance.signaling.mqtt import MqttLink
from appliance.signaling.outbox import Outbox, Parcel
from appliance.signaling.presence import Presence
from appliance.signaling.rejected import Rejected
from appliance.signaling.responses import Responses
from appliance.signaling.topics import Topics
from appliance.signaling.trust import PlainTrust, Trust
from appliance.signaling.wire import MAX_BYTES_WITH_SDP, Envelope, decode, encode

logger = logging.getLogger(__name__)

ENDPOINT = "main"
FLOOD_REPORT_S = 1.0
"""A flood is counted message by message, and reported this often per sender."""


class MqttSignaling:
    """Sends and receives messages, and says who is there; an async context manager."""

    EFFECTS: ClassVar[tuple[type[Effect], ...]] = (Send, SettleMessage, ForgetCall)

    def __init__(
        self,
        device: Device,
        mqtt: Mqtt,
        security: Security,
        contacts: Collection[str],
        post: Callable[[Input], None],
        *,
        connect: Connect | None = None,
        trust: Trust | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`contacts` are the uids that are listened to.

        `connect` makes the link (paho's unless given), `trust` signs and verifies.
        """
        self.rejected: Counter[str] = Counter()
        """How many messages were not believed, by the code of why."""
        self._me = Address(device.id, ENDPOINT)
        self._name = device.name
        self._topics = Topics(mqtt.root)
        self._contacts = contacts
        self._post = post
        self._clock = clock or Clock()
        self._trust = trust or PlainTrust(security.unsigned)
        self._unsigned = security.unsigned == "allow"
        self._inbox = Inbox(self._me, allow_null_epoch=self._unsigned)
        self._outbox = Outbox(partial(secrets.token_hex, 16))
        self._presence = Presence()
        self._listed = Listed()
        self._epoch: str | None = None
        # It must rise over a restart too: a receiver that stayed connected goes on counting.
        self._seq = itertools.count(self._clock.wall_ms())
        self._flood_reported: Recent[str, float] = Recent(64)
        self._stirred = asyncio.Event()
        self._leaving = False
        self._responses = Responses()
        connect = connect or partial(MqttLink, mqtt)
        self._link = connect(
            f"{device.id}-{ENDPOINT}",
            on_state=self._link_changed,
            on_message=self._arrived,
            on_fault=self._link_faulted,
            will=Publication(self._own_presence_topic(), presence.OFFLINE, retain=True),
            subscriptions=(
                Subscription(self._topics.inbox(device.id, "+"), retained=False),
                Subscription(self._topics.presence("+", "+")),
            ),
        )

    async def __aenter__(self) -> Self:
        """Begin to connect; `LinkChanged` tells of the rest."""
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._attendant = self._tasks.create_task(self._attend(), name="signaling-outbox")
        await self._link.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let out what was sent, say that this endpoint is offline, disconnect."""
        self._leaving = True
        self._attendant.cancel()
        try:
            await self._link.__aexit__(None, None, None)
        finally:
            await self._tasks.__aexit__(None, None, None)

    def perform(self, effect: Effect) -> None:
        """Take a message in, or stop repeating one."""
        match effect:
            case Send(to, call_id, message, ttl_s):
                now_s, wall_ms = self._clock.monotonic_s(), self._clock.wall_ms()
                parcel = self._outbox.post(
                    to, call_id, message, ttl_s=ttl_s, now_s=now_s, wall_ms=wall_ms
                )
                if parcel is None:
                    sentence = f"Too many messages wait to be sent: this {message.TYPE} does not."
                    self._post(FaultReported("outbox_full", sentence, to.uid, call_id))
                    self._post(MessageExpired(to, call_id, message, sent=False))
                else:
                    self._responses.sent(parcel)
            case SettleMessage(to, call_id, kind):
                self._outbox.settle(to, call_id, kind)
            case ForgetCall(call_id):
                self._outbox.forget(call_id)
                self._listed.forget(call_id)
        self._serve_outbox()
        self._stirred.set()

    # -------------------- out

    async def _attend(self) -> None:
        """Serve the outbox whenever something in it is due: a repeat, or an expiry."""
        while True:
            self._serve_outbox()
            self._stirred.clear()
            deadline_s = self._outbox.next_deadline_s()
            delay_s = None if deadline_s is None else deadline_s - self._clock.monotonic_s()
            try:
                async with asyncio.timeout(delay_s):
                    await self._stirred.wait()
            except TimeoutError:
                continue

    def _serve_outbox(self) -> None:
        now_s = self._clock.monotonic_s()
        for parcel in self._outbox.expired(now_s):
            logger.info("%s to %s was too old and is dropped", parcel.kind, parcel.to)
            self._give_up(parcel)
        for parcel in self._outbox.due(now_s):
            self._transmit(parcel, now_s)

    def _give_up(self, parcel: Parcel) -> None:
        """Tell of a message whose fate somebody waits for."""
        if parcel.repeated:
            self._post(
                MessageExpired(parcel.to, parcel.call_id, parcel.message, sent=parcel.acknowledged)
            )

    def _transmit(self, parcel: Parcel, now_s: float) -> None:
        """Put a message on the link: the same id each time, but a number and an epoch of now."""
        topic = self._topics.inbox(parcel.to.uid, self._me.uid)
        envelope = Envelope(
            id=parcel.id,
            call_id=parcel.call_id,
            sender=self._me,
            to=parcel.to,
            epoch=self._epoch_of(parcel.to.uid, parcel.to.endpoint),
            seq=next(self._seq),
            sent_at_ms=parcel.posted_wall_ms,
            ttl_s=parcel.ttl_s,
            synced=self._clock.synced(),
            message=parcel.message,
        )
        try:
            payload = self._trust.seal(parcel.to.uid, encode(envelope, self._epoch_of))
        except Rejected as fault:
            self._outbox.discard(parcel.id)
            self._post(FaultReported(fault.code, f"Not sent: {fault}.", topic, parcel.call_id))
            self._give_up(parcel)
            return
        self._link.publish(
            topic,
            payload,
            expiry_s=parcel.expires_s - now_s,
            acknowledged=partial(self._outbox.acknowledged, parcel.id),
        )

    def _epoch_of(self, uid: str, endpoint: str | None) -> str | None:
        if Address(uid, endpoint) == self._me:
            return self._epoch
        return self._presence.epoch_of(uid, endpoint) or self._listed.epoch_of(uid, endpoint)

    # -------------------- in

    def _link_changed(self, state: LinkState) -> None:
        if state is LinkState.CONNECTED:
            self._epoch = secrets.token_hex(16)
            self._inbox.connected(self._epoch)
            self._say_online()
            self._outbox.connected(self._clock.monotonic_s())
        else:
            self._epoch = None
            self._presence.disconnected()
            self._outbox.disconnected()
        inbox = f"{self._topics.inbox(self._me.uid, '+')};endpoint={ENDPOINT}"
        self._post(LinkChanged(state, inbox if state is LinkState.CONNECTED else None))
        self._stirred.set()

    def _link_faulted(self, code: str, message: str) -> None:
        self._post(FaultReported(code, message, "mqtt"))

    def _arrived(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            if (owner := self._topics.presence_owner(topic)) is not None:
                self._presence_arrived(*owner, payload)
            elif (sender := self._topics.inbox_sender(topic)) is not None:
                self._message_arrived(sender, topic, payload, retained=retained)
        except Rejected as fault:
            self._reject(fault, topic)

    def _message_arrived(self, sender: str, topic: str, payload: bytes, *, retained: bool) -> None:
        self._inbox.knock(sender, retained=retained, now_s=self._clock.monotonic_s())
        if sender not in self._contacts and not self._listed.knows(sender):
            raise Rejected("unknown_sender", f"{sender} is not a contact of this device")
        if len(payload) > MAX_BYTES_WITH_SDP:  # before a signature is looked for in it
            raise Rejected("oversized", f"a message of {len(payload)} bytes is not looked into")
        envelope = decode(topic, self._trust.open(sender, payload))
        wall_ms, synced = self._clock.wall_ms(), self._clock.synced()
        if not self._inbox.admit(envelope, wall_ms=wall_ms, synced=synced):
            self._respond_again(envelope)
            return
        if envelope.listed and sender in self._contacts:
            self._listed.told(envelope.call_id, envelope.listed)
        self._outbox.heard(envelope.sender, envelope.call_id, envelope.message)
        self._stirred.set()
        self._post(MessageReceived(envelope.sender, envelope.call_id, envelope.message))

    def _respond_again(self, repeat: Envelope) -> None:
        """Answer a request that was answered already: its sender cannot have heard it."""
        now_s = self._clock.monotonic_s()
        parcel = self._responses.again(repeat.sender, repeat.call_id, repeat.message, now_s)
        if parcel is not None and repeat.to.endpoint in (None, ENDPOINT):
            self._transmit(parcel, now_s)

    def _presence_arrived(self, uid: str, endpoint: str, payload: bytes) -> None:
        if Address(uid, endpoint) == self._me:
            self._own_presence_arrived(payload)
        elif uid in self._contacts:
            for change in self._presence.told(uid, endpoint, payload):
                self._present(change)

    def _own_presence_arrived(self, payload: bytes) -> None:
        """Our own word comes back behind everything that the broker had retained."""
        if payload == self._online_payload():
            for change in self._presence.complete():
                self._present(change)
        elif payload == presence.OFFLINE and self._epoch is not None:
            self._say_online()  # a former connection's will came late

    def _present(self, change: PresenceChanged) -> None:
        if change.online and self._unsigned:  # unsigned, one may believe this as much as the rest
            self._inbox.restarted(change.uid, change.endpoint)
        self._post(change)

    def _reject(self, fault: Rejected, topic: str) -> None:
        self.rejected[fault.code] += 1
        if fault.code == "flooded":
            now_s = self._clock.monotonic_s()
            if now_s - self._flood_reported.get(topic, -FLOOD_REPORT_S) < FLOOD_REPORT_S:
                return
            self._flood_reported[topic] = now_s
        self._post(FaultReported(fault.code, f"{fault}.", topic, fault.call_id))

    # -------------------- our own presence

    def _own_presence_topic(self) -> str:
        return self._topics.presence(self._me.uid, ENDPOINT)

    def _online_payload(self) -> bytes:
        return presence.online(self._epoch or "", self._name, None)

    def _say_online(self) -> None:
        if self._leaving:  # nothing may come behind the farewell, whose own echo is heard too
            return
        self._link.publish(self._own_presence_topic(), self._online_payload(), retain=True)
