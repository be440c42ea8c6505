"""One connection to the broker: one thread, which alone touches paho's client, and ends with it.

The thread drives paho through its interface for foreign loops (`loop_read`, `loop_write`,
`loop_misc`). paho's own thread would reconnect by itself without jitter, cannot be told when its
connect hangs, and dies of any error that is not an OSError. Nothing here touches asyncio: what
happens is reported by calling `report` in the thread.
"""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.reasoncodes import ReasonCode

from appliance.signaling.base import Publication, Return, Subscription
from appliance.signaling.inflow import MAX_PASSED_BYTES, BufferedClient, Inflow
from appliance.signaling.plan import CONNECT_TIMEOUT_S, Plan

FAREWELL_S = 1.5
"""How long a clean end waits for acknowledgements."""
FLOOD_PAUSE_S = 0.01
"""In a flood it is read so often: a thread that wakes up for each message takes Python from the loop."""
MOST_AT_ONCE = 64
"""Subscriptions in one packet, whose length a broker limits: a topic may have 150 characters."""
USER_TIMEOUT_MS = 5000
"""How long sent bytes may stay unacknowledged before the kernel gives the connection up."""

_UNSUPPORTED_PROTOCOL_VERSION = 0x84
_BAD_CREDENTIALS = (0x86, 0x87)
_KEEP_ALIVE_TIMEOUT = 0x8D
_SESSION_TAKEN_OVER = 0x8E
"""Reason codes of MQTT 5, section 2.4."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The broker has acknowledged every subscription."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message came."""

    topic: str
    payload: bytes
    retained: bool
    answer_to: Return | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker has what was published under this token."""

    token: int


@dataclass(frozen=True, slots=True)
class Faulted:
    """Something went wrong that does not end the connection."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over, and its thread with it.

    `answered`: the broker had said anything at all. `version_refused`: it does not speak our MQTT.
    """

    code: str
    message: str
    answered: bool = False
    version_refused: bool = False


@dataclass(frozen=True, slots=True)
class _Abandon:
    why: str


@dataclass(frozen=True, slots=True)
class _Subscribe:
    subscriptions: tuple[Subscription, ...]


Report = Ready | Arrived | Acknowledged | Faulted | Closed


@dataclass(frozen=True, slots=True)
class _Publish:
    publication: Publication
    expiry_s: float | None
    token: int | None


@dataclass(frozen=True, slots=True)
class _Farewell:
    publication: Publication | None


_Request = _Publish | _Farewell | _Abandon | _Subscribe


class Connection:
    """One attempt: `start` it, `publish` and `wake` from any thread, `close` it or see it `Closed`."""

    def __init__(self, plan: Plan, report: Callable[[Report], None]) -> None:
        self._plan = plan
        self._report = report
        self._requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self.address: str | None = None
        """This machine's own, once there is a socket."""
        self._client: BufferedClient | None = None
        self._abandoned = False
        self._wake_lock = threading.Lock()
        self._woken, self._wake = socket.socketpair()
        self._tokens: dict[int, int | None] = {}
        self._answered = False
        self._ready = False
        self._want(plan.subscriptions)
        self._asked: tuple[str, ...] | None = None
        """What the broker was asked for; None before it has let us in."""
        self._unanswered: dict[int | None, Sequence[Subscription]] = {}
        self._closing_since_s: float | None = None
        self._end: Closed | None = None
        self._turned_s: float | None = None
        """When the thread was last at its socket; None while it connects, and once it is over."""
        self._thread = threading.Thread(
            target=self._run, name=f"mqtt-{plan.client_id}", daemon=True
        )

    @classmethod
    def begun(cls, plan: Plan, report: Callable[[Report], None]) -> Connection:
        """One that was started; raises OSError or RuntimeError where the system has no more to give."""
        connection = cls(plan, report)
        connection.start()
        return connection

    def start(self) -> None:
        """Connect, in the thread; raises RuntimeError where there can be no more threads."""
        self._woken.settimeout(0)
        self._wake.settimeout(0)
        try:
            self._thread.start()
        except RuntimeError:
            self._wake.close()
            self._woken.close()
            raise

    def publish(self, publication: Publication, expiry_s: float | None, token: int) -> None:
        """Send a message at the next `wake`; `Acknowledged` names the token again."""
        self._requests.put(_Publish(publication, expiry_s, token))

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """From now on these, and no others."""
        self._request(_Subscribe(tuple(subscriptions)))

    @property
    def backlog(self) -> int:
        """How much waits for the thread, for the network, or for the broker's acknowledgement.

        paho's own queues have no end: what is in them is counted here, and whoever publishes looks here.
        """
        client = self._client
        held = 0 if client is None else client.backlog
        return self._requests.qsize() + held + len(self._tokens)

    def held_up_s(self) -> float:
        """How long ago the thread was at its socket, where it is each second; any thread.

        While it connects that is for the network to say: a name may be looked up for half a minute.
        """
        turned_s = self._turned_s
        return 0.0 if turned_s is None else time.monotonic() - turned_s

    def close(self, farewell: Publication | None) -> None:
        """Send what is under way and `farewell`, then disconnect."""
        self._request(_Farewell(farewell))

    def abandon(self, why: str) -> None:
        """It is dead, and nothing is to be waited for; `why` is a sentence."""
        self._request(_Abandon(why))

    def _request(self, request: _Request) -> None:
        self._requests.put(request)
        self.wake()

    def wake(self) -> None:
        """Let the thread do what it was asked for; any thread."""
        with self._wake_lock, contextlib.suppress(OSError):  # it is awake already, or over
            self._wake.send(b"\0")

    # -------------------- in the thread

    def _run(self) -> None:
        client: BufferedClient | None = None
        try:
            client = self._make_client()
            self._connect(client)
            self._pump(client)
        except Exception as fault:  # whatever paho raises, the link must hear that it ended
            self._ended("broker_lost", f"The connection to the broker broke: {fault!r}.")
        finally:
            self._turned_s = None
            if client is not None and (left := client.socket()) is not None:
                left.close()
            with self._wake_lock:
                self._wake.close()
            self._woken.close()
            self._report(self._end or Closed("broker_lost", "The connection to the broker ended."))

    def _ended(self, code: str, message: str, *, version_refused: bool = False) -> None:
        """Keep the first reason: what comes after it are its consequences."""
        if self._end is None:
            self._end = Closed(code, message, self._answered, version_refused)

    def _make_client(self) -> BufferedClient:
        try:
            client = self._plan.client()
        except (OSError, ValueError) as fault:
            self._ended("broker_credentials", f"The broker's credentials cannot be read: {fault}.")
            raise
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        return client

    def _connect(self, client: BufferedClient) -> None:
        where = f"{self._plan.mqtt.host}:{self._plan.mqtt.port}"
        try:
            self._plan.connect(client)
        except ssl.SSLError as fault:
            self._ended("broker_tls", f"No trusted connection to the broker {where}: {fault}.")
            raise
        except (OSError, ValueError) as fault:
            self._ended("broker_unreachable", f"The broker {where} cannot be reached: {fault}.")
            raise

    def _pump(self, client: BufferedClient) -> None:
        """Move bytes until the socket is closed, which all of paho's ends have in common."""
        patience_s = time.monotonic() + CONNECT_TIMEOUT_S
        sock: Any = client.socket()
        self._client = client
        client.inflow = inflow = Inflow(self._lets, has_properties=self._plan.is_v5)
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            selector.register(sock, selectors.EVENT_READ)
            while client.socket() is not None:
                self._turned_s = time.monotonic()
                wants = selectors.EVENT_WRITE if client.want_write() else 0
                selector.modify(sock, selectors.EVENT_READ | wants)
                # bytes that TLS has decrypted already do not show at the socket
                hidden = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
                happened = {key.fileobj: event for key, event in selector.select(not hidden)}
                if self._woken in happened:
                    self._woken.recv(4096)
                if hidden or happened.get(sock, 0) & selectors.EVENT_READ:
                    left_out, oversized = inflow.left_out, inflow.oversized
                    inflow.fill(sock)
                    if oversized == 0 < inflow.oversized:  # told once of each connection
                        self._report(Faulted("oversized", _OVERSIZED))
                    while inflow.waits() and client.socket() is not None:
                        client.loop_read()
                    self._acknowledge_at_once(client)
                    if inflow.left_out != left_out:
                        time.sleep(FLOOD_PAUSE_S)
                if happened.get(sock, 0) & selectors.EVENT_WRITE:
                    client.loop_write()
                client.loop_misc()
                self._perform_requests(client)
                if self._abandoned:
                    return
                if not self._ready and time.monotonic() > patience_s:
                    self._ended("broker_silent", "The broker does not answer in time.")
                    return
                if self._farewell_is_over(client):
                    return

    def _perform_requests(self, client: Client) -> None:
        while client.socket() is not None:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                return
            if isinstance(request, _Publish):
                self._publish(client, request)
                continue
            if isinstance(request, _Subscribe):
                self._want(request.subscriptions)
                self._ask(client)
                continue
            if isinstance(request, _Abandon):
                self._ended("broker_lost", request.why)
                self._abandoned = True
                return
            self._closing_since_s = time.monotonic()
            self._ended("closed", "The link was closed by this device.")
            if request.publication is not None and self._ready:
                self._publish(client, _Publish(request.publication, None, None))

    def _publish(self, client: Client, request: _Publish) -> None:
        message = request.publication
        properties = self._plan.properties(request.expiry_s, message.correlation)
        try:
            info = client.publish(
                message.topic, message.payload, message.qos, message.retain, properties
            )
        except ValueError as fault:
            self._report(Faulted("not_publishable", f"{message.topic}: {fault}."))
            return
        if message.qos:
            self._tokens[info.mid] = request.token
        elif request.token is not None:
            self._report(Acknowledged(request.token))

    def _want(self, subscriptions: Sequence[Subscription]) -> None:
        self._wanted = tuple(subscriptions)
        # many subscriptions have one sieve, which is to be asked once
        self._sieves = tuple(dict.fromkeys(one.lets for one in self._wanted if one.lets))

    def _lets(self, topic: str, payload: bytes, now_s: float) -> bool:
        return all(lets(topic, payload, now_s) for lets in self._sieves)

    def _ask(self, client: Client) -> None:
        """Of what is wanted ask for what was not asked for yet, and for no more of all else."""
        if self._asked is None:
            return
        before = frozenset(self._asked)
        self._asked = tuple(one.topic_filter for one in self._wanted)
        gone = sorted(before.difference(self._asked))
        new = [one for one in self._wanted if one.topic_filter not in before]
        for at in range(0, len(gone), MOST_AT_ONCE):
            client.unsubscribe(gone[at : at + MOST_AT_ONCE])
        for at in range(0, len(new), MOST_AT_ONCE):
            some = new[at : at + MOST_AT_ONCE]
            _, mid = client.subscribe(self._plan.subscribe_options(some))
            self._unanswered[mid] = some
        self._see_whether_ready()

    def _see_whether_ready(self) -> None:
        if not self._ready and not self._unanswered:
            self._ready = True
            self._report(Ready())

    def _farewell_is_over(self, client: Client) -> bool:
        """Disconnect when all is acknowledged or took too long; True: no longer wait even for that."""
        if self._closing_since_s is None:
            return False
        waited_s = time.monotonic() - self._closing_since_s
        if not self._tokens or waited_s > FAREWELL_S:
            client.disconnect()
        return waited_s > 2 * FAREWELL_S

    # -------------------- called by paho, in the thread

    @staticmethod
    def _acknowledge_at_once(client: Client) -> None:
        """A broker that has not been told to send at once waits for our delayed acknowledgement, 40 ms."""
        sock: Any = client.socket()
        if sock is not None and hasattr(socket, "TCP_QUICKACK"):  # Linux, and never for long
            with contextlib.suppress(OSError, AttributeError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _on_socket_open(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self.address = str(sock.getsockname()[0])
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)

    def _on_connect(
        self, client: Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self._answered = True
        if reason.is_failure:
            refused = reason.value == _UNSUPPORTED_PROTOCOL_VERSION
            code = "broker_not_authorized" if reason.value in _BAD_CREDENTIALS else "broker_refused"
            self._ended(code, f"The broker refused us: {reason}.", version_refused=refused)
        else:
            self._asked = ()
            self._ask(client)

    def _on_subscribe(
        self, client: Client, _userdata: Any, mid: int, reasons: list[ReasonCode], _props: Any
    ) -> None:
        refused = [
            f"{one.topic_filter} ({reason})"
            for one, reason in zip(self._unanswered.pop(mid, ()), reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            sentence = f"The broker refused to subscribe us to {', '.join(refused)}."
            self._ended("subscription_refused", sentence)
            client.disconnect()
            return
        self._see_whether_ready()

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._report(Faulted("malformed", "A message came whose topic is not UTF-8."))
            return
        answer_to = _return_of(message)
        self._report(Arrived(topic, bytes(message.payload), bool(message.retain), answer_to))

    def _on_publish(
        self, _client: Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Any
    ) -> None:
        token = self._tokens.pop(mid, None)
        if reason.is_failure:
            self._report(Faulted("publish_refused", f"The broker refused a message: {reason}."))
        if token is not None:
            self._report(Acknowledged(token))

    def _on_disconnect(
        self, _client: Client, _userdata: Any, flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if not flags.is_disconnect_packet_from_server:
            silent = reason.value == _KEEP_ALIVE_TIMEOUT
            how = "no longer answers" if silent else "broke the connection off, or the network did"
            self._ended("broker_lost", f"The broker {how}.")
        elif reason.value == _SESSION_TAKEN_OVER:
            sentence = f"Another program has connected to the broker as {self._plan.client_id}."
            self._ended("session_taken_over", sentence)
        else:
            self._ended("broker_lost", f"The broker ended the connection: {reason}.")


_OVERSIZED = (
    f"The broker sends more than {MAX_PASSED_BYTES} bytes at once, which is left out: "
    "limit what it takes (max_packet_size)."
)


def _return_of(message: MQTTMessage) -> Return | None:
    """Where the sender wants its answer; MQTT 3.1.1 has no word for it."""
    topic = getattr(message.properties, "ResponseTopic", None)
    if not isinstance(topic, str):
        return None
    return Return(topic, getattr(message.properties, "CorrelationData", None))
