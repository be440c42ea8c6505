"""Two of ours talk while packets are lost, over a real connection: both are understood, and seen."""

from __future__ import annotations

import re

import pytest

from appliance.media.voiceloss import LEAST_PERCENT, VoiceLoss
from tests.media.stranger import until
from tests.media.talking import Talker
from tests.parts.network import Network, connection_of

LOSS = 0.2
FRAMES, PICTURES = 50, 3
SMALL = (160, 96, 10)
RTP = 2
"""The version, in the first two bits of each packet."""


async def test_at_20_percent_loss_both_are_understood_and_seen() -> None:
    """Whether each packet is sent twice depends on how long a busy machine takes to answer."""
    ours, theirs = Talker(), Talker()
    both = (ours, theirs)
    async with ours.at_work(*SMALL), theirs.at_work(*SMALL):
        await ours.peer.accept(await theirs.peer.answer(await ours.peer.offer()))
        await until(lambda: all(one._figures.pictures and one._figures.frames for one in both))
        with Network(connection_of(ours.peer)) as network:
            network.loss = LOSS
            await until(
                lambda: all(one._sound.loss_percent > LEAST_PERCENT for one in both),
                "that much is lost",
            )
            for one in both:
                one.figures()
            await until(
                lambda: all(
                    one._figures.frames > FRAMES
                    and one._figures.pictures > PICTURES
                    and one._counts.corrected > one._before.corrected
                    for one in both
                ),
                "a voice, of which some is repaired, and pictures",
            )
        assert [one.failures for one in both] == [[], []]


async def test_what_is_lost_once_comes_with_the_packet_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of each packet of sound the first copy is lost: without a second one there would be nothing."""
    monkeypatch.setattr(VoiceLoss, "take", lambda *_, **__: None)
    ours, theirs = Talker(), Talker()
    async with ours.at_work(*SMALL), theirs.at_work(*SMALL):
        offer = await ours.peer.offer()
        await ours.peer.accept(await theirs.peer.answer(offer))
        (kind,) = re.findall(r"a=rtpmap:(\d+) opus", offer.sdp)
        await until(lambda: ours.is_connected and theirs._figures.frames)
        ice = connection_of(ours.peer).getSenders()[0].transport.transport
        send, seen = ice._send, set[bytes]()

        async def without_the_first(data: bytes) -> None:
            is_sound = data[0] >> 6 == RTP and data[1] & 0x7F == int(kind)
            if is_sound and data not in seen:
                seen.add(data)
            else:
                await send(data)

        monkeypatch.setattr(ice, "_send", without_the_first)
        await until(lambda: theirs.peer._reception.playout.silent, "that nothing comes")
        played = theirs._counts.played
        (voice,) = ours.peer._voices
        voice.loss.twice = True
        await until(lambda: theirs._counts.played > played + FRAMES, "the second copies")
