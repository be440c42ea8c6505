"""What a busy door sees of what is left, on files as the appliance writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.media.base import AccessUnit
from appliance.reporting.ledger import Entry, Ledger
from tests.media.test_movie import begin, looks, units, write
from tests.parts import busydoor

__all__ = ["units"]

AT_REST: dict[str, Any] = {
    "media": {"audio_muted": False, "video_paused": False, "recording": False, "on_hold": False},
    "panel": {"relays": {"door": "released"}},
    "calls": [],
}


def test_a_recording_is_counted_by_its_pieces_and_played(
    tmp_path: Path, units: list[AccessUnit]
) -> None:
    path = tmp_path / "film.mp4"
    file, movie = begin(path, looks(units))
    assert busydoor.played(path)["fault"] is not None, "its head alone"
    assert busydoor.pieces(path) == 0
    for at_s in write(file, movie, units, 2.1):
        assert busydoor.pieces(path) in (int(at_s / 0.5 - 0.1), int(at_s / 0.5))
    assert busydoor.played(path) == {"fault": None, "pieces": 4}
    data = path.read_bytes()
    movie.close()
    file.close()
    assert busydoor.played(path) == {"fault": None, "pieces": None}
    path.write_bytes(data[:-1])
    assert busydoor.played(path) == {"fault": None, "pieces": 3}
    path.write_bytes(bytes(len(data)))
    assert busydoor.played(path)["fault"] is not None
    path.write_bytes(b"")
    assert busydoor.played(path)["fault"] is not None


@pytest.mark.parametrize(
    ("section", "key", "value", "told"),
    [
        ("media", "audio_muted", True, "audio_muted"),
        ("media", "recording", True, "recording"),
        ("panel", "relays", {"door": "energized"}, "energized"),
    ],
)
def test_what_goes_on_is_seen(section: str, key: str, value: object, told: str) -> None:
    assert not any(busydoor.what_goes_on(AT_REST).values())
    status = {**AT_REST, section: {**AT_REST[section], key: value}}
    assert [name for name, state in busydoor.what_goes_on(status).items() if state] == [told]


def test_the_other_stations_calls_are_read_from_its_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busydoor, "HALL", tmp_path)
    assert busydoor.station() is None
    ledger = Ledger(tmp_path / "calls")
    ledger.rewrite([b'{"id": "1", "call_id": "a"}', b'{"id": "2", "call_id": "b"}'])
    found = busydoor.station()
    assert found is not None
    assert [entry["call_id"] for entry in found["calls"]] == ["b", "a"]
    assert found["calls"][0].keys() == set(Entry.__struct_fields__)
    assert found["faults"] == []
    ledger.file.write_bytes(ledger.file.read_bytes() + b'{"id": "3"')
    found = busydoor.station()
    assert found is not None
    assert "torn by a sudden end" in found["faults"][0]


def test_what_is_empty_is_seen_but_for_the_note_of_what_was_driven(tmp_path: Path) -> None:
    """Nobody syncs that one: a cut releases every relay."""
    for name in ("memory.json", "calls.jsonl", "outputs.json", "outputs.json.new", "device.key"):
        (tmp_path / name).touch()
    found = {file.name for file in tmp_path.iterdir() if busydoor.is_empty(file)}
    assert found == {"memory.json", "calls.jsonl"}
