"""How one connection is made: everything in which MQTT 5 and 3.1.1 differ, and TLS."""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from appliance.config import Mqtt
from appliance.signaling.base import Publication, Subscription
from appliance.signaling.inflow import MAX_PACKET_BYTES, BufferedClient

CONNECT_TIMEOUT_S = 5.0
"""For the TCP connection and TLS, and again for the broker's acknowledgements."""
MAX_INFLIGHT = 64
TLS_PORT = 8883


@dataclass(frozen=True, slots=True)
class Plan:
    """How to connect, as whom, and what to be sent."""

    mqtt: Mqtt
    client_id: str
    """What it is called, in sentences too."""
    version: MQTTProtocolVersion
    keepalive_s: int = 5
    will: Publication | None = None
    subscriptions: Sequence[Subscription] = ()
    """With which it begins."""
    mark: str = ""
    """What is behind its name at the broker, and nobody else knows; in no sentence and no log."""

    @property
    def tls(self) -> bool:
        """TLS is spoken where a certificate is configured, and on its registered port."""
        return bool(self.mqtt.ca_file or self.mqtt.cert_file) or self.mqtt.port == TLS_PORT

    @property
    def is_v5(self) -> bool:
        """Whether MQTT 5 is spoken, with its properties."""
        return self.version is MQTTProtocolVersion.MQTTv5

    def client(self) -> BufferedClient:
        """A paho client that is ready to connect; reads the files of the configuration.

        Raises OSError or ValueError if one of them cannot be used.
        """
        client = BufferedClient(
            CallbackAPIVersion.VERSION2,
            f"{self.client_id}-{self.mark}" if self.mark else self.client_id,
            clean_session=None if self.is_v5 else True,
            protocol=self.version,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(MAX_INFLIGHT)
        if (will := self.will) is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        if self.mqtt.username is not None:
            client.username_pw_set(self.mqtt.username, _secret(self.mqtt.password_file))
        if self.tls:
            client.tls_set_context(_tls_context(self.mqtt))
        return client

    def connect(self, client: BufferedClient) -> None:
        """Connect, blocking; a clean start, and nothing is kept for us once we are gone."""
        if not self.is_v5:
            client.connect(self.mqtt.host, self.mqtt.port, self.keepalive_s)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        client.connect(
            self.mqtt.host,
            self.mqtt.port,
            self.keepalive_s,
            clean_start=True,
            properties=properties,
        )

    def subscribe_options(self, subscriptions: Iterable[Subscription]) -> list[tuple[str, Any]]:
        """Subscriptions as paho takes them."""
        return [(one.topic_filter, self._options(one)) for one in subscriptions]

    def properties(self, expiry_s: float | None, correlation: bytes | None) -> Properties | None:
        """By which a broker lets a message die, and an asker knows its answer, where there are any."""
        if (expiry_s is None and correlation is None) or not self.is_v5:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = max(1, math.ceil(expiry_s))
        if correlation is not None:
            properties.CorrelationData = correlation
        return properties

    def _options(self, one: Subscription) -> SubscribeOptions | int:
        if not self.is_v5:
            return one.qos
        handling = (
            SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
            if one.retained
            else SubscribeOptions.RETAIN_DO_NOT_SEND
        )
        return SubscribeOptions(qos=one.qos, retainHandling=handling)


def _secret(file: str | None) -> str | None:
    return None if file is None else Path(file).read_text("utf-8").strip("\r\n")


class _TidySocket(ssl.SSLSocket):
    """Closes itself when it does not trust the other side; paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:
        """See `ssl.SSLSocket.do_handshake`."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls_context(mqtt: Mqtt) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=mqtt.ca_file)
    context.sslsocket_class = _TidySocket
    if mqtt.cert_file is not None:
        context.load_cert_chain(mqtt.cert_file, mqtt.key_file)
    return context
