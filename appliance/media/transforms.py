"""Fourier transforms of a fixed length in single precision, into memory that is there already.

Of a transform of some hundred samples most is what numpy does around it: what its arguments are, where
the result is to go, which axis is meant. A thread that is waked for each 20 ms finds nothing of that in
the caches, and pays several times what it would in a row. So numpy's inner functions are called, where they
do what its documented ones do; else those.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

logger = logging.getLogger(__name__)

Bins: TypeAlias = npt.NDArray[np.complex64]
Reals: TypeAlias = npt.NDArray[np.float32]
Forward: TypeAlias = Callable[[Reals, Bins], Bins]
Back: TypeAlias = Callable[[Bins, Reals], Reals]


def documented_forward(samples: Reals, out: Bins) -> Bins:
    """As `np.fft.rfft`, of the last axis."""
    out[...] = np.fft.rfft(samples)
    return out


def documented_back(bins: Bins, out: Reals) -> Reals:
    """As `np.fft.irfft`, of the last axis, to as many samples as `out` has."""
    out[...] = np.fft.irfft(bins, n=out.shape[-1])
    return out


def inner(length: int) -> tuple[Forward, Back]:
    """By numpy's inner functions. Raises what it raises where they are others, or do something else."""
    functions: Any = importlib.import_module("numpy.fft._pocketfft_umath")
    onward, backward = functions.rfft_n_even, functions.irfft
    one, part = np.float32(1), np.float32(1 / length)

    def forward(samples: Reals, out: Bins) -> Bins:
        onward(samples, one, out)
        return out

    def back(bins: Bins, out: Reals) -> Reals:
        backward(bins, part, out)
        return out

    _compare(length, forward, back)
    return forward, back


def transforms(
    length: int, find: Callable[[int], tuple[Forward, Back]] = inner
) -> tuple[Forward, Back]:
    """There and back, of an even number of samples."""
    try:
        return find(length)
    except Exception as fault:
        logger.info("this numpy is another inside than was seen: %r", fault)
    return documented_forward, documented_back


def _compare(length: int, forward: Forward, back: Back) -> None:
    """Raise ValueError where they are not what they are taken for."""
    samples = np.sin(np.arange(2 * length, dtype=np.float32) ** 1.5).reshape(2, length)
    bins = np.zeros((2, length // 2 + 1), np.complex64)
    again = np.zeros((2, length), np.float32)
    for rows in (slice(0, 2), 0):
        there = forward(samples[rows], bins[rows])
        if not np.allclose(there, np.fft.rfft(samples[rows]), atol=1e-3):
            raise ValueError("a transform is another")
        if not np.allclose(back(there, again[rows]), samples[rows], atol=1e-4):
            raise ValueError("it does not come back")
