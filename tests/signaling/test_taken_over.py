"""Two programs with one client id at a real broker: both live on, ever more quietly, and say so."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from appliance.calls.inputs import FaultReported, Input, LinkChanged, LinkState
from appliance.config import Device, Mqtt, Security
from appliance.signaling import backoff
from appliance.signaling.base import Publication
from appliance.signaling.link import MqttSignaling
from appliance.signaling.marks import mark_of
from appliance.signaling.mqtt import MqttLink
from appliance.signaling.trust import KeyTrust
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey
from tests.parts.mosquitto import Mosquitto
from tests.parts.proxy import proxy_to
from tests.parts.watched import Watched

FASTER = 100
"""Times than it is in a house."""


class Program:
    """One of the two."""

    def __init__(self, name: str, port: int, mark: str = "secret") -> None:
        self.name = name
        self.connected: Watched[float] = Watched()
        self.faults: list[str] = []
        self.sentences: list[str] = []
        self.link = MqttLink(
            Mqtt(host="127.0.0.1", port=port),
            "front-door-main",
            on_state=self._state,
            on_message=lambda *_: None,
            on_fault=self._fault,
            mark=mark,
            will=Publication("presence/front-door", b"offline", retain=True),
        )

    def _fault(self, code: str, sentence: str) -> None:
        self.faults.append(code)
        self.sentences.append(sentence)

    def _state(self, state: LinkState) -> None:
        if state is LinkState.CONNECTED:
            self.connected.post(time.monotonic())
            self.link.publish("presence/front-door", f"online {self.name}".encode(), retain=True)


@pytest.fixture(autouse=True)
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RIVAL_BASE_S", "RIVAL_CAP_S", "IMPATIENT_CAP_S"):
        monkeypatch.setattr(backoff, name, getattr(backoff, name) / FASTER)


@pytest.mark.broker
async def test_two_with_one_client_id_come_to_rest_and_say_so(
    mosquitto: Mosquitto,
) -> None:
    one, two = Program("one", mosquitto.port), Program("two", mosquitto.port)
    async with one.link, two.link, asyncio.timeout(60):
        for program in (one, two):
            await program.connected.until(lambda _, p=program: len(p.connected) >= 10)  # type: ignore[misc]
    for program in (one, two):
        # 2.0 says nothing to who is thrown out, newer ones do
        told = [code for code in program.faults if code != "broker_lost"]
        assert told == ["session_taken_over", "broker_unsteady"]
        assert not any("secret" in sentence for sentence in program.sentences)
        assert any("front-door-main" in sentence for sentence in program.sentences)
        # what has to be waited for is a lower bound: a machine that is busy only adds to it
        late = list(program.connected)[6:]
        waits = [after - before for before, after in pairwise(late)]
        assert min(waits) >= backoff.RIVAL_CAP_S / 2
    assert mosquitto.log.count("already connected, closing old connection") >= 18


@pytest.mark.broker
async def test_a_connection_that_is_cut_again_and_again_is_no_rival(
    mosquitto: Mosquitto,
) -> None:
    async with proxy_to(mosquitto.port) as way, asyncio.timeout(60):
        one = Program("one", way.port)
        async with one.link:
            for times in range(1, 7):
                await one.connected.until(lambda _, n=times: len(one.connected) >= n)  # type: ignore[misc]
                way.cut()
        assert way.connections > 6  # it had a look, and found nobody
    assert "session_taken_over" not in one.faults
    assert "broker_unsteady" in one.faults


@pytest.mark.broker
async def test_two_devices_with_one_id_and_keys_of_their_own_say_so(mosquitto: Mosquitto) -> None:
    """Their client ids are two, so that the broker keeps both: they meet where they are present."""
    mqtt = Mqtt(host="127.0.0.1", port=mosquitto.port)
    told: dict[str, Watched[Input]] = {"one": Watched(), "two": Watched()}
    async with contextlib.AsyncExitStack() as stack:
        for inputs in told.values():
            key, contacts = DeviceKey.make(), Contacts({})
            one = MqttSignaling(
                Device(id="front-door"),
                mqtt,
                Security(),
                contacts,
                inputs.post,
                connect=partial(MqttLink, mqtt, mark=mark_of(key, Path("nowhere"))),
                trust=KeyTrust(key, contacts, "refuse"),
            )
            await stack.enter_async_context(one)
            await inputs.until(
                lambda it: isinstance(it, LinkChanged) and it.state is LinkState.CONNECTED
            )
        fault = await told["one"].until(FaultReported)
        assert isinstance(fault, FaultReported)
        assert fault.code == "session_taken_over"
        assert "front-door" in fault.message
        states = [each.state for each in told["one"] if isinstance(each, LinkChanged)]
        assert states == [LinkState.CONNECTING, LinkState.CONNECTED]
