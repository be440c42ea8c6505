"""The whole product on a laptop: simulated board, embedded broker, the door station on the page."""

from __future__ import annotations

import asyncio
import logging
import sys
import wave
from collections.abc import AsyncIterator, Callable, Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec.structs import replace

from appliance.app import Appliance, running
from appliance.calls.effects import Sound
from appliance.config import Config, Prompts, Security, load
from appliance.daemon import stopped_by_signal
from appliance.loading.shipped import shipped
from appliance.model import AudioMode, Notice
from appliance.prompts import words_of
from appliance.reporting.conversation import Conversation
from appliance.service import journal
from appliance.signaling.broker import EmbeddedBroker
from appliance.web.demo import Demo

LOOK_S = 0.05
"""How often the page is shown the panel, where it has changed: an LED's pattern has steps of 0.1 s."""
QUIET_DBFS = -60


def demo(port: int, open_browser: bool) -> int:
    """Run until Ctrl-C; the exit status."""
    journal.set_up(logging.WARNING)
    # each demo begins anew: nobody is to wonder about a do not disturb of yesterday, or of another door's
    with TemporaryDirectory(prefix="appliance-demo-") as folder:
        config = load(shipped("simulated.toml"), {"STATE_DIRECTORY": folder})
        # the page pairs by itself here, so that what is seen is what a paired phone sees
        config = replace(
            config, http=replace(config.http, port=port), security=Security(unsigned="refuse")
        )
        return asyncio.run(_run(config, Path(folder), open_browser=open_browser))


async def _run(config: Config, folder: Path, *, open_browser: bool) -> int:
    stop = stopped_by_signal()
    async with (
        EmbeddedBroker() as broker,
        demonstrating(config, broker, state_folder=folder) as appliance,
    ):
        _invite_in(appliance, open_browser=open_browser)
        await stop.wait()
    sys.stdout.write("\nThe demo ends.\n")
    return 0


def demonstrating(
    config: Config,
    broker: EmbeddedBroker,
    socket_path: Path | None = None,
    state_folder: Path | None = None,
) -> Any:
    """An appliance on the embedded broker, whose page has the door station beside the phone."""
    mqtt = replace(config.mqtt, host="127.0.0.1", port=broker.port)
    return running(
        replace(config, mqtt=mqtt),
        socket_path=socket_path,
        websocket_url=broker.websocket_url,
        demo=door_station,
        state_folder=state_folder,
    )


def door_station(
    appliance: Appliance, converse: Callable[[Callable[[Mapping[str, Any]], None]], Conversation]
) -> Demo:
    """What the page's door pane works with."""
    prompts = appliance.config.prompts
    return Demo(
        people=appliance.config.contacts,
        buttons=appliance.config.buttons,
        open_conversation=converse,
        board_changes=lambda: panel_changes(appliance),
        screen_picture=appliance.screen.latest_jpeg if appliance.screen else None,
        outputs=[mode for mode in AudioMode if mode in appliance.config.audio],
        words={notice: words_of(notice, prompts.language) for notice in Notice},
        sound=lambda name: _as_wav(name, prompts),
        public_key=_key_to_pair_with(appliance),
    )


def _key_to_pair_with(appliance: Appliance) -> str | None:
    """This device's key, where a page has to pair; None where it need not, or cannot."""
    wanted = appliance.config.security.unsigned == "refuse" and appliance.invite is not None
    return appliance.key.public if wanted and appliance.key else None


def _as_wav(name: str, prompts: Prompts) -> bytes | None:
    from appliance.media.sounds import pcm_of

    if name not in list(Sound):
        return None
    file = BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 48_000, 0, "NONE", "not compressed"))
        out.writeframes(
            pcm_of(
                Sound(name), prompts.language, spoken=prompts.spoken, directory=prompts.directory
            )
        )
    return file.getvalue()


async def panel_changes(appliance: Appliance) -> AsyncIterator[Mapping[str, Any]]:
    """The panel as its pins are, and how loud the loudspeaker is, whenever either changes."""
    shown: Mapping[str, Any] | None = None
    while True:
        panel = {**appliance.board.status(), "loudspeaker_level": _level(appliance)}
        if panel != shown:
            shown = panel
            yield panel
        await asyncio.sleep(LOOK_S)


def _level(appliance: Appliance) -> float:
    """0 to 1, in steps that an eye can tell apart."""
    speaker = appliance.session.status()["media"].get("speaker", {})
    dbfs: float | None = speaker.get("level_dbfs")
    if dbfs is None:
        return 0.0
    return round(max(0.0, min(1.0, 1 - dbfs / QUIET_DBFS)), 1)


def _invite_in(appliance: Appliance, *, open_browser: bool) -> None:
    sys.stdout.write(
        f"{appliance.config.device.name} is ready: {appliance.page}\n"
        "Press the bell on the page, answer beside it, and talk. Ctrl-C ends the demo; what was\n"
        "recorded goes with it.\n"
    )
    sys.stdout.flush()
    if open_browser:
        import webbrowser

        webbrowser.open(appliance.page or "")
