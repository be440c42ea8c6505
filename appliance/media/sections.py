"""A session description taken apart by its media sections (RFC 8866), and put together again.

aiortc knows neither a section that is rejected (port 0, RFC 3264 section 6) nor one that it cannot answer,
and fails over either; it takes the candidates of whichever section comes last. So what it is given has a
silent stand-in for each section that is dead, all sections have the transport of the one that counts for
the bundle (RFC 9143, section 7.3), and what it says is told to the other side with the dead ones at port 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

Identity: TypeAlias = tuple[str, str, frozenset[str]]
"""Of a transport: ICE user fragment and password, and the fingerprints of its certificate."""

_OPUS = re.compile(r"a=rtpmap:(\d+) opus/48000/2", re.IGNORECASE)
_LINES = re.compile(r"\r?\n")
_BUNDLE = "a=group:BUNDLE"
_NO_MORE = "a=end-of-candidates"
_CANDIDATES = ("a=candidate:", _NO_MORE)
_TRANSPORT = (
    "a=ice-ufrag:",
    "a=ice-pwd:",
    "a=ice-options:",
    "a=fingerprint:",
    "a=setup:",
    *_CANDIDATES,
)
_CODECS = {
    "audio": ("111", ("a=rtpmap:111 opus/48000/2",)),
    "video": (
        "109",
        (
            "a=rtpmap:109 H264/90000",
            "a=fmtp:109 packetization-mode=1;profile-level-id=42e01f",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Section:
    """One media section: its `m=` line, and the lines below it."""

    lines: tuple[str, ...]

    @property
    def kind(self) -> str:
        """As in `m=video`."""
        return self.lines[0][2:].split(" ", 1)[0]

    @property
    def mid(self) -> str | None:
        """Its name (RFC 5888), or None."""
        return next(iter(self.values("mid")), None)

    @property
    def is_rejected(self) -> bool:
        """It has port 0, and not only since it has no port of its own in the bundle."""
        fields = self.lines[0].split()
        return fields[1:2] == ["0"] and "a=bundle-only" not in self.lines

    def values(self, name: str) -> list[str]:
        """What its attributes of this name say."""
        start = f"a={name}:"
        return [line.removeprefix(start) for line in self.lines if line.startswith(start)]

    def over(self, transport: tuple[str, ...]) -> Section:
        """The same with another transport."""
        own = tuple(line for line in self.lines if not line.startswith(_TRANSPORT))
        return replace(self, lines=own + transport)

    def without(self, line: str) -> Section:
        """The same without a line."""
        return replace(self, lines=tuple(one for one in self.lines if one != line))

    def wanting_correction(self) -> Section:
        """The same, and of Opus error correction is wanted, which else nobody sends (RFC 7587, 6.1)."""
        told: list[str] = []
        for line in self.lines:
            told.append(line)
            if opus := _OPUS.fullmatch(line):
                told.append(f"a=fmtp:{opus[1]} minptime=10;useinbandfec=1")
        return replace(self, lines=tuple(told))

    def rejected(self) -> Section:
        """The same as it is told to who must not use it."""
        kind, _, *rest = self.lines[0].split()
        mid = () if self.mid is None else (f"a=mid:{self.mid}",)
        return Section((" ".join([kind, "0", *rest]), "c=IN IP4 0.0.0.0", "a=inactive", *mid))


def stand_in(kind: str, mid: str) -> Section:
    """A section that aiortc can agree to, and over which nothing goes: `kind` is audio or video."""
    payload, codec = _CODECS[kind]
    first = f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload}"
    return Section((first, "c=IN IP4 0.0.0.0", "a=inactive", f"a=mid:{mid}", "a=rtcp-mux", *codec))


@dataclass(frozen=True, slots=True)
class Description:
    """The lines before the first section, and the sections in order."""

    head: tuple[str, ...]
    sections: tuple[Section, ...]

    @classmethod
    def parse(cls, sdp: str) -> Description:
        """Take `sdp` apart; cannot fail."""
        parts: list[list[str]] = [[]]
        for line in _LINES.split(sdp):
            if line.startswith("m="):
                parts.append([])
            if line:
                parts[-1].append(line)
        return cls(tuple(parts[0]), tuple(Section(tuple(part)) for part in parts[1:]))

    @property
    def text(self) -> str:
        """Put together again."""
        lines = [*self.head, *(line for section in self.sections for line in section.lines)]
        return "\r\n".join(lines) + "\r\n"

    def only(self, *numbers: int) -> Description:
        """With these sections alone."""
        return replace(self, sections=tuple(self.sections[number] for number in numbers))

    def replacing(self, number: int, section: Section) -> Description:
        """With another section in the place of one."""
        sections = (*self.sections[:number], section, *self.sections[number + 1 :])
        return replace(self, sections=sections)

    @property
    def _group(self) -> list[str]:
        groups = (line.split()[1:] for line in self.head if line.startswith(_BUNDLE))
        return next(groups, [])

    @property
    def first_bundled(self) -> int | None:
        """The section that comes first in the bundle, if there is one."""
        mids = [section.mid for section in self.sections]
        return mids.index(self._group[0]) if self._group[:1] and self._group[0] in mids else None

    def together(self, usable: Collection[int]) -> list[int]:
        """Those of the `usable` sections that can share one transport, that which counts for it first.

        Without a bundle this is one section alone, as for JSEP's max-bundle (RFC 9429, section 4.1.1).
        """
        usable, group = sorted(usable), self._group
        inside = [number for number in usable if self.sections[number].mid in group]
        if not inside:
            return usable[:1]
        return sorted(inside, key=lambda number: group.index(str(self.sections[number].mid)))

    def values(self, number: int, name: str) -> list[str]:
        """What the attributes of this name say of a section, there or before all sections."""
        return self.sections[number].values(name) or Section(self.head).values(name)

    def identity(self, number: int) -> Identity:
        """Of the transport of this section; what is missing is empty."""
        return (
            next(iter(self.values(number, "ice-ufrag")), ""),
            next(iter(self.values(number, "ice-pwd")), ""),
            frozenset(value.lower() for value in self.values(number, "fingerprint")),
        )

    def for_aiortc(
        self, alive: list[int], substitute: Callable[[int], Section], *, candidates: bool
    ) -> str:
        """What aiortc is given: the transport of the first of `alive` for all sections, and for the dead
        what `substitute` makes; without `candidates` those are left out.
        """
        transport = tuple(
            line
            for line in self.sections[alive[0]].lines
            if line.startswith(_TRANSPORT) and (candidates or not line.startswith(_CANDIDATES))
        )
        sections = tuple(
            (section if number in alive else substitute(number)).over(transport)
            for number, section in enumerate(self.sections)
        )
        mids = [section.mid for section in sections if section.mid is not None]
        return replace(self, head=self._grouping(mids), sections=sections).text

    def for_the_other_side(self, dead: Mapping[int, Section], *, more: bool = False) -> str:
        """What the other side is told: the dead sections as rejected, and not in the bundle.

        With `more` it is not told that these are all candidates.
        """
        sections = tuple(dead.get(number, section) for number, section in enumerate(self.sections))
        sections = tuple(section.wanting_correction() for section in sections)
        if more:
            sections = tuple(section.without(_NO_MORE) for section in sections)
        mids = [
            section.mid
            for number, section in enumerate(sections)
            if number not in dead and section.mid is not None
        ]
        return replace(self, head=self._grouping(mids), sections=sections).text

    def _grouping(self, mids: list[str]) -> tuple[str, ...]:
        rest = tuple(line for line in self.head if not line.startswith(_BUNDLE))
        return (*rest, " ".join([_BUNDLE, *mids])) if mids else rest
