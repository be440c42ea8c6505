"""Mutated, forged and replayed messages into a device's inbox, with honest ones among them.

The whole way in is the device's own: link, knock, invitations, signature, decoding, firewall, memory of
what was acted on. Of most only the broker is left out, whose bytes are given to the link's callback,
and the clock, which goes on by as much as lets a sender through, except in floods. A share of them goes
through a real broker, and with it the device's own connection and sieve (`over_a_broker`).
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import resource
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self, cast

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from appliance.calls.inputs import FaultReported, Input, LinkState, MessageReceived
from appliance.config import Contact, Device, Mqtt, Security
from appliance.messages import Address
from appliance.model import Right
from appliance.signaling.base import Connect, Link, OnMessage, OnState, Publication, Subscription
from appliance.signaling.clock import Clock
from appliance.signaling.inflow import MAX_PACKET_BYTES
from appliance.signaling.link import MqttSignaling
from appliance.signaling.mqtt import MqttLink
from appliance.signaling.pairing import PAIR, Invitation, PairBody, Pairing, proof_of
from appliance.signaling.trust import KeyTrust
from appliance.signaling.wire import Letter, encode, encode_letter
from appliance.trust.contacts import Contacts
from appliance.trust.jws import seal
from appliance.trust.keys import DeviceKey, encoded
from tests.fuzz import mutations
from tests.fuzz.table import Longest, Outcome
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.signaling.envelopes import MESSAGES, OFFER, envelope

DOOR = "door"
HONEST_IN = 1000
BURST = 200
"""Now and then so many come without a pause."""
STEP_S = 0.3
"""Otherwise the clock goes on by so much, so that it is not the rate that keeps them out."""
RECORDED = 500
GUEST = "dora"
"""Who is invited."""
HONEST_BY_A_BROKER = 50
PATIENCE_S = 30.0
SETTLED_S = 0.6
"""What is left out on the way is counted half a second later: more than was sent would be seen."""

Sender = tuple[str, str]


class Virtual(Clock):
    """A clock that is moved by hand."""

    _moved: list[float]

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "_moved", [1000.0])

    def go_on(self, by_s: float) -> None:
        """Let time pass."""
        self._moved[0] += by_s

    def monotonic_s(self) -> float:
        """As far as it was moved."""
        return self._moved[0]

    def wall_ms(self) -> int:
        """The same, from some day on."""
        return 1_795_252_800_000 + int(self._moved[0] * 1000)

    def synced(self) -> bool:
        """So that age is judged."""
        return True


class InTime(Clock):
    """The real time, of a device that knows it: only then is age judged."""

    def synced(self) -> bool:
        """It is."""
        return True


class Hose:
    """A link whose other end is held by the program: what it is given has come from the broker."""

    state = LinkState.CONNECTED

    def __init__(self, on_state: OnState, on_message: OnMessage) -> None:
        self.on_state, self.on_message = on_state, on_message
        self.epoch: str | None = None

    async def __aenter__(self) -> Self:
        self.on_state(LinkState.CONNECTED)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to be closed."""

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Whatever is asked for, everything comes."""

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: float | None = None,
        acknowledged: Callable[[], None] | None = None,
    ) -> bool:
        """Keep the epoch that it tells everybody."""
        if topic.startswith("appliance/presence/"):
            self.epoch = json.loads(payload).get("epoch") or self.epoch
        return True


class Fuzz:
    """The device's signaling, its honest senders, and everybody else."""

    def __init__(
        self, seed: int, connect: Connect | None = None, clock: Clock | None = None
    ) -> None:
        """With a link and a clock of its own, unless a real one is given."""
        self.rng = Random(seed)
        self.clock = clock or Virtual()
        self.received: list[MessageReceived] = []
        self.reports = 0
        self.keys = {"alice": DeviceKey.make(), "bob": DeviceKey.make()}
        self.carol = DeviceKey.make()
        """Hers, in whose name nobody sends what is not to be believed."""
        self.stranger = DeviceKey.make()
        self.hose: Hose | None = None
        self.counted: Counter[str] = Counter()
        self.recorded: list[tuple[str, bytes]] = []
        self.sdp = OFFER.sdp
        self._seq: Counter[str] = Counter()
        self._ids = itertools.count(1)
        self._kinds = itertools.cycle(MESSAGES)
        self.contacts = contacts = Contacts(
            {
                uid: Contact(uid.title(), (key.public,), (Right.CALL, Right.ANSWER))
                for uid, key in {**self.keys, "carol": self.carol}.items()
            }
        )
        self.known = contacts.all()
        key = DeviceKey.make()
        self.pairing = Pairing(DOOR, key, contacts)
        self.signaling = MqttSignaling(
            Device(id=DOOR),
            Mqtt(),
            Security("refuse"),
            contacts,
            self._post,
            connect=connect or self._connect,
            trust=KeyTrust(key, contacts, "refuse"),
            clock=self.clock,
            pairing=self.pairing,
        )

    def _connect(
        self,
        client_id: str,
        *,
        on_state: OnState,
        on_message: OnMessage,
        on_fault: Callable[[str, str], None],
        will: Publication | None = None,
        subscriptions: Any = (),
    ) -> Link:
        assert all(isinstance(one, Subscription) for one in subscriptions)
        self.hose = Hose(on_state, on_message)
        return cast(Link, self.hose)

    def _post(self, happened: Input) -> None:
        if isinstance(happened, MessageReceived):
            self.received.append(happened)
        elif isinstance(happened, FaultReported):
            self.reports += 1

    def go_on(self, by_s: float) -> None:
        """Let time pass, where it is not the real one."""
        assert isinstance(self.clock, Virtual)
        self.clock.go_on(by_s)

    # -------------------- what is said

    def written(self, uid: str, *, fresh: bool, **changes: Any) -> bytes:
        """An envelope of an endpoint of `uid`, with all that makes it believable, but for `changes`."""
        if fresh:
            self._seq[uid] += 1
        message = next(self._kinds)
        values: dict[str, Any] = {
            "sender": message_sender(uid),
            "to": message_sender(DOOR, None),
            "id": f"m{next(self._ids)}",
            "epoch": self.signaling._epoch,
            "seq": self._seq[uid] if fresh else self._seq[uid] + 10**9,
            "sent_at_ms": self.clock.wall_ms(),
            "message": message,
        }
        return encode(envelope(**values | changes))

    def honest(self) -> tuple[str, bytes]:
        """One that is to be believed; kept, to be said again by others."""
        uid = self.rng.choice(list(self.keys))
        sealed = seal(self.written(uid, fresh=True), self.keys[uid])
        self.recorded = [*self.recorded[-RECORDED:], (uid, sealed)]
        return uid, sealed

    def invitation(self) -> Invitation:
        """The one that is open for dora: wrong proofs end it, and then there is another."""
        open_ones = self.pairing.invitations._open
        if not open_ones:
            self.pairing.invitations.issue(
                GUEST,
                "Dora",
                (Right.CALL,),
                lasts_s=1e9,
                now_s=self.clock.monotonic_s(),
                ended=_over,
            )
        return open_ones[0]

    def pair(self, body: PairBody, uid: str = GUEST) -> bytes:
        """What asks to take a key in."""
        number = next(self._ids)
        letter = Letter(PAIR, f"m{number}", f"p{number}", message_sender(uid), _door(), body)
        at_ms = self.clock.wall_ms()
        return encode_letter(letter, seq=number, sent_at_ms=at_ms, ttl_s=30.0)

    def dishonest(self) -> tuple[str, bytes, bool]:
        """One that is not: whose topic it comes by, what it is, and whether the broker kept it."""
        name, make = self.rng.choice(ATTACKS)
        uid, payload = make(self)
        self.counted[f"sent: {name}"] += 1
        return uid, payload, name == "retained"


