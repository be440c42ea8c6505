"""Which version is newer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.updating.versions import is_newer

IN_ORDER = [
    "0.9", "1.0-alpha", "1.0-alpha.1", "1.0-alpha.2", "1.0-alpha.10", "1.0-alpha.beta", "1.0-rc.1",
    "1.0", "1.0.1", "1.2", "1.10", "2026.11",
]  # fmt: skip


def test_in_order() -> None:
    for place, one in enumerate(IN_ORDER):
        assert [is_newer(one, other) for other in IN_ORDER] == [
            other < place for other in range(len(IN_ORDER))
        ]


@pytest.mark.parametrize(("one", "other"), [("1.0", "1"), ("1.0+deb13", "1.0.0+deb12")])
def test_the_same(one: str, other: str) -> None:
    assert not is_newer(one, other)
    assert not is_newer(other, one)


@pytest.mark.parametrize(
    "version", [None, "", "v2", "2..0", "²", "2.0 ", "9" * 20_000 + "x", "latest"]
)
def test_what_cannot_be_understood_is_never_newer(version: str | None) -> None:
    assert not is_newer(version, "0.1")


@given(st.text(), st.text())
def test_never_both(one: str, other: str) -> None:
    assert not (is_newer(one, other) and is_newer(other, one))
