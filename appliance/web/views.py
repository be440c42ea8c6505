"""Looking through the camera without a call: HTTP becomes inputs, and effects become answers.

Who may is the core's to decide; here it is only bounded how much may be asked.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar

from appliance.calls.effects import AnswerViewer, DismissViewer, Effect
from appliance.calls.inputs import (
    Input,
    PictureWanted,
    ViewerLeft,
    ViewerOffered,
    ViewerTrickled,
)
from appliance.errors import Refused
from appliance.messages import Candidate, IceCandidate, Message, Offer, SessionDescription
from appliance.web.sessions import Patience

ANSWER_LIMIT_S = 15.0
MAX_SDP_BYTES = 32 * 1024
OFFERS = 20
OFFER_EVERY_S = 1.0
PICTURE_LIMIT_S = 10.0
"""A camera takes its time to open."""
PICTURE_KEPT_S = 1.0
"""So often at most a picture is made, however many ask."""
LOOK_EVERY_S = 0.1


@dataclass(slots=True, eq=False)
class View:
    """One view: from its offer to its end, of which `on_over` is told once."""

    id: str
    uid: str | None
    answer: asyncio.Future[str]
    on_over: list[Callable[[str, str], None]] = field(default_factory=list)


class Views:
    """The edge between HTTP and the core. On the loop."""

    EFFECTS: ClassVar[tuple[type[Effect], ...]] = (AnswerViewer, DismissViewer)

    def __init__(
        self,
        post: Callable[[Input], None],
        snapshot: Callable[[], Awaitable[bytes | None]],
        check: Callable[[Message], None],
    ) -> None:
        """`snapshot` gives what the camera sees as a JPEG, None while it is closed. `check` looks at
        what is to reach the media stack, as at any message that comes; it raises Refused.
        """
        self._post, self._snapshot, self._check = post, snapshot, check
        self._views: dict[str, View] = {}
        self._clock = asyncio.get_running_loop().time
        self._patience = Patience(OFFERS, OFFER_EVERY_S, self._clock())
        self._taking = asyncio.Lock()
        self._taken: tuple[float, bytes | Refused] | None = None

    def perform(self, effect: Effect) -> None:
        """Carry out an effect of `EFFECTS`."""
        match effect:
            case AnswerViewer(viewer=id, answer=answer) if id in self._views:
                waiting = self._views[id].answer
                if not waiting.done():
                    waiting.set_result(answer.sdp)
            case DismissViewer(viewer=id, code=code, message=message) if id in self._views:
                view = self._views.pop(id)
                if not view.answer.done():
                    view.answer.set_exception(Refused(code, message))
                for tell in tuple(view.on_over):
                    tell(code, message)

    # -------------------- a view

    async def open(self, uid: str | None, sdp: str) -> tuple[View, str]:
        """Begin a view with an offer: gives it, and the answer. Raises Refused."""
        wait_s = self._patience.wait_s(self._clock())
        if wait_s:
            raise Refused(
                "too_many_offers", "too many views were asked for at once: try again soon"
            )
        self._patience.spend(self._clock())
        if len(sdp.encode(errors="replace")) > MAX_SDP_BYTES:
            raise Refused("malformed", f"the offer has more than {MAX_SDP_BYTES} bytes")
        offer = SessionDescription("offer", sdp)
        self._check(Offer(offer))
        view = View(secrets.token_hex(16), uid, asyncio.get_running_loop().create_future())
        self._views[view.id] = view
        sound = any(line.startswith("m=audio ") for line in sdp.splitlines())
        self._post(ViewerOffered(view.id, uid, offer, sound))
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return view, await view.answer
        except BaseException as error:
            self.close(view)
            if isinstance(error, TimeoutError):
                raise Refused("unanswered", "the device did not answer in time") from None
            raise

    def trickle(self, view: View, candidate: IceCandidate | None) -> None:
        """A candidate behind the offer; None: there are no more. Raises Refused."""
        self._check(Candidate(candidate))
        if view.id in self._views:
            self._post(ViewerTrickled(view.id, candidate))

    def close(self, view: View) -> None:
        """End a view, if it has not ended."""
        if self._views.get(view.id) is view:
            self._post(ViewerLeft(view.id))

    def of(self, id: str, uid: str | None) -> View | None:
        """The view of that id, if it is that one's."""
        view = self._views.get(id)
        return view if view is not None and view.uid == uid else None

    # -------------------- a picture

    async def picture(self) -> bytes:
        """What the camera sees, as a JPEG of at most a second ago. Raises Refused."""
        async with self._taking:
            if self._taken is None or self._clock() - self._taken[0] > PICTURE_KEPT_S:
                made = await self._take()
                self._taken = (self._clock(), made)
            taken = self._taken[1]
        if isinstance(taken, Refused):
            raise Refused(taken.code, str(taken))
        return taken

    async def _take(self) -> bytes | Refused:
        self._post(PictureWanted())
        end_s = self._clock() + PICTURE_LIMIT_S
        while self._clock() < end_s:
            picture = await self._snapshot()
            if picture is not None:
                return picture
            await asyncio.sleep(LOOK_EVERY_S)
        return Refused("no_picture", "the camera gives no picture: it is paused, closed, or broken")
