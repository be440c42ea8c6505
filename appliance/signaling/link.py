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

from appliance.calls.effects import Effect, FollowList, ForgetCall, Send, SettleMessage
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
from appliance.limits import Latest
from appliance.messages import Address
from appliance.signaling import orders, presence
from appliance.signaling.base import Connect, Publication, Subscription
from appliance.signaling.clock import Clock
from appliance.signaling.inbox import NOBODY_KNOWN, Inbox, Said
from appliance.signaling.introducing import Introducing
from appliance.signaling.listed import Listed, Reach
from appliance.signaling.mqtt import TAKEN_OVER, MqttLink
from appliance.signaling.orders import Order
from appliance.signaling.outbox import Outbox, Parcel
from appliance.signaling.pairing import Pairing
from appliance.signaling.presence import Presence, Standing
from appliance.signaling.refusals import Refusals
from appliance.signaling.rejected import Rejected
from appliance.signaling.responses import Responses
from appliance.signaling.sieve import PresenceSieve, Sieve
from appliance.signaling.signers import Signers
from appliance.signaling.subscriptions import Subscriptions, Uids
from appliance.signaling.topics import Topics
from appliance.signaling.trust import PlainTrust, Trust
from appliance.signaling.wire import MAX_SEALED, Envelope, decode, encode, may_be_last_word
from appliance.trust.jws import Untrusted, peek

logger = logging.getLogger(__name__)

ENDPOINT = "main"
HELD_UIDS, HELD_OF_EACH = 256, 32
"""Whose endpoints say more of their presence than is looked at: the last that each has said is kept,"""
HELD_S = 1.0
"""and looked at so much later."""
PRESENCE_S = 1.0
"""So long a new connection waits to be told who is there, before it sends what waits."""
MEND_S = 1.0
"""How soon this device says that it is there, where somebody else has written otherwise in its place."""
DOUBLE_MEND_S = 30.0
"""And where that is a device with another key, which does the same: they answer each other seldom."""
DOUBLE_TOLD_S = 600.0
"""How often at most it is told that another device has this one's id."""
NEW_EPOCH_S = 600.0
"""How often at most a new epoch begins because the memory of the present one is full."""
SIFTED_S = 0.5
"""So much later is counted what was left out before it reached the loop."""
STRANGERS, STRANGERS_OF_EACH = 64, 8
"""Uids, and endpoints of each, whose presence is kept though they are no contact: they may become one."""


