"""The log's share of the events: one line each, with what a person at the console wants to know."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

log = logging.getLogger("appliance.events")

BRIEF = 80
"""Characters of one value; what is longer is cut."""


def write(item: Mapping[str, Any]) -> None:
    """Log one event, as a sink of the bus: errors as warnings."""
    name = item["type"].removeprefix("appliance.")
    data = item["data"]
    if name == "error":
        again = f", {data['count']} times" if data["count"] > 1 else ""
        where = f" ({data['where']})" if data["where"] else ""
        log.warning("%s: %s%s%s", data["code"], data["message"], where, again)
    else:
        log.info("%s", " ".join([name, *_words(data)]))


def _words(data: Mapping[str, Any]) -> Iterator[str]:
    for key, value in data.items():
        if value in (None, {}, []):
            continue
        match key, value:
            case "call", {"caller": caller, "receiver": receiver}:
                yield f"{caller['uid']} -> {receiver['id']}"
            case (("participant" | "callee"), {"uid": uid}):
                yield f"{key}={uid}"
            case (("participants" | "callees"), list(everyone)):
                yield " ".join(f"{one['uid']}:{one['state']}" for one in everyone)
            case (("call_id" | "session_id" | "extended_data" | "error_code" | "text"), _):
                continue  # the id stands before the line; what people write is their own
            case _:
                text = str(value)
                yield f"{key}={text if len(text) <= BRIEF else text[: BRIEF - 1] + '…'}"
