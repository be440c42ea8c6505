"""From a thread into the loop."""

from __future__ import annotations

import asyncio
import threading

from appliance.media.handover import Handover


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