class MqttSignaling:
    """Sends and receives messages, and says who is there; an async context manager."""

    EFFECTS: ClassVar[tuple[type[Effect], ...]] = (Send, SettleMessage, ForgetCall, FollowList)

    def __init__(
        self,
        device: Device,
        mqtt: Mqtt,
        security: Security,
        contacts: Uids,
        post: Callable[[Input], None],
        *,
        connect: Connect | None = None,
        trust: Trust | None = None,
        clock: Clock | None = None,
        first_seq: int | None = None,
        believed: Callable[[str], None] = lambda kid: None,
        pairing: Pairing | None = None,
    ) -> None:
        """`contacts` are the uids that are listened to; they may change meanwhile (`follow_contacts`).

        `connect` makes the link (paho's unless given), `trust` signs and verifies. `first_seq` is more
        than any number of a former run, by default the clock's milliseconds. `believed(kid)` is told
        of each message that was believed by a key; `pairing` takes new keys in.
        """
        self._refusals = Refusals()
        self.rejected: Counter[str] = self._refusals.counts
        """How many messages were not believed, by the code of why."""
        self._me = Address(device.id, ENDPOINT)
        self._name = device.name
        self._topics = Topics(mqtt.root)
        self._contacts = contacts
        self._known = frozenset(contacts)
        self._pairing = pairing
        self._post = post
        self._clock = clock or Clock()
        self._trust = trust or PlainTrust(security.unsigned)
        self._unsigned = security.unsigned == "allow"
        self._inbox = Inbox(self._me, allow_null_epoch=self._unsigned)
        self._orders = Inbox(self._me, allow_null_epoch=False)
        self._outbox = Outbox(partial(secrets.token_hex, 16))
        self._presence = Presence(self._trust.may_be_there, self._standing)
        self._strangers: Latest[str, bytes] = Latest(STRANGERS, STRANGERS_OF_EACH)
        self._listed = Listed()
        self._signers = Signers()
        self._believed = believed
        self._epoch: str | None = None
        self._epoch_renewed_s: float | None = None
        self._knows_who_is_there = False
        # It must rise over a restart too: a receiver that stayed connected goes on counting.
        self._seq = itertools.count(self._clock.wall_ms() if first_seq is None else first_seq)
        self._held: Latest[str, bytes] = Latest(HELD_UIDS, HELD_OF_EACH)
        self._releasing: asyncio.TimerHandle | None = None
        self._mending: asyncio.TimerHandle | None = None
        self._double_told_s: float | None = None
        self._stirred = asyncio.Event()
        self._leaving = False
        self._responses = Responses()
        self._tasks = asyncio.TaskGroup()
        self._introducing = self._introduced(pairing)
        self._sieve = Sieve(self._topics.inbox_sender, self._is_known, may_be_last_word)
        self._presence_sieve = PresenceSieve(self._topics.presence_uid, self._has_own_share)
        self._counting: asyncio.TimerHandle | None = None
        lets = self._sieve.lets, self._presence_sieve.lets
        self._subscriptions = Subscriptions(self._topics, self._me, *lets)
        self._subscribed = self._wanted()
        connect = connect or partial(MqttLink, mqtt)
        self._link = connect(
            f"{device.id}-{ENDPOINT}",
            on_state=self._link_changed,
            on_message=self._arrived,
            on_fault=self._link_faulted,
            will=Publication(self._own_presence_topic(), presence.OFFLINE, retain=True),
            subscriptions=self._subscribed,
        )
        if pairing is not None:
            pairing.invitations.changed = self._listen

    def held_up_s(self) -> float:
        """How long the thread that talks with the broker has been held up; any thread."""
        return self._link.held_up_s() if isinstance(self._link, MqttLink) else 0.0

    async def __aenter__(self) -> Self:
        """Begin to connect; `LinkChanged` tells of the rest."""
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
        for timer in (self._releasing, self._mending, self._counting):
            if timer is not None:
                timer.cancel()
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
                self._listen()
            case FollowList(call_id, host):
                self._listed.follow(call_id, host)
                self._listen()
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
            epoch=self._reach_of(parcel.to.uid, parcel.to.endpoint).epoch,
            seq=next(self._seq),
            sent_at_ms=parcel.posted_wall_ms,
            ttl_s=parcel.ttl_s,
            synced=self._clock.synced(),
            message=parcel.message,
        )
        try:
            payload = self._trust.seal(
                parcel.to.uid, encode(envelope, self._reach_of), listed=self._is_listed(parcel.to)
            )
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

    def _reach_of(self, uid: str, endpoint: str | None) -> Reach:
        """By which epoch an endpoint is written to, and by which key the others can believe it."""
        if Address(uid, endpoint) == self._me:
            return Reach(self._epoch, self._trust.public_key)
        listed = self._listed.reach_of(uid, endpoint) or Reach()
        epoch = self._presence.epoch_of(uid, endpoint) or listed.epoch
        return Reach(epoch, self._key_of(uid, endpoint or "") or listed.key)

    def _key_of(self, uid: str, endpoint: str) -> str | None:
        kid = self._signers.kid_of(uid, endpoint)
        return self._trust.key_text(uid, kid) if kid else None

    def _standing(self, uid: str, endpoint: str, kid: str | None) -> Standing:
        """How much an endpoint that says it is there has to show for it."""
        if self._key_of(uid, endpoint) is not None:
            return Standing.HAS_SIGNED
        named = kid is not None and self._trust.key_text(uid, kid) is not None
        return Standing.NAMES_A_KEY if named else Standing.NOTHING

    def _is_listed(self, to: Address) -> bool:
        """Whether it is no contact, and a host has told of a key of it."""
        if to.uid in self._contacts:
            return False
        reach = self._listed.reach_of(to.uid, to.endpoint)
        return reach is not None and reach.key is not None

    # -------------------- in

    def _link_changed(self, state: LinkState) -> None:
        if state is LinkState.CONNECTED:
            self._knows_who_is_there = False
            self._begin_epoch()
            # what went out before the others' epochs are known would be refused, and come a second later
            self._outbox.connected(self._clock.monotonic_s() + PRESENCE_S)
        else:
            self._epoch = None
            self._strangers.clear()  # who is there is told again
            self._held.clear()
            self._presence_sieve.forget()
            self._presence.disconnected()
            self._outbox.disconnected()
        inbox = f"{self._topics.inbox(self._me.uid, '+')};endpoint={ENDPOINT}"
        self._post(LinkChanged(state, inbox if state is LinkState.CONNECTED else None))
        self._stirred.set()

    def _begin_epoch(self) -> None:
        """Nothing that was said to an earlier one is believed from here on."""
        self._epoch = secrets.token_hex(16)
        self._inbox.connected(self._epoch, self._listed.keys())
        self._orders.connected(self._epoch)
        self._say_online()

    def _make_room(self) -> None:
        """The memory of this epoch is full: begin another, unless that was lately done already."""
        now_s = self._clock.monotonic_s()
        if self._epoch is None or (
            self._epoch_renewed_s is not None and now_s - self._epoch_renewed_s < NEW_EPOCH_S
        ):
            return
        self._epoch_renewed_s = now_s
        self._begin_epoch()

    def _link_faulted(self, code: str, message: str) -> None:
        self._post(FaultReported(code, message, "mqtt"))

    def _arrived(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            if (owner := self._topics.presence_owner(topic)) is not None:
                self._presence_arrived(*owner, payload, retained=retained)
            elif (sender := self._topics.inbox_sender(topic)) is not None:
                self._message_arrived(sender, topic, payload, retained=retained)
        except Rejected as fault:
            self._reject(fault, topic)

    def _is_known(self, sender: str) -> bool:
        return sender in self._contacts or self._listed.knows(sender)

    def _count_what_was_left_out(self) -> None:
        """What the sieves have kept from the loop was refused, and is told as if it had come here."""
        self._counting = None
        messages, comings = self._sieve.left_out(), self._presence_sieve.left_out()
        for topic, number in messages.items():
            stranger = topic == NOBODY_KNOWN
            code = "unknown_sender" if stranger else "flooded"
            where = self._topics.inbox(self._me.uid, "+") if stranger else topic
            self._reject_many(code, number, f"{number} messages", where)
        for uid, number in comings.items():
            where = self._topics.presence(uid or "+", "+")
            self._reject_many("flooded", number, f"{number} words of who comes and goes", where)
        for topic, payload in self._presence_sieve.due(self._clock.monotonic_s() - HELD_S):
            self._arrived(topic, payload, retained=True)
        if messages or comings or self._presence_sieve.holds():
            self._count_soon()

    def _reject_many(self, code: str, number: int, what: str, where: str) -> None:
        self._refusals.counts[code] += number - 1
        self._reject(Rejected(code, f"{what} came too fast to be looked at"), where)

    def _count_soon(self) -> None:
        """Each message may be the last before others are left out."""
        if self._counting is None and not self._leaving:
            loop = asyncio.get_running_loop()
            self._counting = loop.call_later(SIFTED_S, self._count_what_was_left_out)

    def _message_arrived(self, sender: str, topic: str, payload: bytes, *, retained: bool) -> None:
        self._count_soon()
        contact = sender in self._contacts
        known = contact or self._listed.knows(sender)
        if not known and self._introducing is None:  # and takes nothing from the others' share
            raise _unknown(sender)
        self._inbox.knock(
            sender,
            retained=retained,
            now_s=self._clock.monotonic_s(),
            is_last_word=partial(may_be_last_word, payload),
        )
        if self._introducing is not None and self._introducing.hears(topic, payload):
            return
        if not known:
            raise _unknown(sender)
        if len(payload) > MAX_SEALED:  # before a signature is looked for in it
            raise Rejected("oversized", f"a message of {len(payload)} bytes is not looked into")
        listed = {} if contact else self._listed.keys_of(sender)
        text, kid = self._trust.open(sender, payload, listed)
        envelope = decode(topic, text)
        vouched = None if contact else self._listed.vouched_by(envelope.sender, kid)
        if vouched is not None and not vouched:  # and nothing is remembered of it
            raise _unlisted(envelope)
        if not self._admit(envelope, kid, vouched_by={one.uid for one in vouched or ()}):
            self._respond_again(envelope)
            return
        if contact and kid is not None:
            self._signers.heard(envelope.sender, kid)
            self._believed(kid)
            for change in self._presence.heard(sender, envelope.sender.endpoint or ""):
                self._present(change)
        if envelope.listed and contact:
            self._listed.told(envelope.call_id, envelope.sender, envelope.listed)
            self._listen()
        self._outbox.heard(envelope.sender, envelope.call_id, envelope.message)
        self._stirred.set()
        self._post(
            MessageReceived(envelope.sender, envelope.call_id, envelope.message, vouched_by=vouched)
        )

    def take_order(self, name: str, payload: bytes) -> Order | None:
        """The signed command that came as `command/<name>`; None for one that was taken before.

        It is judged as messages are, with a memory of its own: it travels by another connection.
        Raises `Rejected`, which is counted; whether its sender may give it is not judged here.
        """
        try:
            return self._opened_order(name, payload)
        except Rejected as fault:
            self.rejected[fault.code] += 1
            raise

    def _opened_order(self, name: str, payload: bytes) -> Order | None:
        if len(payload) > orders.MAX_SEALED:
            raise Rejected("oversized", f"a command of {len(payload)} bytes is not looked into")
        sender = self._claimed(payload)
        # of each command apart: on which topics somebody may write is the broker's to say
        self._knock_with_order(f"{sender} {name}")
        text, kid = self._trust.open(sender, payload)
        order = orders.decode(name, self._me.uid, text)
        if kid is None or not self._admit(order, kid, self._orders):
            return None
        self._believed(kid)
        return order

    def _claimed(self, payload: bytes) -> str:
        """The contact who is said to have signed a command; all the others have one share together."""
        try:
            sender = orders.sender_of(peek(payload))
        except (Rejected, Untrusted) as fault:
            self._knock_with_order(NOBODY_KNOWN)
            raise Rejected(fault.code, str(fault)) from None
        if sender not in self._contacts:
            self._knock_with_order(NOBODY_KNOWN)
            raise Rejected("unknown_sender", f"{sender} is not a contact of this device")
        return sender

    def _knock_with_order(self, source: str) -> None:
        self._orders.knock(source, retained=False, now_s=self._clock.monotonic_s())

    def _admit(
        self,
        said: Said,
        kid: str | None,
        inbox: Inbox | None = None,
        *,
        vouched_by: Collection[str] = (),
    ) -> bool:
        """Whether to act on it (see `Inbox.admit`); with what it takes where there is no room."""
        wall_ms, synced = self._clock.wall_ms(), self._clock.synced()
        try:
            return (inbox or self._inbox).admit(
                said, wall_ms=wall_ms, synced=synced, kid=kid, vouched_by=vouched_by
            )
        except Rejected as fault:
            if fault.code == "memory_full":
                self._make_room()
            raise

    def _respond_again(self, repeat: Envelope) -> None:
        """Answer a request that was answered already: its sender cannot have heard it."""
        now_s = self._clock.monotonic_s()
        parcel = self._responses.again(repeat.sender, repeat.call_id, repeat.message, now_s)
        if parcel is not None and repeat.to.endpoint in (None, ENDPOINT):
            self._transmit(parcel, now_s)

    def _has_own_share(self, uid: str) -> bool:
        return uid in self._contacts or uid == self._me.uid

    def _presence_arrived(self, uid: str, endpoint: str, payload: bytes, *, retained: bool) -> None:
        self._count_soon()
        if Address(uid, endpoint) == self._me:
            self._own_presence_arrived(payload)
            return
        group, topic = self._group_of(uid), self._topics.presence(uid, endpoint)
        if not retained and not self._inbox.may_be_present(group, self._clock.monotonic_s()):
            self._hold(group, topic, payload)
            fault = Rejected("flooded", f"{uid} comes and goes too often; it is looked at later")
            self._reject(fault, self._topics.presence(group or "+", "+"))
            return
        self._held.drop(group, topic)
        if uid in self._contacts:
            for change in self._presence.told(uid, endpoint, payload):
                self._present(change)
        elif len(payload) <= presence.MAX_BYTES and uid != self._me.uid:
            self._strangers.keep(uid, topic, payload)
        if self._introducing is not None:
            self._introducing.met(uid, endpoint, payload)

    def _group_of(self, uid: str) -> str:
        return uid if self._has_own_share(uid) else NOBODY_KNOWN

    def _hold(self, group: str, topic: str, payload: bytes) -> None:
        if self._releasing is None:
            self._releasing = asyncio.get_running_loop().call_later(HELD_S, self._release)
        self._held.keep(group, topic, payload[: presence.MAX_BYTES + 1])

    def _release(self) -> None:
        """Look at what was held back; as if it had been kept for somebody who comes late."""
        self._releasing = None
        held = self._held.items()
        self._held.clear()
        for _, topic, payload in held:
            self._arrived(topic, payload, retained=True)

    def _own_presence_arrived(self, payload: bytes) -> None:
        """Our own word comes back behind everything that the broker had retained."""
        if payload == self._online_payload():
            for change in self._presence.complete():
                self._present(change)
            if not self._knows_who_is_there:
                self._knows_who_is_there = True
                self._outbox.connected(self._clock.monotonic_s())
                self._stirred.set()
        elif (
            payload == presence.OFFLINE
            and self._epoch is not None
            and self._inbox.may_be_present(self._me.uid, self._clock.monotonic_s())
        ):
            self._say_online()  # a former connection's will came late
        elif self._epoch is not None and self._mending is None:
            # somebody else wrote it, an old one perhaps: whoever believes it cannot reach this device
            delay_s = DOUBLE_MEND_S if self._is_double(payload) else MEND_S
            self._mending = asyncio.get_running_loop().call_later(delay_s, self._mend)

    def _is_double(self, payload: bytes) -> bool:
        """Whether a device with another key has this one's id; which is told.

        The broker keeps them apart, since their client ids have the mark of their keys.
        """
        try:
            kid = presence.kid_of(payload)
        except Rejected:
            return False
        if kid is None or kid == self._trust.kid:
            return False
        now_s = self._clock.monotonic_s()
        if self._double_told_s is None or now_s - self._double_told_s >= DOUBLE_TOLD_S:
            self._double_told_s = now_s
            sentence = f"Another device, with another key, is at the broker as {self._me.uid}."
            self._post(FaultReported(TAKEN_OVER, sentence, "mqtt"))
        return True

    def _mend(self) -> None:
        self._mending = None
        if self._epoch is not None:
            self._say_online()

    def _present(self, change: PresenceChanged) -> None:
        if change.online:  # unsigned, it is about what else comes unsigned
            self._inbox.restarted(change.uid, change.endpoint)
        if change.online:
            address = Address(change.uid, change.endpoint)
            self._outbox.reachable(address, self._clock.monotonic_s())
            self._stirred.set()
        self._post(change)

    def _introduced(self, pairing: Pairing | None) -> Introducing | None:
        if pairing is None:
            return None

        def say(to: Address, payload: bytes, expiry_s: float) -> None:
            self._link.publish(self._topics.inbox(to.uid, self._me.uid), payload, expiry_s=expiry_s)

        return Introducing(pairing, say, partial(next, self._seq), self._clock, self._tasks)

    # -------------------- contacts come and go

    def _wanted(self) -> tuple[Subscription, ...]:
        invited = () if self._pairing is None else self._pairing.invitations.uids()
        return self._subscriptions.to((*self._contacts, *invited), self._listed.followed())

    def _listen(self) -> None:
        """Whom this device knows may be others than before: they are listened to, and no others."""
        wanted = self._wanted()
        if wanted != self._subscribed:
            self._subscribed = wanted
            self._link.subscribe(wanted)

    def revoked(self, kids: frozenset[str]) -> None:
        """These keys count no more: tell the endpoints that are there with one of them."""
        if self._introducing is not None:
            self._introducing.revoked(kids)

    def signed_by(self, kids: Collection[str]) -> frozenset[Address]:
        """The endpoints that were believed by one of these keys; endpoint None: all of that uid's."""
        return self._signers.of(kids)

    def moved(self, gone: frozenset[str]) -> None:
        """This machine's addresses have changed, and these are gone."""
        self._link.moved(gone)

    def follow_contacts(self) -> None:
        """The contacts are others than before: who came is seen, and who went is not."""
        before, self._known = self._known, frozenset(self._contacts)
        if self._pairing is not None:
            for uid in before - self._known:
                self._pairing.invitations.forget(uid)
        for uid in self._presence.uids():
            if uid not in self._contacts:
                self._listed.drop(uid)
                self._signers.forget(uid)
                for change in self._presence.drop(uid):
                    self._post(change)
        self._listen()
        for change in self._presence.recount():
            self._present(change)
        for uid, topic, payload in self._strangers.items():
            if uid in self._contacts:
                self._strangers.drop(uid, topic)
                self._arrived(topic, payload, retained=True)

    def _reject(self, fault: Rejected, topic: str) -> None:
        sentence = self._refusals.sentence(fault, topic, self._clock.monotonic_s())
        if sentence is not None:
            self._post(FaultReported(fault.code, sentence, topic, fault.call_id))

    # -------------------- our own presence

    def _own_presence_topic(self) -> str:
        return self._topics.presence(self._me.uid, ENDPOINT)

    def _online_payload(self) -> bytes:
        return presence.online(self._epoch or "", self._name, self._trust.kid)

    def _say_online(self) -> None:
        if self._leaving:  # nothing may come behind the farewell, whose own echo is heard too
            return
        self._link.publish(self._own_presence_topic(), self._online_payload(), retain=True)


def _unknown(sender: str) -> Rejected:
    return Rejected("unknown_sender", f"{sender} is not a contact of this device")


def _unlisted(said: Envelope) -> Rejected:
    where = f"{said.sender.uid}/{said.sender.endpoint}"
    sentence = f"{where} is no contact, and no host lists it with the key that signed"
    return Rejected("unknown_sender", sentence, call_id=said.call_id)