def message_sender(uid: str, endpoint: str | None = "phone-1") -> Any:
    """An address."""
    return Address(uid, endpoint)


def _door() -> Any:
    return message_sender(DOOR, None)


def _over(how: str, what: str) -> None:
    """Nobody waits for an invitation of this program."""


# -------------------- how one tries to be believed


def _somebody(fuzz: Fuzz) -> str:
    return fuzz.rng.choice(list(fuzz.keys))


def _unheard(fuzz: Fuzz, uid: str) -> bytes:
    """What `uid` has signed and nobody has heard yet: to be spoilt before anybody does."""
    return seal(fuzz.written(uid, fresh=False), fuzz.keys[uid])


def _flipped(fuzz: Fuzz) -> tuple[str, bytes]:
    uid = _somebody(fuzz)
    sealed = bytearray(_unheard(fuzz, uid))
    at = fuzz.rng.randrange(len(sealed))
    sealed[at] ^= 1 << fuzz.rng.randrange(8)
    return uid, bytes(sealed)


def _mutated(fuzz: Fuzz) -> tuple[str, bytes]:
    uid = _somebody(fuzz)
    sealed = _unheard(fuzz, uid)
    while (spoilt := mutations.of_bytes(sealed, fuzz.rng)) == sealed:
        continue
    return uid, spoilt


