"""Nesting is counted as a walk through the decoded value would count it, and in one pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.nesting import MAX_DEPTH, too_deep

_awkward = st.text(alphabet=st.sampled_from('[]{}"\\,:a\n\u00e9\u2603\U0001f514'), max_size=12)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _awkward,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_awkward, inner, max_size=3),
    max_leaves=25,
)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@given(_json, st.booleans(), st.integers(0, 3))
def test_json_is_too_deep_exactly_beyond_its_own_depth(value: Any, ascii: bool, more: int) -> None:
    text = json.dumps(value, ensure_ascii=ascii)
    depth = _depth(value)
    for payload in (text, text.encode()):
        assert not too_deep(payload, depth + more)
        assert depth == 0 or too_deep(payload, depth - 1)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_the_limit_itself_is_allowed_and_one_more_is_not(opening: str, closing: str) -> None:
    def nested(depth: int) -> str:
        return opening * depth + "1" + closing * depth

    assert not too_deep(nested(MAX_DEPTH))
    assert too_deep(nested(MAX_DEPTH + 1))
    assert too_deep(nested(100_000).encode())


@given(st.text() | st.binary())
def test_anything_gets_an_answer(payload: str | bytes) -> None:
    assert too_deep(payload) in (True, False)


@pytest.mark.parametrize("text", ['"' + "a" * 500_000, '"' + "\\" * 500_001, '\\"' * 250_000])
def test_a_string_without_an_end_is_passed_over_once(text: str) -> None:
    assert not too_deep(text + "[" * 10)  # what went back and forth in it would never return


def test_siblings_do_not_add_up() -> None:
    assert not too_deep(json.dumps([[] for _ in range(1000)]))
