"""Memory that is needed no more goes back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import sys

import psutil
import pytest

from appliance.service.heap import HEAPS, Heap, trimmer

PIECE, PIECES = 4000, 20_000
THREADS = f"""
import ctypes, sys, threading
from appliance.service import heap
known = heap.few() if {{few}} else hasattr(ctypes.CDLL(None), "mallopt")
libc = ctypes.CDLL(None)
libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
all_there = threading.Barrier({HEAPS + 4})

def wants() -> None:
    held = libc.malloc({PIECE})
    all_there.wait()
    libc.free(held)

threads = [threading.Thread(target=wants) for _ in range({HEAPS + 4})]
for thread in threads: thread.start()
for thread in threads: thread.join()
if known: libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""
"""Threads that want memory at the same time; the C library says of what it is made (malloc_info(3))."""


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_what_was_freed_in_pieces_is_given_back() -> None:
    trim = trimmer()
    if trim is None:
        pytest.skip("this C library gives nothing back by pieces")
    libc = ctypes.CDLL(None)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    pieces = [libc.malloc(PIECE) for _ in range(PIECES)]
    for piece in pieces:
        libc.memset(piece, 1, PIECE)
    last = pieces.pop()  # what lies behind a hole keeps the heap from shrinking by itself
    for piece in pieces:
        libc.free(piece)
    held = resident()

    trim()

    assert resident() < held - PIECE * PIECES // 2
    libc.free(last)


def test_threads_share_few_heaps() -> None:
    def heaps(few: bool) -> int:
        words = [sys.executable, "-c", THREADS.format(few=few)]
        return subprocess.run(words, check=True, capture_output=True).stdout.count(b"<heap ")

    if (each_its_own := heaps(few=False)) == 0:
        pytest.skip("this C library does not say how many heaps it has")
    assert each_its_own > HEAPS
    assert heaps(few=True) == HEAPS


async def test_it_is_given_back_once_the_last_call_is_over_and_not_before() -> None:
    times, given = 0, asyncio.Event()

    def trim() -> None:
        nonlocal times
        times += 1
        loop.call_soon_threadsafe(given.set)

    loop, heap = asyncio.get_running_loop(), Heap()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(heap.watch(trim, after_s=0))
        for in_use in (
            False,
            True,
            False,
            True,
        ):  # the second call came before the first was put away
            heap.observe(in_use)
        await asyncio.sleep(0.01)
        assert times == 0
        heap.observe(False)
        await given.wait()
        assert times == 1
        watching.cancel()
