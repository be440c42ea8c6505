"""What an appliance tells at its local socket, as who listens there has it."""

from __future__ import annotations

from typing import Any

Item = dict[str, Any]
"""One event: `type`, `data`, and what goes with them."""


def name_of(item: Item) -> str:
    """The event's name."""
    return str(item["type"]).removeprefix("appliance.")