def _spliced(fuzz: Fuzz) -> tuple[str, bytes]:
    """Header, text and signature of different messages."""
    uid = _somebody(fuzz)
    parts = [_unheard(fuzz, _somebody(fuzz)).split(b".") for _ in range(3)]
    return uid, b".".join((parts[0][0], parts[1][1], parts[2][2]))


def _rewritten(fuzz: Fuzz) -> tuple[str, bytes]:
    """A text that was signed, with something in it changed, under the old signature."""
    uid = _somebody(fuzz)
    header, text, signature = _unheard(fuzz, uid).split(b".")
    said = json.loads(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
    changed = {**said, "seq": said["seq"] + 1, "id": f"{said['id']}x"}
    if fuzz.rng.random() < 0.7:
        changed = mutations.of_json(changed, fuzz.rng)
    return uid, b".".join((header, encoded(mutations.as_text(changed)).encode(), signature))


def _by_another_key(fuzz: Fuzz) -> tuple[str, bytes]:
    """By a stranger's key, under its own name or that of a contact."""
    uid = _somebody(fuzz)
    text = fuzz.written(uid, fresh=False)
    if fuzz.rng.random() < 0.5:
        return uid, seal(text, fuzz.stranger)
    other = next(name for name in fuzz.keys if name != uid)
    return uid, seal(text, fuzz.keys[other])


def _other_algorithm(fuzz: Fuzz) -> tuple[str, bytes]:
    """Headers that ask to be believed by other rules (RFC 8725)."""
    uid = _somebody(fuzz)
    header: dict[str, Any] = {
        "alg": fuzz.rng.choice(["none", "None", "HS256", "EdDSA", "ES256", "", None, 1]),
        "kid": fuzz.keys[uid].kid,
        "typ": "appliance+json",
    }
    if fuzz.rng.random() < 0.5:
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": fuzz.stranger.public}
        header |= {"alg": "Ed25519", "jwk": jwk}
    text = fuzz.written(uid, fresh=False)
    signed = f"{encoded(mutations.as_text(header))}.{encoded(text)}".encode()
    key = fuzz.rng.choice([fuzz.stranger, fuzz.keys[uid]])
    signature = fuzz.rng.choice([b"", encoded(key.sign(signed)).encode()])
    return uid, signed + b"." + signature


def _unsigned(fuzz: Fuzz) -> tuple[str, bytes]:
    uid = _somebody(fuzz)
    text = fuzz.written(uid, fresh=False)
    return uid, text if fuzz.rng.random() < 0.5 else mutations.of_bytes(text, fuzz.rng)


def _rubbish(fuzz: Fuzz) -> tuple[str, bytes]:
    size = fuzz.rng.choice([0, 1, 10, 100, 1000])
    return _somebody(fuzz), fuzz.rng.randbytes(size)


def _huge(fuzz: Fuzz) -> tuple[str, bytes]:
    uid = _somebody(fuzz)
    what = fuzz.rng.choice([b"[", b'{"a":', b"a", b"\xff", b"A."])
    return uid, what * (fuzz.rng.choice([20_000, 60_000]) // len(what))


def _deep(fuzz: Fuzz) -> tuple[str, bytes]:
    """By somebody who has a key: nested as far as the size allows."""
    uid = _somebody(fuzz)
    return uid, seal(fuzz.rng.choice([b"[", b'{"a":']) * fuzz.rng.randint(33, 5000), fuzz.keys[uid])


def _replayed(fuzz: Fuzz) -> tuple[str, bytes]:
    """What was believed before, as it was."""
    return fuzz.rng.choice(fuzz.recorded) if fuzz.recorded else _rubbish(fuzz)


def _replayed_elsewhere(fuzz: Fuzz) -> tuple[str, bytes]:
    """What was believed of one, by the topic of another."""
    uid, payload = _replayed(fuzz)
    return next(name for name in fuzz.keys if name != uid), payload


def _of_another_epoch(fuzz: Fuzz) -> tuple[str, bytes]:
    """Rightly signed, and said to a connection that is over."""
    uid = _somebody(fuzz)
    epoch = fuzz.rng.choice([None, "0" * 32, "e1"])
    return uid, seal(fuzz.written(uid, fresh=False, epoch=epoch), fuzz.keys[uid])


def _too_old(fuzz: Fuzz) -> tuple[str, bytes]:
    uid = _somebody(fuzz)
    at = fuzz.clock.wall_ms() + fuzz.rng.choice([-1, 1]) * fuzz.rng.randint(36_000, 10**10)
    return uid, seal(fuzz.written(uid, fresh=False, sent_at_ms=at), fuzz.keys[uid])


def _step_back(fuzz: Fuzz) -> tuple[str, bytes]:
    """Rightly signed and new, with a number that was used."""
    uid = _somebody(fuzz)
    if not fuzz._seq[uid]:
        return _rubbish(fuzz)
    seq = fuzz.rng.randint(0, fuzz._seq[uid])
    return uid, seal(fuzz.written(uid, fresh=False, seq=seq), fuzz.keys[uid])


def _malformed_by_a_contact(fuzz: Fuzz) -> tuple[str, bytes]:
    """Rightly signed, and not what the interfaces say."""
    uid = _somebody(fuzz)
    said = json.loads(fuzz.written(uid, fresh=False))
    match fuzz.rng.randrange(5):
        case 0:
            del said[fuzz.rng.choice(["v", "id", "type", "call_id", "from", "to", "seq", "body"])]
        case 1:
            field = fuzz.rng.choice(
                ["v", "id", "type", "call_id", "from", "endpoint", "seq", "ttl_s"]
            )
            said[field] = fuzz.rng.choice([None, [], {}, "", "\x00", "a b", -1, 2**63, 1e308])
        case 2:
            said["v"] = fuzz.rng.choice([0, 2, 99])
        case 3:
            said["type"] = fuzz.rng.choice(["invit", "", "exec", "INVITE", "invite "])
        case _:
            said["body"] = fuzz.rng.choice([None, [], "", 1])
    return uid, seal(mutations.as_text(said), fuzz.keys[uid])


def _sdp_of_a_contact(fuzz: Fuzz) -> tuple[str, bytes]:
    """Rightly signed, with a description or candidate that the firewall has to keep out."""
    uid = _somebody(fuzz)
    said = json.loads(fuzz.written(uid, fresh=False))
    line = fuzz.rng.choice(
        [
            "a=candidate:1 1 udp 1 internal.example 54321 typ host",
            "a=candidate:1 1 udp 1 127.0.0.1 54321 typ host",
            "a=candidate:1 1 udp 1 224.0.0.251 5353 typ host",
            "a=candidate:1 1 udp 1 192.0.2.1 53 typ host",
            "a=candidate:x",
            "a=fingerprint:sha-1 " + ":".join(["00"] * 20),
            "m=audio 9 RTP/AVP 0",
            "a=mid:0",
            "a=x" * 1000,
        ]
    )
    sdp = fuzz.sdp + line * fuzz.rng.choice([1, 1, 1, 40])
    body = {"offer": {"type": "offer", "sdp": sdp}, "generation": 1, "reason": None}
    return uid, seal(mutations.as_text(said | {"type": "offer", "body": body}), fuzz.keys[uid])


def _by_a_stranger(fuzz: Fuzz) -> tuple[str, bytes]:
    text = fuzz.written("mallory", fresh=False)
    return "mallory", seal(text, fuzz.stranger) if fuzz.rng.random() < 0.5 else text


def _for_somebody_else(fuzz: Fuzz) -> tuple[str, bytes]:
    """Rightly signed, for another device or under another's name."""
    uid = _somebody(fuzz)
    other = next(name for name in fuzz.keys if name != uid)
    change = fuzz.rng.choice(
        [{"to": message_sender("gate", None)}, {"sender": message_sender(other)}]
    )
    return uid, seal(fuzz.written(uid, fresh=False, **change), fuzz.keys[uid])


def _pairing(fuzz: Fuzz) -> tuple[str, bytes]:
    """A key that wants to be known, by somebody who was invited, or was not: nothing proves it."""
    invited, key = fuzz.invitation(), fuzz.stranger.public
    uid = fuzz.rng.choice([GUEST, GUEST, "mallory", _somebody(fuzz)])
    proof = fuzz.rng.choice(
        [
            proof_of(fuzz.rng.randbytes(16), DOOR, uid, key),
            proof_of(invited.secret, DOOR, uid, fuzz.carol.public),
            proof_of(invited.secret, "gate", uid, key),
            proof_of(invited.secret, DOOR, f"{uid}x", key),
        ]
    )
    return uid, fuzz.pair(PairBody(key, proof), uid)


def _pairing_spoilt(fuzz: Fuzz) -> tuple[str, bytes]:
    """What would pair a phone, with something in it changed by who does not know the secret."""
    key = fuzz.stranger.public
    right = json.loads(
        fuzz.pair(PairBody(key, proof_of(fuzz.invitation().secret, DOOR, GUEST, key)))
    )
    # all of it: one letter that is changed may be right already, or be put right by what spoils more
    right["body"]["proof"] = right["body"]["proof"][::-1]
    if fuzz.rng.random() < 0.5:
        return GUEST, mutations.as_text(mutations.of_json(right, fuzz.rng))
    return GUEST, mutations.of_bytes(mutations.as_text(right), fuzz.rng)


ATTACKS: tuple[tuple[str, Callable[[Fuzz], tuple[str, bytes]]], ...] = (
    ("one bit flipped", _flipped),
    ("bytes mutated", _mutated),
    ("parts of different messages", _spliced),
    ("rewritten under the old signature", _rewritten),
    ("signed by another key", _by_another_key),
    ("another algorithm or key in the header", _other_algorithm),
    ("not signed", _unsigned),
    ("rubbish", _rubbish),
    ("huge", _huge),
    ("nested deeply", _deep),
    ("replayed", _replayed),
    ("replayed in another's name", _replayed_elsewhere),
    ("retained", _replayed),
    ("said to an earlier connection", _of_another_epoch),
    ("too old, or from the future", _too_old),
    ("an old number", _step_back),
    ("malformed, rightly signed", _malformed_by_a_contact),
    ("descriptions to be kept out, rightly signed", _sdp_of_a_contact),
    ("by a stranger", _by_a_stranger),
    ("a key that no invitation proves", _pairing),
    ("a pairing that was spoilt", _pairing_spoilt),
    ("for or from somebody else, rightly signed", _for_somebody_else),
)


# -------------------- the program


def run(count: int, seed: int) -> Outcome:
    """Send `count` messages that are not to be believed, and an honest one in a thousand of them."""
    return asyncio.run(_run(count, seed))


async def _run(count: int, seed: int) -> Outcome:
    fuzz = Fuzz(seed)
    outcome = Outcome("Messages: mutated, forged and replayed", seed)
    longest = Longest()
    honest: list[str] = []
    before_mb = _memory_mb()
    async with fuzz.signaling:
        assert fuzz.hose is not None
        burst = 0
        for number in range(count):
            if number % HONEST_IN == HONEST_IN // 2:
                fuzz.go_on(60.0)  # whoever floods has the sender's share used up
                uid, payload = fuzz.honest()
                honest.append(uid)
                with longest.step("an honest message"):
                    fuzz.hose.on_message(f"appliance/call/{DOOR}/{uid}", payload, False)
            uid, payload, retained = fuzz.dishonest()
            with longest.step(f"{len(payload)} bytes of {uid}"):
                fuzz.hose.on_message(f"appliance/call/{DOOR}/{uid}", payload, retained)
            burst = burst - 1 if burst else BURST * (fuzz.rng.random() < 0.0005)
            if not burst:
                fuzz.go_on(STEP_S)
            if number % 1000 == 0:
                await asyncio.sleep(0)
        await _a_phone_is_paired(fuzz, outcome)
    _judge(outcome, fuzz, honest, count, longest)
    outcome.figures["memory grown"] = f"{_memory_mb() - before_mb:.0f} MB"
    return outcome


async def _a_phone_is_paired(fuzz: Fuzz, outcome: Outcome) -> None:
    """Nobody was, and the one who was given the invitation is."""
    assert fuzz.hose is not None
    outcome.expect(fuzz.contacts.all() == fuzz.known, "no key was taken in")
    key = DeviceKey.make()
    proof = proof_of(fuzz.invitation().secret, DOOR, GUEST, key.public)
    fuzz.go_on(60.0)
    paired = fuzz.pair(PairBody(key.public, proof))
    fuzz.hose.on_message(f"appliance/call/{DOOR}/{GUEST}", paired, False)
    for _ in range(100):
        await asyncio.sleep(0)
    outcome.expect(key.kid in fuzz.contacts.keys_of(GUEST), "who was invited was paired after it")


def over_a_broker(count: int, seed: int) -> Outcome:
    """So many by a real mosquitto, at both qualities; carol, whom nobody imitates, is served meanwhile."""
    outcome = Outcome("Messages by a real broker: mutated, forged and replayed", seed)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        broker = Mosquitto(program("mosquitto"), Path(folder))
        broker.start()
        try:
            asyncio.run(_by_a_broker(broker.port, count, seed, outcome))
        finally:
            broker.kill()
    return outcome


async def _by_a_broker(port: int, count: int, seed: int, outcome: Outcome) -> None:
    connect = partial(MqttLink, Mqtt(host="127.0.0.1", port=port))
    fuzz = Fuzz(seed, connect, InTime())
    fuzz.invitation()  # so that it listens to her from the start
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent, to_send = 0, count
    try:
        async with fuzz.signaling, asyncio.timeout(PATIENCE_S + count / 100):
            while fuzz.signaling._epoch is None:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)
            for number in range(to_send):
                if number % HONEST_BY_A_BROKER == 0:
                    text = fuzz.written("carol", fresh=True)
                    sealed = seal(text, fuzz.carol)
                    client.publish(f"appliance/call/{DOOR}/carol", sealed, 1)
                    fuzz.recorded = [*fuzz.recorded[-RECORDED:], (_somebody(fuzz), sealed)]
                    sent += 1
                    while len(fuzz.received) < sent:  # noqa: ASYNC110
                        await asyncio.sleep(0.005)
                uid, payload, retained = fuzz.dishonest()
                client.publish(f"appliance/call/{DOOR}/{uid}", payload, number % 2, retained)
                asked = {one.topic_filter for one in fuzz.signaling._subscribed}
                if f"appliance/call/{DOOR}/{uid}" not in asked:
                    fuzz.counted["left at the broker: of somebody whom nobody knows"] += 1
                    count -= 1
                elif len(payload) > MAX_PACKET_BYTES - 100:  # it was told not to send these
                    fuzz.counted["left at the broker: larger than agreed"] += 1
                    count -= 1
            while _refused(fuzz).total() < count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await asyncio.sleep(SETTLED_S)
    except TimeoutError:
        outcome.faults.append("what was sent did not all come, or was not counted")
    finally:
        client.disconnect()
        client.loop_stop()
    outcome.sent = to_send + sent
    outcome.counts = fuzz.counted + _refused(fuzz)
    outcome.counts["honest, and served"] = len(fuzz.received)
    served = [one.sender.uid for one in fuzz.received]
    outcome.expect(served == ["carol"] * sent, "every honest message was served, once")
    outcome.expect(_refused(fuzz).total() == count, "every other one was counted with its reason")
    outcome.expect(fuzz.contacts.all() == fuzz.known, "no key was taken in")


def _refused(fuzz: Fuzz) -> Counter[str]:
    rejected = Counter({f"refused: {code}": n for code, n in fuzz.signaling.rejected.items()})
    return rejected + Counter(
        {f"ignored: {code}": n for code, n in fuzz.signaling._inbox.ignored.items()}
    )


def _judge(outcome: Outcome, fuzz: Fuzz, honest: list[str], count: int, longest: Longest) -> None:
    refused = _refused(fuzz)
    outcome.sent = count + len(honest)
    outcome.counts = fuzz.counted + refused
    outcome.counts["honest, and served"] = len(fuzz.received)
    outcome.figures["reports of it"] = str(fuzz.reports)
    outcome.expect(
        [one.sender.uid for one in fuzz.received] == honest, "every honest message was served, once"
    )
    outcome.expect(refused.total() == count, "every other one was counted with its reason")
    outcome.expect_short(longest)


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
