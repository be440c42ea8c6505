"""docs/events.md says what the code says: every name, on the row of what it stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.bus import to_json
from appliance.calls.effects import Reply
from appliance.catalog import catalog
from appliance.commands import COMMANDS, Command
from appliance.events import EVENTS
from appliance.listeners import DECISIONS, CallListener
from appliance.messages import Address
from appliance.reference import elsewhere
from appliance.reference.document import document
from appliance.reference.examples import data_of, example
from appliance.reference.refusals import codes_of
from appliance.reference.spelling import said_beside, signature_of, type_of
from tests.parts.play import Play

DOCS = Path(__file__).parents[1] / "docs" / "events.md"
ALICE = Address("alice", "phone")


@cache
def today() -> str:
    """What is to stand there."""
    return document()


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every row of every table."""
    for line in text.splitlines():
        if line.startswith("| "):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            yield [cell.strip().replace("\\|", "|") for cell in cells]


def row_of(name: str, section: str) -> list[str]:
    """The one row for that name in a section."""
    part = today().split(f"\n## {section}\n")[1].split("\n## ")[0]
    [found] = [cells for cells in rows(part) if re.match(rf"\[?`{re.escape(name)}`", cells[0])]
    return found


def test_the_reference_in_the_documentation_is_todays() -> None:
    assert DOCS.read_text() == today(), "run: python -m appliance.reference docs/events.md"


# -------------------- events


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_stands_beside_its_names_in_the_five_documents(name: str) -> None:
    cells = row_of(name, "Events")[2:]
    for document_, cell in zip(elsewhere.DOCUMENTS, cells, strict=True):
        own = [
            f"`{seed.split(':', 1)[1]}`" for seed in EVENTS[name].SEEDS if is_of(seed, document_)
        ]
        assert cell.split() == own, document_


def is_of(seed: str, document_: str) -> bool:
    return seed.startswith(f"{document_}:")


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_has_its_fields_its_method_its_topic_and_an_example(name: str) -> None:
    entry = today().split(f"\n#### {name}\n")[1].split("\n#### ")[0].split("\n### ")[0]
    for field in EVENTS[name].data_fields():
        assert re.search(rf"^- `{field}`: \S", entry, re.MULTILINE), field
    assert f"`on_{name}(" in entry
    assert re.search(rf"<root>/device/<device_id>/event/[a-z]+/{name}`", entry)
    [line] = re.findall(r"^- example: `(.*)`$", entry, re.MULTILINE)
    assert list(json.loads(line)) == list(EVENTS[name].data_fields())


@pytest.mark.parametrize("name", EVENTS)
def test_an_example_is_what_the_event_is_made_of(name: str) -> None:
    event = example(EVENTS[name])
    assert msgspec.convert(json.loads(data_of(event)), EVENTS[name]) == event


def test_every_link_leads_somewhere() -> None:
    anchors = {line.lstrip("#").strip().lower() for line in today().splitlines() if line[:1] == "#"}
    links = set(re.findall(r"\(#([^)]*)\)", today()))
    assert len(links) > len(EVENTS)
    assert links <= anchors, links - anchors


# -------------------- commands

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "initiate_call": {"receiver": "alice", "timeout_s": 20.0},
    "generate_token": {"session_id": "session-1", "uid": "alice"},
    "start_session": {"token": "none"},
    "set_audio_mode": {"mode": "speaker"},
    "set_volume": {"percent": 50},
    "set_layout": {"layout": "tile"},
    "send_dtmf": {"digits": "1"},
    "send_custom_event": {"name": "elevator"},
    "split_call": {"uid": "alice"},
    "kick_participant": {"uid": "alice"},
    "mute_participant": {"uid": "alice"},
    "answer_request": {"request_id": "r-1", "accepted": True},
}
ODD: Mapping[str, Mapping[str, Any]] = {
    "initiate_call": {"receiver": "nobody"},
    "accept_call": {"call_id": "another"},
    "reject_call": {"reason": "bored"},
    "send_dtmf": {"digits": "x"},
    "send_chat_message": {"text": "x" * 5000},
    "send_custom_event": {"name": "two words"},
    "unlock": {"relay": "nowhere"},
}


