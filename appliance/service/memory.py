"""What is to hold after a restart too, beside the call log: do not disturb, and how loud things are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from appliance.calls.inputs import FaultReported, Input
from appliance.model import AudioMode
from appliance.whole_file import private_folder, rename, write_whole

SOON_S = 0.5
"""Changes that follow one another so closely are one: a knob that is turned is not many writes."""


class Kept(Struct, frozen=True):
    """All that is remembered; as JSON it is the file."""

    do_not_disturb: bool = False
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """When do not disturb ends by itself, in UTC."""
    scheduled: bool = False
    """It is the quiet hours' doing."""
    quiet_overruled: bool = False
    """Somebody wants to be rung in these quiet hours."""
    volumes: dict[AudioMode, Annotated[int, Meta(ge=0, le=100)]] = field(default_factory=dict)
    """In percent."""


class Memory:
    """Keeps `Kept` in a file; `async with`, whose end waits until everything is written.

    `kept` is there from the beginning. A file that cannot be understood is renamed and told of.
    """

    def __init__(self, file: Path, post: Callable[[Input], None]) -> None:
        """Read the file, if there is one; nothing is posted yet."""
        self._file = file
        self._post = post
        self._fault_at_start: str | None = None
        self.kept = self._load()
        self._written: Kept | None = self.kept
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        if self._fault_at_start is not None:
            self._post(FaultReported("memory_lost", self._fault_at_start, str(self._file)))
        await self._tasks.__aenter__()
        self._writer = self._tasks.create_task(self._write_all())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        self._news.set()
        await asyncio.wait([self._writer])
        await self._tasks.__aexit__(None, None, None)

    def keep(self, kept: Kept) -> None:
        """Remember this from now on; written soon if it is another than before. On the loop."""
        if kept != self.kept:
            self.kept = kept
            self._news.set()

    def _load(self) -> Kept:
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=Kept)
            # in another zone it may be in a year that does not exist
            return replace(kept, until=kept.until and kept.until.astimezone(UTC))
        except FileNotFoundError:
            return Kept()
        except (
            OSError,
            ValueError,
            RecursionError,
            OverflowError,
        ) as error:  # msgspec's errors are that, and Unicode's
            why = error.strerror if isinstance(error, OSError) else error
        sentence = (
            f"{self._file} cannot be understood, so volumes and do not disturb are as at first"
        )
        self._fault_at_start = f"{sentence}: {why}"
        aside = self._file.with_name(self._file.name + ".broken")
        try:
            rename(self._file, aside)
        except OSError as error:
            self._fault_at_start += f" (and it cannot be put aside: {error.strerror})"
        else:
            self._fault_at_start += f" (it lies in {aside} now)"
        return Kept()

    async def _write_all(self) -> None:
        while self._news.is_set() or not self._closing.is_set():
            await self._news.wait()
            with suppress(TimeoutError):  # what changes meanwhile is written with it
                async with asyncio.timeout(SOON_S):
                    await self._closing.wait()
            self._news.clear()
            if self.kept != self._written:
                await self._write(self.kept)

    async def _write(self, kept: Kept) -> None:
        try:
            await asyncio.to_thread(self._put, msgspec.json.encode(kept) + b"\n")
        except OSError as error:
            self._written = None  # the next change is another try
            sentence = f"what is to be remembered cannot be written: {error}"
            self._post(FaultReported("memory_lost", sentence, str(self._file)))
        else:
            self._written = kept

    def _put(self, data: bytes) -> None:
        private_folder(self._file.parent)
        write_whole(self._file, data)
