"""A call at home goes by no address of a test's network, and whoever is in that network is reached."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import aioice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from tests.parts.need import program
from tests.parts.netlab import netlab
from tests.parts.phone import closed

PATIENCE_S = 30.0
SAYS = """
import socket, sys
with socket.socket(type=socket.SOCK_DGRAM) as one:
    one.sendto(b"from there", (sys.argv[1], int(sys.argv[2])))
"""


def test_nothing_comes_by_it_from_here_and_all_that_comes_over_the_wire() -> None:
    with netlab("door") as lab, socket.socket(type=socket.SOCK_DGRAM) as one:
        one.bind((lab.host, 0))
        one.settimeout(PATIENCE_S)
        one.sendto(b"from here", one.getsockname())
        port = str(one.getsockname()[1])
        subprocess.run(lab["door"].command(sys.executable, "-c", SAYS, lab.host, port), check=True)
        assert one.recv(100) == b"from there"
        with socket.create_server((lab.host, 0)) as server:
            socket.create_connection(server.getsockname(), PATIENCE_S).close()


async def test_a_call_at_home_goes_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is the one that is tried first."""
    found = aioice.ice.get_host_addresses
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **which: found(**which)[::-1])
    here, there = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    try:
        with netlab("door") as lab:
            channel = here.createDataChannel("words")
            await here.setLocalDescription(await here.createOffer())
            candidates = here.localDescription.sdp.split("a=candidate:")
            assert lab.host in candidates[1]
            await there.setRemoteDescription(here.localDescription)
            await there.setLocalDescription(await there.createAnswer())
            await here.setRemoteDescription(there.localDescription)
            opened = asyncio.Event()
            channel.on("open", opened.set)
            async with asyncio.timeout(PATIENCE_S):
                await opened.wait()
            ice = here.sctp.transport.transport  # type: ignore[union-attr]
            pairs = ice._connection._nominated.values()
            assert lab.host not in {pair.local_candidate.host for pair in pairs}
            assert lab.host not in {pair.remote_candidate.host for pair in pairs}
    finally:
        for one in (here, there):
            await closed(one)


def test_nothing_remains_of_it() -> None:
    with netlab("door") as lab:
        assert lab.host in _rules()
    assert lab.host not in _rules()


def _rules() -> str:
    nft = program("nft", "nftables")
    done = subprocess.run([nft, "list", "ruleset"], check=True, capture_output=True, text=True)
    return done.stdout
