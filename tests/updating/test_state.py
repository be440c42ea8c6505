"""What both slots read: a version that is left again must be understood by the one before it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.panel.safe import Driven
from appliance.reporting.ledger import Entry
from appliance.service.memory import Kept, Memory
from appliance.trust.book import Book

SHAPES: dict[str, tuple[Any, str]] = {
    "contacts.toml": (Book, "contacts seen | name keys may revoked barred"),
    "memory.json": (Kept, "do_not_disturb until scheduled quiet_overruled volumes"),
    "calls/calls.jsonl": (
        Entry,
        (
            "id call_id session_id direction type caller receiver callees started_at answered_at"
            " answered_by ended_at duration_s reason error kicked_by missed called_back unlocked"
            " recording picture"
            " | uid name | type id name | uid name state"
        ),
    ),
    "outputs.json": (Driven, "factory outputs | where pin active_high"),
}
"""The files of the data partition that the program itself takes apart, and every name in them. A name that
is to be new is read by one version, and written by the one after it: docs/updates.md."""


def names(kind: Any) -> set[str]:
    """Every name of a field, in whatever is nested."""
    _, parts = msgspec.json.schema_components([kind])
    return {name for part in parts.values() for name in part.get("properties", {})}


@pytest.mark.parametrize("file", SHAPES)
def test_a_name_that_is_new_is_read_before_it_is_written(file: str) -> None:
    kind, shape = SHAPES[file]
    assert names(kind) == set(shape.replace("|", " ").split())


@pytest.mark.parametrize("kind", [Kept, Entry, Driven])
def test_what_only_tells_may_have_more_names_than_are_known(kind: Any) -> None:
    data = {"id": "1", "call_id": "2", "of_a_later_version": {"any": [1]}}
    assert msgspec.convert(data, kind)


def test_whom_one_believes_may_not() -> None:
    """A later version's way of taking a right back is not to be passed over."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"of_a_later_version": []}, Book)


async def test_what_is_not_understood_is_kept_aside_and_told(tmp_path: Path) -> None:
    """And so the device is ready, whatever a version has left that was tried."""
    file = tmp_path / "memory.json"
    file.write_text('{"volumes": {"of a later version": 7}}')
    told: list[object] = []
    async with Memory(file, told.append) as memory:
        assert memory.kept == Kept()
    assert len(told) == 1
    assert await asyncio.to_thread(lambda: len(list(tmp_path.glob("memory.json*"))) >= 1)
