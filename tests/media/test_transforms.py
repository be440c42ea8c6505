"""Transforms into given memory: what numpy's documented ones give, by whichever way they are made."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media.transforms import Back, Forward, inner, transforms

LENGTH = 640


def other(length: int) -> tuple[Forward, Back]:
    raise AttributeError("numpy has moved it")


@pytest.mark.parametrize("find", [inner, other])
@pytest.mark.parametrize("shape", [(), (5,)])
def test_they_are_numpy_s(find: object, shape: tuple[int, ...]) -> None:
    there, back = transforms(LENGTH, find)  # type: ignore[arg-type]
    samples = np.random.default_rng(1).standard_normal((*shape, LENGTH)).astype(np.float32)
    bins = np.full((*shape, LENGTH // 2 + 1), 7, np.complex64)
    assert there(samples, bins) is bins
    np.testing.assert_allclose(bins, np.fft.rfft(samples), atol=1e-3)
    again = np.full((*shape, LENGTH), 7, np.float32)
    assert back(bins, again) is again
    np.testing.assert_allclose(again, samples, atol=1e-5)


def test_of_rows_that_are_not_beside_one_another() -> None:
    there, back = transforms(LENGTH)
    rows = np.random.default_rng(1).standard_normal((8, LENGTH)).astype(np.float32)
    bins = np.zeros((8, LENGTH // 2 + 1), np.complex64)
    there(rows[::4], bins[1::4])
    np.testing.assert_allclose(bins[1::4], np.fft.rfft(rows[::4]), atol=1e-3)
    again = np.zeros((2, LENGTH), np.float32)
    back(bins[1::4], again)
    np.testing.assert_allclose(again, rows[::4], atol=1e-5)
    assert not bins[::4].any()


def test_what_does_something_else_is_not_used() -> None:
    wrong = transforms(LENGTH, lambda length: inner(length + 2))
    assert [function.__name__ for function in wrong] != ["inner"]
    samples = np.ones(LENGTH, np.float32)
    bins = np.zeros(LENGTH // 2 + 1, np.complex64)
    assert wrong[0](samples, bins)[0] == pytest.approx(LENGTH)
