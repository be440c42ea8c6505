"""The topics of calls and presence below the root, and which filter matches which topic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """Where this project's messages lie at the broker."""

    root: str

    def inbox(self, to: str, sender: str) -> str:
        """Where `sender` writes to `to`; `+` as the sender is a filter for a whole inbox."""
        return f"{self.root}/call/{to}/{sender}"

    def presence(self, uid: str, endpoint: str) -> str:
        """Where an endpoint says that it is there; `+` stands for any."""
        return f"{self.root}/presence/{uid}/{endpoint}"

    def inbox_sender(self, topic: str) -> str | None:
        """Who wrote to this inbox topic, by the word of the broker's ACL; None for other topics."""
        levels = topic.removeprefix(f"{self.root}/call/").split("/")
        return levels[1] if topic.startswith(f"{self.root}/call/") and len(levels) == 2 else None

    def presence_owner(self, topic: str) -> tuple[str, str] | None:
        """Whose presence this topic holds, as (uid, endpoint); None for other topics."""
        levels = topic.removeprefix(f"{self.root}/presence/").split("/")
        if not topic.startswith(f"{self.root}/presence/") or len(levels) != 2:
            return None
        return levels[0], levels[1]

    def presence_uid(self, topic: str) -> str | None:
        """The first of the two."""
        owner = self.presence_owner(topic)
        return None if owner is None else owner[0]


class Filters:
    """Many subscriptions together: a message is not compared with each of a hundred of them."""

    def __init__(self, filters: Iterable[str]) -> None:
        """Most are a topic, or the topics one level below another; any may be given."""
        self._given = frozenset(filters)
        self._others = [one for one in self._given if not _is_simple(one)]

    def cover(self, topic: str) -> bool:
        """Whether one of them gets `topic`."""
        below = f"{topic.rpartition('/')[0]}/+"
        simple = topic in self._given or (below in self._given and matches(below, topic))
        return simple or any(matches(one, topic) for one in self._others)


def _is_simple(topic_filter: str) -> bool:
    return not any(wildcard in topic_filter.removesuffix("/+") for wildcard in "+#")


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a subscription to `topic_filter` gets `topic` (MQTT 5.0, section 4.7)."""
    if topic.startswith("$") and not topic_filter.startswith("$"):
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for depth, level in enumerate(wanted):
        if level == "#":
            return True
        if depth >= len(levels) or level not in ("+", levels[depth]):
            return False
    return len(wanted) == len(levels)