def situations() -> Iterator[tuple[str, Play]]:
    yield "no call", Play()
    ringing = Play()
    ringing.is_called(ALICE)
    yield "it rings here", ringing
    calling = Play(online={"alice": ["phone"]})
    calling.orders(COMMANDS["initiate_call"](receiver="alice"))
    yield "it rings there", calling
    talking = Play()
    talking.is_in_call_with(ALICE)
    yield "in a call", talking


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_is_answered_and_refused_as_its_row_says(command: type[Command]) -> None:
    cells = row_of(command.NAME, "Commands")
    assert [f"`{key}`" for key in command.RESULT] == cells[3].split()
    for argument in command.arguments():
        assert f"`{argument}`:" in cells[2]
    for chosen in (ARGUMENTS, {**ARGUMENTS, **ODD}):
        for where, play in situations():
            play.orders(command(**chosen.get(command.NAME, {})))
            for reply in play.done(Reply):
                told = f"{where}: {reply}"
                if reply.code is None:
                    keys = tuple(key for key in reply.result or () if key != "note")
                    assert keys == command.RESULT, told
                else:
                    assert f"`{reply.code}`" in cells[4].split(), told


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_stands_beside_its_names_in_the_five_documents(command: type[Command]) -> None:
    cell = row_of(command.NAME, "Commands")[5]
    for seed in command.SEEDS:
        prefix, name = seed.split(":", 1)
        assert prefix == "own" or f"`{name}`" in cell, seed
        assert prefix == "own" or elsewhere.DOCUMENTS[prefix] in cell, seed


def test_the_codes_are_those_of_the_table_and_of_the_rules_behind_it() -> None:
    assert {"busy", "bad_timeout", "unknown_receiver"} <= set(codes_of(COMMANDS["initiate_call"]))
    assert {"unknown_relay", "relay_failed"} <= set(codes_of(COMMANDS["unlock"]))
    assert "too_large" in codes_of(COMMANDS["reject_call"])
    assert "too_large" not in codes_of(COMMANDS["end_call"]), "it has nothing that could be"


# -------------------- settings, decisions, enumerations


def test_every_setting_stands_there_with_its_default_and_its_names() -> None:
    for setting in catalog()["settings"]:
        cells = row_of(setting["name"], "Settings")
        assert json.loads(cells[2].strip("`")) == setting["default"]
        assert cells[3], setting["name"]
        for seed in elsewhere.SETTINGS[setting["name"]]:
            assert f"`{seed.split(':')[1]}`" in cells[4], seed
    assert elsewhere.SETTINGS.keys() == {setting["name"] for setting in catalog()["settings"]}


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_stands_there_with_its_method_and_its_name_elsewhere(name: str) -> None:
    cells = row_of(name, "Decisions")
    assert cells[2] == f"`{signature_of(getattr(CallListener, name))}`"
    assert f"`{elsewhere.DECISIONS[name][0].split(':')[1]}`" in cells[3]


def test_every_value_of_every_enumeration_stands_there_with_its_meaning() -> None:
    for name, values in catalog()["enums"].items():
        entry = today().split(f"\n### {name}\n")[1].split("\n### ")[0]
        cells = {found[0]: found for found in rows(entry)}
        for value in values:
            assert cells[f"`{value}`"][1], f"{name}: {value} has no meaning"
            for seed in elsewhere.ENUMERATIONS.get(name, {}).get(value, ()):
                assert f"`{seed.split(':')[1]}`" in cells[f"`{value}`"][2], seed


def test_names_from_elsewhere_are_of_values_that_there_are() -> None:
    enums = catalog()["enums"]
    for name, values in elsewhere.ENUMERATIONS.items():
        assert set(values) <= set(enums[name]), name
    for names in (*elsewhere.SETTINGS.values(), *elsewhere.DECISIONS.values()):
        assert {seed.split(":")[0] for seed in names} <= elsewhere.DOCUMENTS.keys()


# -------------------- spelling


class Written:
    first = 1
    """Below
    what it is about."""
    second: int = 2
    third: int = 3
    """Of the third."""


def test_what_stands_below_a_member_is_read() -> None:
    assert said_beside(Written) == {"first": "Below what it is about.", "third": "Of the third."}


def test_a_type_without_words_is_a_fault() -> None:
    assert type_of(tuple[int, ...] | None) == "list of whole number or null"
    with pytest.raises(ValueError, match="no words for the type"):
        type_of(complex)


def test_examples_are_plain_json() -> None:
    for event in EVENTS.values():
        data = {name: to_json(getattr(example(event), name)) for name in event.data_fields()}
        assert json.loads(json.dumps(data)) == data
