"""Handshakes in a process that gets no memory that is written and run, as in the unit's sandbox."""

from __future__ import annotations

import subprocess
import sys

import pytest
from aiortc import rtcdtlstransport
from OpenSSL import SSL

from appliance.media.handshakes import Context, answer_in_c

CONNECTS = """
import asyncio, ctypes, sys
from aiortc import RTCPeerConnection
from appliance.media.handshakes import answer_in_c

PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1  # prctl(2), from Linux 6.3 on

async def end() -> str:
    ours, theirs, ended = RTCPeerConnection(), RTCPeerConnection(), asyncio.Queue()
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: ended.put_nowait(type(context.get("exception")).__name__)
    )
    ours.createDataChannel("any").on("open", lambda: ended.put_nowait("connected"))
    await ours.setLocalDescription(await ours.createOffer())
    await theirs.setRemoteDescription(ours.localDescription)
    await theirs.setLocalDescription(await theirs.createAnswer())
    await ours.setRemoteDescription(theirs.localDescription)
    how = await asyncio.wait_for(ended.get(), 30)
    await ours.close()
    await theirs.close()
    return how

if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
    print("no such prctl")
    sys.exit()
if sys.argv[1] == "in C":
    answer_in_c()
print(asyncio.run(end()), flush=True)
"""


@pytest.mark.parametrize(("answered", "ends"), [("in C", "connected"), ("by cffi", "MemoryError")])
def test_two_connect_where_no_memory_is_both_written_and_run(answered: str, ends: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CONNECTS, answered], capture_output=True, text=True, check=False
    )
    said = ran.stdout.split("\n")[0]
    if said == "no such prctl":
        pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3): the same is tried in the sandbox")
    assert said == ends, ran.stderr


def test_a_callback_that_looks_at_the_certificate_stays_its_own() -> None:
    """Only what believes everything is answered without being asked."""
    context = Context(SSL.DTLS_METHOD)
    for callback, answered_in_c in (
        (lambda *_: True, True),
        (lambda _connection, *_: True, False),
        (lambda *_: False, False),
        (None, True),
    ):
        context.set_verify(SSL.VERIFY_PEER, callback)
        assert (context._verify_helper is None) == answered_in_c
        assert context.get_verify_mode() == SSL.VERIFY_PEER


def test_nobody_else_s_contexts_are_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtcdtlstransport, "SSL", SSL)
    answer_in_c()
    answer_in_c()
    seen = vars(rtcdtlstransport)["SSL"]
    assert (seen.Context, seen.Error) == (Context, SSL.Error)
    assert SSL.Context is not Context
