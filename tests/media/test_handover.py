"""From a thread into the loop."""

from __future__ import annotations

import asyncio
import threading

from appliance.media.base import AccessUnit
from appliance.media.handover import WAITING_LIMIT, Handover, PictureHandover


async def test_what_a_thread_puts_is_taken_on_the_loop_in_order() -> None:
    taken: list[int] = []
    done = asyncio.Event()
    here = threading.get_ident()

    def take(number: int) -> None:
        assert threading.get_ident() == here
        taken.append(number)
        if number == 99:
            done.set()

    handover = Handover(take)

    def work() -> None:
        for number in range(100):
            handover.put(number)

    thread = threading.Thread(target=work)
    thread.start()
    await done.wait()
    thread.join()
    assert taken == list(range(100))


async def test_once_closed_nothing_comes_through_not_even_what_is_under_way() -> None:
    taken: list[int] = []
    handover = Handover(taken.append)
    handover.put(1)
    await asyncio.sleep(0)
    handover.put(2)
    handover.close()
    handover.put(3)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert taken == [1]


async def test_pictures_that_find_no_room_are_dropped_up_to_the_next_keyframe() -> None:
    taken: list[AccessUnit] = []
    asked: list[int] = []
    handover = PictureHandover(taken.append, lambda: asked.append(len(taken)))

    def unit(number: int, *, keyframe: bool = False) -> AccessUnit:
        return AccessUnit(b"", number, keyframe)

    for number in range(WAITING_LIMIT + 5):
        handover.put(unit(number, keyframe=number == WAITING_LIMIT + 2))
    assert handover.dropped == 5, "a keyframe as well, while there is no room"
    assert not asked, "it would find no room either"
    await asyncio.sleep(0)
    assert [kept.pts_us for kept in taken] == list(range(WAITING_LIMIT))
    handover.put(unit(100))
    handover.put(unit(101, keyframe=True))
    handover.put(unit(102))
    await asyncio.sleep(0)
    assert [kept.pts_us for kept in taken[WAITING_LIMIT:]] == [101, 102]
    assert len(asked) == 1
    assert handover.dropped == 6


async def test_a_keyframe_is_asked_for_once_in_a_while_until_it_comes() -> None:
    """By the pictures' own time: a busy loop is not to make an encoder that is late give ten of them."""
    taken: list[AccessUnit] = []
    asked: list[int] = []
    now_us = [0]
    handover = PictureHandover(taken.append, lambda: asked.append(now_us[0]))

    def put(*, keyframe: bool = False) -> None:
        now_us[0] += 40_000
        handover.put(AccessUnit(b"", now_us[0], keyframe))

    for _ in range(WAITING_LIMIT + 1):
        put()
    await asyncio.sleep(0)
    began_us = now_us[0]
    for _ in range(25):
        put()
    assert [at_us - began_us for at_us in asked] == [40_000, 360_000, 680_000, 1_000_000]
    put(keyframe=True)
    now_us[0] = 0  # another source, by another clock
    for _ in range(WAITING_LIMIT):
        put()
    await asyncio.sleep(0)
    put()
    assert len(asked) == 5
