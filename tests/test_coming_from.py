"""docs/from-*.md: their programs run as they stand, and nothing of what people know is missing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.catalog import catalog
from appliance.commands import COMMANDS
from appliance.config import Config
from appliance.errors import Refused
from appliance.events import EVENTS
from appliance.model import Call, Callee, Caller, Participant
from appliance.reference import elsewhere
from appliance.signaling.broker import EmbeddedBroker
from tests.parts.house import House, config_for, house
from tests.parts.phone import Phone, phone

DOCS = Path(__file__).parents[1] / "docs"
COMETCHAT, ZEGOCLOUD, CALLKIT = (
    DOCS / f"from-{name}.md" for name in ("cometchat", "zegocloud", "callkit")
)
PAGES: dict[Path, tuple[str, ...]] = {
    COMETCHAT: ("v5", "v4", "ringing"),
    ZEGOCLOUD: ("zego",),
    CALLKIT: ("callkit",),
}
PATIENCE_S = 30.0


def programs(page: Path, language: str = "python") -> list[str]:
    """The programs on a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def made(program: str) -> dict[str, Any]:
    """The names that a program defines, as a module of its own."""
    names: dict[str, Any] = {"__name__": "door"}
    exec(compile(program, "door.py", "exec"), names)  # noqa: S102 - it is our own documentation
    return names


# -------------------- the programs


@asynccontextmanager
async def doorstep(
    folder: Path, change: Callable[[Config], Config] = lambda config: config
) -> AsyncIterator[House]:
    """A house on a broker of its own."""
    async with (
        EmbeddedBroker() as broker,
        house(change(config_for(broker.port)), folder) as door,
    ):
        yield door


@asynccontextmanager
async def visitor(port: int) -> AsyncIterator[Phone]:
    async with phone("bob", "127.0.0.1", port, version=4) as bob:
        yield bob


async def calls_and_hangs_up(bob: Phone) -> None:
    """Bob calls, is answered, hears that the door is muted, and leaves."""
    call_id = "c" * 32
    await bob.call(call_id)
    await bob.connected()
    while (await bob.hear("state"))["body"].get("audio_muted") is not True:
        pass
    await bob.send("end", call_id, {"reason": "hang_up", "kicked_by": None})


