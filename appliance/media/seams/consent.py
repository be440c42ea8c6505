"""Whether the other side still wants what is sent to it, asked every few seconds (RFC 7675, section 5.1).

aioice waits half a second for each answer. Where the way takes longer, or the other side is busy, no answer
ever counts, and a call ends after half a minute though all of its sound and pictures arrive.
"""

from __future__ import annotations

import asyncio
import logging
import random

from aioice import Connection, ice, stun

logger = logging.getLogger(__name__)

_RANDOM = random.SystemRandom()

EVERY_S = 5.0
SPREAD = 0.2
"""By so much of it at most a question comes earlier or later."""
EXPIRES_S = 30.0
"""Who has not said yes for so long is sent nothing more."""
MORE_TRIES = 3
"""A question is said again after 0.5, 1.5 and 3.5 s; an answer within 7.5 s counts."""


async def query_consent(connection: Connection) -> None:
    """Ask until it is cancelled; close `connection` where consent has expired.

    It takes the place of aioice's, which is called when a connection stands.
    """
    loop = asyncio.get_running_loop()
    clock = loop.time
    consented_s = clock()

    async def ask(pair: ice.CandidatePair) -> None:
        nonlocal consented_s
        asked_s = clock()
        if await _consents(connection, pair):
            consented_s = max(consented_s, asked_s)

    asking: list[asyncio.Task[None]] = []
    try:
        while not connection._closing and (left_s := consented_s + EXPIRES_S - clock()) > 0:
            await asyncio.sleep(min(left_s, EVERY_S * _RANDOM.uniform(1 - SPREAD, 1 + SPREAD)))
            asking = [one for one in asking if not one.done()]
            asking += [loop.create_task(ask(one)) for one in connection._nominated.values()]
    finally:  # a task group that is cancelled would keep the connection until the garbage collector comes
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    if connection._closing:
        return
    logger.info("nobody has consented to what is sent for %g s", EXPIRES_S)
    connection._query_consent_task = None  # closing would wait for it, which is this
    await connection.close()


async def _consents(connection: Connection, pair: ice.CandidatePair) -> bool:
    """Whether whoever is at the other end says yes in time; one that says no does not (section 5.1)."""
    try:
        await bind(connection, pair, MORE_TRIES)
    except (stun.TransactionError, OSError):
        return False
    return True


async def bind(
    connection: Connection, pair: ice.CandidatePair, more_tries: int | None = None
) -> None:
    """Ask whoever is at the other end of a connection that stands; None: as often as RFC 8489 has it.

    Raises stun.TransactionFailed where it says no, stun.TransactionTimeout, and OSError.
    """
    assert connection.remote_password is not None  # it is connected
    request = connection.build_request(pair, nominate=False)
    key = connection.remote_password.encode()
    await pair.protocol.request(
        request, pair.remote_addr, integrity_key=key, retransmissions=more_tries
    )
