"""What of the others is heard and seen here: of each, the newest connection with them, and who speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from appliance.calls.inputs import Input, PeerKey, SpeakerChanged
from appliance.media.base import AudioSink, PictureSink
from appliance.media.speaking import Loudest
from appliance.media.voice import level_dbfs

if TYPE_CHECKING:
    from appliance.media.base import Rgb

Other: TypeAlias = tuple[str, str, str]
"""Call, uid and endpoint: one of the others, over whichever connection."""


class Audience:
    """Loudspeaker and screen, between connections of which one may replace another.

    While two stand side by side, the newer one counts from when it is connected.
    """

    def __init__(
        self,
        speaker: Callable[[], AudioSink],
        pictures: PictureSink | None,
        post: Callable[[Input], None],
    ) -> None:
        """`speaker` tells which is the loudspeaker at the moment; to be made on the loop."""
        self._speaker = speaker
        self.pictures = pictures
        self._post = post
        self._clock = asyncio.get_running_loop().time
        self._connected: dict[Other, list[PeerKey]] = {}
        self._loudest: dict[str, Loudest[Other]] = {}
        self._shown: dict[tuple[str, str, bool], PeerKey] = {}

    def joined(self, key: PeerKey) -> None:
        """Media flows over this connection; of an older one nothing is heard or seen any more."""
        keys = self._connected.setdefault(_other(key), [])
        for older in keys:
            if older.generation < key.generation:
                self._speaker().remove(voice(older))
        keys.append(key)
        keys.sort(key=lambda one: one.generation)

    def left(self, key: PeerKey) -> None:
        """The connection has ended, whether it was ever up or not."""
        self.silent(key)
        self.dark(key, screen=False)
        self.dark(key, screen=True)
        keys = self._connected.get(_other(key), [])
        if key in keys:
            keys.remove(key)
        if not keys:
            self._connected.pop(_other(key), None)
            self._forget_speaker(key)

    def heard(self, key: PeerKey, frame: bytes) -> None:
        """20 ms of sound."""
        if not self._counts(key):
            return
        self._speaker().push(voice(key), frame)
        loudest = self._loudest.setdefault(key.call_id, Loudest())
        if loudest.heard(_other(key), level_dbfs(frame), self._clock()):
            self._post(SpeakerChanged(key))

    def silent(self, key: PeerKey) -> None:
        """Nothing is to be heard of it for now."""
        self._speaker().remove(voice(key))

    def saw(self, key: PeerKey, screen: bool, picture: Rgb) -> None:
        """One picture."""
        if self.pictures is not None and self._counts(key):
            self._shown[key.uid, key.endpoint, screen] = key
            self.pictures.show(key.uid, key.endpoint, screen, picture)

    def dark(self, key: PeerKey, *, screen: bool) -> None:
        """No more pictures come over it for now."""
        stream = (key.uid, key.endpoint, screen)
        if self.pictures is not None and self._shown.get(stream) == key:
            del self._shown[stream]
            self.pictures.gone(key.uid, key.endpoint, screen)

    def _counts(self, key: PeerKey) -> bool:
        keys = self._connected.get(_other(key))
        return keys is not None and keys[-1] == key

    def _forget_speaker(self, key: PeerKey) -> None:
        loudest = self._loudest.get(key.call_id)
        if loudest is not None:
            loudest.left(_other(key))
        if not any(call_id == key.call_id for call_id, _, _ in self._connected):
            self._loudest.pop(key.call_id, None)


def voice(key: PeerKey) -> str:
    """The connection's name at the loudspeaker."""
    return f"{key.uid}/{key.endpoint}/{key.generation}"


def _other(key: PeerKey) -> Other:
    return key.call_id, key.uid, key.endpoint