@pytest.mark.parametrize(
    ("page", "said"),
    [(COMETCHAT, "Bob called: remote_hang_up after"), (ZEGOCLOUD, "remote_hang_up\n")],
    ids=lambda value: value.stem if isinstance(value, Path) else "",
)
async def test_a_plug_in_answers_mutes_and_tells_the_end(
    page: Path, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plug_in = made(programs(page)[0])
    async with doorstep(tmp_path) as door:
        plug_in["setup"](door.appliance.session)
        async with visitor(door.appliance.config.mqtt.port) as bob:
            await calls_and_hangs_up(bob)
            await door.until("call_ended")
        with pytest.raises(Refused, match="there is no call"):
            await door.appliance.session.mute_audio()
    assert said in capsys.readouterr().out


async def test_a_program_of_its_own_follows_the_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = made(programs(CALLKIT)[0])
    monkeypatch.setenv("APPLIANCE_SOCKET", str(tmp_path / "appliance.sock"))
    async with EmbeddedBroker() as broker:
        program["load"] = lambda: config_for(broker.port)
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(program["main"]())
            async with visitor(broker.port) as bob:
                await calls_and_hangs_up(bob)
    told = capsys.readouterr().out
    assert f"Incoming call: {'c' * 32}, extra None" in told
    assert "Call ended: remote_hang_up" in told


@asynccontextmanager
async def outside(door: House, folder: Path, *command: str) -> AsyncIterator[asyncio.StreamReader]:
    """A process of its own that knows the door's socket, and the command line; its output."""
    (folder / "appliance").write_text(f'#!/bin/sh\nexec {sys.executable} -m appliance "$@"\n')
    (folder / "appliance").chmod(0o755)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={
            **os.environ,
            "APPLIANCE_SOCKET": str(folder / "appliance.sock"),
            "PATH": f"{folder}:{os.environ['PATH']}",
        },
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ends by itself at this moment
                os.killpg(process.pid, signal.SIGTERM)
        await process.communicate()


async def says(output: asyncio.StreamReader, words: bytes) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while words not in (line := await output.readline()):
            assert line, f"it ended without {words!r}"


async def test_a_program_at_the_local_socket_does_the_same(tmp_path: Path) -> None:
    program = programs(COMETCHAT)[1]
    async with (
        doorstep(tmp_path) as door,
        outside(door, tmp_path, sys.executable, "-c", program) as output,
        visitor(door.appliance.config.mqtt.port) as bob,
    ):
        await door.until_true(lambda: len(door.appliance.bus.subscriptions) > 1)
        await calls_and_hangs_up(bob)
        await says(output, b"Bob called: remote_hang_up")


async def test_a_shell_at_the_local_socket_does_the_same(tmp_path: Path) -> None:
    [program] = programs(CALLKIT, "sh")
    async with (
        doorstep(tmp_path) as door,
        outside(door, tmp_path, "sh", "-c", program) as output,
        visitor(door.appliance.config.mqtt.port) as bob,
    ):
        await door.until_true(lambda: len(door.appliance.bus.subscriptions) > 1)
        await calls_and_hangs_up(bob)
        await says(output, b"Call ended")


async def test_a_program_at_the_broker_does_the_same(tmp_path: Path) -> None:
    program = programs(ZEGOCLOUD)[1]
    assert 'plain_commands = ["accept_call", "mute_audio"]' in ZEGOCLOUD.read_text()

    def open_to_programs(config: Config) -> Config:
        mqtt = replace(config.mqtt, plain_commands=("accept_call", "mute_audio"))
        return replace(config, mqtt=mqtt)

    async with doorstep(tmp_path, open_to_programs) as door:
        port = door.appliance.config.mqtt.port
        program = program.replace('"localhost", 1883', f'"127.0.0.1", {port}')
        program = program.replace(
            "    client.subscribe",
            '    client.on_subscribe = lambda *_: print("on", flush=True)\n    client.subscribe',
        )
        async with (
            outside(door, tmp_path, sys.executable, "-c", program) as output,
            visitor(port) as bob,
        ):
            await says(output, b"on")
            await calls_and_hangs_up(bob)
            await says(output, b"remote_hang_up")


# -------------------- the tables

SPELLED = {
    COMETCHAT: """
        CallSession.getInstance addSessionStatusListener removeSessionStatusListener
        addParticipantEventListener removeParticipantEventListener addMediaEventsListener
        removeMediaEventsListener addButtonClickListener removeButtonClickListener addLayoutListener
        removeLayoutListener addCallsEventListeners removeCallsEventListeners addCallListener
        removeCallListener CometChatCallsEventsListener CallEventsHandler listenerId
        AudioMode.speaker AudioMode.earpiece AudioMode.bluetooth CameraFacing.front CameraFacing.rear
        LayoutType.tile LayoutType.spotlight RTCUser RTCMutedUser RTCRecordingInfo
        CallSwitchRequestInfo CometChatCallsException CometChatException e.message
        getUserAuthToken userAuthToken GenerateToken.token sessionId callingWidget Context
        RelativeLayout CallSettingsBuilder AudioModes AvatarModes MODE_SPOTLIGHT AVATAR_MODE_CIRCLE
        MainVideoContainerSetting onSuccess onError receiverUid receiverID receiverType callType
        call.sender.name CometChatReceiverType.user CometChatCallType.video RECEIVER_TYPE_USER
        RECEIVER_TYPE_GROUP CALL_TYPE_AUDIO CALL_TYPE_VIDEO CALL_STATUS_REJECTED
        CALL_STATUS_CANCELLED CALL_STATUS_BUSY
    """,
    ZEGOCLOUD: """
        ZegoUIKitPrebuiltCallInvitationService ZegoUIKitPrebuiltCall ZegoUIKitPrebuiltCallEvents
        ZegoUIKitPrebuiltCallInvitationEvents ZegoCallUserEvents ZegoCallRoomEvents
        ZegoCallAudioVideoEvents ZegoUIKitError onLeaveConfirmation ZegoCallEndEvent kickerUserID
        localHangUp remoteHangUp kickOut ZegoUIKitPrebuiltCallController minimize
        ZegoCallMiniOverlayPageState.idle ZegoUIKitUser ZegoCallUser ZegoUIKitRoomState errorCode
        extendedData room_session_id Logining Logined LoginFailed Reconnecting Reconnected
        ReconnectFailed KickOut Logout LogoutFailed isOpened isFronted ZegoUIKitAudioRoute
        ZegoUIKitDeviceExceptionType unknown generic invalidId permissionNotGranted zeroCaptureFps
        deviceOccupied deviceUnplugged rebootRequired mediaServicesWereLost siriIsRecording
        soundLevelTooLow magneticCase audioSessionDeactivate audioSessionCategoryChange interruption
        inBackground multiForegroundApp bySystemPressure callID caller callType callees customData
        ZegoCallType isVideoCall ZegoSignalingPluginInvitationUserInfo
        ZegoSignalingPluginInvitationUserState userID loginRoom logoutRoom
    """,
    CALLKIT: """
        FlutterCallkitIncoming.onEvent.listen StreamSubscription.cancel CallEvent.event
        CallEvent.body CallKitParams com.hiennv.flutter_callkit_incoming. id nameCaller handle extra
        isOnHold isMuted deviceTokenVoIP DID_UPDATE_DEVICE_PUSH_TOKEN_VOIP ACTION_CALL_INCOMING
        ACTION_CALL_START ACTION_CALL_ACCEPT ACTION_CALL_DECLINE ACTION_CALL_ENDED
        ACTION_CALL_TIMEOUT ACTION_CALL_CONNECTED ACTION_CALL_CALLBACK ACTION_CALL_TOGGLE_HOLD
        ACTION_CALL_TOGGLE_MUTE ACTION_CALL_TOGGLE_DMTF ACTION_CALL_TOGGLE_GROUP
        ACTION_CALL_TOGGLE_AUDIO_SESSION ACTION_CALL_CUSTOM
    """,
}
"""Names of parameters, types and values: those of events, commands and settings are in the code."""


def known_elsewhere(prefixes: tuple[str, ...]) -> set[str]:
    """Every name that the code knows from those documents."""
    known = [
        *(event.SEEDS for event in EVENTS.values()),
        *(command.SEEDS for command in COMMANDS.values()),
        *elsewhere.SETTINGS.values(),
        *elsewhere.DECISIONS.values(),
    ]
    return {
        name.split(".")[-1]
        for prefix, name in (seed.split(":", 1) for seeds in known for seed in seeds)
        if prefix in prefixes
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_whatever_one_knows_is_found(page: Path) -> None:
    text = " ".join(re.findall(r"`([^`\n]+)`", page.read_text()))
    wanted = known_elsewhere(PAGES[page]) | set(SPELLED[page].split())
    missing = {name for name in wanted if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)}
    assert not missing


def names_of_ours() -> set[str]:
    vocabulary = catalog()
    return {
        *EVENTS,
        *COMMANDS,
        *elsewhere.DECISIONS,
        *(setting["name"] for setting in vocabulary["settings"]),
        *vocabulary["enums"],
        *(value for values in vocabulary["enums"].values() for value in values),
        *(field for event in EVENTS.values() for field in event.data_fields()),
        *(argument for command in COMMANDS.values() for argument in command.arguments()),
        *(key for command in COMMANDS.values() for key in command.RESULT),
        *(
            field
            for kind in (Call, Callee, Caller, Participant)
            for field in kind.__struct_fields__
        ),
        *("session", "data", "type"),
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_promises_is_there(page: Path) -> None:
    ours = names_of_ours()
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) >= 3:
            for name in re.findall(r"`([a-z][a-z_]+)`", cells[-2]):
                assert name in ours, f"{name} in: {line}"
