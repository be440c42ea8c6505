"""Two of ours talk while a fifth of all packets is lost: both are understood, and go on to be seen."""

from __future__ import annotations

from appliance.media.voiceloss import LEAST_PERCENT
from tests.media.stranger import until
from tests.media.talking import Talker
from tests.parts.network import Network, connection_of

LOSS = 0.2
FRAMES, PICTURES = 50, 3


async def test_at_20_percent_loss_both_are_understood_and_seen() -> None:
    ours, theirs = Talker(), Talker()
    both = (ours, theirs)
    async with ours.at_work(), theirs.at_work():
        await ours.peer.accept(await theirs.peer.answer(await ours.peer.offer()))
        await until(lambda: all(one._figures.pictures and one._figures.frames for one in both))
        with Network(connection_of(ours.peer)) as network:
            network.loss = LOSS
            await until(lambda: all(one.peer._says_twice for one in both), "that much is lost")
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
            heard = [one.figures() for one in both]
        assert [one.failures for one in both] == [[], []]
    for figures in heard:
        assert figures.concealed < figures.frames, "there is a voice"
        assert figures.loss_percent > LEAST_PERCENT, "and the encoder knows"
