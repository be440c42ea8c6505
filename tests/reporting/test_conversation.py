"""A client talks with the appliance: played line by line, without a transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.bus import Bus
from appliance.commands import MuteAudio
from appliance.events import AudioMuted
from appliance.model import AudioMode, Gesture, Right
from appliance.reporting.conversation import Conversation
from appliance.trust.keys import DeviceKey
from tests.parts.desk import Desk

KEY = DeviceKey.make()


class Client:
    """Says lines, and keeps what it was sent."""

    def __init__(self, desk: Desk, tasks: asyncio.TaskGroup, *, simulated: bool = True) -> None:
        self.desk = desk
        self.sent: list[Mapping[str, Any]] = []
        self.arrived = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        self.conversation = Conversation(
            desk,
            desk.press if simulated else None,
            self._send,
            start=tasks.create_task,
            ready=self._ready,
            recent=desk.bus.recent,
            call_log=self._calls,
            plug=desk.plug if simulated else None,
            contacts=desk.contacts if simulated else None,
        )

    async def _calls(self, limit: int) -> list[dict[str, Any]]:
        return [{"call_id": f"c{number}"} for number in range(limit)]

    def _send(self, item: Mapping[str, Any]) -> None:
        self.sent.append(item)
        self.arrived.set()

    async def _ready(self) -> None:
        await self.room.wait()

    async def says(self, **request: Any) -> Mapping[str, Any]:
        """Say a request; the answer, which comes before `handle` returns."""
        return await self.says_line(json.dumps(request))

    async def says_line(self, line: str) -> Mapping[str, Any]:
        before = len(self.sent)
        await self.conversation.handle(line)
        return self.sent[before]

    async def hears(self, count: int) -> list[Mapping[str, Any]]:
        """All that it was sent, once there is so much."""
        async with asyncio.timeout(30):
            while len(self.sent) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.sent


@asynccontextmanager
async def client(*, simulated: bool = True) -> AsyncIterator[Client]:
    async with Bus("desk") as bus, asyncio.TaskGroup() as tasks:
        talking = Client(Desk(bus), tasks, simulated=simulated)
        try:
            yield talking
        finally:
            talking.conversation.close()
            assert not bus.subscriptions


async def test_a_command_is_carried_out_and_answered() -> None:
    async with client() as alice:
        answer = await alice.says(id=2, command="mute_audio", args={"muted": True})
        assert answer == {"id": 2, "ok": True, "result": {"done": "mute_audio"}}
        assert alice.desk.taken == [(MuteAudio(muted=True), "socket")]
        assert await alice.says(id="b", command="mute_audio") == {
            "id": "b",
            "ok": True,
            "result": {"done": "mute_audio"},
        }


async def test_a_command_that_is_refused_says_why() -> None:
    async with client() as alice:
        assert await alice.says(id=1, command="leave_session", args=None) == {
            "id": 1,
            "ok": False,
            "error": {"code": "no_call", "message": "there is no call to leave"},
        }


async def test_the_status_is_told() -> None:
    async with client() as alice:
        answer = await alice.says(id=3, status=True)
        assert answer["result"] == {"device": {"id": "desk"}, "call": None}


async def test_a_button_of_the_simulated_board_is_pressed() -> None:
    async with client() as alice:
        assert await alice.says(id=4, press="call") == {"id": 4, "ok": True, "result": None}
        await alice.says(id=5, press="call", gesture="hold")
        assert alice.desk.pressed == [("call", Gesture.PRESS), ("call", Gesture.HOLD)]
        answer = await alice.says(id=6, press="cal")
        assert answer["error"] == {"code": "unknown_button", "message": "there is no button cal"}


async def test_contacts_are_listed_and_revoked() -> None:
    async with client() as alice:
        await alice.desk.contacts.add("alice", "Alice", KEY.public, [Right.CALL])
        listed = await alice.says(id=1, contacts=True)
        assert [one["uid"] for one in listed["result"]] == ["alice"]
        answer = await alice.says(id=2, revoke="alice", key=KEY.kid)
        assert answer == {"id": 2, "ok": True, "result": [KEY.kid]}
        answer = await alice.says(id=3, revoke="bob")
        assert answer["error"]["code"] == "unknown_contact"
        for wrong in ({"revoke": 7}, {"revoke": "alice", "key": 7}, {"contacts": False}):
            answer = await alice.says(id=4, **wrong)
            assert answer["error"]["code"] == "bad_request"


async def test_a_revocation_that_cannot_be_kept_is_told() -> None:
    async with client() as alice:
        await alice.desk.contacts.add("alice", "Alice", KEY.public, [Right.CALL])
        alice.desk.contacts._file = Path("/dev/null/contacts.toml")
        answer = await alice.says(id=1, revoke="alice")
        assert answer["error"]["code"] == "not_kept"
        assert "alice" not in alice.desk.contacts, "it holds all the same"


async def test_contacts_are_not_for_every_client() -> None:
    async with client(simulated=False) as alice:
        for request in ({"contacts": True}, {"revoke": "alice"}):
            assert (await alice.says(id=1, **request))["error"]["code"] == "not_here"


async def test_an_output_of_the_simulated_board_is_plugged_in_and_out() -> None:
    async with client() as alice:
        answer = await alice.says(id=7, plug="bluetooth", present=False)
        assert answer == {"id": 7, "ok": True, "result": None}
        await alice.says(id=8, plug="bluetooth", present=True)
        assert alice.desk.plugged == [(AudioMode.BLUETOOTH, False), (AudioMode.BLUETOOTH, True)]
    async with client(simulated=False) as alice:
        answer = await alice.says(id=9, plug="bluetooth", present=False)
        assert answer["error"]["code"] == "not_simulated"


async def test_a_real_button_cannot_be_pressed_from_here() -> None:
    async with client(simulated=False) as alice:
        answer = await alice.says(id=4, press="call")
        assert answer["error"]["code"] == "not_simulated"


async def test_events_come_after_the_answer_to_their_subscription() -> None:
    async with client() as alice:
        alice.desk.tells("before")
        assert await alice.says(id=1, subscribe=["*"]) == {"id": 1, "ok": True, "result": None}
        alice.desk.tells("one", {"a": 1})
        alice.desk.tells("two")
        events = (await alice.hears(3))[1:]
        assert [event["data"]["name"] for event in events] == ["one", "two"]
        assert events[0]["type"] == "appliance.custom"


@pytest.mark.parametrize("pattern", ["custom", "appliance.custom", "cus*", "c*m"])
async def test_patterns_choose_events_with_and_without_the_prefix(pattern: str) -> None:
    async with client() as alice:
        await alice.says(id=1, subscribe=[pattern])
        alice.desk.bus.publish(AudioMuted())
        alice.desk.tells("one")
        assert (await alice.hears(2))[1]["type"] == "appliance.custom"


async def test_a_further_subscription_replaces_the_one_before() -> None:
    async with client() as alice:
        await alice.says(id=1, subscribe=["*"])
        await alice.says(id=2, subscribe=["audio_muted"])
        alice.desk.tells("unheard")
        alice.desk.bus.publish(AudioMuted())
        assert [item.get("type") for item in await alice.hears(3)] == [
            None,
            None,
            "appliance.audio_muted",
        ]


async def test_nothing_comes_after_the_end() -> None:
    async with client() as alice:
        await alice.says(id=1, subscribe=["*"])
        alice.desk.tells("too late to be sent")
        alice.conversation.close()
        alice.desk.tells("unheard")
        assert not alice.desk.bus.subscriptions
    assert len(alice.sent) == 1


async def test_a_slow_client_loses_the_oldest_events_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("appliance.reporting.conversation.MAX_WAITING", 10)
    async with client() as alice:
        await alice.says(id=1, subscribe=["*"])
        alice.desk.tells("0")
        await alice.hears(2)
        alice.room.clear()
        alice.desk.tells("1")  # sent; then there is no room any more
        await alice.hears(3)
        for number in range(2, 102):
            alice.desk.tells(str(number))
        alice.room.set()
        rest = (await alice.hears(14))[3:]
        assert rest[0] == {"dropped": 90}
        assert [event["data"]["name"] for event in rest[1:]] == [str(n) for n in range(92, 102)]


async def test_the_latest_events_are_kept_for_who_comes_late() -> None:
    async with client() as alice:
        for number in range(300):
            alice.desk.tells(str(number))
        answer = await alice.says(id=1, recent=True)
        names = [event["data"]["name"] for event in answer["result"]]
        assert names == [str(number) for number in range(100, 300)]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("{", "malformed", "not JSON"),
        ("[1]", "malformed", "a request is a JSON object"),
        ("null", "malformed", "a request is a JSON object"),
        ("[" * 60000, "malformed", "nested more than 32 deep"),
        (
            '{"id": 1, "command": "initiate_call", "args": {"custom_data": '
            + "[" * 600
            + "]" * 600
            + "}}",
            "malformed",
            "nested more than 32 deep",
        ),
        ('{"id": NaN, "status": true}', "malformed", "not JSON"),
        ('{"status": true}', "bad_request", "has an id"),
        ('{"id": null, "status": true}', "bad_request", "has an id"),
        ('{"id": true, "status": true}', "bad_request", "has an id"),
        ('{"id": {}, "status": true}', "bad_request", "has an id"),
        ('{"id": 1}', "bad_request", "has one of the keys subscribe, command"),
        ('{"id": 1, "status": true, "press": "call"}', "bad_request", "has one of the keys"),
        ('{"id": 1, "status": false}', "bad_request", "status is asked for with true"),
        ('{"id": 1, "command": "unlock", "arg": {}}', "bad_request", "did you mean args?"),
        ('{"id": 1, "command": "unlok"}', "bad_command", "did you mean unlock?"),
        ('{"id": 1, "command": 5}', "bad_request", "command wants a name"),
        ('{"id": 1, "command": "unlock", "args": []}', "bad_request", "args an object"),
        (
            '{"id": 1, "command": "mute_audio", "args": {"muted": 1}}',
            "bad_command",
            "true or false",
        ),
        ('{"id": 1, "command": "mute_audio", "args": {"mutd": true}}', "bad_command", "muted"),
        (
            '{"id": 1, "plug": "bluetoth", "present": true}',
            "bad_request",
            "did you mean bluetooth?",
        ),
        ('{"id": 1, "plug": 7, "present": true}', "bad_request", "plug wants one of"),
        ('{"id": 1, "plug": "bluetooth"}', "bad_request", "present, true or false"),
        ('{"id": 1, "press": 7}', "bad_request", "a button's name"),
        ('{"id": 1, "press": "call", "gesture": "hols"}', "bad_request", "did you mean hold?"),
        ('{"id": 1, "press": "call", "gesture": []}', "bad_request", "a gesture is one of"),
        ('{"id": 1, "subscribe": "*"}', "bad_request", "a list of patterns"),
        ('{"id": 1, "subscribe": [1]}', "bad_request", "a list of patterns"),
        ('{"id": 1, "subscribe": ["call_endd"]}', "bad_request", "did you mean call_ended?"),
        (json.dumps({"id": 1, "subscribe": ["*"] * 65}), "bad_request", "64 patterns at most"),
    ],
)
async def test_whatever_a_line_says_it_is_answered_and_the_conversation_goes_on(
    line: str, code: str, words: str
) -> None:
    async with client() as alice:
        answer = await alice.says_line(line)
        assert answer["ok"] is False
        assert answer["error"]["code"] == code
        assert words in answer["error"]["message"]
        assert (await alice.says(id=9, status=True))["ok"]
        assert not alice.desk.taken
        assert not alice.desk.pressed


# -------------------- the call log


async def test_the_latest_calls_are_told_as_many_as_asked_for() -> None:
    async with client() as alice:
        answer = await alice.says(id=6, call_log=2)
        assert answer == {"id": 6, "ok": True, "result": [{"call_id": "c0"}, {"call_id": "c1"}]}


@pytest.mark.parametrize("limit", [0, -1, 10_001, True, 2.0, "2", None])
async def test_a_number_of_calls_is_asked_for(limit: object) -> None:
    async with client() as alice:
        answer = await alice.says(id=6, call_log=limit)
        assert answer["error"] == {
            "code": "bad_request",
            "message": "call_log wants a number of calls, 1 to 10000",
        }
