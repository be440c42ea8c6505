"""What the two sides of one connection have agreed to, section by section, by offer and answer.

Nothing is changed before everything has been looked at over which aiortc would fail half way, so that what
stood before still stands where a further description is refused. A section that was rejected stays so,
until the other side uses its place for another one (RFC 9429, section 5.2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiortc import RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from appliance.firewall.candidates import Remote, check_candidate
from appliance.media.base import BadDescription, NoCommonCodec
from appliance.media.gathering import Gathering
from appliance.media.lines import Line, Role, Sources
from appliance.media.negotiation import (
    check_same_transport,
    checked_candidate,
    h264_only,
    opus_only,
    read,
    usable,
    what_came,
)
from appliance.media.seams import lifetime, receiving
from appliance.media.sections import Description, Identity, Section, stand_in
from appliance.messages import IceCandidate, SessionDescription

NOTHING_IN_COMMON = "has no codec in common: H.264 constrained baseline and Opus are wanted"


class Agreement:
    """The negotiation of one `RTCPeerConnection`, which must bundle all (MAX_BUNDLE)."""

    def __init__(
        self,
        pc: RTCPeerConnection,
        sources: Sources,
        *,
        watching: bool,
        made: Callable[[Line], None],
        gathering: Gathering,
        named: Callable[[Remote], bool] = lambda candidate: False,
    ) -> None:
        """`watching`: the other side's pictures are wanted. `made` gets each section that is new.

        `named` gets candidates whose address has to be found first; it comes back by `add_found` where
        it says so. `gathering` is of the same connection.
        """
        self._gathering = gathering
        self._pc = pc
        self._sources = sources
        self._watching = watching
        self._made = made
        self._named = named
        self._names = 0
        self._ended = False
        self._lines: list[Line | None] = []
        self._transceivers: list[RTCRtpTransceiver] = []
        self._dead: dict[int, Section] = {}
        self._answers = False
        self._identity: Identity | None = None
        self._counting: tuple[str | None, int] = (None, 0)
        self.transport_mid: str | None = None
        """The section whose candidates count, by our description."""

    def let_go(self) -> None:
        """The connection is closed: tell nobody of anything any more, nor keep who would be told."""
        self._made = lambda _: None
        self._named = lambda _: False

    @property
    def lines(self) -> list[Line]:
        """The sections in use."""
        return [line for line in self._lines if line is not None]

    @property
    def is_made(self) -> bool:
        """A description of the other side has been taken."""
        return self._identity is not None

    def line(self, role: Role) -> Line | None:
        """The section for this."""
        return next((line for line in self.lines if line.role is role), None)

    # -------------------- the three steps

    async def answer(self, offer: SessionDescription, *, video: bool) -> SessionDescription:
        """Answer an offer, the first or a further one. Raises BadDescription or NoCommonCodec."""
        remote = read(offer, "offer")
        if self._pc.signalingState == "have-local-offer":
            raise BadDescription("an offer came while this side waits for the answer to its own")
        if len(remote.sections) < len(self._lines):
            raise BadDescription("the offer has fewer media sections than the one before")
        roles = self._roles(remote)
        alive = [number for number in remote.together(roles) if number in roles]
        if not alive or remote.first_bundled not in (None, alive[0]):
            # with the first of a bundle browsers give up the others too
            raise NoCommonCodec(f"the offer, or its first media section, {NOTHING_IN_COMMON}")
        self._check(remote, alive)
        # before aiortc sees the offer: later preferences have no effect, and the first of its transceivers
        # must be that of the first section
        for number, section in enumerate(remote.sections):
            if number in alive and self._is_new(remote, number):
                await self._make(number, roles[number])
            elif number == len(self._lines):
                self._transceivers.append(self._pc.addTransceiver("audio", "inactive"))
                self._lines.append(None)  # and that is what stands in for it
            if number not in alive:
                self._die(number, section.rejected())
        await self._take(remote, alive, "offer")
        self._direct(video)
        await self._gathering.prepare()
        with what_came("offer"):
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        self._answers = True
        return self._told()

    async def offer(self, *, video: bool) -> SessionDescription:
        """Make an offer, the first or a further one. Raises BadDescription for who answered before."""
        if self._answers:
            raise BadDescription("only the side that offered first may offer again")
        for role in Role:
            wanted = role is not Role.RETURN and self._wants(role, video) != "inactive"
            if wanted and self.line(role) is None:
                await self._make(len(self._lines), role)
        self._direct(video)
        await self._gathering.prepare()
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return self._told()

    async def accept(self, answer: SessionDescription) -> None:
        """Take the answer to what was offered. Raises BadDescription or NoCommonCodec."""
        remote = read(answer, "answer")
        if self._pc.signalingState != "have-local-offer":
            raise BadDescription("an answer came, and nothing was offered")
        if len(remote.sections) != len(self._lines):
            raise BadDescription("the answer has another number of media sections than the offer")
        accepted = [
            number
            for number, section in enumerate(remote.sections)
            if self._lines[number] is not None and not section.is_rejected
        ]
        self._check_names(remote, accepted)
        alive = remote.together(accepted)
        if not alive or not set(alive) <= set(usable(remote)):
            raise NoCommonCodec(f"the answer {NOTHING_IN_COMMON}")
        self._check(remote, alive)
        await self._take(remote, alive, "answer")
        local = Description.parse(self._pc.localDescription.sdp)
        for number in range(len(self._lines)):
            if number not in alive:
                self._die(number, local.sections[number].rejected())

    async def add_candidate(self, candidate: IceCandidate | None) -> None:
        """Add a candidate of the transport that all share; others are of no use. Raises BadDescription."""
        if candidate is None or not candidate.candidate:
            await self._end_candidates()
            return
        remote = checked_candidate(candidate)
        mid, number = self._counting
        if remote is None or (
            candidate.sdp_mid != mid
            if candidate.sdp_mid is not None
            else candidate.sdp_m_line_index != number
        ):
            return
        if remote.is_named:
            self._names += self._named(remote)
        else:
            await self._add(remote)

    async def add_found(self, candidate: Remote | None) -> None:
        """Add what `named` was given, now with its address; None where there is none."""
        self._names -= 1
        if self._pc.signalingState == "closed":
            return
        if candidate is not None:
            await self._add(candidate)
        if self._ended:
            await self._end_candidates()

    async def _add(self, candidate: Remote) -> None:
        with what_came("candidate"):
            parsed = candidate_from_sdp(candidate.attribute)
            parsed.sdpMid, parsed.sdpMLineIndex = self._pc.getTransceivers()[0].mid, 0
            await self._pc.addIceCandidate(parsed)

    async def _end_candidates(self) -> None:
        """No more come: aiortc, which takes none behind this, is told when the last one was found."""
        self._ended = True
        if self._names == 0:
            await self._pc.addIceCandidate(None)

    # -------------------- what is looked at before

    def _roles(self, remote: Description) -> dict[int, Role]:
        """What each section that can be agreed to is for; of those that are new, the first ones count."""
        known = dict(enumerate(self._lines))
        can = usable(remote)
        new = {number for number in can if self._is_new(remote, number)}
        can = [number for number in can if number in new or known[number] is not None]
        roles: dict[int, Role] = {}
        for number in sorted(remote.together(can), key=lambda number: (number in new, number)):
            kind = remote.sections[number].kind
            line = known.get(number)
            role: Role | None = None
            if number in new:
                free = (role for role in Role if role.kind == kind and role not in roles.values())
                role = next((one for one in free if _suits(one, remote, number, roles)), None)
            elif line is not None and line.role.kind == kind:
                role = line.role
            if role is not None:
                roles[number] = role
        return roles

    def _is_new(self, remote: Description, number: int) -> bool:
        """It has not been there before, or in the place of one that was rejected."""
        if number >= len(self._lines):
            return True
        return self._lines[number] is None and self._dead[number].mid != remote.sections[number].mid

    def _check(self, remote: Description, alive: list[int]) -> None:
        """See that a description can be taken. Raises BadDescription."""
        self._check_names(remote, alive)
        came = remote.identity(alive[0])
        if not all(came) or not remote.values(alive[0], "setup"):
            raise BadDescription("ICE user fragment or password, fingerprint or setup are missing")
        if self._identity is not None:
            check_same_transport(self._identity, came)

    def _check_names(self, remote: Description, used: list[int]) -> None:
        mids = [remote.sections[number].mid for number in used]
        others = [self._mid_of(n) for n in range(len(remote.sections)) if n not in used]
        if len({*mids, *others}) < len(remote.sections):
            raise BadDescription("two media sections have the same name")
        for number, mid in zip(used, mids, strict=True):
            line = None if self._is_new(remote, number) else self._lines[number]
            if line is not None and line.transceiver.mid not in (None, mid or ""):
                raise BadDescription(f"media section {number} has another name than before")

    def _mid_of(self, number: int) -> str:
        """Under which name aiortc knows a section that is dead."""
        if number < len(self._lines):
            mid = self._transceivers[number].mid
            if mid is not None:
                return mid
        return f"rejected-{number}"

    # -------------------- what is done then

    async def _take(self, remote: Description, alive: list[int], what: str) -> None:
        def substitute(number: int) -> Section:
            return stand_in(self._transceivers[number].kind, self._mid_of(number))

        candidates = self._pc.connectionState != "connected"
        if candidates:
            remote = self._without_names(remote, alive[0])
        sdp = remote.for_aiortc(alive, substitute, candidates=candidates)
        with what_came(what):
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp, what))
        self._identity = remote.identity(alive[0])
        self._counting = (remote.sections[alive[0]].mid, alive[0])
        for number in alive:
            if remote.sections[number].kind == "video":
                ssrcs = {int(value.split()[0]) for value in remote.sections[number].values("ssrc")}
                receiving.expect(self._transceivers[number].receiver, ssrcs)

    def _without_names(self, remote: Description, number: int) -> Description:
        """Without the candidates of a section that aiortc would look up, or cannot use."""
        kept: list[str] = []
        names = self._names
        for line in remote.sections[number].lines:
            if line.startswith("a=candidate:"):
                candidate = check_candidate(line, "the candidate")
                if candidate.is_named:
                    self._names += self._named(candidate)
                if candidate.is_named or candidate.transport != "udp":
                    continue
            kept.append(line)
        if self._names > names and "a=end-of-candidates" in kept:
            kept.remove("a=end-of-candidates")
            self._ended = True
        return remote.replacing(number, Section(tuple(kept)))

    async def _make(self, number: int, role: Role) -> None:
        """A section for `role`: the next one, or in the place of one that is dead."""
        fanout = self._sources.of(role)
        track = None if fanout is None else fanout.track()
        transceiver = self._pc.addTransceiver(track or role.kind, "inactive")
        transceiver.setCodecPreferences(opus_only() if role.kind == "audio" else h264_only())
        line = Line(role, transceiver, track)
        if number == len(self._lines):
            self._lines.append(line)
            self._transceivers.append(transceiver)
        else:
            await lifetime.retire(self._transceivers[number])
            self._lines[number], self._transceivers[number] = line, transceiver
            del self._dead[number]
        self._made(line)

    def _die(self, number: int, told: Section) -> None:
        self._dead[number] = told
        line, self._lines[number] = self._lines[number], None
        if line is not None:
            line.transceiver.direction = "inactive"
            if line.track is not None:
                line.track.stop()

    def _wants(self, role: Role, video: bool) -> str:
        return self._sources.direction(role, video=video, watching=self._watching)

    def _direct(self, video: bool) -> None:
        for line in self.lines:
            line.transceiver.direction = self._wants(line.role, video)

    def _told(self) -> SessionDescription:
        local = self._pc.localDescription
        described = Description.parse(local.sdp)
        first = described.first_bundled
        self.transport_mid = described.sections[0 if first is None else first].mid
        sdp = described.for_the_other_side(self._dead, more=not self._gathering.is_complete)
        self._gathering.described(sdp)
        return SessionDescription(local.type, sdp)


def _suits(role: Role, remote: Description, number: int, roles: Mapping[int, Role]) -> bool:
    """Whether a new section can be for `role`: sound's way back is for who sends by the other section."""
    if role is not Role.RETURN:
        return True
    numbers = [number, *(one for one, other in roles.items() if other is Role.SOUND)]
    ways = [{"a=sendonly", "a=recvonly"} & {*remote.sections[one].lines} for one in numbers]
    return len(ways) == 2 and ways[0] | ways[1] == {"a=sendonly", "a=recvonly"}
