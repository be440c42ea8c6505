"""Who answers late consents, who does not answer or says no does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aioice import Connection, stun

from appliance.media.seams import consent, guarding
from tests.media.seams.ends import connected
from tests.media.stranger import until

LATE_S = 0.6
"""More than aioice would wait."""
DEAD_S = 1.7
"""A question that was asked before is said again only when consent has expired: another has to be asked."""

Answer = Callable[[stun.Message, Callable[[stun.Message], None]], None]
"""What is done with an answer, and how it is sent."""


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[tuple[Connection, Connection]]:
    """Two that are connected; how the second one answers whether it consents."""
    guarding.guard()
    assert Connection.query_consent is consent.query_consent
    async with connected() as (one, other):
        for protocol in other._protocols:
            _answering(protocol, answer)
        yield one, other


def _answering(protocol: Any, answer: Answer) -> None:
    send = protocol.send_stun

    def send_stun(message: stun.Message, addr: tuple[str, int]) -> None:
        if message.message_class == stun.Class.REQUEST:
            send(message, addr)
        else:
            answer(message, lambda changed: still(changed, addr))

    def still(message: stun.Message, addr: tuple[str, int]) -> None:
        if not protocol.transport.is_closing():  # who is late may be later than the end
            send(message, addr)

    protocol.send_stun = send_stun


def is_open(connection: Connection) -> bool:
    return not connection._closed


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent, "EVERY_S", 0.05)
    monkeypatch.setattr(consent, "EXPIRES_S", 3.2)


async def test_who_answers_late_consents() -> None:
    late: list[float] = []
    clock = asyncio.get_running_loop().time

    def answer(message: stun.Message, send: Callable[[stun.Message], None]) -> None:
        late.append(clock())
        asyncio.get_running_loop().call_later(LATE_S, send, message)

    async with answering(answer) as (one, _):
        await until(lambda: late and clock() > late[0] + 2 * consent.EXPIRES_S, "twice as long")
        assert is_open(one)


async def test_a_way_that_was_dead_for_most_of_that_time_is_asked_until_the_end() -> None:
    clock = asyncio.get_running_loop().time
    asked: list[float] = []
    back_s = 0.0

    def answer(message: stun.Message, send: Callable[[stun.Message], None]) -> None:
        nonlocal back_s
        asked.append(clock())
        back_s = back_s or clock() + DEAD_S
        if clock() >= back_s:
            send(message)

    async with answering(answer) as (one, _):
        await until(lambda: asked and clock() > asked[0] + 2 * consent.EXPIRES_S, "twice as long")
        assert is_open(one)


async def test_who_does_not_answer_is_sent_nothing_more() -> None:
    async with answering(lambda _message, _send: None) as (one, _):
        await until(lambda: not is_open(one), "the end")
        with pytest.raises(ConnectionError):
            await one.send(b"nothing")


async def test_who_says_no_is_sent_nothing_more() -> None:
    said: list[stun.Message] = []

    def answer(message: stun.Message, send: Callable[[stun.Message], None]) -> None:
        no = stun.Message(message.message_method, stun.Class.ERROR, message.transaction_id)
        no.attributes["ERROR-CODE"] = (403, "Forbidden")
        no.add_message_integrity(other.local_password.encode())
        said.append(no)
        send(no)

    async with answering(answer) as (one, other):
        await until(lambda: not is_open(one), "the end")
        assert said
